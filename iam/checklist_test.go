package iam_test

import (
	"strings"
	"testing"
)

// row is one line of the checklist of AWS's semantics: name, case and decision.
type row struct {
	name string
	kase
	decision string
}

const (
	allow    = "allow"
	implicit = "implicit_deny"
	explicit = "explicit_deny"
)

func check(t *testing.T, rows []row) {
	t.Helper()
	t.Parallel()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			r.want(t, r.decision)
		})
	}
}

// grants is an identity policy of alice's with one statement.
func grants(action, resource string, more ...string) kase {
	return kase{identity: []string{doc(stmt("Allow", action, resource, more...))}}
}

func TestMatchingActions(t *testing.T) {
	row1 := func(name, action, decision string) row { return row{name, grants(action, "*"), decision} }
	not := func(name, action, decision string) row {
		return row{name, kase{identity: []string{doc(`{"Effect": "Allow", "NotAction": ` + action + `, "Resource": "*"}`)}}, decision}
	}
	check(t, []row{
		row1("exact", "execute-api:Invoke", allow),
		row1("in any case", "EXECUTE-API:iNVOKE", allow),
		row1("star", "*", allow),
		row1("star at the end", "execute-api:Inv*", allow),
		row1("star at the start", "execute-api:*voke", allow),
		row1("star within", "execute-api:I*ke", allow),
		row1("question mark is one character", "execute-api:Invok?", allow),
		row1("question mark is not none", "execute-api:Invoke?", implicit),
		row1("question mark is not two", "execute-api:Invo?", implicit),
		row1("another service", "s3:*", implicit),
		row1("another action", "execute-api:InvalidateCache", implicit),
		not("NotAction of another", `"s3:*"`, allow),
		not("NotAction of it", `"execute-api:Invoke"`, implicit),
		not("NotAction is not any", `["s3:*", "execute-api:*"]`, implicit),
	})
}

func TestMatchingResources(t *testing.T) {
	row1 := func(name, resource, decision string) row {
		return row{name, grants("execute-api:Invoke", resource), decision}
	}
	not := func(name, resource, decision string) row {
		return row{name, kase{identity: []string{doc(`{"Effect": "Allow", "Action": "*", "NotResource": "` + resource + `"}`)}}, decision}
	}
	check(t, []row{
		row1("exact", getPets, allow),
		row1("case matters", strings.Replace(getPets, "pets", "Pets", 1), implicit),
		row1("star", "*", allow),
		row1("star crosses slashes", apiARN+"/*", allow),
		row1("star within a segment", apiARN+"/prod/G*T/*/1", allow),
		row1("question mark", apiARN+"/prod/GET/pet?/1", allow),
		row1("question mark needs a character", apiARN+"/prod/GET/pets?/1", implicit),
		row1("region and account", "arn:aws:execute-api:*:*:a1b2c3d4e5/*", allow),
		row1("star within the region", "arn:aws:execute-api:eu-*-1:111111111111:a1b2c3d4e5/*", allow),
		row1("trailing star of a segment crosses colons", "arn:aws:execute-api:*:a1b2c3d4e5/*", allow),
		row1("star within a segment does not", "arn:aws:execute-api:eu*1:a1b2c3d4e5/*", implicit),
		{"question mark is no colon", kase{
			resource: apiARN + "/prod/GET/a:b", identity: []string{doc(stmt("Allow", "execute-api:Invoke", "arn:aws:execute-api:eu-west-1?111111111111:a1b2c3d4e5/prod/GET/a:b"))},
		}, implicit},
		{"question mark is a colon in the sixth part", kase{
			resource: apiARN + "/prod/GET/a:b", identity: []string{doc(stmt("Allow", "execute-api:Invoke", apiARN+"/prod/GET/a?b"))},
		}, allow},
		{"star crosses colons in the sixth part", kase{
			resource: apiARN + "/prod/GET/a:b/c", identity: []string{doc(stmt("Allow", "execute-api:Invoke", apiARN+"/prod/GET/*/c"))},
		}, allow},
		row1("account and star", "arn:aws:execute-api:eu-west-1:111111111111:*", allow),
		row1("incomplete ARN", "arn:aws:execute-api", allow),
		row1("incomplete ARN with region", "arn:aws:execute-api:eu-west-1", allow),
		row1("incomplete ARN of another region", "arn:aws:execute-api:us-east-1", implicit),
		row1("partition", "arn:aws-cn:execute-api:*:*:*", implicit),
		row1("partition with a wildcard", "arn:*:execute-api:*:*:*", allow),
		not("NotResource of another", apiARN+"/dev/*", allow),
		not("NotResource of it", apiARN+"/prod/*", implicit),
		not("NotResource of all", "*", implicit),
		{"resource that is no ARN", kase{action: "sts:GetCallerIdentity", resource: "*", account: "111111111111", identity: []string{allowAll}}, allow},
		{"short form", kase{policy: doc(stmt("Allow", "execute-api:Invoke", "execute-api:/prod/GET/pets/*", by(alice)))}, allow},
		{"short form of another stage", kase{policy: doc(stmt("Allow", "execute-api:Invoke", "execute-api:/dev/*", by(alice)))}, implicit},
		{"short form of another path", kase{policy: doc(stmt("Allow", "execute-api:Invoke", "execute-api:/prod/GET/pets", by(alice)))}, implicit},
		{"short form of all", kase{policy: doc(stmt("Allow", "execute-api:Invoke", "execute-api:/*", by(alice)))}, allow},
		{"short form speaks of APIs alone", kase{
			action: "s3:GetObject", resource: "arn:aws:s3:::b/prod", account: "111111111111",
			policy: doc(stmt("Allow", "s3:GetObject", "execute-api:/*", by(alice))),
		}, implicit},
		{"domain", kase{resource: "arn:aws:execute-api:eu-west-1:111111111111:/domainnames/api.example.com+abc", policy: invokeBy(alice)}, allow},
		{"API without a route", kase{resource: apiARN, policy: invokeBy(alice)}, implicit},
	})
}

func TestVariables(t *testing.T) {
	user := func(name, resource, decision string) row {
		return row{name, kase{
			action: "s3:GetObject", resource: "arn:aws:s3:::b/alice/a*c", account: "111111111111",
			context:  map[string][]string{"aws:PrincipalTag/team": {"blue"}, "aws:PrincipalTag/star": {"a*"}, "aws:PrincipalTag/two": {"alice", "b"}, "aws:PrincipalTag/empty": {""}},
			identity: []string{doc(stmt("Allow", "*", resource))},
		}, decision}
	}
	old := func(name, version, decision string) row {
		return row{name, kase{
			action: "s3:GetObject", resource: "arn:aws:s3:::b/alice/x", account: "111111111111",
			identity: []string{`{` + version + `"Statement": ` + stmt("Allow", "*", "arn:aws:s3:::b/${aws:username}/*") + `}`},
		}, decision}
	}
	compare := func(name, operator, value, decision string) row {
		return row{name, kase{
			context:  map[string][]string{"aws:UserAgent": {"a*c"}, "aws:PrincipalTag/t": {"a*c"}, "aws:PrincipalTag/w": {"a*"}, "aws:SecureTransport": {"true"}, "aws:PrincipalTag/b": {"TRUE"}, "aws:PrincipalTag/part": {"tru"}, "aws:MultiFactorAuthAge": {"5"}, "aws:PrincipalTag/five": {"5"}},
			identity: []string{doc(stmt("Allow", "*", "*", when(operator, map[bool]string{true: "aws:SecureTransport", false: "aws:UserAgent"}[strings.HasPrefix(operator, "Bool")], value)))},
		}, decision}
	}
	check(t, []row{
		user("value in a resource", "arn:aws:s3:::b/${aws:username}/*", allow),
		user("key in any case", "arn:aws:s3:::b/${AWS:UserName}/*", allow),
		user("blanks around the key", "arn:aws:s3:::b/${ aws:username }/*", allow),
		user("another value", "arn:aws:s3:::b/${aws:PrincipalTag/team}/*", implicit),
		user("a wildcard in a value is literal", "arn:aws:s3:::b/alice/${aws:PrincipalTag/star}", implicit),
		user("a wildcard in a value matches itself", "arn:aws:s3:::b/alice/${aws:PrincipalTag/star}c", allow),
		user("${*} is a star", "arn:aws:s3:::b/alice/a${*}c", allow),
		user("${*} matches nothing else", "arn:aws:s3:::b/al${*}", implicit),
		user("${?} is a question mark", "arn:aws:s3:::b/alice/a${?}c", implicit),
		user("${$} is a dollar", "arn:aws:s3:::b/alice/a${$}c", implicit),
		user("default where the key is absent", "arn:aws:s3:::b/${aws:PrincipalTag/none, 'alice'}/*", allow),
		user("default without a blank", "arn:aws:s3:::b/${aws:PrincipalTag/none,'alice'}/*", allow),
		user("default with a brace", "arn:aws:s3:::b/${aws:PrincipalTag/none, '}'}*", implicit),
		user("default that is empty", "arn:aws:s3:::b/${aws:PrincipalTag/none, ''}alice/*", allow),
		user("a wildcard in a default is literal", "arn:aws:s3:::b/${aws:PrincipalTag/none, 'al*'}/*", implicit),
		user("no default where the key is there", "arn:aws:s3:::b/${aws:PrincipalTag/team, 'alice'}/*", implicit),
		user("empty value", "arn:aws:s3:::b/${aws:PrincipalTag/empty}alice/*", allow),
		user("no default where the key has several values", "arn:aws:s3:::b/${aws:PrincipalTag/two, 'alice'}/*", implicit),
		user("several values", "arn:aws:s3:::b/${aws:PrincipalTag/two}/*", implicit),
		user("no value", "arn:aws:s3:::b/${aws:PrincipalTag/none}/*", implicit),
		user("no name", "arn:aws:s3:::b/${}*", implicit),
		user("default without quotes", "arn:aws:s3:::b/${aws:PrincipalTag/none, alice}/*", implicit),
		user("default without its second quote", "arn:aws:s3:::b/${aws:PrincipalTag/none, 'alice}/*", implicit),
		user("no end", "arn:aws:s3:::b/${aws:username*", implicit),
		user("before the fifth colon", "arn:${aws:PrincipalTag/none, 'aws'}:s3:::b/*", implicit),
		{"another entry without a value does not matter", kase{identity: []string{doc(`{"Effect": "Allow", "Action": "*", "Resource": ["arn:aws:s3:::${aws:PrincipalTag/none}", "*"]}`)}}, allow},
		{"a Deny without a value does not apply", kase{identity: []string{allowAll, doc(stmt("Deny", "*", apiARN+"/${aws:PrincipalTag/none}*"))}}, allow},
		{"NotResource without a value does not apply", kase{identity: []string{doc(`{"Effect": "Allow", "Action": "*", "NotResource": "` + apiARN + `/x${aws:PrincipalTag/none}"}`)}}, implicit},
		{"NotResource without a value, of another service", kase{identity: []string{doc(`{"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::x${aws:PrincipalTag/none}"}`)}}, allow},
		{"short form with a variable", kase{policy: doc(stmt("Allow", "execute-api:Invoke", "execute-api:/prod/GET/pets/${aws:PrincipalTag/id, '1'}", by(alice)))}, allow},
		{"short form without a value", kase{policy: doc(stmt("Allow", "execute-api:Invoke", "execute-api:/prod/GET/pets/${aws:PrincipalTag/id}", by(alice)))}, implicit},
		old("not in the version of 2008", `"Version": "2008-10-17", `, implicit),
		old("not without a version", ``, implicit),
		old("in the version of 2012", `"Version": "2012-10-17", `, allow),
		compare("StringEquals", "StringEquals", "${aws:PrincipalTag/t}", allow),
		compare("StringEquals with ${*}", "StringEquals", "a${*}c", allow),
		compare("StringLike", "StringLike", "${aws:PrincipalTag/w}?", allow),
		compare("StringEqualsIgnoreCase", "StringEqualsIgnoreCase", "A${aws:PrincipalTag/none, '*'}C", allow),
		compare("StringNotEqualsIgnoreCase without a value", "StringNotEqualsIgnoreCase", "A${aws:PrincipalTag/none}", implicit),
		compare("StringNotEquals without a value", "StringNotEquals", "${aws:PrincipalTag/none}", implicit),
		compare("Bool", "Bool", "${aws:PrincipalTag/b}", allow),
		compare("Bool of two parts", "Bool", "${aws:PrincipalTag/part}e", allow),
		compare("Bool without a value", "Bool", "${aws:PrincipalTag/none}", implicit),
		{"not in Numeric", kase{
			context:  map[string][]string{"aws:MultiFactorAuthAge": {"5"}, "aws:PrincipalTag/five": {"5"}},
			identity: []string{doc(stmt("Allow", "*", "*", when("NumericEquals", "aws:MultiFactorAuthAge", "${aws:PrincipalTag/five}")))},
		}, implicit},
	})
}

func TestConditions(t *testing.T) {
	cond := func(name, condition string, context map[string][]string, decision string) row {
		return row{name, kase{context: context, identity: []string{doc(stmt("Allow", "*", "*", `"Condition": `+condition))}}, decision}
	}
	one := func(key string, values ...string) map[string][]string {
		return map[string][]string{key: append([]string{}, values...)}
	}
	const (
		agent = "aws:UserAgent"
		age   = "aws:MultiFactorAuthAge"
		now   = "aws:CurrentTime"
		tls   = "aws:SecureTransport"
		ip    = "aws:SourceIp"
		arn   = "aws:SourceArn"
		keys  = "aws:TagKeys"
		tag   = "aws:PrincipalTag/x"
	)
	topic := "arn:aws:sns:eu-west-1:111111111111:topic:sub:1"
	var rows []row
	add := func(rs ...row) { rows = append(rows, rs...) }

	add(
		cond("operators are joined by and", `{"StringEquals": {"aws:UserAgent": "a"}, "Bool": {"aws:SecureTransport": "true"}}`, map[string][]string{agent: {"a"}, tls: {"false"}}, implicit),
		cond("keys are joined by and", `{"StringEquals": {"aws:UserAgent": "a", "aws:PrincipalTag/x": "b"}}`, map[string][]string{agent: {"a"}, tag: {"c"}}, implicit),
		cond("values are joined by or", `{"StringEquals": {"aws:UserAgent": ["x", "a"]}}`, one(agent, "a"), allow),
		cond("negated values are joined by nor", `{"StringNotEquals": {"aws:UserAgent": ["x", "a"]}}`, one(agent, "a"), implicit),
		cond("keys in any case, names of tags too", `{"StringEquals": {"AWS:principaltag/X": "a"}}`, one("aws:PrincipalTag/x", "a"), allow),
		cond("operators in any case", `{"stringequals": {"aws:UserAgent": "a"}}`, one(agent, "a"), allow),
		cond("empty condition", `{}`, nil, allow),
		cond("operator without keys", `{"StringEquals": {}}`, nil, allow),
		cond("no values", `{"StringEquals": {"aws:UserAgent": []}}`, one(agent, "a"), implicit),
		cond("negated, no values", `{"StringNotEquals": {"aws:UserAgent": []}}`, one(agent, "a"), allow),

		cond("missing key: positive", `{"StringEquals": {"aws:UserAgent": "a"}}`, nil, implicit),
		cond("missing key: StringLike *", `{"StringLike": {"aws:UserAgent": "*"}}`, nil, implicit),
		cond("missing key: negated", `{"StringNotEquals": {"aws:UserAgent": "a"}}`, nil, allow),
		cond("missing key: NotIpAddress", `{"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}`, nil, allow),
		cond("missing key: IfExists", `{"StringEqualsIfExists": {"aws:UserAgent": "a"}}`, nil, allow),
		cond("missing key: Bool", `{"Bool": {"aws:MultiFactorAuthPresent": "false"}}`, nil, implicit),
		cond("missing key: BoolIfExists", `{"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}`, nil, allow),
		cond("missing key: variable without a value", `{"StringNotEquals": {"aws:UserAgent": "${aws:PrincipalTag/x}"}}`, nil, allow),
		cond("IfExists with a key", `{"StringEqualsIfExists": {"aws:UserAgent": "a"}}`, one(agent, "b"), implicit),
		cond("a key given as an empty list is absent", `{"Null": {"aws:UserAgent": "true"}}`, one(agent), allow),

		cond("Null true, absent", `{"Null": {"aws:UserAgent": "true"}}`, nil, allow),
		cond("Null true, present", `{"Null": {"aws:UserAgent": "true"}}`, one(agent, "a"), implicit),
		cond("Null false, present", `{"Null": {"aws:UserAgent": "false"}}`, one(agent, ""), allow),
		cond("Null false, absent", `{"Null": {"aws:UserAgent": false}}`, nil, implicit),
		cond("Null of both", `{"Null": {"aws:UserAgent": ["true", "false"]}}`, nil, allow),
		cond("Null of something else", `{"Null": {"aws:UserAgent": "yes"}}`, nil, implicit),

		cond("ForAllValues: all", `{"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}`, one(keys, "a", "b"), allow),
		cond("ForAllValues: not all", `{"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}`, one(keys, "a", "c"), implicit),
		cond("ForAllValues: missing", `{"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}`, nil, allow),
		cond("ForAllValues: negated", `{"ForAllValues:StringNotEquals": {"aws:TagKeys": ["a", "b"]}}`, one(keys, "c", "b"), implicit),
		cond("ForAllValues: one of the wrong type", `{"ForAllValues:NumericEquals": {"aws:TagKeys": ["1"]}}`, one(keys, "1", "x"), implicit),
		cond("ForAnyValue: some", `{"ForAnyValue:StringLike": {"aws:TagKeys": ["a*"]}}`, one(keys, "b", "abc"), allow),
		cond("ForAnyValue: none", `{"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}`, one(keys, "b", "c"), implicit),
		cond("ForAnyValue: missing", `{"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}`, nil, implicit),
		cond("ForAnyValue: negated, missing", `{"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["a"]}}`, nil, implicit),
		cond("ForAnyValue: negated, one is another", `{"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["a"]}}`, one(keys, "a", "b"), allow),
		cond("ForAnyValue: IfExists, missing", `{"ForAnyValue:StringEqualsIfExists": {"aws:TagKeys": ["a"]}}`, nil, allow),
		cond("several values without a prefix", `{"StringEquals": {"aws:TagKeys": ["a", "b"]}}`, one(keys, "a", "b"), implicit),
		cond("several values without a prefix, negated", `{"StringNotEquals": {"aws:TagKeys": ["c"]}}`, one(keys, "a", "b"), implicit),
	)

	for _, c := range []struct{ operator, value, given, decision string }{
		{"StringEquals", "a", "a", allow},
		{"StringEquals", "A", "a", implicit},
		{"StringEquals", "a*", "a*", allow},
		{"StringEquals", "a*", "ab", implicit},
		{"StringEquals", "", "", allow},
		{"StringNotEquals", "A", "a", allow},
		{"StringEqualsIgnoreCase", "ÄB", "äb", allow},
		{"StringEqualsIgnoreCase", "ab", "abc", implicit},
		{"StringNotEqualsIgnoreCase", "AB", "ab", implicit},
		{"StringLike", "a?c", "abc", allow},
		{"StringLike", "a?c", "ac", implicit},
		{"StringLike", "a?c", "aäc", allow},
		{"StringLike", "a*c*e", "abcde", allow},
		{"StringLike", "a**e", "ae", allow},
		{"StringLike", "*", "", allow},
		{"StringLike", "a*", "ba", implicit},
		{"StringLike", "*b*a", "abab", implicit},
		{"StringLike", "arn:aws:sns:*", topic, allow},
		{"StringNotLike", "a*", "abc", implicit},
		{"StringNotLike", "b*", "abc", allow},
	} {
		add(cond(c.operator+" "+c.value+" "+c.given, `{"`+c.operator+`": {"aws:UserAgent": "`+c.value+`"}}`, one(agent, c.given), c.decision))
	}
	for _, c := range []struct{ operator, value, given, decision string }{
		{"NumericEquals", "5", "5.0", allow},
		{"NumericEquals", "05", "5", allow},
		{"NumericEquals", "-0", "0", allow},
		{"NumericEquals", "9007199254740993", "9007199254740992", implicit},
		{"NumericEquals", "+5", "5", allow},
		{"NumericEquals", ".5", "0.5", allow},
		{"NumericEquals", "x", "x", implicit},
		{"NumericEquals", "1e1", "10", implicit},
		{"NumericEquals", "", "", implicit},
		{"NumericNotEquals", "5", "6", allow},
		{"NumericNotEquals", "5", "x", implicit},
		{"NumericNotEquals", "x", "5", implicit},
		{"NumericLessThan", "10", "9", allow},
		{"NumericLessThan", "10", "10", implicit},
		{"NumericLessThan", "-1", "-2", allow},
		{"NumericLessThan", "1", "-2", allow},
		{"NumericLessThan", "-2", "1", implicit},
		{"NumericLessThan", "0.51", "0.5", allow},
		{"NumericLessThanEquals", "10", "10", allow},
		{"NumericLessThanEquals", "10", "11", implicit},
		{"NumericGreaterThan", "10", "100", allow},
		{"NumericGreaterThan", "10", "10", implicit},
		{"NumericGreaterThanEquals", "10", "10", allow},
		{"NumericGreaterThanEquals", "10", "9", implicit},
	} {
		add(cond(c.operator+" "+c.value+" "+c.given, `{"`+c.operator+`": {"aws:MultiFactorAuthAge": "`+c.value+`"}}`, one(age, c.given), c.decision))
	}
	add(
		cond("number without quotes", `{"NumericLessThan": {"aws:MultiFactorAuthAge": 300}}`, one(age, "10"), allow),
		cond("one value of the wrong type, positive", `{"NumericEquals": {"aws:MultiFactorAuthAge": ["x", "5"]}}`, one(age, "5"), allow),
		cond("one value of the wrong type, negated", `{"NumericNotEquals": {"aws:MultiFactorAuthAge": ["x", "7"]}}`, one(age, "5"), implicit),
	)
	for _, c := range []struct{ operator, value, given, decision string }{
		{"DateEquals", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z", allow},
		{"DateEquals", "2026-01-02T05:04:05+02:00", "2026-01-02T03:04:05Z", allow},
		{"DateEquals", "2026-01-02T00:34:05-0230", "2026-01-02T03:04:05Z", allow},
		{"DateEquals", "2026-01-02T03:04:05.000Z", "2026-01-02T03:04:05z", allow},
		{"DateEquals", "2026-01-02 03:04:05", "2026-01-02t03:04:05Z", allow},
		{"DateEquals", "2026-01-02T03:04Z", "2026-01-02T03:04:00Z", allow},
		{"DateEquals", "1767323045", "2026-01-02T03:04:05Z", allow},
		{"DateEquals", "2026-01-02", "2026-01-02T00:00:00Z", allow},
		{"DateEquals", "2026-01", "2026-01-01T00:00:00Z", allow},
		{"DateEquals", "2026", "2026-01-01T00:00:00Z", allow},
		{"DateEquals", "2026-01-01T24:00Z", "2026-01-02T00:00:00Z", allow},
		{"DateEquals", "2026-01-01T24:00:01Z", "2026-01-02T00:00:01Z", implicit},
		{"DateEquals", "-1", "1969-12-31T23:59:59Z", allow},
		{"DateEquals", "0", "1970-01-01", allow},
		{"DateEquals", "00000", "1970-01-01", allow},
		{"DateEquals", "-", "-", implicit},
		{"DateEquals", "9999999999999999", "9999999999999999", implicit},
		{"DateEquals", "2026-02-30", "2026-03-02", implicit},
		{"DateEquals", "2026-13-01", "2026-13-01", implicit},
		{"DateEquals", "2026-01-02T03", "2026-01-02T03", implicit},
		{"DateEquals", "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05Z", implicit},
		{"DateEquals", "2026-01-02T03:04:05X", "2026-01-02T03:04:05Z", implicit},
		{"DateEquals", "20x6", "2026", implicit},
		{"DateEquals", "", "", implicit},
		{"DateNotEquals", "2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z", allow},
		{"DateNotEquals", "x", "2026-01-02T03:04:06Z", implicit},
		{"DateNotEquals", "2026-01-02T03:04:05Z", "x", implicit},
		{"DateLessThan", "2026-01-02T03:04:05.5Z", "2026-01-02T03:04:05.25Z", allow},
		{"DateLessThanEquals", "2026-01-02", "2026-01-02", allow},
		{"DateGreaterThan", "2025-12-31", "2026-01-02", allow},
		{"DateGreaterThanEquals", "2026-01-03", "2026-01-02", implicit},
	} {
		add(cond(c.operator+" "+c.value+" "+c.given, `{"`+c.operator+`": {"aws:CurrentTime": "`+c.value+`"}}`, one(now, c.given), c.decision))
	}
	for _, c := range []struct{ operator, value, given, decision string }{
		{"Bool", "true", "TRUE", allow},
		{"Bool", "False", "false", allow},
		{"Bool", "true", "false", implicit},
		{"Bool", "yes", "true", implicit},
		{"Bool", "true", "yes", implicit},
		{"Bool", "false", "yes", implicit},
	} {
		add(cond(c.operator+" "+c.value+" "+c.given, `{"`+c.operator+`": {"aws:SecureTransport": "`+c.value+`"}}`, one(tls, c.given), c.decision))
	}
	add(cond("Bool without quotes", `{"Bool": {"aws:SecureTransport": true}}`, one(tls, "true"), allow))
	for _, c := range []struct{ operator, value, given, decision string }{
		{"BinaryEquals", "QmluYXJ5", "QmluYXJ5", allow},
		{"BinaryEquals", "QQ==", "QQ==", allow},
		{"BinaryEquals", "QQ==", "QR==", implicit},
		{"BinaryEquals", "!!", "!!", implicit},
		{"BinaryEquals", "!!!!", "!!!!", implicit},
		{"BinaryEquals", "QQ==QQ==", "QQ==QQ==", implicit},
		{"BinaryEquals", "QmluYXJ5", "x", implicit},
	} {
		add(cond(c.operator+" "+c.value+" "+c.given, `{"`+c.operator+`": {"aws:PrincipalTag/x": "`+c.value+`"}}`, one(tag, c.given), c.decision))
	}
	for _, c := range []struct{ operator, value, given, decision string }{
		{"IpAddress", "203.0.113.0/24", "203.0.113.9", allow},
		{"IpAddress", "203.0.113.77/24", "203.0.113.9", allow},
		{"IpAddress", "203.0.113.9", "203.0.113.9", allow},
		{"IpAddress", "203.0.113.9", "203.0.113.8", implicit},
		{"IpAddress", "0.0.0.0/0", "203.0.113.9", allow},
		{"IpAddress", "0.0.0.0/0", "2001:db8::1", implicit},
		{"IpAddress", "2001:db8::/32", "2001:DB8:0::1", allow},
		{"IpAddress", "2001:db8::1", "2001:db8:0::1", allow},
		{"IpAddress", "::/0", "203.0.113.9", implicit},
		{"IpAddress", "203.0.113.0/33", "203.0.113.9", implicit},
		{"IpAddress", "fe80::1%eth0", "fe80::1", implicit},
		{"IpAddress", "203.0.113.0/24", "x", implicit},
		{"NotIpAddress", "203.0.113.0/24", "198.51.100.1", allow},
		{"NotIpAddress", "203.0.113.0/24", "203.0.113.1", implicit},
		{"NotIpAddress", "203.0.113.0/24", "2001:db8::1", allow},
		{"NotIpAddress", "203.0.113.0/24", "x", implicit},
		{"NotIpAddress", "x", "203.0.113.1", implicit},
	} {
		add(cond(c.operator+" "+c.value+" "+c.given, `{"`+c.operator+`": {"aws:SourceIp": "`+c.value+`"}}`, one(ip, c.given), c.decision))
	}
	for _, c := range []struct{ operator, value, given, decision string }{
		{"ArnEquals", topic, topic, allow},
		{"ArnEquals", "arn:aws:sns:*:*:topic:*", topic, allow},
		{"ArnLike", "arn:aws:sns:*:*:topic:*", topic, allow},
		{"ArnLike", "arn:aws:sns:*:*:t*1", topic, allow},
		{"ArnLike", "arn:aws:sns:eu-*:1111?1111111:*", topic, allow},
		{"ArnLike", "arn:aws:sns:*:topic:*", topic, implicit},
		{"ArnLike", "arn:aws:sns:*", topic, implicit},
		{"ArnLike", "*", topic, implicit},
		{"ArnLike", "*:aws:sns:*:*:*", topic, allow},
		{"ArnLike", "x:aws:sns:*:*:*", topic, implicit},
		{"ArnLike", "", topic, implicit},
		{"ArnLike", topic, "x", implicit},
		{"ArnNotEquals", "arn:aws:sns:*:*:other", topic, allow},
		{"ArnNotEquals", topic, topic, implicit},
		{"ArnNotLike", "x", topic, implicit},
		{"ArnNotLike", topic, "x", implicit},
		{"ArnNotLike", "arn:aws:sns:*:*:topic*", topic, implicit},
		{"ArnLike", "arn:aws:sns:eu-west-1:${aws:PrincipalAccount}:topic:*", topic, allow},
		{"ArnLike", "arn:aws:sns:eu-west-1:${aws:PrincipalTag/none, '111111111111:topic'}:*", topic, allow},
		{"ArnLike", "${aws:SourceArn}", topic, allow},
		{"ArnLike", "${aws:username}", topic, implicit},
		{"ArnNotLike", "arn:aws:sns:*:*:${aws:PrincipalTag/none}", topic, implicit},
		{"ArnNotLike", "arn:aws:sqs:*:*:${aws:PrincipalTag/none}", topic, allow},
		{"ArnNotLike", "arn:aws:sns:${aws:PrincipalTag/none}:*:topic:*", topic, implicit},
		{"ArnNotLike", "arn:aws:sns:${aws:PrincipalTag/none}:*:other", topic, allow},
	} {
		add(cond(c.operator+" "+c.value+" "+c.given, `{"`+c.operator+`": {"aws:SourceArn": "`+c.value+`"}}`, one(arn, c.given), c.decision))
	}
	check(t, rows)
}

func TestPrincipals(t *testing.T) {
	to := func(name, who, principal, decision string) row {
		return row{name, kase{
			principal: who, action: "s3:GetObject", resource: "arn:aws:s3:::b/x", account: "111111111111",
			policy: doc(stmt("Allow", "s3:GetObject", "*", `"Principal": `+principal)),
		}, decision}
	}
	aws := func(text string) string { return `{"AWS": "` + text + `"}` }
	service, provider := "apigateway.amazonaws.com", oidc
	check(t, []row{
		to("* is everyone", alice, `"*"`, allow),
		to("* is anonymous too", "anonymous", `"*"`, allow),
		to("AWS * is everyone", "anonymous", aws("*"), allow),
		to("* is services", service, `"*"`, allow),
		to("* is providers", provider, `"*"`, allow),
		to("user", alice, aws(alice), allow),
		to("user with a path", "arn:aws:iam::111111111111:user/team/alice", aws("arn:aws:iam::111111111111:user/team/alice"), allow),
		to("the name of a user is case-sensitive", alice, aws("arn:aws:iam::111111111111:user/Alice"), implicit),
		to("wildcard in a principal matches no one", alice, aws("arn:aws:iam::111111111111:user/al*"), implicit),
		to("wildcard for a name matches no one", alice, aws("arn:aws:iam::111111111111:user/*"), implicit),
		to("wildcard for an account matches no one", theirUser, aws("arn:aws:iam::*:root"), implicit),
		to("12 digits delegate to the account", alice, aws("111111111111"), implicit),
		to("root delegates to the account", alice, aws(oursRoot), implicit),
		to("root of another partition", oursRoot, aws("arn:aws-cn:iam::111111111111:root"), allow), // root has access anyway
		to("session by its role", appSession, aws(appRole), allow),
		to("session by its role with a path", appSession, aws("arn:aws:iam::111111111111:role/team/app"), allow),
		to("session by its own ARN", appSession, aws(appSession), allow),
		to("session by another session", appSession, aws("arn:aws:sts::111111111111:assumed-role/app/s2"), implicit),
		to("session by another role", appSession, aws("arn:aws:iam::111111111111:role/ops"), implicit),
		to("session by a role of another account", appSession, aws("arn:aws:iam::222222222222:role/app"), implicit),
		to("the name of a role is case-sensitive", appSession, aws("arn:aws:iam::111111111111:role/App"), implicit),
		to("any session of a role", appRole, aws(appRole), allow),
		to("any session, role with another path", "arn:aws:iam::111111111111:role/team/app", aws(appRole), implicit),
		to("any session is not one session", appRole, aws(appSession), implicit),
		to("deleted principal", appSession, aws("AROAEXAMPLEEXAMPLE12"), implicit),
		to("canonical user", alice, `{"CanonicalUser": "abcdef"}`, implicit),
		to("service", service, `{"Service": "apigateway.amazonaws.com"}`, allow),
		to("another service", service, `{"Service": "lambda.amazonaws.com"}`, implicit),
		to("Service * is no one", service, `{"Service": "*"}`, implicit),
		to("a user is no service", alice, `{"Service": "apigateway.amazonaws.com"}`, implicit),
		to("provider", provider, `{"Federated": "`+oidc+`"}`, allow),
		to("web identity", "accounts.google.com", `{"Federated": "accounts.google.com"}`, allow),
		to("an account does not let its providers in", provider, aws("111111111111"), implicit),
		to("federated user", fedBob, aws(fedBob), allow),
		to("a provider ARN is no AWS principal", provider, aws(oidc), implicit),
		to("an ARN of another service", alice, aws("arn:aws:s3:::b"), implicit),
		to("one of several", alice, `{"Service": "lambda.amazonaws.com", "AWS": ["222222222222", "`+alice+`"]}`, allow),
		{"root of another partition is another account", kase{
			principal: theirUser, identity: []string{allowAll}, policy: invokeBy("arn:aws-cn:iam::222222222222:root"),
		}, implicit},
		{"a Deny for an account reaches its providers", kase{
			principal: oidc, action: "s3:GetObject", resource: "arn:aws:s3:::b/x", account: "111111111111",
			policy: doc(stmt("Allow", "*", "*", everyone), stmt("Deny", "*", "*", by("111111111111"))),
		}, explicit},
	})
}

func TestNotPrincipal(t *testing.T) {
	deny := func(name, who, list, boundary, decision string) row {
		return row{name, kase{
			principal: who, identity: []string{allowAll}, boundary: boundary,
			policy: doc(`{"Effect": "Deny", "NotPrincipal": {"AWS": ` + list + `}, "Action": "*", "Resource": "*"}`),
		}, decision}
	}
	admit := func(name, who, list, decision string) row {
		return row{name, kase{principal: who, policy: doc(`{"Effect": "Allow", "NotPrincipal": {"AWS": ` + list + `}, "Action": "*", "Resource": "*"}`)}, decision}
	}
	all := `["` + oursRoot + `", "` + appRole + `", "` + appSession + `"]`
	check(t, []row{
		deny("Deny lists account, role and session", appSession, all, "", allow),
		deny("Deny lists the user", alice, `"`+alice+`"`, "", allow),
		deny("Deny lists the role", appSession, `"`+appRole+`"`, "", allow),
		deny("Deny lists another", alice, `"`+appRole+`"`, "", explicit),
		deny("Deny lists the account alone", alice, `"`+oursRoot+`"`, "", explicit),
		deny("Deny lists the account, and root asks", oursRoot, `"`+oursRoot+`"`, "", allow),
		deny("Deny always denies with a boundary", appSession, all, allowAll, explicit),
		admit("Allow lists another", alice, `"`+appRole+`"`, allow),
		admit("Allow lists it", alice, `"`+alice+`"`, implicit),
		admit("Allow lists its account", alice, `"`+oursRoot+`"`, implicit),
		{"Allow lists it, with a boundary", kase{
			principal: alice, boundary: allowAll, policy: doc(`{"Effect": "Allow", "NotPrincipal": {"AWS": "` + alice + `"}, "Action": "*", "Resource": "*"}`),
		}, implicit},
	})
}
