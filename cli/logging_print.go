package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/gatehouse-project/gatehouse/logging"
)

// noStage is said where a choice leaves nothing.
const noStage = "no stage is meant: none that was read passes all that was asked for; 'gatehouse logging status' without a choice shows them all"

func printLoggingStatus(s *Streams, status *logging.Status) error {
	if len(status.Stages) == 0 {
		fmt.Fprintln(s.Err, noStage)
		return nil
	}
	rows := make([][]string, len(status.Stages))
	for i := range status.Stages {
		st := &status.Stages[i]
		execution := orDash(st.Execution)
		if st.MethodsLess > 0 {
			execution += fmt.Sprintf(", %d of %d methods less", st.MethodsLess, st.Methods)
		}
		access := orDash(st.AccessLog)
		if st.AccessLog != "" && !st.Joins {
			access += " (no request ID)"
		}
		by := "-"
		switch {
		case st.Unfinished:
			by = "unfinished"
		case st.Switched:
			by = "yes"
		}
		rows[i] = []string{st.Account, st.Region, orDash(st.APIName), st.API, string(st.APIType), st.Stage, execution, by, access}
	}
	return printTable(s.Out, []string{"ACCOUNT", "REGION", "API", "ID", "TYPE", "STAGE", "EXECUTION", "GATEHOUSE", "ACCESS LOGS"}, rows)
}

func printPlan(s *Streams, p *logging.Plan) error {
	for _, n := range p.Notes {
		fmt.Fprintf(s.Err, "note: %s: %s\n", printable(strings.Join(strings.Fields(n.Account+" "+n.Region+" "+n.APIName+" "+n.Subject), " ")), n.Text)
	}
	for _, c := range p.Changes {
		if c.State == logging.Left {
			fmt.Fprintf(s.Err, "left: %s %s %s: %s\n", c.Account, orDash(c.Region), printable(settingOf(c)), printable(c.Why))
		}
	}
	todo := p.Count(logging.Planned)
	if todo == 0 {
		if p.Stages == 0 {
			fmt.Fprintln(s.Err, noStage)
		} else {
			fmt.Fprintf(s.Err, "nothing to change in %d stages\n", p.Stages)
		}
		return nil
	}
	rows := make([][]string, 0, todo)
	for _, c := range p.Changes {
		if c.State == logging.Planned {
			rows = append(rows, []string{
				c.Account, orDash(c.Region), orDash(c.APIName), orDash(c.Stage), settingOf(c),
				logging.Describe(c.Kind, c.Now), "→", logging.Describe(c.Kind, c.Then),
			})
		}
	}
	if err := printTable(s.Out, []string{"ACCOUNT", "REGION", "API", "STAGE", "SETTING", "NOW", "", "THEN"}, rows); err != nil {
		return err
	}
	printEstimate(s.Err, p.Estimate)
	return nil
}

// settingOf names a setting for people.
func settingOf(c *logging.Change) string {
	switch c.Kind {
	case logging.KindExecution:
		if c.Part == "*/*" || c.Part == "*" {
			return "execution logs"
		}
		path := strings.ReplaceAll(strings.ReplaceAll(c.Part, "~1", "/"), "~0", "~")
		return "execution logs of " + path
	case logging.KindAccess:
		return "access logs"
	case logging.KindGroup:
		return "log group " + c.Subject
	case logging.KindRole:
		return "IAM role " + c.Subject
	case logging.KindAccount:
		return "API Gateway's CloudWatch role"
	case logging.KindDelivery:
		return "delivery of 1 MB lines"
	}
	return string(c.Kind)
}

func printEstimate(w io.Writer, e *logging.Estimate) {
	if e == nil {
		return
	}
	if e.Known == 0 {
		fmt.Fprintf(w, "cost: how often the %d stages are called is unknown; a million calls cost at most $%.2f of ingestion\n", e.Stages, e.USDPerMillion)
	} else {
		fmt.Fprintf(w, "cost: about $%.2f a month of ingestion (%.1f GB at %.2f calls/s) for %d of %d stages", e.USDMonth, e.GBMonth, e.CallsPerSecond, e.Known, e.Stages)
		if e.Known < e.Stages {
			fmt.Fprintf(w, "; the calls of the others are unknown, a million of them costs at most $%.2f", e.USDPerMillion)
		}
		fmt.Fprintln(w)
	}
	for _, a := range e.Assumptions {
		fmt.Fprintf(w, "  assumed: %s\n", a)
	}
}

func printOutcome(s *Streams, p *logging.Plan) {
	for _, c := range p.Changes {
		switch c.State {
		case logging.Failed, logging.Skipped, logging.Left:
			fmt.Fprintf(s.Err, "%s: %s %s %s %s: %s\n", c.State, c.Account, orDash(c.Region), printable(strings.TrimSpace(c.APIName+" "+c.Stage)), printable(settingOf(c)), printable(c.Why))
			if c.Mend != "" {
				fmt.Fprintf(s.Err, "  hint: %s\n", c.Mend)
			}
		case logging.Done, logging.Unchanged:
			if c.Why != "" {
				fmt.Fprintf(s.Err, "note: %s %s %s: %s\n", c.Account, orDash(c.Region), printable(settingOf(c)), printable(c.Why))
			}
		case logging.Planned, logging.Intended:
		}
	}
	fmt.Fprintf(s.Err, "%d changed, %d were so already, %d left, %d failed\n",
		p.Count(logging.Done), p.Count(logging.Unchanged), p.Count(logging.Left), p.Count(logging.Failed)+p.Count(logging.Skipped))
}

// unreadLogging lists what could not be read, and is an error if there is anything,
// or if changes failed.
func unreadLogging(s *Streams, failures []logging.Failure, failed int) error {
	for _, f := range failures {
		fmt.Fprintf(s.Err, "not read: %s %s: %s: %s\n", orDash(f.Account), orDash(f.Region), printable(f.What), printable(f.Error))
		if f.Mend != "" {
			fmt.Fprintf(s.Err, "  hint: %s\n", f.Mend)
		}
	}
	switch {
	case failed > 0:
		return withHint(fmt.Errorf("%d changes failed", failed), "run the command again: it goes on where it stopped")
	case len(failures) > 0:
		return fmt.Errorf("%d reads failed: their stages are not among the result", len(failures))
	}
	return nil
}
