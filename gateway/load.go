package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// maxConfig bounds a configuration file and everything that it names.
const maxConfig = 16 << 20

// ConfigError is a mistake in a configuration. Where names the file with line and
// column, and Path the setting, such as apis[0].routes[2].integration.uri.
type ConfigError struct {
	Where string
	Path  string
	Err   error
	Hint  string
}

// Error returns the place and the mistake.
func (e *ConfigError) Error() string {
	var b strings.Builder
	for _, s := range []string{e.Where, e.Path} {
		if s != "" {
			b.WriteString(s + ": ")
		}
	}
	return b.String() + e.Err.Error()
}

// Unwrap returns the mistake itself.
func (e *ConfigError) Unwrap() error { return e.Err }

// Mend says how the mistake is mended; empty if the error says it all.
func (e *ConfigError) Mend() string { return e.Hint }

func at(path, format string, args ...any) *ConfigError {
	return &ConfigError{Path: path, Err: fmt.Errorf(format, args...)}
}

// Load reads and checks a configuration file. Files that it names are relative to
// it. An unknown key, a key that comes twice and a value of the wrong shape are
// errors of type *ConfigError, several joined.
func Load(path string, getenv func(string) string) (*Config, error) {
	text, err := readBounded(path)
	if err != nil {
		return nil, fmt.Errorf("reading the gateway's configuration: %w", err)
	}
	return parse(path, text, getenv)
}

// Parse is Load with the text of the file; name stands for its path.
func Parse(name string, text []byte, getenv func(string) string) (*Config, error) {
	if len(text) > maxConfig {
		return nil, fmt.Errorf("%s: is larger than %d bytes", name, maxConfig)
	}
	return parse(name, text, getenv)
}

func parse(name string, text []byte, getenv func(string) string) (*Config, error) {
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, &ConfigError{Where: name, Err: errors.New("the file is empty"), Hint: "docs/gateway.md has an example"}
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, &ConfigError{Where: name, Err: errors.New("the file has more than one document")}
	}
	root := doc.Content[0]
	if err := strict(root, reflect.TypeFor[Config](), ""); err != nil {
		err.Where = place(name, err.node)
		return nil, err.ConfigError
	}
	c := &Config{}
	if err := root.Decode(c); err != nil {
		if mistake, ok := errors.AsType[*ConfigError](err); ok {
			mistake.Where = name + mistake.Where
			return nil, mistake
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := c.prepare(filepath.Dir(name), getenv); err != nil {
		return nil, located(err, name, root)
	}
	return c, nil
}

// located gives the place in the file to each of the joined errors that knows its
// path.
func located(err error, name string, root *yaml.Node) error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		for _, e := range joined.Unwrap() {
			_ = located(e, name, root)
		}
		return err
	}
	var mistake *ConfigError
	if errors.As(err, &mistake) && mistake.Where == "" {
		mistake.Where = place(name, nodeAt(root, mistake.Path))
	}
	return err
}

func place(name string, n *yaml.Node) string { return fmt.Sprintf("%s:%d:%d", name, n.Line, n.Column) }

// nodeAt finds the node of a path, or the nearest one around it.
func nodeAt(n *yaml.Node, path string) *yaml.Node {
	for path != "" {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		var key string
		if path[0] == '[' {
			key, path, _ = strings.Cut(path[1:], "]")
			path = strings.TrimPrefix(path, ".")
			i, err := strconv.Atoi(key)
			if err != nil || n.Kind != yaml.SequenceNode || i >= len(n.Content) {
				return n
			}
			n = n.Content[i]
			continue
		}
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			key, path = path, ""
		} else {
			key, path = path[:end], strings.TrimPrefix(path[end:], ".")
		}
		next := child(n, key)
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

func child(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// strictError is a mistake at a node.
type strictError struct {
	*ConfigError
	node *yaml.Node
}

var unmarshaler = reflect.TypeFor[yaml.Unmarshaler]()

// strict checks the shape of a node against a type: unknown and repeated keys,
// mappings where a list is wanted and the like. Aliases are refused: a small file
// with aliases of aliases can stand for a large one.
func strict(n *yaml.Node, t reflect.Type, path string) *strictError {
	fail := func(n *yaml.Node, format string, args ...any) *strictError {
		return &strictError{at(path, format, args...), n}
	}
	if n.Kind == yaml.AliasNode {
		return fail(n, "aliases are not read")
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return fail(n, "has no value")
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(unmarshaler) || t == reflect.TypeFor[time.Time]() {
		return nil
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		if n.Kind != yaml.MappingNode {
			return fail(n, "must be a mapping")
		}
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			inner := key.Value
			if path != "" {
				inner = path + "." + key.Value
			}
			if seen[key.Value] {
				return &strictError{at(path, "%s is set twice", key.Value), key}
			}
			seen[key.Value] = true
			var elem reflect.Type
			if t.Kind() == reflect.Map {
				elem = t.Elem()
			} else {
				f, names := fieldOf(t, key.Value)
				if f == nil && notSimulated[key.Value] != "" {
					return &strictError{at(path, "%s is not simulated here", notSimulated[key.Value]), key}
				}
				if f == nil {
					e := at(path, "unknown setting %q", key.Value)
					e.Hint = "known here: " + strings.Join(names, ", ")
					return &strictError{e, key}
				}
				elem = f.Type
			}
			if err := strict(value, elem, inner); err != nil {
				return err
			}
		}
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			return fail(n, "must be a list")
		}
		for i, e := range n.Content {
			if err := strict(e, t.Elem(), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	default:
		if n.Kind != yaml.ScalarNode {
			return fail(n, "must be a single value")
		}
		if err := n.Decode(reflect.New(t).Interface()); err != nil {
			return fail(n, "%q is not %s", clip(n.Value), kindName(t))
		}
	}
	return nil
}

// notSimulated are settings of API Gateway that whoever copies them from there must
// be told about.
var notSimulated = map[string]string{
	"canary": "a canary release", "canary_settings": "a canary release",
	"vpc_link": "a VPC link", "connection_id": "a VPC link", "connection_type": "a VPC link",
	"web_acl": "a WAF web ACL", "web_acl_arn": "a WAF web ACL", "mutual_tls": "mutual TLS",
}

func fieldOf(t reflect.Type, key string) (*reflect.StructField, []string) {
	names := make([]string, 0, t.NumField())
	for f := range t.Fields() {
		name := f.Tag.Get("yaml")
		if name == "" {
			continue
		}
		if name == ",inline" {
			inner, more := fieldOf(f.Type, key)
			if inner != nil {
				return inner, nil
			}
			names = append(names, more...)
			continue
		}
		if name == key {
			return &f, nil
		}
		names = append(names, name)
	}
	return nil, names
}

func kindName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "a duration such as 29s"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "a text"
	default:
		return "a number"
	}
}

func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(b) > maxConfig {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxConfig)
	}
	return b, err
}

// Values are one text or a list of them.
type Values []string

// UnmarshalYAML reads one text or a list.
func (v *Values) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*v = Values{n.Value}
		return nil
	}
	return n.Decode((*[]string)(v))
}

// PolicyText is a policy document: a mapping, a text in JSON, or the name of a
// file that holds one.
type PolicyText struct {
	JSON []byte
	File string
}

// UnmarshalYAML reads a mapping or a text.
func (p *PolicyText) UnmarshalYAML(n *yaml.Node) error { return readJSON(n, &p.JSON, &p.File) }

// SchemaText is a JSON schema, given as a PolicyText is.
type SchemaText struct {
	JSON []byte
	File string
}

// UnmarshalYAML reads a mapping or a text.
func (s *SchemaText) UnmarshalYAML(n *yaml.Node) error { return readJSON(n, &s.JSON, &s.File) }

func readJSON(n *yaml.Node, text *[]byte, file *string) error {
	if n.Kind == yaml.ScalarNode {
		if strings.HasPrefix(strings.TrimSpace(n.Value), "{") {
			*text = []byte(n.Value)
		} else {
			*file = n.Value
		}
		return nil
	}
	var b bytes.Buffer
	if err := appendJSON(&b, n, 0); err != nil {
		return err
	}
	*text = b.Bytes()
	return nil
}

// appendJSON writes a node as JSON in the order of the file. Texts that look like
// dates or numbers, such as a Version, stay texts where a policy wants texts:
// numbers are written as they stand.
func appendJSON(b *bytes.Buffer, n *yaml.Node, depth int) error {
	if depth > 64 || n.Kind == yaml.AliasNode {
		return &ConfigError{Where: fmt.Sprintf(":%d:%d", n.Line, n.Column), Err: errors.New("is nested too deeply or an alias")}
	}
	switch n.Kind {
	case yaml.MappingNode:
		b.WriteByte('{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				b.WriteByte(',')
			}
			writeQuoted(b, n.Content[i].Value)
			b.WriteByte(':')
			if err := appendJSON(b, n.Content[i+1], depth+1); err != nil {
				return err
			}
		}
		b.WriteByte('}')
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, e := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := appendJSON(b, e, depth+1); err != nil {
				return err
			}
		}
		b.WriteByte(']')
	default:
		if (n.Tag == "!!int" || n.Tag == "!!float" || n.Tag == "!!bool" || n.Tag == "!!null") && json.Valid([]byte(n.Value)) {
			b.WriteString(n.Value)
			return nil
		}
		writeQuoted(b, n.Value)
	}
	return nil
}

func writeQuoted(b *bytes.Buffer, s string) {
	q, err := json.Marshal(s)
	if err != nil { // a string always marshals
		q = []byte(`""`)
	}
	b.Write(q)
}
