package cli

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// savedInventory answers the inventory's commands from a store.
type savedInventory struct {
	store  *sqlite.Store
	closed int
}

func (i *savedInventory) Inventory(context.Context, *config.Config) (inventory.Reader, func() error, error) {
	return i.store, func() error { i.closed++; return nil }, nil
}

func newSavedInventory(t *testing.T, endpoints int) *savedInventory {
	t.Helper()
	now := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	clock := func() time.Time { return now }
	s, err := sqlite.Open(t.Context(), "sqlite::memory:", store.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	inv := inventory.New(inventory.Options{Clock: clock, APIName: func(_, _, _ string) string { return "=HYPERLINK(1)" }})
	for i := range endpoints {
		latency := int64(20)
		inv.Observe([]*transaction.Transaction{{
			ID: fmt.Sprint(i), Account: "111122223333", Region: "eu-west-1", APIID: "api1", APIType: transaction.REST, Stage: "prod",
			Time: transaction.Time(now.UnixMilli()), Method: "GET", Route: fmt.Sprintf("/orders%04d/{id}", i),
			RouteSource: transaction.RouteFromAccessLog, Response: &transaction.Response{Status: 200 + 203*(i%2)},
			LatencyMS: &latency, Visibility: transaction.Full,
			Caller: &transaction.Caller{Kind: transaction.CallerIAM, ARN: "arn:aws:iam::1:role/shop", Account: "1"},
		}})
	}
	if err := s.Commit(t.Context(), &collect.Checkpoint{Changes: []any{inv.Changes()}}); err != nil {
		t.Fatal(err)
	}
	return &savedInventory{store: s}
}

func runInventory(t *testing.T, rt inventoryRuntime, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := newInventory(rt, &Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err = cmd.ExecuteContext(t.Context())
	return out.String(), errs.String(), err
}

func TestInventoryList(t *testing.T) {
	t.Parallel()
	rt := newSavedInventory(t, 3)
	stdout, stderr, err := runInventory(t, rt, "list", "--sort", "errors", "--desc", "--limit", "2")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "ID ") || !strings.HasSuffix(lines[1], "/orders0001/{id}") {
		t.Errorf("list:\n%s", stdout)
	}
	if !strings.Contains(stderr, "2 of 3 endpoints") {
		t.Errorf("standard error: %q; want a note that there are more", stderr)
	}
	if rt.closed != 1 {
		t.Errorf("the inventory was closed %d times; want once", rt.closed)
	}
	stdout, _, err = runInventory(t, rt, "list", "--search", "nothing")
	if err != nil || stdout != "no endpoints\n" {
		t.Errorf("empty list: %q, %v", stdout, err)
	}
}

func TestInventoryListReadsAllPages(t *testing.T) {
	t.Parallel()
	rt := newSavedInventory(t, 1200)
	for limit, want := range map[string]int{"0": 1200, "1100": 1100, "5000": 1200} {
		stdout, _, err := runInventory(t, rt, "list", "--limit", limit, "-o", "json")
		var page inventory.Page
		if err == nil {
			err = json.Unmarshal([]byte(stdout), &page)
		}
		if err != nil {
			t.Fatal(err)
		}
		distinct := map[string]bool{}
		for _, e := range page.Endpoints {
			distinct[e.ID] = true
		}
		if len(distinct) != want || len(page.Endpoints) != want || page.Total != 1200 {
			t.Errorf("--limit %s: %d endpoints, %d distinct, total %d; want %d", limit, len(page.Endpoints), len(distinct), page.Total, want)
		}
	}
}

func TestInventoryShow(t *testing.T) {
	t.Parallel()
	rt := newSavedInventory(t, 1)
	page, err := rt.store.Endpoints(t.Context(), inventory.Query{})
	if err != nil {
		t.Fatal(err)
	}
	stdout, _, err := runInventory(t, rt, "show", page.Endpoints[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"GET /orders0000/{id}", "access_log", "200: 1", "arn:aws:iam::1:role/shop", "111122223333"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("show does not tell %q:\n%s", want, stdout)
		}
	}
	stdout, _, err = runInventory(t, rt, "show", page.Endpoints[0].ID, "-o", "json")
	var d inventory.Detail
	if err == nil {
		err = json.Unmarshal([]byte(stdout), &d)
	}
	if err != nil || len(d.Samples) != 1 || d.Samples[0].ID != "0" {
		t.Errorf("show -o json: %+v, %v", d, err)
	}
	if _, _, err = runInventory(t, rt, "show", "nothing"); err == nil || hintOf(err) == "" {
		t.Errorf("show of an unknown ID: %v", err)
	}
}

func TestInventoryExport(t *testing.T) {
	t.Parallel()
	rt := newSavedInventory(t, 2)
	stdout, _, err := runInventory(t, rt, "export", "--csv")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(stdout)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 3 || rows[0][0] != "id" || rows[1][8] != "/orders0000/{id}" || rows[1][5] != "'=HYPERLINK(1)" {
		t.Errorf("CSV: %q", rows)
	}
	stdout, _, err = runInventory(t, rt, "export", "--search", "orders0001")
	var endpoints []inventory.Endpoint
	if err == nil {
		err = json.Unmarshal([]byte(stdout), &endpoints)
	}
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"/orders0001/{id}"}, []string{endpoints[0].Route}); d != "" || len(endpoints) != 1 {
		t.Errorf("JSON (-want +got):\n%s", d)
	}
}

func TestInventoryMistakes(t *testing.T) {
	t.Parallel()
	rt := newSavedInventory(t, 1)
	for _, args := range [][]string{
		{"list", "--sort", "size"},
		{"list", "--type", "SOAP"},
		{"list", "--visibility", "some"},
		{"list", "--since", "yesterday"},
		{"list", "--since", "-3h"},
		{"list", "--limit", "-1"},
		{"list", "-o", "xml"},
		{"show"},
		{"show", "a", "b"},
	} {
		_, _, err := runInventory(t, rt, args...)
		if _, ok := errors.AsType[*UsageError](err); !ok {
			t.Errorf("%v: %v; want a usage error", args, err)
		}
	}
}
