package deploy

import (
	"fmt"
	"strings"
)

// kubernetesReadme writes what someone needs who finds the folder.
func kubernetesReadme(s *Stack, language Language, in *input) []byte {
	name, namespace := in.text("name"), in.text("namespace")
	var b strings.Builder
	fmt.Fprintf(&b, "# Gatehouse in Kubernetes: %s\n\nIt runs as the service account %s in the namespace %s. Its role is what the\nstack collector-hub makes; its trust policy must name both.\n",
		name, in.text("service-account"), namespace)
	b.WriteString("\n## Deploy\n\n")
	if language == Helm {
		if in.flag("create-namespace") {
			fmt.Fprintf(&b, "    kubectl create namespace %s\n    kubectl label namespace %s pod-security.kubernetes.io/enforce=restricted\n", namespace, namespace)
		}
		fmt.Fprintf(&b, "    helm upgrade --install %s . --namespace %s\n", name, namespace)
	} else {
		b.WriteString("    kubectl apply -f .\n")
	}
	fmt.Fprintf(&b, "    kubectl -n %s rollout status deployment/%s\n", namespace, name)
	b.WriteString("\nThe cluster needs Kubernetes 1.27 or later, and a network plugin that enforces\nnetwork policies, or the policy has no effect.\n")
	if secrets := in.list("secret-environment"); len(secrets) > 0 {
		b.WriteString("\n## Secrets\n\nThese are referred to and not written here. They must be there before the pod starts:\n\n")
		for _, text := range secrets {
			variable, place, _ := strings.Cut(text, "=")
			secret, key, _ := strings.Cut(place, "/")
			fmt.Fprintf(&b, "- the key `%s` of the Secret `%s`, for %s\n", key, secret, variable)
		}
	}
	if in.text("role-arn") == "" {
		fmt.Fprintf(&b, "\n## Credentials\n\nNo role is named. Associate one by EKS Pod Identity:\n\n    aws eks create-pod-identity-association --cluster-name CLUSTER --namespace %s \\\n      --service-account %s --role-arn ROLE\n", namespace, in.text("service-account"))
	}
	if len(in.list("sink")) == 0 && len(in.list("environment")) == 0 && len(in.list("secret-environment")) == 0 {
		b.WriteString("\n## Sinks\n\nNone is named, so the pod would stop at once. Name one with `--param sink=ADDRESS`.\n")
	}
	in.lendingReadme(&b)
	b.WriteString("\n## Written for\n\nTo change something, write the folder again:\n\n    gatehouse deploy kubernetes --out DIR --params params.yaml")
	if language == Helm {
		b.WriteString(" --helm")
	}
	b.WriteString("\n\nwith this params.yaml:\n\n" + in.parameters(s))
	return []byte(b.String())
}
