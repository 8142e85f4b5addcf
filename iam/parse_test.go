package iam_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/iam"
)

// place is an error as the tests write it: path, line, column and a part of the
// message.
func wantError(t *testing.T, err error, path string, line, column int, message string) {
	t.Helper()
	var e *iam.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an *iam.Error", err)
	}
	if e.Path != path || e.Line != line || e.Column != column || !strings.Contains(e.Message, message) {
		t.Errorf("got  %s %d:%d %s\nwant %s %d:%d %s", e.Path, e.Line, e.Column, e.Message, path, line, column, message)
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	// at is the text before the place of the error.
	for _, c := range []struct {
		name    string
		kind    iam.Kind
		text    string
		path    string
		at      string
		message string
	}{
		{"nothing", iam.KindIdentity, ``, "", ``, "expected a JSON object, found nothing"},
		{"blanks", iam.KindIdentity, " \n\t", "", " \n\t", "found nothing"},
		{"not an object", iam.KindIdentity, `[]`, "", ``, "a policy document is an object, not a list"},
		{"null", iam.KindIdentity, `null`, "", ``, "not null"},
		{"something behind", iam.KindIdentity, `{} x`, "", `{} `, "unexpected 'x' after the end"},
		{"no value", iam.KindIdentity, `{"Version": }`, "Version", `{"Version": `, "expected a JSON value, found '}'"},
		{"end in the middle", iam.KindIdentity, `{"Version": `, "Version", `{"Version": `, "found end of input"},
		{"key without quotes", iam.KindIdentity, `{a: 1}`, "", `{`, "expected a key in double quotes, found 'a'"},
		{"comma at the end", iam.KindIdentity, `{"Id": "a",}`, "Id", `{"Id": "a",`, "expected a key"},
		{"no colon", iam.KindIdentity, `{"Id" "a"}`, "Id", `{"Id" `, "expected ':'"},
		{"no comma", iam.KindIdentity, `{"Id": "a" "b"}`, "", `{"Id": "a" `, "expected ',' or '}'"},
		{"no comma in a list", iam.KindIdentity, `{"Statement": [1 2]}`, "Statement[0]", `{"Statement": [1 `, "expected ',' or ']'"},
		{"comma at the end of a list", iam.KindIdentity, `{"Statement": [1, ]}`, "Statement[1]", `{"Statement": [1, `, "expected a JSON value"},
		{"string without end", iam.KindIdentity, `{"Id": "abc`, "Id", `{"Id": `, "a string does not end"},
		{"escaped string without end", iam.KindIdentity, `{"Id": "a\n`, "Id", `{"Id": `, "a string does not end"},
		{"key without end", iam.KindIdentity, `{"Id`, "", `{`, "a string does not end"},
		{"control character", iam.KindIdentity, "{\"Id\": \"a\tb\"}", "Id", `{"Id": "a`, "control character '\\t'"},
		{"control character after an escape", iam.KindIdentity, "{\"Id\": \"\\n\tb\"}", "Id", `{"Id": "\n`, "control character"},
		{"not UTF-8", iam.KindIdentity, "{\"Id\": \"a\xff\"}", "Id", `{"Id": "a`, "not valid UTF-8"},
		{"not UTF-8 after an escape", iam.KindIdentity, "{\"Id\": \"\\n\xff\"}", "Id", `{"Id": "\n`, "not valid UTF-8"},
		{"unknown escape", iam.KindIdentity, `{"Id": "a\x"}`, "Id", `{"Id": "a`, "unknown escape"},
		{"short unicode escape", iam.KindIdentity, `{"Id": "\u12`, "Id", `{"Id": "`, "four hexadecimal digits"},
		{"bad unicode escape", iam.KindIdentity, `{"Id": "\u12xy"}`, "Id", `{"Id": "`, "four hexadecimal digits"},
		{"half a surrogate pair", iam.KindIdentity, `{"Id": "\ud83d"}`, "Id", `{"Id": "`, "four hexadecimal digits"},
		{"number", iam.KindIdentity, `{"Id": -}`, "Id", `{"Id": -`, "expected a digit"},
		{"number with a point at its end", iam.KindIdentity, `{"Id": 1.}`, "Id", `{"Id": 1.`, "expected a digit"},
		{"number with an empty exponent", iam.KindIdentity, `{"Id": 1e+}`, "Id", `{"Id": 1e+`, "expected a digit"},
		{"duplicate key", iam.KindIdentity, "{\"Id\": \"a\",\n \"Id\": \"b\"}", "Id", "{\"Id\": \"a\",\n ", `the key "Id" is there twice`},
		{"too deep", iam.KindIdentity, `{"Statement": ` + strings.Repeat("[", 40), "Statement" + strings.Repeat("[0]", 32), `{"Statement": ` + strings.Repeat("[", 32), "nested more than 32"},

		{"no statement", iam.KindIdentity, `{"Version": "2012-10-17"}`, "", ``, "needs Statement"},
		{"unknown element", iam.KindIdentity, `{"Foo": 1}`, "Foo", `{`, `unknown element "Foo"`},
		{"element in another case", iam.KindIdentity, `{"statement": 1}`, "statement", `{`, `unknown element "statement"`},
		{"version of the wrong type", iam.KindIdentity, `{"Version": 2012}`, "Version", `{"Version": `, "expected a string, found a number"},
		{"unknown version", iam.KindIdentity, `{"Version": "2012-10-18"}`, "Version", `{"Version": `, `"2012-10-18" is not a version`},
		{"id of the wrong type", iam.KindIdentity, `{"Id": true}`, "Id", `{"Id": `, "found true or false"},
		{"statement of the wrong type", iam.KindIdentity, `{"Statement": "x"}`, "Statement", `{"Statement": `, "a statement is an object, not a string"},
		{"unknown element of a statement", iam.KindIdentity, "{\n  \"Statement\": [\n    {\"Effect\": \"Allow\", \"Foo\": 1}]}", "Statement[0].Foo", "{\n  \"Statement\": [\n    {\"Effect\": \"Allow\", ", `unknown element "Foo"`},
		{"no effect", iam.KindIdentity, `{"Statement": {"Action": "*", "Resource": "*"}}`, "Statement", `{"Statement": `, "needs Effect"},
		{"effect in lower case", iam.KindIdentity, `{"Statement": {"Effect": "allow"}}`, "Statement.Effect", `{"Statement": {"Effect": `, `Effect is Allow or Deny, not "allow"`},
		{"effect of the wrong type", iam.KindIdentity, `{"Statement": {"Effect": ["Allow"]}}`, "Statement.Effect", `{"Statement": {"Effect": `, "expected a string, found a list"},
		{"sid of the wrong type", iam.KindIdentity, `{"Statement": {"Sid": 1}}`, "Statement.Sid", `{"Statement": {"Sid": `, "expected a string"},
		{"duplicate sid", iam.KindIdentity, doc(stmt("Allow", "*", "*", `"Sid": "A"`), `{"Sid": "A"}`), "Statement[1].Sid", strings.TrimSuffix(doc(stmt("Allow", "*", "*", `"Sid": "A"`), `{"Sid": `), "]}"), `the Sid "A" is there twice`},
		{"Action and NotAction", iam.KindIdentity, `{"Statement": {"Effect": "Allow", "Action": "*", "NotAction": "*", "Resource": "*"}}`, "Statement.NotAction", `{"Statement": {"Effect": "Allow", "Action": "*", "NotAction": `, "Action or NotAction, not both"},
		{"neither", iam.KindIdentity, `{"Statement": {"Effect": "Allow", "Resource": "*"}}`, "Statement", `{"Statement": `, "needs Action or NotAction"},
		{"Resource and NotResource", iam.KindIdentity, `{"Statement": {"Effect": "Allow", "Action": "*", "NotResource": "*", "Resource": "*"}}`, "Statement.NotResource", `{"Statement": {"Effect": "Allow", "Action": "*", "NotResource": `, "Resource or NotResource, not both"},
		{"no resource", iam.KindIdentity, `{"Statement": {"Effect": "Allow", "Action": "*"}}`, "Statement", `{"Statement": `, "needs Resource or NotResource"},
		{"Principal and NotPrincipal", iam.KindResource, `{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*", "NotPrincipal": {"AWS": "*"}}}`, "Statement.NotPrincipal", `{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*", "NotPrincipal": `, "not both"},
		{"principal in an identity policy", iam.KindIdentity, `{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}}`, "Statement.Principal", `{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": `, "an identity-based policy names no principal"},
		{"NotPrincipal in a boundary", iam.KindBoundary, `{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "NotPrincipal": {"AWS": "*"}}}`, "Statement.NotPrincipal", `{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "NotPrincipal": `, "a permissions boundary names no principal"},
		{"no principal in a resource policy", iam.KindResource, `{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}`, "Statement", `{"Statement": `, "a resource-based policy needs Principal"},
		{"no principal in an endpoint policy", iam.KindVPCEndpoint, `{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}`, "Statement", `{"Statement": `, "a VPC endpoint policy needs Principal"},
		{"resource in a trust policy", iam.KindTrust, `{"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*", "Resource": "*"}}`, "Statement.Resource", `{"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*", "Resource": `, "a trust policy names no resource"},
		{"NotResource in a trust policy", iam.KindTrust, `{"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*", "NotResource": "*"}}`, "Statement.NotResource", `{"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*", "NotResource": `, "a trust policy names no resource"},
		{"NotPrincipal in a trust policy", iam.KindTrust, `{"Statement": {"Effect": "Deny", "Action": "sts:AssumeRole", "NotPrincipal": {"AWS": "*"}}}`, "Statement.NotPrincipal", `{"Statement": {"Effect": "Deny", "Action": "sts:AssumeRole", "NotPrincipal": `, "knows no NotPrincipal"},
		{"API's resource policy without a resource", iam.KindResource, `{"Statement": {"Effect": "Allow", "Action": "execute-api:Invoke", "Principal": "*"}}`, "Statement", `{"Statement": `, "needs Resource or NotResource"},
		{"API's resource policy with NotAction without a resource", iam.KindResource, `{"Statement": {"Effect": "Deny", "NotAction": "execute-api:Invoke", "Principal": "*"}}`, "Statement", `{"Statement": `, "needs Resource or NotResource"},
		{"RCP for a principal", iam.KindRCP, `{"Statement": {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Principal": {"AWS": "111111111111"}}}`, "Statement.Principal", `{"Statement": {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Principal": `, `applies to "*"`},
		{"RCP that allows", iam.KindRCP, `{"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Principal": "*"}}`, "Statement.Effect", `{"Statement": {"Effect": `, "only denies"},
		{"RCP with NotAction", iam.KindRCP, `{"Statement": {"Effect": "Deny", "NotAction": "s3:*", "Resource": "*", "Principal": "*"}}`, "Statement.NotAction", `{"Statement": {"Effect": "Deny", "NotAction": `, "knows no NotAction"},
		{"RCP of every action", iam.KindRCP, `{"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*", "Principal": "*"}}`, "Statement.Action", `{"Statement": {"Effect": "Deny", "Action": `, `"*" alone`},
		{"RCP with NotPrincipal", iam.KindRCP, `{"Statement": {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "NotPrincipal": {"AWS": "*"}}}`, "Statement.NotPrincipal", `{"Statement": {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "NotPrincipal": `, "knows no NotPrincipal"},

		{"action of the wrong type", iam.KindIdentity, `{"Statement": {"Action": 1}}`, "Statement.Action", `{"Statement": {"Action": `, "expected a string, found a number"},
		{"action of the wrong type in a list", iam.KindIdentity, `{"Statement": {"Action": ["*", null]}}`, "Statement.Action[1]", `{"Statement": {"Action": ["*", `, "expected a string, found null"},
		{"empty action list", iam.KindIdentity, `{"Statement": {"NotAction": []}}`, "Statement.NotAction", `{"Statement": {"NotAction": `, "the list is empty"},
		{"action without a service", iam.KindIdentity, `{"Statement": {"Action": "Invoke"}}`, "Statement.Action", `{"Statement": {"Action": `, `"Invoke" is not an action`},
		{"action without a name", iam.KindIdentity, `{"Statement": {"Action": "s3:"}}`, "Statement.Action", `{"Statement": {"Action": `, "is not an action"},
		{"action with two colons", iam.KindIdentity, `{"Statement": {"Action": "s3:a:b"}}`, "Statement.Action", `{"Statement": {"Action": `, "is not an action"},
		{"wildcard for a service", iam.KindIdentity, `{"Statement": {"Action": "*:Get"}}`, "Statement.Action", `{"Statement": {"Action": `, "holds other than letters"},
		{"wildcard in a service", iam.KindIdentity, `{"Statement": {"Action": ["s3:*", "s?:Get"]}}`, "Statement.Action[1]", `{"Statement": {"Action": ["s3:*", `, "holds other than letters"},
		{"resource that is no ARN", iam.KindIdentity, `{"Statement": {"Resource": "foo"}}`, "Statement.Resource", `{"Statement": {"Resource": `, "neither an ARN nor"},
		{"wildcard in the service of a resource", iam.KindIdentity, `{"Statement": {"Resource": "arn:aws:s*:::b"}}`, "Statement.Resource", `{"Statement": {"Resource": `, "has a wildcard"},
		{"wildcard for the service of a resource", iam.KindIdentity, `{"Statement": {"NotResource": ["arn:aws:*"]}}`, "Statement.NotResource[0]", `{"Statement": {"NotResource": [`, "has a wildcard"},
		{"short form in an identity policy", iam.KindIdentity, `{"Statement": {"Resource": "execute-api:/*"}}`, "Statement.Resource", `{"Statement": {"Resource": `, "neither an ARN nor"},
		{"short form without a slash", iam.KindResource, `{"Statement": {"Resource": "execute-api:prod"}}`, "Statement.Resource", `{"Statement": {"Resource": `, "is not a resource of this API"},

		{"principal that is a string", iam.KindResource, `{"Statement": {"Principal": "arn:aws:iam::111111111111:root"}}`, "Statement.Principal", `{"Statement": {"Principal": `, `a principal that is a string is "*"`},
		{"principal of the wrong type", iam.KindResource, `{"Statement": {"Principal": 1}}`, "Statement.Principal", `{"Statement": {"Principal": `, "found a number"},
		{"empty principal", iam.KindResource, `{"Statement": {"Principal": {}}}`, "Statement.Principal", `{"Statement": {"Principal": `, "it names no one"},
		{"unknown kind of principal", iam.KindResource, `{"Statement": {"Principal": {"Foo": "x"}}}`, "Statement.Principal.Foo", `{"Statement": {"Principal": {`, `unknown kind of principal "Foo"`},
		{"principal that is no ARN", iam.KindResource, `{"Statement": {"Principal": {"AWS": ["*", "alice"]}}}`, "Statement.Principal.AWS[1]", `{"Statement": {"Principal": {"AWS": ["*", `, `"alice" is not an AWS principal`},
		{"empty list of principals", iam.KindResource, `{"Statement": {"Principal": {"AWS": []}}}`, "Statement.Principal.AWS", `{"Statement": {"Principal": {"AWS": `, "the list is empty"},
		{"empty service", iam.KindResource, `{"Statement": {"Principal": {"Service": ""}}}`, "Statement.Principal.Service", `{"Statement": {"Principal": {"Service": `, "it is empty"},
		{"federated of the wrong type", iam.KindResource, `{"Statement": {"NotPrincipal": {"Federated": {}}}}`, "Statement.NotPrincipal.Federated", `{"Statement": {"NotPrincipal": {"Federated": `, "found an object"},

		{"condition of the wrong type", iam.KindIdentity, `{"Statement": {"Condition": []}}`, "Statement.Condition", `{"Statement": {"Condition": `, "Condition is an object, not a list"},
		{"unknown operator", iam.KindIdentity, `{"Statement": {"Condition": {"StringFoo": {}}}}`, "Statement.Condition.StringFoo", `{"Statement": {"Condition": {`, "is not a condition operator"},
		{"Null with IfExists", iam.KindIdentity, `{"Statement": {"Condition": {"NullIfExists": {}}}}`, "Statement.Condition.NullIfExists", `{"Statement": {"Condition": {`, "Null takes neither"},
		{"Null with a prefix", iam.KindIdentity, `{"Statement": {"Condition": {"ForAnyValue:Null": {}}}}`, "Statement.Condition.ForAnyValue:Null", `{"Statement": {"Condition": {`, "Null takes neither"},
		{"operator of the wrong type", iam.KindIdentity, `{"Statement": {"Condition": {"Bool": "true"}}}`, "Statement.Condition.Bool", `{"Statement": {"Condition": {"Bool": `, "expected an object of keys"},
		{"empty key", iam.KindIdentity, `{"Statement": {"Condition": {"Bool": {"": "true"}}}}`, "Statement.Condition.Bool.", `{"Statement": {"Condition": {"Bool": {`, "a condition key is empty"},
		{"value of the wrong type", iam.KindIdentity, `{"Statement": {"Condition": {"Bool": {"a:b": ["true", 0, {}]}}}}`, "Statement.Condition.Bool.a:b[2]", `{"Statement": {"Condition": {"Bool": {"a:b": ["true", 0, `, "expected a value, found an object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, err := iam.Parse(c.kind, []byte(c.text))
			if d != nil {
				t.Error("a document comes with the error")
			}
			line := 1 + strings.Count(c.at, "\n")
			column := len([]rune(c.at[strings.LastIndexByte(c.at, '\n')+1:])) + 1
			wantError(t, err, c.path, line, column, c.message)
		})
	}
}

func TestParseBounds(t *testing.T) {
	t.Parallel()
	_, err := iam.Parse(iam.KindIdentity, []byte(strings.Repeat(" ", iam.MaxDocumentSize+1)))
	wantError(t, err, "", 1, 1, "too large")
	_, err = iam.Parse(iam.KindIdentity, []byte(`{"Statement": [`+strings.Repeat("1,", 250_000)+`1]}`))
	wantError(t, err, "Statement[199998]", 1, 16+2*199_998, "more than 200000 values")
	// Many keys are looked up in an index, which finds a duplicate too.
	var b strings.Builder
	for i := range 40 {
		fmt.Fprintf(&b, `"k%d": 1, `, i)
	}
	_, err = iam.Parse(iam.KindIdentity, []byte(`{`+b.String()+`"k39": 1}`))
	wantError(t, err, "k39", 1, len(b.String())+2, "twice")
}

func TestParseValid(t *testing.T) {
	t.Parallel()
	text := "{\"Version\": \"2012-10-17\", \"Id\": \"\\ud83d\\ude00 \\u00e9\\\"\\\\\\/\\b\\f\\n\\r\\té\", \"Statement\": [" +
		`{"Sid": "", "Effect": "Allow", "Principal": {"AWS": ["111111111111", "*"], "Service": "s3.amazonaws.com", "Federated": ["accounts.google.com"], "CanonicalUser": "abc"}, "Action": ["s3:Get*", "s3:Put*"], "NotResource": "arn:aws:s3:::b", ` +
		`"Condition": {"NumericLessThan": {"aws:MultiFactorAuthAge": [-1.5e+3, 10]}, "Bool": {"aws:SecureTransport": true}, "StringEquals": {"a:b": [], "a:c": "x<y"}}}, ` +
		`{"Sid": "", "Effect": "Deny", "NotPrincipal": {"AWS": "arn:aws:iam::111111111111:root"}, "NotAction": "*", "Resource": "*", "Condition": {}}]}`
	d, err := iam.Parse(iam.KindResource, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "😀 é\"\\/\b\f\n\r\té", d.ID)
	diff(t, []iam.Statement{
		{
			Effect: iam.Allow, Action: iam.Strings{"s3:Get*", "s3:Put*"}, NotResource: iam.Strings{"arn:aws:s3:::b"},
			Principal: &iam.Principals{
				AWS: iam.Strings{"111111111111", "*"}, Service: iam.Strings{"s3.amazonaws.com"},
				Federated: iam.Strings{"accounts.google.com"}, CanonicalUser: iam.Strings{"abc"},
			},
			Condition: iam.Conditions{
				{Operator: "NumericLessThan", Key: "aws:MultiFactorAuthAge", Values: iam.Strings{"-1.5e+3", "10"}},
				{Operator: "Bool", Key: "aws:SecureTransport", Values: iam.Strings{"true"}},
				{Operator: "StringEquals", Key: "a:b", Values: iam.Strings{}},
				{Operator: "StringEquals", Key: "a:c", Values: iam.Strings{"x<y"}},
			},
		},
		{Effect: iam.Deny, NotPrincipal: &iam.Principals{AWS: iam.Strings{"arn:aws:iam::111111111111:root"}}, NotAction: iam.Strings{"*"}, Resource: iam.Strings{"*"}},
	}, d.Statements)

	// What is written reads back as the same.
	again, err := iam.Parse(iam.KindResource, d.JSON())
	if err != nil {
		t.Fatal(err)
	}
	diff(t, d.Statements, again.Statements)
	if !strings.Contains(string(d.Pretty()), "x<y") {
		t.Error("HTML is escaped")
	}
	if p, err := d.Compile(); err != nil || p.Kind() != iam.KindResource {
		t.Errorf("Compile: %v", err)
	}
}

func TestCompileChecksDocumentsBuiltByHand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		statement iam.Statement
		path      string
		message   string
	}{
		{iam.Statement{}, "Statement[1]", "needs Effect"},
		{iam.Statement{Effect: iam.Allow, Action: iam.Strings{"*", "x"}, Resource: iam.Strings{"*"}}, "Statement[1].Action[1]", "is not an action"},
		{iam.Statement{Effect: iam.Allow, NotAction: iam.Strings{"x"}, Resource: iam.Strings{"*"}}, "Statement[1].NotAction[0]", "is not an action"},
		{iam.Statement{Effect: iam.Allow, Action: iam.Strings{"*"}, Resource: iam.Strings{"x"}}, "Statement[1].Resource[0]", "neither an ARN"},
		{iam.Statement{Effect: iam.Allow, Action: iam.Strings{"*"}, NotResource: iam.Strings{"x"}}, "Statement[1].NotResource[0]", "neither an ARN"},
		{iam.Statement{Effect: iam.Allow, Action: iam.Strings{"*"}, Resource: iam.Strings{"*"}, Condition: iam.Conditions{{Operator: "Foo", Key: "a:b"}}}, "Statement[1].Condition[0]", "is not a condition operator"},
	} {
		d := &iam.Document{Statements: []iam.Statement{{Effect: iam.Allow, Action: iam.Strings{"*"}, Resource: iam.Strings{"*"}}, c.statement}}
		p, err := d.Compile()
		if p != nil {
			t.Error("a policy comes with the error")
		}
		wantError(t, err, c.path, 0, 0, c.message)
		if !strings.HasPrefix(err.Error(), c.path+": ") {
			t.Errorf("%v", err)
		}
	}
	if _, err := iam.ParseAndCompile(iam.KindIdentity, []byte(`{}`)); err == nil {
		t.Error("an invalid document was compiled")
	}
}

func TestCaseErrors(t *testing.T) {
	t.Parallel()
	request := func(more string) string {
		return `{"request": {"principal": "anonymous", "action": "s3:GetObject", "resource": "arn:aws:s3:::b"` + more + `}}`
	}
	with := func(more string) string { return strings.TrimSuffix(request(""), "}") + ", " + more + "}" }
	for _, c := range []struct{ name, text, path, message string }{
		{"not JSON", `{`, "", "expected a key"},
		{"not an object", `[]`, "", "a policy case is an object, not a list"},
		{"no request", `{}`, "", "needs request"},
		{"request of the wrong type", `{"request": 1}`, "request", "request is an object"},
		{"no principal", `{"request": {}}`, "request", "request needs principal"},
		{"no action", `{"request": {"principal": "anonymous"}}`, "request", "request needs action"},
		{"no resource", `{"request": {"principal": "anonymous", "action": "s3:GetObject"}}`, "request", "request needs resource"},
		{"unknown field", with(`"policies": []`), "policies", `unknown element "policies"`},
		{"unknown field of the request", request(`, "foo": 1`), "request.foo", `unknown element "foo"`},
		{"principal of the wrong type", `{"request": {"principal": 1}}`, "request.principal", "expected a string"},
		{"principal that is none", `{"request": {"principal": "alice"}}`, "request.principal", "is not a principal"},
		{"principal that is cut off", `{"request": {"principal": "arn:aws:iam"}}`, "request.principal", "is not a principal"},
		{"principal without an account", `{"request": {"principal": "arn:aws:iam::1:user/a"}}`, "request.principal", "no 12-digit account"},
		{"principal with letters for an account", `{"request": {"principal": "arn:aws:iam::11111111111x:user/a"}}`, "request.principal", "no 12-digit account"},
		{"principal of another kind", `{"request": {"principal": "arn:aws:iam::111111111111:group/a"}}`, "request.principal", "cannot make requests"},
		{"principal without a name", `{"request": {"principal": "arn:aws:iam::111111111111:user/"}}`, "request.principal", "does not name one principal"},
		{"principal with a wildcard", `{"request": {"principal": "arn:aws:iam::111111111111:user/*"}}`, "request.principal", "does not name one principal"},
		{"root with more", `{"request": {"principal": "arn:aws:iam::111111111111:root/x"}}`, "request.principal", "does not name one principal"},
		{"session without a name", `{"request": {"principal": "arn:aws:sts::111111111111:assumed-role/a"}}`, "request.principal", "is not a role session"},
		{"session with a path", `{"request": {"principal": "arn:aws:sts::111111111111:assumed-role/a/b/c"}}`, "request.principal", "is not a role session"},
		{"action of the wrong type", `{"request": {"principal": "anonymous", "action": []}}`, "request.action", "expected a string"},
		{"action with a wildcard", `{"request": {"principal": "anonymous", "action": "s3:*", "resource": "*"}}`, "request.action", "is not one action"},
		{"action that is none", `{"request": {"principal": "anonymous", "action": "GetObject", "resource": "*"}}`, "request.action", "is not one action"},
		{"resource of the wrong type", `{"request": {"resource": 1}}`, "request.resource", "expected a string"},
		{"resource that is none", `{"request": {"principal": "anonymous", "action": "s3:GetObject", "resource": "b/x"}}`, "request.resource", "neither an ARN nor"},
		{"resource that is too long", `{"request": {"principal": "anonymous", "action": "s3:GetObject", "resource": "arn:aws:s3:::` + strings.Repeat("x", 9000) + `"}}`, "request.resource", "longer than"},
		{"call of what is no API", `{"request": {"principal": "anonymous", "action": "execute-api:Invoke", "resource": "*"}}`, "request.resource", "is not the ARN of an API"},
		{"account of the wrong type", request(`, "resource_account": 111111111111`), "request.resource_account", "expected a string"},
		{"account that is none", request(`, "resource_account": "x"`), "request.resource_account", "is not a 12-digit account"},
		{"context of the wrong type", request(`, "context": []`), "request.context", "context is an object"},
		{"context with a value of the wrong type", request(`, "context": {"a:b": {}}`), "request.context.a:b", "expected a value"},
		{"context with an empty key", request(`, "context": {"": []}`), "request.context", "a key is empty"},
		{"context with a key twice", request(`, "context": {"a:b": [], "A:B": []}`), "request.context", "twice, in two spellings"},
		{"auth of the wrong type", request(`, "auth": 1`), "request.auth", "expected a string"},
		{"auth that is none", request(`, "auth": "iam"`), "request.auth", "none of IAM, NONE, LAMBDA, COGNITO"},
		{"auth of another service", request(`, "auth": "NONE"`), "request.auth", "of API Gateway alone"},
		{"api that is none", request(`, "api": "rest"`), "request.api", "none of REST, HTTP, WEBSOCKET"},
		{"endpoint that is none", request(`, "endpoint": "edge"`), "request.endpoint", "neither public nor private"},
		{"flag of the wrong type", request(`, "service_linked_role": "true"`), "request.service_linked_role", "expected true or false"},
		{"identity policies of the wrong type", with(`"identity_policies": {}`), "identity_policies", "expected a list of policies"},
		{"identity policy", with(`"identity_policies": [` + allowAll + `, {"Statement": {"Effect": "no"}}]`), "identity_policies[1].Statement.Effect", "Allow or Deny"},
		{"null for an identity policy", with(`"identity_policies": [null]`), "identity_policies[0]", "not null"},
		{"resource policy", with(`"resource_policy": {"Foo": 1}`), "resource_policy.Foo", "unknown element"},
		{"boundary", with(`"permissions_boundary": []`), "permissions_boundary", "is an object, not a list"},
		{"session policies", with(`"session_policies": [[]]`), "session_policies[0]", "is an object, not a list"},
		{"SCPs of the wrong type", with(`"scps": {}`), "scps", "expected a list of levels"},
		{"SCPs without levels", with(`"scps": [` + allowAll + `]`), "scps[0]", "a level is a list of policies"},
		{"SCP", with(`"scps": [[` + allowAll + `, {}]]`), "scps[0][1]", "needs Statement"},
		{"RCP", with(`"rcps": [[{}]]`), "rcps[0][0]", "needs Statement"},
		{"endpoint policy", with(`"vpc_endpoint_policy": ` + allowAll), "vpc_endpoint_policy.Statement[0]", "needs Principal"},
		{"policy that is too large", with(`"permissions_boundary": {"Statement": [` + strings.Repeat(" ", iam.MaxDocumentSize) + `]}`), "permissions_boundary", "too large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := new(iam.Cases).Parse([]byte(c.text+"\n"), 7)
			var e *iam.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *iam.Error", err)
			}
			if e.Path != c.path || !strings.Contains(e.Message, c.message) || e.Line != 7 || e.Column < 1 {
				t.Errorf("got %+v\nwant %s %s", e, c.path, c.message)
			}
		})
	}
}

func TestCaseForms(t *testing.T) {
	t.Parallel()
	c := parseCase(t, `{"request": {"principal": "`+alice+`", "action": "execute-api:Invoke", "resource": "`+getPets+`", "resource_account": null, "auth": null, "api": null,
	  "endpoint": null, "context": null, "resource_owner_is_management_account": false, "service_linked_role": null},
	  "identity_policies": null, "resource_policy": null, "permissions_boundary": null, "session_policies": null, "scps": null, "rcps": null, "vpc_endpoint_policy": null}`)
	if c.Policies.Decide(c.Query) != iam.ImplicitDeny {
		t.Error("nothing allows")
	}
	diff(t, []string{"alice"}, c.Query.Value("AWS:UserName"))
	diff(t, "execute-api:Invoke", c.Query.Request().Action)
	// One value may stand without a list, and numbers and booleans without quotes.
	c = parseCase(t, `{"request": {"principal": "anonymous", "action": "s3:GetObject", "resource": "*", "context": {"a:b": "x", "a:c": 5, "a:d": true}}}`)
	diff(t, []string{"x"}, c.Query.Value("a:b"))
	diff(t, []string{"5"}, c.Query.Value("a:c"))
	diff(t, []string{"true"}, c.Query.Value("a:d"))
}

// TestCasesKeepPolicies reads more policies than are kept, each twice.
func TestCasesKeepPolicies(t *testing.T) {
	t.Parallel()
	var cases iam.Cases
	pad := strings.Repeat(" ", 700_000)
	for i := range 60 {
		text := kase{identity: []string{doc(stmt("Allow", "*", "*", fmt.Sprintf(`"Sid": "S%d"`, i/2)) + ``)}}.text()
		text = strings.Replace(text, `"Version"`, pad+`"Version"`, 1)
		c, err := cases.Parse([]byte(text), 1)
		if err != nil {
			t.Fatal(err)
		}
		var r iam.Result
		c.Evaluate(&r)
		if want := fmt.Sprintf("S%d", i/2); len(r.Reasons) != 1 || r.Reasons[0].Sid != want {
			t.Fatalf("case %d: %+v, want %s", i, r.Reasons, want)
		}
	}
}

func TestPrepare(t *testing.T) {
	t.Parallel()
	if _, err := (iam.Request{Action: "s3"}).Prepare(); err == nil {
		t.Error("a request without an action was prepared")
	}
	q, err := iam.Request{Action: "s3:ListAllMyBuckets", Resource: "*"}.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	p := iam.Policies{Resource: iam.Attached{Name: "b", Policy: compile(t, iam.KindResource, doc(stmt("Deny", "s3:*", "*", everyone)))}}
	r := iam.Evaluate(&p, q)
	diff(t, "User: anonymous is not authorized to perform: s3:ListAllMyBuckets on resource: * with an explicit deny in a resource-based policy", r.Message())
	// Without a name, a policy goes by its layer.
	p.Resource.Name = ""
	if advice := iam.Evaluate(&p, q).Advice(); !strings.Contains(advice, "of the resource-based policy: it denies") {
		t.Error(advice)
	}
	who := iam.Principal{}
	diff(t, "anonymous", who.String())
}

func compile(t *testing.T, kind iam.Kind, text string) *iam.Policy {
	t.Helper()
	p, err := iam.ParseAndCompile(kind, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"identity", "resource", "trust", "boundary", "session", "scp", "rcp", "vpc_endpoint"} {
		kind, err := iam.ParseKind(name)
		if err != nil || kind.String() != name {
			t.Errorf("%s: %s, %v", name, kind, err)
		}
	}
	if _, err := iam.ParseKind("x"); err == nil {
		t.Error("x is a kind")
	}
	for text, want := range map[string]iam.Kind{
		allowAll:                                 iam.KindIdentity,
		`{`:                                      iam.KindIdentity,
		`{}`:                                     iam.KindIdentity,
		invokeBy(alice):                          iam.KindResource,
		doc(stmt("Allow", "s3:*", "", everyone)): iam.KindResource,
		`{"Statement": {"Principal": "*"}}`:      iam.KindResource,
		`{"Statement": {"NotPrincipal": "*", "Resource": "*"}}`:           iam.KindResource,
		`{"Statement": {"Principal": "*", "Action": ["STS:AssumeRole"]}}`: iam.KindTrust,
		doc(stmt("Allow", "sts:AssumeRole", "", by(alice))):               iam.KindTrust,
		doc(stmt("Allow", "sts:AssumeRole", "*", by(alice))):              iam.KindResource,
	} {
		if got := iam.GuessKind([]byte(text)); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
	if !iam.IsCase([]byte(kase{}.text())) || iam.IsCase([]byte(allowAll)) || iam.IsCase([]byte(`{`)) || iam.IsCase([]byte(`[]`)) {
		t.Error("IsCase")
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]iam.Place{
		"":                       {},
		"a":                      {Path: "a"},
		"line 2, column 3":       {Line: 2, Column: 3},
		"a.b (line 2, column 3)": {Path: "a.b", Line: 2, Column: 3},
	} {
		diff(t, want, p.String())
	}
	e := &iam.Error{Message: "bad", Hint: "mend it"}
	diff(t, "bad", e.Error())
	diff(t, "mend it", e.Mend())
	// A message does not repeat all of a long input.
	_, err := iam.ParsePrincipal("a" + strings.Repeat("é", 1000))
	if err == nil || len(err.Error()) > 300 {
		t.Errorf("%v", err)
	}
}
