package iam_test

import (
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// This file is a second evaluator, written to be obviously right and not fast: it
// works on decoded JSON, builds regular expressions, and follows the rules one by
// one. It knows what the generator makes, and no more.

// reference decides a case.
func reference(text []byte) string {
	var c object
	if err := json.Unmarshal(text, &c); err != nil {
		panic(err)
	}
	return newReference(c).decide()
}

type ref struct {
	c         object
	principal string
	action    string
	resource  string
	context   map[string][]string
	denied    bool
}

func newReference(c object) *ref {
	request := c["request"].(object)
	r := &ref{
		c: c, principal: request["principal"].(string), action: request["action"].(string), resource: request["resource"].(string),
		context: map[string][]string{},
	}
	for k, v := range request["context"].(object) {
		r.context[strings.ToLower(k)] = texts(v)
	}
	return r
}

// texts makes a list of one value or several.
func texts(v any) []string {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		out := []string{}
		for _, x := range v {
			out = append(out, texts(x)...)
		}
		return out
	case bool:
		return []string{strconv.FormatBool(v)}
	default:
		return []string{v.(string)}
	}
}

func list(v any) []any {
	if v == nil {
		return nil
	}
	return v.([]any)
}

func (r *ref) decide() string {
	principalAccount, kind := r.who()
	same := principalAccount == ours

	identity := r.anyAllows(list(r.c["identity_policies"]))
	boundary := r.c["permissions_boundary"] == nil || r.anyAllows([]any{r.c["permissions_boundary"]})
	sessions := list(r.c["session_policies"])
	session := len(sessions) == 0 && kind != "federated-user" || len(sessions) > 0 && r.anyAllows(sessions)
	gates := true
	for _, level := range list(r.c["scps"]) {
		gates = r.anyAllows(level.([]any)) && gates
	}
	if !strings.HasPrefix(r.action, "execute-api:") {
		for _, level := range list(r.c["rcps"]) {
			r.anyAllows(level.([]any))
		}
	}
	if p := r.c["vpc_endpoint_policy"]; p != nil {
		gates = r.anyAllows([]any{p}) && gates
	}
	grants := map[string]bool{}
	if p := r.c["resource_policy"]; p != nil {
		for g := range r.allows(p) {
			grants[g] = true
		}
	}
	if r.denied {
		return explicit
	}
	own := identity && boundary && session
	named := grants["everyone"] || grants["everyone by arn"] || grants["role"] || grants["itself"]
	var ok bool
	switch {
	case kind == "anonymous" || kind == "service" || kind == "provider":
		ok = named && boundary && session
	case !same:
		ok = own && (named || grants["account"])
	default:
		mandatory := strings.HasPrefix(r.action, "sts:") || strings.HasPrefix(r.action, "kms:")
		ok = grants["itself"] || grants["everyone by arn"] || grants["everyone"] && session || grants["role"] && session && boundary ||
			own && (!mandatory || grants["account"])
	}
	if ok && gates {
		return allow
	}
	return implicit
}

// who returns the account and the kind of the principal.
func (r *ref) who() (account, kind string) {
	if r.principal == "anonymous" {
		return "", "anonymous"
	}
	parts := strings.SplitN(r.principal, ":", 6)
	if len(parts) < 6 {
		return "", "service"
	}
	kind, _, _ = strings.Cut(parts[5], "/")
	if strings.HasSuffix(kind, "-provider") {
		kind = "provider"
	}
	return parts[4], kind
}

func (r *ref) anyAllows(documents []any) bool {
	ok := false
	for _, d := range documents {
		ok = len(r.allows(d)) > 0 || ok
	}
	return ok
}

// allows returns how the document's statements allow, and notes if one denies.
func (r *ref) allows(document any) map[string]bool {
	grants := map[string]bool{}
	statements, ok := document.(object)["Statement"].([]any)
	if !ok {
		statements = []any{document.(object)["Statement"]}
	}
	for _, s := range statements {
		s := s.(object)
		found := r.applies(s)
		if s["Effect"] == "Deny" {
			r.denied = r.denied || len(found) > 0
			continue
		}
		for _, g := range found {
			grants[g] = true
		}
	}
	return grants
}

func (r *ref) applies(s object) []string {
	action := func(v any) bool {
		return slices.ContainsFunc(texts(v), func(p string) bool { return glob(strings.ToLower(p), true).MatchString(strings.ToLower(r.action)) })
	}
	if v := s["Action"]; v != nil && !action(v) {
		return nil
	}
	if v := s["NotAction"]; v != nil && action(v) {
		return nil
	}
	if v := s["Resource"]; v != nil && !slices.ContainsFunc(texts(v), func(p string) bool { return r.matchesResource(p) == "yes" }) {
		return nil
	}
	if v := s["NotResource"]; v != nil && slices.ContainsFunc(texts(v), func(p string) bool { return r.matchesResource(p) != "no" }) {
		return nil
	}
	byARN := false
	if conditions, ok := s["Condition"].(object); ok {
		for operator, keys := range conditions {
			for key, values := range keys.(object) {
				if !r.meets(operator, key, texts(values)) {
					return nil
				}
				plain := strings.TrimSuffix(operator, "IfExists")
				if strings.EqualFold(key, "aws:PrincipalArn") && slices.Contains([]string{"StringEquals", "StringLike", "ArnEquals", "ArnLike", "StringEqualsIgnoreCase"}, plain) && plain != "StringEqualsIgnoreCase" {
					byARN = true
				}
			}
		}
	}
	if v, ok := s["NotPrincipal"]; ok {
		if s["Effect"] == "Deny" && r.c["permissions_boundary"] != nil {
			return []string{"everyone"}
		}
		if len(r.named(v)) > 0 {
			return nil
		}
		return []string{"everyone"}
	}
	v, ok := s["Principal"]
	if !ok {
		return []string{"itself"}
	}
	found := r.named(v)
	if byARN && slices.Contains(found, "everyone") {
		found = append(found, "everyone by arn")
	}
	return found
}

func (r *ref) named(v any) []string {
	if v == "*" {
		return []string{"everyone"}
	}
	account, kind := r.who()
	name := r.principal[strings.LastIndex(r.principal, "/")+1:]
	var found []string
	for which, entries := range v.(object) {
		for _, e := range texts(entries) {
			switch {
			case which != "AWS" && e == r.principal && (kind == "service" || kind == "provider"):
				found = append(found, "itself")
			case which != "AWS":
			case e == "*":
				found = append(found, "everyone")
			case account != "" && (e == account || e == "arn:aws:iam::"+account+":root"):
				found = append(found, "account")
			case kind == "role" && e == r.principal:
				found = append(found, "role")
			case kind == "assumed-role" && strings.HasPrefix(e, "arn:aws:iam::"+account+":role/") && e[strings.LastIndex(e, "/")+1:] == strings.Split(r.principal, "/")[1]:
				found = append(found, "role")
			case kind == "federated-user" && e == "arn:aws:iam::"+account+":user/"+name:
				found = append(found, "role")
			case kind != "provider" && kind != "service" && e == r.principal:
				found = append(found, "itself")
			}
		}
	}
	return found
}

// glob makes a regular expression of a text with wildcards.
func glob(p string, wild bool) *regexp.Regexp {
	var b strings.Builder
	for _, c := range p {
		switch {
		case wild && c == '*':
			b.WriteString(".*")
		case wild && c == '?':
			b.WriteString(".")
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	return regexp.MustCompile("(?s)^" + b.String() + "$")
}

var variable = regexp.MustCompile(`\$\{([^,}]*)(?:, *'([^']*)')?\}`)

// substitute builds a regular expression of a text with wildcards and variables;
// ok is false if a variable has no value.
func (r *ref) substitute(p string, wild bool) (expression string, ok bool) {
	ok = true
	var b strings.Builder
	for p != "" {
		at := variable.FindStringSubmatchIndex(p)
		plain := p
		if at != nil {
			plain = p[:at[0]]
		}
		b.WriteString(strings.TrimSuffix(strings.TrimPrefix(glob(plain, wild).String(), "(?s)^"), "$"))
		if at == nil {
			break
		}
		key := strings.ToLower(p[at[2]:at[3]])
		switch values := r.context[key]; {
		case key == "*" || key == "?" || key == "$":
			b.WriteString(regexp.QuoteMeta(key))
		case len(values) == 1:
			b.WriteString(regexp.QuoteMeta(values[0]))
		case len(values) == 0 && at[4] >= 0:
			b.WriteString(regexp.QuoteMeta(p[at[4]:at[5]]))
		default:
			ok = false
		}
		p = p[at[1]:]
	}
	return b.String(), ok
}

// matchesResource answers yes, no, or open if a variable has no value.
func (r *ref) matchesResource(p string) string {
	if p == "*" {
		return "yes"
	}
	for strings.Count(p, ":") < 5 {
		p += ":*"
	}
	want, have := strings.SplitN(p, ":", 6), strings.SplitN(r.resource, ":", 6)
	for i := range 5 {
		// The generator has no star that would cross a colon.
		if !glob(want[i], true).MatchString(have[i]) {
			return "no"
		}
	}
	expression, ok := r.substitute(want[5], true)
	if !ok {
		return "open"
	}
	if regexp.MustCompile("(?s)^" + expression + "$").MatchString(have[5]) {
		return "yes"
	}
	return "no"
}

// meets evaluates one operator on one key.
func (r *ref) meets(operator, key string, values []string) bool {
	given := r.context[strings.ToLower(key)]
	if operator == "Null" {
		return slices.Contains(values, strconv.FormatBool(len(given) == 0))
	}
	name, ifExists := strings.CutSuffix(operator, "IfExists")
	name, all := strings.CutPrefix(name, "ForAllValues:")
	name, some := strings.CutPrefix(name, "ForAnyValue:")
	negated := strings.Contains(name, "Not")
	if len(given) == 0 {
		return ifExists || all || negated && !some
	}
	one := func(g string) bool {
		for _, v := range values {
			matches, ok := r.compare(strings.Replace(name, "Not", "", 1), g, v)
			if negated && (matches || !ok) {
				return false
			}
			if !negated && matches && ok {
				return true
			}
		}
		return negated && r.typed(name, g)
	}
	switch {
	case all:
		return !slices.ContainsFunc(given, func(g string) bool { return !one(g) })
	case some:
		return slices.ContainsFunc(given, one)
	default:
		return len(given) == 1 && one(given[0])
	}
}

// typed reports whether a value of the request is of an operator's type.
func (r *ref) typed(name, given string) bool {
	_, ok := r.compare(strings.Replace(name, "Not", "", 1), given, given)
	return ok
}

// compare makes one comparison of a positive operator; ok is false if a value is
// of the wrong type.
func (r *ref) compare(name, given, value string) (matches, ok bool) {
	order := func(c int) bool {
		switch {
		case strings.HasSuffix(name, "LessThan"):
			return c < 0
		case strings.HasSuffix(name, "LessThanEquals"):
			return c <= 0
		case strings.HasSuffix(name, "GreaterThan"):
			return c > 0
		case strings.HasSuffix(name, "GreaterThanEquals"):
			return c >= 0
		}
		return c == 0
	}
	switch {
	case strings.HasPrefix(name, "String"):
		expression, ok := r.substitute(value, name == "StringLike")
		if strings.HasSuffix(name, "IgnoreCase") {
			expression = "(?i)" + expression
		}
		return ok && regexp.MustCompile("(?s)^"+expression+"$").MatchString(given), ok
	case strings.HasPrefix(name, "Numeric"):
		a, okA := new(big.Rat).SetString(given)
		b, okB := new(big.Rat).SetString(value)
		return okA && okB && order(a.Cmp(b)), okA && okB
	case strings.HasPrefix(name, "Date"):
		a, okA := refTime(given)
		b, okB := refTime(value)
		return okA && okB && order(a.Compare(b)), okA && okB
	case name == "Bool":
		isBool := func(s string) bool { return strings.EqualFold(s, "true") || strings.EqualFold(s, "false") }
		return isBool(given) && isBool(value) && strings.EqualFold(given, value), isBool(given) && isBool(value)
	case name == "BinaryEquals":
		a, errA := base64.StdEncoding.DecodeString(given)
		b, errB := base64.StdEncoding.DecodeString(value)
		return errA == nil && errB == nil && string(a) == string(b), errA == nil && errB == nil
	case strings.HasSuffix(name, "IpAddress"):
		a, errA := netip.ParseAddr(given)
		b, errB := netip.ParsePrefix(value)
		if errA == nil && given == value {
			return true, true // asked for its type
		}
		return errA == nil && errB == nil && b.Contains(a), errA == nil && errB == nil
	default: // Arn
		if strings.Count(given, ":") < 5 || strings.Count(value, ":") < 5 {
			return false, false
		}
		have, want := strings.SplitN(given, ":", 6), strings.SplitN(value, ":", 6)
		for i := range 6 {
			expression, ok := r.substitute(want[i], true)
			if !ok {
				return false, false
			}
			if !regexp.MustCompile("(?s)^" + expression + "$").MatchString(have[i]) {
				return false, true
			}
		}
		return true, true
	}
}

func refTime(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02", "2006"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
