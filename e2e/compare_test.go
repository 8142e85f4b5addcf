package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every row of docs/compare.md names tests, and all of them are there.
func TestCompareNamesItsTests(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/compare.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]map[string]bool{} // tests by folder
	rows := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| what happens") {
			continue
		}
		rows++
		cells := strings.Split(strings.Trim(line, "|\n "), " | ")
		tests := regexp.MustCompile("`([a-z0-9/]+)\\.(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(tests) == 0 {
			t.Errorf("no test is named in: %s", line)
		}
		for _, m := range tests {
			folder, name := m[1], m[2]
			if known[folder] == nil {
				known[folder] = testsOf(t, folder)
			}
			if !known[folder][name] {
				t.Errorf("%s has no test %s, which is named in: %s", folder, name, cells[0])
			}
		}
	}
	if rows < 20 {
		t.Errorf("the tables have %d rows", rows)
	}
}

// testsOf are the names of the test functions of a folder, under any build tag.
func testsOf(t *testing.T, folder string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{}
	for _, f := range files {
		file, err := parser.ParseFile(token.NewFileSet(), f, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				tests[f.Name.Name] = true
			}
		}
	}
	return tests
}
