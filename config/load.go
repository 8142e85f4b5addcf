package config

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/gatehouse-project/gatehouse/account"
)

// Load reads the settings from a file (none if path is empty) and the
// environment. Flags are laid over the result by the commands, which then call
// Validate.
func Load(path string, getenv func(string) string) (*Config, error) {
	c := Default()
	if path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading the configuration: %w", err)
		}
		if err := c.readYAML(path, b); err != nil {
			return nil, err
		}
	}
	if err := c.readLegacy(getenv); err != nil {
		return nil, err
	}
	for _, s := range settings {
		v := getenv(s.Variable())
		if v == "" {
			continue
		}
		values := []string{v}
		if s.List {
			values = splitList(v)
		}
		if err := s.Set(c, values); err != nil {
			return nil, &Error{Where: s.Variable(), Err: err}
		}
	}
	if err := c.checkPlatform(getenv); err != nil {
		return nil, err
	}
	return c, nil
}

// splitList splits a comma-separated list and drops empty entries and the
// blanks around each. Kafka's list of brokers has commas too, so an entry that
// does not begin with a scheme goes on with the kafka URL before it.
func splitList(v string) []string {
	var out []string
	for e := range strings.SplitSeq(v, ",") {
		e = strings.TrimSpace(e)
		if e == "" {
			continue
		}
		if n := len(out); n > 0 && strings.HasPrefix(out[n-1], "kafka://") && !strings.Contains(strings.TrimPrefix(out[n-1], "kafka://"), "/") {
			out[n-1] += "," + e
			continue
		}
		out = append(out, e)
	}
	return out
}

// readYAML lays a file over c. An unknown key, a key that comes twice and a
// value of the wrong shape are errors with line and column.
func (c *Config) readYAML(path string, b []byte) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if len(doc.Content) == 0 {
		return nil
	}
	at := func(n *yaml.Node) string { return fmt.Sprintf("%s:%d:%d", path, n.Line, n.Column) }
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return &Error{Where: at(root), Err: errors.New("the file must be a mapping of settings")}
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if seen[key.Value] {
			return &Error{Where: at(key), Err: fmt.Errorf("%s is set twice", key.Value)}
		}
		seen[key.Value] = true
		if key.Value == "roles" {
			if err := c.readRoles(path, value); err != nil {
				return err
			}
			continue
		}
		s, ok := Lookup(key.Value)
		if !ok {
			return &Error{Where: at(key), Err: fmt.Errorf("unknown setting %q", key.Value), Hint: nearest(key.Value)}
		}
		values, err := scalars(s, value)
		if err == nil {
			err = s.Set(c, values)
		}
		if err != nil {
			return &Error{Where: at(value), Err: fmt.Errorf("%s: %w", s.Name, err)}
		}
	}
	if seen["roles"] && seen["role_arns"] {
		return &Error{Where: path, Err: errors.New("roles and role_arns are both set"), Hint: "name each role under roles"}
	}
	return nil
}

// scalars turns a YAML value into the texts that a Setting parses.
func scalars(s *Setting, n *yaml.Node) ([]string, error) {
	switch {
	case n.Kind == yaml.ScalarNode:
		if n.Tag == "!!null" {
			return nil, errors.New("has no value")
		}
		if s.List {
			return splitList(n.Value), nil
		}
		return []string{n.Value}, nil
	case n.Kind == yaml.SequenceNode && s.List:
		out := make([]string, 0, len(n.Content))
		for _, e := range n.Content {
			if e.Kind != yaml.ScalarNode {
				return nil, fmt.Errorf("line %d: an entry must be a single value", e.Line)
			}
			out = append(out, e.Value)
		}
		return out, nil
	case n.Kind == yaml.MappingNode && s.List:
		out := make([]string, 0, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i+1].Kind != yaml.ScalarNode {
				return nil, fmt.Errorf("line %d: %s must be a single value", n.Content[i+1].Line, n.Content[i].Value)
			}
			out = append(out, n.Content[i].Value+"="+n.Content[i+1].Value)
		}
		return out, nil
	default:
		if s.List {
			return nil, errors.New("must be a list")
		}
		return nil, errors.New("must be a single value")
	}
}

// readRoles reads the long form of the roles, which has room for an external
// id, a session name and regions of its own for each.
func (c *Config) readRoles(path string, n *yaml.Node) error {
	at := func(n *yaml.Node) string { return fmt.Sprintf("%s:%d:%d", path, n.Line, n.Column) }
	if n.Kind != yaml.SequenceNode {
		return &Error{Where: at(n), Err: errors.New("roles must be a list")}
	}
	known := map[string]bool{"arn": true, "external_id": true, "session_name": true, "session_tags": true, "regions": true}
	for _, e := range n.Content {
		if e.Kind == yaml.ScalarNode {
			if err := checkRoleARN(e.Value); err != nil {
				return &Error{Where: at(e), Err: err}
			}
			c.Accounts.Roles = append(c.Accounts.Roles, account.Role{ARN: e.Value})
			continue
		}
		if e.Kind != yaml.MappingNode {
			return &Error{Where: at(e), Err: errors.New("a role must be an ARN or a mapping with arn")}
		}
		for i := 0; i+1 < len(e.Content); i += 2 {
			if k := e.Content[i]; !known[k.Value] {
				return &Error{Where: at(k), Err: fmt.Errorf("unknown setting %q of a role", k.Value), Hint: "a role has arn, external_id, session_name, session_tags and regions"}
			}
		}
		var r account.Role
		if err := e.Decode(&r); err != nil {
			return &Error{Where: at(e), Err: err}
		}
		if err := checkRoleARN(r.ARN); err != nil {
			return &Error{Where: at(e), Err: err}
		}
		c.Accounts.Roles = append(c.Accounts.Roles, r)
	}
	return nil
}

// nearest hints at the setting that was probably meant.
func nearest(name string) string {
	best, dist := "", 4
	for _, s := range settings {
		if d := editDistance(name, s.Name); d < dist {
			best, dist = s.Name, d
		}
	}
	if best == "" {
		return "docs/configuration.md lists all settings"
	}
	return "did you mean " + best + "?"
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diag := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diag, row[j] = row[j], min(row[j]+1, row[j-1]+1, diag+cost)
		}
	}
	return row[len(b)]
}

// Since parses how far back to read: a duration before now (1h, 7d) or a time
// (RFC 3339, or a date).
func Since(text string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if d, err := time.ParseDuration(days + "h"); err == nil && d >= 0 {
			return now.Add(-24 * d), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil {
		if d < 0 {
			return time.Time{}, fmt.Errorf("%q is in the future", text)
		}
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			if t.After(now) {
				return time.Time{}, fmt.Errorf("%q is in the future", text)
			}
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a duration such as 1h or 7d nor a time such as 2026-01-31T08:00:00Z", text)
}
