package awssim

import "time"

// roleAnswer is a role on the wire.
type roleAnswer struct {
	Path                     string
	RoleName                 string
	RoleId                   string //nolint:revive // AWS's name on the wire
	Arn                      string
	CreateDate               string
	AssumeRolePolicyDocument string
	Description              string `xml:",omitempty"`
	MaxSessionDuration       int
	PermissionsBoundary      *attachedBoundary
	Tags                     []iamTag `xml:"Tags>member,omitempty"`
}

func (x *exchange) roleAnswer(r *Role) roleAnswer {
	longest := r.MaxSession
	if longest == 0 {
		longest = time.Hour
	}
	return roleAnswer{
		Path: r.Path, RoleName: r.Name, RoleId: r.id, Arn: r.arn, CreateDate: stamp(x.account.joined),
		AssumeRolePolicyDocument: document(r.policies.document), Description: r.Description, MaxSessionDuration: int(longest / time.Second),
	}
}

func getRole(x *exchange) (any, error) {
	r, err := x.theRole()
	if err != nil {
		return nil, err
	}
	answer := x.roleAnswer(r)
	answer.PermissionsBoundary, answer.Tags = boundaryOf(r.boundary), tagsOf(r.Tags)
	return struct{ Role roleAnswer }{answer}, nil
}

// listRoles answers roles without their boundaries and tags, as IAM does.
func listRoles(x *exchange) (any, error) {
	x.account.mu.RLock()
	roles := sortedValues(x.account.roles)
	x.account.mu.RUnlock()
	part, more, err := iamPage(x, roles)
	if err != nil {
		return nil, err
	}
	all := make([]roleAnswer, 0, len(part))
	for _, r := range part {
		all = append(all, x.roleAnswer(r))
	}
	return struct {
		Roles []roleAnswer `xml:"Roles>member"`
		truncation
	}{all, more}, nil
}

func listRolePolicies(x *exchange) (any, error) {
	r, err := x.theRole()
	if err != nil {
		return nil, err
	}
	return x.inlineNames(r.policies.inline)
}

func getRolePolicy(x *exchange) (any, error) {
	r, err := x.theRole()
	if err != nil {
		return nil, err
	}
	return x.inlineOf("role", r.policies.inline, inlineAnswer{RoleName: r.Name})
}

func listAttachedRolePolicies(x *exchange) (any, error) {
	r, err := x.theRole()
	if err != nil {
		return nil, err
	}
	return x.attached(r.ManagedPolicies)
}

// userAnswer is a user on the wire.
type userAnswer struct {
	Path                string
	UserName            string
	UserId              string //nolint:revive // AWS's name on the wire
	Arn                 string
	CreateDate          string
	PermissionsBoundary *attachedBoundary
	Tags                []iamTag `xml:"Tags>member,omitempty"`
}

func getUser(x *exchange) (any, error) {
	u, err := x.theUser()
	if err != nil {
		return nil, err
	}
	return struct{ User userAnswer }{userAnswer{
		Path: u.Path, UserName: u.Name, UserId: u.id, Arn: u.arn, CreateDate: stamp(x.account.joined),
		PermissionsBoundary: boundaryOf(u.boundary), Tags: tagsOf(u.Tags),
	}}, nil
}

func listUserPolicies(x *exchange) (any, error) {
	u, err := x.theUser()
	if err != nil {
		return nil, err
	}
	return x.inlineNames(u.policies.inline)
}

func getUserPolicy(x *exchange) (any, error) {
	u, err := x.theUser()
	if err != nil {
		return nil, err
	}
	return x.inlineOf("user", u.policies.inline, inlineAnswer{UserName: u.Name})
}

func listAttachedUserPolicies(x *exchange) (any, error) {
	u, err := x.theUser()
	if err != nil {
		return nil, err
	}
	return x.attached(u.ManagedPolicies)
}

// groupAnswer is a group on the wire.
type groupAnswer struct {
	Path       string
	GroupName  string
	GroupId    string //nolint:revive // AWS's name on the wire
	Arn        string
	CreateDate string
}

func listGroupsForUser(x *exchange) (any, error) {
	u, err := x.theUser()
	if err != nil {
		return nil, err
	}
	var groups []groupAnswer
	for _, name := range u.Groups {
		if g := x.account.group(name); g != nil {
			groups = append(groups, groupAnswer{g.Path, g.Name, g.id, g.arn, stamp(x.account.joined)})
		}
	}
	part, more, err := iamPage(x, groups)
	return struct {
		Groups []groupAnswer `xml:"Groups>member"`
		truncation
	}{part, more}, err
}

func listGroupPolicies(x *exchange) (any, error) {
	g, err := x.theGroup()
	if err != nil {
		return nil, err
	}
	return x.inlineNames(g.inline)
}

func getGroupPolicy(x *exchange) (any, error) {
	g, err := x.theGroup()
	if err != nil {
		return nil, err
	}
	return x.inlineOf("group", g.inline, inlineAnswer{GroupName: g.Name})
}

func listAttachedGroupPolicies(x *exchange) (any, error) {
	g, err := x.theGroup()
	if err != nil {
		return nil, err
	}
	return x.attached(g.ManagedPolicies)
}

func listAccountAliases(x *exchange) (any, error) {
	x.account.mu.RLock()
	defer x.account.mu.RUnlock()
	var aliases []string
	if x.account.alias != "" {
		aliases = append(aliases, x.account.alias)
	}
	return struct {
		AccountAliases []string `xml:"AccountAliases>member"`
		truncation
	}{AccountAliases: aliases}, nil
}
