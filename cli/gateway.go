package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/gateway"
)

// gatewayRuntime is what the gateway command asks of the product.
type gatewayRuntime interface {
	// Gateway serves a configuration until ctx is done.
	Gateway(ctx context.Context, o GatewayOptions) error
}

// GatewayOptions are what the gateway's flags say.
type GatewayOptions struct {
	Config   *gateway.Config
	LogLevel string
	Out      io.Writer
	Err      io.Writer // of the log
}

func newGateway(rt gatewayRuntime, s *Streams) *cobra.Command {
	var file, openAPI, listen, level string
	var functions []string
	var check bool
	cmd := &cobra.Command{
		Use:   "gateway",
		Short: "Run a local API gateway that authorizes, answers and logs as API Gateway does",
		Long: `Run a local API gateway: REST, HTTP and WebSocket APIs from a file, or one API
from an OpenAPI export of API Gateway (oas30, with extensions). Signatures,
resource policies, authorizers, API keys and quotas are enforced; a call that AWS
would refuse is refused with AWS's own status, headers and body.

An API is reached by its id at the start of the host's name, such as
a1b2c3d4e5.localhost:8322, or, where there is one API alone, by any name.`,
		Example: `  gatehouse gateway --config gateway.yaml
  gatehouse gateway --config gateway.yaml --check
  gatehouse gateway --openapi orders.json --function order=http://127.0.0.1:9000/`,
		Args: noArgs,
	}
	output := addOutput(cmd)
	cmd.Flags().StringVar(&file, "config", "", "configuration of the gateway (docs/gateway.md)")
	cmd.Flags().StringVar(&openAPI, "openapi", "", "OpenAPI export of one API, in place of --config")
	cmd.Flags().StringArrayVar(&functions, "function", nil, "NAME=URL: the HTTP endpoint of a Lambda function that --openapi names (may be repeated)")
	cmd.Flags().StringVar(&listen, "listen", "", "address to listen on (default "+gateway.DefaultListen+", or the configuration's)")
	cmd.Flags().BoolVar(&check, "check", false, "check the configuration, print its routes, and end")
	cmd.Flags().StringVar(&level, "log-level", "warn", "debug, info, warn or error")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		c, err := loadGateway(file, openAPI, functions)
		if err != nil {
			return err
		}
		if listen != "" {
			c.Listen = listen
		}
		if check {
			return printGateway(s.Out, c, asJSON)
		}
		if cmd.Flags().Changed("output") {
			return usagef("--output goes with --check")
		}
		return rt.Gateway(cmd.Context(), GatewayOptions{Config: c, LogLevel: level, Out: s.Out, Err: s.Err})
	}
	return cmd
}

func loadGateway(file, openAPI string, functions []string) (*gateway.Config, error) {
	switch {
	case file == "" && openAPI == "":
		return nil, withHint(usagef("nothing to serve"), "name a configuration with --config, or an OpenAPI export with --openapi")
	case file != "" && openAPI != "":
		return nil, withHint(usagef("--config and --openapi are both given"), "name the export in the configuration: apis[].openapi")
	case file != "":
		if len(functions) > 0 {
			return nil, withHint(usagef("--function goes with --openapi"), "in a configuration it is apis[].functions")
		}
		return gateway.Load(file, os.Getenv)
	}
	endpoints := map[string]string{}
	for _, f := range functions {
		name, url, ok := strings.Cut(f, "=")
		if !ok || name == "" || url == "" {
			return nil, usagef("--function: %q is not NAME=URL", f)
		}
		endpoints[name] = url
	}
	text, err := os.ReadFile(openAPI)
	if err != nil {
		return nil, fmt.Errorf("reading the OpenAPI export: %w", err)
	}
	c, err := gateway.FromOpenAPI(text, endpoints)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", openAPI, err)
	}
	return c, nil
}

// gatewayRoute is a line of what --check prints.
type gatewayRoute struct {
	API           string   `json:"api"`
	Type          string   `json:"type"`
	Stages        []string `json:"stages"`
	Method        string   `json:"method,omitempty"`
	Path          string   `json:"path"`
	Authorization string   `json:"authorization"`
	APIKey        bool     `json:"api_key_required,omitempty"`
	Integration   string   `json:"integration"`
}

func printGateway(w io.Writer, c *gateway.Config, asJSON bool) error {
	routes := []gatewayRoute{}
	for i := range c.APIs {
		a := &c.APIs[i]
		stages := make([]string, 0, len(a.Stages))
		for _, s := range a.Stages {
			stages = append(stages, s.Name)
		}
		for _, r := range a.Routes {
			auth := r.Authorization
			if auth == "" {
				auth = "NONE"
			}
			if r.Authorizer != "" {
				auth += " " + r.Authorizer
			}
			routes = append(routes, gatewayRoute{a.ID, a.Type, stages, r.Method, r.Path, auth, r.APIKeyRequired, r.Integration.Type})
		}
	}
	if asJSON {
		return printJSON(w, routes)
	}
	rows := make([][]string, 0, len(routes))
	for _, r := range routes {
		key := ""
		if r.APIKey {
			key = "required"
		}
		rows = append(rows, []string{r.API, r.Type, strings.Join(r.Stages, ","), orDash(r.Method), r.Authorization, orDash(key), r.Integration, r.Path})
	}
	return printTable(w, []string{"API", "TYPE", "STAGES", "METHOD", "AUTHORIZATION", "API KEY", "INTEGRATION", "PATH"}, rows)
}
