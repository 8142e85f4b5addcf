package deploy

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func podOutput(t *testing.T, language Language, pairs ...string) *Output {
	t.Helper()
	out, err := kubernetes.Render(language, one(append([]string{"image", podImage}, pairs...)...))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Writing the same again changes no file, not even its time.
func TestWriteIsIdempotent(t *testing.T) {
	t.Parallel()
	for name, out := range map[string]*Output{
		"terraform": render(t, changedExample(t, "lender", nil), Terraform), "template": render(t, changedExample(t, "organization", nil), CloudFormation),
		"manifests": podOutput(t, Kubernetes, "lending", "also"), "chart": podOutput(t, Helm),
	} {
		dir := filepath.Join(t.TempDir(), "a", "b")
		if err := out.Write(dir, false); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		before := map[string]os.FileInfo{}
		for _, f := range out.Files {
			info, err := os.Stat(filepath.Join(dir, f.Name))
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %s has the mode %v", name, f.Name, info.Mode())
			}
			before[f.Name] = info
		}
		if err := out.Write(dir, false); err != nil {
			t.Errorf("%s, again: %v", name, err)
		}
		entries, err := filepath.Glob(filepath.Join(dir, ".*"))
		if err != nil || len(entries) > 0 {
			t.Errorf("%s: left in the folder: %v %v", name, entries, err)
		}
		for file, was := range before {
			if is, err := os.Stat(filepath.Join(dir, file)); err != nil || !os.SameFile(was, is) || !is.ModTime().Equal(was.ModTime()) {
				t.Errorf("%s: %s was written again (%v)", name, file, err)
			}
		}
	}
}

// A refused write leaves everything as it was; one that is forced keeps the modes of
// files and those that are not its own.
func TestWriteKeepsWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := render(t, changedExample(t, "spoke", nil), Terraform).Write(dir, false); err != nil {
		t.Fatal(err)
	}
	keep := map[string]string{"terraform.tfstate": "{}", "backend.tf": "# mine\n"}
	for name, text := range keep {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	main := filepath.Join(dir, "main.tf")
	if err := os.Chmod(main, 0o640); err != nil {
		t.Fatal(err)
	}
	was, err := os.ReadFile(main)
	if err != nil {
		t.Fatal(err)
	}
	other := render(t, changedExample(t, "spoke of a region", nil), Terraform)
	if err := other.Write(dir, false); err == nil || !strings.Contains(err.Error(), "is there with other text") {
		t.Errorf("it was not refused: %v", err)
	}
	if is, _ := os.ReadFile(main); !bytes.Equal(was, is) {
		t.Error("a refused write changed a file")
	}
	if err := other.Write(dir, true); err != nil {
		t.Fatal(err)
	}
	if is, _ := os.ReadFile(main); !bytes.Equal(fileOf(other, "main.tf"), is) {
		t.Error("a forced write did not change a file")
	}
	if info, err := os.Stat(main); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the mode is another one: %v %v", info, err)
	}
	for name, text := range keep {
		if is, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(is) != text {
			t.Errorf("%s is %q: %v", name, is, err)
		}
	}
}

// A manifest that is written no longer does not stay to be applied with the others.
func TestWriteLeavesNothingToBeAppliedByMistake(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := podOutput(t, Kubernetes, "lending", "also").Write(dir, false); err != nil {
		t.Fatal(err)
	}
	// As if the rest had been deleted by hand.
	for _, name := range []string{readmeFile} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	without := podOutput(t, Kubernetes)
	role := filepath.Join(dir, "80-clusterrole.yaml")
	if err := without.Write(dir, false); err == nil || !strings.Contains(err.Error(), role) {
		t.Errorf("%v, want one about %s", err, role)
	}
	if _, err := os.Stat(role); err != nil {
		t.Error(err)
	}
	if err := without.Write(dir, true); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(role); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
}

func TestWriteSaysWhatIsInItsWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out := render(t, changedExample(t, "spoke", nil), Terraform)
	if err := out.Write(file, true); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file in place of the folder: %v", err)
	}
	taken := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "outputs.tf"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := out.Write(taken, true); err == nil || !strings.Contains(err.Error(), "outputs.tf") {
		t.Errorf("a folder in place of a file: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(taken, "*.tf")); len(left) != 1 {
		t.Errorf("half of the stack was written: %v", left)
	}
}

// One text for a pipe: a template, manifests, or Terraform in one file.
func TestJoin(t *testing.T) {
	t.Parallel()
	text, left, err := podOutput(t, Kubernetes, "lending", "also").Join()
	if err != nil || len(left) != 1 {
		t.Fatalf("left out %v: %v", left, err)
	}
	kinds := map[string]bool{}
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var o struct{ Kind string }
		if d.Decode(&o) != nil {
			break
		}
		kinds[o.Kind] = true
	}
	if len(kinds) != 10 || !kinds["ClusterRoleBinding"] || !kinds["Namespace"] {
		t.Errorf("kinds %v", kinds)
	}
	tf := render(t, changedExample(t, "lender", nil), Terraform)
	text, left, err = tf.Join()
	if err != nil || len(left) != 2 {
		t.Fatalf("left out %v: %v", left, err)
	}
	for _, part := range []string{"required_providers", `resource "aws_iam_role" "lender"`, `output "lender_role_arn"`, `variable "tags"`} {
		if !bytes.Contains(text, []byte(part)) {
			t.Errorf("no %s", part)
		}
	}
	cfn := render(t, changedExample(t, "organization", nil), CloudFormation)
	if text, _, err := cfn.Join(); err != nil || !bytes.Equal(text, fileOf(cfn, templateFile)) {
		t.Errorf("%v: %.60s", err, text)
	}
	for name, out := range map[string]*Output{"chart": podOutput(t, Helm), "two files": render(t, changedExample(t, "organization", nil), Terraform)} {
		if _, _, err := out.Join(); err == nil {
			t.Errorf("%s: it is one text", name)
		}
	}
}
