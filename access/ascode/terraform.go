package ascode

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

// The provider's resources that are written and read.
const (
	resourceFlow        = "apono_access_flow_v2"
	resourceBundle      = "apono_bundle_v2"
	resourceIntegration = "apono_resource_integration"
)

// Keys of integration_config that the provider knows by these names.
const (
	keyRotation = "credentials_rotation_period_in_days"
	keyCleanup  = "credentials_cleanup_period_in_days"
)

// hclWriting keeps writers apart: the formatter of hclwrite changes a token that all
// who use it at once would share.
var hclWriting sync.Mutex

// object is an HCL object with its attributes in order.
type object []field

type field struct {
	name  string
	value any // string, int, bool, []string, object, []object, hcl.Traversal
}

// Terraform writes the code for the apono provider. A flow that the provider could
// only have wider than it is, such as one that grants by conditions alone, is left
// out, and is a loss.
func Terraform(c Code) ([]byte, []Loss, error) {
	if err := validate(c.Integrations); err != nil {
		return nil, nil, err
	}
	hclWriting.Lock()
	defer hclWriting.Unlock()
	w := &writer{file: hclwrite.NewEmptyFile(), labels: map[string]string{}, taken: map[string]bool{}}
	w.head(len(c.Integrations) > 0)
	for i := range c.Integrations {
		w.label(resourceIntegration, c.Integrations[i].Name)
	}
	set, lost := cleanFlows(c.Flows)
	w.lost = lost
	if set == nil {
		set = &flow.Set{}
	}
	for i := range set.Bundles {
		w.label(resourceBundle, set.Bundles[i].Name)
	}
	for i := range c.Integrations {
		l := losses{kind: "integration", name: c.Integrations[i].Name}
		in := clean(c.Integrations[i], &l)
		w.block(resourceIntegration, in.Name, integration(in, &l), &l)
	}
	for i := range set.Bundles {
		b := &set.Bundles[i]
		l := losses{kind: "bundle", name: b.Name}
		if b.Description != "" {
			l.add("description", "bundles have none")
		}
		w.block(resourceBundle, b.Name, object{{"name", b.Name}, {"access_targets", w.targets(b.Targets)}}, &l)
	}
	for i := range set.Flows {
		f := &set.Flows[i]
		l := losses{kind: "flow", name: f.Name}
		w.block(resourceFlow, f.Name, w.flow(f, &l), &l)
	}
	return hclwrite.Format(w.file.Bytes()), w.lost, nil
}

type writer struct {
	file   *hclwrite.File
	labels map[string]string // resource type + name → label
	taken  map[string]bool
	lost   []Loss
}

func (w *writer) head(connector bool) {
	body := w.file.Body()
	remark(body, "Integrations, bundles and access flows of Gatehouse, in the schema of the apono provider.")
	remark(body, "What the provider has no words for stands beside it as a comment.")
	body.AppendNewline()
	t := body.AppendNewBlock("terraform", nil).Body().AppendNewBlock("required_providers", nil).Body()
	t.SetAttributeRaw("apono", tokens(object{{"source", "apono-io/apono"}}))
	if connector {
		body.AppendNewline()
		v := body.AppendNewBlock("variable", []string{"connector_id"}).Body()
		v.SetAttributeValue("description", cty.StringVal("ID of the Apono connector that serves the integrations."))
		v.SetAttributeRaw("type", hclwrite.TokensForIdentifier("string"))
	}
}

// label makes a name that Terraform takes, once for each resource.
func (w *writer) label(typ, name string) string {
	if l := w.labels[typ+"."+name]; l != "" {
		return l
	}
	label := strings.Trim(strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return unicode.ToLower(r)
		}
		return '_'
	}, name), "_")
	if label == "" || label[0] >= '0' && label[0] <= '9' {
		label = strings.TrimPrefix(typ, "apono_") + "_" + label
		label = strings.Trim(label, "_")
	}
	unique := label
	for n := 2; w.taken[typ+"."+unique]; n++ {
		unique = label + "_" + strconv.Itoa(n)
	}
	w.taken[typ+"."+unique] = true
	w.labels[typ+"."+name] = unique
	return unique
}

// named refers to a resource of this text, so that Terraform makes it first; what is
// not here is named.
func (w *writer) named(typ, name string) any {
	if l := w.labels[typ+"."+name]; l != "" {
		return hcl.Traversal{hcl.TraverseRoot{Name: typ}, hcl.TraverseAttr{Name: l}, hcl.TraverseAttr{Name: "name"}}
	}
	return name
}

// block writes a resource under its losses; without attributes only those.
func (w *writer) block(typ, name string, attrs object, l *losses) {
	body := w.file.Body()
	body.AppendNewline()
	for _, one := range sorted(l.list) {
		remark(body, "Not in the provider: "+one.String())
		w.lost = append(w.lost, one)
	}
	if attrs == nil {
		return
	}
	b := body.AppendNewBlock("resource", []string{typ, w.label(typ, name)}).Body()
	for _, a := range attrs {
		b.SetAttributeRaw(a.name, tokens(a.value))
	}
}

func sorted(list []Loss) []Loss {
	slices.SortStableFunc(list, func(a, b Loss) int { return cmp.Compare(a.Path, b.Path) })
	return list
}

// remark writes a comment. Whatever is in the text stays inside it.
func remark(body *hclwrite.Body, text string) {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, text)
	body.AppendUnstructuredTokens(hclwrite.Tokens{{Type: hclsyntax.TokenComment, Bytes: []byte("# " + text + "\n")}})
}

func tokens(v any) hclwrite.Tokens {
	switch v := v.(type) {
	case string:
		return hclwrite.TokensForValue(cty.StringVal(v))
	case int:
		return hclwrite.TokensForValue(cty.NumberIntVal(int64(v)))
	case bool:
		return hclwrite.TokensForValue(cty.BoolVal(v))
	case hcl.Traversal:
		return hclwrite.TokensForTraversal(v)
	case []string:
		list := make([]hclwrite.Tokens, len(v))
		for i := range v {
			list[i] = tokens(v[i])
		}
		return hclwrite.TokensForTuple(list)
	case []object:
		// One object a line reads better than TokensForTuple's single line.
		out := hclwrite.Tokens{{Type: hclsyntax.TokenOBrack, Bytes: []byte("[")}, newline()}
		for i := range v {
			out = append(append(out, tokens(v[i])...), &hclwrite.Token{Type: hclsyntax.TokenComma, Bytes: []byte(",")}, newline())
		}
		return append(out, &hclwrite.Token{Type: hclsyntax.TokenCBrack, Bytes: []byte("]")})
	case object:
		attrs := make([]hclwrite.ObjectAttrTokens, len(v))
		for i, f := range v {
			name := hclwrite.TokensForIdentifier(f.name)
			if !hclsyntax.ValidIdentifier(f.name) {
				name = tokens(f.name)
			}
			attrs[i] = hclwrite.ObjectAttrTokens{Name: name, Value: tokens(f.value)}
		}
		return hclwrite.TokensForObject(attrs)
	}
	panic(fmt.Sprintf("no tokens for %T", v)) // the values are ours: only a defect gets here
}

func newline() *hclwrite.Token {
	return &hclwrite.Token{Type: hclsyntax.TokenNewline, Bytes: []byte("\n")}
}

func integration(in access.Integration, l *losses) object {
	config := object{}
	for _, k := range slices.Sorted(maps.Keys(in.Config)) {
		if k == keyRotation || k == keyCleanup {
			l.add("config."+k, "the integration's own setting of this name is written instead")
			continue
		}
		config = append(config, field{k, in.Config[k]})
	}
	for _, d := range []field{{keyRotation, in.RotationDays}, {keyCleanup, in.CleanupDays}} {
		if n, _ := d.value.(int); n != 0 {
			config = append(config, field{d.name, strconv.Itoa(n)})
		}
	}
	if len(in.ResourceTypes) == 0 {
		l.add("resource_types", "none named means all here; the provider wants them named")
	}
	out := object{
		{"name", in.Name},
		{"type", in.Type},
		{"connector_id", hcl.Traversal{hcl.TraverseRoot{Name: "var"}, hcl.TraverseAttr{Name: "connector_id"}}},
		{"connected_resource_types", in.ResourceTypes},
		{"integration_config", config},
	}
	if in.AccessDetails != "" {
		out = append(out, field{"custom_access_details", in.AccessDetails})
	}
	if s := in.Secret; s != nil {
		switch {
		case s.Kubernetes != nil:
			out = append(out, field{"secret_store_config", object{{"kubernetes", object{{"namespace", s.Kubernetes.Namespace}, {"name", s.Kubernetes.Name}}}}})
		case s.AWS != nil:
			out = append(out, field{"secret_store_config", object{{"aws", object{{"region", s.AWS.Region}, {"secret_id", s.AWS.SecretID}}}}})
		default:
			l.add("secret_store.environment", "the provider has no such store")
		}
	}
	if len(in.Owner) > 0 {
		kind := in.Owner[0].Kind
		var values []string
		for _, o := range in.Owner {
			if o.Kind != kind {
				l.add("owner", "the provider has owners of one kind: %s %q is not written", o.Kind, o.Value)
				continue
			}
			values = append(values, o.Value)
		}
		out = append(out, field{"owner", object{{"attribute_type", kind}, {"attribute_values", values}}})
	}
	if in.OwnerTag != "" {
		out = append(out, field{"owners_mapping", object{{"key_name", in.OwnerTag}, {"attribute_type", in.OwnerKind}}})
	} else if in.OwnerKind != "" {
		l.add("owner_kind", "it says nothing without owner_tag")
	}
	if in.DeleteOrphans {
		l.add("delete_orphans", "there is no such setting")
	}
	return out
}

// flow returns nil for a flow that has to be left out.
func (w *writer) flow(f *flow.Flow, l *losses) object {
	switch always := f.AutoApprove != nil && f.AutoApprove.Always; {
	case f.Approval == nil && f.AutoApprove != nil && !always:
		l.add("", "it grants by conditions alone; without approvers the provider would grant to every requestor")
		return nil
	case f.Approval == nil && !always:
		l.add("", "only breaking the glass gives anything; without approvers the provider would grant to every requestor")
		return nil
	case f.Duration.Max < time.Minute:
		l.add("", "it lends for less than a minute, the shortest time of the provider")
		return nil
	}
	out := object{{"name", f.Name}, {"active", f.Active}}
	if f.Description != "" {
		out = append(out, field{"description", f.Description})
	}
	out = append(out, field{"trigger", "SELF_SERVE"}, field{"grant_duration_in_min", minutes(f.Duration.Max, "duration.max", l)},
		field{"requestors", group(&f.Requestors, "conditions")})
	if r := f.RequestFor; len(r.Scopes) != 1 || r.Scopes[0] != flow.ForSelf {
		o := object{{"request_scopes", r.Scopes}}
		if r.Grantees != nil {
			o = append(o, field{"grantees", group(r.Grantees, "conditions")})
		}
		out = append(out, field{"request_for", o})
	}
	out = append(out, field{"access_targets", w.targets(f.Targets)})
	if f.Approval != nil {
		out = append(out, approval(f.Approval, l)...)
	}
	if t := f.Timeframe; t != nil {
		out = append(out, field{"timeframe", timeframe(t, l)})
	}
	unsaid(f, l)
	settings := object{
		{"justification_required", f.Justification.Required},
		{"requester_cannot_approve_self", !f.SelfApproval},
		{"require_approver_reason", f.ApproverReason},
	}
	if e := f.Extensions; e.Max > 0 {
		if e.Duration < time.Minute {
			l.add("extensions", "they are shorter than a minute, the shortest time of the provider")
		} else {
			settings = append(settings, field{"max_extensions", e.Max}, field{"extension_duration_in_min", minutes(e.Duration, "extensions.duration", l)})
		}
	}
	if len(f.Labels) > 0 {
		settings = append(settings, field{"labels", f.Labels})
	}
	return append(out, field{"settings", settings})
}

// unsaid lists what the provider has no attribute for.
func unsaid(f *flow.Flow, l *losses) {
	if f.Priority != 0 {
		l.add("priority", "flows have no order (%d)", f.Priority)
	}
	if f.Duration.Default != 0 {
		l.add("duration.default", "there is only a maximum (default %s)", flow.FormatDuration(f.Duration.Default))
	}
	if p := f.Justification.Pattern; p != "" {
		l.add("justification.pattern", "the text is not looked at (%q)", p)
	}
	if a := f.AutoApprove; a != nil && !a.Always {
		l.add("auto_approve", "there are no conditions for granting at once: every request waits for approval")
	}
	if b := f.BreakGlass; b != nil {
		l.add("break_glass", "no glass can be broken (by %s, for at most %s)", b.Who.String(), flow.FormatDuration(b.MaxDuration))
	}
	if f.LapseAfter != flow.DefaultLapseAfter {
		l.add("lapse_after", "it cannot be set (%s)", flow.FormatDuration(f.LapseAfter))
	}
}

// minutes rounds down: a text never lends for longer than what it is made from.
func minutes(d time.Duration, path string, l *losses) int {
	if d%time.Minute != 0 {
		l.add(path, "times are whole minutes (%s)", flow.FormatDuration(d))
	}
	return int(d / time.Minute)
}

func group(g *flow.ApproverGroup, name string) object {
	conditions := make([]object, len(g.Conditions))
	for i := range g.Conditions {
		c := &g.Conditions[i]
		o := object{{"type", c.Type}}
		switch c.Type {
		case flow.TypeAttribute:
			o[0].value = c.Name
		case flow.TypeOwner:
			o[0].value = "Owner"
		}
		if c.Match != "" {
			o = append(o, field{"match_operator", c.Match})
		}
		if len(c.Values) > 0 {
			o = append(o, field{"values", c.Values})
		}
		conditions[i] = o
	}
	return object{{"logical_operator", strings.ToUpper(g.Operator)}, {name, conditions}}
}

func groups(list []flow.ApproverGroup) []object {
	out := make([]object, len(list))
	for i := range list {
		out[i] = group(&list[i], "approvers")
	}
	return out
}

func approval(a *flow.Approval, l *losses) object {
	out := make(object, 0, 2)
	out = append(out, field{"approver_policy", object{{"approval_mode", strings.ToUpper(string(a.Mode))}, {"approver_groups", groups(a.Groups)}}})
	if len(a.Escalation) == 0 {
		return out
	}
	every := a.Escalation[0].After
	steps := make([]flow.ApproverGroup, 0, len(a.Escalation))
	for i, s := range a.Escalation {
		if len(s.Groups) != 1 || every%time.Minute != 0 || s.After != every*time.Duration(i+1) {
			l.add("escalation", "the provider has one group a step, at equal intervals of whole minutes")
			return out
		}
		steps = append(steps, s.Groups[0])
	}
	return append(out, field{"escalation_policy", object{{"interval_in_min", int(every / time.Minute)}, {"approver_groups", groups(steps)}}})
}

func timeframe(t *flow.Timeframe, l *losses) object {
	days := t.Days
	if len(days) == 0 {
		days = []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday, time.Saturday, time.Sunday}
	}
	names := make([]string, len(days))
	for i, d := range days {
		names[i] = strings.ToUpper(d.String())
	}
	end := t.End
	if end == 24*60 || t.Start == 0 && end == 0 {
		end = 24*60 - 1
		l.add("timeframe", "times go up to 23:59: the last minute of the day is outside")
	}
	return object{{"days_of_week", names}, {"start_time", flow.FormatClock(t.Start)}, {"end_time", flow.FormatClock(end)}, {"time_zone", t.TimeZone}}
}

var filterTypes = map[string]string{flow.FilterName: "NAME", flow.FilterID: "APONO_ID", flow.FilterTag: "TAG"}

func (w *writer) targets(list []flow.Target) []object {
	out := make([]object, len(list))
	for i := range list {
		t := &list[i]
		if t.Bundle != "" {
			out[i] = object{{"bundle", object{{"name", w.named(resourceBundle, t.Bundle)}}}}
			continue
		}
		o := object{
			{"integration_name", w.named(resourceIntegration, t.Integration)},
			{"resource_type", t.ResourceType},
			{"permissions", t.Permissions},
		}
		var scopes []object
		for _, m := range []struct {
			mode    string
			filters []flow.Filter
		}{{"include_resources", t.Include}, {"exclude_resources", t.Exclude}} {
			for _, f := range m.filters {
				s := object{{"scope_mode", m.mode}, {"type", filterTypes[f.Type]}}
				if f.Key != "" {
					s = append(s, field{"key", f.Key})
				}
				scopes = append(scopes, append(s, field{"values", f.Values}))
			}
		}
		if len(scopes) > 0 {
			o = append(o, field{"resources_scopes", scopes})
		}
		out[i] = object{{"integration", o}}
	}
	return out
}
