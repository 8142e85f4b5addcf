package logging

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go"

	"github.com/gatehouse-project/gatehouse/account"
)

// The mark of what Gatehouse makes. It alone proves nothing: a record must say so too.
const (
	markKey   = "gatehouse:made-by"
	markValue = "gatehouse-logging"
)

// trustPolicy lets API Gateway alone assume the role.
const trustPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"apigateway.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

// roleDescription is what people find in IAM.
const roleDescription = "API Gateway writes logs to CloudWatch Logs with it"

// pushPolicy is AWS's own policy for such a role.
func (p *place) pushPolicy() string {
	return "arn:" + account.PartitionOf(p.region) + ":iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
}

func (p *place) readRole(ctx context.Context, name string) (string, error) {
	out, err := p.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
	if gone(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(out.Role.Tags, func(t iamtypes.Tag) bool {
		return aws.ToString(t.Key) == markKey && aws.ToString(t.Value) == markValue
	}) {
		return others, nil
	}
	attached, err := p.iam.ListAttachedRolePolicies(ctx, &iam.ListAttachedRolePoliciesInput{RoleName: &name})
	if gone(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(attached.AttachedPolicies, func(a iamtypes.AttachedPolicy) bool { return aws.ToString(a.PolicyArn) == p.pushPolicy() }) {
		return made + " " + unfinished, nil
	}
	return made, nil
}

func (p *place) writeRole(ctx context.Context, name, value string) error {
	policy := p.pushPolicy()
	if value == "" {
		_, err := p.iam.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: &name, PolicyArn: &policy})
		if err != nil && !gone(err) {
			return err
		}
		_, err = p.iam.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: &name})
		if gone(err) {
			return nil
		}
		return err
	}
	_, err := p.iam.CreateRole(ctx, &iam.CreateRoleInput{
		RoleName: &name, AssumeRolePolicyDocument: aws.String(trustPolicy), Description: aws.String(roleDescription),
		Tags: []iamtypes.Tag{{Key: aws.String(markKey), Value: aws.String(markValue)}},
	})
	// That it is there already is what an interrupted attempt looks like; whose it is
	// was read before.
	if err != nil && !hasCode(err, "EntityAlreadyExists") {
		return err
	}
	_, err = p.iam.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: &name, PolicyArn: &policy})
	return err
}

func hasCode(err error, code string) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && (api.ErrorCode() == code || api.ErrorCode() == code+"Exception")
}

func (p *place) readAccount(ctx context.Context) (string, error) {
	out, err := p.rest.GetAccount(ctx, &apigateway.GetAccountInput{})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.CloudwatchRoleArn), nil
}

// roleAttempts is how often API Gateway is asked to take a role that it says it may
// not assume. A new role is known everywhere only after some seconds, and one
// attempt in 20 seconds is allowed.
const roleAttempts = 4

func (p *place) writeAccount(ctx context.Context, arn string) error {
	for attempt := 1; ; attempt++ {
		_, err := p.rest.UpdateAccount(ctx, &apigateway.UpdateAccountInput{
			PatchOperations: []types.PatchOperation{patch(types.OpReplace, "/cloudwatchRoleArn", arn)},
		})
		if err == nil || attempt == roleAttempts || !strings.Contains(err.Error(), "required permissions configured") {
			return err
		}
	}
}
