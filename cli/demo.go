package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/config"
)

func newDemo(rt Runtime, s *Streams) *cobra.Command {
	o := DemoOptions{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the whole product on a simulated organization of four accounts",
		Long: `Run the whole product on an AWS that is simulated in this process: an
organization of four accounts with REST, HTTP and WebSocket APIs, a local API
gateway that serves them, and clients that keep calling. Nothing leaves this machine
and no credentials are needed.`,
		Example: `  gatehouse demo
  gatehouse demo --listen 127.0.0.1:9000 --rate 200 --for 30s`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Rate <= 0 || o.Rate > 20_000 {
				return usagef("--rate must be above 0 and at most 20000 calls a second, not %g", o.Rate)
			}
			if o.For < 0 {
				return usagef("--for must not be negative")
			}
			o.Out, o.Err = s.Out, s.Err
			return rt.Demo(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Listen, "listen", "", "address of the dashboard (default "+config.DefaultListen+", or a free port if that is taken)")
	cmd.Flags().DurationVar(&o.For, "for", time.Duration(0), "end with a summary after this long (default: run until stopped)")
	cmd.Flags().Float64Var(&o.Rate, "rate", 25, "calls a second over all APIs, or as many as the machine can make")
	cmd.Flags().StringVar(&o.State, "state", "", "folder to keep the state in (default: a temporary one)")
	cmd.Flags().StringVar(&o.LogLevel, "log-level", "warn", "debug, info, warn or error")
	return cmd
}
