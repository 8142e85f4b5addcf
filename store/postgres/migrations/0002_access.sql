-- Lending. Times are microseconds since the epoch; bodies are versioned JSON (see
-- access.EncodeRow), and columns beside them are what is asked for or compared. Persons
-- are written with A to Z in lower case: they are the same in any case.

-- One row: what changes with every commit. Who writes lending locks it first.
CREATE TABLE access_state (
	id    INTEGER PRIMARY KEY CHECK (id = 1),
	seq   BIGINT  NOT NULL, -- commits
	high  BIGINT  NOT NULL, -- the newest time of a commit
	stops BIGINT  NOT NULL  -- changes of access_stops
) WITH (fillfactor = 10);
INSERT INTO access_state (id, seq, high, stops) VALUES (1, 0, 0, 0);

CREATE TABLE access_requests (
	id           TEXT COLLATE "C" PRIMARY KEY,
	version      BIGINT NOT NULL,
	state        TEXT COLLATE "C" NOT NULL,
	by_id        TEXT COLLATE "C" NOT NULL,
	for_id       TEXT COLLATE "C" NOT NULL,
	integrations TEXT COLLATE "C" NOT NULL, -- ",a,b,"
	created      BIGINT NOT NULL,
	due          BIGINT, -- NULL: decided
	body         TEXT COLLATE "C" NOT NULL
);
CREATE INDEX access_requests_by_time ON access_requests (created, id);
CREATE INDEX access_requests_by_state ON access_requests (state, created, id);
CREATE INDEX access_requests_by_by ON access_requests (by_id, created, id);
CREATE INDEX access_requests_by_for ON access_requests (for_id, created, id);
CREATE INDEX access_requests_due ON access_requests (due) WHERE due IS NOT NULL;

CREATE TABLE access_grants (
	id      TEXT COLLATE "C" PRIMARY KEY,
	version BIGINT NOT NULL,
	state   TEXT COLLATE "C" NOT NULL,
	person  TEXT COLLATE "C" NOT NULL,
	request TEXT COLLATE "C" NOT NULL,
	created BIGINT NOT NULL,
	due     BIGINT, -- NULL: the target decides what is next, or nothing is
	body    TEXT COLLATE "C" NOT NULL
);
CREATE INDEX access_grants_by_time ON access_grants (created, id);
CREATE INDEX access_grants_by_state ON access_grants (state, created, id);
CREATE INDEX access_grants_by_person ON access_grants (person, created, id);
CREATE UNIQUE INDEX access_grants_by_request ON access_grants (request);
CREATE INDEX access_grants_due ON access_grants (due) WHERE due IS NOT NULL;

-- The permissions of grants. stage: 0 the target has to carry it, 1 it has to go,
-- 2 it is gone.
CREATE TABLE access_items (
	grant_id    TEXT COLLATE "C" NOT NULL REFERENCES access_grants (id),
	n           INTEGER NOT NULL,
	object      TEXT COLLATE "C" NOT NULL,
	integration TEXT COLLATE "C" NOT NULL,
	resource    TEXT COLLATE "C" NOT NULL,
	person      TEXT COLLATE "C" NOT NULL,
	stage       INTEGER NOT NULL,
	PRIMARY KEY (grant_id, n)
);
CREATE INDEX access_items_open ON access_items (object) WHERE stage < 2;
CREATE INDEX access_items_by_resource ON access_items (integration, resource);
CREATE INDEX access_items_by_person ON access_items (integration, person) WHERE stage < 2;

CREATE TABLE access_objects (
	key         TEXT COLLATE "C" PRIMARY KEY,
	integration TEXT COLLATE "C" NOT NULL,
	generation  BIGINT NOT NULL,
	applied     BIGINT NOT NULL,
	due         BIGINT NOT NULL,
	wake        BIGINT, -- NULL: nothing to do
	holder      TEXT COLLATE "C" NOT NULL DEFAULT '',
	until       BIGINT NOT NULL DEFAULT 0, -- end of the lease
	fence       BIGINT NOT NULL DEFAULT 0,
	body        TEXT COLLATE "C" NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX access_objects_wake ON access_objects (integration, wake) WHERE wake IS NOT NULL;
CREATE INDEX access_objects_due ON access_objects (due) WHERE wake IS NOT NULL;
CREATE INDEX access_objects_by_integration ON access_objects (integration, key);

CREATE TABLE access_integrations (
	name    TEXT COLLATE "C" PRIMARY KEY,
	version BIGINT NOT NULL,
	body    TEXT COLLATE "C" NOT NULL, -- without its health
	health  TEXT COLLATE "C" -- NULL: never looked at
);

CREATE TABLE access_resources (
	integration TEXT COLLATE "C" NOT NULL,
	type        TEXT COLLATE "C" NOT NULL,
	id          TEXT COLLATE "C" NOT NULL,
	words       TEXT COLLATE "C" NOT NULL, -- ID, name and path in lower case
	body        TEXT COLLATE "C" NOT NULL, -- JSON of flow.Resource
	PRIMARY KEY (integration, type, id)
);

CREATE TABLE access_flows (
	version BIGINT PRIMARY KEY,
	body    TEXT COLLATE "C" NOT NULL
);

CREATE TABLE access_stops (
	id   TEXT COLLATE "C" PRIMARY KEY,
	body TEXT COLLATE "C" NOT NULL
);

CREATE TABLE access_drift (
	integration TEXT COLLATE "C" NOT NULL,
	key         TEXT COLLATE "C" NOT NULL,
	mended      BIGINT NOT NULL, -- 0: it stands
	last        BIGINT NOT NULL,
	body        TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (integration, key)
);

-- Who had a grant on what, for the clean-up after the last one.
CREATE TABLE access_people (
	integration TEXT COLLATE "C" NOT NULL,
	person      TEXT COLLATE "C" NOT NULL,
	ended       BIGINT NOT NULL, -- the end of the last grant that has ended
	body        TEXT COLLATE "C" NOT NULL, -- JSON of flow.Person
	PRIMARY KEY (integration, person)
);

-- The outbox of notices.
CREATE TABLE access_letters (
	seq      BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
	key      TEXT COLLATE "C" NOT NULL UNIQUE,
	channel  TEXT COLLATE "C" NOT NULL,
	thread   TEXT COLLATE "C" NOT NULL,
	at       BIGINT NOT NULL,
	wake     BIGINT, -- NULL: done
	attempts BIGINT NOT NULL DEFAULT 0,
	error    TEXT COLLATE "C" NOT NULL DEFAULT '',
	receipt  BYTEA,
	body     BYTEA  NOT NULL
);
CREATE INDEX access_letters_due ON access_letters (wake) WHERE wake IS NOT NULL;
CREATE INDEX access_letters_by_thread ON access_letters (channel, thread, seq);
