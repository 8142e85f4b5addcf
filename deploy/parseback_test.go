package deploy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

// Both languages hold exactly the policies that were made, no more and none that is
// another.
func TestPoliciesParseBack(t *testing.T) {
	t.Parallel()
	for _, e := range examples() {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			parseBack(t, &e)
		})
	}
}

func parseBack(tb rapid.TB, e *example) {
	tb.Helper()
	tf, cfn := render(tb, e, Terraform), render(tb, e, CloudFormation)
	want := wanted(tb, tf)
	if diff := cmp.Diff(want, wanted(tb, cfn)); diff != "" {
		tb.Errorf("the languages have different policies:\n%s", diff)
	}
	got := terraformPolicies(tb, tf)
	got = append(got, templatePolicies(tb, fileOf(tf, spokeTemplate))...)
	sort.Strings(got)
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Errorf("Terraform (- wanted, + written):\n%s", diff)
	}
	got = templatePolicies(tb, fileOf(cfn, "template.yaml"))
	sort.Strings(got)
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Errorf("CloudFormation (- wanted, + written):\n%s", diff)
	}
}

func fileOf(o *Output, name string) []byte {
	for _, f := range o.Files {
		if f.Name == name {
			return f.Text
		}
	}
	return nil
}

func wanted(tb rapid.TB, o *Output) (all []string) {
	tb.Helper()
	for _, p := range o.Policies {
		all = append(all, canonical(tb, p.Document.JSON()))
	}
	sort.Strings(all)
	return all
}

func canonical(tb rapid.TB, text []byte) string {
	tb.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		tb.Fatalf("%v: %s", err, text)
	}
	out, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return string(out)
}

// shortARN gives an API the ARN that the short form of a resource policy stands for.
var shortARN = &hcl.EvalContext{Variables: map[string]cty.Value{
	"aws_api_gateway_rest_api": cty.ObjectVal(map[string]cty.Value{
		"api": cty.ObjectVal(map[string]cty.Value{"execution_arn": cty.StringVal("execute-api:")}),
	}),
}}

// terraformPolicies evaluates every jsonencode of main.tf.
func terraformPolicies(tb rapid.TB, o *Output) (all []string) {
	tb.Helper()
	for _, f := range o.Files {
		if !strings.HasSuffix(f.Name, ".tf") {
			continue
		}
		hclWriting.Lock()
		formatted := hclwrite.Format(f.Text)
		hclWriting.Unlock()
		if !bytes.Equal(formatted, f.Text) {
			tb.Errorf("%s is not formatted", f.Name)
		}
		file, diags := hclsyntax.ParseConfig(f.Text, f.Name, hcl.InitialPos)
		if diags.HasErrors() {
			tb.Fatalf("%v\n%s", diags, f.Text)
		}
		addresses := map[string]bool{}
		for _, b := range file.Body.(*hclsyntax.Body).Blocks {
			address := b.Type + "." + strings.Join(b.Labels, ".")
			if addresses[address] {
				tb.Errorf("%s: %s is there twice", f.Name, address)
			}
			addresses[address] = true
		}
		walk := hclsyntax.VisitAll(file.Body.(*hclsyntax.Body), func(n hclsyntax.Node) hcl.Diagnostics {
			call, ok := n.(*hclsyntax.FunctionCallExpr)
			if !ok || call.Name != "jsonencode" {
				return nil
			}
			v, diags := call.Args[0].Value(shortARN)
			if diags.HasErrors() {
				return diags
			}
			text, err := ctyjson.Marshal(v, v.Type())
			if err != nil {
				tb.Fatal(err)
			}
			all = append(all, canonical(tb, text))
			return nil
		})
		if walk.HasErrors() {
			tb.Fatal(walk)
		}
	}
	return all
}

// templatePolicies finds every policy of a template, also of a template in it.
func templatePolicies(tb rapid.TB, text []byte) (all []string) {
	tb.Helper()
	if text == nil {
		return nil
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		tb.Fatalf("%v\n%s", err, text)
	}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind == yaml.MappingNode {
			var keys []string
			for i := 0; i < len(n.Content); i += 2 {
				key, value := n.Content[i].Value, n.Content[i+1]
				if slices.Contains(keys, key) {
					tb.Errorf("%s is there twice", key)
				}
				keys = append(keys, key)
				switch key {
				case "PolicyDocument", "AssumeRolePolicyDocument", "Policy":
					out, err := json.Marshal(plainValue(value))
					if err != nil {
						tb.Fatal(err)
					}
					all = append(all, canonical(tb, out))
					continue
				case "TemplateBody":
					all = append(all, templatePolicies(tb, []byte(value.Value))...)
					continue
				}
				walk(value)
			}
			return
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(doc.Content[0])
	return all
}

// plainValue is a node as CloudFormation sees it; of any account it is the one that
// stands for all.
func plainValue(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			m[n.Content[i].Value] = plainValue(n.Content[i+1])
		}
		return m
	case yaml.SequenceNode:
		l := []any{}
		for _, c := range n.Content {
			l = append(l, plainValue(c))
		}
		return l
	default:
		if n.Tag == "!Sub" {
			return strings.ReplaceAll(strings.ReplaceAll(n.Value, "${AWS::AccountId}", anyAccount), "${!", "${")
		}
		if n.Tag != "!!str" {
			return fmt.Sprintf("%s is no text but %s", n.Value, n.Tag)
		}
		return n.Value
	}
}

// Whatever a parameter is given, it is refused, or both languages still hold exactly
// the policies that were made from it.
func FuzzRender(f *testing.F) {
	for _, s := range []string{
		"${aws:x}", `"}]}`, "a\n  Evil: true", "{{resolve:ssm:x}}", "%{ if true }", "'", "yes", "*", "#x", "/orders/{id}", "prod", "arn:aws:iam::111122223333:role/x", "\x00", "é",
	} {
		for i := range 3 {
			f.Add(uint8(i*5), uint8(i*3), s)
		}
	}
	all := examples()
	f.Fuzz(func(t *testing.T, which, parameter uint8, text string) {
		e := all[int(which)%len(all)]
		s, err := Find(e.stack)
		if err != nil {
			t.Fatal(err)
		}
		values := maps.Clone(e.values)
		values[s.Parameters[int(parameter)%len(s.Parameters)].Name] = []string{text}
		if _, err := s.Render(Terraform, values); err != nil {
			return
		}
		e.values = values
		parseBack(t, &e)
		tf := render(t, &e, Terraform)
		file, diags := hclsyntax.ParseConfig(fileOf(tf, "main.tf"), "main.tf", hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		// Nothing that was given becomes an expression: what main.tf refers to are
		// its own resources and variables.
		for _, b := range file.Body.(*hclsyntax.Body).Blocks {
			if b.Type != "resource" {
				t.Fatalf("a block %s", b.Type)
			}
			_ = hclsyntax.VisitAll(b.Body, func(n hclsyntax.Node) hcl.Diagnostics {
				if tr, ok := n.(*hclsyntax.ScopeTraversalExpr); ok {
					if root := tr.Traversal.RootName(); root != "var" && root != "path" && !strings.HasPrefix(root, "aws_") {
						t.Fatalf("main.tf refers to %s", root)
					}
				}
				return nil
			})
		}
	})
}
