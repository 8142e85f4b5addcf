package cli

import (
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/access"
)

func newAccessClock(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clock",
		Short: "Show the clock that lending goes by, beside the wall clock",
		Long: `Show the clock that lending goes by, beside the wall clock of the server. It never
goes back by itself: a wall clock that was ahead by mistake leaves it ahead until real time
has caught up. What is lent ends after the time that it was lent for all the same; only
what is shown as its end is wrong. 'gatehouse access clock reset' mends that. Who
administers may.`,
		Args: noArgs,
	}
	connect := addServer(cmd)
	output := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		c, err := connect()
		if err != nil {
			return err
		}
		clock := new(access.ClockState)
		if _, err := c.do(cmd.Context(), http.MethodGet, at("clock"), nil, clock); err != nil {
			return err
		}
		if asJSON {
			return printJSON(s.Out, clock)
		}
		return printClock(s, clock)
	}
	cmd.AddCommand(newAccessClockReset(s))
	return cmd
}

func newAccessClockReset(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reset",
		Short: "Set the time of lending back to the wall clock; nothing ends sooner or later for it",
		Long: `Set the time of lending back to the wall clock of the server. Everything that is open
moves with it: each grant keeps what is left of its time and no more, each request the time
until it lapses. First set the clocks of all servers right: one that is still ahead takes
the time ahead again. It is refused while the time of lending is not ahead, and while the
clocks of the server and of its PostgreSQL differ. Who administers may.`,
		Example: `  gatehouse access clock
  gatehouse access clock reset --reason "ntp was off by a day" --yes`,
		Args: noArgs,
	}
	connect := addServer(cmd)
	reason := cmd.Flags().String("reason", "", "why")
	yes := cmd.Flags().BoolP("yes", "y", false, "do it without asking")
	output := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		c, err := connect()
		if err != nil {
			return err
		}
		if err := consent(cmd.Context(), s, *yes, "Set the time of lending back to the wall clock of the server? Are the clocks of all servers right?"); err != nil {
			return err
		}
		body := map[string]string{}
		if *reason != "" {
			body["reason"] = *reason
		}
		clock := new(access.ClockState)
		if _, err := c.do(cmd.Context(), http.MethodPost, at("clock", "reset"), body, clock); err != nil {
			return err
		}
		if asJSON {
			return printJSON(s.Out, clock)
		}
		return printClock(s, clock)
	}
	return cmd
}

func printClock(s *Streams, c *access.ClockState) error {
	ahead := "they agree"
	if c.AheadSeconds > 0 {
		ahead = "ahead by " + time.Duration(c.AheadSeconds*float64(time.Second)).Round(time.Second).String()
		if !c.Since.IsZero() {
			ahead += ", seen since " + utc(c.Since)
		}
	}
	rows := [][]string{{"wall clock", utc(c.Wall), ""}, {"time of lending", utc(c.Lending), ahead}}
	if !c.Store.IsZero() {
		rows = append(rows, []string{"the store's server", utc(c.Store), ""})
	}
	if err := printTable(s.Out, []string{"CLOCK", "TIME (UTC)", ""}, rows); err != nil {
		return err
	}
	if c.AheadSeconds > 0 {
		_, err := fmt.Fprintln(s.Err, "  hint: once the clocks of all servers are right: gatehouse access clock reset")
		return err
	}
	return nil
}
