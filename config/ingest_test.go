package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestIngest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		settings string // NAME=VALUE, separated by blanks
		says     string // empty: it is valid
	}{
		{"", ""},
		{"INGEST_LISTEN=127.0.0.1:1 INGEST_ACCESS_KEY=k", ""},
		{"INGEST_LISTEN=[::1]:1 INGEST_ACCESS_KEY=k", ""},
		{"INGEST_LISTEN=localhost:1 INGEST_ACCESS_KEY_FILE=f", ""},
		{"INGEST_LISTEN=0.0.0.0:1 INGEST_ACCESS_KEY=k INGEST_TLS_CERT=c INGEST_TLS_KEY=k", ""},
		{"INGEST_LISTEN=:1 INGEST_ACCESS_KEY=k INGEST_BEHIND_PROXY=true", ""},
		{"PUSH_ONLY=true SPOOL=s3://b/p", ""},
		{"INGEST_LISTEN=127.0.0.1:1", "anybody could push"},
		{"INGEST_LISTEN=:1 INGEST_ACCESS_KEY=k", "can be reached by others"},
		{"INGEST_LISTEN=10.0.0.1:1 INGEST_ACCESS_KEY=k", "can be reached by others"},
		{"INGEST_LISTEN=127.0.0.1:1 INGEST_ACCESS_KEY=k INGEST_TLS_CERT=c", "go together"},
		{"PUSH_ONLY=true", "nothing else to read"},
	} {
		var pairs []string
		for s := range strings.FieldsSeq(c.settings) {
			name, value, _ := strings.Cut(s, "=")
			pairs = append(pairs, "GATEHOUSE_"+name, value)
		}
		got, err := Load("", env(pairs...))
		if err != nil {
			t.Fatal(err)
		}
		err = got.Validate()
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v; want %q", c.settings, err, c.says)
		}
	}
}

func TestSpoolPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ state, listen, spool, want string }{
		{"sqlite:/a/b.db", "", "", ""},
		{"sqlite:/a/b.db", "127.0.0.1:1", "", "/a/spool"},
		{"/a/b.db", "127.0.0.1:1", "", "/a/spool"},
		{"sqlite:/a/b.db", "127.0.0.1:1", "/x", "/x"},
		{"s3://b/k", "", "s3://b/s", "s3://b/s"},
		{"s3://b/k", "127.0.0.1:1", "", filepath.Join(filepath.Dir(strings.TrimPrefix(DefaultState(), "sqlite:")), "spool")},
	} {
		conf := Default()
		conf.State, conf.Ingest.Listen, conf.Ingest.Spool = c.state, c.listen, c.spool
		if got := conf.SpoolPlace(); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestAccessKeys(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte("one\n\n two \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	i := Ingest{AccessKey: "three,four", AccessKeyFile: file}
	if got, err := i.AccessKeys(); err != nil || !slices.Equal(got, []string{"three", "four", "one", "two"}) {
		t.Errorf("%v, %v", got, err)
	}
	i.AccessKeyFile += "x"
	if _, err := i.AccessKeys(); err == nil {
		t.Error("a file that is not there is no error")
	}
}

func TestBytes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"0": 0, "17": 17, "3K": 3 << 10, "5m": 5 << 20, "10G": 10 << 30, "2T": 2 << 40} {
		got, err := parseBytes(text)
		if err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
		if back, err := parseBytes(formatBytes(got)); err != nil || back != got {
			t.Errorf("%s does not round trip: %s", text, formatBytes(got))
		}
	}
	for _, text := range []string{"", "G", "-1", "1.5G", "99999999999T", "1P", "x"} {
		if n, err := parseBytes(text); err == nil {
			t.Errorf("%q is %d", text, n)
		}
	}
}
