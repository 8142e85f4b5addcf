-- Who holds leases of objects and can be known to be gone, and how often the time of
-- lending was set back.

ALTER TABLE access_state ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0;

-- A holder's own connection has the advisory lock of its key for as long as it lives.
CREATE TABLE access_holders (
	name TEXT COLLATE "C" PRIMARY KEY,
	lock BIGINT NOT NULL
);
