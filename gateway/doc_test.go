package gateway_test

import (
	"os"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/gateway"
)

// documentedAPI is what the examples that show a part alone are read with.
const documentedAPI = `
apis:
  - id: a1b2c3d4e5
    type: REST
    account: "111122223333"
    region: us-east-1
    routes:
      - {method: GET, path: "/pets/{id}", integration: {type: MOCK}}
      - {method: POST, path: /search, integration: {type: MOCK}}
      - {method: GET, path: /me, integration: {type: MOCK}}
`

// TestDocumentedExamples holds the examples of docs/gateway.md to the parser.
func TestDocumentedExamples(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/gateway.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	for rest := string(page); ; examples++ {
		_, after, ok := strings.Cut(rest, "```yaml\n")
		if !ok {
			break
		}
		var example string
		example, rest, _ = strings.Cut(after, "```")
		switch {
		case strings.HasPrefix(example, "stages:"):
			example = documentedAPI + "    " + strings.ReplaceAll(strings.TrimSuffix(example, "\n"), "\n", "\n    ") + "\n"
		case !strings.Contains(example, "apis:"):
			example += documentedAPI + "    stages: [{name: prod}]\n"
		}
		if _, err := gateway.Parse("docs/gateway.md", []byte(example), func(string) string { return "from the environment" }); err != nil {
			t.Errorf("%v in\n%s", err, example)
		}
	}
	if examples < 5 {
		t.Errorf("%d examples", examples)
	}
}
