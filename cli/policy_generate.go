package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/iam"
)

const policyGenerateLong = `Write a least-privilege policy from plain parameters. The policy is printed as
JSON; what it means, and what is worth knowing about it, goes to standard error
with -o table (the default).`

func newPolicyGenerate(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Write a least-privilege policy from plain parameters",
		Long:  policyGenerateLong,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return withHint(usagef("unknown kind of policy %q", args[0]), "write invoke, assume, trust or resource; see '"+cmd.CommandPath()+" --help'")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newGenerateInvoke(s), newGenerateAssume(s), newGenerateTrust(s), newGenerateResource(s))
	return cmd
}

// generated makes RunE of a command that writes a policy.
func generated(s *Streams, cmd *cobra.Command, write func() (*iam.Document, error)) {
	asJSON := addOutput(cmd)
	cmd.Args = noArgs
	cmd.RunE = func(_ *cobra.Command, _ []string) error {
		only, err := asJSON()
		if err != nil {
			return err
		}
		d, err := write()
		if err != nil {
			return &UsageError{Err: err}
		}
		if !only {
			for _, t := range iam.Describe(d) {
				fmt.Fprintln(s.Err, printable(t.Text))
			}
			for _, f := range d.Lint() {
				fmt.Fprintf(s.Err, "%s: %s (%s)\n", f.Severity, printable(f.Message), printable(f.Mend))
			}
		}
		_, err = fmt.Fprintf(s.Out, "%s\n", d.Pretty())
		return err
	}
}

func scopeFlags(cmd *cobra.Command, scope *iam.Scope) {
	f := cmd.Flags()
	f.StringVar(&scope.Account, "api-account", "", "`account` that owns the API")
	f.StringVar(&scope.Region, "api-region", "", "`region` of the API")
	f.StringVar(&scope.API, "api", "", "`id` of the API")
	f.StringArrayVar(&scope.Stages, "stage", nil, "`stage`; may be repeated (default: every stage)")
	f.StringArrayVar(&scope.Methods, "method", nil, "HTTP `method`; may be repeated (default: every method)")
	f.StringArrayVar(&scope.Paths, "path", nil, "request `path` or template, such as /pets/{id}; may be repeated (default: every path)")
	f.StringVar(&scope.Partition, "partition", "aws", "`partition` of the API: aws, aws-cn or aws-us-gov")
}

func callerFlags(cmd *cobra.Command, callers *iam.Callers) {
	f := cmd.Flags()
	f.StringArrayVar(&callers.Accounts, "account", nil, "let in this `account`, as far as its own policies allow; may be repeated")
	f.StringArrayVar(&callers.Roles, "role", nil, "let in the role with this `ARN`; may be repeated")
	f.StringArrayVar(&callers.Users, "user", nil, "let in the user with this `ARN`; may be repeated")
	f.StringArrayVar(&callers.RolePrefixes, "role-prefix", nil, "let in roles whose name begins so: `ACCOUNT:PREFIX`; may be repeated")
}

func newGenerateInvoke(s *Streams) *cobra.Command {
	var p iam.InvokePolicy
	cmd := &cobra.Command{
		Use:     "invoke",
		Short:   "An identity policy that may call one API",
		Example: `  gatehouse policy generate invoke --api-account 111122223333 --api-region eu-west-1 --api a1b2c3d4e5 --stage prod --method GET --path /books/{id}`,
	}
	scopeFlags(cmd, &p.Scope)
	cmd.Flags().BoolVar(&p.InvalidateCache, "invalidate-cache", false, "may also refresh the API's cache")
	cmd.Flags().BoolVar(&p.ManageConnections, "manage-connections", false, "may post to a WebSocket API's connections, in place of calling it")
	generated(s, cmd, func() (*iam.Document, error) { return iam.GenerateInvoke(p) })
	return cmd
}

func newGenerateAssume(s *Streams) *cobra.Command {
	var p iam.AssumePolicy
	cmd := &cobra.Command{
		Use:     "assume",
		Short:   "An identity policy that may assume roles",
		Example: `  gatehouse policy generate assume --role arn:aws:iam::111122223333:role/orders-api-invoker`,
	}
	cmd.Flags().StringArrayVar(&p.Roles, "role", nil, "`ARN` of the role; may be repeated")
	cmd.Flags().BoolVar(&p.SessionTags, "session-tags", false, "may also pass session tags")
	generated(s, cmd, func() (*iam.Document, error) { return iam.GenerateAssume(p) })
	return cmd
}

func newGenerateTrust(s *Streams) *cobra.Command {
	var p iam.TrustPolicy
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "A trust policy of a role",
		Example: `  gatehouse policy generate trust --account 111122223333 --external-id 7b0c4b1e
  gatehouse policy generate trust --oidc-provider arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE --subject system:serviceaccount:gatehouse:collector`,
	}
	callerFlags(cmd, &p.Callers)
	f := cmd.Flags()
	f.StringArrayVar(&p.Services, "service", nil, "let in this `service`, such as apigateway.amazonaws.com; may be repeated")
	f.StringVar(&p.ExternalID, "external-id", "", "`id` that accounts, roles and users must give")
	f.StringVar(&p.OIDCProvider, "oidc-provider", "", "`ARN` of an OIDC provider whose tokens are accepted")
	f.StringArrayVar(&p.Subjects, "subject", nil, "`subject` of the tokens; may be repeated")
	f.StringVar(&p.Audience, "audience", "sts.amazonaws.com", "`audience` of the tokens")
	f.BoolVar(&p.SessionTags, "session-tags", false, "callers may pass session tags")
	f.StringVar(&p.Partition, "partition", "aws", "`partition` of the accounts")
	generated(s, cmd, func() (*iam.Document, error) { return iam.GenerateTrust(p) })
	return cmd
}

func newGenerateResource(s *Streams) *cobra.Command {
	var p iam.ResourcePolicy
	cmd := &cobra.Command{
		Use:   "resource",
		Short: "The resource policy of a REST API",
		Example: `  gatehouse policy generate resource --api-account 111122223333 --api-region eu-west-1 --api a1b2c3d4e5 --role-prefix 444455556666:ecs-app-
  gatehouse policy generate resource --api-account 111122223333 --api-region eu-west-1 --api a1b2c3d4e5 --vpc-endpoint vpce-0123456789abcdef0`,
	}
	scopeFlags(cmd, &p.Scope)
	callerFlags(cmd, &p.Callers)
	f := cmd.Flags()
	f.StringArrayVar(&p.VPCEndpoints, "vpc-endpoint", nil, "calls must come through the endpoint with this `id`; may be repeated")
	f.StringArrayVar(&p.SourceIPs, "source-ip", nil, "calls must come from this `range` of addresses; may be repeated")
	f.BoolVar(&p.Preflight, "preflight", false, "let everyone call OPTIONS, for CORS")
	generated(s, cmd, func() (*iam.Document, error) { return iam.GenerateResource(p) })
	return cmd
}
