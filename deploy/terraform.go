package deploy

import (
	"fmt"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
	"go.yaml.in/yaml/v3"
)

// The versions that the text is written for and was planned with.
const (
	terraformVersion = ">= 1.9"
	providerVersion  = "~> 5.100.0"
)

// hclWriting keeps writers apart: the formatter of hclwrite changes a token that all
// who use it at once would share.
var hclWriting sync.Mutex

// terraform writes the files of a folder, but for its README.
func (m *model) terraform(s *Stack) []File {
	hclWriting.Lock()
	defer hclWriting.Unlock()
	main := hclwrite.NewEmptyFile()
	remark(main.Body(), "Gatehouse "+s.Name+": "+s.Summary)
	for _, r := range m.resources {
		if r.tf == "" {
			continue
		}
		main.Body().AppendNewline()
		remark(main.Body(), r.comment)
		m.block(main.Body().AppendNewBlock("resource", []string{r.tf, r.label}).Body(), r)
	}
	outputs := hclwrite.NewEmptyFile()
	for i, o := range m.outputs {
		if i > 0 {
			outputs.Body().AppendNewline()
		}
		b := outputs.Body().AppendNewBlock("output", []string{o.name}).Body()
		b.SetAttributeValue("description", cty.StringVal(o.description))
		b.SetAttributeRaw("value", tokens(o.value))
	}
	return []File{
		{"main.tf", format(main)},
		{"variables.tf", format(m.variables())},
		{"outputs.tf", format(outputs)},
		{"versions.tf", format(m.versions())},
	}
}

func format(f *hclwrite.File) []byte { return hclwrite.Format(f.Bytes()) }

func (m *model) block(body *hclwrite.Body, r *resource) {
	attributes(body, r.attrs)
	var depends list
	for _, d := range r.dependsOn {
		if d.tf != "" {
			depends = append(depends, expr{tf: d.tf + "." + d.label})
		}
	}
	if len(depends) > 0 {
		body.AppendNewline()
		body.SetAttributeRaw("depends_on", tokens(depends))
	}
	if r.replaceFirst {
		body.AppendNewline()
		body.AppendNewBlock("lifecycle", nil).Body().SetAttributeValue("create_before_destroy", cty.True)
	}
}

func attributes(body *hclwrite.Body, attrs []attr) {
	for _, a := range attrs {
		if a.tf == "" {
			continue
		}
		inner, ok := a.value.(object)
		if !a.block || !ok {
			body.SetAttributeRaw(a.tf, tokens(a.value))
			continue
		}
		body.AppendNewline()
		attributes(body.AppendNewBlock(a.tf, nil).Body(), inner)
	}
}

func (m *model) variables() *hclwrite.File {
	f := hclwrite.NewEmptyFile()
	b := f.Body().AppendNewBlock("variable", []string{"tags"}).Body()
	b.SetAttributeValue("description", cty.StringVal("Tags of everything that can have tags."))
	b.SetAttributeRaw("type", tokens(expr{tf: "map(string)"}))
	b.SetAttributeRaw("default", tokens(object{}))
	if m.boundary {
		f.Body().AppendNewline()
		b = f.Body().AppendNewBlock("variable", []string{"permissions_boundary"}).Body()
		b.SetAttributeValue("description", cty.StringVal("ARN of the permissions boundary of every role of this stack; null for none."))
		b.SetAttributeRaw("type", tokens(expr{tf: "string"}))
		b.SetAttributeRaw("default", tokens(expr{tf: "null"}))
	}
	return f
}

func (m *model) versions() *hclwrite.File {
	f := hclwrite.NewEmptyFile()
	t := f.Body().AppendNewBlock("terraform", nil).Body()
	t.SetAttributeValue("required_version", cty.StringVal(terraformVersion))
	t.AppendNewline()
	t.AppendNewBlock("required_providers", nil).Body().SetAttributeRaw("aws", tokens(object{
		{tf: "source", value: "hashicorp/aws"}, {tf: "version", value: providerVersion},
	}))
	f.Body().AppendNewline()
	remark(f.Body(), "The names in this folder are those of one account, so it refuses to be applied in another.")
	p := f.Body().AppendNewBlock("provider", []string{"aws"}).Body()
	if m.region != "" {
		p.SetAttributeValue("region", cty.StringVal(m.region))
	}
	p.SetAttributeRaw("allowed_account_ids", tokens(list{m.account}))
	p.AppendNewline()
	p.AppendNewBlock("default_tags", nil).Body().SetAttributeRaw("tags", tokens(expr{tf: "var.tags"}))
	return f
}

// remark writes comment lines.
func remark(body *hclwrite.Body, text string) {
	if text != "" {
		body.AppendUnstructuredTokens(comment(text))
	}
}

func comment(text string) hclwrite.Tokens {
	lines := wrap(text, 96)
	out := make(hclwrite.Tokens, 0, len(lines))
	for _, line := range lines {
		out = append(out, &hclwrite.Token{Type: hclsyntax.TokenComment, Bytes: []byte("# " + line + "\n")})
	}
	return out
}

func ident(text string) hclwrite.Tokens {
	return hclwrite.Tokens{{Type: hclsyntax.TokenIdent, Bytes: []byte(text)}}
}

// A token is changed when it is formatted, so none may stand in two places.
func newline() *hclwrite.Token {
	return &hclwrite.Token{Type: hclsyntax.TokenNewline, Bytes: []byte("\n")}
}

func comma() *hclwrite.Token {
	return &hclwrite.Token{Type: hclsyntax.TokenComma, Bytes: []byte(",")}
}

// quoted writes a string; hclwrite escapes what would begin a template in it.
func quoted(text string) hclwrite.Tokens { return hclwrite.TokensForValue(cty.StringVal(text)) }

// tokens is a value in Terraform.
func tokens(value any) hclwrite.Tokens {
	switch v := value.(type) {
	case string:
		return quoted(v)
	case int:
		return hclwrite.TokensForValue(cty.NumberIntVal(int64(v)))
	case bool:
		return hclwrite.TokensForValue(cty.BoolVal(v))
	case list:
		items := make([]hclwrite.Tokens, len(v))
		for i, item := range v {
			items[i] = tokens(item)
		}
		return tuple(items, false)
	case object:
		var names, values []hclwrite.Tokens
		for _, a := range v {
			if a.tf != "" {
				names, values = append(names, key(a.tf)), append(values, tokens(a.value))
			}
		}
		return braces(names, values)
	case document:
		return hclwrite.TokensForFunctionCall("jsonencode", policyTokens(v.tree(), nil))
	case apiDocument:
		return hclwrite.TokensForFunctionCall("jsonencode", policyTokens(v.tree(), v.api))
	case ref:
		return ident(v.to.tf + "." + v.to.label + "." + v.tf)
	case expr:
		return ident(v.tf)
	default:
		panic(fmt.Sprintf("deploy: no value: %T", value))
	}
}

func key(text string) hclwrite.Tokens {
	if hclsyntax.ValidIdentifier(text) {
		return ident(text)
	}
	return quoted(text)
}

// tuple writes a list: one item on the same line, several on lines of their own, as
// one with a comment, which ends with its line.
func tuple(items []hclwrite.Tokens, lines bool) hclwrite.Tokens {
	lines = lines || len(items) > 1
	out := hclwrite.Tokens{{Type: hclsyntax.TokenOBrack, Bytes: []byte("[")}}
	if lines {
		out = append(out, newline())
	}
	for _, item := range items {
		out = append(out, item...)
		if lines {
			out = append(out, comma(), newline())
		}
	}
	return append(out, &hclwrite.Token{Type: hclsyntax.TokenCBrack, Bytes: []byte("]")})
}

func braces(names, values []hclwrite.Tokens) hclwrite.Tokens {
	out := hclwrite.Tokens{{Type: hclsyntax.TokenOBrace, Bytes: []byte("{")}}
	for i := range names {
		if i == 0 {
			out = append(out, newline())
		}
		out = append(out, names[i]...)
		out = append(out, &hclwrite.Token{Type: hclsyntax.TokenEqual, Bytes: []byte("=")})
		out = append(out, values[i]...)
		out = append(out, newline())
	}
	return append(out, &hclwrite.Token{Type: hclsyntax.TokenCBrace, Bytes: []byte("}")})
}

// policyTokens writes the tree of a policy as an HCL object with its remarks. Where an
// API is given, its ARN stands in place of execute-api: in the short form of a resource.
func policyTokens(n *yaml.Node, api *resource) hclwrite.Tokens {
	switch n.Kind {
	case yaml.MappingNode:
		var names, values []hclwrite.Tokens
		for i := 0; i < len(n.Content); i += 2 {
			names, values = append(names, key(n.Content[i].Value)), append(values, policyTokens(n.Content[i+1], api))
		}
		return braces(names, values)
	case yaml.SequenceNode:
		items := make([]hclwrite.Tokens, len(n.Content))
		remarked := false
		for i, c := range n.Content {
			items[i] = policyTokens(c, api)
			if c.HeadComment != "" {
				remarked = true
				items[i] = append(comment(strings.ReplaceAll(c.HeadComment, "# ", "")), items[i]...)
			}
		}
		return tuple(items, remarked)
	default:
		// A checked stage or path holds neither a quotation mark nor the beginning of a template.
		if rest, short := strings.CutPrefix(n.Value, "execute-api:/"); short && api != nil {
			return ident(`"${` + api.tf + "." + api.label + ".execution_arn}/" + rest + `"`)
		}
		return quoted(n.Value)
	}
}
