package app

import (
	"path/filepath"
	"testing"

	"github.com/gatehouse-project/gatehouse/config"
)

// All servers on one state are one installation, and another state is another.
func TestInstallation(t *testing.T) {
	t.Parallel()
	of := func(state string) string {
		t.Helper()
		c := config.Default()
		c.State = "sqlite:" + state
		s, err := openStore(t.Context(), c, newLogger(nil, c))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		id, err := (&product{config: c, store: s}).installation(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	here, there := filepath.Join(t.TempDir(), "here.db"), filepath.Join(t.TempDir(), "there.db")
	first := of(here)
	if again := of(here); first == "" || again != first {
		t.Errorf("one state is installation %q, then %q", first, again)
	}
	if other := of(there); other == first {
		t.Errorf("two states are one installation, %q", other)
	}
}
