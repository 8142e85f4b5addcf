package estate

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/gatehouse-project/gatehouse/iam"
)

// Organization is what limits an account from above.
type Organization struct {
	// ID is "o-…"; empty where the account is in no organization, or nobody could
	// tell.
	ID string
	// Management is the account that manages it, which service control policies do
	// not reach.
	Management string
	// Levels are the service control policies from the root to the account; nil
	// where none apply or none could be read.
	Levels []Level
	Unseen []Unseen
}

// Level is a root, an organizational unit or an account with its service control
// policies.
type Level struct {
	// Target is the id of the root, the unit or the account.
	Target   string
	Policies []Policy
}

// SCPs are the levels, ready to be evaluated.
func (o *Organization) SCPs() [][]iam.Attached {
	out := make([][]iam.Attached, 0, len(o.Levels))
	for i := range o.Levels {
		level := make([]iam.Attached, 0, len(o.Levels[i].Policies))
		for j := range o.Levels[i].Policies {
			level = append(level, o.Levels[i].Policies[j].Attached())
		}
		out = append(out, level)
	}
	return out
}

// organizationActions read what limits an account.
var organizationActions = []string{
	"organizations:DescribeOrganization", "organizations:ListParents", "organizations:ListPoliciesForTarget", "organizations:DescribePolicy",
}

// maxUnits bounds the way from an account to the root; AWS nests units five deep.
const maxUnits = 10

// ReadOrganization reads the service control policies that reach an account. cfg
// must be of the management account, or of a delegated administrator that may read
// policies; with others it finds out at most whether there is an organization.
func ReadOrganization(ctx context.Context, cfg aws.Config, accountID string) *Organization {
	r := &organizationReader{client: organizations.NewFromConfig(cfg), texts: map[string]string{}}
	o := &Organization{}
	out, err := r.client.DescribeOrganization(ctx, &organizations.DescribeOrganizationInput{})
	if _, none := errors.AsType[*types.AWSOrganizationsNotInUseException](err); none {
		return o
	}
	const what = "the service control policies of account "
	if err == nil {
		o.ID, o.Management = aws.ToString(out.Organization.Id), aws.ToString(out.Organization.MasterAccountId)
		if o.Management == accountID {
			return o
		}
	} else if hopeless(err) {
		o.Unseen = append(o.Unseen, unread(iam.LayerSCP, what+accountID, err, "*", organizationActions...))
		return o
	}
	levels, err := r.levels(ctx, accountID)
	if err != nil {
		o.Unseen = append(o.Unseen, unread(iam.LayerSCP, what+accountID, err, "*", organizationActions...))
		return o
	}
	o.Levels = levels
	return o
}

type organizationReader struct {
	client *organizations.Client
	texts  map[string]string // by policy id
}

// levels reads from the account up to the root. A part of the levels would be no answer: any of them denies.
func (r *organizationReader) levels(ctx context.Context, accountID string) ([]Level, error) {
	var levels []Level
	target := accountID
	for range maxUnits {
		policies, err := r.policies(ctx, target)
		if err != nil {
			return nil, err
		}
		levels = append(levels, Level{Target: target, Policies: policies})
		out, err := r.client.ListParents(ctx, &organizations.ListParentsInput{ChildId: aws.String(target)})
		if err != nil {
			return nil, err
		}
		if len(out.Parents) == 0 {
			return nil, errors.New("organizations:ListParents answered without a parent")
		}
		target = aws.ToString(out.Parents[0].Id)
		if out.Parents[0].Type == types.ParentTypeRoot {
			policies, err := r.policies(ctx, target)
			if err != nil {
				return nil, err
			}
			levels = append(levels, Level{Target: target, Policies: policies})
			slices.Reverse(levels)
			return levels, nil
		}
	}
	return nil, errors.New("the way to the organization's root does not end")
}

func (r *organizationReader) policies(ctx context.Context, target string) ([]Policy, error) {
	summaries, err := all(ctx, func(ctx context.Context, token *string) ([]types.PolicySummary, *string, error) {
		out, err := r.client.ListPoliciesForTarget(ctx, &organizations.ListPoliciesForTargetInput{
			TargetId: aws.String(target), Filter: types.PolicyTypeServiceControlPolicy, NextToken: token,
		})
		if err != nil {
			return nil, nil, err
		}
		return out.Policies, out.NextToken, nil
	})
	if err != nil {
		return nil, err
	}
	policies := make([]Policy, 0, len(summaries))
	for i := range summaries {
		id := aws.ToString(summaries[i].Id)
		text, ok := r.texts[id]
		if !ok {
			out, err := r.client.DescribePolicy(ctx, &organizations.DescribePolicyInput{PolicyId: aws.String(id)})
			if err != nil {
				return nil, err
			}
			text = aws.ToString(out.Policy.Content)
			r.texts[id] = text
		}
		title := "service control policy " + aws.ToString(summaries[i].Name) + " (" + id + ") of " + target
		p, err := parsePolicy(iam.KindSCP, title, aws.ToString(summaries[i].Arn), text)
		if err != nil {
			return nil, err
		}
		policies = append(policies, p)
	}
	return policies, nil
}
