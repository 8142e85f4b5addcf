-- What the rules found, and its life. rank is 0 for the worst severity.
CREATE TABLE findings (
	id       TEXT    PRIMARY KEY,
	rank     INTEGER NOT NULL,
	severity TEXT    NOT NULL,
	state    TEXT    NOT NULL,
	rule     TEXT    NOT NULL,
	area     TEXT    NOT NULL,
	account  TEXT    NOT NULL,
	region   TEXT    NOT NULL,
	api      TEXT    NOT NULL,
	version  INTEGER NOT NULL,
	changed  INTEGER NOT NULL, -- milliseconds since the epoch
	body     TEXT    NOT NULL  -- JSON of finding.Finding without its history
) STRICT;
CREATE INDEX findings_by_rank ON findings (rank, id);
CREATE INDEX findings_by_state ON findings (state, rank, id);
CREATE INDEX findings_by_api ON findings (api, rank, id);

-- The changes of state, the oldest first.
CREATE TABLE finding_changes (
	id      INTEGER PRIMARY KEY AUTOINCREMENT,
	finding TEXT NOT NULL REFERENCES findings (id) ON DELETE CASCADE,
	body    TEXT NOT NULL -- JSON of finding.Change
) STRICT;
CREATE INDEX finding_changes_by_finding ON finding_changes (finding, id);

-- The sum of the last evaluation: JSON of finding.Posture without its counts.
CREATE TABLE posture (
	id   INTEGER PRIMARY KEY CHECK (id = 1),
	body TEXT NOT NULL
) STRICT;
