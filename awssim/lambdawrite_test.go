package awssim_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/awssim"
)

const (
	trustsLambda = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	failedQueue  = "arn:aws:sqs:eu-west-1:222222222222:failed"
)

// A function needs a role that Lambda may assume, and that may send to its queue; what
// is changed afterwards is told back.
func TestFunctionIsMadeAndChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	a := w.sim.Account(orders)
	client := lambda.NewFromConfig(w.admin(orders))
	people := a.AddRole(awssim.Role{Name: "People", TrustedAccounts: []string{hub}, Allow: []string{"sqs:*"}})
	mute := a.AddRole(awssim.Role{Name: "Mute", TrustPolicy: trustsLambda})
	runs := a.AddRole(awssim.Role{Name: "Runs", TrustPolicy: trustsLambda, Allow: []string{"sqs:SendMessage"}})
	in := &lambda.CreateFunctionInput{
		FunctionName: aws.String("orders"), Runtime: types.RuntimeProvidedal2023, Handler: aws.String("bootstrap"), Timeout: aws.Int32(29),
		Code: &types.FunctionCode{S3Bucket: aws.String("artifacts"), S3Key: aws.String("v1.zip")}, Architectures: []types.Architecture{types.ArchitectureArm64},
		DeadLetterConfig: &types.DeadLetterConfig{TargetArn: aws.String(failedQueue)}, Environment: &types.Environment{Variables: map[string]string{"A": "b"}},
	}
	for role, want := range map[string]string{
		people: "cannot be assumed by Lambda", "arn:aws:iam::222222222222:role/None": "cannot be assumed by Lambda", mute: "permissions to call SendMessage",
	} {
		in.Role = aws.String(role)
		if _, err := client.CreateFunction(ctx(t), in); code(err) != "InvalidParameterValueException" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", role, err)
		}
	}
	in.Role = aws.String(runs)
	made, err := client.CreateFunction(ctx(t), in)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateFunction(ctx(t), in); code(err) != "ResourceConflictException" {
		t.Errorf("a second one: %v", err)
	}
	if _, err := client.UpdateFunctionConfiguration(ctx(t), &lambda.UpdateFunctionConfigurationInput{
		FunctionName: in.FunctionName, MemorySize: aws.Int32(512), Environment: &types.Environment{Variables: map[string]string{}},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.UpdateFunctionCode(ctx(t), &lambda.UpdateFunctionCodeInput{FunctionName: in.FunctionName, S3Bucket: aws.String("artifacts"), S3Key: aws.String("v2.zip")}); err != nil {
		t.Fatal(err)
	}
	arn := made.FunctionArn
	got, err := client.GetFunction(ctx(t), &lambda.GetFunctionInput{FunctionName: arn})
	if err != nil {
		t.Fatal(err)
	}
	c := got.Configuration
	if *c.MemorySize != 512 || *c.Timeout != 29 || c.Environment != nil || *c.DeadLetterConfig.TargetArn != failedQueue || *c.CodeSha256 == *made.CodeSha256 || c.State != types.StateActive {
		t.Errorf("%+v", c)
	}
	if _, err := client.TagResource(ctx(t), &lambda.TagResourceInput{Resource: arn, Tags: map[string]string{"team": "edge", "cost": "7"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.UntagResource(ctx(t), &lambda.UntagResourceInput{Resource: arn, TagKeys: []string{"cost"}}); err != nil {
		t.Fatal(err)
	}
	tags, err := client.ListTags(ctx(t), &lambda.ListTagsInput{Resource: arn})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"team": "edge"}, tags.Tags); diff != "" {
		t.Error(diff)
	}
	if _, err := client.DeleteFunction(ctx(t), &lambda.DeleteFunctionInput{FunctionName: in.FunctionName}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.GetFunction(ctx(t), &lambda.GetFunctionInput{FunctionName: in.FunctionName}); code(err) != "ResourceNotFoundException" {
		t.Errorf("what was deleted: %v", err)
	}
}

// The statements of a function's policy come and go by their ids, and none is left once
// the last has gone.
func TestFunctionPermissions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	r := w.sim.Account(orders).Region(region)
	r.AddFunction("orders", nil)
	client := lambda.NewFromConfig(w.admin(orders))
	name := aws.String("orders")
	add := &lambda.AddPermissionInput{
		FunctionName: name, StatementId: aws.String("api"), Action: aws.String("lambda:InvokeFunction"), Principal: aws.String("apigateway.amazonaws.com"),
		SourceArn: aws.String("arn:aws:execute-api:eu-west-1:222222222222:a1b2c3/prod/*"),
	}
	if _, err := client.GetPolicy(ctx(t), &lambda.GetPolicyInput{FunctionName: name}); code(err) != "ResourceNotFoundException" {
		t.Errorf("without a statement: %v", err)
	}
	if _, err := client.AddPermission(ctx(t), add); err != nil {
		t.Fatal(err)
	}
	if _, err := client.AddPermission(ctx(t), add); code(err) != "ResourceConflictException" {
		t.Errorf("the same id: %v", err)
	}
	got, err := client.GetPolicy(ctx(t), &lambda.GetPolicyInput{FunctionName: name})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"Service":"apigateway.amazonaws.com"`, `"AWS:SourceArn":"arn:aws:execute-api:eu-west-1:222222222222:a1b2c3/prod/*"`, `"Sid":"api"`} {
		if !strings.Contains(*got.Policy, part) {
			t.Errorf("%s is not in %s", part, *got.Policy)
		}
	}
	if _, err := client.RemovePermission(ctx(t), &lambda.RemovePermissionInput{FunctionName: name, StatementId: aws.String("other")}); code(err) != "ResourceNotFoundException" {
		t.Errorf("an id that is none: %v", err)
	}
	if _, err := client.RemovePermission(ctx(t), &lambda.RemovePermissionInput{FunctionName: name, StatementId: aws.String("api")}); err != nil {
		t.Fatal(err)
	}
	if text := r.FunctionPolicy("orders"); text != "" {
		t.Errorf("what is left: %s", text)
	}
}
