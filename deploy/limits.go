package deploy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
)

// What AWS takes at most. IAM counts characters that are no white space, of which the
// policies that are written have none.
const (
	maxRolePolicy    = 10_240 // the inline policies of a role together
	maxManagedPolicy = 6_144
	maxPolicyName    = 128
	maxRoleName      = 64
	// maxAttached are the managed policies of a role. The quota can be raised to 20;
	// what is written here needs no quota to be raised.
	maxAttached = 10
	// usualTrust is what a trust policy may have unless its quota was raised.
	usualTrust        = 2_048
	maxTrust          = 4_096
	maxResourcePolicy = 8_192 // bytes, of the resource policy of a REST API
	maxTemplateBody   = 51_200
	maxTemplate       = 1_000_000 // bytes, of a template that comes from S3
	maxResources      = 500       // of a template
)

// size is the length of a policy as IAM counts it.
func (d document) size() int { return len(d.JSON()) }

// fit sees to it that AWS takes what was built: inline policies that are too long for
// their role become managed policies, several if need be. What cannot be made to fit
// is an error that says which parameter to shorten.
func (m *model) fit(in *input) error {
	for _, role := range slices.Clone(m.resources) {
		if role.tf != "aws_iam_role" {
			continue
		}
		if err := m.fitTrust(in, role); err != nil {
			return err
		}
		if err := m.fitPolicies(in, role); err != nil {
			return err
		}
	}
	for _, r := range m.resources {
		if d, ok := r.document(); ok && r.tf == "aws_iam_policy" && d.size() > maxManagedPolicy {
			return in.tooLong("the policy "+r.name()+" has %d characters, and IAM takes %d for a managed policy", d.size(), maxManagedPolicy)
		}
	}
	return nil
}

func (m *model) fitTrust(in *input, role *resource) error {
	for _, a := range role.attrs {
		d, ok := a.value.(document)
		if !ok {
			continue
		}
		switch n := d.size(); {
		case n > maxTrust:
			return in.tooLong("the trust policy of the role "+role.name()+" has %d characters, and IAM takes %d at most", n, maxTrust)
		case n > usualTrust:
			m.cautions = append(m.cautions, fmt.Sprintf("The trust policy of the role %s has %d characters. IAM takes %d until the account's quota \"Role trust policy length\" is raised, to %d at most.",
				role.name(), n, usualTrust, maxTrust))
		}
	}
	return nil
}

// fitPolicies turns inline policies of a role into managed ones, the longest first,
// until the rest fits.
func (m *model) fitPolicies(in *input, role *resource) error {
	attached := 0
	for {
		total, longest, most := 0, (*resource)(nil), 0
		for _, r := range m.resources {
			if r.tf != "aws_iam_role_policy" || r.of != role {
				continue
			}
			d, _ := r.document()
			total += d.size()
			if d.size() > most {
				longest, most = r, d.size()
			}
		}
		if total <= maxRolePolicy {
			return nil
		}
		n, err := m.manage(in, role, longest)
		if err != nil {
			return err
		}
		if attached += n; attached > maxAttached {
			return in.tooLong("the policies of the role "+role.name()+" have %d characters, which is more than the %d managed policies that IAM lets a role have", total, maxAttached)
		}
	}
}

// manage puts managed policies in the place of an inline one and returns how many.
func (m *model) manage(in *input, role, inline *resource) (int, error) {
	d, _ := inline.document()
	parts, err := d.split(maxManagedPolicy)
	if err != nil {
		return 0, in.tooLong("one statement of the policy "+inline.name()+" is longer than the %d characters that IAM takes for a managed policy", maxManagedPolicy)
	}
	comment := strings.TrimSpace(inline.comment + " It is longer than IAM takes for the inline policies of a role, so it is managed.")
	var instead []*resource
	for i, part := range parts {
		label := inline.label
		if i > 0 {
			label = numbered(label, i)
		}
		p := &resource{label: label, comment: comment, tf: "aws_iam_policy", cfn: "AWS::IAM::ManagedPolicy", attrs: []attr{
			{tf: "name", cfn: "ManagedPolicyName", value: role.name() + "-" + inline.name() + "-" + strconv.Itoa(i+1)},
			{tf: "policy", cfn: "PolicyDocument", value: part},
			{cfn: "Roles", value: list{ref{role, "", ""}}},
		}}
		instead = append(instead, p, &resource{label: label, tf: "aws_iam_role_policy_attachment", attrs: []attr{
			{tf: "role", value: ref{role, "name", ""}}, {tf: "policy_arn", value: ref{p, "arn", ""}},
		}})
		comment = ""
	}
	m.replace(inline, instead)
	return len(parts), nil
}

// replace puts resources in the place of one, also where others wait for it.
func (m *model) replace(old *resource, instead []*resource) {
	put := func(all []*resource) []*resource {
		if i := slices.Index(all, old); i >= 0 {
			return slices.Replace(slices.Clone(all), i, i+1, instead...)
		}
		return all
	}
	m.resources = put(m.resources)
	for _, r := range m.resources {
		r.dependsOn = put(r.dependsOn)
	}
	m.policies = slices.DeleteFunc(m.policies, func(p Policy) bool { return p.Name == old.label+".policy" })
	for _, r := range instead {
		if d, ok := r.document(); ok {
			m.policies = append(m.policies, Policy{Name: r.label + ".policy", Document: d.Document})
		}
	}
}

// split makes documents of at most so many characters that together say the same:
// statements that allow may be apart, and a statement's resources too.
func (d document) split(most int) ([]document, error) {
	if d.size() <= most {
		return []document{d}, nil
	}
	var (
		texts [][]iam.Statement
		part  []iam.Statement
	)
	frame := len((&iam.Document{Version: d.Version, Statements: []iam.Statement{}}).JSON())
	used := frame
	flush := func() {
		if len(part) > 0 {
			texts = append(texts, part)
		}
		part, used = nil, frame
	}
	for _, s := range d.Statements {
		alone := s
		alone.Resource = s.Resource[:1]
		first, err := json.Marshal(s.Resource[0])
		if err != nil {
			return nil, fmt.Errorf("splitting a policy: %w", err)
		}
		// A list of one may be written without its brackets, and a comma comes before.
		around := len((&iam.Document{Version: d.Version, Statements: []iam.Statement{alone}}).JSON()) - frame - len(first) + len("[],")
		open := false
		for _, r := range s.Resource {
			text, err := json.Marshal(r)
			if err != nil {
				return nil, fmt.Errorf("splitting a policy: %w", err)
			}
			cost := len(text) + len(",")
			if !open {
				cost += around
			}
			if used+cost > most && len(part) > 0 {
				flush()
				open, cost = false, around+len(text)+len(",")
			}
			if used+cost > most {
				return nil, fmt.Errorf("splitting a policy: the statement %s is too long by itself", s.Sid)
			}
			if !open {
				open = true
				alone.Resource = nil
				part = append(part, alone)
			}
			last := &part[len(part)-1]
			last.Resource = append(slices.Clip(last.Resource), r)
			used += cost
		}
	}
	flush()
	parts := make([]document, len(texts))
	for i, statements := range texts {
		parsed, err := iam.Parse(d.Kind, (&iam.Document{Kind: d.Kind, Version: d.Version, Statements: statements}).Pretty())
		if err != nil {
			return nil, err
		}
		parts[i] = document{Document: parsed, remarks: d.remarks}
	}
	return parts, nil
}

// tooLong is the error of what AWS does not take. It points at the list with the
// most text, which is what makes policies long.
func (in *input) tooLong(format string, args ...any) error {
	longest, most := "", 0
	for _, name := range sortedKeys(in.values) {
		n := 0
		for _, v := range in.values[name] {
			n += len(v)
		}
		if len(in.values[name]) > 1 && n > most {
			longest, most = name, n
		}
	}
	if longest == "" {
		return in.fail("", "use shorter names", format, args...)
	}
	return in.fail(longest, fmt.Sprintf("it has %d values: write a folder for some of them each, with other names for what the stack makes", len(in.values[longest])), format, args...)
}

// checkTemplate refuses what CloudFormation does not take.
func (m *model) checkTemplate(in *input, template []byte) error {
	made := 0
	for _, r := range m.resources {
		if r.cfn != "" {
			made++
		}
	}
	switch {
	case made > maxResources:
		return in.tooLong("the template has %d resources, and CloudFormation takes %d", made, maxResources)
	case len(template) > maxTemplate:
		return in.tooLong("the template has %d bytes, and CloudFormation takes %d", len(template), maxTemplate)
	case len(template) > maxTemplateBody:
		m.cautions = append(m.cautions, fmt.Sprintf("The template has %d bytes. CloudFormation takes %d by itself and more from a bucket only, so the command names one.", len(template), maxTemplateBody))
	}
	return nil
}

// document is the policy that a resource has.
func (r *resource) document() (document, bool) {
	for _, a := range r.attrs {
		if d, ok := a.value.(document); ok {
			return d, true
		}
	}
	return document{}, false
}

// name is what a resource is called in AWS.
func (r *resource) name() string {
	for _, a := range r.attrs {
		if text, ok := a.value.(string); ok && a.tf == "name" {
			return text
		}
	}
	return ""
}
