package cli

import (
	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/deploy"
)

func newDeployKubernetes(s *Streams) *cobra.Command {
	var (
		flags    deployFlags
		replaces string
		helm     bool
	)
	cmd := &cobra.Command{
		Use:   "kubernetes --out DIR",
		Short: "Write the collector as manifests for Kubernetes, or as a Helm chart",
		Long: `Write the collector as manifests for Kubernetes, or with --helm as a chart that
renders to the same, with a README. Parameters come from --param, from a YAML
file of them, and from the manifests of the collector that Gatehouse takes the
place of; where several name one, this order counts. 'deploy describe
kubernetes' lists them. Secrets are referred to, never written. With --out - the
manifests are written to standard output, for kubectl apply -f -.`,
		Example: `  gatehouse deploy kubernetes --out k8s --param image=registry.example.com/gatehouse:1.0.0 \
    --param role-arn=arn:aws:iam::111122223333:role/GatehouseHub --param external-id=5f0c2c1e-example \
    --param spoke-roles=arn:aws:iam::222233334444:role/GatehouseCollector \
    --param 'sink=kafka://broker.example.com:9092/calls?format=native'
  gatehouse deploy kubernetes --out k8s --replaces deployment.yaml --param image=registry.example.com/gatehouse:1.0.0`,
		Args: noArgs,
	}
	flags.add(cmd, "")
	f := cmd.Flags()
	f.StringVar(&replaces, "replaces", "", "`file` with the Deployment of another collector, whose variables, service account and namespace are taken over; - reads standard input")
	f.BoolVar(&helm, "helm", false, "write a Helm chart")
	cmd.RunE = func(*cobra.Command, []string) error {
		if replaces == "-" && flags.file == "-" {
			return withHint(usagef("--replaces and --params both read standard input"), "name a file for one of them")
		}
		stack, err := deploy.Find(deploy.KubernetesStack)
		if err != nil {
			return err
		}
		language := deploy.Kubernetes
		if helm {
			language = deploy.Helm
		}
		return flags.write(s, stack, language, paramSource{replaces, deploy.ReadDeployment})
	}
	return cmd
}
