package kafka

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParse(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		want Config
		tls  bool
		sasl string
		err  string
	}{
		"kafka://b1/akto.api.logs?format=akto": {want: Config{
			Brokers: []string{"b1:9092"}, Topic: "akto.api.logs", Format: AktoTraffic,
		}},
		"kafka://b1:9093,b2,10.0.0.1:1/t": {want: Config{
			Brokers: []string{"b1:9093", "b2:9092", "10.0.0.1:1"}, Topic: "t",
		}},
		"kafka://[::1]:9094,[::2]/t": {want: Config{Brokers: []string{"[::1]:9094", "[::2]:9092"}, Topic: "t"}},
		"kafka://b/t?batch_bytes=1000&batch_count=10&batch_time=250ms&delivery_timeout=1m&client_id=x&compression=zstd": {want: Config{
			Brokers: []string{"b:9092"}, Topic: "t", BatchBytes: 1000, BatchCount: 10, BatchTime: 250 * time.Millisecond,
			DeliveryTimeout: time.Minute, ClientID: "x", Compression: "zstd",
		}},
		"kafka://b/t?format=akto&errors=drop&akto_account_id=7&akto_accounts=111122223333=8,444455556666=9": {want: Config{
			Brokers: []string{"b:9092"}, Topic: "t", Format: AktoTraffic,
			Akto: Akto{AccountID: "7", DropErrors: true, Accounts: map[string]string{"111122223333": "8", "444455556666": "9"}},
		}},
		"kafka://b/t?tls=true":  {want: Config{Brokers: []string{"b:9092"}, Topic: "t"}, tls: true},
		"kafka://b/t?tls=false": {want: Config{Brokers: []string{"b:9092"}, Topic: "t"}},
		"kafka://b/t?sasl=scram-sha-512&username=u&password_file=" + url.QueryEscape(secret): {
			want: Config{Brokers: []string{"b:9092"}, Topic: "t"}, sasl: "SCRAM-SHA-512",
		},
		"kafka://b/t?sasl=plain&username=u&plaintext=true&password_file=" + url.QueryEscape(secret): {
			want: Config{Brokers: []string{"b:9092"}, Topic: "t"}, sasl: "PLAIN",
		},
		"kafka://b/t?sasl=plain&username=u&server_name=x&password_file=" + url.QueryEscape(secret): {
			want: Config{Brokers: []string{"b:9092"}, Topic: "t"}, sasl: "PLAIN", tls: true,
		},
		"http://b/t":                                {err: "write kafka://"},
		"kafka://b":                                 {err: "no topic"},
		"kafka:///t":                                {err: "no host"},
		"kafka://a,/t":                              {err: "no host"},
		"kafka://b/a/b":                             {err: "letters, digits"},
		"kafka://b/..":                              {err: "not a name"},
		"kafka://b:0/t":                             {err: "port"},
		"kafka://b:x/t":                             {err: "port"},
		"kafka://u:p@b/t":                           {err: "no credentials"},
		"kafka://b/t?fromat=akto":                   {err: "option fromat: unknown"},
		"kafka://b/t?format=xml":                    {err: "choose native or akto"},
		"kafka://b/t?format=":                       {err: "given once"},
		"kafka://b/t?tls=1&tls=0":                   {err: "given once"},
		"kafka://b/t?tls=maybe":                     {err: "option tls"},
		"kafka://b/t?batch_count=0":                 {err: "positive"},
		"kafka://b/t?batch_bytes=1e99":              {err: "positive"},
		"kafka://b/t?batch_bytes=99999999":          {err: "at most"},
		"kafka://b/t?batch_time=10":                 {err: "positive time"},
		"kafka://b/t?compression=brotli":            {err: "choose none"},
		"kafka://b/t?errors=drop":                   {err: "needs format=akto"},
		"kafka://b/t?format=akto&errors=x":          {err: "neither send nor drop"},
		"kafka://b/t?format=akto&akto_account_id=a": {err: "digits"},
		"kafka://b/t?format=akto&akto_accounts=1":   {err: "AWS-ACCOUNT=AKTO-ACCOUNT"},
		"kafka://b/t?format=akto&akto_accounts=1=x": {err: "digits"},
		"kafka://b/t?username=u":                    {err: "need sasl"},
		"kafka://b/t?sasl=plain":                    {err: "needs a user and a password"},
		"kafka://b/t?sasl=plain&username=u&password_file=/nowhere":                           {err: "password_file"},
		"kafka://b/t?sasl=plain&username=u&password_file=" + url.QueryEscape(secret):         {err: "not encrypted"},
		"kafka://b/t?sasl=aws-msk-iam&username=u":                                            {err: "own AWS credentials"},
		"kafka://b/t?sasl=aws-msk-iam":                                                       {err: "needs AWS credentials"},
		"kafka://b/t?cert_file=/nowhere":                                                     {err: "together"},
		"kafka://b/t?ca_file=/nowhere":                                                       {err: "ca_file"},
		"kafka://b/t?sasl=plain&username=u&tls=true&password_file=" + url.QueryEscape(empty): {err: "is empty"},
		"kafka://b/t?sasl=x&username=u&password_file=" + url.QueryEscape(secret):             {err: "choose plain"},
		"kafka://b/t#x": {err: "#"},
		"kafka://b/t?%": {err: "reading"},
	}
	for raw, test := range tests {
		got, err := Parse(raw)
		if err == nil && test.err != "" {
			_, err = Open(t.Context(), got)
		}
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: err = %v, want %q in it", raw, err, test.err)
			}
			if err != nil && strings.Contains(err.Error(), "u:p") {
				t.Errorf("%s: the password is in the error: %v", raw, err)
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
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Config{}), cmpopts.IgnoreFields(Config{}, "Logger", "Now", "Auth")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", raw, diff)
		}
		encryption, err := got.Auth.tls()
		if err != nil || (encryption != nil) != test.tls {
			t.Errorf("%s: TLS is %v, %v", raw, encryption, err)
		}
		mechanism, err := got.Auth.mechanism(got.Brokers, encryption != nil)
		if err != nil {
			t.Errorf("%s: SASL: %v", raw, err)
		}
		name := ""
		if mechanism != nil {
			name = mechanism.Name()
		}
		if name != test.sasl {
			t.Errorf("%s: SASL is %q", raw, name)
		}
	}
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	u, err := url.Parse("kafka://b1:9093,b2:9094/t?format=native")
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseURL(u)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"b1:9093", "b2:9094"}, got.Brokers); diff != "" {
		t.Errorf("brokers (-want +got):\n%s", diff)
	}
	if _, err := ParseURL(&url.URL{Scheme: "http", Host: "b", Path: "/t"}); err == nil {
		t.Error("another scheme: no error")
	}
}
