-- What the comparison with CloudWatch's own count remembers of minutes that no
-- other reading passes again. A minute may have several rows.
CREATE TABLE seen_minutes (
  id        INTEGER PRIMARY KEY,
  log_group INTEGER NOT NULL REFERENCES log_groups (id) ON DELETE CASCADE,
  minute    INTEGER NOT NULL, -- of the timestamps, milliseconds
  newest    INTEGER NOT NULL, -- the youngest event of calls, milliseconds
  events    BLOB NOT NULL,    -- collect.AgedMinute.Events, little endian
  calls     BLOB NOT NULL     -- 64-bit digests, little endian
);
CREATE INDEX seen_minutes_by_age ON seen_minutes (log_group, minute);
