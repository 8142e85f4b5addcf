package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/estate"
)

func TestEstateHistory(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	changes := []estate.Change{
		{
			Time: at, Account: "222222222222", Region: "eu-west-1", API: "a1b2c3d4e5", Type: estate.SubjectStage, Subject: "prod", Name: "orders",
			Kind: estate.Changed, Field: "settings.[* *].logging_level", Before: "INFO", After: "OFF",
		},
		{Time: at, Account: "222222222222", Region: "eu-west-1", API: "f6g7h8i9j0", Type: estate.SubjectAPI, Subject: "f6g7h8i9j0", Name: "forgotten", Kind: estate.Appeared},
	}
	rt := savedEstate{changes: changes}
	t.Run("table", func(t *testing.T) {
		t.Parallel()
		out, _, err := runEstate(t, rt, "history")
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"SEEN", "2026-03-14 15:09:26", "prod", "settings.[* *].logging_level: INFO → OFF", "forgotten", "appeared",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("%q is not in:\n%s", want, out)
			}
		}
	})
	t.Run("JSON", func(t *testing.T) {
		t.Parallel()
		out, _, err := runEstate(t, rt, "history", "--kind", "changed", "-o", "json")
		var got []estate.Change
		if err != nil || json.Unmarshal([]byte(out), &got) != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if d := cmp.Diff(changes[:1], got); d != "" {
			t.Error(d)
		}
	})
	t.Run("nothing", func(t *testing.T) {
		t.Parallel()
		out, _, err := runEstate(t, savedEstate{}, "history")
		if err != nil || out != "no changes\n" {
			t.Errorf("%v %q", err, out)
		}
	})
	for name, args := range map[string][]string{
		"type":  {"history", "--type", "star"},
		"kind":  {"history", "--kind", "vanished"},
		"since": {"history", "--since", "yesterday"},
		"limit": {"history", "--limit", "0"},
		"more":  {"history", "all"},
	} {
		t.Run("usage: "+name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := runEstate(t, rt, args...); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestEstateListShared(t *testing.T) {
	t.Parallel()
	rt := savedEstate{snapshot: &estate.Snapshot{Accounts: []estate.Account{{ID: "222222222222", Regions: []estate.Region{{
		Name:  "eu-west-1",
		Notes: []estate.Fault{{What: "eks:DescribeCluster", Error: "AccessDeniedException: no", Mend: "allow eks:DescribeCluster"}},
		Domains: []estate.Domain{
			{Name: "api.example.com", TLSPolicy: "TLS_1_0", EndpointTypes: []string{"REGIONAL"}, Mappings: []estate.Mapping{{APIID: "a"}}},
			{Name: "unread.example.com", Unseen: []estate.Part{estate.PartMappings}},
		},
		UsagePlans: []estate.UsagePlan{{
			ID: "plan01", Name: "gold", Quota: &estate.Quota{Limit: 5000, Period: "DAY"},
			Throttle: &estate.Throttle{Rate: 12.5, Burst: 20}, Keys: []estate.APIKey{{ID: "key1"}},
		}},
		WebACLs: []estate.WebACL{
			{ARN: "arn:aws:wafv2:eu-west-1:222222222222:regional/webacl/shop/1", Name: "shop", DefaultAction: "ALLOW", Rules: []estate.WebACLRule{{Name: "bots", Action: "COUNT"}}},
			{ARN: "arn:aws:wafv2:eu-west-1:222222222222:regional/webacl/dark/1", Unseen: []estate.Part{estate.PartWebACL}, Logs: []string{"arn:group"}},
		},
		Functions: []estate.Function{
			{ARN: "arn:aws:lambda:eu-west-1:222222222222:function:pets", Versions: []estate.FunctionVersion{
				{Name: "$LATEST", URL: &estate.FunctionURL{AuthType: "NONE"}}, {Name: "live", Called: true, Runtime: "python3.13", Policy: "{}"},
			}},
			{ARN: "arn:aws:lambda:eu-west-1:222222222222:function:lost", Missing: true, Versions: []estate.FunctionVersion{{Name: "$LATEST", Called: true}}},
			{
				ARN: "arn:aws:lambda:eu-west-1:999999999999:function:theirs", Versions: []estate.FunctionVersion{{Name: "$LATEST", Called: true}},
				Unseen: []estate.Part{estate.PartFunctionConfiguration, estate.PartFunctionPolicy, estate.PartFunctionURLs},
			},
		},
		Clusters: []estate.Cluster{
			{Name: "blue", Version: "1.34", AuthenticationMode: "API", PublicEndpoint: true, PublicCIDRs: []string{"0.0.0.0/0"}},
			{Name: "hidden", Unseen: []estate.Part{estate.PartCluster, estate.PartAccessEntries}},
		},
	}}}}}}
	for kind, wants := range map[string][]string{
		"domains":     {"TLS_1_0", "api.example.com", "not seen"},
		"usage-plans": {"gold", "12.5", "5000 a day"},
		"web-acls": {
			"222222222222  eu-west-1  ALLOW     1         0         1         off   shop",
			"222222222222  eu-west-1  not seen  not seen  not seen  not seen  on    arn:aws:wafv2:eu-west-1:222222222222:regional/webacl/dark/1",
		},
		"functions": {
			"$LATEST  no      -           -         NONE      arn:aws:lambda:eu-west-1:222222222222:function:pets",
			"live     yes     python3.13  yes       -         arn:aws:lambda:eu-west-1:222222222222:function:pets",
			"$LATEST  yes     missing     -         -         arn:aws:lambda:eu-west-1:222222222222:function:lost",
			"$LATEST  yes     not seen    not seen  not seen  arn:aws:lambda:eu-west-1:999999999999:function:theirs",
		},
		"clusters": {"0.0.0.0/0", "1.34", "hidden", "not seen"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			out, stderr, err := runEstate(t, rt, "list", kind)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range wants {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not in:\n%s", want, out)
				}
			}
			if !strings.Contains(stderr, "not seen, and not needed to collect calls") || !strings.Contains(stderr, "allow eks:DescribeCluster") {
				t.Errorf("notes:\n%s", stderr)
			}
			text, _, err := runEstate(t, rt, "list", kind, "-o", "json")
			var list []map[string]any
			if err != nil || json.Unmarshal([]byte(text), &list) != nil || len(list) == 0 || list[0]["account"] != "222222222222" {
				t.Errorf("%v: %s", err, text)
			}
		})
	}
}
