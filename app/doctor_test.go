package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/config"
)

func TestCheckStore(t *testing.T) {
	t.Parallel()
	c := config.Default()
	dir := t.TempDir()
	c.State = "sqlite:" + filepath.Join(dir, "new", "gatehouse.db")
	if err := checkStore(t.Context(), c); err != nil {
		t.Errorf("a store that can be made: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("looking made %v (%v)", entries, err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.State = filepath.Join(file, "gatehouse.db")
	if err := checkStore(t.Context(), c); err == nil {
		t.Error("a store under a file is fine")
	}
	c.State = "sqlite:" + file
	if err := checkStore(t.Context(), c); err == nil {
		t.Error("a file that is no database is fine")
	}
	c.State = "sqlite:" + filepath.Join(dir, "gatehouse.db")
	s, err := openStore(t.Context(), c, newLogger(nil, c))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := checkStore(t.Context(), c); err != nil {
		t.Errorf("a store that is there: %v", err)
	}
}

func TestCheckSink(t *testing.T) {
	t.Parallel()
	c := config.Default()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for sink, want := range map[string]string{
		"stdout:":                        "",
		"file:" + dir:                    "",
		"file:" + dir + "/a/b":           "",
		"file:" + file:                   "is not a folder",
		"file:" + dir + "?rotate_size=x": "rotate_size",
		"smoke:":                         "smoke",
	} {
		ctx, cancel := context.WithCancel(t.Context())
		err := checkSink(ctx, c, sink)
		cancel()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", sink, err)
		}
	}
	if err := checkFolder(file); err == nil {
		t.Error("a file is a folder")
	} else if m, ok := errors.AsType[*advice](err); !ok || m.Mend() == "" {
		t.Errorf("no mend: %v", err)
	}
	if _, ok := freeBytes(dir); !ok {
		t.Skip("this system does not tell how much room there is")
	}
}

func TestPlainURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"kafka://a,b/topic?format=akto":      "kafka://a,b/topic",
		"https://me:secret@example.com/path": "https://example.com/path",
		"file:out?keep=3":                    "file:out",
		"/var/lib/gatehouse.db":              "/var/lib/gatehouse.db",
		"postgres://me:secret@db/gate?a=b":   "postgres://db/gate",
		"postgres://me:se%cret@db/gate":      "postgres://…",
	} {
		if got := plainURL(text); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
}
