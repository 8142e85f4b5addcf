package gateway_test

import (
	"os"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/gateway"
)

// TestDocumentedExample holds the example of docs/gateway.md to the parser.
func TestDocumentedExample(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/gateway.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	example, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("no example")
	}
	if _, err := gateway.Parse("docs/gateway.md", []byte(example), func(string) string { return "from the environment" }); err != nil {
		t.Error(err)
	}
}
