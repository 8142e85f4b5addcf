package iam_test

import (
	"testing"

	"github.com/gatehouse-project/gatehouse/iam"
)

func TestSpansAreTheStatementsText(t *testing.T) {
	t.Parallel()
	a, b := `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`, `{"Effect":"Deny",  "Sid":"é","Action":"s3:*","Resource":"*"}`
	for text, want := range map[string][]string{
		"\n {\"Statement\": [" + a + ",\n" + b + "]}": {a, b},
		`{"Statement": ` + b + `}`:                    {b},
		`{"Statement": []}`:                           {},
	} {
		d, err := iam.Parse(iam.KindIdentity, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, s := range d.Spans() {
			got = append(got, text[s[0]:s[1]])
		}
		diff(t, want, got)
	}
	if (&iam.Document{Statements: []iam.Statement{{}}}).Spans() != nil {
		t.Error("a document without a text has places in it")
	}
}
