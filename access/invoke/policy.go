package invoke

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// maxSessionPolicy is the longest inline session policy, in characters.
const maxSessionPolicy = 2048

// Why a session policy cannot be had. Access is never widened instead.
var (
	errTooLong = errors.New("what you hold does not fit into one session's policy; name one grant: gatehouse access creds INTEGRATION --grant ID")
	errInexact = errors.New("what you hold cannot be said exactly in one policy of IAM; name one grant: gatehouse access creds INTEGRATION --grant ID")
)

// sessionPolicy is the least policy that allows the rights until end.
type sessionPolicy struct {
	text string
	// narrowed are routes that other lent routes' requests may be taken for, so that a
	// few of their requests are denied: "/pets/a/b/x" of /pets/{proxy+} beside a route
	// /pets/{id}/x that is not lent.
	narrowed []string
}

// writer writes the session policy of one person.
type writer struct {
	settings  *settings
	partition string
	apis      map[string]*estate.API
	rights    []right
	end       time.Time

	allow    map[string][]string // resources by action
	deny     []string
	narrowed []string
}

func (w *writer) arn(api, rest string) string {
	return "arn:" + w.partition + ":execute-api:" + w.settings.region + ":" + w.settings.account + ":" + api + "/" + rest
}

// write writes the policy and proves it.
func (w *writer) write() (*sessionPolicy, error) {
	w.allow = map[string][]string{}
	for i := range w.rights {
		r := &w.rights[i]
		w.allow[r.action] = append(w.allow[r.action], w.arn(r.api, r.resource()))
	}
	lent := w.lentRoutes()
	for _, place := range sortedKeys(lent) {
		if err := w.denyOthers(place, lent[place]); err != nil {
			return nil, err
		}
	}
	text := w.text()
	if utf8.RuneCountInString(text) > maxSessionPolicy {
		return nil, fmt.Errorf("%w (it would have %d characters, and AWS takes %d)", errTooLong, utf8.RuneCountInString(text), maxSessionPolicy)
	}
	p := &sessionPolicy{text: text, narrowed: w.narrowed}
	return p, w.prove(p, lent)
}

type place struct{ api, stage string }

func (p place) String() string { return p.api + "/" + p.stage }

// lentRoutes are the routes of REST and HTTP APIs that are lent one by one.
func (w *writer) lentRoutes() map[place][]template {
	out := map[place][]template{}
	for i := range w.rights {
		if r := &w.rights[i]; strings.Contains(r.route, "/") {
			at := place{r.api, r.stage}
			out[at] = append(out[at], r.template(w.kind(r.api)))
		}
	}
	return out
}

func (w *writer) kind(api string) transaction.APIType {
	if a := w.apis[api]; a != nil {
		return a.Type
	}
	return transaction.REST
}

// routesOf are the routes of an API of which IAM has a say, and all of them.
func routesOf(a *estate.API) (guarded, all []template) {
	for i := range a.Routes {
		t := newTemplate(a.Type, a.Routes[i].Method, a.Routes[i].Path)
		all = append(all, t)
		// Nobody is kept out of, or let into, the others by an IAM policy of the caller's.
		if auth := a.Routes[i].Authorization; auth == "" || auth == authIAM {
			guarded = append(guarded, t)
		}
	}
	return guarded, all
}

// denyOthers denies what the patterns of lent routes match beyond them.
func (w *writer) denyOthers(at place, lent []template) error {
	varying := slices.ContainsFunc(lent, func(t template) bool { return strings.Contains(t.glob(), "*") })
	if !varying {
		return nil
	}
	a := w.apis[at.api]
	if a == nil || a.RoutesPartial {
		return fmt.Errorf("the routes of API %s are not all known, so a route of it cannot be told from others; let the estate be discovered, or ask for the stage", at.api)
	}
	guarded, _ := routesOf(a)
	others := slices.DeleteFunc(guarded, func(t template) bool {
		return slices.ContainsFunc(lent, func(l template) bool { return l.String() == t.String() })
	})
	f := &fence{lent: lent, others: others}
	for i := range lent {
		if err := f.around(&lent[i]); err != nil {
			return fmt.Errorf("%w: %s of %s, %w", errInexact, lent[i].String(), at, err)
		}
	}
	for _, d := range f.deny {
		// A Deny may say less of where it is: nothing else is allowed that it could hit.
		w.deny = append(w.deny, "arn:"+w.partition+":execute-api:*:*:"+at.api+"/"+at.stage+"/"+d)
	}
	w.narrowed = append(w.narrowed, f.narrowed...)
	return nil
}

// fence finds what to deny around lent routes of one stage.
type fence struct {
	lent, others []template
	deny         []string
	narrowed     []string
}

// around denies what the glob of one lent route lets in of others.
func (f *fence) around(l *template) error {
	var open []string // what the glob matches beyond the route and cannot be denied as such
	for _, stray := range l.strays() {
		if f.hits(stray) {
			open = append(open, stray)
		} else {
			f.add(stray)
		}
	}
	for i := range f.others {
		s := &f.others[i]
		void := reached(l.voids(), s)
		if s.fallback {
			// What no other route takes goes there: only what is denied as such is kept out.
			if len(open) > 0 {
				return fmt.Errorf("for %s takes what other routes do not", s.String())
			}
			for _, v := range void {
				if !f.hits(v) {
					f.add(v)
				}
			}
			continue
		}
		if len(void) == 0 && len(reached(open, s)) == 0 && (!s.precedes(l) || !overlap(l.tokens(), s.tokens())) {
			continue
		}
		if err := f.shut(l, s); err != nil {
			return err
		}
	}
	return nil
}

// reached are the patterns that match requests of a route.
func reached(patterns []string, s *template) []string {
	var out []string
	for _, p := range patterns {
		if overlap(globTokens(p), s.tokens()) {
			out = append(out, p)
		}
	}
	return out
}

// shut denies another route, as far as the glob of l lets it in.
func (f *fence) shut(l, s *template) error {
	narrow := *s
	if s.method == methodAny && l.method != methodAny {
		narrow.method = l.method
	}
	d := narrow.glob()
	for i := range f.lent {
		other := &f.lent[i]
		if !overlap(globTokens(d), other.tokens()) {
			continue
		}
		if !s.precedes(other) {
			return fmt.Errorf("for %s cannot be kept out without %s", s.String(), other.String())
		}
		if len(reached(narrow.strays(), other))+len(reached(narrow.voids(), other)) > 0 {
			f.narrowed = append(f.narrowed, other.String())
		}
	}
	f.add(d)
	return nil
}

// hits reports whether a pattern matches requests of a lent route.
func (f *fence) hits(pattern string) bool {
	return slices.ContainsFunc(f.lent, func(t template) bool { return overlap(globTokens(pattern), t.tokens()) })
}

func (f *fence) add(pattern string) {
	if slices.ContainsFunc(f.deny, func(d string) bool { return globCovers(d, pattern) }) {
		return
	}
	f.deny = append(slices.DeleteFunc(f.deny, func(d string) bool { return globCovers(pattern, d) }), pattern)
}

// globCovers reports whether a pattern matches the text of another with its stars: then
// it matches all that the other does.
func globCovers(pattern, text string) bool { return overlap(globTokens(pattern), literals(text)) }

// statement is a statement as it is written, without anything that can be left out.
type statement struct {
	Effect      string
	Action      iam.Strings `json:",omitempty"`
	NotAction   iam.Strings `json:",omitempty"`
	Resource    iam.Strings `json:",omitempty"`
	NotResource iam.Strings `json:",omitempty"`
	Condition   conditions  `json:",omitempty"`
}

type conditions map[string]map[string]iam.Strings

// text denies whatever is not lent, in place of being silent about it: a resource policy
// that lets in everybody lets in sessions of its own account too, whatever their session
// policies are silent about. What no resource policy can give need not be denied so.
func (w *writer) text() string {
	var actions iam.Strings
	var statements []statement
	if invoke := w.allow[actionInvoke]; len(invoke) > 0 {
		actions = append(actions, actionInvoke)
		statements = append(statements,
			statement{Effect: "Allow", Action: iam.Strings{actionInvoke}, Resource: w.stages()},
			statement{Effect: "Deny", Action: iam.Strings{actionInvoke}, NotResource: invoke})
	}
	if manage := w.allow[actionManage]; len(manage) > 0 {
		// WebSocket APIs have no resource policies.
		actions = append(actions, actionManage)
		statements = append(statements, statement{Effect: "Allow", Action: iam.Strings{actionManage}, Resource: manage})
	}
	statements = append(statements, statement{Effect: "Deny", NotAction: actions, Resource: iam.Strings{"*"}})
	if len(w.deny) > 0 {
		slices.Sort(w.deny)
		statements = append(statements, statement{Effect: "Deny", Action: iam.Strings{actionInvoke}, Resource: slices.Compact(w.deny)})
	}
	return document(append(statements, statement{
		Effect: "Deny", Action: iam.Strings{"*"}, Resource: iam.Strings{"*"}, Condition: conditions{"DateGreaterThanEquals": {"aws:CurrentTime": {stamp(w.end)}}},
	}))
}

// stages are the stages that the rights to call are of. The exact resources stand once
// alone, where the rest is denied.
func (w *writer) stages() iam.Strings {
	var out iam.Strings
	for i := range w.rights {
		r := &w.rights[i]
		if r.action != actionInvoke {
			continue
		}
		stage := r.stage
		if stage != "" {
			stage += "/"
		}
		if arn := w.arn(r.api, stage+"*"); !slices.Contains(out, arn) {
			out = append(out, arn)
		}
	}
	return out
}

func document(statements []statement) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	//nolint:errchkjson // texts cannot fail
	_ = e.Encode(struct {
		Version   string
		Statement []statement
	}{iam.Version2012, statements})
	return strings.TrimSpace(b.String())
}

// stamp is a time in policies. Part of a second is cut off: what ends never ends later.
func stamp(t time.Time) string { return t.UTC().Truncate(time.Second).Format("2006-01-02T15:04:05Z") }

// prove evaluates the policy against every known route of the stages with lent routes.
// What is allowed and not lent is a mistake of ours, and must not go out.
func (w *writer) prove(p *sessionPolicy, lent map[place][]template) error {
	compiled, err := iam.ParseAndCompile(iam.KindSession, []byte(p.text))
	if err != nil {
		return fmt.Errorf("the session policy cannot be read back: %w", err)
	}
	// Without the session policy the role may do anything, and a resource policy lets in
	// everybody, so the session policy decides.
	policies := iam.Policies{Identity: []iam.Attached{{Name: "all", Policy: everything}}, Resource: iam.Attached{Name: "everybody", Policy: everybody}, Session: []iam.Attached{{Name: "session", Policy: compiled}}}
	who, err := iam.ParsePrincipal("arn:" + w.partition + ":sts::" + w.settings.account + ":assumed-role/invoker/proof")
	if err != nil {
		return err
	}
	for at, routes := range lent {
		a := w.apis[at.api]
		if a == nil {
			continue
		}
		_, all := routesOf(a)
		guarded, _ := routesOf(a)
		for i := range guarded {
			for _, request := range guarded[i].samples() {
				n := server(all, request)
				if n < 0 || a.Routes[n].Authorization != "" && a.Routes[n].Authorization != authIAM {
					continue
				}
				q, err := iam.Request{
					Principal: who, Action: actionInvoke, Resource: w.arn(at.api, at.stage+"/"+request), API: iam.API(a.Type),
					Context: iam.Context{"aws:CurrentTime": {stamp(w.end.Add(-time.Second))}},
				}.Prepare()
				if err != nil {
					return fmt.Errorf("proving the session policy: %w", err)
				}
				isLent := slices.ContainsFunc(routes, func(t template) bool { return t.String() == all[n].String() })
				if policies.Decide(q) == iam.Allowed && !isLent {
					return fmt.Errorf("%w: %s of %s would be let in by %s", errInexact, all[n].String(), at, request)
				}
			}
		}
	}
	return nil
}

var (
	everything = mustCompile(iam.KindIdentity, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	everybody  = mustCompile(iam.KindResource, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"execute-api:*","Resource":"*"}]}`)
)

func mustCompile(kind iam.Kind, text string) *iam.Policy {
	p, err := iam.ParseAndCompile(kind, []byte(text))
	if err != nil {
		panic("invoke: " + err.Error())
	}
	return p
}

func sortedKeys[K interface {
	comparable
	fmt.Stringer
}, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b K) int { return strings.Compare(a.String(), b.String()) })
	return keys
}
