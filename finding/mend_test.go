package finding

import (
	"strings"
	"testing"
)

// Names come from whoever made the API: none may become a command of whoever mends.
func TestMendQuotesNames(t *testing.T) {
	t.Parallel()
	evil := "x'; rm -rf ~ #${evil}\"\n"
	for _, r := range Catalogue() {
		for _, of := range []APIType{REST, HTTP} {
			m := r.For(Subject{Account: "1", Region: "r", API: "a", APIType: of, Stage: evil, Name: "GET " + evil, RouteID: evil, Kind: r.Of})
			// With every quoted word taken out, nothing of the name is left.
			plain := strings.ReplaceAll(m.CLI, `'x'\''; rm -rf ~ #${evil}"`+"\n'", "")
			plain = strings.ReplaceAll(plain, `'GET x'\''; rm -rf ~ #${evil}"`+"\n'", "")
			if strings.Contains(plain, "rm -rf") {
				t.Errorf("%s %s: a name can run:\n%s", r.ID, of, m.CLI)
			}
			if strings.Contains(strings.ReplaceAll(m.Terraform, "$${", ""), "${evil}") || strings.Contains(m.Terraform, "evil}\"") {
				t.Errorf("%s %s: a name can evaluate:\n%s", r.ID, of, m.Terraform)
			}
			for _, left := range []string{"{account}", "{region}", "{api}", "{stage}", "{name}", "{route_id}", "{method}", "{path}", "{role}"} {
				if strings.Contains(m.CLI+m.Terraform, left) {
					t.Errorf("%s %s: %s is left in:\n%s\n%s", r.ID, of, left, m.CLI, m.Terraform)
				}
			}
		}
	}
}

func TestEvidenceIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(REST)
	for range 100 {
		w.api.Secrets = append(w.api.Secrets, Secret{Where: strings.Repeat("é", 1000), Kind: "password"})
	}
	_, evidence := w.verdict("secret-in-configuration")
	if len(evidence) != evidenceAtMost+1 || evidence[evidenceAtMost].Value != "80 facts like these" {
		t.Errorf("there are %d facts, the last is %+v", len(evidence), evidence[len(evidence)-1])
	}
	for _, e := range evidence {
		if len(e.What) > evidenceBytes+len("…") || strings.ContainsRune(e.What, '�') {
			t.Errorf("a fact has %d bytes: %q", len(e.What), e.What)
		}
	}
}
