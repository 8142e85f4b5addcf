package tail

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// Filter chooses calls; empty fields choose all. Its texts are what a person
// types.
type Filter struct {
	Account string
	Region  string
	APIID   string
	Stage   string
	Method  string // in any case
	// Route is the beginning of the route template, or of the path where no
	// template is known.
	Route string
	// Status is a code ("404"), a class ("4xx"), "error" (400 and above) or
	// "none" (the logs gave no status).
	Status string
	// Caller is a kind of caller ("iam") or a part of who it is: its ARN,
	// account, principal or API key id, in any case.
	Caller string
	// Text is looked for, in any case, in method, path, host, ids, address,
	// agent, caller and error; not in headers and bodies.
	Text string
}

// Match is a compiled Filter. It is safe for concurrent use.
type Match struct {
	Filter
	method   string
	from, to int // statuses, both ends included; 0, 0: all
	unknown  bool
	kind     transaction.CallerKind
	caller   string
	text     string
}

var callerKinds = []transaction.CallerKind{
	transaction.CallerIAM, transaction.CallerLambda, transaction.CallerCognito, transaction.CallerJWT,
	transaction.CallerAPIKey, transaction.CallerAnonymous, transaction.CallerUnknown,
}

// Compile checks a filter and makes it ready. The error says which statuses
// there are.
func (f Filter) Compile() (*Match, error) {
	m := &Match{Filter: f, method: strings.ToUpper(f.Method), text: strings.ToLower(strings.TrimSpace(f.Text))}
	caller := strings.ToLower(strings.TrimSpace(f.Caller))
	if kind := transaction.CallerKind(caller); slices.Contains(callerKinds, kind) {
		m.kind = kind
	} else {
		m.caller = caller
	}
	status := strings.ToLower(strings.TrimSpace(f.Status))
	switch {
	case status == "":
	case status == "error":
		m.from, m.to = 400, 999
	case status == "none":
		m.unknown = true
	case len(status) == 3 && status[1:] == "xx" && status[0] >= '1' && status[0] <= '5':
		m.from = int(status[0]-'0') * 100
		m.to = m.from + 99
	default:
		code, err := strconv.Atoi(status)
		if err != nil || code < 100 || code > 999 {
			return nil, fmt.Errorf("status %q is no code such as 404, no class such as 4xx, and neither error nor none", f.Status)
		}
		m.from, m.to = code, code
	}
	return m, nil
}

// Matches reports whether the filter chooses a call.
func (m *Match) Matches(t *transaction.Transaction) bool {
	is := func(want, got string) bool { return want == "" || want == got }
	if !is(m.Account, t.Account) || !is(m.Region, t.Region) || !is(m.APIID, t.APIID) || !is(m.Stage, t.Stage) || !is(m.method, t.Method) {
		return false
	}
	if m.Route != "" {
		route := t.Route
		if route == "" {
			route = t.Path
		}
		if !strings.HasPrefix(route, m.Route) {
			return false
		}
	}
	if m.unknown || m.from > 0 {
		status := 0
		if t.Response != nil {
			status = t.Response.Status
		}
		if m.unknown != (status == 0) || status < m.from || (m.to > 0 && status > m.to) {
			return false
		}
	}
	return m.matchesCaller(t.Caller) && m.matchesText(t)
}

func (m *Match) matchesCaller(c *transaction.Caller) bool {
	switch {
	case m.kind != "":
		if c == nil || c.Kind == "" {
			return m.kind == transaction.CallerUnknown
		}
		return c.Kind == m.kind
	case m.caller == "":
		return true
	case c == nil:
		return false
	}
	return holds(c.ARN, m.caller) || holds(c.Account, m.caller) || holds(c.Principal, m.caller) || holds(c.APIKeyID, m.caller)
}

func (m *Match) matchesText(t *transaction.Transaction) bool {
	if m.text == "" {
		return true
	}
	for _, s := range [...]string{
		t.Path, t.Route, t.Method, t.RequestID, t.ExtendedRequestID, t.ID, t.Host, t.SourceIP, t.UserAgent, t.APIID, t.ConnectionID,
	} {
		if holds(s, m.text) {
			return true
		}
	}
	if c := t.Caller; c != nil && (holds(c.ARN, m.text) || holds(c.Principal, m.text) || holds(string(c.Kind), m.text)) {
		return true
	}
	if e := t.Error; e != nil && (holds(e.Type, m.text) || holds(e.Message, m.text)) {
		return true
	}
	return t.Integration != nil && (holds(t.Integration.Error, m.text) || holds(t.Integration.URI, m.text))
}

// holds reports whether s holds lower, which is in lower case, in any case of
// ASCII letters. Other letters are compared as they are, which is enough for
// ARNs and paths and needs no memory.
func holds(s, lower string) bool {
	for i := 0; i+len(lower) <= len(s); i++ {
		j := 0
		for j < len(lower) && fold(s[i+j]) == lower[j] {
			j++
		}
		if j == len(lower) {
			return true
		}
	}
	return false
}

func fold(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
