package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/config"
)

// auditRuntime is what the audit commands ask of the product.
type auditRuntime interface {
	// Audit opens the audit log of a state; the caller calls the function that it
	// returns when done.
	Audit(ctx context.Context, c *config.Config) (audit.Reader, func() error, error)
}

func newAudit(rt auditRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "List, export and verify who changed what",
		Long: `List, export and verify who changed what.

Every event holds the hash of the one before it, so that no event can be changed,
removed or put elsewhere without showing. Nothing is ever removed.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAuditList(rt, s), newAuditExport(rt, s), newAuditVerify(rt, s))
	return cmd
}

// withAudit calls do with the audit log of the state that the settings name.
func withAudit(cmd *cobra.Command, rt auditRuntime, flags *settingFlags, do func(audit.Reader) error) (err error) {
	c, err := flags.load(cmd)
	if err != nil {
		return err
	}
	log, done, err := rt.Audit(cmd.Context(), c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	return do(log)
}

func newAuditList(rt auditRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List events, the newest first",
		Example: `  gatehouse audit list --since 24h
  gatehouse audit list --action finding. --actor ann@example.com -o json`,
		Args: noArgs,
	}
	var q audit.Query
	var kind, via, since, until string
	cmd.Flags().StringVar(&q.Actor, "actor", "", "only events of this actor, by id or name")
	cmd.Flags().StringVar(&kind, "kind", "", "only events of one kind of actor: "+joined(audit.ActorKinds()))
	cmd.Flags().StringVar(&via, "via", "", "only events that came this way: web, cli, api, …")
	cmd.Flags().StringVar(&q.Action, "action", "", "only actions that begin so: finding. or finding.decided")
	cmd.Flags().StringVar(&q.Subject, "subject", "", "only events about this subject, by id, name or kind")
	cmd.Flags().StringVar(&since, "since", "", "from this time on: a duration (1h, 7d) or a time (RFC 3339)")
	cmd.Flags().StringVar(&until, "until", "", "before this time: a duration (1h, 7d) or a time (RFC 3339)")
	limit := cmd.Flags().Int("limit", 100, "at most so many events")
	flags := addSettings(cmd, "state")
	output := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		if q.Kind, q.Via = audit.ActorKind(kind), audit.Via(via); kind != "" && !audit.IsActorKind(q.Kind) {
			return withHint(usagef("--kind: there is no kind %q of actors", kind), "use one of "+joined(audit.ActorKinds()))
		}
		if q.Since, err = timeFlag("since", since); err != nil {
			return err
		}
		if q.Until, err = timeFlag("until", until); err != nil {
			return err
		}
		if *limit < 1 {
			return usagef("--limit %d: it must be at least 1", *limit)
		}
		return withAudit(cmd, rt, flags, func(log audit.Reader) error {
			events, err := auditEvents(cmd.Context(), log, q, *limit)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(s.Out, events)
			}
			if len(events) == 0 {
				_, err := fmt.Fprintln(s.Out, "no events")
				return err
			}
			return printTable(s.Out, []string{"SEQ", "TIME (UTC)", "ACTOR", "VIA", "ACTION", "SUBJECT", "REASON"}, auditRows(events))
		})
	}
	return cmd
}

// auditEvents reads pages until there are limit events; it is never nil.
func auditEvents(ctx context.Context, log audit.Reader, q audit.Query, limit int) ([]audit.Event, error) {
	events := []audit.Event{}
	for limit > len(events) {
		q.Limit = min(limit-len(events), 1000)
		page, err := log.AuditEvents(ctx, q)
		if err != nil {
			return nil, err
		}
		events = append(events, page.Events...)
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	return events, nil
}

func auditRows(events []audit.Event) [][]string {
	rows := make([][]string, 0, len(events))
	for i := range events {
		e := &events[i]
		rows = append(rows, []string{
			strconv.FormatUint(e.Seq, 10), utc(e.Time), e.Actor.Title(), orDash(string(e.Actor.Via)), e.Action, orDash(e.Subject.Title()), orDash(e.Reason),
		})
	}
	return rows
}

func newAuditExport(rt auditRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the events as NDJSON, the oldest first",
		Long: `Write the events as NDJSON, the oldest first, each as it was sealed: keep the bytes as
they are, and the file can be verified at any time, here or by other programs
(docs/audit.md).`,
		Example: `  gatehouse audit export > audit.ndjson
  gatehouse audit export --after 1200 >> audit.ndjson`,
		Args: noArgs,
	}
	after := cmd.Flags().Uint64("after", 0, "only events after this number")
	flags := addSettings(cmd, "state")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withAudit(cmd, rt, flags, func(log audit.Reader) error {
			out := bufio.NewWriterSize(s.Out, 64<<10)
			err := log.AuditLines(cmd.Context(), *after, func(line []byte) error {
				_, err := out.Write(append(line, '\n'))
				return err
			})
			return errors.Join(err, out.Flush())
		})
	}
	return cmd
}

func newAuditVerify(rt auditRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify [FILE]",
		Short: "Verify that no event was changed, removed or moved",
		Long: `Verify that no event was changed, removed or moved: of the state, or of a file that
'gatehouse audit export' wrote ("-" is standard input).

That the newest events were cut off, or that all were written anew, shows only
against a head, the number and hash of an event, that was noted elsewhere: Gatehouse
writes it to its log every hour and when it stops, and this command prints it. The
exit status is 1 if the log is broken.`,
		Example: `  gatehouse audit verify
  gatehouse audit verify audit.ndjson --head 1234:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return withHint(usagef("%s takes one file, not %d", cmd.CommandPath(), len(args)), "see '"+cmd.CommandPath()+" --help'")
			}
			return nil
		},
	}
	heads := cmd.Flags().StringArray("head", nil, "SEQ:HASH of an event that was noted elsewhere (may be repeated)")
	after := cmd.Flags().String("after", "", "SEQ:HASH of the event before the first that is verified; default: the log begins at its first event")
	flags := addSettings(cmd, "state")
	output := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		o, err := verifyOptions(*heads, *after)
		if err != nil {
			return err
		}
		if len(args) == 1 {
			return withFile(s, args[0], func(r io.Reader) error {
				report, err := audit.VerifyFile(cmd.Context(), r, o)
				return printVerified(s, &report, err, asJSON)
			})
		}
		return withAudit(cmd, rt, flags, func(log audit.Reader) error {
			report, err := audit.VerifyStore(cmd.Context(), log, o, nil)
			return printVerified(s, &report, err, asJSON)
		})
	}
	return cmd
}

func verifyOptions(heads []string, after string) (o audit.VerifyOptions, err error) {
	for _, text := range heads {
		h, err := audit.ParseHead(text)
		if err != nil {
			return o, usagef("--head: %w", err)
		}
		o.Heads = append(o.Heads, h)
	}
	if after != "" {
		if o.After, err = audit.ParseHead(after); err != nil {
			return o, usagef("--after: %w", err)
		}
	}
	return o, nil
}

func withFile(s *Streams, name string, do func(io.Reader) error) (err error) {
	if name == "-" {
		return do(s.In)
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return do(f)
}

// verified is a verification as JSON.
type verified struct {
	Whole   bool        `json:"whole"`
	Events  uint64      `json:"events"`
	First   uint64      `json:"first,omitempty"`
	Head    *audit.Head `json:"head,omitempty"`
	Notices []string    `json:"notices,omitempty"`
	Fault   audit.Fault `json:"fault,omitempty"`
	Event   uint64      `json:"event,omitempty"` // where it is broken
	Line    int64       `json:"line,omitempty"`
	Want    string      `json:"want,omitempty"`
	Got     string      `json:"got,omitempty"`
}

// printVerified prints what was found and returns what the command ends with.
func printVerified(s *Streams, r *audit.Report, err error, asJSON bool) error {
	broken, isBreak := errors.AsType[*audit.BreakError](err)
	if err != nil && !isBreak {
		return err
	}
	if asJSON {
		v := verified{Whole: err == nil, Events: r.Events, First: r.First}
		if r.Last.Seq > 0 {
			v.Head = &r.Last
		}
		for _, n := range r.Notices {
			v.Notices = append(v.Notices, fmt.Sprintf("event %d: %s", n.Seq, n.Text))
		}
		if isBreak {
			v.Fault, v.Event, v.Line, v.Want, v.Got = broken.Fault, broken.Seq, broken.Line, broken.Want, broken.Got
		}
		return errors.Join(printJSON(s.Out, v), err)
	}
	for _, n := range r.Notices {
		fmt.Fprintf(s.Err, "gatehouse: event %d: %s\n", n.Seq, n.Text)
	}
	if more := r.NoticeCount - len(r.Notices); more > 0 {
		fmt.Fprintf(s.Err, "gatehouse: and %d more of that kind\n", more)
	}
	switch {
	case isBreak && r.Events > 0:
		fmt.Fprintf(s.Out, "events %d to %d are whole\n", r.First, r.Last.Seq)
		return err
	case isBreak:
		return err
	case r.Events == 0:
		_, err = fmt.Fprintln(s.Out, "no events")
	default:
		_, err = fmt.Fprintf(s.Out, "whole: events %d to %d\nhead:  %s\n", r.First, r.Last.Seq, r.Last)
	}
	return err
}
