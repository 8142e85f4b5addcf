package deploy

import (
	"fmt"
	"slices"
	"strings"
)

// noSink is the caution of a collector that has nowhere to deliver calls to.
const noSink = "No sink is named, so the pod would stop at once. Name one with --param sink=ADDRESS."

// hasSink reports whether anything says where calls go to.
func (in *input) hasSink() bool {
	if len(in.list("sink")) > 0 {
		return true
	}
	for _, text := range slices.Concat(in.list("environment"), in.list("secret-environment")) {
		switch name, value, _ := strings.Cut(text, "="); name {
		case "GATEHOUSE_SINKS", "AKTO_KAFKA_BROKER_MAL", "cequence_edge_endpoint":
			if strings.TrimSpace(value) != "" {
				return true
			}
		}
	}
	return false
}

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
	if language == Kubernetes && !in.flag("create-namespace") {
		fmt.Fprintf(&b, "\nThe namespace %s must be there. The pod meets the Pod Security Standard restricted, so\nthe label pod-security.kubernetes.io/enforce=restricted does it no harm.\n\n", namespace)
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
		b.WriteString("\nWhere one of them is an address, name its port with egress-ports unless it is 443.\n")
	}
	if in.text("role-arn") == "" {
		fmt.Fprintf(&b, "\n## Credentials\n\nNo role is named. Associate one by EKS Pod Identity:\n\n    aws eks create-pod-identity-association --cluster-name CLUSTER --namespace %s \\\n      --service-account %s --role-arn ROLE\n", namespace, in.text("service-account"))
	}
	if !in.hasSink() {
		b.WriteString("\n## Sinks\n\n" + noSink + "\n")
	}
	in.lendingReadme(&b)
	b.WriteString("\n## Written for\n\nTo change something, write the folder again:\n\n    gatehouse deploy kubernetes --out DIR --params params.yaml")
	if language == Helm {
		b.WriteString(" --helm")
	}
	b.WriteString("\n\nwith this params.yaml:\n\n" + in.parameters(s))
	return []byte(b.String())
}
