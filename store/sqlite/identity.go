package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/identity"
)

const (
	defaultPeople = 100
	maxPeople     = 1000
)

// OpenSession keeps a new session; see identity.SessionStore.
func (s *Store) OpenSession(ctx context.Context, session *identity.Session) error {
	made := *session
	made.Version = 1
	body, err := json.Marshal(made)
	if err != nil {
		return err
	}
	err = s.update(ctx, "opening a session", func(tx *sql.Tx) error {
		var disabled bool
		err := tx.QueryRowContext(ctx, `SELECT disabled <> '' FROM people WHERE id = ?`, session.Person.ID).Scan(&disabled)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if disabled {
			return identity.ErrDisabled
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE key IN
			(SELECT key FROM sessions WHERE person = ? ORDER BY seen DESC, key LIMIT -1 OFFSET ?)`, session.Person.ID, identity.MaxSessions-1); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO sessions (key, person, seen, ends, version, body) VALUES (?, ?, ?, ?, 1, ?)`,
			session.Key, session.Person.ID, session.Seen.UnixMilli(), session.Expires().UnixMilli(), string(body))
		return err
	})
	if err == nil {
		session.Version = 1
	}
	return err
}

// Session returns a session or identity.ErrNoSession; see identity.SessionStore. It
// is read for each request, so it is one statement without a transaction.
func (s *Store) Session(ctx context.Context, key string) (*identity.Session, error) {
	session, err := scanSession(s.read.QueryRowContext(ctx, `SELECT body, version FROM sessions WHERE key = ?`, key).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, identity.ErrNoSession
	}
	if err != nil {
		return nil, s.wrap("reading a session", err)
	}
	return &session, nil
}

func scanSession(scan func(...any) error) (identity.Session, error) {
	var out identity.Session
	var body []byte
	var version int64
	if err := scan(&body, &version); err != nil {
		return out, err
	}
	err := json.Unmarshal(body, &out)
	out.Version = version
	return out, err
}

// SaveSession replaces a session; see identity.SessionStore.
func (s *Store) SaveSession(ctx context.Context, session *identity.Session) error {
	body, err := json.Marshal(session)
	if err != nil {
		return err
	}
	err = s.update(ctx, "saving a session", func(tx *sql.Tx) error {
		return replaced(ctx, tx, `UPDATE sessions SET seen = ?, ends = ?, body = ?, version = version + 1 WHERE key = ? AND version = ?`,
			[]any{session.Seen.UnixMilli(), session.Expires().UnixMilli(), string(body), session.Key, session.Version},
			`SELECT count(*) FROM sessions WHERE key = ?`, session.Key, identity.ErrNoSession)
	})
	if err == nil {
		session.Version++
	}
	return err
}

// replaced runs an update of one row at one version, and tells a row that is gone
// from one that was changed.
func replaced(ctx context.Context, tx *sql.Tx, update string, args []any, count, key string, gone error) error {
	result, err := tx.ExecContext(ctx, update, args...)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 1 {
		return err
	}
	var there int
	if err := tx.QueryRowContext(ctx, count, key).Scan(&there); err != nil {
		return err
	}
	if there == 0 {
		return gone
	}
	return identity.ErrConflict
}

// EndSession forgets a session; see identity.SessionStore.
func (s *Store) EndSession(ctx context.Context, key string) error {
	return s.update(ctx, "ending a session", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE key = ?`, key)
		return err
	})
}

// EndSessions forgets a person's sessions; see identity.SessionStore.
func (s *Store) EndSessions(ctx context.Context, person string) (ended int, err error) {
	err = s.update(ctx, "ending sessions", func(tx *sql.Tx) error {
		ended, err = endSessions(ctx, tx, person)
		return err
	})
	return ended, err
}

func endSessions(ctx context.Context, tx *sql.Tx, person string) (int, error) {
	result, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE person = ?`, person)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}

// Sessions returns a person's sessions; see identity.SessionStore.
func (s *Store) Sessions(ctx context.Context, person string) ([]identity.Session, error) {
	out := []identity.Session{}
	err := s.view(ctx, "reading sessions", func(tx *sql.Tx) error {
		return each(ctx, tx, `SELECT body, version FROM sessions WHERE person = ? ORDER BY seen DESC, key`, []any{person}, func(rows *sql.Rows) error {
			session, err := scanSession(rows.Scan)
			out = append(out, session)
			return err
		})
	})
	return out, err
}

// PruneSessions forgets what has ended; see identity.SessionStore.
func (s *Store) PruneSessions(ctx context.Context, now time.Time) error {
	return s.update(ctx, "forgetting sessions", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE ends <= ?`, now.UnixMilli()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM sign_ins WHERE ends <= ?`, now.UnixMilli())
		return err
	})
}

// SeePerson keeps a person; see identity.PeopleStore.
func (s *Store) SeePerson(ctx context.Context, p identity.Person, at time.Time) error {
	p.Role, p.Via = identity.None, ""
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return s.update(ctx, "saving a person", func(tx *sql.Tx) error {
		ms := at.UnixMilli()
		if _, err := tx.ExecContext(ctx, `INSERT INTO people (id, email_key, order_key, search, first_seen, last_seen, body, disabled) VALUES (?, ?, ?, ?, ?, ?, ?, '')
			ON CONFLICT (id) DO UPDATE SET email_key = excluded.email_key, order_key = excluded.order_key, search = excluded.search, last_seen = excluded.last_seen, body = excluded.body`,
			p.ID, identity.EmailKey(p.Email), p.OrderKey(), identity.EmailKey(p.Email+"\n"+p.Name), ms, ms, string(body)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM people_groups WHERE person = ?`, p.ID); err != nil {
			return err
		}
		for _, g := range p.Groups {
			if _, err := tx.ExecContext(ctx, `INSERT INTO people_groups (name, person) VALUES (?, ?) ON CONFLICT DO NOTHING`, g, p.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

const personColumns = `body, first_seen, last_seen, disabled`

func scanPerson(scan func(...any) error) (identity.Entry, error) {
	var e identity.Entry
	var body, disabled []byte
	var first, last int64
	if err := scan(&body, &first, &last, &disabled); err != nil {
		return e, err
	}
	e.FirstSeen, e.LastSeen = time.UnixMilli(first).UTC(), time.UnixMilli(last).UTC()
	if err := json.Unmarshal(body, &e.Person); err != nil {
		return e, err
	}
	if len(disabled) == 0 {
		return e, nil
	}
	e.Disabled = new(identity.Disabling)
	return e, json.Unmarshal(disabled, e.Disabled)
}

// FindPerson returns a person or identity.ErrNoPerson; see identity.PeopleStore.
func (s *Store) FindPerson(ctx context.Context, idOrEmail string) (*identity.Entry, error) {
	var e identity.Entry
	err := s.view(ctx, "finding a person", func(tx *sql.Tx) (err error) {
		e, err = scanPerson(tx.QueryRowContext(ctx, `SELECT `+personColumns+` FROM people WHERE id = ?`, idOrEmail).Scan)
		if errors.Is(err, sql.ErrNoRows) && idOrEmail != "" {
			e, err = scanPerson(tx.QueryRowContext(ctx, `SELECT `+personColumns+` FROM people WHERE email_key = ? ORDER BY last_seen DESC, id LIMIT 1`,
				identity.EmailKey(idOrEmail)).Scan)
		}
		if errors.Is(err, sql.ErrNoRows) {
			return identity.ErrNoPerson
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &e, nil
}

// FindPeople returns people in order; see identity.PeopleStore.
func (s *Store) FindPeople(ctx context.Context, q identity.PeopleQuery) ([]identity.Entry, error) {
	conditions, args := []string{`order_key > ?`}, []any{q.After}
	if q.Search != "" {
		conditions, args = append(conditions, `instr(search, ?) > 0`), append(args, identity.EmailKey(q.Search))
	}
	if q.Group != "" {
		conditions, args = append(conditions, `id IN (SELECT person FROM people_groups WHERE name = ?)`), append(args, q.Group)
	}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultPeople
	}
	return s.people(ctx, strings.Join(conditions, ` AND `)+` ORDER BY order_key LIMIT ?`, append(args, min(limit, maxPeople))...)
}

// DisabledPeople returns who is disabled; see identity.PeopleStore.
func (s *Store) DisabledPeople(ctx context.Context) ([]identity.Entry, error) {
	return s.people(ctx, `disabled <> '' ORDER BY id`)
}

func (s *Store) people(ctx context.Context, where string, args ...any) ([]identity.Entry, error) {
	out := []identity.Entry{}
	err := s.view(ctx, "finding people", func(tx *sql.Tx) error {
		return each(ctx, tx, `SELECT `+personColumns+` FROM people WHERE `+where, args, func(rows *sql.Rows) error {
			e, err := scanPerson(rows.Scan)
			out = append(out, e)
			return err
		})
	})
	return out, err
}

// Disable disables or enables a person; see identity.PeopleStore.
func (s *Store) Disable(ctx context.Context, id string, d *identity.Disabling) (ended int, err error) {
	text := ""
	if d != nil {
		b, err := json.Marshal(d)
		if err != nil {
			return 0, err
		}
		text = string(b)
	}
	err = s.update(ctx, "disabling a person", func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE people SET disabled = ? WHERE id = ?`, text, id)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(identity.ErrNoPerson, err)
		}
		if d != nil {
			ended, err = endSessions(ctx, tx, id)
		}
		return err
	})
	return ended, err
}

// BeginSignIn keeps a new sign-in; see identity.SignInStore.
func (s *Store) BeginSignIn(ctx context.Context, in *identity.SignIn, now time.Time) error {
	err := s.update(ctx, "beginning a sign-in", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM sign_ins WHERE ends <= ?`, now.UnixMilli()); err != nil {
			return err
		}
		var there int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM sign_ins WHERE code <> ''`).Scan(&there); err != nil {
			return err
		}
		if in.Code != "" && there >= identity.MaxSignIns {
			return identity.ErrTooMany
		}
		result, err := tx.ExecContext(ctx, `INSERT INTO sign_ins (key, code, ends, version, body) VALUES (?, ?, ?, 1, ?) ON CONFLICT DO NOTHING`,
			in.Key, in.Code, in.Ends.UnixMilli(), in.Body)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(identity.ErrConflict, err)
		}
		return nil
	})
	if err == nil {
		in.Version = 1
	}
	return err
}

const signInColumns = `key, code, ends, version, body`

func (s *Store) signIn(doing string, row *sql.Row) (*identity.SignIn, error) {
	var in identity.SignIn
	var ends int64
	err := row.Scan(&in.Key, &in.Code, &ends, &in.Version, &in.Body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, identity.ErrNoSignIn
	}
	if err != nil {
		return nil, s.wrap(doing, err)
	}
	in.Ends = time.UnixMilli(ends).UTC()
	return &in, nil
}

// SignInByKey returns a sign-in; see identity.SignInStore.
func (s *Store) SignInByKey(ctx context.Context, key string) (*identity.SignIn, error) {
	return s.signIn("reading a sign-in", s.read.QueryRowContext(ctx, `SELECT `+signInColumns+` FROM sign_ins WHERE key = ?`, key))
}

// SignInByCode returns a sign-in; see identity.SignInStore.
func (s *Store) SignInByCode(ctx context.Context, code string) (*identity.SignIn, error) {
	return s.signIn("reading a sign-in", s.read.QueryRowContext(ctx, `SELECT `+signInColumns+` FROM sign_ins WHERE code = ? AND code <> ''`, code))
}

// SaveSignIn replaces a sign-in; see identity.SignInStore.
func (s *Store) SaveSignIn(ctx context.Context, in *identity.SignIn) error {
	err := s.update(ctx, "saving a sign-in", func(tx *sql.Tx) error {
		return replaced(ctx, tx, `UPDATE sign_ins SET ends = ?, body = ?, version = version + 1 WHERE key = ? AND version = ?`,
			[]any{in.Ends.UnixMilli(), in.Body, in.Key, in.Version}, `SELECT count(*) FROM sign_ins WHERE key = ?`, in.Key, identity.ErrNoSignIn)
	})
	if err == nil {
		in.Version++
	}
	return err
}

// TakeSignIn returns a sign-in once; see identity.SignInStore.
func (s *Store) TakeSignIn(ctx context.Context, key string) (*identity.SignIn, error) {
	var in *identity.SignIn
	err := s.update(ctx, "taking a sign-in", func(tx *sql.Tx) (err error) {
		in, err = s.signIn("taking a sign-in", tx.QueryRowContext(ctx, `DELETE FROM sign_ins WHERE key = ? RETURNING `+signInColumns, key))
		return err
	})
	if err != nil {
		return nil, err
	}
	return in, nil
}
