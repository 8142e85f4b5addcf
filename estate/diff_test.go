package estate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// drawSnapshot draws a small estate in which everything may be there or not, be so
// or otherwise, be seen or not.
func drawSnapshot(t *rapid.T, label string) *Snapshot {
	bit := func(name string) bool { return rapid.Bool().Draw(t, label+name) }
	few := func(name string) []int {
		return rapid.SliceOfNDistinct(rapid.IntRange(0, 3), 0, 3, rapid.ID[int]).Draw(t, label+name)
	}
	parts := func(name string, of ...Part) (unseen []Part) {
		for _, p := range of {
			if rapid.IntRange(0, 4).Draw(t, label+name+string(p)) == 0 {
				unseen = append(unseen, p)
			}
		}
		return unseen
	}
	s := &Snapshot{Partial: bit("partial")}
	for _, a := range few("accounts") {
		account := Account{ID: fmt.Sprintf("%012d", a), Name: fmt.Sprint("n", few("account name"))}
		for _, r := range few("regions") {
			region := Region{Name: fmt.Sprint("region-", r), Unseen: parts("region", PartREST, PartAccount, PartUsagePlans, PartDeliveries, PartLogGroups, PartClusters)}
			if bit("role") {
				region.LogRole = "role"
			}
			for _, i := range few("apis") {
				api := API{ID: fmt.Sprint("api", i), Type: "REST", DefaultDisabled: bit("disabled"), Unseen: parts("api", PartStages, PartRoutes, PartAuthorizers, PartIntegrations)}
				for _, j := range few("stages") {
					api.Stages = append(api.Stages, Stage{Name: fmt.Sprint("stage", j), Tracing: bit("tracing"), Deliveries: []Delivery{{ID: "d", Destination: fmt.Sprint(bit("delivery"))}}})
				}
				for _, j := range few("routes") {
					api.Routes = append(api.Routes, Route{Method: "GET", Path: fmt.Sprint("/", j), Authorization: fmt.Sprint(bit("auth")), Backend: &Integration{Type: fmt.Sprint(bit("backend"))}})
				}
				region.APIs = append(region.APIs, api)
			}
			for _, i := range few("plans") {
				region.UsagePlans = append(region.UsagePlans, UsagePlan{ID: fmt.Sprint("plan", i), Keys: []APIKey{{ID: fmt.Sprint(bit("key"))}}, Unseen: parts("plan", PartKeys)})
			}
			for _, i := range few("groups") {
				region.LogGroups = append(region.LogGroups, LogGroup{Name: fmt.Sprint(restGroupPrefix, i), RetentionDays: int32(len(few("days"))), Bytes: rapid.Int64().Draw(t, label+"bytes")})
			}
			for _, i := range few("clusters") {
				region.Clusters = append(region.Clusters, Cluster{Name: fmt.Sprint("c", i), PublicEndpoint: bit("public"), Unseen: parts("cluster", PartCluster, PartAccessEntries)})
			}
			account.Regions = append(account.Regions, region)
		}
		s.Accounts = append(s.Accounts, account)
	}
	return s
}

// shuffled is the same estate in another order.
func shuffled(s *Snapshot, random *rand.Rand) *Snapshot {
	out := &Snapshot{Partial: s.Partial, Accounts: slices.Clone(s.Accounts)}
	random.Shuffle(len(out.Accounts), func(i, j int) { out.Accounts[i], out.Accounts[j] = out.Accounts[j], out.Accounts[i] })
	for i := range out.Accounts {
		regions := slices.Clone(out.Accounts[i].Regions)
		random.Shuffle(len(regions), func(i, j int) { regions[i], regions[j] = regions[j], regions[i] })
		for j := range regions {
			apis := slices.Clone(regions[j].APIs)
			random.Shuffle(len(apis), func(i, j int) { apis[i], apis[j] = apis[j], apis[i] })
			regions[j].APIs = apis
		}
		out.Accounts[i].Regions = regions
	}
	return out
}

func TestDiffProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		before, after := drawSnapshot(t, "before "), drawSnapshot(t, "after ")
		changes := Diff(before, after)
		if same := Diff(before, before); len(same) != 0 {
			t.Fatalf("an estate differs from itself: %+v", same)
		}
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		if diff := cmp.Diff(changes, Diff(shuffled(before, random), shuffled(after, random))); diff != "" {
			t.Fatalf("the order of the estate matters: %s", diff)
		}
		// The way back undoes every change.
		back := Diff(after, before)
		turned := make([]Change, len(changes))
		for i, c := range changes {
			c.Before, c.After = c.After, c.Before
			switch c.Kind {
			case Appeared:
				c.Kind = Went
			case Went:
				c.Kind = Appeared
			case Changed:
			}
			turned[i] = c
		}
		if diff := cmp.Diff(turned, back, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b Change) bool {
			a.Name, b.Name = "", "" // the later one's
			return a == b
		})); diff != "" {
			t.Fatalf("the way back is another one: %s", diff)
		}
		for _, c := range changes {
			if unseenIn(before, c) || unseenIn(after, c) {
				t.Fatalf("what was not seen has changed: %+v", c)
			}
			if c.Kind == Changed && (c.Field == "" || c.Before == c.After) {
				t.Fatalf("nothing changed: %+v", c)
			}
		}
	})
}

// unseenIn reports whether a change is of something that the estate did not see.
func unseenIn(s *Snapshot, c Change) bool {
	r := s.regions()[[2]string{c.Account, c.Region}]
	if r == nil {
		return c.Region != ""
	}
	switch c.Type {
	case SubjectAPI:
		return c.Kind != Changed && !r.Seen(PartREST) && !slices.ContainsFunc(r.APIs, func(a API) bool { return a.ID == c.API })
	case SubjectUsagePlan:
		return !r.Seen(PartUsagePlans)
	case SubjectLogGroup:
		return !r.Seen(PartLogGroups)
	case SubjectCluster:
		return !r.Seen(PartClusters)
	case SubjectRegion:
		return !r.Seen(PartAccount)
	case SubjectStage, SubjectRoute:
		i := slices.IndexFunc(r.APIs, func(a API) bool { return a.ID == c.API })
		return i < 0 || c.Type == SubjectStage && !r.APIs[i].Seen(PartStages) || c.Type == SubjectRoute && !r.APIs[i].Seen(PartRoutes) ||
			strings.HasPrefix(c.Field, "backend") && !r.APIs[i].Seen(PartIntegrations) || strings.HasPrefix(c.Field, "deliveries") && !r.Seen(PartDeliveries)
	case SubjectAccount, SubjectAuthorizer, SubjectDomain, SubjectVPCLink, SubjectClientCertificate, SubjectLogPolicy, SubjectAccessEntry, SubjectPrincipal:
	}
	return false
}

func TestDiffOfNothing(t *testing.T) {
	t.Parallel()
	s := &Snapshot{Accounts: []Account{{ID: "1"}}}
	for name, got := range map[string][]Change{"no before": Diff(nil, s), "no after": Diff(s, nil), "another form": Diff(&Snapshot{Form: 7}, s)} {
		if len(got) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := Diff(&Snapshot{}, s); len(got) != 1 || got[0].Kind != Appeared || got[0].Subject != "1" {
		t.Errorf("%+v", got)
	}
}

func TestChangesAreNamed(t *testing.T) {
	t.Parallel()
	estateOf := func(api API) *Snapshot {
		return &Snapshot{Accounts: []Account{{ID: "1", Regions: []Region{{Name: "r", APIs: []API{api}}}}}}
	}
	plan := func(s MethodSettings) API {
		return API{ID: "a", Type: "REST", Stages: []Stage{{Name: "prod", Settings: []MethodSettings{{Method: "*", Path: "*"}, s}}}}
	}
	got := Diff(
		estateOf(plan(MethodSettings{Method: "GET", Path: "/pets", Throttle: &Throttle{1, 2}})),
		estateOf(plan(MethodSettings{Method: "GET", Path: "/pets", Throttle: &Throttle{5, 2}})))
	if len(got) != 1 || got[0].Field != "settings.[GET /pets].throttle.rate" || got[0].Before != "1" || got[0].After != "5" {
		t.Errorf("%+v", got)
	}
	got = Diff(estateOf(API{ID: "a", Policy: "short"}), estateOf(API{ID: "a", Policy: strings.Repeat("é", 5000)}))
	if len(got) != 1 || len(got[0].After) > valueAtMost+4 || !utf8.ValidString(got[0].After) || !strings.HasSuffix(got[0].After, "…") {
		t.Errorf("%+v", got)
	}
}
