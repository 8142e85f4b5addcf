package awssim

import (
	"maps"
	"slices"
	"strconv"
	"unicode"

	"github.com/gatehouse-project/gatehouse/iam"
)

// iamWrites are the operations of IAM that change roles.
var iamWrites = map[string]iamOperation{
	"CreateRole":       {iamRole, createRole},
	"DeleteRole":       {iamRole, deleteRole},
	"AttachRolePolicy": {iamRole, attachRolePolicy},
	"DetachRolePolicy": {iamRole, detachRolePolicy},
	"PutRolePolicy":    {iamRole, putRolePolicy},
	"DeleteRolePolicy": {iamRole, deleteRolePolicy},
}

func createRole(x *exchange) (any, error) {
	f := x.form
	name := f.Get("RoleName")
	if x.account.role(name) != nil {
		return nil, &Error{Status: 409, Code: "EntityAlreadyExists", Message: "Role with name " + name + " already exists."}
	}
	trust := f.Get("AssumeRolePolicyDocument")
	if _, err := iam.ParseAndCompile(iam.KindTrust, []byte(trust)); err != nil {
		return nil, &Error{Code: "MalformedPolicyDocument", Message: err.Error()}
	}
	tags := map[string]string{}
	for i := 1; ; i++ {
		at := "Tags.member." + strconv.Itoa(i)
		if !f.Has(at + ".Key") {
			break
		}
		tags[f.Get(at+".Key")] = f.Get(at + ".Value")
	}
	x.account.AddRole(Role{Name: name, Path: f.Get("Path"), TrustPolicy: trust, Tags: tags})
	return getRole(x)
}

func deleteRole(x *exchange) (any, error) {
	r, err := x.theRole()
	if err != nil {
		return nil, err
	}
	if len(r.ManagedPolicies) > 0 {
		return nil, &Error{Status: 409, Code: "DeleteConflict", Message: "Cannot delete entity, must detach all policies first."}
	}
	if len(r.policies.inline) > 0 {
		return nil, &Error{Status: 409, Code: "DeleteConflict", Message: "Cannot delete entity, must delete policies first."}
	}
	x.account.RemoveRole(r.Name)
	return nothing{}, nil
}

// nothing is the answer of an operation that tells nothing.
type nothing struct{}

// changeRole replaces a role by a changed copy.
func (x *exchange) changeRole(change func(*Role) error) (any, error) {
	r, err := x.theRole()
	if err != nil {
		return nil, err
	}
	next := *r
	next.ManagedPolicies, next.Inline = slices.Clone(r.ManagedPolicies), maps.Clone(r.Inline)
	if err := change(&next); err != nil {
		return nil, err
	}
	next.policies = compileRole(x.sim.partition, &next)
	x.account.mu.Lock()
	defer x.account.mu.Unlock()
	x.account.roles[next.Name] = &next
	return nothing{}, nil
}

func attachRolePolicy(x *exchange) (any, error) {
	arn := x.form.Get("PolicyArn")
	return x.changeRole(func(r *Role) error {
		if x.account.managedPolicy(arn) == nil {
			return noSuchEntity("Policy " + arn + " does not exist or is not attachable.")
		}
		if !slices.Contains(r.ManagedPolicies, arn) {
			r.ManagedPolicies = append(r.ManagedPolicies, arn)
		}
		return nil
	})
}

func detachRolePolicy(x *exchange) (any, error) {
	arn := x.form.Get("PolicyArn")
	return x.changeRole(func(r *Role) error {
		i := slices.Index(r.ManagedPolicies, arn)
		if i < 0 {
			return noSuchEntity("Policy " + arn + " was not found.")
		}
		r.ManagedPolicies = slices.Delete(r.ManagedPolicies, i, i+1)
		return nil
	})
}

func putRolePolicy(x *exchange) (any, error) {
	text := x.form.Get("PolicyDocument")
	return x.changeRole(func(r *Role) error {
		if _, err := iam.ParseAndCompile(iam.KindIdentity, []byte(text)); err != nil {
			return &Error{Code: "MalformedPolicyDocument", Message: err.Error()}
		}
		if r.Inline == nil {
			r.Inline = map[string]string{}
		}
		r.Inline[x.form.Get("PolicyName")] = text
		return checkInlineSize(r)
	})
}

// maxRoleInline is how many characters the inline policies of a role may have together,
// white space not counted.
const maxRoleInline = 10_240

func checkInlineSize(r *Role) error {
	size := 0
	for _, p := range compileRole("aws", r).inline {
		for _, c := range p.text {
			if !unicode.IsSpace(c) {
				size++
			}
		}
	}
	if size > maxRoleInline {
		return &Error{Status: 409, Code: "LimitExceeded", Message: "Maximum policy size of 10240 bytes exceeded for role " + r.Name}
	}
	return nil
}

func deleteRolePolicy(x *exchange) (any, error) {
	name := x.form.Get("PolicyName")
	return x.changeRole(func(r *Role) error {
		if _, ok := r.Inline[name]; !ok {
			return noSuchEntity("The role policy with name " + name + " cannot be found.")
		}
		delete(r.Inline, name)
		return nil
	})
}

// Role returns a role as it is now; ok is false where there is none.
func (a *Account) Role(name string) (r Role, ok bool) {
	if have := a.role(name); have != nil {
		return *have, true
	}
	return Role{}, false
}
