package awssim_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	v2types "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/gatehouse-project/gatehouse/awssim"
)

const gatewayTrust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"apigateway.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

// fails checks that a call was refused with a text.
func fails(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want %q", err, text)
	}
}

func replace(path, value string) []types.PatchOperation {
	return []types.PatchOperation{{Op: types.OpReplace, Path: &path, Value: &value}}
}

func TestUpdateStage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	r := w.sim.Account(orders).Region(region)
	r.AddRESTAPI(awssim.RESTAPI{ID: "rest", Stages: []awssim.Stage{{Name: "prod", Metrics: true, LoggingLevel: "OFF"}}})
	c := apigateway.NewFromConfig(w.admin(orders))
	update := func(ops []types.PatchOperation) (*apigateway.UpdateStageOutput, error) {
		return c.UpdateStage(ctx(t), &apigateway.UpdateStageInput{RestApiId: aws.String("rest"), StageName: aws.String("prod"), PatchOperations: ops})
	}
	_, err := update(replace("/*/*/logging/loglevel", "INFO"))
	fails(t, err, "CloudWatch Logs role ARN must be set")
	_, err = c.UpdateAccount(ctx(t), &apigateway.UpdateAccountInput{PatchOperations: replace("/cloudwatchRoleArn", "arn:aws:iam::"+orders+":role/None")})
	fails(t, err, "required permissions configured")

	role := w.sim.Account(orders).AddRole(awssim.Role{Name: "Logs", TrustPolicy: gatewayTrust, Allow: []string{"logs:*"}})
	account := must[*apigateway.UpdateAccountOutput](t)(c.UpdateAccount(ctx(t), &apigateway.UpdateAccountInput{PatchOperations: replace("/cloudwatchRoleArn", role)}))
	if aws.ToString(account.CloudwatchRoleArn) != role {
		t.Errorf("role %q", aws.ToString(account.CloudwatchRoleArn))
	}
	ops := append(replace("/*/*/logging/loglevel", "INFO"), replace("/~1pets/GET/logging/dataTrace", "true")...)
	ops = append(ops, replace("/accessLogSettings/destinationArn", "arn:x")...)
	st := must[*apigateway.UpdateStageOutput](t)(update(append(ops, replace("/accessLogSettings/format", "$context.requestId")...)))
	if all, pets := st.MethodSettings["*/*"], st.MethodSettings["~1pets/GET"]; aws.ToString(all.LoggingLevel) != "INFO" || !all.MetricsEnabled || !pets.DataTraceEnabled ||
		aws.ToString(st.AccessLogSettings.DestinationArn) != "arn:x" {
		t.Errorf("stage: %+v", st)
	}
	// One bad operation, and none is done.
	_, err = update(append(replace("/*/*/logging/loglevel", "OFF"), replace("/*/*/logging/loglevel", "LOUD")...))
	fails(t, err, "Invalid logging level")
	_, err = update(replace("/accessLogSettings/format", "$context.status"))
	fails(t, err, "must include at least $context.requestId")
	_, err = update(replace("/nothing", "x"))
	fails(t, err, "Invalid patch path")
	if now, _ := r.Stage("rest", "prod"); now.LoggingLevel != "INFO" {
		t.Errorf("a refused call changed the stage: %+v", now)
	}
	remove := []types.PatchOperation{{Op: types.OpRemove, Path: aws.String("/accessLogSettings")}, {Op: types.OpRemove, Path: aws.String("/~1pets/GET")}, {Op: types.OpRemove, Path: aws.String("/*/*")}}
	st = must[*apigateway.UpdateStageOutput](t)(update(remove))
	if len(st.MethodSettings) > 0 || st.AccessLogSettings != nil {
		t.Errorf("after removing: %+v", st)
	}
}

func TestUpdateRouteStage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	r := w.sim.Account(orders).Region(region)
	r.AddHTTPAPI(awssim.API{ID: "http", Stages: []awssim.Stage{{Name: "$default"}}})
	r.AddWebSocketAPI(awssim.API{ID: "chat", Stages: []awssim.Stage{{Name: "live", MethodSettings: map[string]awssim.MethodSetting{"send": {LoggingLevel: "ERROR"}}}}})
	c := apigatewayv2.NewFromConfig(w.admin(orders))
	info := &v2types.RouteSettings{LoggingLevel: v2types.LoggingLevelInfo, DataTraceEnabled: aws.Bool(true)}
	_, err := c.UpdateStage(ctx(t), &apigatewayv2.UpdateStageInput{ApiId: aws.String("http"), StageName: aws.String("$default"), DefaultRouteSettings: info})
	fails(t, err, "not supported on protocolType HTTP")
	st := must[*apigatewayv2.UpdateStageOutput](t)(c.UpdateStage(ctx(t), &apigatewayv2.UpdateStageInput{
		ApiId: aws.String("http"), StageName: aws.String("$default"), AccessLogSettings: &v2types.AccessLogSettings{DestinationArn: aws.String("arn:x"), Format: aws.String("$context.requestId")},
	}))
	if aws.ToString(st.AccessLogSettings.Format) != "$context.requestId" {
		t.Errorf("stage: %+v", st)
	}
	if _, err := c.DeleteAccessLogSettings(ctx(t), &apigatewayv2.DeleteAccessLogSettingsInput{ApiId: aws.String("http"), StageName: aws.String("$default")}); err != nil {
		t.Fatal(err)
	}
	if now, _ := r.Stage("http", "$default"); now.AccessLogARN != "" {
		t.Errorf("access logs are still there: %+v", now)
	}

	live := &apigatewayv2.UpdateStageInput{ApiId: aws.String("chat"), StageName: aws.String("live"), DefaultRouteSettings: info, RouteSettings: map[string]v2types.RouteSettings{"send": *info}}
	_, err = c.UpdateStage(ctx(t), live)
	fails(t, err, "CloudWatch Logs role ARN must be set")
	r.SetLogRole("arn:aws:iam::" + orders + ":role/Logs")
	st = must[*apigatewayv2.UpdateStageOutput](t)(c.UpdateStage(ctx(t), live))
	if st.DefaultRouteSettings.LoggingLevel != "INFO" || st.RouteSettings["send"].LoggingLevel != "INFO" {
		t.Errorf("stage: %+v", st)
	}
	if _, err := c.DeleteRouteSettings(ctx(t), &apigatewayv2.DeleteRouteSettingsInput{ApiId: aws.String("chat"), StageName: aws.String("live"), RouteKey: aws.String("send")}); err != nil {
		t.Fatal(err)
	}
	if now, _ := r.Stage("chat", "live"); len(now.MethodSettings) > 0 {
		t.Errorf("route settings are still there: %+v", now)
	}
}

func TestRoleChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	policy := w.sim.Account("aws").AddPolicy("service-role/Push", invokePolicy)
	c := w.iam(orders)
	name := aws.String("made")
	create := &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: aws.String(gatewayTrust), Tags: []iamtypes.Tag{{Key: aws.String("k"), Value: aws.String("v")}}}
	made := must[*iam.CreateRoleOutput](t)(c.CreateRole(ctx(t), create))
	if len(made.Role.Tags) != 1 || decoded(t, made.Role.AssumeRolePolicyDocument) != gatewayTrust {
		t.Errorf("role: %+v", made.Role)
	}
	_, err := c.CreateRole(ctx(t), create)
	fails(t, err, "EntityAlreadyExists")
	_, err = c.AttachRolePolicy(ctx(t), &iam.AttachRolePolicyInput{RoleName: name, PolicyArn: aws.String("arn:aws:iam::aws:policy/None")})
	fails(t, err, "NoSuchEntity")
	for range 2 { // attaching again is no error
		if _, err := c.AttachRolePolicy(ctx(t), &iam.AttachRolePolicyInput{RoleName: name, PolicyArn: &policy}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.PutRolePolicy(ctx(t), &iam.PutRolePolicyInput{RoleName: name, PolicyName: aws.String("in"), PolicyDocument: aws.String(invokePolicy)}); err != nil {
		t.Fatal(err)
	}
	_, err = c.DeleteRole(ctx(t), &iam.DeleteRoleInput{RoleName: name})
	fails(t, err, "DeleteConflict")
	if _, err := c.DetachRolePolicy(ctx(t), &iam.DetachRolePolicyInput{RoleName: name, PolicyArn: &policy}); err != nil {
		t.Fatal(err)
	}
	_, err = c.DeleteRole(ctx(t), &iam.DeleteRoleInput{RoleName: name})
	fails(t, err, "DeleteConflict")
	if _, err := c.DeleteRolePolicy(ctx(t), &iam.DeleteRolePolicyInput{RoleName: name, PolicyName: aws.String("in")}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteRole(ctx(t), &iam.DeleteRoleInput{RoleName: name}); err != nil {
		t.Fatal(err)
	}
	_, err = c.GetRole(ctx(t), &iam.GetRoleInput{RoleName: name})
	fails(t, err, "NoSuchEntity")
}

func TestLogGroupTagsAndKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	c := cloudwatchlogs.NewFromConfig(w.admin(orders))
	name, arn := aws.String("g"), aws.String("arn:aws:logs:"+region+":"+orders+":log-group:g")
	if _, err := c.CreateLogGroup(ctx(t), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: name, Tags: map[string]string{"a": "1"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.TagResource(ctx(t), &cloudwatchlogs.TagResourceInput{ResourceArn: arn, Tags: map[string]string{"b": "2"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.UntagResource(ctx(t), &cloudwatchlogs.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	tags := must[*cloudwatchlogs.ListTagsForResourceOutput](t)(c.ListTagsForResource(ctx(t), &cloudwatchlogs.ListTagsForResourceInput{ResourceArn: arn})).Tags
	if len(tags) != 1 || tags["b"] != "2" {
		t.Errorf("tags: %v", tags)
	}
	if _, err := c.AssociateKmsKey(ctx(t), &cloudwatchlogs.AssociateKmsKeyInput{LogGroupName: name, KmsKeyId: aws.String("arn:key")}); err != nil {
		t.Fatal(err)
	}
	got := must[*cloudwatchlogs.DescribeLogGroupsOutput](t)(c.DescribeLogGroups(ctx(t), &cloudwatchlogs.DescribeLogGroupsInput{}))
	if aws.ToString(got.LogGroups[0].KmsKeyId) != "arn:key" {
		t.Errorf("group: %+v", got.LogGroups[0])
	}
	_, err := c.GetDeliverySource(ctx(t), &cloudwatchlogs.GetDeliverySourceInput{Name: aws.String("none")})
	fails(t, err, "ResourceNotFoundException")
}
