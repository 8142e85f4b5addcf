package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-project/gatehouse/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationLock is the first key of the advisory lock of migrations ("gate" in
// ASCII); the second is a hash of the schema's name.
const migrationLock = 0x67617465

// migrate brings the schema to the newest version, in one transaction. Two processes
// that open a new database at once take their turn by an advisory lock, for there is no
// table yet whose row could be locked.
func (s *Store) migrate(ctx context.Context) error {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	slices.Sort(names)
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return lost(ctx, err)
	}
	defer conn.Release()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return lost(ctx, err)
	}
	if err = s.migrateIn(ctx, tx, names); err == nil {
		// A commit whose answer is lost is found out by looking at the version again.
		err = tx.Commit(ctx)
	} else if !conn.Conn().IsClosed() {
		_ = tx.Rollback(ctx)
	}
	if conn.Conn().IsClosed() {
		return lost(ctx, err)
	}
	return err
}

func (s *Store) migrateIn(ctx context.Context, tx pgx.Tx, names []string) error {
	// Waiting for another process's migration may take longer than for a row.
	if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '60s'`); err != nil {
		return err
	}
	if s.schema != "" {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1, hashtext($2))`, int32(migrationLock), s.schema); err != nil {
			return err
		}
		var there bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)`, s.schema).Scan(&there); err != nil {
			return err
		}
		if !there {
			if _, err := tx.Exec(ctx, `CREATE SCHEMA `+pgx.Identifier{s.schema}.Sanitize()); err != nil {
				return err
			}
		}
	}
	var schema, encoding string
	var ours bool
	var tables int
	err := tx.QueryRow(ctx, `SELECT coalesce(current_schema(), ''), current_setting('server_encoding')`).Scan(&schema, &encoding)
	if err != nil {
		return err
	}
	switch {
	case schema == "" && s.schema != "":
		return &Error{
			Doing: "opening", Place: s.place, Kind: store.ErrReadOnly, Err: fmt.Errorf("this user may not use the schema %s", s.schema),
			mend: "let this user create in it: GRANT USAGE, CREATE ON SCHEMA … TO …",
		}
	case schema == "":
		return &Error{
			Doing: "opening", Place: s.place, Kind: store.ErrForeign, Err: errors.New("there is no schema that this user's search_path names"),
			mend: "name one with search_path=NAME in the URL; it is created where it is missing",
		}
	case encoding != "UTF8":
		return &Error{
			Doing: "opening", Place: s.place, Kind: store.ErrForeign, Err: fmt.Errorf("its encoding is %s", encoding),
			mend: "create a database with the encoding UTF8: createdb --encoding UTF8 --template template0 NAME",
		}
	}
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1, hashtext($2))`, int32(migrationLock), schema); err != nil {
		return err
	}
	err = tx.QueryRow(ctx, `SELECT coalesce(bool_or(relname = 'gatehouse_version'), false), count(*) FROM pg_class
		WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'p', 'v', 'm')`, pgx.Identifier{schema}.Sanitize()).Scan(&ours, &tables)
	if err != nil {
		return err
	}
	version := 0
	if ours {
		if err := tx.QueryRow(ctx, `SELECT version FROM gatehouse_version`).Scan(&version); err != nil {
			return err
		}
	}
	switch {
	case !ours && tables > 0:
		return &Error{
			Doing: "opening", Place: s.place, Kind: store.ErrForeign, Err: fmt.Errorf("schema %s has tables that are not gatehouse's", schema),
			mend: "give it a database of its own with --state, or a schema with search_path=NAME in the URL",
		}
	case version > len(names):
		return &Error{
			Doing: "opening", Place: s.place, Kind: store.ErrNewer,
			Err:  fmt.Errorf("its schema is version %d, this gatehouse knows %d", version, len(names)),
			mend: "run the newer gatehouse, or restore the backup from before it",
		}
	}
	for n := version; n < len(names); n++ {
		text, err := migrations.ReadFile(names[n])
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, string(text)); err != nil {
			return fmt.Errorf("migration %s: %w", names[n], err)
		}
		if _, err := tx.Exec(ctx, `UPDATE gatehouse_version SET version = $1`, n+1); err != nil {
			return fmt.Errorf("migration %s: %w", names[n], err)
		}
	}
	return nil
}
