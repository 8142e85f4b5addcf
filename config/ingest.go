package config

import (
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Ingest are the settings of what is pushed.
type Ingest struct {
	// Listen is the address of the Firehose endpoint; empty: none.
	Listen string
	// TLSCert and TLSKey are files in PEM. BehindProxy says that TLS ends before
	// this process, so that plain HTTP is served on an address that others reach.
	TLSCert, TLSKey string
	BehindProxy     bool
	// AccessKey is what Firehose sends with every request, or two such keys with a
	// comma between; AccessKeyFile is a file with one in each line.
	AccessKey     string
	AccessKeyFile string
	// Spool is where pushed events are kept until they were delivered: a folder or
	// s3://BUCKET/PREFIX. Empty: a folder beside the state, if Listen is set.
	Spool string
	// SpoolMaxBytes bounds the spool; 0: no bound.
	SpoolMaxBytes int64
	// PushOnly leaves out polling CloudWatch.
	PushOnly bool
}

// defaultSpoolMaxBytes is some hours of a busy account.
const defaultSpoolMaxBytes = 10 << 30

func defaultIngest() Ingest { return Ingest{SpoolMaxBytes: defaultSpoolMaxBytes} }

// ingestSettings are the settings of what is pushed. The access key itself has no
// flag: the command line of a process is no secret.
var ingestSettings = []*Setting{
	{
		Name: "ingest_listen", Doc: "address of the endpoint to which Firehose pushes (none if empty); https unless it is a loopback address",
		get: func(c *Config) string { return c.Ingest.Listen },
		set: func(c *Config, v []string) error {
			if v[0] != "" {
				if _, _, err := net.SplitHostPort(v[0]); err != nil {
					return fmt.Errorf("%q is not HOST:PORT", v[0])
				}
			}
			c.Ingest.Listen = v[0]
			return nil
		},
	},
	text("ingest_tls_cert", "file with the endpoint's certificate and its chain, in PEM", func(c *Config) *string { return &c.Ingest.TLSCert }),
	text("ingest_tls_key", "file with the key of that certificate, in PEM", func(c *Config) *string { return &c.Ingest.TLSKey }),
	toggle("ingest_behind_proxy", "serve plain HTTP on any address, because a proxy before it ends TLS", func(c *Config) *bool { return &c.Ingest.BehindProxy }),
	text("ingest_access_key_file", "file with the access key that Firehose sends; one a line, where a key is being changed", func(c *Config) *string { return &c.Ingest.AccessKeyFile }),
	secret(text("ingest_access_key", "the access key itself; two with a comma between, where a key is being changed", func(c *Config) *string { return &c.Ingest.AccessKey })),
	text("spool", "where pushed events are kept until they were delivered: a folder or s3://BUCKET/PREFIX; default: spool beside the state", func(c *Config) *string { return &c.Ingest.Spool }),
	{
		Name: "spool_max_bytes", Doc: "what the spool may take, such as 10G; nothing more is acknowledged beyond it; 0: no bound",
		get: func(c *Config) string { return formatBytes(c.Ingest.SpoolMaxBytes) },
		set: func(c *Config, v []string) (err error) {
			c.Ingest.SpoolMaxBytes, err = parseBytes(v[0])
			return err
		},
	},
	toggle("push_only", "poll nothing; read only what is pushed", func(c *Config) *bool { return &c.Ingest.PushOnly }),
}

var byteUnits = []struct {
	name string
	size int64
}{{"T", 1 << 40}, {"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"", 1}}

func formatBytes(n int64) string {
	for _, u := range byteUnits {
		if n >= u.size && n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

func parseBytes(text string) (int64, error) {
	for _, u := range byteUnits {
		digits, ok := strings.CutSuffix(strings.ToUpper(text), u.name)
		if !ok {
			continue
		}
		if n, err := strconv.ParseInt(digits, 10, 64); err == nil && n >= 0 && n <= math.MaxInt64/u.size {
			return n * u.size, nil
		}
		break
	}
	return 0, fmt.Errorf("%q is not a number of bytes such as 500M or 10G", text)
}

// AccessKeys are the keys that Firehose may send.
func (i *Ingest) AccessKeys() ([]string, error) {
	keys := splitList(i.AccessKey)
	if i.AccessKeyFile == "" {
		return keys, nil
	}
	b, err := os.ReadFile(i.AccessKeyFile)
	if err != nil {
		return nil, &Error{Where: "ingest_access_key_file", Err: err}
	}
	return append(keys, strings.Fields(string(b))...), nil
}

// SpoolPlace is the spool's folder or URL; empty if there is none.
func (c *Config) SpoolPlace() string {
	if c.Ingest.Spool != "" || c.Ingest.Listen == "" {
		return c.Ingest.Spool
	}
	state := DefaultState()
	if path, ok := strings.CutPrefix(c.State, "sqlite:"); ok || !strings.Contains(c.State, ":") {
		state = path
	}
	return filepath.Join(filepath.Dir(strings.TrimPrefix(state, "sqlite:")), "spool")
}

// validate checks how the settings go together.
func (i *Ingest) validate(bad func(name, format string, args ...any)) {
	if (i.TLSCert == "") != (i.TLSKey == "") {
		bad("ingest_tls_cert", "and ingest_tls_key go together")
	}
	if i.PushOnly && i.Listen == "" && i.Spool == "" {
		bad("push_only", "needs ingest_listen or spool: there is nothing else to read")
	}
	if i.Listen == "" {
		return
	}
	if i.AccessKey == "" && i.AccessKeyFile == "" {
		bad("ingest_listen", "needs ingest_access_key_file or ingest_access_key: without one anybody could push events")
	}
	if i.TLSCert == "" && !i.BehindProxy && !isLoopback(i.Listen) {
		bad("ingest_listen", "%s can be reached by others: give ingest_tls_cert and ingest_tls_key, or ingest_behind_proxy if a proxy ends TLS", i.Listen)
	}
}

// isLoopback reports whether an address is of this machine alone.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
