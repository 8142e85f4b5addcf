package eks

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhoami(t *testing.T) {
	t.Parallel()
	fine := Caller{
		Person: "alice@example.com", ARN: "arn:aws:sts::222222222222:assumed-role/gatehouse-k8s-access/alice@example.com", Role: testRole,
		Username: "apono:alice-example.com", Templates: []string{"apono:{{SessionName}}"}, Trust: ssoTrust, Bound: []string{"apono:alice-example.com"},
	}
	for _, c := range []struct {
		name         string
		change       func(*Caller)
		check, want  string
		result, mend string
	}{
		{"all is well", func(*Caller) {}, "", "", resultOK, ""},
		{"another case", func(c *Caller) { c.ARN = strings.ReplaceAll(c.ARN, "alice", "Alice") }, whoamiCase, "STS ignores case", resultFailed, "role_session_name = alice@example.com"},
		{"another case in the cluster", func(c *Caller) { c.Username = "apono:Alice-example.com" }, whoamiCase, "the case differs", resultFailed, "role_session_name = alice@example.com"},
		{"--role-arn", func(c *Caller) { c.ARN = strings.ReplaceAll(c.ARN, "alice@example.com", "EKSGetTokenAuth") }, whoamiSession, "EKSGetTokenAuth", resultFailed, "take --role-arn"},
		{"no session name", func(c *Caller) { c.ARN = strings.ReplaceAll(c.ARN, "alice@example.com", "botocore-session-123") }, whoamiSession, "made up", resultFailed, "role_session_name"},
		{"somebody else", func(c *Caller) { c.ARN = strings.ReplaceAll(c.ARN, "alice", "bob") }, whoamiSession, "bob@example.com", resultFailed, ""},
		{"another role", func(c *Caller) { c.ARN = strings.ReplaceAll(c.ARN, "gatehouse-k8s-access", "Admin") }, whoamiRole, "not of gatehouse-k8s-access", resultFailed, ""},
		{"a user's key", func(c *Caller) { c.ARN = "arn:aws:iam::222222222222:user/alice" }, whoamiSession, "no session", resultFailed, ""},
		{"nothing was seen", func(c *Caller) { *c = Caller{Person: c.Person} }, whoamiSession, "not seen", resultUnseen, "get-caller-identity"},
		{"no condition", func(c *Caller) {
			c.Trust = statement(`{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}`)
		}, checkTrust, "as anybody", resultFailed, "sts:RoleSessionName"},
		{"a binding of another template", func(c *Caller) { c.Bound = []string{"alice@example.com"} }, whoamiBinding, "you are apono:alice-example.com", resultFailed, ""},
		{"masters", func(c *Caller) { c.Groups = []string{"system:masters"} }, whoamiUser, "may do everything", resultWarning, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := fine
			c.change(&in)
			worst, told := resultOK, ""
			for _, f := range Whoami(in) {
				worst = worse(worst, f.Result)
				if f.Name == c.check && f.Result == c.result && strings.Contains(f.Detail, c.want) && strings.Contains(f.Mend, c.mend) {
					told = f.Detail
				}
			}
			if worst != c.result || c.check != "" && told == "" {
				t.Errorf("want %s of %s with %q, got %+v", c.result, c.check, c.want, Whoami(in))
			}
		})
	}
}

func TestCallerOfGatehousesSide(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "CONFIG_MAP")
	c.mapTo("apono:{{SessionName}}")
	got, err := c.rbac.Caller(t.Context(), c.integration, person(0))
	if err != nil {
		t.Fatal(err)
	}
	want := Caller{Person: "alice@example.com", Role: testRole, Templates: []string{"apono:{{SessionName}}"}, Trust: ssoTrust, Bound: []string{"apono:alice-example.com"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
