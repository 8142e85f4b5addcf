-- Who signed in, as the identity provider last described them. Times are
-- milliseconds since the epoch.
CREATE TABLE people (
	id         TEXT    PRIMARY KEY,
	email_key  TEXT    NOT NULL, -- the address with A to Z in lower case
	order_key  TEXT    NOT NULL, -- identity.Person.OrderKey
	search     TEXT    NOT NULL, -- address and name, A to Z in lower case
	first_seen INTEGER NOT NULL,
	last_seen  INTEGER NOT NULL,
	body       TEXT    NOT NULL, -- JSON of identity.Person
	disabled   TEXT    NOT NULL  -- JSON of identity.Disabling; empty: not disabled
) STRICT;
CREATE INDEX people_by_email ON people (email_key, last_seen);
CREATE UNIQUE INDEX people_by_order ON people (order_key);
CREATE INDEX people_disabled ON people (id) WHERE disabled <> '';

CREATE TABLE people_groups (
	name   TEXT NOT NULL,
	person TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
	PRIMARY KEY (name, person)
) STRICT, WITHOUT ROWID;
CREATE INDEX people_groups_by_person ON people_groups (person);

-- Sessions, under the SHA-256 of their ids.
CREATE TABLE sessions (
	key     TEXT    PRIMARY KEY,
	person  TEXT    NOT NULL,
	seen    INTEGER NOT NULL,
	ends    INTEGER NOT NULL, -- unless it is used before
	version INTEGER NOT NULL,
	body    TEXT    NOT NULL  -- JSON of identity.Session
) STRICT;
CREATE INDEX sessions_by_person ON sessions (person, seen);
CREATE INDEX sessions_by_end ON sessions (ends);

-- Sign-ins of the command line that are under way.
CREATE TABLE sign_ins (
	key     TEXT    PRIMARY KEY,
	code    TEXT    NOT NULL, -- what a person types; empty: nothing
	ends    INTEGER NOT NULL,
	version INTEGER NOT NULL,
	body    BLOB    NOT NULL  -- sealed
) STRICT;
CREATE UNIQUE INDEX sign_ins_by_code ON sign_ins (code) WHERE code <> '';
CREATE INDEX sign_ins_by_end ON sign_ins (ends);
