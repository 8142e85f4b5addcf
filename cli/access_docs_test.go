package cli

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Each command of the guide is one, with the flags that it is given.
func TestCommandsOfTheAccessGuide(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/access.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		command, ok := strings.CutPrefix(line, "$ gatehouse ")
		if !ok {
			if _, command, ok = strings.Cut(line, "credential_process = gatehouse "); !ok {
				continue
			}
		}
		n++
		root := newRoot(nil, &Streams{})
		cmd, rest, err := root.Find(words(command))
		if err != nil || cmd == root {
			t.Errorf("%s: there is no such command: %v", command, err)
			continue
		}
		checkUse(t, cmd, command, rest)
	}
	if n < 20 {
		t.Errorf("the guide has %d commands", n)
	}
	// What the examples in the helps say is true as well.
	for _, name := range []string{"access", "flow", "integration"} {
		parent, _, err := newRoot(nil, &Streams{}).Find([]string{name})
		if err != nil {
			t.Fatal(err)
		}
		for _, cmd := range parent.Commands() {
			for example := range strings.SplitSeq(cmd.Example, "\n") {
				command, _ := strings.CutPrefix(strings.TrimSpace(example), "gatehouse ")
				if command == "" {
					continue
				}
				command, _, _ = strings.Cut(command, " > ")
				found, rest, err := newRoot(nil, &Streams{}).Find(words(command))
				if err != nil {
					t.Errorf("%s: %v", example, err)
					continue
				}
				checkUse(t, found, command, rest)
			}
		}
	}
}

func checkUse(t *testing.T, cmd *cobra.Command, command string, rest []string) {
	t.Helper()
	if err := cmd.ParseFlags(rest); err != nil {
		t.Errorf("%s: %v", command, err)
		return
	}
	if cmd.Args != nil {
		if err := cmd.Args(cmd, cmd.Flags().Args()); err != nil {
			t.Errorf("%s: %v", command, err)
		}
	}
}

// words splits a command as a shell does, as far as the guide needs it.
func words(line string) []string {
	var out []string
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			out = append(out, part)
			continue
		}
		out = append(out, strings.Fields(part)...)
	}
	return out
}
