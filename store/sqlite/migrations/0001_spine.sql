-- Small facts about this installation.
CREATE TABLE settings (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE leases (
  name    TEXT PRIMARY KEY,
  holder  TEXT NOT NULL,
  expires INTEGER NOT NULL -- milliseconds
) WITHOUT ROWID;

-- The collector's checkpoint. Times are milliseconds since the epoch.
CREATE TABLE log_groups (
  id         INTEGER PRIMARY KEY,
  key        TEXT NOT NULL UNIQUE, -- account/region/name
  checkpoint TEXT NOT NULL         -- JSON of collect.GroupCheckpoint without Seen
);

CREATE TABLE seen_segments (
  id        INTEGER PRIMARY KEY,
  log_group INTEGER NOT NULL REFERENCES log_groups (id) ON DELETE CASCADE,
  newest    INTEGER NOT NULL,
  events    BLOB NOT NULL, -- 64-bit digests, little endian
  calls     BLOB NOT NULL
);
CREATE INDEX seen_segments_by_age ON seen_segments (log_group, newest);

CREATE TABLE sinks (
  name     TEXT PRIMARY KEY,
  position TEXT NOT NULL
) WITHOUT ROWID;

-- The last discovery: gzip of the JSON of estate.Snapshot.
CREATE TABLE estate (
  id       INTEGER PRIMARY KEY CHECK (id = 1),
  snapshot BLOB NOT NULL
);

-- The inventory. The id of a stage is a digest of its key.
CREATE TABLE stages (
  id       INTEGER PRIMARY KEY,
  api_type TEXT NOT NULL,
  account  TEXT NOT NULL,
  region   TEXT NOT NULL,
  api_id   TEXT NOT NULL,
  stage    TEXT NOT NULL,
  api_name TEXT NOT NULL,
  probes   INTEGER NOT NULL,
  unrouted INTEGER NOT NULL,
  overflow INTEGER NOT NULL,
  open     TEXT NOT NULL -- JSON list of templates
);

-- Rows are narrow, so that a question that no index answers (a search, an
-- unusual order) reads few pages; what only one endpoint's page shows is in
-- endpoint_states. Indexes of columns that change with every call would cost
-- each commit more than a scan costs each question.
CREATE TABLE endpoints (
  id           TEXT PRIMARY KEY,
  stage_id     INTEGER NOT NULL REFERENCES stages (id),
  method       TEXT NOT NULL,
  route        TEXT NOT NULL,
  route_source TEXT NOT NULL,
  visibility   TEXT NOT NULL,
  first_seen   INTEGER NOT NULL, -- milliseconds
  last_seen    INTEGER NOT NULL,
  calls        INTEGER NOT NULL,
  errors_4xx   INTEGER NOT NULL,
  errors_5xx   INTEGER NOT NULL,
  callers      INTEGER NOT NULL,
  latency_p50  REAL NOT NULL,
  latency_p95  REAL NOT NULL,
  latency_p99  REAL NOT NULL,
  search       TEXT NOT NULL GENERATED ALWAYS AS (lower(method || ' ' || route)) STORED
) WITHOUT ROWID;
CREATE INDEX endpoints_by_route ON endpoints (route, method, id);
CREATE INDEX endpoints_by_stage ON endpoints (stage_id, method, visibility);
CREATE INDEX endpoints_by_first_seen ON endpoints (first_seen, id);

CREATE TABLE endpoint_states (
  endpoint TEXT PRIMARY KEY REFERENCES endpoints (id) ON DELETE CASCADE,
  state    BLOB NOT NULL,
  minutes  BLOB NOT NULL
);

-- IDs of endpoints that became part of another.
CREATE TABLE endpoint_aliases (
  id     TEXT PRIMARY KEY,
  target TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX endpoint_aliases_by_target ON endpoint_aliases (target);

-- Redacted transactions as JSON.
CREATE TABLE samples (
  key  TEXT PRIMARY KEY,
  body BLOB NOT NULL
);

-- Traffic by the minute, of an API's stage or ('') of everything.
CREATE TABLE minutes (
  api        TEXT NOT NULL,
  minute     INTEGER NOT NULL, -- minutes since the epoch
  calls      INTEGER NOT NULL,
  errors_4xx INTEGER NOT NULL,
  errors_5xx INTEGER NOT NULL,
  full       INTEGER NOT NULL,
  truncated  INTEGER NOT NULL,
  metadata   INTEGER NOT NULL,
  PRIMARY KEY (api, minute)
) WITHOUT ROWID;
CREATE INDEX minutes_by_age ON minutes (minute);
