package audit_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/audit"
)

// block is the first block of a language in the documentation of the encoding.
func block(t *testing.T, language string) string {
	t.Helper()
	doc, err := os.ReadFile("../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(doc), "```"+language+"\n")
	text, _, end := strings.Cut(rest, "```\n")
	if !ok || !end {
		t.Fatalf("docs/audit.md has no block of %s", language)
	}
	return text
}

func TestDocumentedExampleIsWhole(t *testing.T) {
	t.Parallel()
	report, err := verify(t, []byte(block(t, "ndjson")), audit.VerifyOptions{})
	if err != nil || report.Events != 2 {
		t.Errorf("the documented example: %+v, %v", report, err)
	}
}

// Somebody without Gatehouse can verify an export: the documented programs agree with
// the Verifier on logs that are whole and on logs that are not.
func TestDocumentedProgramsVerify(t *testing.T) {
	t.Parallel()
	whole := newChain(t, 5).file()
	changed := bytes.Replace(whole, []byte(`"id":"3"`), []byte(`"id":"7"`), 1)
	dropped := whole[bytes.IndexByte(whole, '\n')+1:]

	t.Run("python", func(t *testing.T) {
		t.Parallel()
		python, err := exec.LookPath("python3")
		if err != nil {
			t.Skip("there is no python3")
		}
		for name, c := range map[string]struct {
			file []byte
			want string
		}{
			"example": {[]byte(block(t, "ndjson")), "whole: 2 events"},
			"whole":   {whole, "whole: 5 events"},
			"changed": {changed, "event 4: changed"},
			"dropped": {dropped, "event 2: does not follow event 0"},
		} {
			cmd := exec.CommandContext(t.Context(), python, "-c", block(t, "python"))
			cmd.Stdin = bytes.NewReader(c.file)
			out, err := cmd.CombinedOutput()
			if !strings.Contains(string(out), c.want) || (err == nil) != strings.HasPrefix(c.want, "whole") {
				t.Errorf("%s: %v: %s", name, err, out)
			}
		}
	})
	t.Run("shell", func(t *testing.T) {
		t.Parallel()
		for _, program := range []string{"sh", "sed", "tr", "sha256sum", "jq"} {
			if _, err := exec.LookPath(program); err != nil {
				t.Skip("there is no " + program)
			}
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "audit.ndjson"), whole, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-c", block(t, "sh"))
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if err != nil || len(lines) != 2 || strings.TrimSuffix(lines[0], "  -") != lines[1] {
			t.Errorf("the hashes are %q, %v", lines, err)
		}
	})
}
