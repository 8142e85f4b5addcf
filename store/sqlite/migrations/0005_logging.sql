-- What Gatehouse changed of API Gateway's logging, and what was there before.
CREATE TABLE logging_records (
  key    TEXT PRIMARY KEY, -- JSON of logging.Key
  record TEXT NOT NULL     -- JSON of logging.Record
) WITHOUT ROWID;

-- The journal: every attempt, and what came of it. Lines are only ever added.
CREATE TABLE logging_journal (
  id    INTEGER PRIMARY KEY AUTOINCREMENT,
  entry TEXT NOT NULL -- JSON of logging.Entry
);
