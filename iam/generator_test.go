package iam_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

type object = map[string]any

// generator makes random cases that are small enough to often hit.
type generator struct{ rand *rand.Rand }

func (g *generator) chance(percent int) bool { return g.rand.IntN(100) < percent }

func pick[T any](g *generator, from ...T) T { return from[g.rand.IntN(len(from))] }

// some returns between least and most members of from, as one value or a list.
func (g *generator) some(from []string, least, most int) any {
	n := least + g.rand.IntN(most-least+1)
	if n == 1 && g.chance(50) {
		return pick(g, from...)
	}
	out := make([]string, n)
	for i := range out {
		out[i] = pick(g, from...)
	}
	return out
}

const (
	ours   = "111111111111"
	theirs = "222222222222"
)

// world is what one case is about.
type world struct {
	principal, kind  string
	account          string
	action, resource string
	owner            string
	context          object
	session          bool // there is a session policy
}

func (g *generator) policyCase() object {
	w := &world{account: pick(g, ours, ours, theirs), owner: ours}
	w.kind = pick(g, "user", "user", "session", "session", "session", "role", "federated", "service", "provider", "anonymous")
	switch w.kind {
	case "user":
		w.principal = "arn:aws:iam::" + w.account + ":user/" + pick(g, "alice", "bob", "team/alice")
	case "session":
		w.principal = "arn:aws:sts::" + w.account + ":assumed-role/" + pick(g, "app", "ops") + "/" + pick(g, "s1", "s2")
	case "role":
		w.principal = "arn:aws:iam::" + w.account + ":role/" + pick(g, "app", "ops", "team/app")
	case "federated":
		w.principal = "arn:aws:sts::" + w.account + ":federated-user/bob"
	case "service":
		w.principal, w.account = pick(g, "lambda.amazonaws.com", "apigateway.amazonaws.com"), ""
	case "provider":
		w.account = ours
		w.principal = "arn:aws:iam::" + ours + ":" + pick(g, "oidc-provider/idp.example.com", "saml-provider/corp")
	default:
		w.principal, w.account = "anonymous", ""
	}
	switch g.rand.IntN(8) {
	case 0:
		w.action, w.resource = "sts:AssumeRole", "arn:aws:iam::"+ours+":role/target"
	case 1:
		w.action, w.resource = "kms:Decrypt", "arn:aws:kms:eu-west-1:"+ours+":key/11111111-2222-3333-4444-555555555555"
	case 2, 3:
		w.action, w.resource = pick(g, "s3:GetObject", "s3:PutObject"), "arn:aws:s3:::bucket/"+pick(g, "alice/a", "bob/b:c", "x")
	case 4:
		w.action, w.resource = "sqs:SendMessage", "arn:aws:sqs:eu-west-1:"+ours+":queue"
	default:
		w.action = pick(g, "execute-api:Invoke", "execute-api:InvalidateCache")
		w.resource = "arn:aws:execute-api:eu-west-1:" + ours + ":a1b2c3d4e5/" + pick(g, "prod", "dev") + "/" + pick(g, "GET", "POST") + "/" + pick(g, "pets/1", "pets", "orders/a:b/c")
	}
	// Not the anonymous caller of API Gateway, whom it refuses unsigned.
	if w.kind == "anonymous" && strings.HasPrefix(w.action, "execute-api") {
		w.action, w.resource = "s3:GetObject", "arn:aws:s3:::bucket/x"
	}
	w.context = g.context(w)
	c := object{"request": object{
		"principal": w.principal, "action": w.action, "resource": w.resource, "resource_account": ours, "context": w.context,
	}}
	sessions := w.kind == "session" || w.kind == "role" || w.kind == "federated"
	// A federated user without a session policy keeps its permissions there.
	if sessions && (w.kind == "federated" || g.chance(30)) {
		w.session = true
		c["session_policies"] = []any{g.document(w, "session")}
	}
	if w.kind == "user" || sessions {
		for range g.rand.IntN(3) {
			list, _ := c["identity_policies"].([]any)
			c["identity_policies"] = append(list, g.document(w, "identity"))
		}
		if g.chance(25) {
			c["permissions_boundary"] = g.document(w, "boundary")
		}
		if g.chance(30) {
			c["scps"] = g.levels(w, "scp")
		}
	}
	// There, AssumeRole without a trust policy passes in the same account.
	if w.action == "sts:AssumeRole" || g.chance(75) {
		c["resource_policy"] = g.document(w, "resource")
	}
	// There, these policies also reach execute-api.
	if !strings.HasPrefix(w.action, "execute-api") && g.chance(20) {
		c["rcps"] = g.levels(w, "rcp")
	}
	if g.chance(15) {
		c["vpc_endpoint_policy"] = g.document(w, "vpce")
	}
	return c
}

func (g *generator) levels(w *world, kind string) []any {
	out := []any{}
	for range 1 + g.rand.IntN(2) {
		level := []any{}
		for range 1 + g.rand.IntN(2) {
			level = append(level, g.document(w, kind))
		}
		out = append(out, level)
	}
	return out
}

// context makes the keys of a request. What AWS derives is given in full, since
// the oracle derives nothing.
func (g *generator) context(w *world) object {
	c := object{}
	set := func(percent int, key string, values ...string) {
		if g.chance(percent) {
			c[key] = []string{pick(g, values...)}
		}
	}
	name := w.principal[strings.LastIndexByte(w.principal, '/')+1:]
	switch w.kind {
	case "user":
		c["aws:PrincipalArn"], c["aws:username"], c["aws:PrincipalType"] = []string{w.principal}, []string{name}, []string{"User"}
	case "session":
		parts := strings.Split(w.principal, "/")
		c["aws:PrincipalArn"] = []string{"arn:aws:iam::" + w.account + ":role/" + parts[1]}
		c["aws:PrincipalType"] = []string{"AssumedRole"}
	case "role":
		c["aws:PrincipalArn"], c["aws:PrincipalType"] = []string{w.principal}, []string{"AssumedRole"}
	case "federated":
		c["aws:PrincipalArn"], c["aws:PrincipalType"] = []string{w.principal}, []string{"FederatedUser"}
		c["aws:userid"] = []string{w.account + ":bob"}
	}
	if w.account != "" && w.kind != "provider" {
		c["aws:PrincipalAccount"] = []string{w.account}
	}
	set(70, "aws:SecureTransport", "true", "false", "TRUE")
	set(70, "aws:SourceIp", "10.0.0.1", "203.0.113.9", "2001:db8::1", "x")
	set(60, "aws:CurrentTime", "2026-01-02T03:04:05Z", "2025-06-01T00:00:00Z", "nonsense")
	set(60, "aws:MultiFactorAuthAge", "10", "300", "-5", "3600.5", "x")
	set(60, "aws:SourceArn", "arn:aws:sns:eu-west-1:111111111111:topic", "arn:aws:lambda:eu-west-1:222222222222:function:a:b", "x")
	set(60, "aws:UserAgent", "curl/8", "CURL/8", "a*c", "abc", "")
	set(60, "aws:PrincipalTag/team", "blue", "Blue", "alice", "r?d", "QmluYXJ5")
	set(50, "aws:PrincipalOrgID", "o-1234567890")
	if g.chance(60) {
		paths := []string{}
		for range g.rand.IntN(3) + 1 {
			paths = append(paths, pick(g, "o-1/r-1/ou-1/", "o-1/r-1/ou-2/", "o-2/r-2/"))
		}
		c["aws:PrincipalOrgPaths"] = paths
	}
	return c
}

func (g *generator) document(w *world, kind string) object {
	// There, variables are also substituted in documents without this version.
	d := object{"Version": "2012-10-17"}
	if g.chance(10) {
		d["Id"] = "some"
	}
	statements := []any{}
	for i := range 1 + g.rand.IntN(3) {
		s := g.statement(w, kind)
		if g.chance(30) {
			s["Sid"] = fmt.Sprintf("S%d", i)
		}
		statements = append(statements, s)
	}
	if len(statements) == 1 && g.chance(30) {
		d["Statement"] = statements[0]
	} else {
		d["Statement"] = statements
	}
	return d
}

func (g *generator) statement(w *world, kind string) object {
	s := object{"Effect": "Allow"}
	if kind == "rcp" || g.chance(15) {
		s["Effect"] = "Deny"
	}
	service, name, _ := strings.Cut(w.action, ":")
	actions := []string{
		w.action, w.action, w.action, "*", service + ":*", strings.ToUpper(service) + ":" + strings.ToLower(name),
		service + ":" + name[:3] + "*", service + ":?" + name[1:], service + ":Other", "ec2:Describe*", service + ":*" + name[2:],
	}
	if kind == "rcp" {
		actions = slices.DeleteFunc(actions, func(a string) bool { return a == "*" })
	}
	if kind == "rcp" || g.chance(88) {
		s["Action"] = g.some(actions, 1, 2)
	} else {
		s["NotAction"] = g.some(append(actions, "ec2:*", "iam:*", "logs:PutLogEvents"), 1, 2)
	}
	if kind != "resource" || w.action != "sts:AssumeRole" {
		if g.chance(88) {
			s["Resource"] = g.some(resources(w, kind), 1, 2)
		} else {
			// There, an incomplete ARN in NotResource fails to apply.
			s["NotResource"] = g.some(completeResources(w), 1, 2)
		}
	}
	conditions := object{}
	if g.chance(45) {
		for range 1 + g.rand.IntN(2) {
			op, block := g.condition()
			if have, ok := conditions[op].(object); ok {
				maps.Copy(have, block)
			} else {
				conditions[op] = block
			}
		}
		s["Condition"] = conditions
	}
	switch kind {
	case "resource":
		g.principal(w, s, conditions)
	case "rcp", "vpce":
		s["Principal"] = "*" // there, Principal of an endpoint's policy is ignored
	}
	return s
}

func resources(w *world, kind string) []string {
	all := append(completeResources(w), "*", "*", w.resource)
	// There, an incomplete ARN matches in some kinds of policy alone.
	if kind != "identity" || !strings.HasPrefix(w.action, "execute-api") {
		return all
	}
	parts := strings.SplitN(w.resource, ":", 6)
	return append(all, strings.Join(parts[:3], ":"), strings.Join(parts[:4], ":")+":*")
}

func completeResources(w *world) []string {
	parts := strings.SplitN(w.resource, ":", 6)
	head, tail := strings.Join(parts[:5], ":")+":", parts[5]
	// There, wildcards in the id of an API never match; they stand behind it.
	first := strings.IndexAny(tail, "/:")
	if first < 0 {
		first = len(tail) - 1
	}
	base, rest := tail[:first+1], tail[first+1:]
	out := []string{
		w.resource, head + base + "*", head + base + "*" + rest[len(rest)/2:], head + base + rest[:len(rest)/2] + "*",
		"arn:*:" + parts[2] + ":*:*:" + base + "*", head + base + "other",
	}
	if len(rest) > 0 {
		// There, a variable without a value in an ARN without separators does not
		// keep NotResource from applying.
		out = append(out, head+base+"${aws:username}/*", head+base+"${aws:PrincipalTag/team, 'blue'}*")
		out = append(out, head+base+"?"+rest[1:], head+base+"?"+rest, head+base+rest+"?")
	}
	return out
}

func (g *generator) principal(w *world, s, conditions object) {
	role := "arn:aws:iam::" + ours + ":role/app"
	if w.kind == "session" {
		role = "arn:aws:iam::" + w.account + ":role/" + strings.Split(w.principal, "/")[1]
	}
	exact := object{"AWS": w.principal}
	switch w.kind {
	case "service":
		exact = object{"Service": w.principal}
	case "provider":
		exact = object{"Federated": w.principal}
	case "anonymous":
		exact = object{"AWS": role}
	}
	// There, a NotPrincipal that names an account is not settled.
	if g.chance(5) && s["Effect"] == "Deny" {
		s["NotPrincipal"] = pick(g, exact, object{"AWS": "arn:aws:iam::" + ours + ":user/nobody"})
		return
	}
	everyone := pick[any](g, "*", object{"AWS": "*"}, object{"AWS": []string{"*", role}})
	_, byARN := findKey(conditions, "aws:PrincipalArn")
	all := []any{
		object{"AWS": ours},
		object{"AWS": "arn:aws:iam::" + theirs + ":root"},
		object{"AWS": []string{theirs, ours}},
		object{"AWS": role},
		object{"AWS": []string{role, "arn:aws:iam::" + ours + ":user/bob"}},
		object{"AWS": "arn:aws:iam::" + ours + ":user/*"},
		object{"Service": "lambda.amazonaws.com"},
		object{"Federated": "arn:aws:iam::" + ours + ":saml-provider/corp", "AWS": theirs},
		object{"AWS": "AROAEXAMPLEEXAMPLE12"},
	}
	// There, a session policy limits what is granted to the session by name, or
	// to "*" with a condition on aws:PrincipalArn.
	if !w.session || w.kind == "role" {
		all = append(all, exact, exact)
	}
	if !w.session || !byARN {
		all = append(all, everyone, everyone)
	}
	s["Principal"] = pick(g, all...)
}

func findKey(conditions object, key string) (any, bool) {
	for _, block := range conditions {
		if v, ok := block.(object)[key]; ok {
			return v, true
		}
	}
	return nil, false
}

// keyValues are values that a condition on a key may name, by family of
// operators.
var keyValues = map[string]map[string][]string{
	"String": {
		"aws:UserAgent":         {"curl/8", "CURL/8", "abc", "a*c", "", "${aws:username}"},
		"aws:PrincipalTag/team": {"blue", "BLUE", "alice", "${aws:username}", "${aws:PrincipalTag/none, 'blue'}", "r?d"},
		"AWS:PrincipalOrgId":    {"o-1234567890", "o-other"},
		"aws:username":          {"alice", "bob", "${aws:PrincipalTag/team}"},
		"aws:PrincipalAccount":  {ours, theirs},
		"aws:PrincipalType":     {"User", "AssumedRole"},
		"aws:PrincipalArn":      {"arn:aws:iam::" + ours + ":role/app", "arn:aws:iam::" + ours + ":user/alice"},
	},
	"Like": {
		"aws:UserAgent":         {"curl/*", "a?c", "a${*}c", "*", "?", "*8", "c*l*8", "${aws:username}*"},
		"aws:PrincipalTag/Team": {"b*", "?lue", "*e", "r${?}d", "${aws:username}", "*l*"},
		"aws:PrincipalArn":      {"arn:aws:iam::*:role/*", "arn:aws:iam::" + ours + ":*", "*app"},
	},
	"Arn": {
		"aws:SourceArn":    {"arn:aws:sns:*:*:*", "arn:aws:sns:eu-west-1:111111111111:topic", "arn:aws:*:*:222222222222:*", "arn:aws:lambda:eu-*:2*:function:*b", "x", "arn:aws:sns:*", "*"},
		"aws:PrincipalArn": {"arn:aws:iam::" + ours + ":role/app", "arn:aws:iam::*:user/${aws:username}", "arn:*:iam::" + theirs + ":*"},
	},
	"Numeric": {"aws:MultiFactorAuthAge": {"10", "300", "300.0", "-5", "3600.50", "0", "x", "${aws:username}"}},
	// There, epoch seconds are misread against ISO dates.
	"Date":   {"aws:CurrentTime": {"2026-01-02T03:04:05Z", "2026-01-02T05:04:05+02:00", "2026-01-02", "2025", "2025-06-01T00:00:00.000Z", "x"}},
	"Bool":   {"aws:SecureTransport": {"true", "false", "False", "x"}},
	"Binary": {"aws:PrincipalTag/team": {"QmluYXJ5", "QQ=="}},
	// There, /0 matches one address, and bare addresses are compared as text.
	"Ip":   {"aws:SourceIp": {"10.0.0.0/8", "10.0.0.1/32", "203.0.113.0/24", "203.0.113.9/32", "2001:db8::/32", "2001:db8::/127", "10.1.2.3/8", "x"}},
	"Null": {"aws:username": {"true", "false"}, "aws:SourceIp": {"true", "false"}, "aws:PrincipalTag/team": {"true", "false"}},
}

var familyOperators = map[string][]string{
	"String":  {"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"},
	"Like":    {"StringLike", "StringNotLike"},
	"Arn":     {"ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike"},
	"Numeric": {"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals"},
	"Date":    {"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals"},
	"Bool":    {"Bool"},
	"Binary":  {"BinaryEquals"},
	"Ip":      {"IpAddress", "NotIpAddress"},
	"Null":    {"Null"},
}

func (g *generator) condition() (string, object) {
	if g.chance(12) {
		// Keys with several values take operators with a prefix.
		op := pick(g, "ForAllValues:", "ForAnyValue:") + pick(g, "StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase")
		// There, ForAnyValue with IfExists is false on a missing key.
		if strings.HasPrefix(op, "ForAll") && g.chance(30) {
			op += "IfExists"
		}
		return op, object{"aws:PrincipalOrgPaths": g.some([]string{"o-1/r-1/ou-1/", "o-1/r-1/ou-2/", "O-1/R-1/OU-1/", "o-2/r-2/", "o-1/*", "o-?/r-?/*"}, 1, 2)}
	}
	family := pick(g, "String", "String", "Like", "Arn", "Numeric", "Date", "Bool", "Binary", "Ip", "Null")
	op := pick(g, familyOperators[family]...)
	if family != "Null" && g.chance(25) {
		op += "IfExists"
	}
	keys := make([]string, 0, 8)
	for k := range keyValues[family] {
		keys = append(keys, k)
	}
	// Maps have no order, and a seed must make the same cases again.
	slices.Sort(keys)
	key := pick(g, keys...)
	values := g.some(keyValues[family][key], 1, 3)
	if family == "Bool" && values == "true" && g.chance(30) {
		return op, object{key: true}
	}
	return op, object{key: values}
}
