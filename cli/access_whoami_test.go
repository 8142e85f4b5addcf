package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// kubectl puts a program of that name on the path, which answers as the cluster would.
func (w *lendWorld) kubectl(answer string) {
	w.t.Helper()
	if runtime.GOOS == "windows" {
		w.t.Skip("the stand-in for kubectl is a shell script")
	}
	bin := filepath.Join(w.home, "bin")
	if err := os.MkdirAll(bin, 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "kubectl"), []byte("#!/bin/sh\n"+answer+"\n"), 0o700); err != nil {
		w.t.Fatal(err)
	}
	w.t.Setenv("PATH", bin)
}

// knows is what a cluster answers that knows somebody by a name.
func knows(name string) string {
	return `[ "$2" = gatehouse-blue-1 ] || { echo "error: context \"$2\" does not exist" >&2; exit 1; }
echo '{"kind":"SelfSubjectReview","status":{"userInfo":{"username":"` + name + `","groups":["system:authenticated"]}}}'`
}

func TestAccessWhoami(t *testing.T) {
	w := newLendWorld(t)
	const role = "arn:aws:sts::111122223333:assumed-role/blue-access/"
	wants(t, "without a grant", w.must("rosa", nil, "access", "whoami").out, "Rosa.Diaz@example.com (requester)", "Gatehouse knows you as Rosa.Diaz@example.com")
	w.must("rosa", nil, "access", "request", "-i", "blue", "-r", "search", "-p", "role:view")
	for name, c := range map[string]struct {
		arn, kubectl string
		args         []string
		status       int
		want         []string
	}{
		"all is well": {
			role + "Rosa.Diaz@example.com", knows("gatehouse:Rosa.Diaz@example.com"), nil, 0,
			[]string{"gatehouse:Rosa.Diaz@example.com", "the session is named Rosa.Diaz@example.com", "the session is of the role blue-access"},
		},
		"another case": {
			role + "rosa.diaz@example.com", knows("gatehouse:rosa.diaz@example.com"), nil, 1,
			[]string{"session-name-case", "STS ignores case here and Kubernetes does not", "put role_session_name = Rosa.Diaz@example.com into the profile", "bound to a name with Rosa.Diaz@example.com"},
		},
		"the session of get-token": {
			role + "EKSGetTokenAuth", "exit 1",
			[]string{"--no-cluster"},
			1,
			[]string{"as aws eks get-token --role-arn names everybody's", "take --role-arn and --role out"},
		},
		"no session name": {
			role + "botocore-session-1", "exit 1", []string{"--no-cluster"}, 1, []string{"the profile has no role_session_name"},
		},
		"another role": {
			"arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Dev_1/Rosa.Diaz@example.com", "exit 1",
			[]string{"--no-cluster"},
			1,
			[]string{"of the role AWSReservedSSO_Dev_1 and not of blue-access"},
		},
		"the cluster refuses": {
			role + "Rosa.Diaz@example.com", "echo 'E1122 noise' >&2; echo 'error: You must be logged in to the server' >&2; exit 1", nil, 1,
			[]string{"kubectl auth whoami failed: E1122 noise; error: You must be logged in"},
		},
		"no context": {
			role + "Rosa.Diaz@example.com", knows("x"), []string{"--context", "mine"}, 0, []string{"the kubeconfig has no context mine", "not seen"},
		},
		"an old kubectl": {
			role + "Rosa.Diaz@example.com", "echo nothing", nil, 0, []string{"cannot be read", "1.28"},
		},
	} {
		w.machine.arns["blue-access"] = c.arn
		w.kubectl(c.kubectl)
		s := w.as("rosa", "", append([]string{"access", "whoami", "blue"}, c.args...)...)
		if s.status != c.status {
			t.Errorf("%s ends with %d, want %d: %s", name, s.status, c.status, s.err)
		}
		wants(t, name, s.out, c.want...)
	}
	// No profile, and no kubectl.
	delete(w.machine.arns, "blue-access")
	t.Setenv("PATH", "")
	s := w.as("rosa", "", "access", "whoami")
	wants(t, "without a profile", s.out, "the AWS profile blue-access does not work", "run 'gatehouse access kubeconfig blue'")
	if s.status != 1 || !strings.Contains(s.err, "to be mended: profile") {
		t.Errorf("without a profile: %+v", s)
	}
	wants(t, "without kubectl", w.as("rosa", "", "access", "whoami", "--context", "mine").out, "kubectl is not here")
	// An API's profile gets its session from Gatehouse.
	w.must("rosa", nil, "access", "request", "-i", "orders", "-r", "prod/GET/orders", "-p", "invoke")
	w.machine.arns["gatehouse-orders"] = "arn:aws:sts::111122223333:assumed-role/invoker/Rosa.Diaz@example.com"
	wants(t, "an API", w.must("rosa", nil, "access", "whoami", "orders").out, "the session is named Rosa.Diaz@example.com")
	w.machine.arns["gatehouse-orders"] = "arn:aws:iam::111122223333:user/somebody"
	wants(t, "another profile", w.must("rosa", nil, "access", "whoami", "orders").out, "is not named after you", "access show")
	// A trust policy that lets people name themselves keeps everything from being lent.
	w.cluster.mu.Lock()
	w.cluster.failed = true
	w.cluster.mu.Unlock()
	w.as("sofia", "", "integration", "check", "blue")
	var report identityReport
	s = w.as("rosa", "", "access", "whoami", "--no-cluster")
	if s.status != 1 {
		t.Errorf("a failed check: %+v, %+v", s, report)
	}
	wants(t, "a failed check", s.out, `fails its check "trust-policy-session-name"`, "gatehouse integration check blue")
	w.must("vera", &report, "access", "whoami")
	if report.Role != "viewer" || report.Person != "vera@example.com" {
		t.Errorf("a viewer: %+v", report)
	}
}
