package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/api"
)

// read returns a file below the person's home, empty if it is not there.
func (w *lendWorld) read(path ...string) string {
	w.t.Helper()
	b, err := readIfThere(filepath.Join(append([]string{w.home}, path...)...))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

func (w *lendWorld) write(text string, path ...string) {
	w.t.Helper()
	name := filepath.Join(append([]string{w.home}, path...)...)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o640); err != nil {
		w.t.Fatal(err)
	}
}

const otherKubeconfig = `# mine
apiVersion: v1
kind: Config
preferences: {colors: true}
clusters:
- cluster:
    server: https://other.example.com # stays
  name: other
contexts:
- context: {cluster: other, user: other, namespace: web}
  name: other
users: []
current-context: other
`

func TestAccessKubeconfig(t *testing.T) {
	w := newLendWorld(t)
	if s := w.as("rosa", "", "access", "kubeconfig"); s.status != 1 || !strings.Contains(s.err, "you have no cluster now") {
		t.Errorf("without a grant: %+v", s)
	}
	var got result
	w.must("rosa", &got, "access", "request", "-i", "blue", "-r", "search", "-p", "role:view")
	w.must("rosa", nil, "access", "request", "-i", "blue", "-r", "payments", "-p", "role:view")

	// Printed: nothing is written.
	s := w.must("rosa", nil, "access", "kubeconfig", "blue", "--print")
	var printed kubeconfigFile
	if err := yaml.Unmarshal([]byte(s.out), &printed); err != nil || printed.CurrentContext != "gatehouse-blue-1" || printed.Clusters[0].Cluster.Server != "https://blue.example.com" {
		t.Fatalf("printed %q, %v", s.out, err)
	}
	exec := printed.Users[0].User.Exec
	if want := "eks get-token --cluster-name blue-1 --region eu-west-1 --output json --profile blue-access"; exec.Command != "aws" || strings.Join(exec.Args, " ") != want {
		t.Errorf("kubectl runs %s %v", exec.Command, exec.Args)
	}
	if strings.Contains(s.out, "--role") {
		t.Errorf("--role-arn is given:\n%s", s.out)
	}
	wants(t, "the note", s.err, "role_session_name = Rosa.Diaz@example.com", "role_arn = arn:aws:iam::111122223333:role/blue-access")
	if w.read(".kube", "config") != "" || w.read(".aws", "config") != "" {
		t.Error("printing writes files")
	}

	// Written into what is there, which stays.
	w.write(otherKubeconfig, ".kube", "config")
	w.write("[default]\nregion = eu-west-1", ".aws", "config")
	wants(t, "writing", w.must("rosa", nil, "access", "kubeconfig").out, "context gatehouse-blue-1 is in", "profile blue-access was added to")
	merged, aws := w.read(".kube", "config"), w.read(".aws", "config")
	wants(t, "the kubeconfig", merged, "# mine", "# stays", "namespace: web", "colors: true", "current-context: gatehouse-blue-1", "name: other")
	if want := "[default]\nregion = eu-west-1\n\n[profile blue-access]\nrole_arn = arn:aws:iam::111122223333:role/blue-access\nrole_session_name = Rosa.Diaz@example.com\nsource_profile = default\n"; aws != want {
		t.Errorf("the AWS configuration is\n%s", aws)
	}
	if info, err := os.Stat(filepath.Join(w.home, ".kube", "config")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file's mode: %v, %v", info, err)
	}
	if left := filesUnder(t, filepath.Join(w.home, ".kube")); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}

	// Again: nothing changes. By the grant's id, in JSON.
	var told map[string]any
	w.must("rosa", &told, "access", "kubeconfig", got.Grant.ID)
	if told["profile_added"] != false || told["context"] != "gatehouse-blue-1" {
		t.Errorf("again: %v", told)
	}
	if w.read(".kube", "config") != merged || w.read(".aws", "config") != aws {
		t.Errorf("the second time changes\n%s\n%s", w.read(".kube", "config"), w.read(".aws", "config"))
	}
	// A namespace that the person chose stays, and so does the current context if asked.
	w.write(strings.Replace(strings.Replace(merged, "user: gatehouse-blue-1", "user: gatehouse-blue-1\n      namespace: search", 1), "current-context: gatehouse-blue-1", "current-context: other", 1), ".kube", "config")
	w.must("rosa", nil, "access", "kubeconfig", "--keep-context")
	wants(t, "the kubeconfig", w.read(".kube", "config"), "namespace: search", "current-context: other")
}

func TestAccessKubeconfigRefusesToOverwrite(t *testing.T) {
	w := newLendWorld(t)
	w.must("rosa", nil, "access", "request", "-i", "blue", "-r", "search", "-p", "role:view")
	for name, c := range map[string]struct{ kube, aws, want, hint string }{
		"another cluster of the name": {"clusters:\n- name: gatehouse-blue-1\n  cluster: {server: https://elsewhere.example.com}\n", "", "has a cluster gatehouse-blue-1 already", "--alias"},
		"another role in the profile": {"", "[profile blue-access]\nrole_arn = arn:aws:iam::999999999999:role/x\n", "has role_arn = arn:aws:iam::999999999999:role/x", "--profile"},
		"another case in the profile": {"", "[profile blue-access]\nrole_arn = arn:aws:iam::111122223333:role/blue-access\nrole_session_name = rosa.diaz@example.com\n", "this cluster needs Rosa.Diaz@example.com", "--profile"},
		"no session name":             {"", "[profile blue-access]\nrole_arn = arn:aws:iam::111122223333:role/blue-access\n[default]\nrole_session_name = Rosa.Diaz@example.com", "has role_session_name = nothing", "--profile"},
		"no YAML":                     {"clusters: [", "", "it is no YAML", "--kubeconfig"},
		"a list":                      {"- a\n", "", "it is no kubeconfig", "--kubeconfig"},
		"users is no list":            {"users: {a: b}\n", "", "users in it is no list", "--kubeconfig"},
	} {
		w.write(c.kube, ".kube", "config")
		w.write(c.aws, ".aws", "config")
		s := w.as("rosa", "", "access", "kubeconfig", "blue")
		if s.status != 1 || !strings.Contains(s.err, c.want) || !strings.Contains(s.err, c.hint) {
			t.Errorf("%s: %d %s, want %q and %q", name, s.status, s.err, c.want, c.hint)
		}
		if w.read(".kube", "config") != c.kube || w.read(".aws", "config") != c.aws {
			t.Errorf("%s: a file was changed", name)
		}
	}
	// Other names make room, for both.
	w.write("[profile blue-access]\nrole_arn = x\n", ".aws", "config")
	w.write("", ".kube", "config")
	w.must("rosa", nil, "access", "kubeconfig", "blue", "--profile", "blue", "--alias", "blue", "--source-profile", "sso")
	wants(t, "the profile", w.read(".aws", "config"), "[profile blue]", "source_profile = sso")
	wants(t, "the kubeconfig", w.read(".kube", "config"), "name: blue", "- blue\n")
	// Somebody else writes it.
	w.write("", ".kube", "config.lock")
	if s := w.as("rosa", "", "access", "kubeconfig", "blue", "--profile", "blue"); s.status != 1 || !strings.Contains(s.err, "is locked") {
		t.Errorf("a lock: %+v", s)
	}
	// KUBECONFIG and AWS_CONFIG_FILE count, and a link stays one.
	real, link := filepath.Join(w.home, "real"), filepath.Join(w.home, "link")
	w.write("", "real")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", string(filepath.ListSeparator)+link+string(filepath.ListSeparator)+"/nowhere")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(w.home, "new", "aws"))
	w.must("rosa", nil, "access", "kubeconfig", "blue")
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info, err)
	}
	wants(t, "the kubeconfig", w.read("real"), "gatehouse-blue-1")
	if info, err := os.Stat(filepath.Join(w.home, "new", "aws")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the new file: %v, %v", info, err)
	}
}

// What a server sends must not run programs here, or name everybody alike.
func TestAccessKubeconfigIsNotTrusted(t *testing.T) {
	t.Parallel()
	const profile = "[profile p]\nrole_arn = arn:aws:iam::111122223333:role/p\nrole_session_name = Ann@example.com\nsource_profile = default\n"
	const config = `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://c.example.com"}}]
users:
  - name: c
    user:
      exec:
        apiVersion: client.authentication.k8s.io/v1beta1
        command: aws
        interactiveMode: IfAvailable
        args: [eks, get-token, --cluster-name, c-1, --profile, p]
contexts: [{name: c, context: {cluster: c, user: c}}]
current-context: c
`
	g := &api.AccessGrant{ID: "g1", Person: api.AccessPerson{ID: "Ann@example.com"}, Items: []api.AccessItem{{Integration: "c"}}}
	read := func(profile, config string) error {
		ways, err := waysIn(&access.Details{Snippets: []access.Snippet{{Language: "ini", Text: profile}, {Language: "yaml", Text: config}}}, g)
		if err == nil && (len(ways) != 1 || ways[0].session != "Ann@example.com" || ways[0].integration != "c") {
			t.Errorf("read %+v", ways)
		}
		return err
	}
	if err := read(profile, config); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"another program":     {"command: aws", "command: sh", "something else than aws eks get-token"},
		"another command":     {"[eks, get-token,", "[s3, cp,", "something else than aws eks get-token"},
		"--role-arn":          {"--profile, p]", "--profile, p, --role-arn, x]", "EKSGetTokenAuth"},
		"--role":              {"--profile, p]", "--profile, p, --role, x]", "EKSGetTokenAuth"},
		"an endpoint":         {"--profile, p]", "--profile, p, --endpoint-url, x]", `"--endpoint-url"`},
		"an odd argument":     {"--profile, p]", "--profile, p, --debug]", "something else"},
		"a value like a flag": {"c-1", "--role-arn", "is no value"},
		"environment":         {"interactiveMode: IfAvailable", "env: [{name: AWS_PROFILE, value: x}]", "cannot be read"},
		"a token":             {"      exec:", "      token: x\n      exec:", "cannot be read"},
		"no TLS":              {"https://c.example.com", "http://c.example.com", "https address"},
		"TLS not verified":    {`"https://c.example.com"`, `"https://c.example.com", insecure-skip-tls-verify: true`, "cannot be read"},
		"no context":          {"contexts: [{name: c, context: {cluster: c, user: c}}]", "contexts: []", "other than one"},
		"another profile":     {"--profile, p]", "--profile, q]", "no profile q"},
		"a name with a path":  {"contexts: [{name: c,", "contexts: [{name: a/b,", "lacks the name"},
		"credential_process":  {"source_profile = default", "credential_process = sh", `sets "credential_process"`},
		"no session name":     {"role_session_name = Ann@example.com\n", "", "lacks role_arn"},
		"another case":        {"= Ann@", "= ann@", `its session is named "ann@example.com" and you are "Ann@example.com"`},
		"two sections":        {"source_profile = default\n", "source_profile = default\n[default]\ncredential_process = sh\n", "no profile p"},
		"no account":          {"111122223333", "<ACCOUNT_ID>", "account of its role is not known"},
	} {
		p, k := strings.Replace(profile, c.old, c.new, 1), strings.Replace(config, c.old, c.new, 1)
		if p == profile && k == config {
			t.Errorf("%s changes nothing", name)
		}
		if err := read(p, k); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
