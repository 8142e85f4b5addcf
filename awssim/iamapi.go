package awssim

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// iamOperation is one read of IAM: which kind of thing the input names, for the
// decision, and what it answers.
type iamOperation struct {
	about iamEntity
	run   func(x *exchange) (any, error)
}

// iamEntity is a kind of thing that IAM has.
type iamEntity int

const (
	iamNothing iamEntity = iota
	iamRole
	iamUser
	iamGroup
	iamPolicy
	iamRoles     // all roles
	iamNewPolicy // one that is named but not by its ARN
)

// iamOperations are the operations of IAM that read.
var iamOperations = map[string]iamOperation{
	"GetRole":                        {iamRole, getRole},
	"ListRoles":                      {iamRoles, listRoles},
	"ListRolePolicies":               {iamRole, listRolePolicies},
	"GetRolePolicy":                  {iamRole, getRolePolicy},
	"ListAttachedRolePolicies":       {iamRole, listAttachedRolePolicies},
	"GetUser":                        {iamUser, getUser},
	"ListUserPolicies":               {iamUser, listUserPolicies},
	"GetUserPolicy":                  {iamUser, getUserPolicy},
	"ListAttachedUserPolicies":       {iamUser, listAttachedUserPolicies},
	"ListGroupsForUser":              {iamUser, listGroupsForUser},
	"ListGroupPolicies":              {iamGroup, listGroupPolicies},
	"GetGroupPolicy":                 {iamGroup, getGroupPolicy},
	"ListAttachedGroupPolicies":      {iamGroup, listAttachedGroupPolicies},
	"GetPolicy":                      {iamPolicy, getPolicy},
	"GetPolicyVersion":               {iamPolicy, getPolicyVersion},
	"GetAccountAuthorizationDetails": {iamNothing, getAccountAuthorizationDetails},
	"ListAccountAliases":             {iamNothing, listAccountAliases},
}

func findIAM(x *exchange) (operation, error) {
	name, err := x.readForm()
	if err != nil {
		return operation{}, err
	}
	op, reads := iamOperations[name]
	ok := reads
	if !ok {
		op, ok = iamWrites[name]
	}
	if !ok {
		op, ok = iamPolicyWrites[name]
	}
	if !ok {
		return operation{}, unknownOperation("iam:" + name)
	}
	return operation{
		name:    name,
		prepare: func(x *exchange) error { return prepareIAM(x, op.about) },
		run: func(x *exchange) error {
			if !reads {
				// Two changes of one role at once would each replace what they both read.
				x.account.changes.Lock()
				defer x.account.changes.Unlock()
			}
			result, err := op.run(x)
			if err != nil {
				return err
			}
			return x.answerXML(name, iamResult{name + "Result", result})
		},
	}, nil
}

// iamResult is what an operation answers, as the element of its name.
type iamResult struct {
	name  string
	value any
}

// MarshalXML writes the element.
func (r iamResult) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	start.Name.Local = r.name
	return e.EncodeElement(r.value, start)
}

// prepareIAM finds the ARN that the call is decided on. A thing that does not exist
// has the ARN that it would have without a path.
func prepareIAM(x *exchange, about iamEntity) error {
	a, f := x.account, x.form
	prefix := "arn:" + x.sim.partition + ":iam::" + a.id + ":"
	need := func(parameter string) (string, error) {
		if v := f.Get(parameter); v != "" {
			return v, nil
		}
		field := strings.ToLower(parameter[:1]) + parameter[1:]
		return "", validation("1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", field)
	}
	var err error
	var name string
	switch about {
	case iamNothing:
		return nil
	case iamRoles:
		x.call.Resource = prefix + "role/"
	case iamRole:
		if name, err = need("RoleName"); err != nil {
			return err
		}
		x.call.Resource = prefix + "role/" + name
		if r := a.role(name); r != nil {
			x.call.Resource = r.arn
			if r.boundary != "" {
				x.call.Context["iam:PermissionsBoundary"] = []string{r.boundary}
			}
		}
		// Which policy is attached or detached is a condition key of its own.
		if policy := f.Get("PolicyArn"); policy != "" {
			x.call.Context["iam:PolicyARN"] = []string{policy}
		}
	case iamUser:
		if name = f.Get("UserName"); name == "" {
			if x.op.name != "GetUser" {
				_, err = need("UserName")
				return err
			}
			if x.cred.Principal.Kind != KindUser {
				return validation("Must specify userName when calling with non-User credentials")
			}
			name = x.cred.Principal.Name
			f.Set("UserName", name)
		}
		x.call.Resource = prefix + "user/" + name
		if u := a.user(name); u != nil {
			x.call.Resource = u.arn
		}
	case iamGroup:
		if name, err = need("GroupName"); err != nil {
			return err
		}
		x.call.Resource = prefix + "group/" + name
		if g := a.group(name); g != nil {
			x.call.Resource = g.arn
		}
	case iamNewPolicy:
		if name, err = need("PolicyName"); err != nil {
			return err
		}
		x.call.Resource = prefix + "policy" + cleanPath(f.Get("Path")) + name
	case iamPolicy:
		if name, err = need("PolicyArn"); err != nil {
			return err
		}
		x.call.Resource = name
	}
	return nil
}

func noSuchEntity(text string) *Error {
	return &Error{Status: http.StatusNotFound, Code: "NoSuchEntity", Message: text}
}

func (x *exchange) theRole() (*Role, error) {
	name := x.form.Get("RoleName")
	if r := x.account.role(name); r != nil {
		return r, nil
	}
	return nil, noSuchEntity("The role with name " + name + " cannot be found.")
}

func (x *exchange) theUser() (*User, error) {
	name := x.form.Get("UserName")
	if u := x.account.user(name); u != nil {
		return u, nil
	}
	return nil, noSuchEntity("The user with name " + name + " cannot be found.")
}

func (x *exchange) theGroup() (*Group, error) {
	name := x.form.Get("GroupName")
	if g := x.account.group(name); g != nil {
		return g, nil
	}
	return nil, noSuchEntity("The group with name " + name + " cannot be found.")
}

// document is a policy as IAM answers it: percent-encoded as RFC 3986 says.
func document(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

// iamPage cuts the page that Marker and MaxItems ask for out of a list.
func iamPage[T any](x *exchange, list []T) (part []T, more truncation, err error) {
	limit := 100
	if text := x.form.Get("MaxItems"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1000 {
			return nil, more, validation("1 validation error detected: Value '%s' at 'maxItems' failed to satisfy constraint: Member must have value less than or equal to 1000", text)
		}
		limit = n
	}
	part, next, ok := page(x.op.name+"/"+x.account.id, x.form.Get("Marker"), limit, list)
	if !ok {
		return nil, more, &Error{Code: "InvalidInput", Message: "Invalid Marker."}
	}
	return part, truncation{next != "", next}, nil
}

// truncation ends each page of a listing.
type truncation struct {
	IsTruncated bool
	Marker      string `xml:",omitempty"`
}

// inlineAnswer is the answer of GetRolePolicy and its kin.
type inlineAnswer struct {
	RoleName       string `xml:",omitempty"`
	UserName       string `xml:",omitempty"`
	GroupName      string `xml:",omitempty"`
	PolicyName     string
	PolicyDocument string
}

// inlineOf answers the inline policy that the input names.
func (x *exchange) inlineOf(owner string, policies []inlinePolicy, answer inlineAnswer) (any, error) {
	name := x.form.Get("PolicyName")
	i := slices.IndexFunc(policies, func(p inlinePolicy) bool { return p.name == name })
	if i < 0 {
		return nil, noSuchEntity("The " + owner + " policy with name " + name + " cannot be found.")
	}
	answer.PolicyName, answer.PolicyDocument = name, document(policies[i].text)
	return answer, nil
}

// inlineNames answers a page of the names of inline policies.
func (x *exchange) inlineNames(policies []inlinePolicy) (any, error) {
	names := make([]string, 0, len(policies))
	for i := range policies {
		names = append(names, policies[i].name)
	}
	slices.Sort(names)
	part, more, err := iamPage(x, names)
	return struct {
		PolicyNames []string `xml:"PolicyNames>member"`
		truncation
	}{part, more}, err
}

// attachedPolicy is a managed policy where it is attached.
type attachedPolicy struct {
	PolicyName string
	PolicyArn  string
}

func (a *Account) attachments(arns []string) []attachedPolicy {
	all := make([]attachedPolicy, 0, len(arns))
	for _, arn := range arns {
		if p := a.managedPolicy(arn); p != nil {
			all = append(all, attachedPolicy{p.name, p.arn})
		}
	}
	return all
}

func (x *exchange) attached(arns []string) (any, error) {
	part, more, err := iamPage(x, x.account.attachments(arns))
	return struct {
		AttachedPolicies []attachedPolicy `xml:"AttachedPolicies>member"`
		truncation
	}{part, more}, err
}

// iamTag is a tag of a role or user.
type iamTag struct{ Key, Value string }

func tagsOf(tags map[string]string) []iamTag {
	all := make([]iamTag, 0, len(tags))
	for key, value := range tags {
		all = append(all, iamTag{key, value})
	}
	slices.SortFunc(all, func(a, b iamTag) int { return strings.Compare(a.Key, b.Key) })
	return all
}

// attachedBoundary is a permissions boundary where it is attached; nil: none.
type attachedBoundary struct {
	PermissionsBoundaryType string
	PermissionsBoundaryArn  string
}

func boundaryOf(arn string) *attachedBoundary {
	if arn == "" {
		return nil
	}
	return &attachedBoundary{"Policy", arn}
}
