package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/gatehouse-project/gatehouse/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks a file as a Gatehouse store ("gate" in ASCII).
const applicationID = 0x67617465

// migrate brings the file to the newest schema, each migration in a transaction
// of its own. user_version counts those applied.
func (s *Store) migrate(ctx context.Context) error {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	slices.Sort(names)
	for {
		done, err := s.migrateOne(ctx, names)
		if err != nil || done {
			return err
		}
	}
}

// migrateOne looks at the version inside of the write transaction, so that two
// processes that open a new file at once do not both create its tables.
func (s *Store) migrateOne(ctx context.Context, names []string) (done bool, err error) {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	done, err = s.migrateIn(ctx, tx, names)
	if err != nil || done {
		return done, errors.Join(err, rollback(tx))
	}
	return false, tx.Commit()
}

func (s *Store) migrateIn(ctx context.Context, tx *sql.Tx, names []string) (done bool, err error) {
	var version, application, tables int
	err = tx.QueryRowContext(ctx, `SELECT (SELECT user_version FROM pragma_user_version),
		(SELECT application_id FROM pragma_application_id), (SELECT count(*) FROM sqlite_master)`).
		Scan(&version, &application, &tables)
	if err != nil {
		return false, err
	}
	switch {
	case application != applicationID && (application != 0 || version != 0 || tables != 0):
		return false, &Error{
			Doing: "opening", Path: s.path, Kind: store.ErrForeign,
			mend: "give the path of another file with --state",
		}
	case version > len(names):
		return false, &Error{
			Doing: "opening", Path: s.path, Kind: store.ErrNewer,
			Err:  fmt.Errorf("its schema is version %d, this gatehouse knows %d", version, len(names)),
			mend: "run the newer gatehouse, or restore the backup from before it",
		}
	case version == len(names):
		return true, nil
	}
	text, err := migrations.ReadFile(names[version])
	if err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx, fmt.Sprintf("%s\n;PRAGMA user_version = %d; PRAGMA application_id = %d;",
		text, version+1, applicationID))
	if err != nil {
		return false, fmt.Errorf("migration %s: %w", names[version], err)
	}
	return false, nil
}
