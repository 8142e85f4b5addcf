package awssim_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
)

// TestFunctionVersions asks for a function and an alias of it, by name and by ARN: each
// has its own policy.
func TestFunctionVersions(t *testing.T) {
	t.Parallel()
	sim, cfg := objectWorld(t)
	cfg.HTTPClient = account.Connections(nil)
	r := sim.Account(orders).Region(region)
	arn := r.AddFunction("pets", awssim.Object{"Runtime": "python3.13", "PackageType": "Zip"})
	r.SetFunctionPolicy("pets", `{"Statement":[{"Effect":"Allow","Principal":{"Service":"apigateway.amazonaws.com"},"Action":"lambda:InvokeFunction","Resource":"`+arn+`"}]}`)
	const own = `{"Version":"2012-10-17","Statement":[]}`
	r.PublishFunction("pets", "live", own, awssim.Object{"Runtime": "python3.9"})
	r.PublishFunction("pets", "1", "", nil)
	r.AddFunctionURL("pets", "", "AWS_IAM", nil)
	r.AddFunctionURL("pets", "live", "NONE", awssim.Object{"AllowOrigins": []string{"*"}})
	client := lambda.NewFromConfig(cfg)
	for _, c := range []struct{ name, version, runtime, policy, refused string }{
		{"pets", "", "python3.13", r.FunctionPolicy("pets"), ""},
		{arn, "$LATEST", "python3.13", r.FunctionPolicy("pets"), ""},
		{arn, "live", "python3.9", own, ""},
		{"pets", "1", "python3.13", "", ""},
		{"pets", "gone", "", "", "ResourceNotFoundException"},
		{"other", "", "", "", "ResourceNotFoundException"},
	} {
		var version *string
		if c.version != "" {
			version = aws.String(c.version)
		}
		got, err := client.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(c.name), Qualifier: version})
		if code(err) != c.refused || err == nil && string(got.Runtime) != c.runtime {
			t.Errorf("%s %s: %+v, %v", c.name, c.version, got, err)
		}
		policy, err := client.GetPolicy(t.Context(), &lambda.GetPolicyInput{FunctionName: aws.String(c.name), Qualifier: version})
		switch {
		case c.policy == "" && code(err) != "ResourceNotFoundException":
			t.Errorf("%s %s without a policy answers %+v, %v", c.name, c.version, policy, err)
		case c.policy != "" && (err != nil || aws.ToString(policy.Policy) != c.policy):
			t.Errorf("%s %s has the policy %+v, %v", c.name, c.version, policy, err)
		}
	}
	urls, err := client.ListFunctionUrlConfigs(t.Context(), &lambda.ListFunctionUrlConfigsInput{FunctionName: aws.String(arn)})
	if err != nil || len(urls.FunctionUrlConfigs) != 2 || urls.FunctionUrlConfigs[0].Cors != nil {
		t.Fatalf("%+v, %v", urls, err)
	}
	if u := urls.FunctionUrlConfigs[1]; aws.ToString(u.FunctionArn) != arn+":live" || u.AuthType != "NONE" || u.Cors.AllowOrigins[0] != "*" {
		t.Errorf("%+v", u)
	}

	// A permission that is added in between takes neither versions nor addresses away.
	if _, err := client.AddPermission(t.Context(), &lambda.AddPermissionInput{
		FunctionName: aws.String("pets"), StatementId: aws.String("more"), Action: aws.String("lambda:InvokeFunction"), Principal: aws.String("333333333333"),
	}); err != nil {
		t.Fatal(err)
	}
	if urls, err := client.ListFunctionUrlConfigs(t.Context(), &lambda.ListFunctionUrlConfigsInput{FunctionName: aws.String("pets")}); err != nil || len(urls.FunctionUrlConfigs) != 2 {
		t.Errorf("%+v, %v", urls, err)
	}
}
