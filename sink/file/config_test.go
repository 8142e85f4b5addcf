package file

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		want Config
		err  string
	}{
		"file:out":               {want: Config{Dir: "out"}},
		"file:./a/b":             {want: Config{Dir: "./a/b"}},
		"file:/var/lib/x":        {want: Config{Dir: "/var/lib/x"}},
		"file:///var/lib/x%20y":  {want: Config{Dir: "/var/lib/x y"}},
		"file:a%20b":             {want: Config{Dir: "a b"}},
		"file:d?rotate_size=64M": {want: Config{Dir: "d", RotateSize: 64 << 20}},
		"file:d?rotate_age=7d&keep=30d&compress=gzip": {want: Config{
			Dir: "d", RotateAge: 7 * 24 * time.Hour, KeepAge: 30 * 24 * time.Hour, Compress: "gzip",
		}},
		"file:d?keep=10":                      {want: Config{Dir: "d", KeepFiles: 10}},
		"file:":                               {err: "no directory"},
		"file://host/dir":                     {err: "write file:DIR"},
		"file:d#x":                            {err: "write file:DIR"},
		"file:d?size=1":                       {err: "option size: unknown"},
		"file:d?keep=1&keep=2":                {err: "given once"},
		"file:d?keep=":                        {err: "given once"},
		"file:d?keep=-1":                      {err: "not a time"},
		"file:d?keep=0":                       {err: "not a time"},
		"file:d?rotate_size=0":                {err: "not a size"},
		"file:d?rotate_size=M":                {err: "not a size"},
		"file:d?rotate_size=9999999999999999": {err: "not a size"},
		"file:d?rotate_age=x":                 {err: "not a time"},
		"file:d?compress=lz4":                 {err: "choose zstd"},
		"kafka:d":                             {err: "not file"},
	}
	for raw, test := range tests {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseURL(u)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: err = %v, want %q in it", raw, err, test.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		want := test.want
		if err := want.validate(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Config{}), cmpopts.IgnoreFields(Config{}, "Logger", "Now")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", raw, diff)
		}
	}
}
