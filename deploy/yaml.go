package deploy

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// plain matches text that YAML of every version reads as a string without quotes.
var plain = regexp.MustCompile(`\A[A-Za-z/][A-Za-z0-9_./*-]*(:[A-Za-z0-9_./*-]+)*\z`)

// words are what some version of YAML reads as something else.
var words = []string{"true", "false", "yes", "no", "on", "off", "y", "n", "null"}

func scalar(text string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	switch {
	case strings.Contains(text, "\n"):
		n.Style = yaml.LiteralStyle
	case !plain.MatchString(text) || slices.Contains(words, strings.ToLower(text)):
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// bare is a value as people write it in YAML: in quotes only where it would be read as
// something else than text.
func bare(text string) string {
	if n := scalar(text); n.Style == yaml.DoubleQuotedStyle {
		return strconv.Quote(text)
	}
	return text
}

func seq(items ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: items}
}

func mapping(pairs ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: pairs}
}

// tagged gives a node the tag of one of CloudFormation's functions.
func tagged(tag string, n *yaml.Node) *yaml.Node {
	n.Tag = tag
	if n.Kind == yaml.SequenceNode {
		n.Style = yaml.FlowStyle
	}
	return n
}

func taggedText(tag, text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: text}
}

// put adds a key with a comment above it.
func put(m *yaml.Node, key, comment string, value *yaml.Node) {
	k := scalar(key)
	k.HeadComment = commented(comment)
	m.Content = append(m.Content, k, value)
}

// commented writes text as comment lines of at most 96 characters.
func commented(text string) string {
	if text == "" {
		return ""
	}
	return "# " + strings.Join(wrap(text, 96), "\n# ")
}

func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// tree reads a policy document into nodes, in the document's own order, with the
// remarks of its statements.
func (d document) tree() *yaml.Node {
	var doc yaml.Node
	if err := yaml.Unmarshal(d.JSON(), &doc); err != nil {
		panic(fmt.Sprintf("deploy: a policy's JSON is no YAML: %v", err))
	}
	root := doc.Content[0]
	restyle(root)
	for i := 0; i < len(root.Content); i += 2 {
		if root.Content[i].Value != "Statement" {
			continue
		}
		for _, s := range root.Content[i+1].Content {
			if remark := d.remarks[member(s, "Sid")]; remark != "" {
				s.HeadComment = commented(remark)
			}
		}
	}
	return root
}

func member(n *yaml.Node, key string) string {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1].Value
		}
	}
	return ""
}

// restyle turns the styles of JSON into those of YAML that people write.
func restyle(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		*n = *scalar(n.Value)
		return
	}
	n.Style = 0
	for _, c := range n.Content {
		restyle(c)
	}
}

// node is a value in CloudFormation.
func node(value any) *yaml.Node {
	switch v := value.(type) {
	case string:
		return scalar(v)
	case int:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(v)}
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}
	case list:
		n := seq()
		for _, item := range v {
			n.Content = append(n.Content, node(item))
		}
		return n
	case object:
		n := mapping()
		for _, a := range v {
			if a.cfn != "" {
				put(n, a.cfn, "", node(a.value))
			}
		}
		return n
	case document:
		return v.tree()
	case ref:
		if v.cfn == "" {
			return taggedText("!Ref", v.to.id())
		}
		return taggedText("!GetAtt", v.to.id()+"."+v.cfn)
	case expr:
		return v.cfn
	default:
		panic(fmt.Sprintf("deploy: no value: %T", value))
	}
}

// anyAccount stands for the account that a template is deployed in, where it is
// deployed in many.
const anyAccount = "000000000000"

// anyAccountNodes puts a function that fills the account in wherever a template for any
// account names it. No checked value holds "${", but policies have variables; nor does
// one hold that account, which checkAnyAccount sees to.
func anyAccountNodes(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && strings.Contains(n.Value, anyAccount) {
		n.Value = strings.ReplaceAll(strings.ReplaceAll(n.Value, "${", "${!"), anyAccount, "${AWS::AccountId}")
		n.Tag, n.Style = "!Sub", yaml.DoubleQuotedStyle
	}
	for _, c := range n.Content {
		anyAccountNodes(c)
	}
}

// checkAnyAccount refuses values in which the account that stands for any would be
// filled in.
func (in *input) checkAnyAccount() error {
	for _, name := range sortedKeys(in.values) {
		for _, v := range in.values[name] {
			if strings.Contains(v, anyAccount) {
				return in.fail(name, "write it without twelve zeros in a row", "%s stands for the account that the StackSet deploys in", anyAccount)
			}
		}
	}
	return nil
}

func encodeYAML(n *yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(n); err != nil {
		return nil, fmt.Errorf("writing YAML: %w", err)
	}
	if err := e.Close(); err != nil {
		return nil, fmt.Errorf("writing YAML: %w", err)
	}
	return b.Bytes(), nil
}
