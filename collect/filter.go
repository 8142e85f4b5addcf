package collect

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// FilterConfig says which calls are handed on. Each list holds patterns; one
// with "!" before it excludes. A call passes a list if no exclusion fits it and,
// where the list has other patterns too, one of those does. What the logs do not
// tell never drops a call: one without a known status passes every list of
// statuses.
type FilterConfig struct {
	// APITypes are REST, HTTP and WEBSOCKET, in any case.
	APITypes []string
	// APIs are API ids, or API/STAGE for one stage of an API.
	APIs []string
	// Stages are names of stages.
	Stages []string
	// Methods are HTTP methods, in any case.
	Methods []string
	// Paths fit the path as it was called, without the stage, or the route
	// template: "/health" exactly, "/static/" all below it, "*" within a segment,
	// "**" over segments, "?" one character.
	Paths []string
	// Status are codes (404) and classes (5xx).
	Status []string
	// ContentTypes fit the media type of the response: "application/json",
	// "text/*", or a word of the subtype, such as "json", which fits
	// application/problem+json too.
	ContentTypes []string
	// StaticExtensions drop the calls whose path ends with one of them: "css" or
	// ".css". They are never exclusions.
	StaticExtensions []string
	// Restriction is what is read at all; it is asked because log groups may be
	// shared by stages that are to be read and others.
	Restriction Restriction
	// SampleRate is the share of calls to keep, more than 0 and at most 1; 0 keeps
	// all. Which calls are kept follows from their ids, so a call that is read
	// again, by this or another collector, has the same fate.
	SampleRate float64
}

// Filter decides which calls are handed on. It is compiled once and safe for
// concurrent use. A nil Filter keeps all.
type Filter struct {
	rules []*filterRule
}

// filterRule is one setting of a Filter.
type filterRule struct {
	name    string
	passes  func(*transaction.Transaction) bool
	dropped atomic.Int64
}

// NewFilter compiles a Filter. Its errors name the setting and the pattern that
// cannot be used.
func NewFilter(cfg FilterConfig) (*Filter, error) {
	f := &Filter{}
	var errs []error
	add := func(name string, patterns []string, compile func([]string) (func(*transaction.Transaction) bool, error)) {
		if len(patterns) == 0 {
			return
		}
		passes, err := compile(patterns)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			return
		}
		f.rules = append(f.rules, &filterRule{name: name, passes: passes})
	}
	if len(cfg.Restriction.APITypes)+len(cfg.Restriction.APIs) > 0 {
		f.rules = append(f.rules, &filterRule{name: "restriction", passes: cfg.Restriction.keeps})
	}
	add("filter_api_types", cfg.APITypes, byAPIType)
	add("filter_apis", cfg.APIs, byAPI)
	add("filter_stages", cfg.Stages, byStage)
	add("filter_methods", cfg.Methods, byMethod)
	add("filter_paths", cfg.Paths, byPath)
	add("filter_static_extensions", cfg.StaticExtensions, byExtension)
	add("filter_status", cfg.Status, byStatus)
	add("filter_content_types", cfg.ContentTypes, byContentType)
	switch rate := cfg.SampleRate; {
	case rate == 0 || rate == 1:
	case rate > 0 && rate < 1:
		f.rules = append(f.rules, &filterRule{name: "filter_sample_rate", passes: bySample(rate)})
	default:
		errs = append(errs, fmt.Errorf("filter_sample_rate: %v is not a share above 0 and up to 1", rate))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return f, nil
}

// Drops returns the name of the rule that drops the call, or "" for a call that
// is kept, and counts it.
func (f *Filter) Drops(t *transaction.Transaction) string {
	if f == nil {
		return ""
	}
	for _, r := range f.rules {
		if !r.passes(t) {
			r.dropped.Add(1)
			return r.name
		}
	}
	return ""
}

// Health tells what each rule did.
func (f *Filter) Health() []FilterHealth {
	if f == nil {
		return []FilterHealth{}
	}
	h := make([]FilterHealth, len(f.rules))
	for i, r := range f.rules {
		h[i] = FilterHealth{Rule: r.name, Calls: r.dropped.Load()}
	}
	return h
}

// split parts exclusions from the other patterns.
func split(patterns []string) (only, not []string, err error) {
	for _, p := range patterns {
		rest, excludes := strings.CutPrefix(strings.TrimSpace(p), "!")
		switch {
		case rest == "":
			return nil, nil, fmt.Errorf("%q is not a pattern", p)
		case excludes:
			not = append(not, rest)
		default:
			only = append(only, rest)
		}
	}
	return only, not, nil
}

// words is a list of patterns that fit by equality.
type words struct{ only, not []string }

// newWords compiles a list, each pattern as read makes it.
func newWords(patterns []string, read func(string) (string, error)) (words, error) {
	only, not, err := split(patterns)
	if err != nil {
		return words{}, err
	}
	for _, list := range [][]string{only, not} {
		for i, p := range list {
			if list[i], err = read(p); err != nil {
				return words{}, err
			}
		}
	}
	return words{only, not}, nil
}

// passes asks about a value, which may be unknown.
func (w *words) passes(value string) bool {
	return value == "" || !slices.Contains(w.not, value) && (len(w.only) == 0 || slices.Contains(w.only, value))
}

func asItIs(p string) (string, error) { return p, nil }

func readAPIType(p string) (string, error) {
	t := transaction.APIType(strings.ToUpper(p))
	switch t {
	case transaction.REST, transaction.HTTP, transaction.WebSocket:
		return string(t), nil
	}
	return "", fmt.Errorf("%q is none of REST, HTTP, WEBSOCKET", p)
}

func byAPIType(patterns []string) (func(*transaction.Transaction) bool, error) {
	w, err := newWords(patterns, readAPIType)
	return func(t *transaction.Transaction) bool { return w.passes(string(t.APIType)) }, err
}

// readAPI accepts API and API/STAGE.
func readAPI(p string) (string, error) {
	id, stage, cut := strings.Cut(p, "/")
	if id == "" || cut && (stage == "" || strings.Contains(stage, "/")) {
		return "", fmt.Errorf("%q is neither an API's id nor API/STAGE", p)
	}
	return p, nil
}

func byAPI(patterns []string) (func(*transaction.Transaction) bool, error) {
	w, err := newWords(patterns, readAPI)
	return func(t *transaction.Transaction) bool {
		if t.APIID == "" {
			return true
		}
		fits := func(p string) bool { return namesStage(p, t.APIID, t.Stage) }
		return !slices.ContainsFunc(w.not, fits) && (len(w.only) == 0 || slices.ContainsFunc(w.only, fits))
	}, err
}

// namesStage reports whether p is API, or API/STAGE, of a stage.
func namesStage(p, id, stage string) bool {
	rest, ok := strings.CutPrefix(p, id)
	return ok && (rest == "" || rest[0] == '/' && rest[1:] == stage)
}

func byStage(patterns []string) (func(*transaction.Transaction) bool, error) {
	w, err := newWords(patterns, asItIs)
	return func(t *transaction.Transaction) bool { return w.passes(t.Stage) }, err
}

func byMethod(patterns []string) (func(*transaction.Transaction) bool, error) {
	w, err := newWords(patterns, func(p string) (string, error) { return strings.ToUpper(p), nil })
	return func(t *transaction.Transaction) bool { return w.passes(strings.ToUpper(t.Method)) }, err
}

func byPath(patterns []string) (func(*transaction.Transaction) bool, error) {
	only, not, err := split(patterns)
	if err != nil {
		return nil, err
	}
	globs := func(patterns []string) ([]pathGlob, error) {
		list := make([]pathGlob, len(patterns))
		for i, p := range patterns {
			if list[i], err = newPathGlob(p); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	include, err := globs(only)
	if err != nil {
		return nil, err
	}
	exclude, err := globs(not)
	if err != nil {
		return nil, err
	}
	return func(t *transaction.Transaction) bool {
		if t.Path == "" && t.Route == "" {
			return true
		}
		fits := func(g pathGlob) bool {
			return t.Path != "" && g.matches(t.Path) || t.Route != "" && g.matches(t.Route)
		}
		return !slices.ContainsFunc(exclude, fits) && (len(include) == 0 || slices.ContainsFunc(include, fits))
	}, nil
}

// byExtension reads only the last segment of the path: a dot further left is no
// extension.
func byExtension(patterns []string) (func(*transaction.Transaction) bool, error) {
	extensions := make([]string, len(patterns))
	for i, p := range patterns {
		e := strings.ToLower(strings.TrimPrefix(strings.TrimSpace(p), "."))
		if e == "" || strings.ContainsAny(e, "/!*?") {
			return nil, fmt.Errorf("%q is not a file extension such as css", p)
		}
		extensions[i] = "." + e
	}
	return func(t *transaction.Transaction) bool {
		file := t.Path[strings.LastIndexByte(t.Path, '/')+1:]
		return !slices.ContainsFunc(extensions, func(e string) bool { return hasSuffixFold(file, e) })
	}, nil
}

func hasSuffixFold(s, suffix string) bool {
	return len(s) >= len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}

func byStatus(patterns []string) (func(*transaction.Transaction) bool, error) {
	only, not, err := split(patterns)
	if err != nil {
		return nil, err
	}
	var include, exclude [1000]bool
	for _, p := range only {
		if err := markStatus(&include, p); err != nil {
			return nil, err
		}
	}
	for _, p := range not {
		if err := markStatus(&exclude, p); err != nil {
			return nil, err
		}
	}
	return func(t *transaction.Transaction) bool {
		if t.Response == nil || t.Response.Status <= 0 || t.Response.Status >= len(include) {
			return true
		}
		return !exclude[t.Response.Status] && (len(only) == 0 || include[t.Response.Status])
	}, nil
}

// markStatus marks the statuses of a pattern: 404, or 4xx.
func markStatus(marks *[1000]bool, p string) error {
	bad := fmt.Errorf("%q is neither a status such as 404 nor a class such as 4xx", p)
	if len(p) != 3 || p[0] < '1' || p[0] > '9' {
		return bad
	}
	first := int(p[0]-'0') * 100
	if strings.EqualFold(p[1:], "xx") {
		for i := range 100 {
			marks[first+i] = true
		}
		return nil
	}
	if p[1] < '0' || p[1] > '9' || p[2] < '0' || p[2] > '9' {
		return bad
	}
	marks[first+int(p[1]-'0')*10+int(p[2]-'0')] = true
	return nil
}

func byContentType(patterns []string) (func(*transaction.Transaction) bool, error) {
	only, not, err := split(patterns)
	if err != nil {
		return nil, err
	}
	for _, list := range [][]string{only, not} {
		for i, p := range list {
			list[i] = strings.ToLower(p)
			if strings.Count(p, "/") > 1 || strings.ContainsAny(p, "; ") {
				return nil, fmt.Errorf("%q is not a media type such as application/json, text/* or json", p)
			}
		}
	}
	return func(t *transaction.Transaction) bool {
		kind := contentType(t)
		if kind == "" {
			return true
		}
		fits := func(p string) bool { return fitsMediaType(p, kind) }
		return !slices.ContainsFunc(not, fits) && (len(only) == 0 || slices.ContainsFunc(only, fits))
	}, nil
}

// contentType is the media type of the response, or "".
func contentType(t *transaction.Transaction) string {
	if t.Response == nil {
		return ""
	}
	values := t.Response.Headers["content-type"]
	if len(values) == 0 {
		return ""
	}
	kind, _, _ := strings.Cut(values[0], ";")
	return strings.TrimSpace(kind)
}

// fitsMediaType compares without regard to case; the pattern is in lower case.
func fitsMediaType(p, kind string) bool {
	whole, sub, cut := strings.Cut(p, "/")
	if !cut {
		_, subtype, _ := strings.Cut(kind, "/")
		for part := range strings.FieldsFuncSeq(subtype, func(r rune) bool { return r == '+' || r == '.' || r == '-' }) {
			if strings.EqualFold(part, p) {
				return true
			}
		}
		return false
	}
	if sub == "*" {
		major, _, _ := strings.Cut(kind, "/")
		return whole == "*" || strings.EqualFold(major, whole)
	}
	return strings.EqualFold(kind, p)
}

// bySample keeps the calls whose id has a digest below the rate.
func bySample(rate float64) func(*transaction.Transaction) bool {
	limit := uint64(rate * (1 << 53))
	return func(t *transaction.Transaction) bool { return xxhash.Sum64String(t.ID)>>11 < limit }
}
