package estate

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	iamapi "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/gatehouse-project/gatehouse/iam"
)

// authorizationPage is the largest page of GetAccountAuthorizationDetails.
const authorizationPage = 1000

// ReadPermissions reads the policies of all roles and users of an account. It needs
// iam:GetAccountAuthorizationDetails alone, and makes one call for every thousand
// things. What cannot be read, or not be understood, is in the result's Unseen, or
// in that of its principal.
func ReadPermissions(ctx context.Context, cfg aws.Config, accountID string) *Permissions {
	client := iamapi.NewFromConfig(cfg)
	d := &accountDetails{managed: map[string]types.ManagedPolicyDetail{}, groups: map[string]types.GroupDetail{}}
	_, err := all(ctx, func(ctx context.Context, token *string) ([]struct{}, *string, error) {
		out, err := client.GetAccountAuthorizationDetails(ctx, &iamapi.GetAccountAuthorizationDetailsInput{MaxItems: aws.Int32(authorizationPage), Marker: token})
		if err != nil {
			return nil, nil, err
		}
		d.add(out)
		return nil, out.Marker, nil
	})
	p := &Permissions{Account: accountID}
	if err != nil {
		// Some pages are not a part of the account that one could rely on: a group
		// or a policy that is missing could be anybody's.
		p.Unseen = append(p.Unseen, unread(iam.LayerIdentity, "the roles, users and policies of account "+accountID, err,
			"*", "iam:GetAccountAuthorizationDetails"))
		return p
	}
	for i := range d.roles {
		p.Principals = append(p.Principals, d.role(&d.roles[i]))
	}
	for i := range d.users {
		p.Principals = append(p.Principals, d.user(&d.users[i]))
	}
	slices.SortFunc(p.Principals, func(a, b Principal) int { return cmp.Compare(a.ARN, b.ARN) })
	return p
}

// Principal returns the role or user of that ARN, or the role of that session; nil
// if there is none. A session's ARN does not have the role's path, so the name
// decides, which is unique in an account.
func (p *Permissions) Principal(who iam.Principal) *Principal {
	kind := who.Kind
	if kind == iam.PrincipalRoleSession {
		kind = iam.PrincipalRole
	}
	for i := range p.Principals {
		if p.Principals[i].Kind == kind && p.Principals[i].Name == who.Name && who.Account == p.Account {
			return &p.Principals[i]
		}
	}
	return nil
}

// accountDetails are the pages of one account, put together: a role's policy may be
// on another page than the role.
type accountDetails struct {
	roles   []types.RoleDetail
	users   []types.UserDetail
	groups  map[string]types.GroupDetail
	managed map[string]types.ManagedPolicyDetail
}

func (d *accountDetails) add(out *iamapi.GetAccountAuthorizationDetailsOutput) {
	d.roles = append(d.roles, out.RoleDetailList...)
	d.users = append(d.users, out.UserDetailList...)
	for i := range out.GroupDetailList {
		d.groups[aws.ToString(out.GroupDetailList[i].GroupName)] = out.GroupDetailList[i]
	}
	for i := range out.Policies {
		d.managed[aws.ToString(out.Policies[i].Arn)] = out.Policies[i]
	}
}

func (d *accountDetails) role(r *types.RoleDetail) Principal {
	b := principalBuilder{details: d, owner: "role " + aws.ToString(r.RoleName), out: Principal{
		ARN: aws.ToString(r.Arn), Kind: iam.PrincipalRole, Name: aws.ToString(r.RoleName), ID: aws.ToString(r.RoleId), Tags: tagMap(r.Tags),
	}}
	b.policies(b.owner, r.RolePolicyList, r.AttachedManagedPolicies)
	b.boundary(r.PermissionsBoundary)
	title := "trust policy of " + b.owner
	if p, err := b.parse(iam.KindTrust, title, "", r.AssumeRolePolicyDocument); err != nil {
		b.out.Unseen = append(b.out.Unseen, Unseen{What: "the " + title, Why: err.Error()})
	} else {
		b.out.Trust = &p
	}
	return b.out
}

func (d *accountDetails) user(u *types.UserDetail) Principal {
	b := principalBuilder{details: d, owner: "user " + aws.ToString(u.UserName), out: Principal{
		ARN: aws.ToString(u.Arn), Kind: iam.PrincipalUser, Name: aws.ToString(u.UserName), ID: aws.ToString(u.UserId), Tags: tagMap(u.Tags),
	}}
	b.policies(b.owner, u.UserPolicyList, u.AttachedManagedPolicies)
	for _, name := range u.GroupList {
		g, ok := d.groups[name]
		if !ok {
			b.missing(iam.LayerIdentity, "group "+name, "IAM did not list it")
			continue
		}
		b.policies("group "+name, g.GroupPolicyList, g.AttachedManagedPolicies)
	}
	b.boundary(u.PermissionsBoundary)
	return b.out
}

// principalBuilder puts one principal together.
type principalBuilder struct {
	details *accountDetails
	owner   string
	out     Principal
}

func (b *principalBuilder) missing(l iam.Layer, what, why string) {
	b.out.Unseen = append(b.out.Unseen, Unseen{What: "the " + what, Layers: []iam.Layer{l}, Why: why})
}

func (b *principalBuilder) parse(kind iam.Kind, title, arn string, document *string) (Policy, error) {
	text, err := decodeDocument(document)
	if err != nil {
		return Policy{}, err
	}
	return parsePolicy(kind, title, arn, text)
}

func (b *principalBuilder) policies(owner string, inline []types.PolicyDetail, attached []types.AttachedPolicy) {
	for i := range inline {
		title := "inline policy " + aws.ToString(inline[i].PolicyName) + " of " + owner
		p, err := b.parse(iam.KindIdentity, title, "", inline[i].PolicyDocument)
		if err != nil {
			b.missing(iam.LayerIdentity, title, err.Error())
			continue
		}
		b.out.Identity = append(b.out.Identity, p)
	}
	for i := range attached {
		arn := aws.ToString(attached[i].PolicyArn)
		v, ok := b.version(arn)
		if !ok {
			b.missing(iam.LayerIdentity, "managed policy "+arn+" of "+owner, "IAM did not list it")
			continue
		}
		title := managedTitle(arn, aws.ToString(v.VersionId))
		p, err := b.parse(iam.KindIdentity, title, arn, v.Document)
		if err != nil {
			b.missing(iam.LayerIdentity, title, err.Error())
			continue
		}
		b.out.Identity = append(b.out.Identity, p)
	}
}

// version is the default version of a managed policy.
func (b *principalBuilder) version(arn string) (types.PolicyVersion, bool) {
	p, ok := b.details.managed[arn]
	if !ok {
		return types.PolicyVersion{}, false
	}
	i := slices.IndexFunc(p.PolicyVersionList, func(v types.PolicyVersion) bool { return v.IsDefaultVersion })
	if i < 0 {
		return types.PolicyVersion{}, false
	}
	return p.PolicyVersionList[i], true
}

func (b *principalBuilder) boundary(attached *types.AttachedPermissionsBoundary) {
	if attached == nil {
		return
	}
	arn := aws.ToString(attached.PermissionsBoundaryArn)
	v, ok := b.version(arn)
	if !ok {
		b.missing(iam.LayerBoundary, "permissions boundary "+arn, "IAM did not list it")
		return
	}
	p, err := b.parse(iam.KindBoundary, fmt.Sprintf("permissions boundary %s (%s)", arn, aws.ToString(v.VersionId)), arn, v.Document)
	if err != nil {
		b.missing(iam.LayerBoundary, "permissions boundary "+arn, err.Error())
		return
	}
	b.out.Boundary = &p
}
