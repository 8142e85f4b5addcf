-- The audit log. line is the canonical encoding of an event (docs/audit.md), and all
-- that is searched by is read out of it, so that nothing can say otherwise.
CREATE TABLE audit_events (
	seq          INTEGER PRIMARY KEY,
	at           TEXT AS (line ->> '$.time') STORED, -- of one width: sorts as text
	action       TEXT AS (line ->> '$.action') STORED,
	kind         TEXT AS (line ->> '$.actor.kind') STORED,
	via          TEXT AS (line ->> '$.actor.via') STORED,
	actor_id     TEXT AS (line ->> '$.actor.id') STORED,
	actor_name   TEXT AS (line ->> '$.actor.name') STORED,
	subject_kind TEXT AS (line ->> '$.subject.kind') STORED,
	subject_id   TEXT AS (line ->> '$.subject.id') STORED,
	subject_name TEXT AS (line ->> '$.subject.name') STORED,
	line         TEXT NOT NULL -- last, so that looking for events reads little of it
) STRICT;
CREATE INDEX audit_events_by_time ON audit_events (at);
CREATE INDEX audit_events_by_action ON audit_events (action);
CREATE INDEX audit_events_by_actor_id ON audit_events (actor_id);
CREATE INDEX audit_events_by_actor_name ON audit_events (actor_name);
CREATE INDEX audit_events_by_subject_id ON audit_events (subject_id);
CREATE INDEX audit_events_by_subject_name ON audit_events (subject_name);
CREATE INDEX audit_events_by_subject_kind ON audit_events (subject_kind);

-- Events are added at the end and never changed. REPLACE deletes without asking the
-- trigger for DELETE, so the numbers are held to their order too.
CREATE TRIGGER audit_events_follow BEFORE INSERT ON audit_events
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM audit_events)
BEGIN SELECT RAISE(ABORT, 'an audit event follows the one before it'); END;
CREATE TRIGGER audit_events_stay BEFORE DELETE ON audit_events
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_events_stand BEFORE UPDATE ON audit_events
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
