package doctor

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/logging"
)

// The doctor suggests what the documentation shows, for each name that API Gateway or
// logging enable gives to a log group.
func TestSuggestedStatementIsTheDocumentedOne(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/permissions.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for part := range strings.SplitSeq(string(text), "```json\n") {
		block, _, _ := strings.Cut(part, "```")
		var policy struct {
			Statement []struct {
				Sid      string
				Resource json.RawMessage
			}
		}
		if json.Unmarshal([]byte(block), &policy) != nil {
			continue // no block, or one statement alone
		}
		for _, s := range policy.Statement {
			if s.Sid == "ReadApiGatewayLogs" {
				if err := json.Unmarshal(s.Resource, &documented); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	c := &regionCheck{target: account.Target{Account: "222233334444"}, region: &estate.Region{Name: region}}
	var suggested []string
	for _, group := range []string{
		"API-Gateway-Execution-Logs_a1b2c3d4e5/prod", "/aws/apigateway/a1b2c3d4e5/prod",
		"/aws/vendedlogs/apigateway/a1b2c3d4e5/prod", "/aws/vendedlogs/apigateway-execution/a1b2c3d4e5/prod",
	} {
		suggested = append(suggested, c.eventsResource(group))
	}
	if diff := cmp.Diff(documented, suggested); diff != "" || len(documented) != len(logging.GroupPrefixes()) {
		t.Errorf("(- docs/permissions.md, + doctor): %s", diff)
	}
	if got := c.eventsResource("orders-access"); got != "arn:aws:logs:*:222233334444:log-group:orders-access:*" {
		t.Errorf("for a group that somebody named it suggests %s", got)
	}
}

// One log group of each name is tried, so that a statement that forgets a name is
// found before a collector runs into it.
func TestAGroupOfEachNameIsTried(t *testing.T) {
	t.Parallel()
	c := &regionCheck{}
	for _, prefix := range logging.GroupPrefixes() {
		for _, rest := range []string{"_a/prod", "_b/prod"} {
			c.logGroups = append(c.logGroups, estate.LogGroup{Name: prefix + rest})
		}
	}
	var tried []string
	for _, g := range c.samples() {
		tried = append(tried, strings.TrimSuffix(g.Name, "_a/prod"))
	}
	if !slices.Equal(tried, logging.GroupPrefixes()) {
		t.Errorf("tried are %v", tried)
	}
}
