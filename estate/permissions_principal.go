package estate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	iamapi "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/iam"
)

// iamReader reads one principal from IAM.
type iamReader struct {
	client *iamapi.Client
	prefix string // of the account's ARNs: arn:aws:iam::ACCOUNT:
	out    *Principal
	// denied are the parts that no permission allowed to read, and why the first.
	denied []string
	layers []iam.Layer
	why    string
}

// The actions that read a principal.
var (
	roleActions = []string{
		"iam:GetRole", "iam:ListRolePolicies", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:GetPolicy", "iam:GetPolicyVersion",
	}
	userActions = []string{
		"iam:GetUser", "iam:ListUserPolicies", "iam:GetUserPolicy", "iam:ListAttachedUserPolicies", "iam:ListGroupsForUser",
		"iam:ListGroupPolicies", "iam:GetGroupPolicy", "iam:ListAttachedGroupPolicies", "iam:GetPolicy", "iam:GetPolicyVersion",
	}
)

// ReadPrincipal reads the policies of a user, a role, or the role of a session. It
// makes a few calls for one principal; ReadPermissions reads them all. What cannot
// be read is in the result's Unseen.
func ReadPrincipal(ctx context.Context, cfg aws.Config, who iam.Principal) *Principal {
	partition := who.Partition
	if partition == "" {
		partition = "aws"
	}
	r := &iamReader{
		client: iamapi.NewFromConfig(cfg), prefix: "arn:" + partition + ":iam::" + who.Account + ":",
		out: &Principal{ARN: who.ARN, Kind: who.Kind, Name: who.Name},
	}
	switch who.Kind {
	case iam.PrincipalRole, iam.PrincipalRoleSession:
		r.out.Kind = iam.PrincipalRole
		r.out.ARN = r.prefix + "role/" + who.Name
		r.role(ctx)
	case iam.PrincipalUser:
		r.user(ctx)
	default:
		// The root user has no policies of its own, and those of a federated user
		// are AWS's secret.
		if who.Kind != iam.PrincipalRoot {
			r.out.Unseen = append(r.out.Unseen, Unseen{
				What: "the policies of " + who.String(), Layers: []iam.Layer{iam.LayerIdentity}, Why: "AWS shows them to no one",
			})
		}
	}
	r.finish()
	return r.out
}

// failed notes a part that was not read. Those that a permission would show are
// told as one, with all that reading a principal needs.
func (r *iamReader) failed(l iam.Layer, what string, err error) {
	if account.Classify(err) != account.Denied || hopeless(err) {
		r.out.Unseen = append(r.out.Unseen, Unseen{What: what, Layers: []iam.Layer{l}, Why: account.Text(err)})
		return
	}
	if len(r.denied) == 0 {
		r.why = account.Text(err)
	}
	r.denied = append(r.denied, what)
	if !slices.Contains(r.layers, l) {
		r.layers = append(r.layers, l)
	}
}

// finish tells what was denied.
func (r *iamReader) finish() {
	if len(r.denied) == 0 {
		return
	}
	u := Unseen{What: strings.Join(r.denied, ", "), Layers: r.layers, Why: r.why, Actions: roleActions}
	u.Resources = []string{r.prefix + "role/*", r.prefix + "policy/*"}
	if r.out.Kind == iam.PrincipalUser {
		u.Actions = userActions
		u.Resources = []string{r.prefix + "user/*", r.prefix + "group/*", r.prefix + "policy/*"}
	}
	r.out.Unseen = append(r.out.Unseen, u)
}

// add parses a policy of the identity layer.
func (r *iamReader) add(title, arn string, document *string) {
	text, err := decodeDocument(document)
	if err == nil {
		var p Policy
		if p, err = parsePolicy(iam.KindIdentity, title, arn, text); err == nil {
			r.out.Identity = append(r.out.Identity, p)
			return
		}
	}
	r.out.Unseen = append(r.out.Unseen, Unseen{What: "the " + title, Layers: []iam.Layer{iam.LayerIdentity}, Why: err.Error()})
}

func (r *iamReader) role(ctx context.Context) {
	name, owner := aws.String(r.out.Name), "role "+r.out.Name
	out, err := r.client.GetRole(ctx, &iamapi.GetRoleInput{RoleName: name})
	switch {
	case err == nil:
		r.out.ARN, r.out.ID = aws.ToString(out.Role.Arn), aws.ToString(out.Role.RoleId)
		r.out.Tags = tagMap(out.Role.Tags)
		if b := out.Role.PermissionsBoundary; b != nil {
			r.boundary(ctx, aws.ToString(b.PermissionsBoundaryArn))
		}
		r.trust(out.Role.AssumeRolePolicyDocument)
	case account.Classify(err) == account.Gone:
		r.out.Deleted = true
		return
	default:
		r.failed(iam.LayerBoundary, "the permissions boundary of "+owner+", if it has one", err)
		if hopeless(err) {
			r.failed(iam.LayerIdentity, "the policies of "+owner, err)
			return
		}
	}
	r.inline(ctx, owner, func(ctx context.Context, token *string) ([]string, *string, error) {
		out, err := r.client.ListRolePolicies(ctx, &iamapi.ListRolePoliciesInput{RoleName: name, Marker: token})
		if err != nil {
			return nil, nil, err
		}
		return out.PolicyNames, out.Marker, nil
	}, func(ctx context.Context, policy *string) (*string, error) {
		out, err := r.client.GetRolePolicy(ctx, &iamapi.GetRolePolicyInput{RoleName: name, PolicyName: policy})
		if err != nil {
			return nil, err
		}
		return out.PolicyDocument, nil
	})
	r.managed(ctx, owner, func(ctx context.Context, token *string) ([]types.AttachedPolicy, *string, error) {
		out, err := r.client.ListAttachedRolePolicies(ctx, &iamapi.ListAttachedRolePoliciesInput{RoleName: name, Marker: token})
		if err != nil {
			return nil, nil, err
		}
		return out.AttachedPolicies, out.Marker, nil
	})
}

// inline reads the inline policies of an owner: the names that list gives, and the
// document that get gives of each.
func (r *iamReader) inline(ctx context.Context, owner string, list func(context.Context, *string) ([]string, *string, error), get func(context.Context, *string) (*string, error)) {
	names, err := all(ctx, list)
	if err != nil {
		r.failed(iam.LayerIdentity, "the inline policies of "+owner, err)
	}
	for _, policy := range names {
		title := "inline policy " + policy + " of " + owner
		document, err := get(ctx, aws.String(policy))
		if err != nil {
			r.failed(iam.LayerIdentity, "the "+title, err)
			continue
		}
		r.add(title, "", document)
	}
}

func (r *iamReader) trust(document *string) {
	title := "trust policy of role " + r.out.Name
	text, err := decodeDocument(document)
	if err == nil {
		var p Policy
		if p, err = parsePolicy(iam.KindTrust, title, "", text); err == nil {
			r.out.Trust = &p
			return
		}
	}
	// It has no say in what the role may do.
	r.out.Unseen = append(r.out.Unseen, Unseen{What: "the " + title, Why: err.Error()})
}

func (r *iamReader) user(ctx context.Context) {
	name, owner := aws.String(r.out.Name), "user "+r.out.Name
	out, err := r.client.GetUser(ctx, &iamapi.GetUserInput{UserName: name})
	if err == nil {
		r.out.ARN, r.out.ID = aws.ToString(out.User.Arn), aws.ToString(out.User.UserId)
		r.out.Tags = tagMap(out.User.Tags)
		if b := out.User.PermissionsBoundary; b != nil {
			r.boundary(ctx, aws.ToString(b.PermissionsBoundaryArn))
		}
	} else {
		if account.Classify(err) == account.Gone {
			r.out.Deleted = true
			return
		}
		r.failed(iam.LayerBoundary, "the permissions boundary of "+owner+", if it has one", err)
		if hopeless(err) {
			r.failed(iam.LayerIdentity, "the policies of "+owner, err)
			return
		}
	}
	r.inline(ctx, owner, func(ctx context.Context, token *string) ([]string, *string, error) {
		out, err := r.client.ListUserPolicies(ctx, &iamapi.ListUserPoliciesInput{UserName: name, Marker: token})
		if err != nil {
			return nil, nil, err
		}
		return out.PolicyNames, out.Marker, nil
	}, func(ctx context.Context, policy *string) (*string, error) {
		out, err := r.client.GetUserPolicy(ctx, &iamapi.GetUserPolicyInput{UserName: name, PolicyName: policy})
		if err != nil {
			return nil, err
		}
		return out.PolicyDocument, nil
	})
	r.managed(ctx, owner, func(ctx context.Context, token *string) ([]types.AttachedPolicy, *string, error) {
		out, err := r.client.ListAttachedUserPolicies(ctx, &iamapi.ListAttachedUserPoliciesInput{UserName: name, Marker: token})
		if err != nil {
			return nil, nil, err
		}
		return out.AttachedPolicies, out.Marker, nil
	})
	groups, err := all(ctx, func(ctx context.Context, token *string) ([]types.Group, *string, error) {
		out, err := r.client.ListGroupsForUser(ctx, &iamapi.ListGroupsForUserInput{UserName: name, Marker: token})
		if err != nil {
			return nil, nil, err
		}
		return out.Groups, out.Marker, nil
	})
	if err != nil {
		r.failed(iam.LayerIdentity, "the groups of "+owner, err)
	}
	for i := range groups {
		r.group(ctx, aws.ToString(groups[i].GroupName))
	}
}

func (r *iamReader) group(ctx context.Context, group string) {
	name, owner := aws.String(group), "group "+group
	r.inline(ctx, owner, func(ctx context.Context, token *string) ([]string, *string, error) {
		out, err := r.client.ListGroupPolicies(ctx, &iamapi.ListGroupPoliciesInput{GroupName: name, Marker: token})
		if err != nil {
			return nil, nil, err
		}
		return out.PolicyNames, out.Marker, nil
	}, func(ctx context.Context, policy *string) (*string, error) {
		out, err := r.client.GetGroupPolicy(ctx, &iamapi.GetGroupPolicyInput{GroupName: name, PolicyName: policy})
		if err != nil {
			return nil, err
		}
		return out.PolicyDocument, nil
	})
	r.managed(ctx, owner, func(ctx context.Context, token *string) ([]types.AttachedPolicy, *string, error) {
		out, err := r.client.ListAttachedGroupPolicies(ctx, &iamapi.ListAttachedGroupPoliciesInput{GroupName: name, Marker: token})
		if err != nil {
			return nil, nil, err
		}
		return out.AttachedPolicies, out.Marker, nil
	})
}

// managed reads the managed policies that are attached to owner.
func (r *iamReader) managed(
	ctx context.Context, owner string,
	page func(context.Context, *string) ([]types.AttachedPolicy, *string, error),
) {
	attached, err := all(ctx, page)
	if err != nil {
		r.failed(iam.LayerIdentity, "which managed policies are attached to "+owner, err)
	}
	for i := range attached {
		arn := aws.ToString(attached[i].PolicyArn)
		version, document, err := r.defaultVersion(ctx, arn)
		if err != nil {
			r.failed(iam.LayerIdentity, "the managed policy "+arn+" of "+owner, err)
			continue
		}
		r.add(managedTitle(arn, version), arn, document)
	}
}

func managedTitle(arn, version string) string {
	return fmt.Sprintf("managed policy %s (%s)", arn, version)
}

// defaultVersion reads a managed policy.
func (r *iamReader) defaultVersion(ctx context.Context, arn string) (version string, document *string, err error) {
	p, err := r.client.GetPolicy(ctx, &iamapi.GetPolicyInput{PolicyArn: aws.String(arn)})
	if err != nil {
		return "", nil, err
	}
	v, err := r.client.GetPolicyVersion(ctx, &iamapi.GetPolicyVersionInput{PolicyArn: aws.String(arn), VersionId: p.Policy.DefaultVersionId})
	if err != nil {
		return "", nil, err
	}
	return aws.ToString(v.PolicyVersion.VersionId), v.PolicyVersion.Document, nil
}

func (r *iamReader) boundary(ctx context.Context, arn string) {
	version, document, err := r.defaultVersion(ctx, arn)
	if err != nil {
		r.failed(iam.LayerBoundary, "the permissions boundary "+arn, err)
		return
	}
	text, err := decodeDocument(document)
	if err == nil {
		var p Policy
		if p, err = parsePolicy(iam.KindBoundary, fmt.Sprintf("permissions boundary %s (%s)", arn, version), arn, text); err == nil {
			r.out.Boundary = &p
			return
		}
	}
	r.out.Unseen = append(r.out.Unseen, Unseen{What: "the permissions boundary " + arn, Layers: []iam.Layer{iam.LayerBoundary}, Why: err.Error()})
}

func tagMap(tags []types.Tag) map[string]string {
	if len(tags) == 0 {
		return nil
	}
	out := make(map[string]string, len(tags))
	for i := range tags {
		out[aws.ToString(tags[i].Key)] = aws.ToString(tags[i].Value)
	}
	return out
}

// hopeless reports that asking further with the same credentials is of no use:
// they cannot be had or are not accepted, or nothing answers.
func hopeless(err error) bool {
	if _, ok := errors.AsType[*account.ChainError](err); ok {
		return true
	}
	switch account.Classify(err) {
	case account.Transient, account.Canceled, account.Expired, account.Throttled:
		return true
	case account.Denied:
		return strings.Contains(account.Text(err), "security token")
	default:
		return false
	}
}
