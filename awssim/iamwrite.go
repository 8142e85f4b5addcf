package awssim

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"
	"unicode"

	"github.com/gatehouse-project/gatehouse/iam"
)

// iamWrites are the operations of IAM that change roles, with those that only tell
// what a change needs to know.
var iamWrites = map[string]iamOperation{
	"CreateRole":                    {iamRole, createRole},
	"UpdateRole":                    {iamRole, updateRole},
	"UpdateAssumeRolePolicy":        {iamRole, updateAssumeRolePolicy},
	"DeleteRole":                    {iamRole, deleteRole},
	"AttachRolePolicy":              {iamRole, attachRolePolicy},
	"DetachRolePolicy":              {iamRole, detachRolePolicy},
	"PutRolePolicy":                 {iamRole, putRolePolicy},
	"DeleteRolePolicy":              {iamRole, deleteRolePolicy},
	"PutRolePermissionsBoundary":    {iamRole, putRoleBoundary},
	"DeleteRolePermissionsBoundary": {iamRole, deleteRoleBoundary},
	"TagRole":                       {iamRole, tagRole},
	"UntagRole":                     {iamRole, untagRole},
	"ListRoleTags":                  {iamRole, listRoleTags},
	"ListInstanceProfilesForRole":   {iamRole, listInstanceProfilesForRole},
}

func createRole(x *exchange) (any, error) {
	f := x.form
	name := f.Get("RoleName")
	if x.account.role(name) != nil {
		return nil, &Error{Status: 409, Code: "EntityAlreadyExists", Message: "Role with name " + name + " already exists."}
	}
	trust, err := trustDocument("AssumeRolePolicyDocument", f)
	if err != nil {
		return nil, err
	}
	r := Role{Name: name, Path: f.Get("Path"), Description: f.Get("Description"), TrustPolicy: trust, Tags: formTags(f)}
	if r.MaxSession, err = sessionLimit(f); err != nil {
		return nil, err
	}
	if r.PermissionsBoundary = f.Get("PermissionsBoundary"); r.PermissionsBoundary != "" && x.account.managedPolicy(r.PermissionsBoundary) == nil {
		return nil, noSuchEntity("Scope ARN: " + r.PermissionsBoundary + " does not exist or is not attachable.")
	}
	x.account.AddRole(r)
	return getRole(x)
}

// trustDocument reads a trust policy. The text of a parser's error is not AWS's.
func trustDocument(parameter string, f url.Values) (string, error) {
	text := f.Get(parameter)
	if _, err := iam.ParseAndCompile(iam.KindTrust, []byte(text)); err != nil {
		return "", &Error{Code: "MalformedPolicyDocument", Message: err.Error()}
	}
	return text, nil
}

// formTags reads Tags.member.N.
func formTags(f url.Values) map[string]string {
	tags := map[string]string{}
	for i := 1; ; i++ {
		at := "Tags.member." + strconv.Itoa(i)
		if !f.Has(at + ".Key") {
			return tags
		}
		tags[f.Get(at+".Key")] = f.Get(at + ".Value")
	}
}

// formTagKeys reads TagKeys.member.N.
func formTagKeys(f url.Values) (keys []string) {
	for i := 1; ; i++ {
		at := "TagKeys.member." + strconv.Itoa(i)
		if !f.Has(at) {
			return keys
		}
		keys = append(keys, f.Get(at))
	}
}

// sessionLimit reads the longest session of a role; 0: not given.
func sessionLimit(f url.Values) (time.Duration, error) {
	text := f.Get("MaxSessionDuration")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 3600 || n > 43200 {
		return 0, validation("1 validation error detected: Value '%s' at 'maxSessionDuration' failed to satisfy constraint: Member must have value greater than or equal to 3600", text)
	}
	return time.Duration(n) * time.Second, nil
}

func updateRole(x *exchange) (any, error) {
	limit, err := sessionLimit(x.form)
	if err != nil {
		return nil, err
	}
	return x.changeRole(func(r *Role) error {
		if x.form.Has("Description") {
			r.Description = x.form.Get("Description")
		}
		if limit > 0 {
			r.MaxSession = limit
		}
		return nil
	})
}

func updateAssumeRolePolicy(x *exchange) (any, error) {
	trust, err := trustDocument("PolicyDocument", x.form)
	if err != nil {
		return nil, err
	}
	return x.changeRole(func(r *Role) error {
		r.TrustPolicy, r.TrustedAccounts, r.TrustedPrincipals, r.ExternalID = trust, nil, nil, ""
		return nil
	})
}

func putRoleBoundary(x *exchange) (any, error) {
	arn := x.form.Get("PermissionsBoundary")
	return x.changeRole(func(r *Role) error {
		if x.account.managedPolicy(arn) == nil {
			return noSuchEntity("Scope ARN: " + arn + " does not exist or is not attachable.")
		}
		r.PermissionsBoundary, r.boundary = arn, arn
		return nil
	})
}

func deleteRoleBoundary(x *exchange) (any, error) {
	return x.changeRole(func(r *Role) error {
		if r.boundary == "" {
			return noSuchEntity("Role " + r.Name + " does not have permission boundary.")
		}
		r.PermissionsBoundary, r.boundary = "", ""
		return nil
	})
}

func tagRole(x *exchange) (any, error) {
	return x.changeRole(func(r *Role) error {
		r.Tags = orEmpty(maps.Clone(r.Tags))
		maps.Copy(r.Tags, formTags(x.form))
		return nil
	})
}

func untagRole(x *exchange) (any, error) {
	return x.changeRole(func(r *Role) error {
		r.Tags = maps.Clone(r.Tags)
		for _, key := range formTagKeys(x.form) {
			delete(r.Tags, key)
		}
		return nil
	})
}

func listRoleTags(x *exchange) (any, error) {
	r, err := x.theRole()
	if err != nil {
		return nil, err
	}
	return x.tagPage(r.Tags)
}

// tagPage answers a page of tags.
func (x *exchange) tagPage(tags map[string]string) (any, error) {
	part, more, err := iamPage(x, tagsOf(tags))
	return struct {
		Tags []iamTag `xml:"Tags>member"`
		truncation
	}{part, more}, err
}

// listInstanceProfilesForRole answers none: there are no instances here.
func listInstanceProfilesForRole(x *exchange) (any, error) {
	_, err := x.theRole()
	return struct {
		InstanceProfiles struct{}
		truncation
	}{}, err
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
