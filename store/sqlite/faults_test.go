package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/transaction"
)

func openFile(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, store.Options{})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// wantFault checks the kind of an error and that it says where and how to mend.
func wantFault(t *testing.T, err, kind error, path string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("error: %v; want one that is: %v", err, kind)
	}
	var fault *Error
	if !errors.As(err, &fault) || fault.Mend() == "" {
		t.Errorf("error %v does not say how to mend it", err)
	}
	if !strings.Contains(err.Error(), path) {
		t.Errorf("error %v does not name %s", err, path)
	}
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s := openFile(t, path)
	commit := func(n int, body int) error {
		return s.Commit(t.Context(), &collect.Checkpoint{
			Groups: []collect.GroupCheckpoint{{
				Group: transaction.Group{Name: "g"}, Fast: int64(n),
				Seen: []collect.Seen{{Newest: int64(n), Events: make([]uint64, body)}},
			}},
			Sinks: map[string]string{"file": strings.Repeat("x", n)},
		})
	}
	if err := commit(1, 10); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	limit := func(pages int) {
		if _, err := s.write.ExecContext(t.Context(), "PRAGMA max_page_count = "+itoa(pages)); err != nil {
			t.Fatalf("limiting the file: %v", err)
		}
	}
	var pages int
	if err := s.write.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatalf("page_count: %v", err)
	}
	limit(pages + 4)
	for range 3 {
		wantFault(t, commit(2, 100_000), store.ErrFull, path)
	}
	got, err := s.LoadCheckpoint(t.Context())
	if err != nil {
		t.Fatalf("LoadCheckpoint on a full disk: %v", err)
	}
	if len(got.Groups) != 1 || got.Groups[0].Fast != 1 || got.Sinks["file"] != "x" || len(got.Groups[0].Seen) != 1 {
		t.Errorf("a commit that found no space left something: %+v", got)
	}
	limit(1 << 20)
	if err := commit(2, 100_000); err != nil {
		t.Fatalf("Commit after space returned: %v", err)
	}
	if got, err = s.LoadCheckpoint(t.Context()); err != nil || got.Groups[0].Fast != 2 || len(got.Groups[0].Seen) != 2 {
		t.Errorf("checkpoint after space returned: %+v, %v", got, err)
	}
}

func itoa(n int) string {
	var b []byte
	for ; n > 0; n /= 10 {
		b = append([]byte{byte('0' + n%10)}, b...)
	}
	return string(b)
}

func TestNewerStore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s := openFile(t, path)
	if _, err := s.write.ExecContext(t.Context(), "PRAGMA user_version = 9999"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), path, store.Options{})
	wantFault(t, err, store.ErrNewer, path)
	if !strings.Contains(err.Error(), "9999") {
		t.Errorf("error %v does not name the version", err)
	}
}

func TestForeignFiles(t *testing.T) {
	t.Parallel()
	t.Run("text", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "notes.txt")
		text := strings.Repeat("this is no database\n", 500)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), path, store.Options{})
		wantFault(t, err, store.ErrForeign, path)
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("the file was changed: %v", err)
		}
	})
	t.Run("another database", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "other.db")
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), "CREATE TABLE mine (a)"); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		_, err = Open(t.Context(), path, store.Options{})
		wantFault(t, err, store.ErrForeign, path)
	})
}

func TestDamagedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s := openFile(t, path)
	for i := range 200 {
		if err := s.SetSetting(t.Context(), "key"+itoa(i+1), strings.Repeat("v", 500)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 4096; i < len(b); i++ { // all but the header and the schema
		b[i] = 0xa5
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err = Open(t.Context(), path, store.Options{})
	if err == nil {
		defer func() { _ = s.Close() }()
		_, err = s.Setting(t.Context(), "key1")
	}
	wantFault(t, err, store.ErrCorrupted, path)
}

func TestUnusableFolder(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(file, "state.db")
	_, err := Open(t.Context(), path, store.Options{})
	wantFault(t, err, store.ErrReadOnly, path)
}

// A reader's connection must not be able to write, whatever is asked of it.
func TestReadersCannotWrite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s := openFile(t, path)
	err := s.view(t.Context(), "writing", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), "DELETE FROM settings")
		return err
	})
	wantFault(t, err, store.ErrReadOnly, path)
}

func TestLockedByAnother(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s := openFile(t, path)
	other, err := sql.Open("sqlite", dsn(path, false))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	tx, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.ExecContext(t.Context(), "PRAGMA busy_timeout = 20"); err != nil {
		t.Fatal(err)
	}
	wantFault(t, s.SetSetting(t.Context(), "a", "b"), store.ErrLocked, path)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := s.SetSetting(t.Context(), "a", "b"); err != nil {
		t.Errorf("writing after the other has finished: %v", err)
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	s := openFile(t, "sqlite::memory:")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.SetSetting(ctx, "a", "b"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Setting(ctx, "a"); got != "b" || err != nil {
		t.Errorf("Setting: %q, %v", got, err)
	}
	// A database in memory must not go with a call that was given up.
	for range 20 {
		gone, stop := context.WithTimeout(ctx, time.Millisecond)
		_ = s.update(gone, "waiting", func(tx *sql.Tx) error {
			<-gone.Done()
			time.Sleep(time.Millisecond)
			_, err := tx.ExecContext(gone, "DELETE FROM settings")
			return err
		})
		stop()
	}
	if got, err := s.Setting(ctx, "a"); got != "b" || err != nil {
		t.Errorf("Setting after calls that were given up: %q, %v", got, err)
	}
	other := openFile(t, "sqlite::memory:")
	if got, err := other.Setting(ctx, "a"); got != "" || err != nil {
		t.Errorf("another store in memory: %q, %v; want nothing", got, err)
	}
}

func TestFileIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state", "state.db")
	s := openFile(t, path)
	if err := s.SetSetting(t.Context(), "a", "b"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o600 {
			t.Errorf("%s has mode %o; want 600", filepath.Base(name), got)
		}
	}
}

// Two processes may meet a new file at once; connections meet like processes.
func TestOpenedAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			s, err := Open(t.Context(), path, store.Options{})
			if err != nil {
				t.Errorf("Open: %v", err)
				return
			}
			defer func() { _ = s.Close() }()
			if err := s.SetSetting(t.Context(), "key"+itoa(i+1), "v"); err != nil {
				t.Errorf("SetSetting: %v", err)
			}
		})
	}
	wg.Wait()
	s := openFile(t, path)
	for i := range 4 {
		if got, err := s.Setting(t.Context(), "key"+itoa(i+1)); got != "v" || err != nil {
			t.Errorf("Setting: %q, %v", got, err)
		}
	}
}

func TestOpenNeedsAPath(t *testing.T) {
	t.Parallel()
	if _, err := Open(t.Context(), "sqlite:", store.Options{}); err == nil {
		t.Error("a store without a path was opened")
	}
	_, err := store.Open(t.Context(), "postgres://user:secret@host/db", store.Options{},
		map[string]store.Opener{"sqlite": Opener})
	if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "postgres") {
		t.Errorf("opening with an engine that is not built in: %v", err)
	}
}
