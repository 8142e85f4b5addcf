package ascode

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

// Bounds of a Terraform text. The parser of HCL recurses, so depth is bounded before
// it sees the text.
const (
	maxTerraform = 8 << 20
	maxDepth     = 64
	maxOperators = 5_000
	maxErrors    = 50
)

// ParseTerraform reads integrations, bundles and access flows of the apono provider.
// name is the file's, for errors. What Gatehouse cannot say and can do without is a
// loss; what it cannot do without, because dropping it would give more than the text
// does, is an error with its place, and so is an attribute that the schema does not
// have. The flows are compiled and valid, not yet checked against anything.
func ParseTerraform(name string, text []byte) (Code, []Loss, error) {
	if err := shallow(name, text); err != nil {
		return Code{}, nil, err
	}
	file, diags := hclsyntax.ParseConfig(text, name, hcl.InitialPos)
	if diags.HasErrors() {
		return Code{}, nil, diags
	}
	body, ok := file.Body.(*hclsyntax.Body)
	if !ok {
		return Code{}, nil, fmt.Errorf("%s: not a Terraform text", name)
	}
	r := &tfReader{context: &hcl.EvalContext{Variables: names(body)}}
	var c Code
	var flows []flow.Flow
	var bundles []flow.Bundle
	for _, b := range body.Blocks {
		if b.Type != "resource" || len(b.Labels) != 2 || !strings.HasPrefix(b.Labels[0], "apono_") {
			continue
		}
		r.kind = map[string]string{resourceFlow: "flow", resourceBundle: "bundle", resourceIntegration: "integration"}[b.Labels[0]]
		r.name = b.Labels[1]
		if r.kind == "" {
			r.kind = b.Labels[0]
			r.lose("", "resources of this type are not read")
			continue
		}
		o := r.resource(b)
		if o == nil {
			continue
		}
		r.name = o.text("name", true)
		switch r.kind {
		case "flow":
			flows = append(flows, r.flow(o))
		case "bundle":
			bundles = append(bundles, flow.Bundle{Name: r.name, Targets: r.targets(o)})
		default:
			c.Integrations = append(c.Integrations, r.integration(o))
		}
		o.done()
	}
	if len(r.errs) > 0 {
		return Code{}, nil, errors.Join(r.errs...)
	}
	set, err := flow.New(flows, bundles)
	if err != nil {
		return Code{}, nil, fmt.Errorf("%s: %w", name, err)
	}
	c.Flows = set
	if err := validate(c.Integrations); err != nil {
		return Code{}, nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, r.lost, nil
}

// shallow refuses a text whose nesting could exhaust the stack of the parser.
func shallow(name string, text []byte) error {
	if len(text) > maxTerraform {
		return fmt.Errorf("%s: the text has more than %d MiB", name, maxTerraform>>20)
	}
	list, diags := hclsyntax.LexConfig(text, name, hcl.InitialPos)
	if diags.HasErrors() {
		return diags
	}
	depth, operators := 0, 0
	for i := range list {
		switch list[i].Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			depth++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc, hclsyntax.TokenTemplateSeqEnd:
			depth--
		case hclsyntax.TokenBang, hclsyntax.TokenMinus, hclsyntax.TokenQuestion:
			operators++
		}
		if depth > maxDepth || operators > maxOperators {
			return fmt.Errorf("%s: nested too deeply", list[i].Range)
		}
	}
	return nil
}

// names are the resources' names, for references such as apono_bundle_v2.x.name.
func names(body *hclsyntax.Body) map[string]cty.Value {
	found := map[string]map[string]cty.Value{}
	for _, b := range body.Blocks {
		if b.Type != "resource" || len(b.Labels) != 2 || b.Body.Attributes["name"] == nil {
			continue
		}
		v, diags := b.Body.Attributes["name"].Expr.Value(nil)
		if diags.HasErrors() || v.IsNull() || v.Type() != cty.String {
			continue
		}
		if found[b.Labels[0]] == nil {
			found[b.Labels[0]] = map[string]cty.Value{}
		}
		found[b.Labels[0]][b.Labels[1]] = cty.ObjectVal(map[string]cty.Value{"name": v})
	}
	out := make(map[string]cty.Value, len(found))
	for typ, list := range found {
		out[typ] = cty.ObjectVal(list)
	}
	return out
}

type tfReader struct {
	context    *hcl.EvalContext
	kind, name string // of the resource in hand
	lost       []Loss
	errs       []error
}

func (r *tfReader) lose(path, format string, args ...any) {
	r.lost = append(r.lost, Loss{r.kind, r.name, path, fmt.Sprintf(format, args...)})
}

func (r *tfReader) fail(at hcl.Range, path, format string, args ...any) {
	if len(r.errs) < maxErrors {
		r.errs = append(r.errs, fmt.Errorf("%s:%d:%d: %s %q: %s: %s", at.Filename, at.Start.Line, at.Start.Column, r.kind, r.name, path, fmt.Sprintf(format, args...)))
	}
}

func (r *tfReader) flow(o *node) flow.Flow {
	f := flow.Flow{
		Name: r.name, Active: o.truth("active", true), Description: o.text("description", false),
		RequestFor: flow.RequestFor{Scopes: []string{flow.ForSelf}}, LapseAfter: flow.DefaultLapseAfter,
	}
	o.take("id", false)
	max, ok := o.minutes("grant_duration_in_min")
	if !ok {
		o.fail("grant_duration_in_min", "is missing, so access would never end: here there is always a maximum")
	}
	f.Duration.Max = max
	trigger := o.text("trigger", true)
	f.Requestors = o.group("requestors", "conditions", true)
	if n := o.object("request_for", false); n != nil {
		if scopes := n.texts("request_scopes", false); len(scopes) > 0 {
			f.RequestFor.Scopes = scopes
		}
		if _, given := n.values["grantees"]; given {
			g := n.group("grantees", "conditions", false)
			f.RequestFor.Grantees = &g
		}
		n.done()
	}
	f.Targets = r.targets(o)
	r.approval(o, &f)
	switch {
	case trigger == "AUTOMATIC":
		r.lose("trigger", "nobody has to ask there; here people ask and have it at once")
		if f.Approval != nil {
			o.fail("approver_policy", "an automatic flow has none")
		}
	case trigger != "SELF_SERVE" && trigger != "":
		o.fail("trigger", "%q is not SELF_SERVE or AUTOMATIC", trigger)
	}
	if f.Approval == nil {
		f.AutoApprove = &flow.AutoApprove{Always: true}
	}
	r.timeframe(o, &f)
	r.settings(o, &f)
	return f
}

func (r *tfReader) approval(o *node, f *flow.Flow) {
	if n := o.object("approver_policy", false); n != nil {
		f.Approval = &flow.Approval{Mode: flow.Mode(strings.ToLower(n.text("approval_mode", true))), Groups: n.groups("approver_groups")}
		n.done()
	}
	n := o.object("escalation_policy", false)
	if n == nil {
		return
	}
	every, ok := n.minutes("interval_in_min")
	if !ok {
		every = 30 * time.Minute
	}
	steps := n.groups("approver_groups")
	n.done()
	if f.Approval == nil {
		o.fail("escalation_policy", "nothing escalates without approver_policy")
		return
	}
	for i := range steps {
		f.Approval.Escalation = append(f.Approval.Escalation, flow.EscalationStep{After: every * time.Duration(i+1), Groups: steps[i : i+1]})
	}
}

func (n *node) groups(key string) (out []flow.ApproverGroup) {
	for _, g := range n.objects(key, true) {
		out = append(out, g.conditions("approvers"))
		g.done()
	}
	return out
}

func (n *node) group(key, conditions string, required bool) flow.ApproverGroup {
	g := n.object(key, required)
	if g == nil {
		return flow.ApproverGroup{}
	}
	out := g.conditions(conditions)
	g.done()
	return out
}

// onCall are the provider's types of conditions that are schedules of somebody's.
var onCall = []string{"schedule", "pagerduty_shift", "opsgenie_schedule"}

func (n *node) conditions(key string) flow.ApproverGroup {
	g := flow.ApproverGroup{Operator: strings.ToLower(n.text("logical_operator", true))}
	for _, o := range n.objects(key, true) {
		c := flow.Condition{Type: o.text("type", true), Match: o.text("match_operator", false), Values: o.texts("values", false)}
		switch typ := c.Type; {
		case typ == "Owner":
			c.Type = flow.TypeOwner
		case slices.Contains(onCall, typ):
			c.Type = flow.TypeSchedule
		case typ == flow.TypeUser || typ == flow.TypeGroup || typ == flow.TypeManager:
		default:
			c.Type, c.Name = flow.TypeAttribute, typ
		}
		if c.Type == flow.TypeOwner || c.Type == flow.TypeManager {
			if c.Match == flow.Is && len(c.Values) == 0 {
				c.Match = "" // the provider's default
			}
		}
		if s := o.text("source_integration_name", false); s != "" {
			n.r.lose(o.path, "people and groups come from one directory, not from %q", s)
		}
		o.done()
		g.Conditions = append(g.Conditions, c)
	}
	return g
}

func (r *tfReader) targets(o *node) (out []flow.Target) {
	for _, n := range o.objects("access_targets", true) {
		set := 0
		for _, key := range []string{"integration", "bundle", "access_scope"} {
			if v, ok := n.values[key]; ok && !v.IsNull() {
				set++
			}
		}
		if set != 1 {
			n.fail("", "has to be exactly one of integration, bundle and access_scope")
		}
		if b := n.object("bundle", false); b != nil {
			out = append(out, flow.Target{Bundle: b.text("name", true)})
			b.done()
		}
		if s := n.object("access_scope", false); s != nil {
			// Less is lent without it, so it may be left out where something else is lent.
			r.lose(n.path, "queries of resources are not read: name what %q chooses with include", s.text("name", true))
			s.done()
		}
		if i := n.object("integration", false); i != nil {
			t := flow.Target{Integration: i.text("integration_name", true), ResourceType: i.text("resource_type", true), Permissions: i.texts("permissions", true)}
			for _, s := range i.objects("resources_scopes", false) {
				s.scope(&t)
			}
			i.done()
			out = append(out, t)
		}
		n.done()
	}
	return out
}

func (n *node) scope(t *flow.Target) {
	mode, typ := n.text("scope_mode", true), n.text("type", true)
	f := flow.Filter{Key: n.text("key", false), Values: n.texts("values", true)}
	n.done()
	for ours, theirs := range filterTypes {
		if theirs == typ {
			f.Type = ours
		}
	}
	if f.Type == "" {
		n.fail("type", "%q is not NAME, APONO_ID or TAG", typ)
	}
	switch mode {
	case "include_resources":
		t.Include = append(t.Include, f)
	case "exclude_resources":
		t.Exclude = append(t.Exclude, f)
	default:
		n.fail("scope_mode", "%q is not include_resources or exclude_resources", mode)
	}
}

func (r *tfReader) timeframe(o *node, f *flow.Flow) {
	n := o.object("timeframe", false)
	if n == nil {
		return
	}
	t := &flow.Timeframe{TimeZone: n.text("time_zone", true)}
	days := n.texts("days_of_week", true)
	if len(days) == 0 {
		n.fail("days_of_week", "is empty, so nothing could ever be asked for")
	}
	for _, name := range days {
		d, err := flow.ParseWeekday(name)
		if err != nil {
			n.fail("days_of_week", "%v", err)
		}
		t.Days = append(t.Days, d)
	}
	clock := func(key string) int {
		text := n.text(key, true)
		m, err := flow.ParseClock(strings.TrimSuffix(text, ":00"[:max(0, len(text)-len("00:00"))]))
		if err != nil {
			n.fail(key, "%v", err)
		}
		return m
	}
	if t.Start, t.End = clock("start_time"), clock("end_time"); t.Start == t.End {
		n.fail("", "the timeframe is empty: it ends when it starts")
	}
	n.done()
	f.Timeframe = t
}

func (r *tfReader) settings(o *node, f *flow.Flow) {
	n := o.object("settings", true)
	if n == nil {
		return
	}
	f.Justification.Required = n.truth("justification_required", true)
	f.SelfApproval = !n.truth("requester_cannot_approve_self", false)
	f.ApproverReason = n.truth("require_approver_reason", false)
	if n.truth("require_mfa", false) {
		n.fail("require_mfa", "approving with a second factor is for the identity provider to ask for: set it there, and write false")
	}
	f.Extensions.Max, _ = n.number("max_extensions")
	f.Extensions.Duration, _ = n.minutes("extension_duration_in_min")
	if f.Extensions.Max == 0 || f.Extensions.Duration == 0 {
		f.Extensions = flow.Extensions{} // either zero means off
	}
	f.Labels = n.texts("labels", false)
	n.done()
}

func (r *tfReader) integration(o *node) access.Integration {
	in := access.Integration{Name: r.name, Type: o.text("type", true), ResourceTypes: o.texts("connected_resource_types", true), AccessDetails: o.text("custom_access_details", false)}
	o.take("id", false)
	if n := o.object("integration_config", true); n != nil {
		for key := range n.values {
			v := n.text(key, false)
			switch key {
			case keyRotation, keyCleanup:
				days, err := strconv.Atoi(v)
				if err != nil || days < 0 {
					n.fail(key, "must be a number of days")
				}
				if key == keyRotation {
					in.RotationDays = days
				} else {
					in.CleanupDays = days
				}
			default:
				if in.Config == nil {
					in.Config = map[string]string{}
				}
				in.Config[key] = v
			}
		}
	}
	if n := o.object("secret_store_config", false); n != nil {
		r.secretStore(n, &in)
	}
	if n := o.object("owner", false); n != nil {
		n.hints = map[string]string{"attribute_value": ": it is attribute_values"}
		kind := n.text("attribute_type", true)
		for _, v := range n.texts("attribute_values", true) {
			in.Owner = append(in.Owner, flow.Principal{Kind: kind, Value: v})
		}
		r.source(n, "owner")
		n.done()
	}
	if n := o.object("owners_mapping", false); n != nil {
		in.OwnerTag, in.OwnerKind = n.text("key_name", true), n.text("attribute_type", true)
		r.source(n, "owner_tag")
		n.done()
	}
	return in
}

func (r *tfReader) source(n *node, path string) {
	if s := n.text("source_integration_name", false); s != "" {
		r.lose(path, "people and groups come from one directory, not from %q", s)
	}
}

func (r *tfReader) secretStore(n *node, in *access.Integration) {
	if k := n.object("kubernetes", false); k != nil {
		in.Secret = &access.SecretRef{Kubernetes: &access.KubernetesSecret{Namespace: k.text("namespace", true), Name: k.text("name", true)}}
		k.done()
	}
	if a := n.object("aws", false); a != nil {
		if in.Secret != nil {
			n.fail("", "only one store can be named")
		}
		in.Secret = &access.SecretRef{AWS: &access.AWSSecret{Region: a.text("region", true), SecretID: a.text("secret_id", true)}}
		a.done()
	}
	for _, other := range []string{"gcp", "azure", "hashicorp_vault"} {
		if v, ok := n.take(other, false); ok && !v.IsNull() {
			r.lose("secret_store", "there is no store %s here", other)
		}
	}
	n.done()
}
