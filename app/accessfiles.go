package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/ascode"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/store"
)

const (
	// fileEvery is how often the files of lending are looked at, and retryEvery how
	// often one that could not be applied is tried again: groups may have no known
	// members until people have signed in.
	fileEvery  = 10 * time.Second
	retryEvery = time.Minute
	maxFile    = 1 << 20
	// firstDiscovery bounds how long flows wait for the resources that they name.
	firstDiscovery = 30 * time.Second

	viaFile = "server"
)

// The facts about files that the store keeps.
const (
	flowsKey        = "access.flows_file"
	integrationsKey = "access.integrations_file"
)

// lendingFile is a file that lending is set up by.
type lendingFile struct {
	setting string // its name
	path    string
	key     string
	apply   func(ctx context.Context, text []byte, changed bool) error
	read    func() ([]byte, error)

	done   string    // digest of what was applied, or seen to be in force, by this process
	tried  string    // digest of what was tried last
	failed string    // the error of the last failure
	next   time.Time // of the next try after it
}

// lendingFiles keep lending as its files say. A file that cannot be used changes
// nothing: what was in force holds on, and above all access goes on being taken back.
type lendingFiles struct {
	desk     *access.Desk
	settings store.Settings
	log      *slog.Logger
	clock    func() time.Time
	files    []*lendingFile
	ready    func(ctx context.Context) error // waits for what files rest on; nil: nothing
}

func newLendingFiles(d *access.Desk, s store.Settings, log *slog.Logger) *lendingFiles {
	return &lendingFiles{desk: d, settings: s, log: log, clock: time.Now}
}

// add has a file applied. Those that are added first are applied first.
func (l *lendingFiles) add(setting, path string, read func() ([]byte, error)) {
	f := &lendingFile{setting: setting, path: path, read: read}
	if read == nil {
		f.read = func() ([]byte, error) { return readSmallFile(path) }
	}
	switch setting {
	case "flows_file":
		f.key = flowsKey
		f.apply = func(ctx context.Context, text []byte, changed bool) error { return l.applyFlows(ctx, f, text, changed) }
	default:
		f.key = integrationsKey
		f.apply = func(ctx context.Context, text []byte, changed bool) error {
			return l.applyIntegrations(ctx, f, text, changed)
		}
	}
	l.files = append(l.files, f)
}

func readSmallFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return text, err
}

// run looks at the files until ctx is done.
func (l *lendingFiles) run(ctx context.Context) error {
	if l.ready != nil && len(l.files) > 0 {
		if err := l.ready(ctx); err != nil && ctx.Err() == nil {
			l.log.WarnContext(ctx, "waiting for the estate", "error", err)
		}
	}
	// Flows are checked against the resources of integrations, so these come first. But
	// an integration whose target does not answer holds no rule up for long.
	var following sync.WaitGroup
	defer following.Wait()
	for _, f := range l.files {
		looked := make(chan struct{})
		following.Go(func() {
			tick := time.NewTicker(fileEvery)
			defer tick.Stop()
			for first := true; ctx.Err() == nil; first = false {
				l.lookAt(ctx, f)
				if first {
					close(looked)
				}
				select {
				case <-ctx.Done():
				case <-tick.C:
				}
			}
		})
		patience := time.NewTimer(fileEvery)
		select {
		case <-looked:
		case <-patience.C:
		case <-ctx.Done():
		}
		patience.Stop()
	}
	// Where there are no files it must not end either: the server ends with a service.
	<-ctx.Done()
	return nil
}

// look looks at all files once.
func (l *lendingFiles) look(ctx context.Context) {
	for _, f := range l.files {
		l.lookAt(ctx, f)
	}
}

// lookAt applies a file that has changed, or that failed and is due again.
func (l *lendingFiles) lookAt(ctx context.Context, f *lendingFile) {
	err := l.applyFile(ctx, f)
	if err == nil || ctx.Err() != nil {
		return
	}
	said := f.failed
	if f.failed = err.Error(); f.failed != said {
		l.log.ErrorContext(ctx, "a file that lending is set up by cannot be used; what was in force holds on, and it is tried again",
			"setting", f.setting, "file", f.path, "error", err)
	}
	f.next = l.clock().Add(retryEvery)
}

// appliedFile is what the store remembers of a file.
type appliedFile struct {
	Digest string `json:"digest"`
}

func (l *lendingFiles) applyFile(ctx context.Context, f *lendingFile) error {
	text, err := f.read()
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	digest := hex.EncodeToString(sum[:])
	switch {
	case f.done == digest:
		f.failed = ""
		return nil
	case f.tried == digest && f.failed != "" && l.clock().Before(f.next):
		return nil
	}
	f.tried = digest
	var was appliedFile
	kept, err := l.settings.Setting(ctx, f.key)
	if err != nil {
		return err
	}
	if kept != "" {
		if err := json.Unmarshal([]byte(kept), &was); err != nil {
			return fmt.Errorf("what is known of the file before cannot be read: %w", err)
		}
	}
	if err := f.apply(ctx, text, was.Digest != digest); err != nil {
		return err
	}
	f.done, f.failed = digest, ""
	if was.Digest == digest {
		return nil
	}
	now, err := json.Marshal(appliedFile{Digest: digest})
	if err != nil {
		return err
	}
	return l.settings.SetSetting(ctx, f.key, string(now))
}

// by is who applies a file: whoever may write it, which only the machine knows.
func (f *lendingFile) by() flow.Person {
	return flow.Person{ID: f.setting, Name: "the file " + f.path, Admin: true}
}

// applyFlows makes the text the flows in force if the file has changed since it was last
// applied. The file is the whole: what it does not name is removed. If it is as it was,
// what was changed elsewhere since stays and is told.
func (l *lendingFiles) applyFlows(ctx context.Context, f *lendingFile, text []byte, changed bool) error {
	a := access.Flowing{Text: string(text), Prune: true, By: f.by(), Via: viaFile, Source: "file", DryRun: !changed}
	plan, err := l.desk.ApplyFlows(ctx, a)
	if err != nil {
		return err
	}
	if plan.HasErrors() && changed {
		return planError(plan)
	}
	for _, p := range plan.Problems {
		if changed {
			l.log.WarnContext(ctx, "about the flows of the file", "file", f.path, "problem", problemText(&p))
		}
	}
	for _, d := range plan.Drift {
		about := []any{"kind", d.Kind, "name", d.Name, "what", d.What, "file", f.path}
		if changed {
			l.log.WarnContext(ctx, "something was changed since the file was applied, and the file has undone that", about...)
			continue
		}
		l.log.WarnContext(ctx, "something is not as the file says, and stays so until the file changes or is applied", about...)
	}
	if changed && plan.Version > 0 {
		l.log.InfoContext(ctx, "the flows of the file are in force", "file", f.path, "version", plan.Version)
	}
	return nil
}

// planError names all that keeps flows from being applied.
func planError(plan *access.FlowPlan) error {
	var errs []error
	for i := range plan.Problems {
		if p := &plan.Problems[i]; !p.Warning {
			errs = append(errs, errors.New(problemText(p)))
		}
	}
	return errors.Join(errs...)
}

func problemText(p *access.FlowProblem) string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d, column %d: ", p.Line, p.Column)
	}
	switch {
	case p.Flow != "":
		fmt.Fprintf(&b, "flow %q: ", p.Flow)
	case p.Bundle != "":
		fmt.Fprintf(&b, "bundle %q: ", p.Bundle)
	}
	if p.Path != "" && p.Line == 0 {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString(" (" + p.Hint + ")")
	}
	return b.String()
}

// applyIntegrations adds and changes the integrations of the file. Those that it does
// not name any more stay, for grants may live on them, until somebody removes them.
func (l *lendingFiles) applyIntegrations(ctx context.Context, f *lendingFile, text []byte, changed bool) error {
	code, err := ascode.ParseYAML(text)
	if err != nil {
		return err
	}
	if code.Flows != nil && len(code.Flows.Flows)+len(code.Flows.Bundles) > 0 {
		return errors.New("it holds flows; they belong into flows_file")
	}
	have, err := l.desk.Integrations(ctx, f.by())
	if err != nil {
		return err
	}
	before := map[string]*access.Integration{}
	for _, v := range have {
		before[v.Name] = &v.Integration
	}
	var errs []error
	named := map[string]bool{}
	for i := range code.Integrations {
		in := &code.Integrations[i]
		named[in.Name] = true
		was, version := before[in.Name], int64(0)
		switch {
		case was == nil:
		case sameIntegration(was, in):
			continue
		default:
			version = was.Version
		}
		if !changed && was != nil {
			l.log.WarnContext(ctx, "an integration is not as the file says, and stays so until the file changes", "integration", in.Name, "file", f.path)
			continue
		}
		saved, err := l.desk.SaveIntegration(ctx, in, f.by(), version, viaFile)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		l.log.InfoContext(ctx, "an integration of the file was saved", "integration", in.Name, "version", saved.Version, "file", f.path, "checks_pass", saved.Health.OK())
		l.discover(ctx, f, saved)
	}
	for name := range before {
		if !named[name] {
			l.log.InfoContext(ctx, "an integration is not in the file; it stays until somebody removes it", "integration", name, "file", f.path)
		}
	}
	return errors.Join(errs...)
}

// discover reads the resources of an integration that was never read, so that the flows
// that come next are checked against something.
func (l *lendingFiles) discover(ctx context.Context, f *lendingFile, i *access.Integration) {
	if !i.Health.DiscoveredAt.IsZero() {
		return
	}
	bound, cancel := context.WithTimeout(ctx, firstDiscovery)
	defer cancel()
	if _, err := l.desk.DiscoverNow(bound, i.Name, f.by(), viaFile); err != nil && ctx.Err() == nil {
		l.log.WarnContext(ctx, "the resources of a new integration could not be read yet; it is tried again", "integration", i.Name, "error", err)
	}
}

// sameIntegration compares what people set.
func sameIntegration(a, b *access.Integration) bool {
	x, y := *a, *b
	x.Version, y.Version = 0, 0
	x.Health, y.Health = access.Health{}, access.Health{}
	// Empty and absent are one: the store and YAML write them differently.
	for _, i := range []*access.Integration{&x, &y} {
		if len(i.ResourceTypes) == 0 {
			i.ResourceTypes = nil
		}
		if len(i.Config) == 0 {
			i.Config = nil
		}
		if len(i.Owner) == 0 {
			i.Owner = nil
		}
	}
	return reflect.DeepEqual(x, y)
}
