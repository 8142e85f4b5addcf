package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// estateRuntime is what the estate's commands ask of the product.
type estateRuntime interface {
	// Discover reads the whole estate and saves it. It returns what it could read
	// with an error too. Full reads every detail again, and not only of what shows a
	// change since the discovery before.
	Discover(ctx context.Context, c *config.Config, full bool, progress func(estate.Progress)) (*estate.Snapshot, error)
	// Estate returns the estate as it was last discovered, or nil.
	Estate(ctx context.Context, c *config.Config) (*estate.Snapshot, error)
	// EstateHistory returns a page of what changed from one discovery to the next,
	// the newest first.
	EstateHistory(ctx context.Context, c *config.Config, q estate.HistoryQuery) (estate.HistoryPage, error)
}

func newEstate(rt estateRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "estate",
		Short: "Find and list accounts, regions, APIs, stages, routes and log groups",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newEstateDiscover(rt, s), newEstateList(rt, s), newEstateHistory(rt, s))
	return cmd
}

func newEstateDiscover(rt estateRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "discover",
		Short: "Read the whole estate from AWS, save it, and show it by account",
		Long: `Read every REST, HTTP and WebSocket API in every account and region, with its
stages, routes, authorizers and log groups, what they share (usage plans, domain
names, VPC links, certificates), the web ACLs before them, the Lambda functions
behind them and the EKS clusters, and save it.

A discovery after the first one reads the details of what shows a change alone;
every twelfth reads everything again, and so does --full. What changed from one
to the next is listed by 'gatehouse estate history'.

Accounts, regions and APIs that cannot be read are listed at the end with what
to change, and hide nothing else. The exit status is 1 only if not a single
account could be reached.`,
		Example: `  gatehouse estate discover --organization --role-name GatehouseCollector --region all
  gatehouse estate discover --role-arn arn:aws:iam::111122223333:role/GatehouseCollector -o json`,
		Args: noArgs,
	}
	var full bool
	cmd.Flags().BoolVar(&full, "full", false, "read every detail again, also of what shows no change")
	flags := addSettings(cmd, append([]string{"state", "estate_principals"}, reachSettings...)...)
	output := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		c, err := flags.load(cmd)
		if err != nil {
			return err
		}
		shown := newProgress(s.Err, "regions")
		snapshot, err := rt.Discover(cmd.Context(), c, full, func(p estate.Progress) {
			note := fmt.Sprintf("%d APIs", p.APIs)
			if p.Faults > 0 {
				note += fmt.Sprintf(", %d failures", p.Faults)
			}
			shown.show(p.RegionsDone, p.Regions, note)
		})
		shown.end()
		if err != nil {
			if snapshot != nil && len(snapshot.Accounts) > 1 {
				printFailures(s.Err, snapshot)
			}
			return err
		}
		if asJSON {
			return printJSON(s.Out, snapshot)
		}
		if err := printEstate(s.Out, "accounts", snapshot); err != nil {
			return err
		}
		printFailures(s.Err, snapshot)
		return nil
	}
	return cmd
}

// estateKinds are what estate list can list.
var estateKinds = []string{"accounts", "regions", "apis", "stages", "routes", "log-groups", "domains", "usage-plans", "web-acls", "functions", "clusters"}

func newEstateList(rt estateRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [" + strings.Join(estateKinds, "|") + "]",
		Short: "List the estate as it was last discovered",
		Example: `  gatehouse estate list apis
  gatehouse estate list stages -o json`,
		ValidArgs: estateKinds,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return withHint(usagef("%s takes one argument, not %d", cmd.CommandPath(), len(args)), "see '"+cmd.CommandPath()+" --help'")
			}
			if len(args) == 1 && !slices.Contains(estateKinds, args[0]) {
				return withHint(usagef("the estate has no %q", args[0]), "list one of "+strings.Join(estateKinds, ", "))
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
		c, err := flags.load(cmd)
		if err != nil {
			return err
		}
		kind := "apis"
		if len(args) == 1 {
			kind = args[0]
		}
		snapshot, err := rt.Estate(cmd.Context(), c)
		if err != nil {
			return err
		}
		if snapshot == nil {
			return withHint(errors.New("the estate has not been discovered yet"), "run 'gatehouse estate discover' first, with the same --state")
		}
		if asJSON {
			return printJSON(s.Out, estateList(kind, snapshot))
		}
		if err := printEstate(s.Out, kind, snapshot); err != nil {
			return err
		}
		printFailures(s.Err, snapshot)
		return nil
	}
	return cmd
}

func printEstate(w io.Writer, kind string, s *estate.Snapshot) error {
	header, rows := estateTable(kind, s)
	if len(rows) == 0 {
		_, err := fmt.Fprintf(w, "no %s\n", strings.ReplaceAll(kind, "-", " "))
		return err
	}
	return printTable(w, header, rows)
}

// estateTable makes the table of one kind. The longest text is in the last
// column, so that all others stand within 100 columns.
func estateTable(kind string, s *estate.Snapshot) (header []string, rows [][]string) {
	switch kind {
	case "accounts":
		return accountTable(s)
	case "regions":
		header = []string{"ACCOUNT", "REGION", "REST", "HTTP", "WEBSOCKET", "ROUTES", "STAGES", "NOT LOGGED", "GROUPS", "FAILED"}
		eachRegion(s, func(a *estate.Account, r *estate.Region) {
			var c estateCount
			c.region(r)
			rows = append(rows, append([]string{a.ID, r.Name}, c.cells()...))
		})
	case "apis":
		header = []string{"ACCOUNT", "REGION", "TYPE", "ID", "ENDPOINT", "STAGES", "ROUTES", "NAME"}
		eachAPI(s, func(a *estate.Account, r *estate.Region, api *estate.API) {
			rows = append(rows, []string{
				a.ID, r.Name, string(api.Type), api.ID, orDash(api.EndpointType),
				strconv.Itoa(len(api.Stages)), strconv.Itoa(len(api.Routes)), orDash(api.Name),
			})
		})
	case "stages":
		header = []string{"ACCOUNT", "REGION", "API", "TYPE", "SHOWS", "LEVEL", "TRACE", "STAGE", "ACCESS LOG"}
		eachAPI(s, func(a *estate.Account, r *estate.Region, api *estate.API) {
			for i := range api.Stages {
				st := &api.Stages[i]
				rows = append(rows, []string{
					a.ID, r.Name, api.ID, string(api.Type), string(st.Coverage()), orDash(st.LoggingLevel), onOff(st.DataTrace),
					st.Name, orDash(cmp.Or(st.AccessGroup, st.AccessLogARN)),
				})
			}
		})
	case "routes":
		header = []string{"ACCOUNT", "REGION", "API", "METHOD", "AUTHORIZATION", "KEY", "ROUTE"}
		eachAPI(s, func(a *estate.Account, r *estate.Region, api *estate.API) {
			for i := range api.Routes {
				rt := &api.Routes[i]
				rows = append(rows, []string{a.ID, r.Name, api.ID, orDash(rt.Method), orDash(rt.Authorization), yesNo(rt.APIKeyRequired), rt.Path})
			}
		})
	case "log-groups":
		header = []string{"ACCOUNT", "REGION", "CREATED", "KEPT FOR", "SIZE", "NAME"}
		eachRegion(s, func(a *estate.Account, r *estate.Region) {
			for i := range r.LogGroups {
				g := &r.LogGroups[i]
				created, kept := "-", "ever"
				if !g.Created.IsZero() {
					created = g.Created.Format("2006-01-02")
				}
				if g.RetentionDays > 0 {
					kept = fmt.Sprintf("%d days", g.RetentionDays)
				}
				rows = append(rows, []string{a.ID, r.Name, created, kept, byteSize(g.Bytes), g.Name})
			}
		})
	default:
		return sharedTable(kind, s)
	}
	return header, rows
}

func accountTable(s *estate.Snapshot) (header []string, rows [][]string) {
	header = []string{"ACCOUNT", "REGIONS", "REST", "HTTP", "WEBSOCKET", "ROUTES", "STAGES", "NOT LOGGED", "GROUPS", "FAILED", "NAME"}
	var total estateCount
	regions := 0
	for i := range s.Accounts {
		a := &s.Accounts[i]
		var c estateCount
		for j := range a.Regions {
			c.region(&a.Regions[j])
		}
		c.failed += len(a.Errors)
		if a.Error != "" {
			c.failed++
		}
		total.add(c)
		regions += len(a.Regions)
		name := a.Name
		if a.Status != "" && a.Status != "ACTIVE" {
			name = strings.TrimSpace(name + " (" + a.Status + ")")
		}
		rows = append(rows, slices.Concat([]string{orDash(a.ID), strconv.Itoa(len(a.Regions))}, c.cells(), []string{orDash(name)}))
	}
	if len(rows) > 1 {
		rows = append(rows, slices.Concat([]string{"total", strconv.Itoa(regions)}, total.cells(), []string{fmt.Sprintf("%d accounts", len(s.Accounts))}))
	}
	return header, rows
}

// estateCount is what a row of the summary counts.
type estateCount struct {
	rest, http, socket, routes, stages, notLogged, groups, failed int
}

func (c *estateCount) region(r *estate.Region) {
	for i := range r.APIs {
		api := &r.APIs[i]
		switch api.Type {
		case transaction.REST:
			c.rest++
		case transaction.HTTP:
			c.http++
		case transaction.WebSocket:
			c.socket++
		}
		c.routes += len(api.Routes)
		c.stages += len(api.Stages)
		for j := range api.Stages {
			if api.Stages[j].Coverage() == estate.CoverageNone {
				c.notLogged++
			}
		}
	}
	c.groups += len(r.LogGroups)
	c.failed += len(r.Errors)
}

func (c *estateCount) add(o estateCount) {
	c.rest += o.rest
	c.http += o.http
	c.socket += o.socket
	c.routes += o.routes
	c.stages += o.stages
	c.notLogged += o.notLogged
	c.groups += o.groups
	c.failed += o.failed
}

func (c *estateCount) cells() []string {
	counts := []int{c.rest, c.http, c.socket, c.routes, c.stages, c.notLogged, c.groups, c.failed}
	cells := make([]string, 0, len(counts))
	for _, n := range counts {
		cells = append(cells, strconv.Itoa(n))
	}
	return cells
}

func eachRegion(s *estate.Snapshot, f func(*estate.Account, *estate.Region)) {
	for i := range s.Accounts {
		for j := range s.Accounts[i].Regions {
			f(&s.Accounts[i], &s.Accounts[i].Regions[j])
		}
	}
}

func eachAPI(s *estate.Snapshot, f func(*estate.Account, *estate.Region, *estate.API)) {
	eachRegion(s, func(a *estate.Account, r *estate.Region) {
		for k := range r.APIs {
			f(a, r, &r.APIs[k])
		}
	})
}

// estatePlace says where an entry of a flat list is.
type estatePlace struct {
	Account string `json:"account"`
	Region  string `json:"region"`
}

type apiPlace struct {
	estatePlace
	APIID   string              `json:"api_id"`
	APIType transaction.APIType `json:"api_type"`
}

// estateList makes the flat list of one kind for JSON; it is never null.
func estateList(kind string, s *estate.Snapshot) any {
	switch kind {
	case "regions":
		type entry struct {
			Account string `json:"account"`
			estate.Region
		}
		list := []entry{}
		eachRegion(s, func(a *estate.Account, r *estate.Region) { list = append(list, entry{a.ID, *r}) })
		return list
	case "apis":
		type entry struct {
			estatePlace
			estate.API
		}
		list := []entry{}
		eachAPI(s, func(a *estate.Account, r *estate.Region, api *estate.API) {
			list = append(list, entry{estatePlace{a.ID, r.Name}, *api})
		})
		return list
	case "stages":
		type entry struct {
			apiPlace
			Coverage estate.Coverage `json:"coverage"`
			estate.Stage
		}
		list := []entry{}
		eachAPI(s, func(a *estate.Account, r *estate.Region, api *estate.API) {
			for i := range api.Stages {
				list = append(list, entry{apiPlace{estatePlace{a.ID, r.Name}, api.ID, api.Type}, api.Stages[i].Coverage(), api.Stages[i]})
			}
		})
		return list
	case "routes":
		type entry struct {
			apiPlace
			estate.Route
		}
		list := []entry{}
		eachAPI(s, func(a *estate.Account, r *estate.Region, api *estate.API) {
			for i := range api.Routes {
				list = append(list, entry{apiPlace{estatePlace{a.ID, r.Name}, api.ID, api.Type}, api.Routes[i]})
			}
		})
		return list
	case "log-groups":
		return placed(s, func(r *estate.Region) []estate.LogGroup { return r.LogGroups }, func(p estatePlace, x estate.LogGroup) any {
			return struct {
				estatePlace
				estate.LogGroup
			}{p, x}
		})
	case "accounts":
		return append([]estate.Account{}, s.Accounts...)
	default:
		return sharedList(kind, s)
	}
}
