package awssim_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"
	"github.com/aws/aws-sdk-go-v2/service/wafv2/types"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
)

func TestWebACL(t *testing.T) {
	t.Parallel()
	sim, cfg := objectWorld(t)
	cfg.HTTPClient = account.Connections(nil)
	r := sim.Account(orders).Region(region)
	arn := r.AddWebACL(awssim.Object{"Name": "shop", "Rules": []awssim.Object{{
		"Name": "rate", "Priority": 3, "Action": awssim.Object{"Block": awssim.Object{}}, "Statement": awssim.Object{"RateBasedStatement": awssim.Object{"Limit": 100, "AggregateKeyType": "IP"}},
	}}})
	client := wafv2.NewFromConfig(cfg)
	got, err := client.GetWebACL(t.Context(), &wafv2.GetWebACLInput{ARN: aws.String(arn)})
	if err != nil || aws.ToString(got.WebACL.Name) != "shop" || aws.ToString(got.WebACL.ARN) != arn || got.WebACL.DefaultAction.Allow == nil ||
		len(got.WebACL.Rules) != 1 || got.WebACL.Rules[0].Action.Block == nil || got.WebACL.Rules[0].Statement.RateBasedStatement == nil {
		t.Errorf("%+v, %v", got, err)
	}
	logging := func(scope types.LogScope) (*wafv2.GetLoggingConfigurationOutput, error) {
		return client.GetLoggingConfiguration(t.Context(), &wafv2.GetLoggingConfigurationInput{ResourceArn: aws.String(arn), LogScope: scope})
	}
	if out, err := logging(""); code(err) != "WAFNonexistentItemException" {
		t.Errorf("a web ACL without logs answers %+v, %v", out, err)
	}
	r.SetWebACLLogging(arn, awssim.Object{"LogDestinationConfigs": []string{"arn:group"}, "LogScope": "SECURITY_LAKE"})
	if out, err := logging("CUSTOMER"); code(err) != "WAFNonexistentItemException" {
		t.Errorf("Security Lake's configuration is the customer's: %+v, %v", out, err)
	}
	if out, err := logging("SECURITY_LAKE"); err != nil || out.LoggingConfiguration.LogDestinationConfigs[0] != "arn:group" || aws.ToString(out.LoggingConfiguration.ResourceArn) != arn {
		t.Errorf("%+v, %v", out, err)
	}
	r.SetWebACLLogging(arn, nil)
	if _, err := logging("SECURITY_LAKE"); code(err) != "WAFNonexistentItemException" {
		t.Errorf("what was taken away is there: %v", err)
	}
	if _, err := client.GetWebACL(t.Context(), &wafv2.GetWebACLInput{ARN: aws.String(arn + "x")}); code(err) != "WAFNonexistentItemException" {
		t.Errorf("a web ACL that is not there: %v", err)
	}
}

// TestWebACLNeedsAPermission reads with a role that may read one web ACL alone.
func TestWebACLNeedsAPermission(t *testing.T) {
	t.Parallel()
	sim, cfg := objectWorld(t)
	cfg.HTTPClient = account.Connections(nil)
	a := sim.Account(orders)
	mine := a.Region(region).AddWebACL(awssim.Object{"Name": "mine"})
	theirs := a.Region(region).AddWebACL(awssim.Object{"Name": "theirs"})
	a.AddRole(awssim.Role{Name: "Reader", TrustedAccounts: []string{orders}, Policies: []string{
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"wafv2:GetWebACL","Resource":"` + mine + `"}}`,
	}})
	s := a.Session("Reader", "test", time.Hour)
	cfg.Credentials = credentials.NewStaticCredentialsProvider(s.AccessKeyID, s.SecretAccessKey, s.SessionToken)
	client := wafv2.NewFromConfig(cfg)
	if _, err := client.GetWebACL(t.Context(), &wafv2.GetWebACLInput{ARN: aws.String(mine)}); err != nil {
		t.Error(err)
	}
	if _, err := client.GetWebACL(t.Context(), &wafv2.GetWebACLInput{ARN: aws.String(theirs)}); code(err) != "AccessDeniedException" {
		t.Errorf("the other web ACL: %v", err)
	}
	if _, err := client.GetLoggingConfiguration(t.Context(), &wafv2.GetLoggingConfigurationInput{ResourceArn: aws.String(mine)}); code(err) != "AccessDeniedException" {
		t.Errorf("its logging: %v", err)
	}
}
