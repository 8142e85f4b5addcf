package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// kubeconfigPath is where a context is written, as kubectl and the AWS CLI choose it.
func kubeconfigPath(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	for _, p := range filepath.SplitList(os.Getenv("KUBECONFIG")) {
		if p != "" {
			return p, nil
		}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", withHint(fmt.Errorf("finding the kubeconfig: %w", err), "name it with --kubeconfig, or use --print")
	}
	return filepath.Join(home, ".kube", "config"), nil
}

// awsConfigFile is where the AWS CLI and the SDKs look for profiles.
func awsConfigFile() (string, error) {
	if path := os.Getenv("AWS_CONFIG_FILE"); path != "" {
		return path, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", withHint(fmt.Errorf("finding the AWS configuration: %w", err), "set AWS_CONFIG_FILE")
	}
	return filepath.Join(home, ".aws", "config"), nil
}

// readIfThere reads a file; one that is not there is empty.
func readIfThere(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// replaceFile writes a file as a whole, so that a crash leaves the old or the new. A link
// stays one, and a file keeps its mode; a new one is for its owner alone.
func replaceFile(path string, content []byte) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".gatehouse-*.tmp")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", path, err), os.Remove(f.Name()))
	}
	return nil
}

// lockKubeconfig takes the lock that kubectl takes too.
func lockKubeconfig(path string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	lock := path + ".lock"
	f, err := os.OpenFile(lock, os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, withHint(fmt.Errorf("%s is locked: another program writes it", path), "try again; if nothing does, remove "+lock)
	}
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { _ = errors.Join(f.Close(), os.Remove(lock)) }, nil
}

// mergeKubeconfig puts a cluster, a user and a context into a kubeconfig, or makes one.
// Everything else in it stays, comments too.
func mergeKubeconfig(have []byte, w *clusterWay, current bool) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(have, &doc); err != nil {
		return nil, withHint(fmt.Errorf("it is no YAML: %w", err), "mend it, or name another file with --kubeconfig")
	}
	if doc.Kind == 0 || doc.Content[0].Tag == "!!null" {
		doc = yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{{Kind: yaml.MappingNode, Tag: "!!map"}}}
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, withHint(errors.New("it is no kubeconfig"), "name another file with --kubeconfig")
	}
	for _, kv := range [][2]string{{"apiVersion", "v1"}, {"kind", "Config"}} {
		if member(root, kv[0]) == nil {
			setMember(root, kv[0], kv[1])
		}
	}
	if old := namedEntry(root, "clusters", w.name); old != nil {
		if server := member(member(old, "cluster"), "server"); server != nil && server.Value != w.server {
			return nil, withHint(fmt.Errorf("it has a cluster %s already, at %s and not at %s", w.name, server.Value, w.server), "give the new one another name with --alias")
		}
	}
	cluster, user, kubeCtx := w.entries()
	for _, e := range []struct {
		list, key string
		value     any
	}{{"clusters", "cluster", cluster}, {"users", "user", user}, {"contexts", "context", kubeCtx}} {
		if err := putEntry(root, e.list, w.name, e.key, e.value); err != nil {
			return nil, err
		}
	}
	if current {
		setMember(root, "current-context", w.name)
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return nil, fmt.Errorf("writing the kubeconfig: %w", err)
	}
	return b.Bytes(), nil
}

// member is the value of a key of a mapping, nil if there is none.
func member(m *yaml.Node, key string) *yaml.Node {
	if m == nil || m.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i+1]
		}
	}
	return nil
}

func setMember(m *yaml.Node, key, value string) {
	if have := member(m, key); have != nil {
		have.SetString(value)
		return
	}
	var k, v yaml.Node
	k.SetString(key)
	v.SetString(value)
	m.Content = append(m.Content, &k, &v)
}

func namedEntry(root *yaml.Node, list, name string) *yaml.Node {
	l := member(root, list)
	if l == nil || l.Kind != yaml.SequenceNode {
		return nil
	}
	for _, e := range l.Content {
		if n := member(e, "name"); n != nil && n.Value == name {
			return e
		}
	}
	return nil
}

// putEntry adds an entry of a name to a list, or replaces the one of that name. A
// context keeps the namespace that somebody gave it.
func putEntry(root *yaml.Node, list, name, key string, value any) error {
	l := member(root, list)
	switch {
	case l == nil:
		var k yaml.Node
		k.SetString(list)
		l = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		root.Content = append(root.Content, &k, l)
	case l.Tag == "!!null":
		*l = yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	case l.Kind != yaml.SequenceNode:
		return withHint(fmt.Errorf("%s in it is no list", list), "name another file with --kubeconfig")
	}
	if len(l.Content) == 0 {
		l.Style = 0
	}
	var made yaml.Node
	if err := made.Encode(value); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	if e := namedEntry(root, list, name); e != nil {
		if old := member(e, key); old != nil {
			if ns := member(old, "namespace"); ns != nil && list == "contexts" {
				setMember(&made, "namespace", ns.Value)
			}
			*old = made
			return nil
		}
	}
	var entry yaml.Node
	if err := entry.Encode(struct {
		Name string `yaml:"name"`
	}{name}); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	var k yaml.Node
	k.SetString(key)
	entry.Content = append(entry.Content, &k, &made)
	l.Content = append(l.Content, &entry)
	return nil
}

// readProfile reads one section of an AWS configuration: its keys, and its name under
// the key "". It returns nil for a text that is none.
func readProfile(text string) map[string]string {
	var p map[string]string
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[':
			name, ok := sectionName(line)
			if !ok || p != nil {
				return nil
			}
			p = map[string]string{"": name}
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok || p == nil {
				return nil
			}
			p[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return p
}

// sectionName reads "[profile NAME]"; the default profile has no word before it.
func sectionName(line string) (string, bool) {
	line, _, ok := strings.Cut(strings.TrimPrefix(line, "["), "]")
	if !ok {
		return "", false
	}
	line = strings.TrimSpace(line)
	if line == "default" {
		return line, true
	}
	word, name, _ := strings.Cut(line, " ")
	return strings.TrimSpace(name), word == "profile" && name != ""
}

// addProfile adds the profile to an AWS configuration that does not have it. One that
// has the name and says something else is left alone and is an error: it may be another
// cluster's.
func addProfile(have []byte, w *clusterWay) ([]byte, error) {
	var lines []string
	inside := false
	for line := range strings.SplitSeq(string(have), "\n") {
		if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "[") {
			name, ok := sectionName(trimmed)
			inside = ok && name == w.profile
		}
		if inside {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		out := bytes.Clone(have)
		if len(out) > 0 && !bytes.HasSuffix(out, []byte("\n")) {
			out = append(out, '\n')
		}
		if len(out) > 0 {
			out = append(out, '\n')
		}
		return append(out, w.profileText()...), nil
	}
	p := readProfile(strings.Join(lines, "\n"))
	for _, want := range [][2]string{{"role_arn", w.role}, {"role_session_name", w.session}} {
		if got := p[want[0]]; got != want[1] {
			return nil, withHint(fmt.Errorf("the profile %s has %s = %s, and this cluster needs %s", w.profile, want[0], orNothing(got), want[1]),
				"change it, or give this one another name with --profile")
		}
	}
	return have, nil
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}
