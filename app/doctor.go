package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/doctor"
	"github.com/gatehouse-project/gatehouse/sink/file"
)

const (
	// A file system with less room than this is warned of, or fails.
	roomWarn = 1 << 30
	roomFail = 64 << 20

	closeTimeout = 5 * time.Second
)

// Doctor checks the whole chain and changes nothing in AWS.
func (*runtime) Doctor(ctx context.Context, c *config.Config, progress func(doctor.Progress)) *doctor.Report {
	o := doctor.Options{
		Accounts: c.Accounts, Account: account.Options{MaxAttempts: 3, MaxBackoff: 2 * time.Second, AttemptTimeout: 20 * time.Second},
		Prefix: c.LogGroupPrefix, PrefixOnly: c.PrefixOnly, PollInterval: c.PollInterval,
		Done: doctor.Settings(c.Notices), Progress: progress,
	}
	for _, arn := range c.LogGroupARNs {
		g, err := config.GroupOfARN(arn)
		if err != nil {
			o.Done = append(o.Done, doctor.Result{Status: doctor.Fail, Check: "settings", Subject: "log_group_arns", What: err.Error()})
			continue
		}
		o.Groups = append(o.Groups, g)
	}
	o.Parts = append(o.Parts, doctor.Part{
		Check: "store", Subject: plainURL(c.State), Fine: "opens and can be written",
		Checker: doctor.CheckerFunc(func(ctx context.Context) error { return checkStore(ctx, c) }),
	})
	for _, text := range c.Sinks {
		o.Parts = append(o.Parts, doctor.Part{
			Check: "sink", Subject: plainURL(text), Fine: "can be delivered to",
			Checker: doctor.CheckerFunc(func(ctx context.Context) error { return checkSink(ctx, c, text) }),
		})
	}
	if err := (&sinkOptions{config: c}).checkCredentials(); err != nil {
		o.Done = append(o.Done, doctor.Result{Status: doctor.Fail, Check: "settings", Subject: "sinks", What: err.Error()})
	}
	if len(c.Sinks) == 0 {
		o.Done = append(o.Done, doctor.Result{
			Status: doctor.Warn, Check: "sink", What: "no sink is configured: calls go nowhere but into serve's inventory",
			Mend: "name one with --sink or sinks; docs/sinks.md lists all",
		})
	}
	return doctor.Run(ctx, o)
}

// plainURL is a URL without its user and its options, which may be nobody's
// business.
func plainURL(text string) string {
	text, _, _ = strings.Cut(text, "?")
	u, err := url.Parse(text)
	switch scheme, rest, isURL := strings.Cut(text, "://"); {
	case err != nil && isURL && strings.Contains(rest, "@"):
		return scheme + "://…" // its password may be why it cannot be read
	case err == nil && u.User != nil:
		u.User = nil
		return u.String()
	}
	return text
}

// advice is an error with what to do about it.
type advice struct {
	err     error
	mend    string
	warning bool
}

func (e *advice) Error() string { return e.err.Error() }
func (e *advice) Unwrap() error { return e.err }

// Mend says what to do.
func (e *advice) Mend() string { return e.mend }

// Warning reports whether the thing works all the same.
func (e *advice) Warning() bool { return e.warning }

// checkStore opens the store and writes to it. One that is not there yet is not
// made: its place is checked.
func checkStore(ctx context.Context, c *config.Config) (err error) {
	if folder, ok := strings.CutPrefix(c.State, "file:"); ok {
		return checkFolder(strings.TrimPrefix(folder, "//"))
	}
	path, isFile := strings.CutPrefix(c.State, "sqlite:")
	isFile = isFile || !strings.Contains(c.State, ":")
	if isFile && path != ":memory:" {
		if _, statErr := os.Stat(path); errors.Is(statErr, fs.ErrNotExist) {
			return checkFolder(filepath.Dir(path))
		}
	}
	s, err := openStore(ctx, c, newLogger(nil, c))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.SetSetting(ctx, "doctor", time.Now().UTC().Format(time.RFC3339)); err != nil {
		return err
	}
	if isFile && path != ":memory:" {
		return checkRoom(filepath.Dir(path))
	}
	return nil
}

// checkFolder reports whether a folder can be written, or made and written. It
// leaves nothing behind.
func checkFolder(dir string) error {
	there, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for {
		info, err := os.Stat(there)
		if err == nil && info.IsDir() {
			break
		}
		if err == nil {
			return &advice{fmt.Errorf("%s is not a folder", there), "name another folder", false}
		}
		if !errors.Is(err, fs.ErrNotExist) || there == filepath.Dir(there) {
			return &advice{err, "let this user read " + filepath.Dir(there), false}
		}
		there = filepath.Dir(there)
	}
	f, err := os.CreateTemp(there, ".gatehouse-doctor-*")
	if err != nil {
		return &advice{fmt.Errorf("writing to %s: %w", there, err), "let this user write to " + there, false}
	}
	if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
		return err
	}
	return checkRoom(there)
}

// checkRoom reports a file system that is nearly full.
func checkRoom(dir string) error {
	free, ok := freeBytes(dir)
	if !ok || free >= roomWarn {
		return nil
	}
	return &advice{
		fmt.Errorf("the file system of %s has %d MB left", dir, free>>20),
		"make room: when it is full, collecting waits until there is some", free >= roomFail,
	}
}

// checkSink checks one sink. A file sink's folder is looked at without taking it
// from a collector that runs.
func checkSink(ctx context.Context, c *config.Config, text string) (err error) {
	if strings.HasPrefix(text, "file:") {
		u, err := url.Parse(text)
		if err != nil {
			return err
		}
		f, err := file.ParseURL(u)
		if err != nil {
			return err
		}
		return checkFolder(f.Dir)
	}
	sink, err := (&sinkOptions{config: c, out: io.Discard, log: newLogger(nil, c)}).open(ctx, text)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		err = errors.Join(err, sink.Close(closing))
	}()
	if checker, ok := sink.(doctor.Checker); ok {
		return checker.Check(ctx)
	}
	return nil
}
