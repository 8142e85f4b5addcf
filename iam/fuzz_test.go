package iam_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/gatehouse-project/gatehouse/iam"
)

// FuzzParse feeds the parser, the compiler, the linter and the writer. Nothing
// may panic; what is parsed is JSON, compiles, and reads back as it was written;
// what is refused says where.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		allowAll, invokeBy(alice), doc(), doc(stmt("Deny", "s3:*", "arn:aws:s3:::${aws:username, 'x'}*", when("StringLike", "aws:username", "a?*"))),
		doc(stmt("Allow", "sts:AssumeRole", "", by(oursRoot))), `{"Statement": {"Effect": "Allow"}}`, `{"a": "\ud83d\ude00"`, `[`, `{"Statement": [1, }`,
	} {
		for kind := range 8 {
			f.Add(kind, []byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, kind int, text []byte) {
		k := iam.Kind(uint(kind) % 8)
		iam.GuessKind(text)
		iam.Lint(k, text)
		d, err := iam.Parse(k, text)
		var e *iam.Error
		switch {
		case err == nil:
		case !errors.As(err, &e) || e.Line < 1 || e.Column < 1 || e.Message == "":
			t.Fatalf("an error without a place: %v", err)
		default:
			return
		}
		if !json.Valid(text) || !utf8.Valid(text) {
			t.Fatalf("%q is not JSON and was parsed", text)
		}
		if _, err := d.Compile(); err != nil {
			t.Fatalf("what was parsed does not compile: %v", err)
		}
		iam.Describe(d)
		again, err := iam.Parse(k, d.Pretty())
		if err != nil {
			t.Fatalf("what was written is not read: %v\n%s", err, d.Pretty())
		}
		if !bytes.Equal(again.JSON(), d.JSON()) {
			t.Fatalf("%s became %s", d.JSON(), again.JSON())
		}
	})
}

// FuzzCase feeds the evaluator. Nothing may panic, an error never comes with a
// decision, and without a policy that allows nothing is allowed.
func FuzzCase(f *testing.F) {
	f.Add([]byte(crossAccountCase))
	for _, k := range []kase{
		{},
		{auth: "NONE", policy: invokeBy("*")},
		{auth: "LAMBDA", identity: []string{allowAll}},
		{principal: appSession, session: []string{silent}},
		{action: "sts:AssumeRole", resource: targetRole, policy: doc(stmt("Allow", "sts:AssumeRole", "", by(alice)))},
		{scps: [][]string{{allowAll}}, boundary: silent, endpoint: "private", api: "HTTP", context: map[string][]string{"aws:SourceIp": {"1.2.3.4"}}},
	} {
		f.Add([]byte(k.text()))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		iam.IsCase(text)
		c, err := iam.ParseCase(text)
		if err != nil {
			if c != nil {
				t.Fatal("a case comes with the error")
			}
			return
		}
		var r iam.Result
		c.Evaluate(&r)
		if d := c.Policies.Decide(c.Query); d != r.Decision {
			t.Fatalf("Decide says %s, Evaluate %s", d, r.Decision)
		}
		if !json.Valid(r.AppendJSON(nil)) {
			t.Fatalf("the answer is not JSON: %s", r.AppendJSON(nil))
		}
		c.Explain()
		if r.Decision != iam.Allowed {
			return
		}
		// Root has access by itself, and methods without IAM may be open.
		q := c.Query.Request()
		open := q.Principal.Kind == iam.PrincipalRoot || q.Auth == iam.AuthNone || q.Auth == iam.AuthCognito
		if !open && len(r.Reasons) == 0 {
			t.Fatalf("allowed without a reason\n%s", text)
		}
	})
}
