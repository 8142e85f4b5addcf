package finding

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The document lists the catalogue as it is.
func TestDocumentListsTheCatalogue(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/findings.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	area := Area("")
	for _, r := range Catalogue() {
		if r.Area != area {
			area = r.Area
			fmt.Fprintf(&want, "\n### %s\n\n| rule | severity | APIs | finding |\n|---|---|---|---|\n", strings.ToUpper(string(area[:1]))+string(area[1:]))
		}
		types := make([]string, 0, len(r.Types))
		for _, of := range r.Types {
			types = append(types, string(of))
		}
		of := strings.Join(types, ", ")
		switch {
		case r.Of == OfCluster, r.Of == OfPrincipal:
			of = "-"
		case of == "":
			of = "all"
		}
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", r.ID, r.Severity, of, r.Title)
	}
	head, _, _ := strings.Cut(string(text), "\n### ")
	whole := strings.TrimRight(head, "\n") + "\n" + want.String()
	if string(text) == whole {
		return
	}
	if os.Getenv("UPDATE_DOCS") == "" {
		t.Fatal("docs/findings.md does not list the catalogue as it is: run UPDATE_DOCS=1 go test ./finding")
	}
	if err := os.WriteFile("../docs/findings.md", []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
}
