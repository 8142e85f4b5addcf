package awssim

import (
	"maps"
	"slices"

	"github.com/gatehouse-project/gatehouse/iam"
)

// iamPolicyWrites are the operations of IAM that change managed policies, with those
// that only tell what a change needs to know.
var iamPolicyWrites = map[string]iamOperation{
	"CreatePolicy":            {iamNewPolicy, createPolicy},
	"DeletePolicy":            {iamPolicy, deletePolicy},
	"CreatePolicyVersion":     {iamPolicy, createPolicyVersion},
	"DeletePolicyVersion":     {iamPolicy, deletePolicyVersion},
	"SetDefaultPolicyVersion": {iamPolicy, setDefaultPolicyVersion},
	"ListPolicyVersions":      {iamPolicy, listPolicyVersions},
	"TagPolicy":               {iamPolicy, tagPolicy},
	"UntagPolicy":             {iamPolicy, untagPolicy},
	"ListPolicyTags":          {iamPolicy, listPolicyTags},
}

// maxPolicyVersions is how many versions a managed policy may have.
const maxPolicyVersions = 5

func compileManaged(arn, text string) (iam.Attached, error) {
	// A managed policy may be a boundary or a session policy too; the grammar is that
	// of an identity policy in all three.
	p, err := iam.ParseAndCompile(iam.KindIdentity, []byte(text))
	if err != nil {
		return iam.Attached{}, &Error{Code: "MalformedPolicyDocument", Message: err.Error()}
	}
	return iam.Attached{Name: arn, Policy: p}, nil
}

func createPolicy(x *exchange) (any, error) {
	f, a := x.form, x.account
	now := x.sim.clock()
	p := managedPolicy{
		arn: x.call.Resource, path: cleanPath(f.Get("Path")), name: f.Get("PolicyName"), id: "ANPA" + x.sim.randomID(upperAlnum, 17),
		description: f.Get("Description"), tags: formTags(f), created: now,
	}
	text := f.Get("PolicyDocument")
	attached, err := compileManaged(p.arn, text)
	if err != nil {
		return nil, err
	}
	p.version, p.attached = p.add(text, now), attached
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.managed[p.arn] != nil {
		return nil, &Error{Status: 409, Code: "EntityAlreadyExists", Message: "A policy called " + p.name + " already exists. Duplicate names are not allowed."}
	}
	a.managed[p.arn] = &p
	answer := p.answer()
	answer.Tags = tagsOf(p.tags)
	return struct{ Policy policyAnswer }{answer}, nil
}

// attachedTo counts the roles, users and groups that a managed policy is attached to.
// Being a boundary does not count.
func (a *Account) attachedTo(arn string) (n int) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, r := range a.roles {
		if slices.Contains(r.ManagedPolicies, arn) {
			n++
		}
	}
	for _, u := range a.users {
		if slices.Contains(u.ManagedPolicies, arn) {
			n++
		}
	}
	for _, g := range a.groups {
		if slices.Contains(g.ManagedPolicies, arn) {
			n++
		}
	}
	return n
}

func (a *Account) isBoundary(arn string) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, r := range a.roles {
		if r.boundary == arn {
			return true
		}
	}
	for _, u := range a.users {
		if u.boundary == arn {
			return true
		}
	}
	return false
}

func noSuchPolicy(arn string) *Error { return noSuchEntity("Policy " + arn + " was not found.") }

func deleteConflict(text string) *Error {
	return &Error{Status: 409, Code: "DeleteConflict", Message: text}
}

func deletePolicy(x *exchange) (any, error) {
	arn, a := x.form.Get("PolicyArn"), x.account
	attached := a.attachedTo(arn) > 0 || a.isBoundary(arn)
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.managed[arn]
	switch {
	case p == nil:
		return nil, noSuchPolicy(arn)
	case attached:
		return nil, deleteConflict("Cannot delete a policy attached to entities.")
	case len(p.versions) > 1:
		return nil, deleteConflict("This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
	}
	delete(a.managed, arn)
	return nothing{}, nil
}

// changePolicy replaces a managed policy of the account by a changed copy.
func (x *exchange) changePolicy(change func(p *managedPolicy) error) (*managedPolicy, error) {
	arn, a := x.form.Get("PolicyArn"), x.account
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.managed[arn]
	if old == nil {
		return nil, noSuchPolicy(arn)
	}
	next := *old
	next.versions, next.tags = slices.Clone(old.versions), maps.Clone(old.tags)
	if err := change(&next); err != nil {
		return nil, err
	}
	a.managed[arn] = &next
	return &next, nil
}

func (p *managedPolicy) find(version string) (int, error) {
	i := slices.IndexFunc(p.versions, func(v policyVersion) bool { return v.id == version })
	if i < 0 {
		return 0, noSuchEntity("Policy " + p.arn + " version " + version + " does not exist or is not attachable.")
	}
	return i, nil
}

func (p *managedPolicy) makeDefault(version string) error {
	i, err := p.find(version)
	if err != nil {
		return err
	}
	if p.attached, err = compileManaged(p.arn, p.versions[i].document); err != nil {
		return err
	}
	p.version = version
	return nil
}

func createPolicyVersion(x *exchange) (any, error) {
	text := x.form.Get("PolicyDocument")
	if _, err := compileManaged(x.form.Get("PolicyArn"), text); err != nil {
		return nil, err
	}
	p, err := x.changePolicy(func(p *managedPolicy) error {
		if len(p.versions) == maxPolicyVersions {
			return &Error{Status: 409, Code: "LimitExceeded", Message: "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version."}
		}
		id := p.add(text, x.sim.clock())
		if x.form.Get("SetAsDefault") == "true" {
			return p.makeDefault(id)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	answer := p.versionAnswer(len(p.versions) - 1)
	answer.Document = ""
	return struct{ PolicyVersion versionAnswer }{answer}, nil
}

func deletePolicyVersion(x *exchange) (any, error) {
	version := x.form.Get("VersionId")
	_, err := x.changePolicy(func(p *managedPolicy) error {
		i, err := p.find(version)
		if err != nil {
			return err
		}
		if version == p.version {
			return deleteConflict("Cannot delete the default version of a policy.")
		}
		p.versions = slices.Delete(p.versions, i, i+1)
		return nil
	})
	return nothing{}, err
}

func setDefaultPolicyVersion(x *exchange) (any, error) {
	_, err := x.changePolicy(func(p *managedPolicy) error { return p.makeDefault(x.form.Get("VersionId")) })
	return nothing{}, err
}

func listPolicyVersions(x *exchange) (any, error) {
	arn := x.form.Get("PolicyArn")
	p := x.account.managedPolicy(arn)
	if p == nil {
		return nil, noSuchPolicy(arn)
	}
	all := make([]versionAnswer, 0, len(p.versions))
	for i := range slices.Backward(p.versions) {
		v := p.versionAnswer(i)
		v.Document = ""
		all = append(all, v)
	}
	part, more, err := iamPage(x, all)
	return struct {
		Versions []versionAnswer `xml:"Versions>member"`
		truncation
	}{part, more}, err
}

func tagPolicy(x *exchange) (any, error) {
	_, err := x.changePolicy(func(p *managedPolicy) error {
		p.tags = orEmpty(p.tags)
		maps.Copy(p.tags, formTags(x.form))
		return nil
	})
	return nothing{}, err
}

func untagPolicy(x *exchange) (any, error) {
	_, err := x.changePolicy(func(p *managedPolicy) error {
		for _, key := range formTagKeys(x.form) {
			delete(p.tags, key)
		}
		return nil
	})
	return nothing{}, err
}

func listPolicyTags(x *exchange) (any, error) {
	arn := x.form.Get("PolicyArn")
	p := x.account.managedPolicy(arn)
	if p == nil {
		return nil, noSuchPolicy(arn)
	}
	return x.tagPage(p.tags)
}
