-- Which migrations were applied. It also says that the schema is Gatehouse's.
CREATE TABLE gatehouse_version (
	id      INTEGER PRIMARY KEY CHECK (id = 1),
	version INTEGER NOT NULL
);
INSERT INTO gatehouse_version (id, version) VALUES (1, 0);

-- All texts sort by their bytes, as in every engine: COLLATE "C".

-- Kinds of change of which one is made at a time: a transaction locks its row.
CREATE TABLE turns (
	name TEXT COLLATE "C" PRIMARY KEY
);
INSERT INTO turns (name) VALUES ('audit'), ('estate'), ('findings'), ('identity'), ('inventory'), ('letters'), ('logging');

-- Each transaction leaves a row, so that it can be found out whether it was committed
-- when the answer to its COMMIT was lost. undone: somebody found it out first, and took
-- the place of the row, which the transaction then can no longer write.
CREATE TABLE commits (
	id     UUID        PRIMARY KEY,
	at     TIMESTAMPTZ NOT NULL DEFAULT now(),
	undone BOOLEAN     NOT NULL DEFAULT FALSE
);
CREATE INDEX commits_by_time ON commits (at);

-- Small facts about this installation.
CREATE TABLE settings (
	key   TEXT COLLATE "C" PRIMARY KEY,
	value TEXT COLLATE "C" NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE leases (
	name    TEXT COLLATE "C" PRIMARY KEY,
	holder  TEXT COLLATE "C" NOT NULL,
	expires BIGINT NOT NULL -- milliseconds, by the server's clock
) WITH (fillfactor = 50);

-- The collector's checkpoint. Times are milliseconds since the epoch.
CREATE TABLE log_groups (
	id         BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
	key        TEXT COLLATE "C" NOT NULL UNIQUE, -- account/region/name
	checkpoint TEXT COLLATE "C" NOT NULL         -- JSON of collect.GroupCheckpoint without Seen
) WITH (fillfactor = 70);

CREATE TABLE seen_segments (
	id        BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
	log_group BIGINT NOT NULL REFERENCES log_groups (id) ON DELETE CASCADE,
	newest    BIGINT NOT NULL,
	events    BYTEA  NOT NULL, -- 64-bit digests, little endian
	calls     BYTEA  NOT NULL
);
-- Digests do not compress.
ALTER TABLE seen_segments ALTER COLUMN events SET STORAGE EXTERNAL, ALTER COLUMN calls SET STORAGE EXTERNAL;
CREATE INDEX seen_segments_by_age ON seen_segments (log_group, newest);

-- What the comparison with CloudWatch's own count remembers of minutes that no
-- other reading passes again. A minute may have several rows.
CREATE TABLE seen_minutes (
	id        BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
	log_group BIGINT NOT NULL REFERENCES log_groups (id) ON DELETE CASCADE,
	minute    BIGINT NOT NULL, -- of the timestamps, milliseconds
	newest    BIGINT NOT NULL, -- the youngest event of calls, milliseconds
	events    BYTEA  NOT NULL, -- collect.AgedMinute.Events, little endian
	calls     BYTEA  NOT NULL  -- 64-bit digests, little endian
);
ALTER TABLE seen_minutes ALTER COLUMN events SET STORAGE EXTERNAL, ALTER COLUMN calls SET STORAGE EXTERNAL;
CREATE INDEX seen_minutes_by_age ON seen_minutes (log_group, minute);

CREATE TABLE sinks (
	name     TEXT COLLATE "C" PRIMARY KEY,
	position TEXT COLLATE "C" NOT NULL
) WITH (fillfactor = 50);

-- The last discovery: gzip of the JSON of estate.Snapshot.
CREATE TABLE estate (
	id       INTEGER PRIMARY KEY CHECK (id = 1),
	snapshot BYTEA   NOT NULL
);
ALTER TABLE estate ALTER COLUMN snapshot SET STORAGE EXTERNAL;

-- What appeared, changed and went in the estate, as each discovery saw it. Empty texts
-- are what does not apply.
CREATE TABLE estate_history (
	id      BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
	at      BIGINT NOT NULL,
	account TEXT COLLATE "C" NOT NULL,
	region  TEXT COLLATE "C" NOT NULL,
	api     TEXT COLLATE "C" NOT NULL,
	type    TEXT COLLATE "C" NOT NULL,
	subject TEXT COLLATE "C" NOT NULL,
	name    TEXT COLLATE "C" NOT NULL,
	kind    TEXT COLLATE "C" NOT NULL,
	field   TEXT COLLATE "C" NOT NULL,
	before  TEXT COLLATE "C" NOT NULL,
	after   TEXT COLLATE "C" NOT NULL
);
CREATE INDEX estate_history_by_time ON estate_history (at);
CREATE INDEX estate_history_by_account ON estate_history (account, id);
CREATE INDEX estate_history_by_api ON estate_history (api, id);

-- The inventory. The id of a stage is a digest of its key.
CREATE TABLE stages (
	id       BIGINT PRIMARY KEY,
	api_type TEXT COLLATE "C" NOT NULL,
	account  TEXT COLLATE "C" NOT NULL,
	region   TEXT COLLATE "C" NOT NULL,
	api_id   TEXT COLLATE "C" NOT NULL,
	stage    TEXT COLLATE "C" NOT NULL,
	api_name TEXT COLLATE "C" NOT NULL,
	probes   BIGINT NOT NULL,
	unrouted BIGINT NOT NULL,
	overflow BIGINT NOT NULL,
	open     TEXT COLLATE "C" NOT NULL -- JSON list of templates
) WITH (fillfactor = 70);

-- Rows are narrow, so that a question that no index answers (a search, an unusual
-- order) reads few pages; what only one endpoint's page shows is in endpoint_states.
-- No index has a column that changes with every call: a row then changes where it is.
CREATE TABLE endpoints (
	id           TEXT COLLATE "C" PRIMARY KEY,
	stage_id     BIGINT NOT NULL REFERENCES stages (id),
	method       TEXT COLLATE "C" NOT NULL,
	route        TEXT COLLATE "C" NOT NULL,
	route_source TEXT COLLATE "C" NOT NULL,
	visibility   TEXT COLLATE "C" NOT NULL,
	first_seen   BIGINT NOT NULL, -- milliseconds
	last_seen    BIGINT NOT NULL,
	calls        BIGINT NOT NULL,
	errors_4xx   BIGINT NOT NULL,
	errors_5xx   BIGINT NOT NULL,
	callers      BIGINT NOT NULL,
	latency_p50  DOUBLE PRECISION NOT NULL,
	latency_p95  DOUBLE PRECISION NOT NULL,
	latency_p99  DOUBLE PRECISION NOT NULL,
	search       TEXT COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(method || ' ' || route)) STORED
) WITH (fillfactor = 70);
-- An entry of an index has its bounds, and a route has none.
CREATE INDEX endpoints_by_route ON endpoints (left(route, 400));
CREATE INDEX endpoints_by_stage ON endpoints (stage_id, method, visibility);
CREATE INDEX endpoints_by_first_seen ON endpoints (first_seen, id);

CREATE TABLE endpoint_states (
	endpoint TEXT COLLATE "C" PRIMARY KEY REFERENCES endpoints (id) ON DELETE CASCADE,
	state    BYTEA NOT NULL,
	minutes  BYTEA NOT NULL
) WITH (fillfactor = 70);

-- IDs of endpoints that became part of another.
CREATE TABLE endpoint_aliases (
	id     TEXT COLLATE "C" PRIMARY KEY,
	target TEXT COLLATE "C" NOT NULL
);
CREATE INDEX endpoint_aliases_by_target ON endpoint_aliases (target);

-- Redacted transactions as JSON.
CREATE TABLE samples (
	key  TEXT COLLATE "C" PRIMARY KEY,
	body BYTEA NOT NULL
);

-- Traffic by the minute, of an API's stage or ('') of everything.
CREATE TABLE minutes (
	api        TEXT COLLATE "C" NOT NULL,
	minute     BIGINT NOT NULL, -- minutes since the epoch
	calls      BIGINT NOT NULL,
	errors_4xx BIGINT NOT NULL,
	errors_5xx BIGINT NOT NULL,
	"full"     BIGINT NOT NULL,
	truncated  BIGINT NOT NULL,
	metadata   BIGINT NOT NULL,
	PRIMARY KEY (api, minute)
) WITH (fillfactor = 90);
CREATE INDEX minutes_by_age ON minutes (minute);

-- Calls that a sink refused for good. A call is there once for each sink, so a
-- refusal that comes again after a crash changes its row and adds none.
CREATE TABLE dead_letters (
	id       BIGINT  PRIMARY KEY GENERATED ALWAYS AS IDENTITY, -- the order of arrival; never given twice
	sink     TEXT COLLATE "C" NOT NULL,
	call     TEXT COLLATE "C" NOT NULL, -- the transaction's id
	reason   TEXT COLLATE "C" NOT NULL,
	message  TEXT COLLATE "C" NOT NULL,
	refused  BIGINT  NOT NULL, -- milliseconds, of the last refusal
	attempts BIGINT  NOT NULL, -- how often it was refused
	replay   BOOLEAN NOT NULL, -- to be delivered again
	size     BIGINT  NOT NULL, -- bytes of body
	summary  TEXT COLLATE "C" NOT NULL, -- JSON of deadletter.Summary
	body     BYTEA   NOT NULL, -- the redacted transaction, JSON
	UNIQUE (sink, call)
);
-- Counting by sink, and finding what waits to be replayed, read no bodies.
CREATE INDEX dead_letters_by_sink ON dead_letters (sink, replay, size);

-- What Gatehouse changed of API Gateway's logging, and what was there before.
CREATE TABLE logging_records (
	key    TEXT COLLATE "C" PRIMARY KEY, -- JSON of logging.Key
	record TEXT COLLATE "C" NOT NULL     -- JSON of logging.Record
);

-- The journal: every attempt, and what came of it. Lines are only ever added.
CREATE TABLE logging_journal (
	id    BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
	kind  TEXT COLLATE "C" NOT NULL, -- of the line's key
	run   TEXT COLLATE "C" NOT NULL,
	entry TEXT COLLATE "C" NOT NULL  -- JSON of logging.Entry
);

-- What the rules found, and its life. rank is 0 for the worst severity.
CREATE TABLE findings (
	id       TEXT COLLATE "C" PRIMARY KEY,
	rank     INTEGER NOT NULL,
	severity TEXT COLLATE "C" NOT NULL,
	state    TEXT COLLATE "C" NOT NULL,
	rule     TEXT COLLATE "C" NOT NULL,
	area     TEXT COLLATE "C" NOT NULL,
	account  TEXT COLLATE "C" NOT NULL,
	region   TEXT COLLATE "C" NOT NULL,
	api      TEXT COLLATE "C" NOT NULL,
	version  BIGINT  NOT NULL,
	changed  BIGINT  NOT NULL, -- milliseconds since the epoch
	body     TEXT COLLATE "C" NOT NULL  -- JSON of finding.Finding without its history
);
CREATE INDEX findings_by_rank ON findings (rank, id);
CREATE INDEX findings_by_state ON findings (state, rank, id);
CREATE INDEX findings_by_api ON findings (api, rank, id);

-- The changes of state, the oldest first.
CREATE TABLE finding_changes (
	id      BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
	finding TEXT COLLATE "C" NOT NULL REFERENCES findings (id) ON DELETE CASCADE,
	body    TEXT COLLATE "C" NOT NULL -- JSON of finding.Change
);
CREATE INDEX finding_changes_by_finding ON finding_changes (finding, id);

-- The sum of the last evaluation: JSON of finding.Posture without its counts.
CREATE TABLE posture (
	id   INTEGER PRIMARY KEY CHECK (id = 1),
	body TEXT COLLATE "C" NOT NULL
);

-- The audit log. line is the canonical encoding of an event (docs/audit.md); beside it
-- is what is searched by. A text there that is too long for an index ends in its digest.
CREATE TABLE audit_events (
	seq          BIGINT PRIMARY KEY,
	at           TEXT COLLATE "C" NOT NULL, -- of one width: sorts as text
	action       TEXT COLLATE "C" NOT NULL,
	kind         TEXT COLLATE "C" NOT NULL,
	via          TEXT COLLATE "C" NOT NULL,
	actor_id     TEXT COLLATE "C" NOT NULL,
	actor_name   TEXT COLLATE "C" NOT NULL,
	subject_kind TEXT COLLATE "C" NOT NULL,
	subject_id   TEXT COLLATE "C" NOT NULL,
	subject_name TEXT COLLATE "C" NOT NULL,
	line         TEXT COLLATE "C" NOT NULL
);
CREATE INDEX audit_events_by_time ON audit_events (at);
CREATE INDEX audit_events_by_action ON audit_events (action, seq);
CREATE INDEX audit_events_by_actor_id ON audit_events (actor_id, seq);
CREATE INDEX audit_events_by_actor_name ON audit_events (actor_name, seq);
CREATE INDEX audit_events_by_subject_id ON audit_events (subject_id, seq);
CREATE INDEX audit_events_by_subject_name ON audit_events (subject_name, seq);
CREATE INDEX audit_events_by_subject_kind ON audit_events (subject_kind, seq);

-- Events are added at the end and never changed.
CREATE FUNCTION audit_events_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'the audit log is append-only';
END $$;
CREATE FUNCTION audit_events_follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.seq IS DISTINCT FROM (SELECT coalesce(max(seq), 0) + 1 FROM audit_events) THEN
		RAISE EXCEPTION 'an audit event follows the one before it';
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER audit_events_follow BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION audit_events_follow();
CREATE TRIGGER audit_events_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events FOR EACH STATEMENT EXECUTE FUNCTION audit_events_stay();

-- Who signed in, as the identity provider last described them. Times are
-- milliseconds since the epoch.
CREATE TABLE people (
	id         TEXT COLLATE "C" PRIMARY KEY,
	email_key  TEXT COLLATE "C" NOT NULL, -- the address with A to Z in lower case
	order_key  TEXT COLLATE "C" NOT NULL, -- identity.Person.OrderKey
	search     TEXT COLLATE "C" NOT NULL, -- address and name, A to Z in lower case
	first_seen BIGINT NOT NULL,
	last_seen  BIGINT NOT NULL,
	body       TEXT COLLATE "C" NOT NULL, -- JSON of identity.Person
	disabled   TEXT COLLATE "C" NOT NULL  -- JSON of identity.Disabling; empty: not disabled
);
CREATE INDEX people_by_email ON people (email_key, last_seen);
CREATE UNIQUE INDEX people_by_order ON people (order_key);
CREATE INDEX people_disabled ON people (id) WHERE disabled <> '';

CREATE TABLE people_groups (
	name   TEXT COLLATE "C" NOT NULL,
	person TEXT COLLATE "C" NOT NULL REFERENCES people (id) ON DELETE CASCADE,
	PRIMARY KEY (name, person)
);
CREATE INDEX people_groups_by_person ON people_groups (person);

-- Sessions, under the SHA-256 of their ids.
CREATE TABLE sessions (
	key     TEXT COLLATE "C" PRIMARY KEY,
	person  TEXT COLLATE "C" NOT NULL,
	seen    BIGINT NOT NULL,
	ends    BIGINT NOT NULL, -- unless it is used before
	version BIGINT NOT NULL,
	body    TEXT COLLATE "C" NOT NULL  -- JSON of identity.Session
);
CREATE INDEX sessions_by_person ON sessions (person, seen);
CREATE INDEX sessions_by_end ON sessions (ends);

-- Sign-ins of the command line that are under way.
CREATE TABLE sign_ins (
	key     TEXT COLLATE "C" PRIMARY KEY,
	code    TEXT COLLATE "C" NOT NULL, -- what a person types; empty: nothing
	ends    BIGINT NOT NULL,
	version BIGINT NOT NULL,
	body    BYTEA  NOT NULL  -- sealed
);
CREATE UNIQUE INDEX sign_ins_by_code ON sign_ins (code) WHERE code <> '';
CREATE INDEX sign_ins_by_end ON sign_ins (ends);
