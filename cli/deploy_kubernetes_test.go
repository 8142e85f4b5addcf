package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDeployKubernetes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	theirs := filepath.Join(dir, "deployment.yaml")
	text := "kind: Deployment\nmetadata: {namespace: traffic}\nspec: {template: {spec: {serviceAccountName: reader, containers: [{env: [{name: SESSION_NAME, value: akto}]}]}}}\n"
	if err := os.WriteFile(theirs, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, helm := range []bool{false, true} {
		out := filepath.Join(dir, map[bool]string{false: "k8s", true: "chart"}[helm])
		args := []string{"kubernetes", "--out", out, "--replaces", theirs, "--param", "image=registry.example.com/gatehouse:1.0.0", "--param", "service-account=other"}
		file, want := "40-deployment.yaml", []string{`namespace: "traffic"`, `serviceAccountName: "other"`, `name: "SESSION_NAME"`, `value: "akto"`}
		if helm {
			args = append(args, "--helm")
			file, want = "values.yaml", []string{"serviceAccount: other", "SESSION_NAME", "akto"}
		}
		if _, _, err := deployed(t, args...); err != nil {
			t.Fatal(err)
		}
		written, err := os.ReadFile(filepath.Join(out, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range want {
			if !strings.Contains(string(written), part) {
				t.Errorf("%s does not hold %s:\n%s", file, part, written)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "chart", "templates", "40-deployment.yaml")); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"kubernetes", "--param", "image=i"}, "--out is missing"},
		{[]string{"kubernetes", "--out", filepath.Join(dir, "other")}, "parameter image: it is missing"},
		{[]string{"kubernetes", "--out", filepath.Join(dir, "k8s"), "--param", "image=i"}, "is there with other text"},
		{[]string{"terraform", "kubernetes", "--out", filepath.Join(dir, "other"), "--param", "image=i"}, "not as terraform"},
	} {
		if _, _, err := deployed(t, c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.args, err, c.want)
		}
	}
}
