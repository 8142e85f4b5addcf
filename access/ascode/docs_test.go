package ascode

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

var fence = regexp.MustCompile("(?s)```(yaml|hcl)\n(.*?)```")

// Every example of the guide is read, and what comes of it is written and read again.
func TestExamplesOfTheGuide(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/flows.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := fence.FindAllStringSubmatch(string(text), -1)
	if len(examples) < 5 {
		t.Fatalf("only %d examples", len(examples))
	}
	for _, e := range examples {
		var c Code
		var lost []Loss
		if e[1] == "yaml" {
			c, err = ParseYAML([]byte(e[2]))
		} else {
			c, lost, err = ParseTerraform("example.tf", []byte(e[2]))
		}
		if err != nil || len(lost) > 0 || len(c.Flows.Flows) == 0 {
			t.Errorf("%v %v\n%s", err, lost, e[2])
			continue
		}
		written, _, err := Terraform(c)
		if err != nil {
			t.Errorf("%v\n%s", err, e[2])
		}
		if _, _, err := ParseTerraform("again.tf", written); err != nil {
			t.Errorf("%v\n%s", err, written)
		}
	}
	for _, key := range []string{"name", "description", "active", "priority", "labels", "requestors", "request_for", "targets", "approvers", "escalation", "auto_approve", "duration", "extensions", "timeframe", "justification", "approver_reason", "self_approval", "break_glass", "lapse_after"} {
		if !strings.Contains(string(text), "`"+key+"`") {
			t.Errorf("the guide does not name %s", key)
		}
	}
}
