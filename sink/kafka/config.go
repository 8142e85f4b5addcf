package kafka

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gatehouse-project/gatehouse/deadletter"
)

// Format is the form of the record values.
type Format string

const (
	// Native is the transaction's JSON.
	Native Format = "native"
	// AktoTraffic is the form that Akto's mini-runtime consumes.
	AktoTraffic Format = "akto"
)

// The defaults of Config.
const (
	DefaultBatchCount      = 1000
	DefaultBatchBytes      = 900_000 // below the brokers' default of 1,048,588
	DefaultBatchTime       = time.Second
	DefaultDeliveryTimeout = 30 * time.Second
	DefaultCompression     = "lz4"
	DefaultClientID        = "gatehouse"

	defaultPort = "9092"
	// maxRecordBytes is the largest record that is tried before it is shrunk,
	// uncompressed: API Gateway's payload quota is 10 MB.
	maxRecordBytes = 16 << 20
)

// Config says where a Sink sends and how. Brokers and Topic are needed; every
// other field has a default.
type Config struct {
	Brokers []string // host or host:port; 9092 without a port
	Topic   string
	Format  Format // default Native

	// A chunk of a batch is sent when it has BatchCount records, when the next
	// record would take it over BatchBytes (uncompressed), or when BatchTime
	// has gone since its first. A Deliver never waits for more transactions to
	// come: the end of a batch ends its last chunk.
	BatchCount int
	BatchBytes int
	BatchTime  time.Duration
	// DeliveryTimeout is how long a Deliver waits for the acknowledgement of
	// one chunk. Past it the chunk is in doubt, not given up.
	DeliveryTimeout time.Duration
	// Compression is none, gzip, snappy, lz4 or zstd.
	Compression string

	ClientID string
	Auth     Auth
	Akto     Akto
	// DeadLetters take what the brokers refuse in every form. Nil: the sink
	// waits with such a call instead.
	DeadLetters deadletter.Box

	Logger  *slog.Logger          // nil drops the log
	Metrics prometheus.Registerer // nil is off
	Now     func() time.Time      // nil is time.Now

	// dialer replaces the network in tests.
	dialer kgo.Opt
}

// Parse is ParseURL for text. It also reads a list in which some brokers have a
// port and the last has none, which package url takes for a wrong port.
func Parse(raw string) (Config, error) {
	rest, ok := strings.CutPrefix(raw, "kafka://")
	if !ok {
		return Config{}, errors.New("kafka sink: write kafka://broker[,broker]/topic")
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	if strings.Contains(rest[:end], "@") {
		return Config{}, errCredentials
	}
	u, err := url.Parse("kafka://brokers" + rest[end:])
	if err != nil {
		// What url.Error repeats of the text is of no use with another host.
		if parse, ok := errors.AsType[*url.Error](err); ok {
			err = parse.Err
		}
		return Config{}, fmt.Errorf("kafka sink: reading the URL: %w", err)
	}
	u.Host = rest[:end]
	return ParseURL(u)
}

var errCredentials = errors.New("kafka sink: no credentials in the URL: use username= and password_file=")

// ParseURL reads kafka://broker[,broker]/topic?key=value. The keys are format,
// tls, ca_file, cert_file, key_file, server_name, sasl, username, password_file,
// plaintext, client_id, batch_bytes, batch_count, batch_time, delivery_timeout,
// compression and, for the akto format, errors (send or drop), akto_account_id
// and akto_accounts (AWS=AKTO,…). A key that is
// unknown, given twice or empty is an error, and so are credentials in the URL,
// which would end up in process lists and logs.
func ParseURL(u *url.URL) (Config, error) {
	c := Config{}
	if u.Scheme != "kafka" {
		return c, fmt.Errorf("kafka sink: scheme is %q, not kafka", u.Scheme)
	}
	if u.User != nil {
		return c, errCredentials
	}
	if u.Fragment != "" {
		return c, errors.New("kafka sink: nothing may follow a # in the URL")
	}
	c.Brokers = strings.Split(u.Host, ",")
	c.Topic = strings.Trim(u.Path, "/")
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return c, fmt.Errorf("kafka sink: reading the options of the URL: %w", err)
	}
	p := urlOptions{config: &c}
	for _, key := range sortedKeys(query) {
		values := query[key]
		if len(values) != 1 || values[0] == "" {
			return c, fmt.Errorf("kafka sink: option %s must be given once, with a value", key)
		}
		if err := p.set(key, values[0]); err != nil {
			return c, fmt.Errorf("kafka sink: option %s: %w", key, err)
		}
	}
	if err := p.finish(); err != nil {
		return c, fmt.Errorf("kafka sink: %w", err)
	}
	return c, c.validate()
}

// urlOptions gathers the options that only make sense together.
type urlOptions struct {
	config *Config
	akto   []string // options seen that only the akto format has
}

func (p *urlOptions) set(key, value string) (err error) {
	c := p.config
	switch key {
	case "format":
		c.Format = Format(value)
	case "tls":
		if c.Auth.TLS, err = strconv.ParseBool(value); err != nil {
			err = fmt.Errorf("%q is neither true nor false", value)
		}
	case "sasl":
		c.Auth.Mechanism = value
	case "username":
		c.Auth.Username = value
	case "password_file":
		c.Auth.PasswordFile = value
	case "plaintext":
		if c.Auth.Plaintext, err = strconv.ParseBool(value); err != nil {
			err = fmt.Errorf("%q is neither true nor false", value)
		}
	case "client_id":
		c.ClientID = value
	case "batch_bytes":
		c.BatchBytes, err = positive(value)
	case "batch_count":
		c.BatchCount, err = positive(value)
	case "batch_time":
		c.BatchTime, err = positiveDuration(value)
	case "delivery_timeout":
		c.DeliveryTimeout, err = positiveDuration(value)
	case "compression":
		c.Compression = value
	case "errors":
		p.akto = append(p.akto, key)
		switch value {
		case "send":
		case "drop":
			c.Akto.DropErrors = true
		default:
			err = fmt.Errorf("%q is neither send nor drop", value)
		}
	case "akto_account_id":
		p.akto = append(p.akto, key)
		c.Akto.AccountID = value
	case "akto_accounts":
		p.akto = append(p.akto, key)
		c.Akto.Accounts = map[string]string{}
		for pair := range strings.SplitSeq(value, ",") {
			aws, akto, ok := strings.Cut(pair, "=")
			if !ok {
				return fmt.Errorf("%q is not AWS-ACCOUNT=AKTO-ACCOUNT", pair)
			}
			c.Akto.Accounts[aws] = akto
		}
	default:
		if c.Auth.Files.Set(key, value) {
			return nil
		}
		err = errors.New("unknown (known are format, tls, ca_file, cert_file, key_file, server_name, sasl, username, password_file, plaintext, client_id, batch_bytes, batch_count, batch_time, delivery_timeout, compression, errors, akto_account_id, akto_accounts)")
	}
	return err
}

func (p *urlOptions) finish() error {
	if len(p.akto) > 0 && p.config.Format != AktoTraffic {
		return fmt.Errorf("option %s needs format=akto", p.akto[0])
	}
	return p.config.Auth.check()
}

// Name is what a sink of this Config is called: the brokers and the topic as a
// URL.
func (c *Config) Name() string {
	return "kafka://" + strings.Join(c.Brokers, ",") + "/" + c.Topic
}

// validate checks c and fills in its defaults.
func (c *Config) validate() error {
	brokers := make([]string, 0, len(c.Brokers))
	for _, b := range c.Brokers {
		address, err := brokerAddress(strings.TrimSpace(b))
		if err != nil {
			return fmt.Errorf("kafka sink: broker %q: %w", b, err)
		}
		brokers = append(brokers, address)
	}
	if len(brokers) == 0 {
		return errors.New("kafka sink: no broker: write kafka://host:9092/topic")
	}
	c.Brokers = brokers
	if err := checkTopic(c.Topic); err != nil {
		return fmt.Errorf("kafka sink: topic %q: %w", c.Topic, err)
	}
	setDefault(&c.Format, Native)
	setDefault(&c.BatchCount, DefaultBatchCount)
	setDefault(&c.BatchBytes, DefaultBatchBytes)
	setDefault(&c.BatchTime, DefaultBatchTime)
	setDefault(&c.DeliveryTimeout, DefaultDeliveryTimeout)
	setDefault(&c.Compression, DefaultCompression)
	setDefault(&c.ClientID, DefaultClientID)
	setDefault(&c.Akto.AccountID, defaultAktoAccount)
	if c.Format != Native && c.Format != AktoTraffic {
		return fmt.Errorf("kafka sink: format is %q: choose native or akto", c.Format)
	}
	if _, ok := codecs[c.Compression]; !ok {
		return fmt.Errorf("kafka sink: compression is %q: choose none, gzip, snappy, lz4 or zstd", c.Compression)
	}
	if c.BatchCount < 0 || c.BatchBytes < 0 || c.BatchTime < 0 || c.DeliveryTimeout < 0 {
		return errors.New("kafka sink: batch sizes and times must be positive")
	}
	if c.BatchBytes > maxRecordBytes {
		return fmt.Errorf("kafka sink: batch_bytes is %d: at most %d", c.BatchBytes, maxRecordBytes)
	}
	if !isDigits(c.Akto.AccountID) {
		return fmt.Errorf("kafka sink: akto_account_id is %q: digits are needed", c.Akto.AccountID)
	}
	for aws, akto := range c.Akto.Accounts {
		if !isDigits(aws) || !isDigits(akto) {
			return fmt.Errorf("kafka sink: akto_accounts: %s=%s: digits are needed", aws, akto)
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return nil
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

var codecs = map[string]kgo.CompressionCodec{
	"none":   kgo.NoCompression(),
	"gzip":   kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(),
	"lz4":    kgo.Lz4Compression(),
	"zstd":   kgo.ZstdCompression(),
}

func brokerAddress(s string) (string, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		// No port, or an IPv6 address on its own.
		host, port = strings.Trim(s, "[]"), defaultPort
		if strings.Contains(host, ":") && net.ParseIP(host) == nil {
			return "", err
		}
	}
	if host == "" {
		return "", errors.New("no host")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	return net.JoinHostPort(host, port), nil
}

// checkTopic holds a name to Kafka's rule for topics.
func checkTopic(topic string) error {
	if topic == "" {
		return errors.New("no topic: write kafka://host:9092/topic")
	}
	if topic == "." || topic == ".." || len(topic) > 249 {
		return errors.New("not a name that Kafka takes")
	}
	for _, c := range topic {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return fmt.Errorf("has %q: letters, digits, dot, underscore and hyphen only", c)
		}
	}
	return nil
}

func positive(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("%q is not a positive number", s)
	}
	return n, nil
}

func positiveDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is not a positive time such as 10s", s)
	}
	return d, nil
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func sortedKeys(m map[string][]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
