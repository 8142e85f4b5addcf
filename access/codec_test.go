package access_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

// kept is one row of each kind, with every field set that the first version had.
type kept struct {
	Request     *access.Request
	Grant       *access.Grant
	Object      *access.Object
	Integration *access.Integration
	Health      *access.Health
	Flows       *access.FlowVersion
	Stop        *access.Stop
	Drift       *access.Drift
}

func keptRows() kept {
	at := func(m int) time.Time { return time.Date(2026, 11, 22, 10, m, 0, 123456789, time.UTC) }
	ann := flow.Person{ID: "Ann@example.com", Name: "Ann", Groups: []string{"dev"}, Attributes: map[string][]string{"team": {"a", "b"}}, Manager: "boss@example.com"}
	item := flow.Item{
		Resource: flow.Resource{
			Integration: "prod", Type: "eks-namespace", ID: "namespace/payments", Name: "payments", Path: "prod / payments", Tags: map[string]string{"team": "a"},
			Permissions: []string{"view", "edit"}, Owners: []flow.Principal{{Kind: "group", Value: "a"}},
		},
		Permission: "edit",
	}
	group := flow.ApproverGroup{Operator: "or", Conditions: []flow.Condition{{Type: "attribute", Name: "team", Match: "is", Values: []string{"sre"}}}}
	return kept{
		Request: &access.Request{
			ID: "raaaa", Version: 3, Extends: "gbbbb", By: ann, For: ann, Items: []flow.Item{item}, Bundle: "look", Duration: time.Hour,
			Justification: "an incident", BreakGlass: true, State: access.Approved,
			Rule: flow.Decision{
				Outcome: flow.NeedsApproval, Flow: "edit", FlowVersion: 7, Reasons: []string{"because"},
				Approval: flow.Approval{Mode: flow.AllOf, Groups: []flow.ApproverGroup{group}, Escalation: []flow.EscalationStep{{After: time.Minute, Groups: []flow.ApproverGroup{group}}}},
				Duration: time.Hour, MaxDuration: 2 * time.Hour, MaxExtensions: 1, ExtensionDuration: 30 * time.Minute, ApproverReason: true,
				SelfApproval: true, BreakGlass: true, LapseAfter: 24 * time.Hour,
			},
			Votes:     []flow.Vote{{By: flow.Person{ID: "sam@example.com"}, Approve: true, Reason: "known", At: at(1), Via: "slack"}},
			CreatedAt: at(0), DecidedAt: at(1), LapsesAt: at(59), Escalated: 1, Grant: "gaaaa", DecidedBy: "sam@example.com", Via: "cli",
		},
		Grant: &access.Grant{
			ID: "gaaaa", Version: 4, Request: "raaaa", Flow: "edit", Person: ann,
			Items: []access.GrantItem{{Item: item, Object: "prod/x", Confirmed: true}}, State: access.Revoking, Duration: time.Hour,
			CreatedAt: at(1), ReadyAt: at(2), ExpiresAt: at(3), EndReason: access.Revoked, EndedBy: "root@example.com", EndingAt: at(3), EndedAt: at(4),
			Extensions: 1, BreakGlass: true, Justification: "an incident", TellAt: at(2),
		},
		Object: &access.Object{
			Key: "prod/x", Integration: "prod", Generation: 5, Applied: 4, AppliedAt: at(2), Attempts: 3, LastError: "no route", NextTry: at(4), DueAt: at(3),
			Recheck: at(5), Note: "others keep it", Kept: []byte(`{"uid":"1"}`),
		},
		Integration: &access.Integration{
			Name: "prod", Version: 2, Type: "eks-rbac", ResourceTypes: []string{"eks-namespace"}, Config: map[string]string{"region": "eu-west-1"},
			Secret: &access.SecretRef{
				Kubernetes: &access.KubernetesSecret{Namespace: "gatehouse", Name: "prod"}, AWS: &access.AWSSecret{Region: "eu-west-1", SecretID: "prod"}, Environment: "PROD",
			},
			AccessDetails: "ask sre", Owner: []flow.Principal{{Kind: "group", Value: "sre"}}, OwnerTag: "team", OwnerKind: "group", RotationDays: 30, CleanupDays: 7,
			DeleteOrphans: true,
		},
		Health: &access.Health{
			CheckedAt: at(1), DiscoveredAt: at(2), Resources: 9, Checks: []access.Check{{Name: "clock", Result: "ok", Detail: "right", Mend: "none"}}, Error: "x",
			ReconciledAt: at(3), ReconcileError: "y", RotatedAt: at(4), RotateError: "z",
		},
		Flows: &access.FlowVersion{Version: 7, Text: "flows: []\n", Digest: "aa", By: "root@example.com", At: at(0), Source: "file", Applied: map[string]string{"flow/edit": "bb"}},
		Stop:  &access.Stop{ID: "saaaa", Scope: access.StopScope{Kind: "resource", Person: "a", Integration: "prod", Resource: "r"}, By: "root@example.com", Reason: "fire", At: at(0), Swept: true},
		Drift: &access.Drift{Integration: "prod", Key: "prod/x", Name: "x", Kind: "changed", Detail: "d", Grants: []string{"gaaaa"}, First: at(0), Last: at(1), Mended: at(2)},
	}
}

func decodeRow[T any](t *testing.T, raw json.RawMessage) *T {
	t.Helper()
	v, err := access.DecodeRow[T](raw)
	if err != nil {
		t.Errorf("DecodeRow: %v", err)
	}
	return v
}

// Rows that the first version wrote are read for ever: a grant may be older than the
// process that has to end it. The file is never written anew; a later version gets one
// of its own.
func TestRowsOfVersion1(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("testdata/rows-v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		t.Fatal(err)
	}
	got := kept{
		Request: decodeRow[access.Request](t, raw["Request"]), Grant: decodeRow[access.Grant](t, raw["Grant"]), Object: decodeRow[access.Object](t, raw["Object"]),
		Integration: decodeRow[access.Integration](t, raw["Integration"]), Health: decodeRow[access.Health](t, raw["Health"]),
		Flows: decodeRow[access.FlowVersion](t, raw["Flows"]), Stop: decodeRow[access.Stop](t, raw["Stop"]), Drift: decodeRow[access.Drift](t, raw["Drift"]),
	}
	if diff := cmp.Diff(keptRows(), got); diff != "" {
		t.Errorf("rows of version 1 (-want +got):\n%s", diff)
	}
}

func TestRowsOfOtherVersions(t *testing.T) {
	t.Parallel()
	for row, want := range map[string]string{
		`{"v":2,"is":{"id":"g"}}`: "run the newer one",
		`{"v":0,"is":{"id":"g"}}`: "version 0",
		`{"v":1}`:                 "version 1",
		`{`:                       "cannot be read",
	} {
		if g, err := access.DecodeRow[access.Grant]([]byte(row)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v", row, g, err)
		}
	}
	if g, err := access.DecodeRow[access.Grant]([]byte(`{"v":1,"is":{"id":"g","later":true}}`)); err != nil || g.ID != "g" {
		t.Errorf("with a field of a later version: %+v, %v", g, err)
	}
}
