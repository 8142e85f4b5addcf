package config

import (
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/transaction"
)

func TestRedactionSettings(t *testing.T) {
	t.Parallel()
	c := Default()
	for name, values := range map[string][]string{
		"redact_headers": {"X-Tenant"}, "redact_json_paths": {"$.user.name"}, "redact_classes": {"email"},
	} {
		s, ok := Lookup(name)
		if !ok {
			t.Fatalf("no setting %s", name)
		}
		if err := s.Set(c, values); err != nil {
			t.Fatal(err)
		}
	}
	r, err := c.Redactor()
	if err != nil {
		t.Fatal(err)
	}
	a := transaction.NewAssembler(transaction.Options{Redactor: r})
	f := a.Feed(transaction.Group{Name: "API-Gateway-Execution-Logs_a1b2c3d4e5/prod"})
	const id = "7d1c2b3a-0a0b-4c0d-8e0f-001122334455"
	for _, line := range []string{
		"Method request headers: {X-Tenant=acme, Accept=*/*}",
		`Method request body before transformations: {"user":{"name":"bob"},"to":"bob@example.com","card":"4111111111111111","k":"AKIAIOSFODNN7EXAMPLE"}`,
	} {
		f.Add(&transaction.Event{Message: "(" + id + ") " + line})
	}
	a.Flush()
	got := string(a.Take(nil)[0].Transaction.AppendJSON(nil))
	for _, secret := range []string{"acme", "bob", "AKIA"} {
		if strings.Contains(got, secret) {
			t.Errorf("%s was not taken out: %s", secret, got)
		}
	}
	if !strings.Contains(got, "4111111111111111") {
		t.Errorf("cards are taken out, and were not asked for: %s", got)
	}
	c.RedactClasses = []string{"everything"}
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "everything") {
		t.Errorf("an unknown class was accepted: %v", err)
	}
}
