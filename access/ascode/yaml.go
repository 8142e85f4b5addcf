package ascode

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

// YAML writes the code as one document, which ParseYAML reads back as the same code,
// but for the losses: secrets that stood where they do not belong.
func YAML(c Code) ([]byte, []Loss, error) {
	var lost []Loss
	root := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	if len(c.Integrations) > 0 {
		list := make([]access.Integration, len(c.Integrations))
		for i := range c.Integrations {
			l := losses{kind: "integration", name: c.Integrations[i].Name}
			list[i] = clean(c.Integrations[i], &l)
			lost = append(lost, sorted(l.list)...)
		}
		var key, value yaml.Node
		key.SetString("integrations")
		if err := value.Encode(list); err != nil {
			return nil, nil, fmt.Errorf("writing integrations: %w", err)
		}
		root.Content = append(root.Content, &key, &value)
	}
	set, more := cleanFlows(c.Flows)
	lost = append(lost, more...)
	if set != nil {
		root.Content = append(root.Content, set.Node().Content...)
	}
	if len(root.Content) == 0 {
		return []byte("flows: []\n"), lost, nil
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(root); err != nil {
		return nil, nil, fmt.Errorf("writing integrations and flows: %w", err)
	}
	return b.Bytes(), lost, nil
}

// cleanFlows takes secrets out of the only texts of flows that are free.
func cleanFlows(s *flow.Set) (*flow.Set, []Loss) {
	if s == nil {
		return nil, nil
	}
	var lost []Loss
	out := &flow.Set{Flows: append([]flow.Flow(nil), s.Flows...), Bundles: append([]flow.Bundle(nil), s.Bundles...), Version: s.Version}
	for i := range out.Flows {
		l := losses{kind: "flow", name: out.Flows[i].Name}
		out.Flows[i].Description = cleanText(out.Flows[i].Description, "description", &l)
		lost = append(lost, l.list...)
	}
	for i := range out.Bundles {
		l := losses{kind: "bundle", name: out.Bundles[i].Name}
		out.Bundles[i].Description = cleanText(out.Bundles[i].Description, "description", &l)
		lost = append(lost, l.list...)
	}
	return out, lost
}

// ParseYAML reads integrations, flows and bundles from one document. Unknown keys are
// errors with their place.
func ParseYAML(text []byte) (Code, error) {
	root, err := flow.Document(text)
	if err != nil {
		return Code{}, err
	}
	if root == nil {
		set, err := flow.ParseNode(nil)
		return Code{Flows: set}, err
	}
	set, err := flow.ParseNode(root, "integrations")
	if err != nil {
		return Code{}, err
	}
	c := Code{Flows: set}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value != "integrations" {
			continue
		}
		// The decoder follows aliases, by which a short text could grow without bound.
		if n := anchored(root.Content[i+1]); n != nil {
			return Code{}, flow.Errors{{Line: n.Line, Column: n.Column, Path: "integrations", Message: "anchors and aliases are not supported", Hint: "write the value out"}}
		}
		var doc struct {
			Integrations []access.Integration `yaml:"integrations"`
			Flows        any                  `yaml:"flows"`
			Bundles      any                  `yaml:"bundles"`
		}
		d := yaml.NewDecoder(bytes.NewReader(text))
		d.KnownFields(true)
		if err := d.Decode(&doc); err != nil {
			return Code{}, yamlErrors(err)
		}
		c.Integrations = doc.Integrations
	}
	return c, validate(c.Integrations)
}

// The YAML library's own words for what is wrong at a line.
var (
	yamlAtLine  = regexp.MustCompile(`^line (\d+): (.*)$`)
	yamlUnknown = regexp.MustCompile(`^field (.*) not found in type \S+$`)
)

// yamlErrors gives the decoder's errors their places, in the words of flows.
func yamlErrors(err error) error {
	wrong, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		return fmt.Errorf("reading integrations: %w", err)
	}
	out := make(flow.Errors, 0, len(wrong.Errors))
	for _, text := range wrong.Errors[:min(len(wrong.Errors), maxErrors)] {
		e := &flow.Error{Path: "integrations", Message: text}
		if m := yamlAtLine.FindStringSubmatch(text); m != nil {
			e.Line, _ = strconv.Atoi(m[1])
			e.Column, e.Message = 1, m[2]
		}
		if m := yamlUnknown.FindStringSubmatch(e.Message); m != nil {
			e.Message = "unknown key " + strconv.Quote(m[1])
		}
		out = append(out, e)
	}
	return out
}

// anchored returns the first node with an anchor or an alias, nil for none.
func anchored(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return n
	}
	for _, c := range n.Content {
		if found := anchored(c); found != nil {
			return found
		}
	}
	return nil
}
