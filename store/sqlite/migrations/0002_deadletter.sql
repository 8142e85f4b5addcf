-- Calls that a sink refused for good. A call is there once for each sink, so a
-- refusal that comes again after a crash changes its row and adds none.
CREATE TABLE dead_letters (
  id          INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of arrival; never given twice
  sink        TEXT NOT NULL,
  call        TEXT NOT NULL,    -- the transaction's id
  reason      TEXT NOT NULL,
  message     TEXT NOT NULL,
  refused     INTEGER NOT NULL, -- milliseconds, of the last refusal
  attempts    INTEGER NOT NULL, -- how often it was refused
  replay      INTEGER NOT NULL, -- 1: to be delivered again
  size        INTEGER NOT NULL, -- bytes of body
  summary     TEXT NOT NULL,    -- JSON of deadletter.Summary
  body        BLOB NOT NULL,    -- the redacted transaction, JSON
  UNIQUE (sink, call)
);
-- Counting by sink, and finding what waits to be replayed, read no bodies.
CREATE INDEX dead_letters_by_sink ON dead_letters (sink, replay, size);
