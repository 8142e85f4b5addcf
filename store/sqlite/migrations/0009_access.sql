-- Lending. Times are microseconds since the epoch; bodies are versioned JSON (see
-- access.EncodeRow), and columns beside them are what is asked for or compared.

-- One row: what changes with every commit.
CREATE TABLE access_state (
	id    INTEGER PRIMARY KEY CHECK (id = 1),
	seq   INTEGER NOT NULL, -- commits
	high  INTEGER NOT NULL, -- the newest time of a commit
	stops INTEGER NOT NULL  -- changes of access_stops
) STRICT;
INSERT INTO access_state (id, seq, high, stops) VALUES (1, 0, 0, 0);

CREATE TABLE access_requests (
	id           TEXT    PRIMARY KEY,
	version      INTEGER NOT NULL,
	state        TEXT    NOT NULL,
	by_id        TEXT    NOT NULL COLLATE NOCASE,
	for_id       TEXT    NOT NULL COLLATE NOCASE,
	integrations TEXT    NOT NULL, -- ",a,b,"
	created      INTEGER NOT NULL,
	due          INTEGER, -- NULL: decided
	body         TEXT    NOT NULL
) STRICT;
CREATE INDEX access_requests_by_time ON access_requests (created, id);
CREATE INDEX access_requests_by_state ON access_requests (state, created, id);
CREATE INDEX access_requests_by_by ON access_requests (by_id, created, id);
CREATE INDEX access_requests_by_for ON access_requests (for_id, created, id);
CREATE INDEX access_requests_due ON access_requests (due) WHERE due IS NOT NULL;

CREATE TABLE access_grants (
	id      TEXT    PRIMARY KEY,
	version INTEGER NOT NULL,
	state   TEXT    NOT NULL,
	person  TEXT    NOT NULL COLLATE NOCASE,
	request TEXT    NOT NULL,
	created INTEGER NOT NULL,
	due     INTEGER, -- NULL: the target decides what is next, or nothing is
	body    TEXT    NOT NULL
) STRICT;
CREATE INDEX access_grants_by_time ON access_grants (created, id);
CREATE INDEX access_grants_by_state ON access_grants (state, created, id);
CREATE INDEX access_grants_by_person ON access_grants (person, created, id);
CREATE UNIQUE INDEX access_grants_by_request ON access_grants (request);
CREATE INDEX access_grants_due ON access_grants (due) WHERE due IS NOT NULL;

-- The permissions of grants. stage: 0 the target has to carry it, 1 it has to go,
-- 2 it is gone.
CREATE TABLE access_items (
	grant_id    TEXT    NOT NULL REFERENCES access_grants (id),
	n           INTEGER NOT NULL,
	object      TEXT    NOT NULL,
	integration TEXT    NOT NULL,
	resource    TEXT    NOT NULL,
	person      TEXT    NOT NULL COLLATE NOCASE,
	stage       INTEGER NOT NULL,
	PRIMARY KEY (grant_id, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX access_items_open ON access_items (object) WHERE stage < 2;
CREATE INDEX access_items_by_resource ON access_items (integration, resource);
CREATE INDEX access_items_by_person ON access_items (integration, person) WHERE stage < 2;

CREATE TABLE access_objects (
	key         TEXT    PRIMARY KEY,
	integration TEXT    NOT NULL,
	generation  INTEGER NOT NULL,
	applied     INTEGER NOT NULL,
	due         INTEGER NOT NULL,
	wake        INTEGER, -- NULL: nothing to do
	holder      TEXT    NOT NULL DEFAULT '',
	until       INTEGER NOT NULL DEFAULT 0, -- end of the lease
	fence       INTEGER NOT NULL DEFAULT 0,
	body        TEXT    NOT NULL
) STRICT;
CREATE INDEX access_objects_wake ON access_objects (integration, wake) WHERE wake IS NOT NULL;
CREATE INDEX access_objects_due ON access_objects (due) WHERE wake IS NOT NULL;
CREATE INDEX access_objects_by_integration ON access_objects (integration, key);

CREATE TABLE access_integrations (
	name    TEXT    PRIMARY KEY,
	version INTEGER NOT NULL,
	body    TEXT    NOT NULL, -- without its health
	health  TEXT    -- NULL: never looked at
) STRICT;

CREATE TABLE access_resources (
	integration TEXT NOT NULL,
	type        TEXT NOT NULL,
	id          TEXT NOT NULL,
	words       TEXT NOT NULL, -- ID, name and path in lower case
	body        TEXT NOT NULL, -- JSON of flow.Resource
	PRIMARY KEY (integration, type, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE access_flows (
	version INTEGER PRIMARY KEY,
	body    TEXT NOT NULL
) STRICT;

CREATE TABLE access_stops (
	id   TEXT PRIMARY KEY,
	body TEXT NOT NULL
) STRICT;

CREATE TABLE access_drift (
	integration TEXT    NOT NULL,
	key         TEXT    NOT NULL,
	mended      INTEGER NOT NULL, -- 0: it stands
	last        INTEGER NOT NULL,
	body        TEXT    NOT NULL,
	PRIMARY KEY (integration, key)
) STRICT, WITHOUT ROWID;

-- Who had a grant on what, for the clean-up after the last one.
CREATE TABLE access_people (
	integration TEXT    NOT NULL,
	person      TEXT    NOT NULL COLLATE NOCASE,
	ended       INTEGER NOT NULL, -- the end of the last grant that has ended
	body        TEXT    NOT NULL, -- JSON of flow.Person
	PRIMARY KEY (integration, person)
) STRICT, WITHOUT ROWID;

-- The outbox of notices.
CREATE TABLE access_letters (
	seq      INTEGER PRIMARY KEY AUTOINCREMENT,
	key      TEXT    NOT NULL UNIQUE,
	channel  TEXT    NOT NULL,
	thread   TEXT    NOT NULL,
	at       INTEGER NOT NULL,
	wake     INTEGER, -- NULL: done
	attempts INTEGER NOT NULL DEFAULT 0,
	error    TEXT    NOT NULL DEFAULT '',
	receipt  BLOB,
	body     BLOB    NOT NULL
) STRICT;
CREATE INDEX access_letters_due ON access_letters (wake) WHERE wake IS NOT NULL;
CREATE INDEX access_letters_by_thread ON access_letters (channel, thread, seq);
