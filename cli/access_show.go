package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/api"
)

func newAccessCatalog(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "catalog [TEXT]",
		Short: "List what you may ask for, and on which terms",
		Long: `List what you may ask for, and on which terms: who has to agree, and how long at
most. TEXT is a part of a resource's id, name or path.`,
		Example: `  gatehouse access catalog payments
  gatehouse access catalog -i prod-1 -t eks-namespace -o json`,
		Args: named("at most one text", 0, 1),
	}
	integration := cmd.Flags().StringP("integration", "i", "", "only of this integration")
	kind := cmd.Flags().StringP("resource-type", "t", "", "only resources of this type")
	permission := cmd.Flags().StringP("permission", "p", "", "only this permission")
	person := cmd.Flags().String("for", "", "whom it would be for: their e-mail address (default yourself)")
	limit := cmd.Flags().Int("limit", 200, "at most so many")
	return talk(cmd, func(ctx context.Context, c *client, args []string, asJSON bool) error {
		if *limit < 1 {
			return usagef("--limit %d: it must be at least 1", *limit)
		}
		q := url.Values{}
		for key, value := range map[string]string{"integration": *integration, "type": *kind, "permission": *permission, "for": *person} {
			if value != "" {
				q.Set(key, value)
			}
		}
		if len(args) == 1 {
			q.Set("q", args[0])
		}
		var bundles []api.AccessOffer
		offers, err := allPages(ctx, c, at("catalog"), q, *limit, func(p *api.AccessCatalog) ([]api.AccessOffer, string) {
			bundles = append(bundles, p.Bundles...)
			return p.Offers, p.Next
		})
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(s.Out, struct {
				Bundles []api.AccessOffer `json:"bundles,omitempty"`
				Offers  []api.AccessOffer `json:"offers"`
			}{bundles, offers})
		}
		rows := make([][]string, 0, len(bundles)+len(offers))
		for _, o := range append(bundles, offers...) {
			item := api.AccessItem{Integration: "-", Type: "bundle", Resource: o.Bundle, Permission: "-"}
			if o.Item != nil {
				item = *o.Item
			}
			rows = append(rows, []string{item.Integration, item.Type, item.Resource, item.Permission, span(o.Terms.MaxSeconds), termsText(&o.Terms), o.Held})
		}
		if len(rows) == 0 {
			_, err := fmt.Fprintln(s.Out, "there is nothing that you may ask for here")
			return err
		}
		return printTable(s.Out, []string{"INTEGRATION", "TYPE", "RESOURCE", "PERMISSION", "AT MOST", "WHO AGREES", "HELD"}, rows)
	})
}

// termsText says who has to agree.
func termsText(t *api.AccessTerms) string {
	switch t.Outcome {
	case flow.AutoApproved:
		return "nobody"
	case flow.NeedsApproval:
		return t.Approval.String()
	default:
		return "no flow gives it"
	}
}

func newAccessList(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List requests and grants: yours, those that wait for you, or all",
		Long: `List requests and grants. Without flags: what you have, and what you asked for that
nobody has answered yet. --inbox lists what waits for your answer. --all lists those of
everybody that you may see.`,
		Example: `  gatehouse access list
  gatehouse access list --inbox
  gatehouse access list --all --integration prod-1 --ended -o json`,
		Args: noArgs,
	}
	inbox := cmd.Flags().Bool("inbox", false, "only requests that wait for your answer")
	all := cmd.Flags().Bool("all", false, "those of everybody that you may see")
	ended := cmd.Flags().Bool("ended", false, "also what is decided or over")
	person := cmd.Flags().String("person", "", "only of this person: their e-mail address")
	integration := cmd.Flags().StringP("integration", "i", "", "only of this integration")
	limit := cmd.Flags().Int("limit", 100, "at most so many of each")
	return talk(cmd, func(ctx context.Context, c *client, _ []string, asJSON bool) error {
		if err := notBoth(cmd, "inbox", "all", "person"); err != nil {
			return err
		}
		if *limit < 1 {
			return usagef("--limit %d: it must be at least 1", *limit)
		}
		whose := *person
		if whose == "" && !*all {
			whose = "me"
		}
		query := func(states ...string) url.Values {
			q := url.Values{}
			if whose != "" {
				q.Set("person", whose)
			}
			if *integration != "" {
				q.Set("integration", *integration)
			}
			if !*ended {
				q["state"] = states
			}
			return q
		}
		var list struct {
			Requests []api.AccessRequest `json:"requests"`
			Grants   []api.AccessGrant   `json:"grants"`
		}
		list.Grants = []api.AccessGrant{}
		var err error
		if *inbox {
			q := url.Values{"inbox": {"true"}}
			if *integration != "" {
				q.Set("integration", *integration)
			}
			if list.Requests, err = c.requests(ctx, q, *limit); err != nil {
				return err
			}
			return printAccess(s, asJSON, list, list.Requests, nil, "nothing waits for your answer")
		}
		if list.Requests, err = c.requests(ctx, query(string(access.Pending)), *limit); err != nil {
			return err
		}
		if list.Grants, err = c.grants(ctx, query(string(access.Provisioning), string(access.Active), string(access.Revoking)), *limit); err != nil {
			return err
		}
		return printAccess(s, asJSON, list, list.Requests, list.Grants, "nothing is lent and nothing is asked for; 'gatehouse access request' asks")
	})
}

func printAccess(s *Streams, asJSON bool, whole any, requests []api.AccessRequest, grants []api.AccessGrant, nothing string) error {
	if asJSON {
		return printJSON(s.Out, whole)
	}
	if len(requests)+len(grants) == 0 {
		_, err := fmt.Fprintln(s.Out, nothing)
		return err
	}
	if len(requests) > 0 {
		rows := make([][]string, 0, len(requests))
		for i := range requests {
			r := &requests[i]
			rows = append(rows, []string{r.ID, string(r.State), r.For.ID, utc(r.CreatedAt), span(r.DurationSeconds), titleOf(r.Bundle, r.Items), firstLine(r.Justification)})
		}
		if err := printTable(s.Out, []string{"REQUEST", "STATE", "FOR", "ASKED (UTC)", "TIME", "WHAT", "WHY"}, rows); err != nil || len(grants) == 0 {
			return err
		}
		fmt.Fprintln(s.Out)
	}
	rows := make([][]string, 0, len(grants))
	for i := range grants {
		g := &grants[i]
		rows = append(rows, []string{g.ID, string(g.State), g.Person.ID, leftText(g), titleOf("", g.Items), g.Trouble})
	}
	return printTable(s.Out, []string{"GRANT", "STATE", "PERSON", "LEFT", "WHAT", "TROUBLE"}, rows)
}

// leftText is the time that a grant has left, or how it ended.
func leftText(g *api.AccessGrant) string {
	switch g.State {
	case access.Active:
		return span(g.RemainingSeconds)
	case access.Provisioning:
		return span(g.DurationSeconds)
	default:
		return string(g.EndReason)
	}
}

func newAccessShow(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show a request or a grant, and how to use what was lent",
		Example: `  gatehouse access show g5xk2mjyqrc7wqn4b
  gatehouse access show r5xk2mjyqrc7wqn4b -o json`,
		Args: named("the id of a request or a grant", 1, 1),
	}
	return talk(cmd, func(ctx context.Context, c *client, args []string, asJSON bool) error {
		if !isGrant(args[0]) && !isRequest(args[0]) {
			return withHint(usagef("%q is the id of neither a request nor a grant", args[0]), "'gatehouse access list' shows them")
		}
		if isRequest(args[0]) {
			r, err := c.request(ctx, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(s.Out, r)
			}
			return printRequest(s.Out, r)
		}
		grant, err := c.grant(ctx, args[0])
		if err != nil {
			return err
		}
		shown := result{Grant: grant}
		if st := shown.Grant.State; st == access.Active || st == access.Provisioning {
			if shown.Details, err = c.details(ctx, args[0]); isRefused(err, http.StatusNotFound) {
				shown.Details, err = nil, nil // somebody else's: how to use it is theirs
			}
			if err != nil {
				return err
			}
		}
		return shown.print(s, asJSON)
	})
}

// isRefused reports whether the server answered with one of the statuses.
func isRefused(err error, statuses ...int) bool {
	refused, ok := asAPIError(err)
	return ok && slices.Contains(statuses, refused.Status)
}

// result is what became of asking for access.
type result struct {
	Request *api.AccessRequest `json:"request,omitempty"`
	Grant   *api.AccessGrant   `json:"grant,omitempty"`
	Details *access.Details    `json:"details,omitempty"`
}

func (r *result) print(s *Streams, asJSON bool) error {
	switch {
	case asJSON:
		return printJSON(s.Out, r)
	case r.Grant == nil:
		return printRequest(s.Out, r.Request)
	}
	if err := printGrant(s.Out, r.Grant); err != nil || r.Details == nil {
		return err
	}
	return printDetails(s.Out, r.Details)
}

func printRequest(w io.Writer, r *api.AccessRequest) error {
	facts := [][]string{
		{"state", string(r.State)},
		{"for", personText(r.For)},
		{"asked by", personText(r.By)},
		{"asked", clock(r.CreatedAt)},
		{"time", span(r.DurationSeconds)},
	}
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, []string{name, value})
		}
	}
	for i := range r.Items {
		add("what", itemText(&r.Items[i]))
	}
	add("bundle", r.Bundle)
	add("why", r.Justification)
	add("extends", r.Extends)
	add("flow", r.Terms.Flow)
	if r.BreakGlass {
		add("break-glass", "yes")
	}
	for _, v := range r.Votes {
		word := "refused"
		if v.Approve {
			word = "agreed"
		}
		text := personText(v.By) + " " + word + " at " + clock(v.At)
		if v.Reason != "" {
			text += ": " + v.Reason
		}
		add("answer", text)
	}
	if r.State == access.Pending {
		add("waits for", waitsText(r.Waiting, &r.Terms.Approval))
		add("can agree", strings.Join(r.CanApprove, ", "))
		add("lapses", clock(r.LapsesAt))
		if r.WhyNot != "" && !r.MayCancel {
			add("your answer", "not possible: "+r.WhyNot)
		}
	}
	add("grant", r.Grant)
	return printTable(w, []string{"REQUEST", r.ID}, facts)
}

func printGrant(w io.Writer, g *api.AccessGrant) error {
	facts := [][]string{
		{"state", string(g.State)},
		{"person", personText(g.Person)},
	}
	add := func(name, value string) {
		if value != "" && value != "-" {
			facts = append(facts, []string{name, value})
		}
	}
	for i := range g.Items {
		add("what", itemText(&g.Items[i]))
	}
	add("why", g.Justification)
	add("flow", g.Flow)
	add("time", span(g.DurationSeconds))
	switch g.State {
	case access.Active:
		add("ready", clock(g.ReadyAt))
		add("ends", clock(g.ExpiresAt)+", in "+span(g.RemainingSeconds))
	case access.Provisioning:
		add("given up", clock(g.ExpiresAt)+", unless it is there by then")
	default:
		add("ends because", string(g.EndReason))
		add("ended by", g.EndedBy)
		add("had to go", clock(g.EndingAt))
		add("gone", clock(g.EndedAt))
	}
	add("trouble", g.Trouble)
	if g.LateSeconds > 0 && g.Trouble != "" {
		add("late", span(g.LateSeconds))
	}
	if g.MayExtendSeconds > 0 {
		add("extension", "by up to "+span(g.MayExtendSeconds))
	}
	return printTable(w, []string{"GRANT", g.ID}, facts)
}

// waitsText says who has to agree yet: one of them, or each.
func waitsText(waiting []string, a *flow.Approval) string {
	switch {
	case len(waiting) == 0:
		return a.String()
	case a.Mode == flow.AllOf:
		return strings.Join(waiting, " and ")
	default:
		return strings.Join(waiting, " or ")
	}
}

var manyEmptyLines = regexp.MustCompile(`\n{3,}`)

// printDetails prints how to use access, as it is to be copied.
func printDetails(w io.Writer, d *access.Details) error {
	var b strings.Builder
	if d.Text != "" {
		b.WriteString("\n" + manyEmptyLines.ReplaceAllString(printableLines(strings.TrimSpace(d.Text)), "\n\n") + "\n")
	}
	for _, sn := range d.Snippets {
		b.WriteString("\n# " + printable(sn.Title) + "\n" + strings.TrimRight(printableLines(sn.Text), "\n") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printExplanation tells what would become of an ask.
func printExplanation(w io.Writer, e *api.AccessExplanation) {
	for i := range e.Items {
		fmt.Fprintf(w, "  %s\n", printable(itemText(&e.Items[i])))
	}
	t := &e.Terms
	switch t.Outcome {
	case flow.AutoApproved:
		fmt.Fprintf(w, "would be given at once for %s, by flow %s\n", span(t.DurationSeconds), printable(t.Flow))
	case flow.NeedsApproval:
		fmt.Fprintf(w, "would be asked for %s, by flow %s\n", span(t.DurationSeconds), printable(t.Flow))
		waits := waitsText(e.Waiting, &t.Approval)
		fmt.Fprintf(w, "  has to agree: %s\n", printable(waits))
		if len(e.CanApprove) > 0 {
			fmt.Fprintf(w, "  can agree now: %s\n", printable(fewOf(e.CanApprove, 10)))
		}
		if t.LapseAfterSeconds > 0 {
			fmt.Fprintf(w, "  lapses if nobody answers within %s\n", span(t.LapseAfterSeconds))
		}
	default:
		fmt.Fprintln(w, "would be refused")
	}
	if t.BreakGlass {
		fmt.Fprintln(w, "  the glass is broken: others are told loudly and at once")
	}
	for _, r := range t.Reasons {
		fmt.Fprintf(w, "  %s\n", printable(r))
	}
	if e.Stopped != "" {
		fmt.Fprintf(w, "  stopped: %s\n", printable(e.Stopped))
	}
	for _, warn := range e.Warnings {
		fmt.Fprintf(w, "  warning: %s\n", printable(warn))
	}
}

// fewOf joins the first n of a list.
func fewOf(list []string, n int) string {
	if len(list) <= n {
		return strings.Join(list, ", ")
	}
	return strings.Join(list[:n], ", ") + " and " + strconv.Itoa(len(list)-n) + " more"
}

// wouldBeGiven reports whether asking would lead anywhere.
func wouldBeGiven(e *api.AccessExplanation) error {
	switch {
	case e.Terms.Outcome != flow.NeedsApproval && e.Terms.Outcome != flow.AutoApproved:
		return withHint(access.ErrNotGiven, "'gatehouse access catalog' lists what you may ask for")
	case e.Stopped != "":
		return fmt.Errorf("%w; ask again once it is lifted", access.ErrStopped)
	case len(e.Warnings) > 0:
		return fmt.Errorf("%w until that is mended: %s", access.ErrStopped, e.Warnings[0])
	default:
		return nil
	}
}

// sleep waits, but no longer than the context lasts.
func sleep(done <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
}
