package awssim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// policyAnswer is a managed policy on the wire.
type policyAnswer struct {
	PolicyName        string
	PolicyId          string //nolint:revive // AWS's name on the wire
	Arn               string
	Path              string
	DefaultVersionId  string //nolint:revive // AWS's name on the wire
	AttachmentCount   int
	IsAttachable      bool
	Description       string `xml:",omitempty"`
	CreateDate        string
	UpdateDate        string
	Tags              []iamTag        `xml:"Tags>member,omitempty"`
	PolicyVersionList []versionAnswer `xml:"PolicyVersionList>member,omitempty"`
}

// versionAnswer is a version of a managed policy on the wire.
type versionAnswer struct {
	Document         string `xml:",omitempty"`
	VersionId        string //nolint:revive // AWS's name on the wire
	IsDefaultVersion bool
	CreateDate       string
}

func (p *managedPolicy) answer() policyAnswer {
	return policyAnswer{
		PolicyName: p.name, PolicyId: p.id, Arn: p.arn, Path: p.path, DefaultVersionId: p.version,
		IsAttachable: true, CreateDate: stamp(p.created), UpdateDate: stamp(p.updated),
	}
}

func (p *managedPolicy) versionAnswer(i int) versionAnswer {
	v := &p.versions[i]
	return versionAnswer{
		Document: document(v.document), VersionId: v.id, IsDefaultVersion: v.id == p.version, CreateDate: stamp(v.created),
	}
}

func getPolicy(x *exchange) (any, error) {
	arn := x.form.Get("PolicyArn")
	p := x.account.managedPolicy(arn)
	if p == nil {
		return nil, noSuchEntity("Policy " + arn + " was not found.")
	}
	answer := p.answer()
	answer.Description, answer.Tags, answer.AttachmentCount = p.description, tagsOf(p.tags), x.account.attachedTo(arn)
	return struct{ Policy policyAnswer }{answer}, nil
}

func getPolicyVersion(x *exchange) (any, error) {
	arn, version := x.form.Get("PolicyArn"), x.form.Get("VersionId")
	p := x.account.managedPolicy(arn)
	if p == nil {
		return nil, noSuchEntity("Policy " + arn + " was not found.")
	}
	for i := range p.versions {
		if p.versions[i].id == version {
			return struct{ PolicyVersion versionAnswer }{p.versionAnswer(i)}, nil
		}
	}
	return nil, noSuchEntity("Policy " + arn + " version " + version + " does not exist or is not attachable.")
}

// inlineDetail is an inline policy in the account's authorization details.
type inlineDetail struct {
	PolicyName     string
	PolicyDocument string
}

func detailsOf(policies []inlinePolicy) []inlineDetail {
	all := make([]inlineDetail, 0, len(policies))
	for i := range policies {
		all = append(all, inlineDetail{policies[i].name, document(policies[i].text)})
	}
	return all
}

// userDetail, groupDetail and roleDetail are what the account's authorization
// details have of each.
type userDetail struct {
	Path                    string
	UserName                string
	UserId                  string //nolint:revive // AWS's name on the wire
	Arn                     string
	CreateDate              string
	UserPolicyList          []inlineDetail   `xml:"UserPolicyList>member"`
	GroupList               []string         `xml:"GroupList>member"`
	AttachedManagedPolicies []attachedPolicy `xml:"AttachedManagedPolicies>member"`
	PermissionsBoundary     *attachedBoundary
	Tags                    []iamTag `xml:"Tags>member,omitempty"`
}

type groupDetail struct {
	Path                    string
	GroupName               string
	GroupId                 string //nolint:revive // AWS's name on the wire
	Arn                     string
	CreateDate              string
	GroupPolicyList         []inlineDetail   `xml:"GroupPolicyList>member"`
	AttachedManagedPolicies []attachedPolicy `xml:"AttachedManagedPolicies>member"`
}

type roleDetail struct {
	Path                     string
	RoleName                 string
	RoleId                   string //nolint:revive // AWS's name on the wire
	Arn                      string
	CreateDate               string
	AssumeRolePolicyDocument string
	RolePolicyList           []inlineDetail   `xml:"RolePolicyList>member"`
	AttachedManagedPolicies  []attachedPolicy `xml:"AttachedManagedPolicies>member"`
	PermissionsBoundary      *attachedBoundary
	Tags                     []iamTag `xml:"Tags>member,omitempty"`
}

// The filters of GetAccountAuthorizationDetails.
var authorizationFilters = []string{"User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"}

// getAccountAuthorizationDetails answers users, groups, roles and managed policies
// as one listing, which is cut into pages wherever it comes.
func getAccountAuthorizationDetails(x *exchange) (any, error) {
	var filter []string
	for i := 1; i <= len(authorizationFilters); i++ {
		f := x.form.Get(fmt.Sprintf("Filter.member.%d", i))
		if f == "" {
			break
		}
		if !slices.Contains(authorizationFilters, f) {
			return nil, validation("1 validation error detected: Value '[%s]' at 'filter' failed to satisfy constraint: Member must satisfy enum value set: [%s]", f, strings.Join(authorizationFilters, ", "))
		}
		filter = append(filter, f)
	}
	part, more, err := iamPage(x, x.account.authorizationDetails(filter))
	if err != nil {
		return nil, err
	}
	answer := struct {
		UserDetailList  []userDetail   `xml:"UserDetailList>member"`
		GroupDetailList []groupDetail  `xml:"GroupDetailList>member"`
		RoleDetailList  []roleDetail   `xml:"RoleDetailList>member"`
		Policies        []policyAnswer `xml:"Policies>member"`
		truncation
	}{truncation: more}
	for _, entry := range part {
		switch entry := entry.(type) {
		case userDetail:
			answer.UserDetailList = append(answer.UserDetailList, entry)
		case groupDetail:
			answer.GroupDetailList = append(answer.GroupDetailList, entry)
		case roleDetail:
			answer.RoleDetailList = append(answer.RoleDetailList, entry)
		case policyAnswer:
			answer.Policies = append(answer.Policies, entry)
		}
	}
	return answer, nil
}

func (a *Account) authorizationDetails(filter []string) []any {
	wanted := func(name string) bool { return len(filter) == 0 || slices.Contains(filter, name) }
	a.mu.RLock()
	users, groups, roles, local := sortedValues(a.users), sortedValues(a.groups), sortedValues(a.roles), sortedValues(a.managed)
	created := stamp(a.joined)
	a.mu.RUnlock()
	var all []any
	used := map[string]bool{} // AWS's own policies: those that are attached
	for _, u := range users {
		if wanted("User") {
			all = append(all, userDetail{
				u.Path, u.Name, u.id, u.arn, created, detailsOf(u.policies.inline), u.Groups,
				a.attachments(u.ManagedPolicies), boundaryOf(u.boundary), tagsOf(u.Tags),
			})
		}
		note(used, u.ManagedPolicies, u.boundary)
	}
	for _, g := range groups {
		if wanted("Group") {
			all = append(all, groupDetail{g.Path, g.Name, g.id, g.arn, created, detailsOf(g.inline), a.attachments(g.ManagedPolicies)})
		}
		note(used, g.ManagedPolicies)
	}
	for _, r := range roles {
		if wanted("Role") {
			all = append(all, roleDetail{
				r.Path, r.Name, r.id, r.arn, created, document(r.policies.document), detailsOf(r.policies.inline),
				a.attachments(r.ManagedPolicies), boundaryOf(r.boundary), tagsOf(r.Tags),
			})
		}
		note(used, r.ManagedPolicies, r.boundary)
	}
	for _, p := range local {
		if wanted("LocalManagedPolicy") {
			all = append(all, p.detail())
		}
		delete(used, p.arn)
	}
	for _, arn := range slices.Sorted(maps.Keys(used)) {
		if p := a.managedPolicy(arn); p != nil && wanted("AWSManagedPolicy") {
			all = append(all, p.detail())
		}
	}
	return all
}

// detail is a managed policy with its versions.
func (p *managedPolicy) detail() policyAnswer {
	answer := p.answer()
	for i := range p.versions {
		answer.PolicyVersionList = append(answer.PolicyVersionList, p.versionAnswer(i))
	}
	return answer
}

func note(used map[string]bool, arns []string, more ...string) {
	for _, arn := range append(slices.Clone(arns), more...) {
		if arn != "" {
			used[arn] = true
		}
	}
}
