-- Who holds leases of objects and can be known to be gone, and how often the time of
-- lending was set back.

ALTER TABLE access_state ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;

CREATE TABLE access_holders (
	name TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
