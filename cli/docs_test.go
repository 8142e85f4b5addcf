package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// docCommands are the gatehouse commands in the code blocks of a document, with their
// continued lines joined and without what the shell does with them.
func docCommands(text string) (out []string) {
	text = regexp.MustCompile(`\s*\\\n\s*`).ReplaceAllString(text, " ")
	inside := false
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			inside = !inside
			continue
		}
		line = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
		if _, piped, ok := strings.Cut(line, "| gatehouse "); ok {
			line = "gatehouse " + piped
		}
		command, ok := strings.CutPrefix(line, "gatehouse ")
		if !inside || !ok {
			continue
		}
		for _, end := range []string{" | ", " >> ", " > ", " < ", " # ", " && ", " 2>"} {
			command, _, _ = strings.Cut(command, end)
		}
		out = append(out, strings.TrimSpace(command))
	}
	return out
}

// Every command of every document is one, with the flags that it is given there; and so
// is every example that a help shows.
func TestCommandsOfTheDocuments(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../docs/*.md")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d documents, %v", len(files), err)
	}
	check := func(where, command string) {
		t.Helper()
		root := newRoot(nil, &Streams{})
		cmd, rest, err := root.Find(words(command))
		if err != nil || cmd == root && !strings.HasPrefix(command, "-") {
			t.Errorf("%s: gatehouse %s: there is no such command: %v", where, command, err)
			return
		}
		checkUse(t, cmd, command, rest)
	}
	n := 0
	for _, file := range append(files, "../README.md", "../CONTRIBUTING.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, command := range docCommands(string(text)) {
			n++
			check(filepath.Base(file), command)
		}
	}
	if n < 80 {
		t.Errorf("the documents have %d commands", n)
	}
	var examples func(cmd *cobra.Command)
	examples = func(cmd *cobra.Command) {
		for _, command := range docCommands("```\n" + cmd.Example + "\n```") {
			check(cmd.CommandPath(), command)
		}
		for _, sub := range cmd.Commands() {
			examples(sub)
		}
	}
	examples(newRoot(nil, &Streams{}))
}
