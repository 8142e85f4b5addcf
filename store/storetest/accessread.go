package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/store"
)

func accessPages(t *testing.T, _ store.Store, l access.Store) {
	const count = 57
	c := &access.Change{}
	for n := range count {
		at := start.Add(time.Duration(n/3) * time.Second)
		person := []string{"Ann@x", "bob@x"}[n%2]
		r := lentRequest(fmt.Sprintf("r%03d", n), person, at)
		g := lentGrant(fmt.Sprintf("g%03d", n), person, at, []string{"a", "b", "c"}[n%3])
		g.Request = r.ID
		if n%4 == 0 {
			r.State, r.For = access.Denied, flow.Person{ID: "cleo@x"}
			g.State = access.Ended
			r.Items[0].Resource.Integration, g.Items[0].Resource.Integration = "test", "test"
		}
		c.Requests, c.Grants = append(c.Requests, r), append(c.Grants, g)
	}
	mustCommit(t, l, c)
	seen := map[string]bool{}
	var last *access.Grant
	q := access.GrantQuery{Limit: 10}
	for range count {
		page, err := l.Grants(t.Context(), q)
		if err != nil || page.Total != count {
			t.Fatalf("a page of %d in all, %v", page.Total, err)
		}
		for _, g := range page.Grants {
			if seen[g.ID] || last != nil && last.CreatedAt.Before(g.CreatedAt) {
				t.Errorf("%s of %v comes after %v", g.ID, g.CreatedAt, last)
			}
			seen[g.ID], last = true, g
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	if len(seen) != count {
		t.Errorf("the pages have %d grants", len(seen))
	}
	for name, c := range map[string]struct {
		q    access.GrantQuery
		want int
	}{
		"person":      {access.GrantQuery{Person: "ann@X"}, 29},
		"state":       {access.GrantQuery{States: []access.GrantState{access.Ended}}, 15},
		"states":      {access.GrantQuery{States: []access.GrantState{access.Ended, access.Active}}, 57},
		"integration": {access.GrantQuery{Integration: "test"}, 15},
		"resource":    {access.GrantQuery{Integration: "prod", Resource: "a"}, 14},
		"request":     {access.GrantQuery{Request: "r007"}, 1},
	} {
		if page, err := l.Grants(t.Context(), c.q); err != nil || page.Total != c.want || len(page.Grants) != c.want {
			t.Errorf("grants by %s: %d of %d, %v; want %d", name, len(page.Grants), page.Total, err, c.want)
		}
	}
	for name, c := range map[string]struct {
		q    access.RequestQuery
		want int
	}{
		"by":          {access.RequestQuery{By: "ann@x"}, 29},
		"for":         {access.RequestQuery{For: "CLEO@x"}, 15},
		"person":      {access.RequestQuery{Person: "cleo@x"}, 15},
		"state":       {access.RequestQuery{States: []access.RequestState{access.Pending}}, 42},
		"integration": {access.RequestQuery{Integration: "test"}, 15},
	} {
		if page, err := l.Requests(t.Context(), c.q); err != nil || page.Total != c.want || len(page.Requests) != c.want {
			t.Errorf("requests by %s: %d of %d, %v; want %d", name, len(page.Requests), page.Total, err, c.want)
		}
	}
}

func accessInvalid(t *testing.T, _ store.Store, l access.Store) {
	for _, cursor := range []string{"x", "1", "1.", "x.y"} {
		if _, err := l.Grants(t.Context(), access.GrantQuery{Cursor: cursor}); !errors.Is(err, access.ErrInvalidQuery) {
			t.Errorf("grants, cursor %q: %v", cursor, err)
		}
		if _, err := l.Requests(t.Context(), access.RequestQuery{Cursor: cursor}); !errors.Is(err, access.ErrInvalidQuery) {
			t.Errorf("requests, cursor %q: %v", cursor, err)
		}
		if _, err := l.Resources(t.Context(), access.ResourceQuery{Cursor: cursor}); !errors.Is(err, access.ErrInvalidQuery) {
			t.Errorf("resources, cursor %q: %v", cursor, err)
		}
	}
	if _, err := l.Grants(t.Context(), access.GrantQuery{Resource: "a"}); !errors.Is(err, access.ErrInvalidQuery) {
		t.Errorf("a resource of no integration: %v", err)
	}
	if _, err := l.Requests(t.Context(), access.RequestQuery{Voter: "ann"}); !errors.Is(err, access.ErrInvalidQuery) {
		t.Errorf("who may vote: %v", err)
	}
}

func accessResources(t *testing.T, _ store.Store, l access.Store) {
	all := make([]flow.Resource, 0, 26)
	for n := range 25 {
		all = append(all, flow.Resource{Type: []string{"namespace", "role"}[n%2], ID: fmt.Sprintf("id%02d", n), Name: fmt.Sprintf("Name%02d", n), Permissions: []string{"view"}})
	}
	if err := l.SaveResources(t.Context(), "prod", append(slices.Clone(all), all[3])); err != nil {
		t.Fatal(err)
	}
	if err := l.SaveResources(t.Context(), "test", all[:2]); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	q := access.ResourceQuery{Limit: 7}
	for range 10 {
		page, err := l.Resources(t.Context(), q)
		if err != nil || page.Total != 27 {
			t.Fatalf("a page of %d in all, %v", page.Total, err)
		}
		for _, r := range page.Resources {
			seen[r.Integration+r.Type+r.ID] = true
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	if len(seen) != 27 {
		t.Errorf("the pages have %d resources", len(seen))
	}
	for name, c := range map[string]struct {
		q    access.ResourceQuery
		want int
	}{
		"integration": {access.ResourceQuery{Integration: "prod"}, 25},
		"type":        {access.ResourceQuery{Integration: "prod", Type: "role"}, 12},
		"text":        {access.ResourceQuery{Text: "NAME2"}, 5},
		"wildcards":   {access.ResourceQuery{Text: "%"}, 0},
	} {
		if page, err := l.Resources(t.Context(), c.q); err != nil || page.Total != c.want {
			t.Errorf("resources by %s: %d, %v; want %d", name, page.Total, err, c.want)
		}
	}
	r, err := l.Resource(t.Context(), "prod", "role", "id01")
	if err != nil || r.Name != "Name01" || r.Integration != "prod" {
		t.Errorf("one resource: %+v, %v", r, err)
	}
	if err := l.SaveResources(t.Context(), "prod", all[:1]); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Resource(t.Context(), "prod", "role", "id01"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("a resource that is gone: %v", err)
	}
}

func accessIntegrations(t *testing.T, _ store.Store, l access.Store) {
	i := &access.Integration{
		Name: "prod", Version: 1, Type: "fake", Config: map[string]string{"a": "b"}, Secret: &access.SecretRef{Environment: "PROD"},
		Owner: []flow.Principal{{Kind: "group", Value: "sre"}}, Health: access.Health{RotatedAt: start},
	}
	mustCommit(t, l, &access.Change{Integrations: []*access.Integration{i, {Name: "aaa", Version: 1, Type: "fake"}}})
	got, err := l.Integration(t.Context(), "prod")
	if err != nil || cmp.Diff(i, got) != "" {
		t.Errorf("integration (-want +got): %v\n%s", err, cmp.Diff(i, got))
	}
	if all, err := l.Integrations(t.Context()); err != nil || len(all) != 2 || all[0].Name != "aaa" {
		t.Errorf("integrations: %v, %v", all, err)
	}
	if err := l.ChangeHealth(t.Context(), "prod", func(h *access.Health) { h.Resources++ }); err != nil {
		t.Fatal(err)
	}
	got, err = l.Integration(t.Context(), "prod")
	if err != nil || got.Health.Resources != 1 || !got.Health.RotatedAt.Equal(start) || got.Version != 1 {
		t.Errorf("after a change of its health: %+v, %v", got, err)
	}
	if err := l.ChangeHealth(t.Context(), "none", func(*access.Health) {}); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("the health of nothing: %v", err)
	}
	if err := l.SaveResources(t.Context(), "prod", []flow.Resource{{Type: "t", ID: "x"}}); err != nil {
		t.Fatal(err)
	}
	lend := &access.Change{At: start, IfIntegrations: []string{"aaa", "prod"}, Grants: []*access.Grant{lentGrant("g1", "ann", start, "a")}}
	mustCommit(t, l, &access.Change{RemoveIntegration: i})
	if err := l.Commit(t.Context(), lend); !errors.Is(err, access.ErrConflict) {
		t.Errorf("lending from a removed integration: %v", err)
	}
	if _, err := l.Grant(t.Context(), "g1"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("a grant on a removed integration: %v", err)
	}
	lend.IfIntegrations = []string{"aaa"}
	mustCommit(t, l, lend)
	if _, err := l.Integration(t.Context(), "prod"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("after it was removed: %v", err)
	}
	if page, err := l.Resources(t.Context(), access.ResourceQuery{}); err != nil || page.Total != 0 {
		t.Errorf("resources of a removed integration: %d, %v", page.Total, err)
	}
}

func accessFlows(t *testing.T, _ store.Store, l access.Store) {
	if _, err := l.Flows(t.Context(), 0); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("flows before the first: %v", err)
	}
	for n := 1; n <= 3; n++ {
		mustCommit(t, l, &access.Change{Flows: &access.FlowVersion{Version: n, Text: fmt.Sprintf("# %d", n), By: "ann", At: start}})
	}
	for version, want := range map[int]string{0: "# 3", 2: "# 2"} {
		if v, err := l.Flows(t.Context(), version); err != nil || v.Text != want {
			t.Errorf("version %d: %+v, %v", version, v, err)
		}
	}
	versions, err := l.FlowVersions(t.Context(), 2)
	if err != nil || len(versions) != 2 || versions[0].Version != 3 || versions[0].Text != "" {
		t.Errorf("versions: %+v, %v", versions, err)
	}
}

func accessStops(t *testing.T, _ store.Store, l access.Store) {
	_, before, err := l.Stops(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stop := access.Stop{ID: "s1", Scope: access.StopScope{Kind: "person", Person: "ann"}, By: "bob", Reason: "lost laptop", At: start}
	mustCommit(t, l, &access.Change{Stops: []access.Stop{stop}, IfStops: &before})
	if err := l.Commit(t.Context(), &access.Change{At: start, IfStops: &before, Grants: []*access.Grant{lentGrant("g1", "ann", start, "a")}}); !errors.Is(err, access.ErrConflict) {
		t.Errorf("a grant that did not see the stop: %v", err)
	}
	stops, number, err := l.Stops(t.Context())
	if err != nil || len(stops) != 1 || cmp.Diff(stop, stops[0]) != "" || number == before {
		t.Errorf("stops: %+v, %d, %v", stops, number, err)
	}
	mustCommit(t, l, &access.Change{LiftStops: []string{"s1"}, IfStops: &number})
	if stops, _, err := l.Stops(t.Context()); err != nil || len(stops) != 0 {
		t.Errorf("after it was lifted: %+v, %v", stops, err)
	}
}

func accessOutbox(t *testing.T, _ store.Store, l access.Store) {
	letter := func(key, channel, thread string) access.Letter {
		return access.Letter{Key: key, Channel: channel, Thread: thread, Body: []byte(key), At: start}
	}
	mustCommit(t, l, &access.Change{Letters: []access.Letter{
		letter("1", "slack", "r1"), letter("2", "slack", "r1"), letter("3", "email", "r1"), letter("4", "slack", ""), letter("5", "slack", ""),
	}})
	mustCommit(t, l, &access.Change{Letters: []access.Letter{letter("1", "slack", "r1")}}) // known already
	claim := func(now time.Time, without ...string) []string {
		t.Helper()
		got, err := l.ClaimLetters(t.Context(), now, now.Add(time.Minute), without, 10)
		if err != nil {
			t.Fatal(err)
		}
		keys := make([]string, 0, len(got))
		for _, c := range got {
			keys = append(keys, c.Key)
		}
		slices.Sort(keys)
		return keys
	}
	if got := claim(start, "slack"); !slices.Equal(got, []string{"3"}) {
		t.Errorf("without slack: %v", got)
	}
	if got := claim(start); !slices.Equal(got, []string{"1", "4", "5"}) {
		t.Errorf("the first of each thread: %v", got)
	}
	if got := claim(start); len(got) != 0 {
		t.Errorf("what somebody has: %v", got)
	}
	for key, again := range map[string]time.Time{"1": {}, "4": {}, "5": start.Add(time.Hour), "3": {}} {
		failed := ""
		if !again.IsZero() {
			failed = "no route"
		}
		if err := l.SettleLetter(t.Context(), key, []byte("receipt "+key), failed, again); err != nil {
			t.Fatal(err)
		}
	}
	got, err := l.ClaimLetters(t.Context(), start, start.Add(time.Minute), nil, 10)
	if err != nil || len(got) != 1 || got[0].Key != "2" || len(got[0].Earlier) != 1 || string(got[0].Earlier[0]) != "receipt 1" || string(got[0].Body) != "2" {
		t.Errorf("the next of the thread: %+v, %v", got, err)
	}
	if got := claim(start.Add(2 * time.Hour)); !slices.Equal(got, []string{"2", "5"}) {
		t.Errorf("what failed, and what nobody settled: %v", got)
	}
	if err := l.ForgetLetters(t.Context(), start.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := claim(start.Add(4 * time.Hour)); !slices.Equal(got, []string{"2", "5"}) {
		t.Errorf("what is not done is forgotten: %v", got)
	}
}

func accessLeavers(t *testing.T, _ store.Store, l access.Store) {
	ended := func(id, person string, at time.Time) {
		g := lentGrant(id, person, at.Add(-time.Hour), "a")
		mustCommit(t, l, &access.Change{Grants: []*access.Grant{g}})
		mustCommit(t, l, &access.Change{Grants: []*access.Grant{next(g, func(g *access.Grant) { g.State, g.EndedAt = access.Ended, at })}})
	}
	ended("g1", "ann", start)
	ended("g2", "bob", start)
	ended("g3", "bob", start.Add(time.Hour))
	ended("g4", "cleo", start)
	mustCommit(t, l, &access.Change{Grants: []*access.Grant{lentGrant("g5", "cleo", start, "a")}})
	leavers := func(before time.Time) []string {
		t.Helper()
		people, err := l.Leavers(t.Context(), "prod", before, 10)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]bool{}
		for _, p := range people {
			out[p.ID] = true
		}
		return slices.Sorted(maps.Keys(out))
	}
	if got := leavers(start); !slices.Equal(got, []string{"ann"}) {
		t.Errorf("at first: %v; bob had a later grant, cleo has one", got)
	}
	if got := leavers(start.Add(time.Hour)); !slices.Equal(got, []string{"ann", "bob"}) {
		t.Errorf("an hour later: %v", got)
	}
	mustCommit(t, l, &access.Change{Cleaned: []access.Cleaned{{Integration: "prod", Person: "ann", At: start}, {Integration: "prod", Person: "bob", At: start}}})
	if got := leavers(start.Add(time.Hour)); !slices.Equal(got, []string{"bob"}) {
		t.Errorf("after a clean-up: %v; bob's last grant ended after it", got)
	}
}

func accessDrift(t *testing.T, _ store.Store, l access.Store) {
	d := access.Drift{Integration: "prod", Key: "prod/a", Kind: "missing", First: start, Last: start}
	mended := access.Drift{Integration: "prod", Key: "prod/b", Kind: "orphan", First: start, Last: start.Add(time.Hour), Mended: start.Add(time.Hour)}
	mustCommit(t, l, &access.Change{Drifts: []access.Drift{mended, d, {Integration: "test", Key: "x", Last: start}}})
	d.Last = start.Add(time.Minute)
	mustCommit(t, l, &access.Change{Drifts: []access.Drift{d}})
	got, err := l.Drifts(t.Context(), "prod", 10)
	if err != nil || cmp.Diff([]access.Drift{d, mended}, got) != "" {
		t.Errorf("drift (-want +got): %v\n%s", err, cmp.Diff([]access.Drift{d, mended}, got))
	}
	if all, err := l.Drifts(t.Context(), "", 10); err != nil || len(all) != 3 {
		t.Errorf("all drift: %v, %v", all, err)
	}
}
