package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

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
	err = s.update(ctx, "opening a session", turnIdentity, func(tx querier) error {
		var disabled bool
		err := tx.QueryRow(ctx, `SELECT disabled <> '' FROM people WHERE id = $1`, session.Person.ID).Scan(&disabled)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if disabled {
			return identity.ErrDisabled
		}
		if _, err := tx.Exec(ctx, `DELETE FROM sessions WHERE key IN
			(SELECT key FROM sessions WHERE person = $1 ORDER BY seen DESC, key OFFSET $2)`, session.Person.ID, identity.MaxSessions-1); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO sessions (key, person, seen, ends, version, body) VALUES ($1, $2, $3, $4, 1, $5)`,
			session.Key, session.Person.ID, session.Seen.UnixMilli(), session.Expires().UnixMilli(), document(body))
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
	var session identity.Session
	err := s.read(ctx, "reading a session", func(q querier) (err error) {
		session, err = scanSession(q.QueryRow(ctx, `SELECT body, version FROM sessions WHERE key = $1`, key).Scan)
		if errors.Is(err, pgx.ErrNoRows) {
			return identity.ErrNoSession
		}
		return err
	})
	if err != nil {
		return nil, err
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
	err = s.update(ctx, "saving a session", noTurn, func(tx querier) error {
		return replaced(ctx, tx, `UPDATE sessions SET seen = $1, ends = $2, body = $3, version = version + 1 WHERE key = $4 AND version = $5`,
			[]any{session.Seen.UnixMilli(), session.Expires().UnixMilli(), document(body), session.Key, session.Version},
			`SELECT count(*) FROM sessions WHERE key = $1`, session.Key, identity.ErrNoSession)
	})
	if err == nil {
		session.Version++
	}
	return err
}

// replaced runs an update of one row at one version, and tells a row that is gone
// from one that was changed.
func replaced(ctx context.Context, tx querier, update string, args []any, count, key string, gone error) error {
	if n, err := affected(ctx, tx, update, args...); err != nil || n == 1 {
		return err
	}
	var there int
	if err := tx.QueryRow(ctx, count, key).Scan(&there); err != nil {
		return err
	}
	if there == 0 {
		return gone
	}
	return identity.ErrConflict
}

// EndSession forgets a session; see identity.SessionStore.
func (s *Store) EndSession(ctx context.Context, key string) error {
	return s.update(ctx, "ending a session", noTurn, func(tx querier) error {
		_, err := tx.Exec(ctx, `DELETE FROM sessions WHERE key = $1`, key)
		return err
	})
}

// EndSessions forgets a person's sessions; see identity.SessionStore.
func (s *Store) EndSessions(ctx context.Context, person string) (ended int, err error) {
	err = s.update(ctx, "ending sessions", noTurn, func(tx querier) error {
		ended, err = endSessions(ctx, tx, person)
		return err
	})
	return ended, err
}

func endSessions(ctx context.Context, tx querier, person string) (int, error) {
	n, err := affected(ctx, tx, `DELETE FROM sessions WHERE person = $1`, person)
	return int(n), err
}

// Sessions returns a person's sessions; see identity.SessionStore.
func (s *Store) Sessions(ctx context.Context, person string) ([]identity.Session, error) {
	out := []identity.Session{}
	err := s.read(ctx, "reading sessions", func(tx querier) error {
		out = out[:0]
		return each(ctx, tx, `SELECT body, version FROM sessions WHERE person = $1 ORDER BY seen DESC, key`, []any{person}, func(rows pgx.Rows) error {
			session, err := scanSession(rows.Scan)
			out = append(out, session)
			return err
		})
	})
	return out, err
}

// PruneSessions forgets what has ended; see identity.SessionStore.
func (s *Store) PruneSessions(ctx context.Context, now time.Time) error {
	return s.update(ctx, "forgetting sessions", noTurn, func(tx querier) error {
		if _, err := tx.Exec(ctx, `DELETE FROM sessions WHERE ends <= $1`, now.UnixMilli()); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM sign_ins WHERE ends <= $1`, now.UnixMilli())
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
	return s.update(ctx, "saving a person", turnIdentity, func(tx querier) error {
		ms := at.UnixMilli()
		if _, err := tx.Exec(ctx, `INSERT INTO people (id, email_key, order_key, search, first_seen, last_seen, body, disabled) VALUES ($1, $2, $3, $4, $5, $6, $7, '')
			ON CONFLICT (id) DO UPDATE SET email_key = excluded.email_key, order_key = excluded.order_key, search = excluded.search, last_seen = excluded.last_seen, body = excluded.body`,
			p.ID, identity.EmailKey(p.Email), p.OrderKey(), identity.EmailKey(p.Email+"\n"+p.Name), ms, ms, document(body)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM people_groups WHERE person = $1`, p.ID); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO people_groups (name, person) SELECT unnest($1::text[]), $2 ON CONFLICT DO NOTHING`, p.Groups, p.ID)
		return err
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
	err := s.view(ctx, "finding a person", func(tx querier) (err error) {
		e, err = scanPerson(tx.QueryRow(ctx, `SELECT `+personColumns+` FROM people WHERE id = $1`, idOrEmail).Scan)
		if errors.Is(err, pgx.ErrNoRows) && idOrEmail != "" {
			e, err = scanPerson(tx.QueryRow(ctx, `SELECT `+personColumns+` FROM people WHERE email_key = $1 ORDER BY last_seen DESC, id LIMIT 1`,
				identity.EmailKey(idOrEmail)).Scan)
		}
		if errors.Is(err, pgx.ErrNoRows) {
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
	var f filter
	f.add(`order_key > ?`, q.After)
	if q.Search != "" {
		f.add(`strpos(search, ?) > 0`, identity.EmailKey(q.Search))
	}
	if q.Group != "" {
		f.add(`id IN (SELECT person FROM people_groups WHERE name = ?)`, q.Group)
	}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultPeople
	}
	return s.people(ctx, f.where()+f.text(` ORDER BY order_key LIMIT ?`, min(limit, maxPeople)), f.args...)
}

// DisabledPeople returns who is disabled; see identity.PeopleStore.
func (s *Store) DisabledPeople(ctx context.Context) ([]identity.Entry, error) {
	return s.people(ctx, ` WHERE disabled <> '' ORDER BY id`)
}

func (s *Store) people(ctx context.Context, where string, args ...any) ([]identity.Entry, error) {
	out := []identity.Entry{}
	err := s.read(ctx, "finding people", func(tx querier) error {
		out = out[:0]
		return each(ctx, tx, `SELECT `+personColumns+` FROM people`+where, args, func(rows pgx.Rows) error {
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
	err = s.update(ctx, "disabling a person", turnIdentity, func(tx querier) error {
		n, err := affected(ctx, tx, `UPDATE people SET disabled = $1 WHERE id = $2`, document(text), id)
		if err != nil {
			return err
		}
		if n == 0 {
			return identity.ErrNoPerson
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
	err := s.update(ctx, "beginning a sign-in", turnIdentity, func(tx querier) error {
		if _, err := tx.Exec(ctx, `DELETE FROM sign_ins WHERE ends <= $1`, now.UnixMilli()); err != nil {
			return err
		}
		var there int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM sign_ins WHERE code <> ''`).Scan(&there); err != nil {
			return err
		}
		if in.Code != "" && there >= identity.MaxSignIns {
			return identity.ErrTooMany
		}
		n, err := affected(ctx, tx, `INSERT INTO sign_ins (key, code, ends, version, body) VALUES ($1, $2, $3, 1, $4) ON CONFLICT DO NOTHING`,
			in.Key, in.Code, in.Ends.UnixMilli(), in.Body)
		if err != nil {
			return err
		}
		if n == 0 {
			return identity.ErrConflict
		}
		return nil
	})
	if err == nil {
		in.Version = 1
	}
	return err
}

const signInColumns = `key, code, ends, version, body`

func signIn(row pgx.Row) (*identity.SignIn, error) {
	var in identity.SignIn
	var ends int64
	err := row.Scan(&in.Key, &in.Code, &ends, &in.Version, &in.Body)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, identity.ErrNoSignIn
	}
	if err != nil {
		return nil, err
	}
	in.Ends = time.UnixMilli(ends).UTC()
	return &in, nil
}

func (s *Store) readSignIn(ctx context.Context, query, arg string) (in *identity.SignIn, err error) {
	err = s.read(ctx, "reading a sign-in", func(q querier) error {
		in, err = signIn(q.QueryRow(ctx, query, arg))
		return err
	})
	return in, err
}

// SignInByKey returns a sign-in; see identity.SignInStore.
func (s *Store) SignInByKey(ctx context.Context, key string) (*identity.SignIn, error) {
	return s.readSignIn(ctx, `SELECT `+signInColumns+` FROM sign_ins WHERE key = $1`, key)
}

// SignInByCode returns a sign-in; see identity.SignInStore.
func (s *Store) SignInByCode(ctx context.Context, code string) (*identity.SignIn, error) {
	return s.readSignIn(ctx, `SELECT `+signInColumns+` FROM sign_ins WHERE code = $1 AND code <> ''`, code)
}

// SaveSignIn replaces a sign-in; see identity.SignInStore.
func (s *Store) SaveSignIn(ctx context.Context, in *identity.SignIn) error {
	err := s.update(ctx, "saving a sign-in", noTurn, func(tx querier) error {
		return replaced(ctx, tx, `UPDATE sign_ins SET ends = $1, body = $2, version = version + 1 WHERE key = $3 AND version = $4`,
			[]any{in.Ends.UnixMilli(), in.Body, in.Key, in.Version}, `SELECT count(*) FROM sign_ins WHERE key = $1`, in.Key, identity.ErrNoSignIn)
	})
	if err == nil {
		in.Version++
	}
	return err
}

// TakeSignIn returns a sign-in once; see identity.SignInStore.
func (s *Store) TakeSignIn(ctx context.Context, key string) (*identity.SignIn, error) {
	var in *identity.SignIn
	err := s.update(ctx, "taking a sign-in", noTurn, func(tx querier) (err error) {
		in, err = signIn(tx.QueryRow(ctx, `DELETE FROM sign_ins WHERE key = $1 RETURNING `+signInColumns, key))
		return err
	})
	if err != nil {
		return nil, err
	}
	return in, nil
}
