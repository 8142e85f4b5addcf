package storetest

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/estate"
)

// estateAt is an estate of one API at a time.
func estateAt(at time.Time, api estate.API) *estate.Snapshot {
	return &estate.Snapshot{Started: at.Add(-time.Minute), Finished: at, Accounts: []estate.Account{{
		ID: "111122223333", Name: "orders", Regions: []estate.Region{{Name: "eu-west-1", APIs: []estate.API{api}}},
	}}}
}

func estateHistory(t *testing.T, place Place) {
	s := open(t, place)
	api := estate.API{ID: "api1", Name: "Orders", Type: "REST", Stages: []estate.Stage{{Name: "prod"}}}
	save := func(minutes int, change func()) {
		t.Helper()
		change()
		api.Stages = append([]estate.Stage{}, api.Stages...)
		if err := s.SaveEstate(t.Context(), estateAt(start.Add(time.Duration(minutes)*time.Minute), api)); err != nil {
			t.Fatal(err)
		}
	}
	save(0, func() {})
	save(5, func() {}) // nothing changed
	save(10, func() { api.DefaultDisabled = true })
	s = reopen(t, place, s)
	save(15, func() { api.Stages = append(api.Stages, estate.Stage{Name: "test"}) })
	save(20, func() { api.Stages = api.Stages[1:] })
	got, err := s.EstateHistory(t.Context(), estate.HistoryQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range got.Changes {
		if c.ID < 1 || i > 0 && c.ID >= got.Changes[i-1].ID {
			t.Errorf("change %d has the id %d", i, c.ID)
		}
	}
	for i := range got.Changes {
		got.Changes[i].ID = 0
	}
	common := estate.Change{Account: "111122223333", Region: "eu-west-1", API: "api1", Name: "Orders"}
	change := func(minutes int, kind estate.ChangeKind, of estate.SubjectType, subject string) estate.Change {
		c := common
		c.Time, c.Kind, c.Type, c.Subject = start.Add(time.Duration(minutes)*time.Minute).Truncate(time.Millisecond), kind, of, subject
		return c
	}
	disabled := change(10, estate.Changed, estate.SubjectAPI, "api1")
	disabled.Field, disabled.After = "default_endpoint_disabled", "true"
	want := []estate.Change{
		change(20, estate.Went, estate.SubjectStage, "prod"),
		change(15, estate.Appeared, estate.SubjectStage, "test"),
		disabled,
	}
	if d := cmp.Diff(estate.HistoryPage{Changes: want}, got); d != "" {
		t.Errorf("history (-want +got):\n%s", d)
	}
	for name, c := range map[string]struct {
		query estate.HistoryQuery
		want  int
	}{
		"account":       {estate.HistoryQuery{Account: "111122223333"}, 3},
		"other account": {estate.HistoryQuery{Account: "999999999999"}, 0},
		"region":        {estate.HistoryQuery{Region: "us-east-1"}, 0},
		"API":           {estate.HistoryQuery{API: "api1"}, 3},
		"type":          {estate.HistoryQuery{Type: estate.SubjectStage}, 2},
		"kind":          {estate.HistoryQuery{Kind: estate.Changed}, 1},
		"since":         {estate.HistoryQuery{Since: start.Add(15 * time.Minute)}, 2},
		"until":         {estate.HistoryQuery{Until: start.Add(15 * time.Minute)}, 1},
	} {
		got, err := s.EstateHistory(t.Context(), c.query)
		if err != nil || len(got.Changes) != c.want {
			t.Errorf("%s: %d changes, %v; want %d", name, len(got.Changes), err, c.want)
		}
	}
}

func estateHistoryPages(t *testing.T, place Place) {
	s := open(t, place)
	const changes = 25
	for i := range changes + 1 {
		snapshot := estateAt(start.Add(time.Duration(i)*time.Minute), estate.API{ID: "api1", Type: "REST", Version: strconv.Itoa(i)})
		if err := s.SaveEstate(t.Context(), snapshot); err != nil {
			t.Fatal(err)
		}
	}
	var seen []string
	q := estate.HistoryQuery{Limit: 10}
	for range changes {
		page, err := s.EstateHistory(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range page.Changes {
			seen = append(seen, c.After)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	var want []string
	for i := changes; i > 0; i-- {
		want = append(want, strconv.Itoa(i))
	}
	if d := cmp.Diff(want, seen); d != "" {
		t.Errorf("pages (-want +got):\n%s", d)
	}
	for _, cursor := range []string{"x", "-1", "0"} {
		if _, err := s.EstateHistory(t.Context(), estate.HistoryQuery{Cursor: cursor}); !errors.Is(err, estate.ErrInvalidQuery) {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
}
