package cli

import (
	"bufio"
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
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/api"
)

// accessRuntime is what the access commands ask of this machine.
type accessRuntime interface {
	// CallerIdentity asks STS whom the credentials of an AWS profile belong to (empty:
	// the default credentials), and returns their ARN.
	CallerIdentity(ctx context.Context, profile string) (string, error)
}

const accessRoot = "/api/v1/access"

func newAccess(rt accessRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "access",
		Short: "Ask for access, agree to it, use it and give it back",
		Long: `Ask for access to clusters and APIs, agree to what others ask for, use what was
lent to you, and give it back. The commands talk to a Gatehouse as the person that
'gatehouse login' signed in.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newAccessCatalog(s), newAccessRequest(s), newAccessList(s), newAccessShow(s),
		newAccessVote(s, true), newAccessVote(s, false), newAccessCancel(s),
		newAccessReturn(s), newAccessExtend(s), newAccessRevoke(s),
		newAccessPanic(s), newAccessLift(s), newAccessStops(s), newAccessClock(s),
		newAccessCreds(s), newAccessKubeconfig(s), newAccessWhoami(rt, s),
	)
	return cmd
}

// named returns a check that a command gets between least and most arguments, and
// says what they are.
func named(what string, least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return withHint(usagef("%s takes %s, and got %s", cmd.CommandPath(), what, counted(len(args), "argument")), "see '"+cmd.CommandPath()+" --help'")
		}
		return nil
	}
}

// talk makes cmd one that asks a Gatehouse something and prints the answer: it gets
// --server and -o, and do runs with the client and whether JSON is wanted.
func talk(cmd *cobra.Command, do func(ctx context.Context, c *client, args []string, asJSON bool) error) *cobra.Command {
	connect, output := addServer(cmd), addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		c, err := connect()
		if err != nil {
			return err
		}
		return do(cmd.Context(), c, args, asJSON)
	}
	return cmd
}

// oneOrMore is the number of arguments of a command that takes a list.
const oneOrMore = 100

// notBoth refuses flags that contradict one another.
func notBoth(cmd *cobra.Command, flags ...string) error {
	given := ""
	for _, f := range flags {
		if !cmd.Flags().Changed(f) {
			continue
		}
		if given != "" {
			return usagef("--%s and --%s: give one of them", given, f)
		}
		given = f
	}
	return nil
}

// at puts a path of the API together; the parts come from people.
func at(parts ...string) string {
	var path strings.Builder
	path.WriteString(accessRoot)
	for _, p := range parts {
		path.WriteString("/" + url.PathEscape(p))
	}
	return path.String()
}

// with puts a query behind a path.
func with(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// allPages reads the pages of a list, up to limit things (0: all).
func allPages[P, T any](ctx context.Context, c *client, path string, q url.Values, limit int, split func(*P) ([]T, string)) ([]T, error) {
	q.Set("limit", "1000")
	if limit > 0 && limit < 1000 {
		q.Set("limit", strconv.Itoa(limit))
	}
	all := []T{}
	for {
		page := new(P)
		if _, err := c.do(ctx, http.MethodGet, with(path, q), nil, page); err != nil {
			return nil, err
		}
		some, next := split(page)
		all = append(all, some...)
		if limit > 0 && len(all) >= limit {
			return all[:limit], nil
		}
		if next == "" {
			return all, nil
		}
		q.Set("cursor", next)
	}
}

func (c *client) requests(ctx context.Context, q url.Values, limit int) ([]api.AccessRequest, error) {
	return allPages(ctx, c, at("requests"), q, limit, func(p *api.AccessRequestPage) ([]api.AccessRequest, string) { return p.Requests, p.Next })
}

func (c *client) grants(ctx context.Context, q url.Values, limit int) ([]api.AccessGrant, error) {
	return allPages(ctx, c, at("grants"), q, limit, func(p *api.AccessGrantPage) ([]api.AccessGrant, string) { return p.Grants, p.Next })
}

func (c *client) request(ctx context.Context, id string) (*api.AccessRequest, error) {
	r := new(api.AccessRequest)
	_, err := c.do(ctx, http.MethodGet, at("requests", id), nil, r)
	return r, noSuch(err, "'gatehouse access list' and 'gatehouse access list --inbox' show those that you may see")
}

func (c *client) grant(ctx context.Context, id string) (*api.AccessGrant, error) {
	g := new(api.AccessGrant)
	_, err := c.do(ctx, http.MethodGet, at("grants", id), nil, g)
	return g, noSuch(err, "'gatehouse access list --ended' shows those that you may see")
}

func (c *client) details(ctx context.Context, grant string) (*access.Details, error) {
	d := new(access.Details)
	_, err := c.do(ctx, http.MethodGet, at("grants", grant, "details"), nil, d)
	return d, err
}

// live are the grants of the person that are there or on their way, the newest first.
func (c *client) live(ctx context.Context, integration string) ([]api.AccessGrant, error) {
	q := url.Values{"person": {"me"}, "state": {string(access.Provisioning), string(access.Active)}}
	if integration != "" {
		q.Set("integration", integration)
	}
	return c.grants(ctx, q, 0)
}

// isGrant and isRequest tell the two kinds of ids apart.
func isGrant(id string) bool   { return strings.HasPrefix(id, "g") }
func isRequest(id string) bool { return strings.HasPrefix(id, "r") }

// grantID refuses what is no grant's id before a server is asked.
func grantID(id string) error {
	if isGrant(id) {
		return nil
	}
	return withHint(usagef("%q is not the id of a grant", id), "'gatehouse access list' shows them; they begin with g")
}

func requestID(id string) error {
	if isRequest(id) {
		return nil
	}
	return withHint(usagef("%q is not the id of a request", id), "'gatehouse access list' and 'gatehouse access list --inbox' show them; they begin with r")
}

// span is a duration of the API, for people.
func span(seconds int64) string {
	if seconds <= 0 {
		return "-"
	}
	return flow.FormatDuration(time.Duration(seconds) * time.Second)
}

// maxSpan is the longest duration that the API takes.
const maxSpan = 365 * 24 * time.Hour

// spanFlag reads a duration that people give.
func spanFlag(name, text string) (seconds int64, err error) {
	if text == "" {
		return 0, nil
	}
	d, err := flow.ParseDuration(text)
	if err != nil {
		return 0, withHint(usagef("--%s: %w", name, err), "write it as 30m, 8h or 1d12h")
	}
	if d > maxSpan {
		return 0, withHint(usagef("--%s: %s is more than a year", name, text), "flows give less; 'gatehouse access catalog' shows how long")
	}
	if d < time.Second || d%time.Second != 0 {
		return 0, usagef("--%s: %s is not a whole number of seconds", name, text)
	}
	return int64(d / time.Second), nil
}

// personText names a person and their id.
func personText(p api.AccessPerson) string {
	if p.Name == "" || p.Name == p.ID {
		return p.ID
	}
	return p.Name + " <" + p.ID + ">"
}

// itemText names one permission: "edit on prod-1 / payments".
func itemText(i *api.AccessItem) string {
	where := i.Path
	if where == "" {
		where = i.Integration + " / " + i.Resource
	}
	return i.Permission + " on " + where
}

// titleOf names what is asked for or lent in a few words.
func titleOf(bundle string, items []api.AccessItem) string {
	switch {
	case bundle != "":
		return "bundle " + bundle
	case len(items) == 0:
		return "nothing"
	case len(items) == 1:
		return itemText(&items[0])
	default:
		return itemText(&items[0]) + " and " + strconv.Itoa(len(items)-1) + " more"
	}
}

// clock is a moment for people; they act on it soon, so it is theirs.
func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05 MST")
}

// errInputOver is the error where a person, or a script, stopped answering.
var errInputOver = errors.New("the input ended before everything was answered")

// errInterrupted is the error where a person ended the command at a question.
var errInterrupted = errors.New("interrupted; nothing was done")

// asker asks a person on the terminal, line by line.
type asker struct {
	s     *Streams
	lines chan string
}

// newAsker reads s.In from now on.
func newAsker(s *Streams) *asker {
	a := &asker{s: s, lines: make(chan string)}
	// A read of a terminal cannot be called off, so nobody can wait for this
	// goroutine after Ctrl-C; it ends with the input or with the process.
	go func() {
		defer close(a.lines)
		in := bufio.NewReader(io.LimitReader(s.In, 1<<20))
		for {
			line, err := in.ReadString('\n')
			if line = strings.TrimSpace(line); line != "" || err == nil {
				a.lines <- line
			}
			if err != nil {
				return
			}
		}
	}()
	return a
}

// ask shows a prompt and returns the line that is typed, without space around it.
func (a *asker) ask(ctx context.Context, prompt string) (string, error) {
	fmt.Fprint(a.s.Err, prompt)
	select {
	case line, ok := <-a.lines:
		if !ok {
			fmt.Fprintln(a.s.Err)
			return "", withHint(errInputOver, "answer every question, or give flags")
		}
		return line, nil
	case <-ctx.Done():
		fmt.Fprintln(a.s.Err)
		return "", errInterrupted
	}
}

// yes asks a question; an empty line means otherwise.
func (a *asker) yes(ctx context.Context, question string, otherwise bool) (bool, error) {
	choice := " [y/N] "
	if otherwise {
		choice = " [Y/n] "
	}
	for {
		line, err := a.ask(ctx, question+choice)
		if err != nil {
			return false, err
		}
		switch strings.ToLower(line) {
		case "":
			return otherwise, nil
		case "y", "yes":
			return true, nil
		case "n", "no":
			return false, nil
		}
	}
}

// shownAtMost is how many choices stand in a list; typing narrows it.
const shownAtMost = 20

// choice is one line of a numbered list.
type choice struct {
	text string
	note string // why it would not go well
}

// choose lists choices and returns the numbers of those that were typed: one, or
// several between commas where many is set. Other text narrows the list to what
// holds it. Where one is left, that is it.
func (a *asker) choose(ctx context.Context, what string, all []choice, many bool) ([]int, error) {
	filter := ""
	for {
		var shown []int
		for i := range all {
			if strings.Contains(strings.ToLower(all[i].text), strings.ToLower(filter)) {
				shown = append(shown, i)
			}
		}
		if len(shown) == 1 {
			fmt.Fprintf(a.s.Err, "\n   →  %s\n", printable(all[shown[0]].text))
			return shown, nil
		}
		a.list(shown, all, filter)
		hint := "number, or text to filter"
		if many {
			hint = "number, several with commas, or text to filter"
		}
		line, err := a.ask(ctx, what+" ("+hint+"): ")
		if err != nil {
			return nil, err
		}
		picked, isNumber := numbers(line, min(len(shown), shownAtMost))
		switch {
		case !isNumber:
			filter = line
		case len(picked) == 0:
			fmt.Fprintf(a.s.Err, "%s is not in the list.\n", printable(line))
		case len(picked) > 1 && !many:
			fmt.Fprintln(a.s.Err, "Choose one.")
		default:
			for i, n := range picked {
				picked[i] = shown[n]
			}
			return picked, nil
		}
	}
}

func (a *asker) list(shown []int, all []choice, filter string) {
	if len(shown) == 0 {
		fmt.Fprintf(a.s.Err, "\nNothing holds %q; an empty line shows all.\n", printable(filter))
		return
	}
	fmt.Fprintln(a.s.Err)
	for n, i := range shown[:min(len(shown), shownAtMost)] {
		line := fmt.Sprintf("%4d  %s", n+1, printable(all[i].text))
		if all[i].note != "" {
			line += "  (" + printable(all[i].note) + ")"
		}
		fmt.Fprintln(a.s.Err, line)
	}
	if more := len(shown) - shownAtMost; more > 0 {
		fmt.Fprintf(a.s.Err, "      and %d more; type a part of the name\n", more)
	}
}

// numbers reads "2" or "1, 3" and returns the indexes below n, each once. ok is false
// for what is no list of numbers; numbers out of range give none.
func numbers(line string, n int) (picked []int, ok bool) {
	for part := range strings.SplitSeq(line, ",") {
		i, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil {
			return nil, false
		}
		if i < 1 || i > n {
			return nil, true
		}
		if !slices.Contains(picked, i-1) {
			picked = append(picked, i-1)
		}
	}
	return picked, true
}

// consent asks whether to go on, where nobody said --yes. Where nobody can be asked it
// is a mistake in the command's words.
func consent(ctx context.Context, s *Streams, yes bool, question string) error {
	if yes {
		return nil
	}
	if !asks(s) {
		return withHint(usagef("nobody can be asked here whether to go on"), "give --yes")
	}
	ok, err := newAsker(s).yes(ctx, question, false)
	if err == nil && !ok {
		err = errors.New("nothing was changed")
	}
	return err
}
