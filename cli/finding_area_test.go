package cli

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/finding"
)

// judgedCluster has an open EKS cluster and a role that everybody may assume.
func judgedCluster(t *testing.T) *savedFindings {
	t.Helper()
	f := newSavedFindings(t, false)
	_, err := f.book.Evaluate(t.Context(), &finding.Estate{
		Time: time.Now(),
		Places: []finding.Place{{Account: "111122223333", AccountName: "shop", Region: "eu-west-1", Clusters: []finding.Cluster{{
			Name: "shop", Version: "1.28", AuthenticationMode: "CONFIG_MAP", PublicEndpoint: true,
		}}}},
		Accounts: []finding.Account{{ID: "111122223333", Name: "shop", Partition: "aws", Principals: []finding.Principal{{
			ARN:   "arn:aws:iam::111122223333:role/ci/deployer",
			Trust: `{"Version":"2012-10-17","Statement":[{"Sid":"Everybody","Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}`,
		}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFindingsOfClustersAndRoles(t *testing.T) {
	t.Parallel()
	rt := judgedCluster(t)
	out, _, err := runFinding(t, rt, "list", "--area", "clusters", "--severity", "high")
	if err != nil || !strings.Contains(out, "cluster shop") || !strings.Contains(out, "cluster-endpoint-open") || strings.Contains(out, "deployer") {
		t.Errorf("list of clusters: %v\n%s", err, out)
	}
	var found []finding.Finding
	out, _, err = runFinding(t, rt, "list", "--area", "roles", "--severity", "critical", "-o", "json")
	if err != nil || json.Unmarshal([]byte(out), &found) != nil || len(found) != 1 || found[0].Subject.Name != "role/ci/deployer" || found[0].Subject.Kind != finding.OfPrincipal {
		t.Fatalf("list of roles: %v\n%s", err, out)
	}
	out, _, err = runFinding(t, rt, "show", found[0].ID)
	for _, want := range []string{"role/ci/deployer", "lets a stranger in by Everybody", "aws iam update-assume-role-policy --role-name deployer"} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("show lacks %q: %v\n%s", want, err, out)
		}
	}
	var usage *UsageError
	if _, _, err := runFinding(t, rt, "list", "--area", "cluster"); !errors.As(err, &usage) || !strings.Contains(err.Error(), `no "cluster"`) {
		t.Errorf("an area that there is not: %v", err)
	}
	out, _, err = runFinding(t, rt, "rules")
	if err != nil || !strings.Contains(out, "role-trust-anybody") {
		t.Errorf("rules: %v\n%s", err, out)
	}
}
