package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/ascode"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

func newIntegration(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "integration",
		Short: "The clusters and APIs that can be lent: connect, check, discover, apply",
		Long: `The clusters and APIs that can be lent. The commands talk to a Gatehouse as the person
that 'gatehouse login' signed in; who administers may change them and sees how they are
reached.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newIntegrationList(s), newIntegrationShow(s), newIntegrationApply(s), newIntegrationConnect(s), newIntegrationCheck(s),
		newIntegrationDiscover(s), newIntegrationReconcile(s), newIntegrationResources(s), newIntegrationExport(s), newIntegrationDelete(s),
	)
	return cmd
}

// integration reads an integration, with the tag that a change of it names.
func (c *client) integration(ctx context.Context, name string) (*access.IntegrationView, string, error) {
	v := new(access.IntegrationView)
	header, err := c.do(ctx, http.MethodGet, at("integrations", name), nil, v)
	return v, header.Get("ETag"), noSuch(err, "'gatehouse integration list' lists those that there are")
}

// noSuch says where to look for what the server does not know.
func noSuch(err error, hint string) error {
	if isRefused(err, http.StatusNotFound) {
		return withHint(err, hint)
	}
	return err
}

// targetAtMost bounds a call for which the server asks a cluster or an API, which may be
// slow or down; the server gives up before.
const targetAtMost = 6 * time.Minute

// patient is the client for such calls.
func (c *client) patient() *client {
	slow := *c
	waits := *c.http
	waits.Timeout = targetAtMost
	slow.http = &waits
	return &slow
}

func (c *client) integrations(ctx context.Context) ([]*access.IntegrationView, error) {
	all := []*access.IntegrationView{}
	_, err := c.do(ctx, http.MethodGet, at("integrations"), nil, &all)
	return all, err
}

func newIntegrationList(s *Streams) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List integrations with their health", Args: noArgs}
	return talk(cmd, func(ctx context.Context, c *client, _ []string, asJSON bool) error {
		all, err := c.integrations(ctx)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(s.Out, all)
		}
		if len(all) == 0 {
			_, err := fmt.Fprintln(s.Out, "there are no integrations; 'gatehouse integration apply' adds some")
			return err
		}
		rows := make([][]string, 0, len(all))
		for _, i := range all {
			rows = append(rows, []string{i.Name, i.Type, healthText(i), strconv.Itoa(i.Health.Resources), strconv.Itoa(i.Live), utc(i.Health.CheckedAt), i.Trouble})
		}
		return printTable(s.Out, []string{"NAME", "TYPE", "HEALTH", "RESOURCES", "LIVE GRANTS", "CHECKED (UTC)", "TROUBLE"}, rows)
	})
}

func newIntegrationConnect(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "connect NAME",
		Short: "Make the one change in the target that lending from it needs, after showing it",
		Long: `Make the one change in the target that lending from it needs: for EKS, map the role that
people share to users of the cluster, in aws-auth or by an access entry. The plan is
shown first; nothing that stands there is changed or left out.`,
		Example: `  gatehouse integration connect prod-1 --dry-run
  gatehouse integration connect prod-1 --yes`,
		Args: named("the name of an integration", 1, 1),
	}
	dryRun, yes := addConsent(cmd)
	return talk(cmd, func(ctx context.Context, c *client, args []string, asJSON bool) error {
		if !*dryRun && !*yes && (asJSON || !asks(s)) {
			return withHint(usagef("nobody can be asked here whether to make the change"), "give --yes, or --dry-run to see the plan")
		}
		connection := func(apply bool) (*access.Connection, error) {
			p := new(access.Connection)
			_, err := c.patient().do(ctx, http.MethodPost, at("integrations", args[0], "connect"), map[string]bool{"apply": apply}, p)
			return p, err
		}
		p, err := connection(false)
		if err != nil {
			return err
		}
		if !asJSON {
			printConnection(s.Out, p)
		}
		if !*dryRun && len(p.Steps) > 0 {
			if err := consent(ctx, s, *yes, "Make this change?"); err != nil {
				return err
			}
			if p, err = connection(true); err != nil {
				return err
			}
			if !asJSON && p.Done {
				fmt.Fprintln(s.Out, "done, and read back")
			}
		}
		if asJSON {
			err = printJSON(s.Out, p)
		}
		if err == nil && !*dryRun && !p.Done {
			err = withHint(errors.New("the change was made, and the target does not show it yet"), "run 'gatehouse integration check "+args[0]+"' in some seconds")
		}
		return err
	})
}

func printConnection(w io.Writer, p *access.Connection) {
	fmt.Fprintln(w, printable(p.Target))
	for _, key := range keysOf(p.Detail) {
		fmt.Fprintf(w, "  %s: %s\n", printable(key), printable(p.Detail[key]))
	}
	if len(p.Steps) == 0 {
		fmt.Fprintln(w, "nothing has to be changed")
	}
	for _, step := range p.Steps {
		fmt.Fprintf(w, "+ %s\n", printable(step))
	}
}

func newIntegrationResources(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "resources [NAME]",
		Short:   "List resources as they were discovered",
		Example: `  gatehouse integration resources prod-1 -t eks-namespace --search payments`,
		Args:    named("at most the name of one integration", 0, 1),
	}
	kind := cmd.Flags().StringP("resource-type", "t", "", "only of this type")
	search := cmd.Flags().String("search", "", "a part of the id, the name or the path")
	limit := cmd.Flags().Int("limit", 1000, "at most so many")
	return talk(cmd, func(ctx context.Context, c *client, args []string, asJSON bool) error {
		if *limit < 1 {
			return usagef("--limit %d: it must be at least 1", *limit)
		}
		q := url.Values{}
		if len(args) == 1 {
			q.Set("integration", args[0])
		}
		if *kind != "" {
			q.Set("type", *kind)
		}
		if *search != "" {
			q.Set("q", *search)
		}
		all, err := allPages(ctx, c, at("resources"), q, *limit, func(p *access.ResourcePage) ([]flow.Resource, string) { return p.Resources, p.Next })
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(s.Out, all)
		}
		if len(all) == 0 {
			_, err := fmt.Fprintln(s.Out, "no resources were discovered that you may see")
			return err
		}
		rows := make([][]string, 0, len(all))
		for i := range all {
			r := &all[i]
			var owners []string
			for _, o := range r.Owners {
				owners = append(owners, o.Value)
			}
			rows = append(rows, []string{r.Integration, r.Type, r.ID, orDash(strings.Join(owners, ", ")), fewOf(r.Permissions, 8)})
		}
		return printTable(s.Out, []string{"INTEGRATION", "TYPE", "ID", "OWNERS", "PERMISSIONS"}, rows)
	})
}

func newIntegrationExport(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export [NAME…]",
		Short: "Write integrations as code: Gatehouse's YAML, or Terraform of the apono provider",
		Long: `Write integrations, all or those that are named, as code: Gatehouse's YAML, which
'gatehouse integration apply' reads, or Terraform of the apono provider's schema. What
Terraform has no words for stands in it as a comment, and is told on standard error. No
secret is written: only where it is kept. Who administers may export.`,
		Example: `  gatehouse integration export > integrations.yaml
  gatehouse integration export prod-1 --as terraform > prod-1.tf`,
		Args: cobra.ArbitraryArgs,
	}
	connect := addServer(cmd)
	as := addAs(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		write, err := as()
		if err != nil {
			return err
		}
		c, err := connect()
		if err != nil {
			return err
		}
		all, err := c.integrations(cmd.Context())
		if err != nil {
			return err
		}
		var code ascode.Code
		for _, name := range args {
			if !slices.ContainsFunc(all, func(i *access.IntegrationView) bool { return i.Name == name }) {
				return withHint(fmt.Errorf("there is no integration %q", name), "'gatehouse integration list' lists them")
			}
		}
		for _, i := range all {
			if len(args) > 0 && !slices.Contains(args, i.Name) {
				continue
			}
			if len(i.Config) == 0 {
				return fmt.Errorf("you do not see how %s is reached: that is for who administers", i.Name)
			}
			code.Integrations = append(code.Integrations, i.Integration)
		}
		return write(s, code)
	}
	return cmd
}

func newIntegrationDelete(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delete NAME",
		Short:   "Remove an integration that nothing is lent from",
		Example: `  gatehouse integration delete prod-1 --yes`,
		Args:    named("the name of an integration", 1, 1),
	}
	connect := addServer(cmd)
	yes := cmd.Flags().BoolP("yes", "y", false, "do it without asking")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !*yes && !asks(s) {
			return withHint(usagef("nobody can be asked here whether to go on"), "give --yes")
		}
		c, err := connect()
		if err != nil {
			return err
		}
		v, tag, err := c.integration(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if err := consent(cmd.Context(), s, *yes, "Remove "+printable(v.Name)+" and what is known of it?"); err != nil {
			return err
		}
		if _, err := c.do(cmd.Context(), http.MethodDelete, at("integrations", v.Name), nil, nil, "If-Match", tag); err != nil {
			return err
		}
		fmt.Fprintf(s.Err, "%s is removed\n", printable(v.Name))
		return nil
	}
	return cmd
}
