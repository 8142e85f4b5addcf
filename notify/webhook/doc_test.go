package webhook_test

import (
	"os"
	"strings"
	"testing"
)

// The body that docs/notices.md shows is one of the schema.
func TestDocumentedBody(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../docs/notices.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), "```json\n")
	example, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 {
		t.Fatal("no example")
	}
	valid(t, []byte(example))
}
