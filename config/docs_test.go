package config

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const docFile = "../docs/configuration.md"

// reference is the part of docs/configuration.md that follows from the tables.
func reference() string {
	var b strings.Builder
	b.WriteString("| setting | flag | default | what it does |\n|---|---|---|---|\n")
	def := Default()
	for _, s := range Settings() {
		v := s.Get(def)
		switch {
		case s.Name == "state":
			v = "`~/.local/state/gatehouse/gatehouse.db`"
		case v != "":
			v = "`" + v + "`"
		}
		flag := "`--" + s.FlagName() + "`"
		if s.Secret {
			flag = "none"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.Name, flag, v, strings.ReplaceAll(s.Doc, "|", `\|`))
	}
	return b.String()
}

func legacyReference() string {
	var b strings.Builder
	b.WriteString("| variable | what it does here |\n|---|---|\n")
	for _, l := range LegacyVariables() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", l.Name, strings.ReplaceAll(l.Here, "|", `\|`))
	}
	return b.String()
}

const dropInFile = "../docs/drop-in.md"

// dropInReference is the table of docs/drop-in.md.
func dropInReference() string {
	var b strings.Builder
	b.WriteString("| variable | what it does here | what it did there |\n|---|---|---|\n")
	for _, l := range LegacyVariables() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", l.Name, strings.ReplaceAll(l.Here, "|", `\|`), strings.ReplaceAll(l.There, "|", `\|`))
	}
	return b.String()
}

// The table of docs/drop-in.md is that of the code. With UPDATE_DOCS=1 the test
// writes it.
func TestDropInDocumentation(t *testing.T) {
	b, err := os.ReadFile(dropInFile)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- variables -->\n", "<!-- end of variables -->"
	before, rest, ok := strings.Cut(string(b), begin)
	got, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no table", dropInFile)
	}
	if os.Getenv("UPDATE_DOCS") == "1" {
		if err := os.WriteFile(dropInFile, []byte(before+begin+dropInReference()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(dropInReference(), got); d != "" {
		t.Errorf("%s differs from the code (UPDATE_DOCS=1 go test ./config writes it):\n%s", dropInFile, d)
	}
}

// The api-config.json of docs/drop-in.md is one that is read.
func TestDocumentedAPIConfig(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(dropInFile)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), "```json\n")
	example, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 {
		t.Fatal("no example")
	}
	region, apis, err := parseAPIConfig([]byte(example))
	if err != nil || region != "us-east-1" || len(apis) != 3 {
		t.Errorf("region %s, APIs %v, %v", region, apis, err)
	}
}

// The tables of docs/configuration.md are those of the code. With
// UPDATE_DOCS=1 the test writes them.
func TestDocumentation(t *testing.T) {
	b, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)
	for mark, want := range map[string]string{"settings": reference(), "variables": legacyReference()} {
		begin, end := "<!-- "+mark+" -->\n", "<!-- end of "+mark+" -->"
		_, rest, ok := strings.Cut(doc, begin)
		got, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s has no part %q", docFile, mark)
		}
		if os.Getenv("UPDATE_DOCS") == "1" {
			doc = doc[:strings.Index(doc, begin)+len(begin)] + want + end + after
			continue
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s differs from the code (UPDATE_DOCS=1 go test ./config writes it):\n%s", docFile, d)
		}
	}
	if os.Getenv("UPDATE_DOCS") == "1" {
		if err := os.WriteFile(docFile, []byte(doc), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// The example of docs/configuration.md is a file that loads.
func TestDocumentedExample(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), "```yaml\n")
	example, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 {
		t.Fatal("no example")
	}
	c, err := Load(file(t, example), env())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if len(c.Accounts.Roles) != 2 || c.Accounts.Hub == nil || len(c.Sinks) != 2 {
		t.Errorf("the example says less than it seems to: %+v", c)
	}
}
