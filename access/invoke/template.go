package invoke

import (
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	methodAny    = "ANY"
	defaultRoute = "$default"
)

// template is a route of a REST or HTTP API: the requests that it takes are METHOD/path,
// as ARNs have them.
type template struct {
	kind     transaction.APIType
	method   string // ANY for all
	segments []string
	// fallback is the route $default of an HTTP API, which takes what no other does.
	fallback bool
}

func newTemplate(kind transaction.APIType, method, path string) template {
	t := template{kind: kind, method: method, fallback: path == defaultRoute}
	if t.fallback {
		t.method = methodAny
		return t
	}
	// The root path has one empty segment: GET/.
	t.segments = strings.Split(strings.TrimPrefix(path, "/"), "/")
	return t
}

func (t *template) path() string {
	if t.fallback {
		return defaultRoute
	}
	return "/" + strings.Join(t.segments, "/")
}

func (t *template) String() string { return t.method + " " + t.path() }

// lendable reports whether the route can be said in an ARN: its literal parts hold no
// character that IAM reads as something else.
func (t *template) lendable() bool {
	if t.fallback || t.method == "" || strings.ContainsAny(t.method, "*?$/{") {
		return false
	}
	for i, s := range t.segments {
		if isParam(s) {
			if isGreedy(s) && i != len(t.segments)-1 {
				return false
			}
			continue
		}
		if strings.ContainsAny(s, "*?${}\"\\") || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return false
		}
	}
	return true
}

func isParam(s string) bool { return len(s) > 2 && s[0] == '{' && s[len(s)-1] == '}' }

func isGreedy(s string) bool { return isParam(s) && s[len(s)-2] == '+' }

// token is one step of a pattern: a byte, or any byte of a class, once or any number of
// times.
type token struct {
	class byte // 0: the literal; classSegment, classAny
	text  byte
	star  bool
}

const (
	classSegment = 1 // all but a slash
	classAny     = 2
)

// tokens are the requests that the route can take.
func (t *template) tokens() []token {
	if t.fallback {
		return []token{{class: classAny, star: true}}
	}
	var out []token
	variable := func(class byte) { out = append(out, token{class: class}, token{class: class, star: true}) }
	if t.method == methodAny {
		variable(classSegment)
	} else {
		out = append(out, literals(t.method)...)
	}
	for _, s := range t.segments {
		out = append(out, token{text: '/'})
		switch {
		case isGreedy(s):
			variable(classAny)
		case isParam(s):
			variable(classSegment)
		default:
			out = append(out, literals(s)...)
		}
	}
	return out
}

func literals(s string) []token {
	out := make([]token, len(s))
	for i := range len(s) {
		out[i] = token{text: s[i]}
	}
	return out
}

// globTokens are what a pattern of IAM matches.
func globTokens(glob string) []token {
	out := make([]token, len(glob))
	for i := range len(glob) {
		switch glob[i] {
		case '*':
			out[i] = token{class: classAny, star: true}
		case '?':
			out[i] = token{class: classAny}
		default:
			out[i] = token{text: glob[i]}
		}
	}
	return out
}

// overlap reports whether some text is matched by both patterns.
func overlap(a, b []token) bool {
	// at[j] says that the first i tokens of a and j of b can be matched by one text.
	at, next := make([]bool, len(b)+1), make([]bool, len(b)+1)
	at[0] = true
	for i := 0; ; i++ {
		clear(next)
		for j := 0; j <= len(b); j++ {
			if !at[j] {
				continue
			}
			if j < len(b) && b[j].star {
				at[j+1] = true // b's star has had enough
			}
			if i == len(a) {
				continue
			}
			if a[i].star {
				next[j] = true // a's star has had enough
			}
			if j == len(b) || !meet(a[i], b[j]) {
				continue
			}
			switch {
			case a[i].star && b[j].star: // nothing new
			case a[i].star:
				at[j+1] = true
			case b[j].star:
				next[j] = true
			default:
				next[j+1] = true
			}
		}
		if i == len(a) {
			return at[len(b)]
		}
		at, next = next, at
	}
}

func meet(a, b token) bool {
	switch {
	case a.class == 0 && b.class == 0:
		return a.text == b.text
	case a.class == 0:
		return b.class == classAny || a.text != '/'
	case b.class == 0:
		return a.class == classAny || b.text != '/'
	default:
		return true
	}
}

// glob is the route as a pattern of IAM, with "*" for whatever varies. Of a route that
// cannot be said exactly it is a wider one, which is good enough to deny it.
func (t *template) glob() string { return t.globWith(-1, "") }

// globWith has something else in the place of one varying element: 0 is the method.
func (t *template) globWith(at int, instead string) string {
	if t.fallback {
		return "*"
	}
	element := func(i int, text string) string {
		if i == at {
			return instead
		}
		return text
	}
	parts := make([]string, 1, len(t.segments)+1)
	parts[0] = t.method
	if t.method == methodAny {
		parts[0] = element(0, "*")
	}
	for i, s := range t.segments {
		if isParam(s) {
			s = element(i+1, "*")
		} else {
			s = strings.NewReplacer("*", "?", "$", "?").Replace(s)
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, "/")
}

// strays are patterns of what the glob matches beyond the route because "*" takes
// slashes; each request with more segments than the route has is in one of them, and
// none that the route takes is.
func (t *template) strays() []string { return t.variations("*/*") }

// voids are what the glob matches beyond the route because "*" takes nothing at all.
func (t *template) voids() []string { return t.variations("") }

func (t *template) variations(instead string) []string {
	var out []string
	if t.method == methodAny && instead != "" {
		out = append(out, t.globWith(0, instead))
	}
	for i, s := range t.segments {
		if isParam(s) && (instead == "" || !isGreedy(s)) {
			out = append(out, t.globWith(i+1, instead))
		}
	}
	return out
}

// precedes reports whether a request that both routes can take goes to t and not to s.
// A REST API chooses the resource position by position, a literal segment before a
// parameter before {proxy+}, and then the method. An HTTP API tries routes without
// {proxy+} first.
func (t *template) precedes(s *template) bool {
	switch {
	case t.fallback || s.fallback:
		return s.fallback && !t.fallback
	case t.kind == transaction.HTTP && t.greedy() != s.greedy():
		return s.greedy()
	}
	for i := range min(len(t.segments), len(s.segments)) {
		if a, b := weight(t.segments[i]), weight(s.segments[i]); a != b {
			return a > b
		}
	}
	if len(t.segments) != len(s.segments) {
		return len(t.segments) > len(s.segments)
	}
	return t.method != methodAny && s.method == methodAny
}

func (t *template) greedy() bool { return slices.ContainsFunc(t.segments, isGreedy) }

func weight(segment string) int {
	switch {
	case isGreedy(segment):
		return 0
	case isParam(segment):
		return 1
	default:
		return 2
	}
}

// samples are requests that the route can take, as METHOD/path.
func (t *template) samples() []string {
	if t.fallback {
		return []string{"GET/", "POST/zz/zz", "GET/zz/zz/zz/zz"}
	}
	methods := []string{t.method}
	if t.method == methodAny {
		methods = []string{"GET", "POST", "OPTIONS"}
	}
	var out []string
	for _, m := range methods {
		for _, value := range []string{"1", "zz-_.~"} {
			path := m
			deep := ""
			for _, s := range t.segments {
				path += "/"
				switch {
				case isGreedy(s):
					deep = path + value + "/" + value + "/x"
					path += value
				case isParam(s):
					path += value
				default:
					path += s
				}
			}
			if out = append(out, path); deep != "" {
				out = append(out, deep)
			}
		}
	}
	return out
}

// takes reports whether the route can take a request.
func (t *template) takes(request string) bool { return overlap(t.tokens(), literals(request)) }

// server is the index of the route that a request goes to, or -1.
func server(routes []template, request string) int {
	best := -1
	for i := range routes {
		if routes[i].takes(request) && (best < 0 || routes[i].precedes(&routes[best])) {
			best = i
		}
	}
	return best
}
