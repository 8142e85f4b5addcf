package app

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/cli"
	"github.com/gatehouse-project/gatehouse/demo"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/finding"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// The demo's organization, discovered over the wire, has the findings that it was
// built to have, and a second discovery changes none of them.
func TestDemoFindings(t *testing.T) {
	t.Parallel()
	sim := awssim.New(awssim.Options{Seed: 1})
	world := demo.NewWorld(sim)
	server, err := sim.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, cleanup, err := demoConfig(cli.DemoOptions{State: t.TempDir(), LogLevel: "error"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := newProduct(t.Context(), c, options{base: account.Options{BaseConfig: demoBase(world, server.URL())}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.close(), server.Close(), cleanup()); err != nil {
			t.Error(err)
		}
	})
	discover := func() []finding.Finding {
		t.Helper()
		if _, err := p.estate.discover(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		page, err := p.findings.List(t.Context(), finding.Query{Limit: 1000})
		if err != nil || page.Next != "" {
			t.Fatalf("the findings are no page: %v", err)
		}
		return page.Findings
	}
	found := discover()
	has := func(rule, api, name string) bool {
		return slices.ContainsFunc(found, func(f finding.Finding) bool {
			return f.Rule == rule && f.Subject.APIName == api && (name == "" || f.Subject.Name == name || f.Subject.Stage == name)
		})
	}
	for _, want := range [][3]string{
		{"route-open", "customers-v1", "GET /customers/{customerId}"},
		{"data-trace-unprotected", "customers-v1", "live"},
		{"websocket-open", "chat", ""},
		{"route-key-only", "payments", "POST /settlements"},
		{"authorizer-gap", "catalog", ""},
		{"waf-missing", "customers-v1", "live"},
		{"function-url-open", "", "customers-v1"},
		{"function-any-gateway", "", "customers-v1"},
		{"function-runtime-ended", "", "customers-v1"},
		{"waf-log-off", "", "payments/11111111-2222-4333-8444-555555555555"},
		{"waf-blocks-nothing", "", "payments/11111111-2222-4333-8444-555555555555"},
	} {
		if !has(want[0], want[1], want[2]) {
			t.Errorf("the demo lacks %s of %s %s", want[0], want[1], want[2])
		}
	}
	for i := range found {
		f := &found[i]
		if f.State != finding.Open || f.Version != 1 || len(f.Evidence) == 0 {
			t.Errorf("%s %s is %s at version %d with %d facts", f.Rule, f.ID, f.State, f.Version, len(f.Evidence))
		}
		if f.Subject.APIType == finding.HTTP && (f.Rule == "execution-log-off" || f.Rule == "waf-missing") {
			t.Errorf("%s is asked of an HTTP API", f.Rule)
		}
	}
	posture, err := p.findings.Posture(t.Context())
	if err != nil || posture == nil || len(posture.Rules) != len(finding.Catalogue()) {
		t.Fatalf("the posture is %+v, %v", posture, err)
	}
	again := discover()
	for i := range again {
		if again[i].Version != 1 || i < len(found) && again[i].ID != found[i].ID {
			t.Errorf("a second discovery changed %s %s: %s, version %d", again[i].Rule, again[i].ID, again[i].State, again[i].Version)
		}
	}
}

// What a discovery could not read reaches the rules as not seen.
func TestJudgedSaysWhatWasNotRead(t *testing.T) {
	t.Parallel()
	e := judged(&estate.Snapshot{Accounts: []estate.Account{
		{ID: "111111111111", Error: "denied"},
		{ID: "222222222222", Regions: []estate.Region{{
			Name: "cn-north-1", Unseen: []estate.Part{estate.PartAccount},
			APIs: []estate.API{{ID: "a", Type: transaction.REST, RoutesPartial: true, Unseen: []estate.Part{estate.PartStages}}},
		}}},
	}})
	if len(e.Unread) != 1 || e.Unread[0].Account != "111111111111" || len(e.Places) != 1 {
		t.Fatalf("the estate is %+v", e)
	}
	p := &e.Places[0]
	if p.Partition != "aws-cn" || !slices.Equal(p.Unseen, []finding.Part{finding.PartAccount}) || !slices.Equal(p.APIs[0].Unseen, []finding.Part{finding.PartStages, finding.PartRoutes}) {
		t.Errorf("the place is %+v", p)
	}
}

// Each part that the rules know has the name that the estate gives it.
func TestPartsHaveOneName(t *testing.T) {
	t.Parallel()
	for of, part := range map[finding.Part]estate.Part{
		finding.PartREST: estate.PartREST, finding.PartV2: estate.PartV2, finding.PartAccount: estate.PartAccount,
		finding.PartUsagePlans: estate.PartUsagePlans, finding.PartDomains: estate.PartDomains, finding.PartMappings: estate.PartMappings,
		finding.PartCertificates: estate.PartClientCertificates, finding.PartStages: estate.PartStages, finding.PartRoutes: estate.PartRoutes,
		finding.PartIntegrations: estate.PartIntegrations, finding.PartAuthorizers: estate.PartAuthorizers, finding.PartValidators: estate.PartValidators,
		finding.PartModels: estate.PartModels, finding.PartResponses: estate.PartGatewayResponses, finding.PartDeployments: estate.PartDeployments,
		finding.PartLogGroups: estate.PartLogGroups, finding.PartDeliveries: estate.PartDeliveries, finding.PartLogPolicies: estate.PartLogPolicies,
		finding.PartSubscriptions: estate.PartSubscriptions, finding.PartDataProtection: estate.PartDataProtection,
		finding.PartClusters: estate.PartClusters, finding.PartCluster: estate.PartCluster, finding.PartAccessEntries: estate.PartAccessEntries,
		finding.PartPrincipals: estate.PartPrincipals,
		finding.PartWebACL:     estate.PartWebACL, finding.PartWebACLLogging: estate.PartWebACLLogging,
		finding.PartFunctionConfiguration: estate.PartFunctionConfiguration, finding.PartFunctionPolicy: estate.PartFunctionPolicy,
		finding.PartFunctionURLs: estate.PartFunctionURLs,
	} {
		if string(of) != string(part) {
			t.Errorf("the rules say %q where the estate says %q", of, part)
		}
	}
}

// A state that keeps no findings takes nothing away from a discovery.
func TestJudgeWithoutStore(t *testing.T) {
	t.Parallel()
	p := &product{findings: finding.NewBook(cursorsAlone{}, nil), log: newLogger(nil, nil)}
	p.judge(context.Background(), &estate.Snapshot{})
}

// cursorsAlone is a store of cursors alone.
type cursorsAlone struct{ finding.Store }

func (cursorsAlone) Findings(context.Context, finding.Query) (finding.Page, error) {
	return finding.Page{}, finding.ErrNotKept
}
