package gateway

import (
	"strings"
	"testing"
)

func TestSTSConfiguration(t *testing.T) {
	t.Parallel()
	const apis = `
apis:
  - {id: abc, type: REST, account: "111122223333", region: eu-west-1, routes: [{method: GET, path: /, integration: {type: MOCK}}], stages: [{name: prod}]}
`
	const trust = `{Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "arn:aws:iam::444455556666:root"}, Action: "sts:AssumeRole"}]}`
	for _, c := range []struct{ name, text, want string }{
		{"right", `sts: {roles: [{arn: "arn:aws:iam::111122223333:role/team/invoker", trust_policy: ` + trust + `, max_session: 2h}]}`, ""},
		{"not a role", `sts: {roles: [{arn: "arn:aws:iam::111122223333:user/ana"}]}`, "sts.roles[0].arn: \"arn:aws:iam::111122223333:user/ana\" is not the ARN of a role"},
		{"the same name twice", `sts: {roles: [{arn: "arn:aws:iam::111122223333:role/a/x"}, {arn: "arn:aws:iam::111122223333:role/b/x"}]}`, "sts.roles[1].arn: account 111122223333 has another role of this name"},
		{"a trust policy with a resource", `sts: {roles: [{arn: "arn:aws:iam::111122223333:role/x", trust_policy: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: "*", Action: "sts:AssumeRole", Resource: "*"}]}}]}`, "sts.roles[0].trust_policy: "},
		{"too long a session", `sts: {roles: [{arn: "arn:aws:iam::111122223333:role/x", max_session: 13h}]}`, "is not between 15 minutes and 12 hours"},
		{"an unknown key", `sts: {roles: [{arn: "arn:aws:iam::111122223333:role/x", trust: {}}]}`, `unknown setting "trust"`},
		{"what the STS cannot keep to", "sts: {}\ncredentials: [{access_key_id: AKIAEXAMPLE, secret_access_key: x, principal: \"arn:aws:iam::111122223333:user/ana\", scps: [[{Version: \"2012-10-17\", Statement: []}]]}]", "credentials[0].scps: the local STS knows no service control policies"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			config, err := Parse("gateway.yaml", []byte(c.text+apis), func(string) string { return "" })
			if err == nil {
				_, err = New(config, Options{})
			}
			switch {
			case c.want == "" && err != nil:
				t.Errorf("is refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v\nwant: %s", err, c.want)
			}
		})
	}
}
