package eks

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"
)

const nodeEntry = "- groups:\n  - system:bootstrappers\n  - system:nodes\n  rolearn: arn:aws:iam::222222222222:role/nodes\n  username: system:node:{{EC2PrivateDNSName}}\n"

func TestParseAuth(t *testing.T) {
	t.Parallel()
	type seen struct {
		Roles, Users, Accounts []string
		Problems               int
		Lost                   bool
	}
	for _, c := range []struct {
		name string
		data map[string]string
		want seen
	}{
		{"nothing", nil, seen{}},
		{"what stands for nothing", map[string]string{"mapRoles": "``", "mapUsers": `""`, "mapAccounts": " ''\n"}, seen{}},
		{"a node group", map[string]string{"mapRoles": nodeEntry}, seen{Roles: []string{"arn:aws:iam::222222222222:role/nodes"}}},
		{"JSON", map[string]string{"mapRoles": `[{"rolearn":"a","username":"b"}]`}, seen{Roles: []string{"a"}}},
		{"fields in another case", map[string]string{"mapRoles": "- RoleARN: a\n  userName: b\n"}, seen{Roles: []string{"a"}}},
		{"a wrong entry is lost alone", map[string]string{"mapRoles": "- username: x\n- rolearn: b\n"}, seen{Roles: []string{"b"}, Problems: 1}},
		{"groups that are no list", map[string]string{"mapRoles": "- rolearn: a\n  groups: x\n- rolearn: b\n"}, seen{Roles: []string{"a", "b"}, Problems: 1}},
		{"an entry that is no object", map[string]string{"mapRoles": "- nothing\n- rolearn: b\n"}, seen{Roles: []string{"b"}, Problems: 2}},
		{"one line breaks the whole section", map[string]string{"mapRoles": "- rolearn: a\n  username: b\n bad: [\n", "mapUsers": "- userarn: u\n"}, seen{Users: []string{"u"}, Problems: 1, Lost: true}},
		{"no list", map[string]string{"mapRoles": "rolearn: a\n"}, seen{Problems: 1}},
		{"both kinds of role", map[string]string{"mapRoles": "- rolearn: a\n  sso: {accountID: '222222222222', permissionSetName: x}\n"}, seen{Problems: 1}},
		{"SSO without an account", map[string]string{"mapRoles": "- sso: {permissionSetName: x}\n"}, seen{Problems: 1}},
		{"SSO", map[string]string{"mapRoles": "- sso: {accountID: '222222222222', permissionSetName: Dev}\n"}, seen{Roles: []string{"arn:aws:iam::222222222222:role/awsreservedsso_dev_*"}}},
		{"accounts", map[string]string{"mapAccounts": "- '111111111111'\n"}, seen{Accounts: []string{"111111111111"}}},
		{"a second document is not read", map[string]string{"mapRoles": "- rolearn: a\n---\n- rolearn: b\n"}, seen{Roles: []string{"a"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := parseAuth(c.data)
			got := seen{Accounts: m.accounts, Problems: len(m.problems), Lost: len(m.lost) > 0}
			for _, r := range m.roles {
				got.Roles = append(got.Roles, r.key())
			}
			for _, u := range m.users {
				got.Users = append(got.Users, u.UserARN)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s\n%v", diff, m.problems)
			}
		})
	}
}

func TestAddMapping(t *testing.T) {
	t.Parallel()
	entry := roleMapping{RoleARN: testRole, Username: "gatehouse:{{SessionNameRaw}}"}
	const block = "- rolearn: \"" + testRole + "\"\n  username: \"gatehouse:{{SessionNameRaw}}\"\n"
	const flow = `{"rolearn": "` + testRole + `", "username": "gatehouse:{{SessionNameRaw}}"}`
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", block},
		{"an empty list", "[]\n", "[" + flow + "]\n"},
		{"empty quotes", `""`, block},
		{"null", "null", block},
		{"a comment alone", "# by the platform team\n", "# by the platform team\n" + block},
		{"a node group", nodeEntry, nodeEntry + block},
		{"without the last line end", strings.TrimSuffix(nodeEntry, "\n"), nodeEntry + block},
		{"comments, unknown fields and odd space", "# keep\n-   rolearn:   x   # mine\n    futureField: {a: [1,2]}\n    username: y\n\n\n", "# keep\n-   rolearn:   x   # mine\n    futureField: {a: [1,2]}\n    username: y\n\n\n" + block},
		{"further in", "  - rolearn: x\n    username: y\n", "  - rolearn: x\n    username: y\n  - rolearn: \"" + testRole + "\"\n    username: \"gatehouse:{{SessionNameRaw}}\"\n"},
		{"a wrong entry stays", "- username: nobody\n- rolearn: [1]\n", "- username: nobody\n- rolearn: [1]\n" + block},
		{"JSON", `[{"rolearn":"x","username":"y"}]`, `[{"rolearn":"x","username":"y"}, ` + flow + `]`},
		{"JSON over lines", "[\n  {\"rolearn\": \"x\"}\n]\n", "[\n  {\"rolearn\": \"x\"}, " + flow + "\n]\n"},
		{"line ends of another system", "- rolearn: x\r\n  username: y\r\n", "- rolearn: x\r\n  username: y\r\n" + strings.ReplaceAll(block, "\n", "\r\n")},
	} {
		got, err := addMapping(c.text, entry)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestAddMappingRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"a line that does not parse", "- rolearn: x\n  username: y\n bad\n", "yaml: line"},
		{"no list", "rolearn: x\n", "no list"},
		{"a second document", "- rolearn: x\n---\n- rolearn: y\n", "by hand"},
		{"an end of the document", "- rolearn: x\n...\n", "by hand"},
		{"a tab", "- rolearn: x\n\tusername: y\n", "does not parse"},
	} {
		got, err := addMapping(c.text, roleMapping{RoleARN: testRole, Username: "u:{{SessionName}}"})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %q, %v; want an error with %q", c.name, got, err, c.want)
		}
	}
}

// authText draws texts of mapRoles: lists in the styles that people and tools write, with
// comments, unknown fields, wrong entries and, now and then, plain noise.
func authText(t *rapid.T) string {
	scalar := rapid.SampledFrom([]string{"x", "'it''s'", `"a\"b"`, "arn:aws:iam::222222222222:role/Dev", "{{SessionName}}", "yes", "12", "~", "a # b", "[1, 2]", "{a: b}", "|\n      more\n      lines", "\"# no comment\""})
	field := rapid.SampledFrom([]string{"rolearn", "RoleARN", "username", "groups", "userid", "future", "sso"})
	switch rapid.IntRange(0, 9).Draw(t, "style") {
	case 0:
		return rapid.StringOfN(rapid.RuneFrom([]rune("-: \n#[]{}'\"|>&*!ax\t\r,")), 0, 60, -1).Draw(t, "noise")
	case 1:
		var entries []map[string]any
		for range rapid.IntRange(0, 3).Draw(t, "entries") {
			entries = append(entries, map[string]any{field.Draw(t, "field"): rapid.String().Draw(t, "value")})
		}
		data, _ := json.Marshal(entries)
		return string(data) + rapid.SampledFrom([]string{"", "\n", " \n\n"}).Draw(t, "end")
	}
	indent := rapid.SampledFrom([]string{"", "", "  ", "    "}).Draw(t, "indent")
	var b strings.Builder
	for range rapid.IntRange(0, 5).Draw(t, "entries") {
		if rapid.Bool().Draw(t, "comment") {
			b.WriteString(rapid.SampledFrom([]string{"# a comment\n", "\n", indent + "# - rolearn: old\n", "   \n"}).Draw(t, "text"))
		}
		lead := indent + "- "
		names := map[string]bool{}
		for range rapid.IntRange(1, 4).Draw(t, "fields") {
			name := field.Draw(t, "field")
			if names[name] {
				continue
			}
			names[name] = true
			b.WriteString(lead + name + ": " + scalar.Draw(t, "value") + "\n")
			lead = indent + "  "
		}
	}
	text := b.String()
	if rapid.IntRange(0, 4).Draw(t, "cut") == 0 {
		text = strings.TrimSuffix(text, "\n")
	}
	if rapid.IntRange(0, 6).Draw(t, "crlf") == 0 {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	return text
}

// What Gatehouse writes has every byte that was there in its place, says what the old
// text said, and is read by the authenticator with the entry in it. Everything else is
// refused, and nothing is written.
func TestAddMappingKeepsEverything(t *testing.T) {
	t.Parallel()
	written := 0
	rapid.Check(t, func(t *rapid.T) {
		text := authText(t)
		entry := roleMapping{RoleARN: testRole, Username: "gatehouse:{{SessionNameRaw}}"}
		before := parseAuth(map[string]string{keyMapRoles: text})
		got, err := addMapping(text, entry)
		if err != nil {
			return
		}
		written++
		if before.lost[keyMapRoles] != nil {
			t.Fatalf("%q does not parse and became %q", text, got)
		}
		if !keeps(text, got) {
			t.Fatalf("%q became %q: bytes that were there are gone", text, got)
		}
		after := parseAuth(map[string]string{keyMapRoles: got})
		have, ok := after.role(testRole)
		if !ok || have.Username != entry.Username {
			t.Fatalf("%q became %q, in which the entry is not read", text, got)
		}
		if !reflect.DeepEqual(slices.Clip(before.roles), slices.Clip(after.roles[:len(after.roles)-1])) && len(before.roles)+1 != len(after.roles) {
			t.Fatalf("%q became %q: %v became %v", text, got, before.roles, after.roles)
		}
		if len(before.problems) != len(after.problems) {
			t.Fatalf("%q became %q: its problems were %v and are %v", text, got, before.problems, after.problems)
		}
		var was, is []any
		if yaml.Unmarshal([]byte(text), &was) == nil && yaml.Unmarshal([]byte(got), &is) == nil && !skippable(text) && len(was) > 0 && !reflect.DeepEqual(was, is[:len(was)]) {
			t.Fatalf("%q became %q: what it says has changed", text, got)
		}
	})
	if written < 10 {
		t.Errorf("%d texts were changed; the property saw too little", written)
	}
}

// keeps reports whether got is text with one piece put in. A text of nothing may be
// replaced.
func keeps(text, got string) bool {
	switch strings.TrimSpace(text) {
	case "", "``", `""`, "''", "[]", "null", "~":
		return true
	}
	head := 0
	for head < len(text) && head < len(got) && text[head] == got[head] {
		head++
	}
	return strings.HasSuffix(got, text[head:])
}

func FuzzParseAuth(f *testing.F) {
	for _, text := range []string{"", nodeEntry, bareMap, "[]", "- &a {rolearn: x}\n- *a\n", "- rolearn: x\n bad", "a: b", "- [", "!!binary x", "- ? - x\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		before := parseAuth(map[string]string{keyMapRoles: text, "mapUsers": text, "mapAccounts": text})
		got, err := addMapping(text, roleMapping{RoleARN: testRole, Username: "u:{{SessionName}}"})
		if err != nil {
			return
		}
		after := parseAuth(map[string]string{keyMapRoles: got})
		if _, ok := after.role(testRole); !ok || len(after.roles) != len(before.roles)+1 || after.lost[keyMapRoles] != nil {
			t.Errorf("%q became %q: %v became %v", text, got, before.roles, after.roles)
		}
		if !keeps(text, got) {
			t.Errorf("%q became %q: bytes that were there are gone", text, got)
		}
	})
}
