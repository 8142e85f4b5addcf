package file

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The defaults of Config.
const (
	DefaultRotateSize = 256 << 20
	DefaultRotateAge  = 24 * time.Hour
	DefaultCompress   = "zstd"
)

// Config says where a Sink writes and how. Dir is needed; every other field has
// a default.
type Config struct {
	Dir string // made with mode 0700 if it is not there
	// The active file is rotated before the next batch once it has RotateSize
	// bytes or was begun RotateAge ago. An empty file is never rotated.
	RotateSize int64
	RotateAge  time.Duration
	// KeepFiles is how many rotated files are kept, and KeepAge how long after
	// the end of a file it is kept; 0 is for ever.
	KeepFiles int
	KeepAge   time.Duration
	Compress  string // zstd, gzip or none

	Logger  *slog.Logger          // nil drops the log
	Metrics prometheus.Registerer // nil is off
	Now     func() time.Time      // nil is time.Now

	// fs replaces the file system in tests.
	fs fileSystem
}

// ParseURL reads file:DIR?key=value, where DIR is relative or absolute. The keys
// are rotate_size (bytes, or with K, M or G), rotate_age (24h, 7d), keep (a
// number of files, or a time such as 30d) and compress. A key that is unknown,
// given twice or empty is an error.
func ParseURL(u *url.URL) (Config, error) {
	c := Config{}
	if u.Scheme != "file" {
		return c, fmt.Errorf("file sink: scheme is %q, not file", u.Scheme)
	}
	if u.User != nil || u.Host != "" && u.Host != "localhost" || u.Fragment != "" {
		return c, errors.New("file sink: write file:DIR, file:/absolute/DIR or file:///absolute/DIR")
	}
	c.Dir = u.Path
	if c.Dir == "" {
		dir, err := url.PathUnescape(u.Opaque)
		if err != nil {
			return c, fmt.Errorf("file sink: reading the directory: %w", err)
		}
		c.Dir = dir
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return c, fmt.Errorf("file sink: reading the options of the URL: %w", err)
	}
	keys := make([]string, 0, len(query))
	for key := range query {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		if len(query[key]) != 1 || query[key][0] == "" {
			return c, fmt.Errorf("file sink: option %s must be given once, with a value", key)
		}
		if err := c.set(key, query[key][0]); err != nil {
			return c, fmt.Errorf("file sink: option %s: %w", key, err)
		}
	}
	return c, c.validate()
}

func (c *Config) set(key, value string) (err error) {
	switch key {
	case "rotate_size":
		c.RotateSize, err = parseSize(value)
	case "rotate_age":
		c.RotateAge, err = parseAge(value)
	case "keep":
		if n, bad := strconv.Atoi(value); bad == nil && n > 0 {
			c.KeepFiles = n
		} else {
			c.KeepAge, err = parseAge(value)
		}
	case "compress":
		c.Compress = value
	default:
		err = errors.New("unknown (known are rotate_size, rotate_age, keep, compress)")
	}
	return err
}

// parseSize reads a number of bytes, with K, M or G for powers of 1024.
func parseSize(s string) (int64, error) {
	digits, factor := s, int64(1)
	switch s[len(s)-1] {
	case 'k', 'K':
		factor = 1 << 10
	case 'm', 'M':
		factor = 1 << 20
	case 'g', 'G':
		factor = 1 << 30
	}
	if factor > 1 {
		digits = s[:len(s)-1]
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n <= 0 || n > 1<<40/factor {
		return 0, fmt.Errorf("%q is not a size such as 256M", s)
	}
	return n * factor, nil
}

// parseAge reads a duration, also in days.
func parseAge(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n <= 36500 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	} else if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return d, nil
	}
	return 0, fmt.Errorf("%q is not a time such as 12h or 30d", s)
}

func (c *Config) validate() error {
	if c.Dir == "" {
		return errors.New("file sink: no directory: write file:DIR")
	}
	if c.RotateSize == 0 {
		c.RotateSize = DefaultRotateSize
	}
	if c.RotateAge == 0 {
		c.RotateAge = DefaultRotateAge
	}
	if c.Compress == "" {
		c.Compress = DefaultCompress
	}
	if _, ok := extensions[c.Compress]; !ok {
		return fmt.Errorf("file sink: compress is %q: choose zstd, gzip or none", c.Compress)
	}
	if c.RotateSize < 0 || c.RotateAge < 0 || c.KeepFiles < 0 || c.KeepAge < 0 {
		return errors.New("file sink: sizes, ages and counts must be positive")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.fs == nil {
		c.fs = osFileSystem{}
	}
	return nil
}
