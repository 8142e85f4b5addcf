package awssim_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/smithy-go"

	"github.com/gatehouse-project/gatehouse/awssim"
)

// objectWorld is one account whose administrator calls.
func objectWorld(t *testing.T) (*awssim.Sim, aws.Config) {
	t.Helper()
	sim := awssim.New(awssim.Options{})
	key := sim.Account(orders).AddAccessKey("admin")
	server := httptest.NewServer(sim.Handler())
	t.Cleanup(server.Close)
	return sim, aws.Config{
		Region: region, BaseEndpoint: aws.String(server.URL),
		Credentials: credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, ""),
	}
}

func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

func TestObjectsComeInPages(t *testing.T) {
	t.Parallel()
	sim, cfg := objectWorld(t)
	r := sim.Account(orders).Region(region)
	for i := range 30 {
		r.AddObject("usageplans", awssim.Object{"id": fmt.Sprintf("plan%02d", i), "name": "p"})
		r.AddObject("v2/vpclinks", awssim.Object{"vpcLinkId": fmt.Sprintf("link%02d", i), "name": "l", "subnetIds": []string{}, "securityGroupIds": []string{}})
	}
	client := apigateway.NewFromConfig(cfg)
	pages := apigateway.NewGetUsagePlansPaginator(client, &apigateway.GetUsagePlansInput{Limit: aws.Int32(7)})
	plans, n := 0, 0
	for pages.HasMorePages() {
		out, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		plans, n = plans+len(out.Items), n+1
	}
	if plans != 30 || n != 5 {
		t.Errorf("%d plans in %d pages", plans, n)
	}
	links, err := apigatewayv2.NewFromConfig(cfg).GetVpcLinks(t.Context(), &apigatewayv2.GetVpcLinksInput{MaxResults: aws.String("20")})
	if err != nil || len(links.Items) != 20 || aws.ToString(links.NextToken) == "" {
		t.Errorf("%+v %v", links, err)
	}
}

func TestObjectsOfWhatDoesNotExist(t *testing.T) {
	t.Parallel()
	sim, cfg := objectWorld(t)
	v1, v2, k8s := apigateway.NewFromConfig(cfg), apigatewayv2.NewFromConfig(cfg), eks.NewFromConfig(cfg)
	sim.Account(orders).Region(region).AddCluster(awssim.Object{"name": "old", "accessConfig": awssim.Object{"authenticationMode": "CONFIG_MAP"}})
	ctx, none := t.Context(), aws.String("none")
	role := aws.String("arn:aws:iam::222222222222:role/Ops")
	for name, c := range map[string]struct {
		call func(context.Context) error
		want string
	}{
		"models": {func(ctx context.Context) error {
			_, err := v1.GetModels(ctx, &apigateway.GetModelsInput{RestApiId: none})
			return err
		}, "NotFoundException"},
		"keys": {func(ctx context.Context) error {
			_, err := v1.GetUsagePlanKeys(ctx, &apigateway.GetUsagePlanKeysInput{UsagePlanId: none})
			return err
		}, "NotFoundException"},
		"mappings": {func(ctx context.Context) error {
			_, err := v2.GetApiMappings(ctx, &apigatewayv2.GetApiMappingsInput{DomainName: none})
			return err
		}, "NotFoundException"},
		"deployments": {func(ctx context.Context) error {
			_, err := v2.GetDeployments(ctx, &apigatewayv2.GetDeploymentsInput{ApiId: none})
			return err
		}, "NotFoundException"},
		"a cluster": {func(ctx context.Context) error {
			_, err := k8s.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: none})
			return err
		}, "ResourceNotFoundException"},
		"entries of a cluster without": {func(ctx context.Context) error {
			_, err := k8s.ListAccessEntries(ctx, &eks.ListAccessEntriesInput{ClusterName: aws.String("old")})
			return err
		}, "InvalidRequestException"},
		"an entry": {func(ctx context.Context) error {
			_, err := k8s.DescribeAccessEntry(ctx, &eks.DescribeAccessEntryInput{ClusterName: none, PrincipalArn: role})
			return err
		}, "ResourceNotFoundException"},
	} {
		if err := c.call(ctx); code(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// TestEntriesAreAuthorizedByTheirARN lets a role read one cluster's entries alone.
func TestEntriesAreAuthorizedByTheirARN(t *testing.T) {
	t.Parallel()
	sim, cfg := objectWorld(t)
	a := sim.Account(orders)
	role := "arn:aws:iam::222222222222:role/team/Ops"
	entry := awssim.Object{"principalArn": role, "type": "STANDARD"}
	for _, name := range []string{"blue", "green"} {
		a.Region(region).AddCluster(awssim.Object{"name": name, "accessConfig": awssim.Object{"authenticationMode": "API"}}, entry)
	}
	a.AddUser(awssim.User{Name: "reader", Policies: []string{`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"eks:DescribeAccessEntry","Resource":"arn:aws:eks:` + region + `:` + orders + `:access-entry/blue/role/*/Ops/*"},
		{"Effect":"Allow","Action":"eks:DescribeAccessEntry","Resource":"arn:aws:eks:` + region + `:` + orders + `:access-entry/blue/role/` + "222222222222" + `/team/Ops/*"}]}`}})
	key := a.AddAccessKey("reader")
	cfg.Credentials = credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, "")
	client := eks.NewFromConfig(cfg)
	out, err := client.DescribeAccessEntry(t.Context(), &eks.DescribeAccessEntryInput{ClusterName: aws.String("blue"), PrincipalArn: aws.String(role)})
	if err != nil || aws.ToString(out.AccessEntry.PrincipalArn) != role || aws.ToString(out.AccessEntry.ClusterName) != "blue" {
		t.Errorf("%+v %v", out, err)
	}
	_, err = client.DescribeAccessEntry(t.Context(), &eks.DescribeAccessEntryInput{ClusterName: aws.String("green"), PrincipalArn: aws.String(role)})
	if err == nil || !strings.Contains(code(err), "AccessDenied") {
		t.Errorf("another cluster's entry was read: %v", err)
	}
}

func TestLargeEstateRepeats(t *testing.T) {
	t.Parallel()
	fill := func() (apis int, ids []string) {
		sim := awssim.New(awssim.Options{})
		regions := []string{"eu-west-1", "us-east-1", "ap-south-1"}
		ids = sim.AddLargeEstate(awssim.LargeEstate{Accounts: 40, APIs: 120, Regions: regions, Management: "111111111111", Role: awssim.Role{Name: "Collector"}})
		key := sim.Account(ids[0]).AddAccessKey("admin")
		server := httptest.NewServer(sim.Handler())
		t.Cleanup(server.Close)
		for _, name := range regions {
			cfg := aws.Config{Region: name, BaseEndpoint: aws.String(server.URL), Credentials: credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, "")}
			out, err := apigateway.NewFromConfig(cfg).GetRestApis(t.Context(), &apigateway.GetRestApisInput{})
			if err != nil {
				t.Fatal(err)
			}
			apis += len(out.Items)
		}
		return apis, ids
	}
	first, ids := fill()
	second, again := fill()
	if first != second || first == 0 || len(ids) != 40 || ids[39] != again[39] {
		t.Errorf("%d and %d APIs, accounts %v", first, second, ids)
	}
}

// TestPathsOfV2 lets a user read the HTTP APIs by the ARN that IAM knows them by.
func TestPathsOfV2(t *testing.T) {
	t.Parallel()
	sim, cfg := objectWorld(t)
	a := sim.Account(orders)
	a.AddUser(awssim.User{Name: "reader", Policies: []string{
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"apigateway:GET","Resource":"arn:aws:apigateway:` + region + `::/apis"}]}`,
	}})
	key := a.AddAccessKey("reader")
	cfg.Credentials = credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, "")
	client := apigatewayv2.NewFromConfig(cfg)
	if _, err := client.GetApis(t.Context(), &apigatewayv2.GetApisInput{}); err != nil {
		t.Error(err)
	}
	if _, err := client.GetVpcLinks(t.Context(), &apigatewayv2.GetVpcLinksInput{}); err == nil {
		t.Error("the VPC links were read too")
	}
}
