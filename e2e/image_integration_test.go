//go:build integration

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The image is built from the definition as it is, with a folder in place of the stage
// that compiles, for which there may be no registry. It holds the
// binary, the CA certificates and two empty folders, runs as a number that is not root,
// and what it starts with answers.
func TestIntegrationImageHoldsTheBinaryAlone(t *testing.T) {
	need(t, "buildah")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	root := t.TempDir()
	built := filepath.Join(root, "built")
	for _, dir := range []string{"etc/ssl/certs", "out/state", "out/tmp"} {
		if err := os.MkdirAll(filepath.Join(built, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	copyFile(t, caCertificates(t), filepath.Join(built, "etc/ssl/certs/ca-certificates.crt"), "")
	copyFile(t, binary, filepath.Join(built, "out/gatehouse"), "")
	command := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "buildah", append([]string{
			"--root", filepath.Join(root, "storage"), "--runroot", filepath.Join(root, "run"), "--storage-driver", "vfs",
		}, args...)...)
		cmd.WaitDelay = 10 * time.Second
		return cmd
	}
	buildah := func(args ...string) string {
		t.Helper()
		cmd := command(args...)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("buildah %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
		}
		return strings.TrimSpace(string(out))
	}
	const name = "localhost/gatehouse:test"
	buildah("bud", "--isolation", "chroot", "--build-context", "build="+built, "--build-arg", "TARGETARCH="+runtime.GOARCH, "--tag", name, "--file", "../Dockerfile", built)

	var image struct {
		OCIv1 struct {
			Config struct {
				User         string
				Entrypoint   []string
				Env          []string
				ExposedPorts map[string]struct{}
			}
		}
	}
	if err := json.Unmarshal([]byte(buildah("inspect", "--type", "image", name)), &image); err != nil {
		t.Fatal(err)
	}
	config := image.OCIv1.Config
	if config.User != "65532:65532" {
		t.Errorf("it runs as %q", config.User)
	}
	if !cmp.Equal(config.Entrypoint, []string{"/usr/bin/gatehouse"}) || !slices.Contains(config.Env, "HOME=/var/lib/gatehouse") {
		t.Errorf("it starts %q with %q", config.Entrypoint, config.Env)
	}
	if len(config.ExposedPorts) != 1 {
		t.Errorf("ports %v", config.ExposedPorts)
	}

	container := buildah("from", "--pull-never", name)
	mounted := buildah("mount", container)
	if mounted == "" || !strings.HasPrefix(mounted, root) {
		t.Fatalf("mounted at %q", mounted)
	}
	want := []string{
		"/etc", "/etc/ssl", "/etc/ssl/certs", "/etc/ssl/certs/ca-certificates.crt", "/tmp (of 65532)", "/usr", "/usr/bin", "/usr/bin/gatehouse",
		"/var", "/var/lib", "/var/lib/gatehouse (of 65532)",
	}
	// Whose the folders above the state are is the builder's own choice.
	above := strings.NewReplacer("/var (of 65532)", "/var", "/var/lib (of 65532)", "/var/lib")
	var held []string
	for _, path := range contents(t, mounted) {
		held = append(held, above.Replace(path))
	}
	if diff := cmp.Diff(want, held); diff != "" {
		t.Errorf("what it holds:\n%s", diff)
	}
	version, err := exec.CommandContext(ctx, binary, "version").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := buildah("run", "--isolation", "chroot", container, "--", "/usr/bin/gatehouse", "version"); got != strings.TrimSpace(string(version)) {
		t.Errorf("gatehouse version says %q, and %q outside", got, version)
	}
	// As who it runs it can write into its state and to /tmp, and nowhere else.
	write := func(dir string) []string {
		return []string{
			"run", "--isolation", "chroot", container, "--", "/usr/bin/gatehouse", "deploy", "terraform", "collector-spoke", "--out", dir,
			"--param", "account=111122223333", "--param", "hub-role=arn:aws:iam::444455556666:role/GatehouseHub", "--param", "external-id=x-image",
		}
	}
	buildah(write("/var/lib/gatehouse/spoke")...)
	buildah(write("/tmp/spoke")...)
	if text, err := os.ReadFile(filepath.Join(mounted, "tmp/spoke/main.tf")); err != nil || !strings.Contains(string(text), "x-image") {
		t.Errorf("what it wrote: %v\n%s", err, text)
	}
	if out, err := command(write("/usr/spoke")...).CombinedOutput(); err == nil || !strings.Contains(string(out), "permission denied") {
		t.Errorf("it writes to /usr: %v\n%s", err, out)
	}
	buildah("rm", container)
	buildah("rmi", name)
}

// caCertificates are the system's.
func caCertificates(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"} {
		if _, err := os.Stat(name); err == nil {
			return name
		}
	}
	t.Fatal("the system has no CA certificates: install ca-certificates")
	return ""
}

// contents are the paths of a file system, with the owner of what is not root's.
func contents(t *testing.T, root string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		shown := strings.TrimPrefix(path, root)
		info, err := d.Info()
		if err != nil {
			return err
		}
		if of, ok := info.Sys().(*syscall.Stat_t); ok && of.Uid != 0 {
			shown += fmt.Sprintf(" (of %d)", of.Uid)
		}
		all = append(all, shown)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}
