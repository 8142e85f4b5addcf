package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/deploy"
)

func newDeployKubernetes(s *Streams) *cobra.Command {
	var (
		assignments             []string
		file, replaces, out     string
		helm, replaceOtherFiles bool
	)
	cmd := &cobra.Command{
		Use:   "kubernetes --out DIR",
		Short: "Write the collector as manifests for Kubernetes, or as a Helm chart",
		Long: `Write the collector as manifests for Kubernetes, or with --helm as a chart that
renders to the same, with a README. Parameters come from --param, from a YAML
file of them, and from the manifests of the collector that Gatehouse takes the
place of; where several name one, this order counts. 'deploy describe
kubernetes' lists them. Secrets are referred to, never written.`,
		Example: `  gatehouse deploy kubernetes --out k8s --param image=registry.example.com/gatehouse:1.0.0 \
    --param role-arn=arn:aws:iam::111122223333:role/GatehouseHub --param external-id=5f0c2c1e-example \
    --param spoke-roles=arn:aws:iam::222233334444:role/GatehouseCollector \
    --param 'sink=kafka://broker.example.com:9092/calls?format=native'
  gatehouse deploy kubernetes --out k8s --replaces deployment.yaml --param image=registry.example.com/gatehouse:1.0.0`,
		Args: noArgs,
	}
	f := cmd.Flags()
	f.StringArrayVar(&assignments, "param", nil, "a parameter as `NAME=VALUE`; may be repeated")
	f.StringVar(&file, "params", "", "YAML `file` of parameters")
	f.StringVar(&replaces, "replaces", "", "`file` with the Deployment of another collector, whose variables, service account and namespace are taken over")
	f.StringVar(&out, "out", "", "`folder` to write")
	f.BoolVar(&helm, "helm", false, "write a Helm chart")
	f.BoolVar(&replaceOtherFiles, "force", false, "replace files that are there with other text")
	cmd.RunE = func(*cobra.Command, []string) error {
		if out == "" {
			return withHint(usagef("--out is missing"), "name the folder to write, such as --out k8s")
		}
		values := deploy.Values{}
		for _, source := range []struct {
			name string
			read func([]byte) (deploy.Values, error)
		}{{replaces, deploy.ReadDeployment}, {file, deploy.ReadValues}} {
			if source.name == "" {
				continue
			}
			text, err := os.ReadFile(filepath.Clean(source.name))
			if err != nil {
				return fmt.Errorf("reading parameters: %w", err)
			}
			read, err := source.read(text)
			if err != nil {
				return &UsageError{Err: fmt.Errorf("%s: %w", source.name, err)}
			}
			maps.Copy(values, read)
		}
		given := deploy.Values{}
		if err := given.Assign(assignments...); err != nil {
			return &UsageError{Err: err}
		}
		maps.Copy(values, given)
		stack, err := deploy.Find(deploy.KubernetesStack)
		if err != nil {
			return err
		}
		language := deploy.Kubernetes
		if helm {
			language = deploy.Helm
		}
		written, err := stack.Render(language, values)
		if err != nil {
			if _, ok := errors.AsType[*deploy.Error](err); ok {
				return &UsageError{Err: err}
			}
			return err
		}
		if err := written.Write(out, replaceOtherFiles); err != nil {
			return withHint(err, "choose another folder with --out, or replace what is there with --force")
		}
		fmt.Fprintf(s.Err, "wrote %d files to %s\nread %s next\n", len(written.Files), out, filepath.Join(out, "README.md"))
		return nil
	}
	return cmd
}
