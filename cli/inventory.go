package cli

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// inventoryRuntime is what the inventory's commands ask of the product.
type inventoryRuntime interface {
	// Inventory opens the saved inventory; the caller calls the function that it
	// gets with it when it has read.
	Inventory(ctx context.Context, c *config.Config) (inventory.Reader, func() error, error)
}

func newInventory(rt inventoryRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inventory",
		Short: "List, show and export the endpoints that were called",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newInventoryList(rt, s), newInventoryShow(rt, s), newInventoryExport(rt, s))
	return cmd
}

// readInventory calls read with the saved inventory of a command's settings.
func readInventory(cmd *cobra.Command, rt inventoryRuntime, flags *settingFlags, read func(inventory.Reader) error) error {
	c, err := flags.load(cmd)
	if err != nil {
		return err
	}
	r, done, err := rt.Inventory(cmd.Context(), c)
	if err != nil {
		return err
	}
	return errors.Join(read(r), done())
}

func newInventoryList(rt inventoryRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List endpoints",
		Long: `List the endpoints that were called: one row for an API's stage, method and
route. SEEN says how much of its calls the logs showed: full, truncated or
metadata.`,
		Example: `  gatehouse inventory list --account 111122223333 --sort errors --desc
  gatehouse inventory list --search /orders --since 24h -o json`,
		Args: noArgs,
	}
	flags := addSettings(cmd, "state")
	output := addOutput(cmd)
	query := addQuery(cmd)
	limit := cmd.Flags().Int("limit", 100, "how many to list at most; 0 lists all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		q, err := query()
		if err != nil {
			return err
		}
		if *limit < 0 {
			return usagef("--limit: %d is not a number of endpoints", *limit)
		}
		return readInventory(cmd, rt, flags, func(r inventory.Reader) error {
			page, err := firstEndpoints(cmd.Context(), r, q, *limit)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(s.Out, page)
			}
			return printEndpoints(s, page)
		})
	}
	return cmd
}

// firstEndpoints reads pages until it has limit endpoints; 0 means all.
func firstEndpoints(ctx context.Context, r inventory.Reader, q inventory.Query, limit int) (inventory.Page, error) {
	if limit == 0 {
		q.Limit = -1
		return r.Endpoints(ctx, q)
	}
	var all inventory.Page
	for {
		q.Limit = min(limit-len(all.Endpoints), 1000)
		page, err := r.Endpoints(ctx, q)
		if err != nil {
			return all, err
		}
		page.Endpoints = append(all.Endpoints, page.Endpoints...)
		all = page
		if all.Next == "" || len(all.Endpoints) >= limit {
			return all, nil
		}
		q.Cursor = all.Next
	}
}

func printEndpoints(s *Streams, page inventory.Page) error {
	if len(page.Endpoints) == 0 {
		_, err := fmt.Fprintln(s.Out, "no endpoints")
		return err
	}
	rows := make([][]string, len(page.Endpoints))
	for i := range page.Endpoints {
		e := &page.Endpoints[i]
		rows[i] = []string{
			e.ID, e.APIID + "/" + e.Stage, e.Method, number(e.Calls), number(e.Errors4xx), number(e.Errors5xx),
			milliseconds(e.LatencyP95), number(e.Callers), string(e.Visibility), utc(e.LastSeen), e.Route,
		}
	}
	err := printTable(s.Out, []string{
		"ID", "API/STAGE", "METHOD", "CALLS", "4XX", "5XX", "P95 MS", "CALLERS", "SEEN", "LAST CALL (UTC)", "ROUTE",
	}, rows)
	if err == nil && len(page.Endpoints) < page.Total {
		_, err = fmt.Fprintf(s.Err, "%d of %d endpoints; --limit lists more\n", len(page.Endpoints), page.Total)
	}
	return err
}

func newInventoryShow(rt inventoryRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show one endpoint: its callers, answers, latencies and samples",
		Long: `Show one endpoint whole. The ID is the first column of 'inventory list'; the
ID of an endpoint that became part of another shows that one. With -o json the
redacted samples are shown too.`,
		Example: "  gatehouse inventory show c7q2m4x5t3n6a2bd",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return withHint(usagef("%s takes the ID of one endpoint", cmd.CommandPath()), "see 'gatehouse inventory list'")
			}
			return nil
		},
	}
	flags := addSettings(cmd, "state")
	output := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		return readInventory(cmd, rt, flags, func(r inventory.Reader) error {
			d, err := r.Endpoint(cmd.Context(), args[0])
			if errors.Is(err, inventory.ErrNotFound) {
				return withHint(fmt.Errorf("no endpoint has the ID %q", args[0]), "see 'gatehouse inventory list', with the same --state")
			}
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(s.Out, d)
			}
			return printDetail(s.Out, d)
		})
	}
	return cmd
}

func printDetail(w io.Writer, d *inventory.Detail) error {
	facts := [][]string{
		{"endpoint", d.Method + " " + d.Route},
		{"route from", string(d.RouteSource)},
		{"API", strings.TrimSpace(string(d.APIType) + " " + d.APIID + " " + d.APIName)},
		{"stage", d.Stage},
		{"account", d.Account},
		{"region", d.Region},
		{"calls", number(d.Calls)},
		{"answers", counts(d.Statuses)},
		{"seen", counts(d.Visibilities)},
		{"callers", number(d.Callers) + " known by name; all calls: " + counts(d.Kinds)},
		{"latency", fmt.Sprintf("p50 %s ms, p95 %s ms, p99 %s ms",
			milliseconds(d.LatencyP50), milliseconds(d.LatencyP95), milliseconds(d.LatencyP99))},
		{"first call", utc(d.FirstSeen) + " UTC"},
		{"last call", utc(d.LastSeen) + " UTC"},
		{"samples", strconv.Itoa(len(d.Samples))},
	}
	if err := printTable(w, []string{"ID", d.ID}, facts); err != nil {
		return err
	}
	if err := printFields(w, d); err != nil || len(d.TopCallers) == 0 {
		return err
	}
	rows := make([][]string, len(d.TopCallers))
	for i, c := range d.TopCallers {
		rows[i] = []string{string(c.Kind), number(c.Calls), utc(c.LastSeen), orDash(c.Account), c.Principal}
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return printTable(w, []string{"CALLER", "CALLS", "LAST CALL (UTC)", "ACCOUNT", "PRINCIPAL"}, rows)
}

// printFields prints what was learnt of bodies and queries, if anything was.
func printFields(w io.Writer, d *inventory.Detail) error {
	if len(d.Sensitive) > 0 {
		rows := make([][]string, len(d.Sensitive))
		for i, f := range d.Sensitive {
			values := fmt.Sprintf("%d of %d", f.Matches, f.Distinct)
			if f.Redacted {
				values = transaction.Redacted
			}
			rows[i] = []string{f.Class, f.Confidence, values, strings.TrimSpace(f.In + " " + f.Status), orDash(f.Path)}
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
		if err := printTable(w, []string{"SENSITIVE", "CONFIDENCE", "VALUES", "IN", "FIELD"}, rows); err != nil {
			return err
		}
	}
	if d.Schema == nil {
		return nil
	}
	rows := make([][]string, len(d.Schema.Fields))
	for i := range d.Schema.Fields {
		f := &d.Schema.Fields[i]
		present := "-"
		if f.Of > 0 {
			present = fmt.Sprintf("%d of %d", f.Present, f.Of)
		}
		rows[i] = []string{strings.TrimSpace(f.In + " " + f.Status), present, strings.Join(f.Types, ","), orDash(f.Format), orDash(f.Path)}
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return printTable(w, []string{"IN", "PRESENT", "TYPE", "FORMAT", "FIELD"}, rows)
}

func newInventoryExport(rt inventoryRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write all endpoints as CSV or JSON",
		Example: `  gatehouse inventory export --csv > endpoints.csv
  gatehouse inventory export --visibility metadata > unseen.json`,
		Args: noArgs,
	}
	flags := addSettings(cmd, "state")
	query := addQuery(cmd)
	asCSV := cmd.Flags().Bool("csv", false, "write CSV instead of JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		q, err := query()
		if err != nil {
			return err
		}
		q.Limit = -1
		return readInventory(cmd, rt, flags, func(r inventory.Reader) error {
			page, err := r.Endpoints(cmd.Context(), q)
			if err != nil {
				return err
			}
			if *asCSV {
				return writeEndpointsCSV(s.Out, page.Endpoints)
			}
			return printJSON(s.Out, page.Endpoints)
		})
	}
	return cmd
}

// writeEndpointsCSV writes the columns of inventory.Endpoint under its JSON
// names.
func writeEndpointsCSV(w io.Writer, endpoints []inventory.Endpoint) error {
	out := csv.NewWriter(w)
	rows := make([][]string, 0, 1+len(endpoints))
	rows = append(rows, []string{
		"id", "api_type", "account", "region", "api_id", "api_name", "stage", "method", "route", "route_source", "visibility",
		"first_seen", "last_seen", "calls", "errors_4xx", "errors_5xx", "callers", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms",
	})
	for i := range endpoints {
		e := &endpoints[i]
		rows = append(rows, []string{
			e.ID, string(e.APIType), e.Account, e.Region, e.APIID, e.APIName, e.Stage, e.Method, e.Route, string(e.RouteSource),
			string(e.Visibility), e.FirstSeen.Format(time.RFC3339), e.LastSeen.Format(time.RFC3339), number(e.Calls),
			number(e.Errors4xx), number(e.Errors5xx), number(e.Callers),
			milliseconds(e.LatencyP50), milliseconds(e.LatencyP95), milliseconds(e.LatencyP99),
		})
	}
	for _, row := range rows {
		for i, cell := range row {
			// A spreadsheet would run a cell that begins like a formula, and
			// names and paths come from other people.
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				row[i] = "'" + cell
			}
		}
	}
	return out.WriteAll(rows)
}

var endpointOrders = []string{"route", "calls", "errors", "last_seen", "first_seen", "latency", "callers"}

// addQuery gives cmd the flags that choose and order endpoints.
func addQuery(cmd *cobra.Command) func() (inventory.Query, error) {
	f := cmd.Flags()
	var q inventory.Query
	f.StringVar(&q.Search, "search", "", "part of method and route, API id or API name")
	f.StringVar(&q.Account, "account", "", "account id")
	f.StringVar(&q.Region, "region", "", "region")
	f.StringVar(&q.APIID, "api", "", "API id")
	f.StringVar(&q.Stage, "stage", "", "stage")
	f.StringVar(&q.Method, "method", "", "method, or event type of a WebSocket API")
	apiType := f.String("type", "", "kind of API: REST, HTTP or WEBSOCKET")
	visibility := f.String("visibility", "", "how much the logs showed: full, truncated or metadata")
	since := f.String("since", "", "first called since: a duration (24h) or a time (2026-01-31T10:00:00Z)")
	f.StringVar(&q.Sort, "sort", "route", "order: "+strings.Join(endpointOrders, ", "))
	f.BoolVar(&q.Descending, "desc", false, "turn the order around")
	return func() (inventory.Query, error) {
		q.Method = strings.ToUpper(q.Method)
		q.APIType = transaction.APIType(strings.ToUpper(*apiType))
		q.Visibility = transaction.Visibility(strings.ToLower(*visibility))
		if q.APIType != "" && !slices.Contains([]transaction.APIType{transaction.REST, transaction.HTTP, transaction.WebSocket}, q.APIType) {
			return q, withHint(usagef("--type: there is no kind of API %q", *apiType), "use REST, HTTP or WEBSOCKET")
		}
		if q.Visibility != "" && q.Visibility.Rank() == 0 {
			return q, withHint(usagef("--visibility: %q is none", *visibility), "use full, truncated or metadata")
		}
		if !slices.Contains(endpointOrders, q.Sort) {
			return q, withHint(usagef("--sort: there is no order %q", q.Sort), "use one of "+strings.Join(endpointOrders, ", "))
		}
		if *since == "" {
			return q, nil
		}
		if d, err := time.ParseDuration(*since); err == nil && d > 0 {
			q.Since = time.Now().Add(-d)
			return q, nil
		}
		at, err := time.Parse(time.RFC3339, *since)
		if err != nil {
			return q, withHint(usagef("--since: %q is neither a duration nor a time", *since), "write 24h or 2026-01-31T10:00:00Z")
		}
		q.Since = at
		return q, nil
	}
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// milliseconds rounds to what the sketch knows.
func milliseconds(ms float64) string {
	if ms < 10 {
		return strconv.FormatFloat(ms, 'f', 1, 64)
	}
	return strconv.FormatFloat(ms, 'f', 0, 64)
}

func utc(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// counts writes a map of counts in the order of its keys: "200: 12, 404: 1".
func counts[K cmp.Ordered](m map[K]int64) string {
	parts := make([]string, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%v: %d", k, m[k]))
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}
