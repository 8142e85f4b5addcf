package app

import (
	"errors"
	"slices"
	"testing"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/cli"
	"github.com/gatehouse-project/gatehouse/demo"
	"github.com/gatehouse-project/gatehouse/finding"
)

// Clusters, and the roles of an account, are discovered over the wire and judged by
// what their policies allow.
func TestClustersAndRolesAreJudged(t *testing.T) {
	t.Parallel()
	sim := awssim.New(awssim.Options{Seed: 1})
	world := demo.NewWorld(sim)
	owner := sim.Account(demo.Orders)
	everybody := owner.AddRole(awssim.Role{Name: "everybody", TrustPolicy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`})
	owner.AddRole(awssim.Role{Name: "pods", TrustPolicy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::` + demo.Orders +
		`:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/ABC"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"oidc.eks.eu-west-1.amazonaws.com/id/ABC:aud":"sts.amazonaws.com"}}}]}`})
	owner.AddRole(awssim.Role{
		Name: "caller", PermissionsBoundary: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*"}]}`,
		Inline: map[string]string{"all": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`},
	})
	owner.Region("eu-west-1").AddCluster(
		awssim.Object{
			"name": "shop", "status": "ACTIVE", "version": "1.28", "accessConfig": awssim.Object{"authenticationMode": "API"},
			"resourcesVpcConfig": awssim.Object{"endpointPublicAccess": true, "publicAccessCidrs": []string{"0.0.0.0/0"}},
		},
		awssim.Object{"principalArn": everybody, "type": "STANDARD"},
		awssim.Object{"principalArn": "arn:aws:iam::" + demo.Orders + ":role/gone", "type": "STANDARD"},
		awssim.Object{"principalArn": "arn:aws:iam::999999999999:role/consultants", "type": "STANDARD"},
	)
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
	if _, err := p.estate.discover(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	page, err := p.findings.List(t.Context(), finding.Query{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	has := func(rule, name string) bool {
		return slices.ContainsFunc(page.Findings, func(f finding.Finding) bool { return f.Rule == rule && f.Subject.Name == name })
	}
	for _, want := range [][2]string{
		{"cluster-endpoint-open", "shop"},
		{"cluster-public-unaudited", "shop"},
		{"cluster-version-ended", "shop"},
		{"cluster-entry-foreign", "shop"},
		{"cluster-entry-gone", "shop"},
		{"role-trust-anybody", "role/everybody"},
		{"oidc-subject-open", "role/pods"},
		{"principal-invokes-every-api", "role/caller"},
	} {
		if !has(want[0], want[1]) {
			t.Errorf("%s of %s is not found", want[0], want[1])
		}
	}
	for _, no := range [][2]string{
		{"cluster-config-map", "shop"},
		{"cluster-entry-wide", "shop"},
		{"oidc-audience-open", "role/pods"},
		{"principal-administrator", "role/caller"},
		{"principal-manages-every-api", "role/caller"},
		{"role-trust-anybody", "role/" + demo.CollectorRole},
		{"role-trust-inside", "role/" + demo.CollectorRole},
	} {
		if has(no[0], no[1]) {
			t.Errorf("%s of %s is found", no[0], no[1])
		}
	}
}
