package awssim_test

import (
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/account"
	acctypes "github.com/aws/aws-sdk-go-v2/service/account/types"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/gatehouse-project/gatehouse/awssim"
)

func newGateway(cfg aws.Config) *apigateway.Client { return apigateway.NewFromConfig(cfg) }

func readAll(r io.Reader) (string, error) {
	b, err := io.ReadAll(r)
	return string(b), err
}

func TestListAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	org := w.sim.Organization(hub)
	want := []string{hub}
	for i := range 44 {
		id := fmt.Sprintf("5%011d", i)
		org.Add(id)
		want = append(want, id)
	}
	w.sim.Account(want[3]).SetName("closed one").SetStatus("SUSPENDED")
	client := w.organizations(hub)
	var got []string
	pages := 0
	for p := organizations.NewListAccountsPaginator(client, &organizations.ListAccountsInput{}); p.HasMorePages(); pages++ {
		for _, a := range must[*organizations.ListAccountsOutput](t)(p.NextPage(ctx(t))).Accounts {
			got = append(got, *a.Id)
			if *a.Id == want[3] && (*a.Name != "closed one" || a.Status != orgtypes.AccountStatusSuspended) {
				t.Errorf("account is %s %s", *a.Name, a.Status)
			}
		}
	}
	if !slices.Equal(got, want) || pages != 3 {
		t.Errorf("%d pages with %d accounts, want 3 with %d", pages, len(got), len(want))
	}
	_, err := client.ListAccounts(ctx(t), &organizations.ListAccountsInput{NextToken: aws.String("junk")})
	wantError[*orgtypes.InvalidInputException](t, err, "You specified an invalid value: NextToken.")
}

func TestOrganizationFromOtherAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	org := w.sim.Organization(hub).Add(orders)
	if w.sim.Organization(hub) != org {
		t.Error("the same management account has two organizations")
	}
	_, err := w.organizations(orders).ListAccounts(ctx(t), nil)
	wantError[*orgtypes.AccessDeniedException](t, err, "You don't have permissions to access this resource.")
	_, err = w.organizations(other).ListAccounts(ctx(t), nil)
	wantError[*orgtypes.AWSOrganizationsNotInUseException](t, err, "Your account is not a member of an organization.")
	_, err = w.organizations(other).DescribeOrganization(ctx(t), nil)
	wantError[*orgtypes.AWSOrganizationsNotInUseException](t, err, "Your account is not a member of an organization.")
	d := must[*organizations.DescribeOrganizationOutput](t)(w.organizations(orders).DescribeOrganization(ctx(t), nil))
	if *d.Organization.Id != org.ID() || *d.Organization.MasterAccountId != hub || d.Organization.FeatureSet != orgtypes.OrganizationFeatureSetAll {
		t.Errorf("organization is %+v", d.Organization)
	}
}

func TestListRegions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	a := w.sim.Account(orders)
	a.SetRegionStatus("ap-east-1", "ENABLED")
	a.Region("eu-south-1").SetLogRole("arn:x")
	client := w.account(orders)
	names := func(in account.ListRegionsInput) (list []string) {
		for p := account.NewListRegionsPaginator(client, &in); p.HasMorePages(); {
			for _, r := range must[*account.ListRegionsOutput](t)(p.NextPage(ctx(t))).Regions {
				list = append(list, *r.RegionName)
			}
		}
		return list
	}
	on := names(account.ListRegionsInput{MaxResults: aws.Int32(7), RegionOptStatusContains: []acctypes.RegionOptStatus{acctypes.RegionOptStatusEnabled, acctypes.RegionOptStatusEnabledByDefault}})
	if len(on) != 19 || !slices.Contains(on, "ap-east-1") || !slices.Contains(on, "eu-south-1") || slices.Contains(on, "af-south-1") || !slices.IsSorted(on) {
		t.Errorf("%d enabled regions: %v", len(on), on)
	}
	if all := names(account.ListRegionsInput{}); len(all) != 33 {
		t.Errorf("%d regions: %v", len(all), all)
	}
	_, err := client.ListRegions(ctx(t), &account.ListRegionsInput{AccountId: aws.String(hub)})
	wantError[*acctypes.AccessDeniedException](t, err, "User: arn:aws:iam::222222222222:user/admin is not authorized to perform: account:ListRegions on resource: * because no identity-based policy allows the account:ListRegions action")
	w.sim.Organization(orders).Add(hub)
	must[*account.ListRegionsOutput](t)(client.ListRegions(ctx(t), &account.ListRegionsInput{AccountId: aws.String(hub)}))

	cfg := w.admin(orders)
	cfg.Region = "af-south-1"
	_, err = cloudwatchlogs.NewFromConfig(cfg).DescribeLogGroups(ctx(t), nil)
	wantCode(t, err, "UnrecognizedClientException", "The security token included in the request is invalid.")
}
