//go:build integration

package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What is released is the same, byte by byte, when it is built in another folder by
// somebody with other settings. The second build's Go files have an empty line more at
// their end: what the compiler made of the first is then not found in the build cache,
// so that it compiles all of Gatehouse again; only what others wrote, which the line
// does not change, is taken from the cache.
func TestIntegrationReleaseIsReproducible(t *testing.T) {
	need(t, "git")
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "-co", "--exclude-standard")
	list.Dir = ".."
	names, err := list.Output()
	if err != nil {
		t.Fatalf("listing the files: %v", err)
	}
	root := t.TempDir()
	var dists []string
	for i, dir := range []string{filepath.Join(root, "one"), filepath.Join(root, "a much longer name", "two")} {
		for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
			more := ""
			if i > 0 && strings.HasSuffix(name, ".go") {
				more = "\n"
			}
			copyFile(t, filepath.Join("..", name), filepath.Join(dir, name), more)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
		defer cancel()
		release := exec.CommandContext(ctx, "scripts/release")
		release.Dir = dir
		release.Env = append(os.Environ(), "VERSION=v0.0.0-test", "SOURCE_DATE_EPOCH=1700000000", "PLATFORMS=linux/amd64", "DIST=dist")
		if i > 0 {
			release.Env = append(release.Env, "GOFLAGS=-tags=other", "GOAMD64=v3", "CGO_ENABLED=1", "TZ=Asia/Tokyo", "LC_ALL=C.UTF-8")
		}
		begun := time.Now()
		if text, err := release.CombinedOutput(); err != nil {
			t.Fatalf("scripts/release: %v\n%s", err, text)
		}
		t.Logf("build %d took %s", i+1, time.Since(begun).Round(time.Second))
		dists = append(dists, filepath.Join(dir, "dist"))
	}
	const name = "gatehouse-v0.0.0-test-linux-amd64"
	for _, file := range []string{name + ".tar.gz", name + ".modules.txt", "SHA256SUMS"} {
		var texts [2][]byte
		for i, dist := range dists {
			if texts[i], err = os.ReadFile(filepath.Join(dist, file)); err != nil {
				t.Fatal(err)
			}
		}
		if len(texts[0]) == 0 || !bytes.Equal(texts[0], texts[1]) {
			t.Errorf("%s differs: %d and %d bytes", file, len(texts[0]), len(texts[1]))
		}
	}
	archive := filepath.Join(dists[0], name+".tar.gz")
	text, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	if sums, err := os.ReadFile(filepath.Join(dists[0], "SHA256SUMS")); err != nil || !strings.Contains(string(sums), hex.EncodeToString(sum[:])+"  "+name+".tar.gz\n") {
		t.Errorf("SHA256SUMS does not hold the sum of the archive: %v\n%s", err, sums)
	}
	out := t.TempDir()
	if text, err := exec.CommandContext(t.Context(), "tar", "-xzf", archive, "-C", out).CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, text)
	}
	program := filepath.Join(out, name, "gatehouse")
	if text, err := exec.CommandContext(t.Context(), program, "version").CombinedOutput(); err != nil || !strings.Contains(string(text), "v0.0.0-test") {
		t.Errorf("version: %v\n%s", err, text)
	}
	if text, err = os.ReadFile(program); err != nil {
		t.Fatal(err)
	}
	cache, err := exec.CommandContext(t.Context(), "go", "env", "GOMODCACHE", "GOROOT", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range append(strings.Fields(string(cache)), root) {
		if bytes.Contains(text, []byte(folder)) {
			t.Errorf("the binary names the folder %s of the machine that built it", folder)
		}
	}
	if modules, err := os.ReadFile(filepath.Join(dists[0], name+".modules.txt")); err != nil || !strings.Contains(string(modules), "github.com/spf13/cobra") {
		t.Errorf("the list of modules: %v\n%s", err, modules)
	}
}

// copyFile copies a file, if it is there, with more at its end.
func copyFile(t *testing.T, from, to, more string) {
	t.Helper()
	info, err := os.Stat(from)
	if os.IsNotExist(err) {
		return // deleted, and not committed yet
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, append(text, more...), info.Mode().Perm()); err != nil {
		t.Fatal(err)
	}
}
