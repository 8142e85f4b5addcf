package deploy

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/config"
)

const podImage = "registry.example.com/gatehouse:1.0.0"

// pods are parameters that people would give for a cluster, by what they are.
func pods(tb testing.TB) map[string]Values {
	tb.Helper()
	text, err := os.ReadFile("testdata/collector-deployment.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	replaced, err := ReadDeployment(text)
	if err != nil {
		tb.Fatal(err)
	}
	replaced["image"] = []string{podImage}
	return map[string]Values{
		"smallest": one("image", podImage),
		"full": one("image", podImage, "name", "collector", "namespace", "security", "service-account", "reader", "role-arn", hubARN,
			"spoke-roles", "arn:aws:iam::222233334444:role/GatehouseCollector,arn:aws:iam::333344445555:role/GatehouseCollector",
			"external-id", "1e3", "regions", "eu-west-1,us-east-1", "sink", "kafka://b1.example.com:9094,b2.example.com:9095/calls?format=native&batch_count=5",
			"sink", "https://calls.example.com:8443/in?format=native", "environment", "GATEHOUSE_LOG_LEVEL=debug", "environment", `NOTE=a, "b": $(C) {{ .Values }} <é> # \`, "environment", "BANNER= line one\n\tline: two \n",
			"secret-environment", "GATEHOUSE_KAFKA_PASSWORD=kafka/password", "egress-ports", "5432", "storage-class", "gp3",
			"lending", "also", "lender-group", "access-lenders", "lender-user", "gatehouse-lender", "bindable-roles", "view"),
		"in place of another": replaced,
	}
}

func renderPod(tb testing.TB, language Language, v Values) map[string]string {
	tb.Helper()
	out, err := kubernetes.Render(language, v)
	if err != nil {
		tb.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range out.Files {
		files[f.Name] = string(f.Text)
	}
	return files
}

// readObject reads one manifest.
func readObject(tb rapid.TB, text string) map[string]any {
	tb.Helper()
	var o map[string]any
	if err := yaml.Unmarshal([]byte(text), &o); err != nil {
		tb.Fatalf("%v\n%s", err, text)
	}
	return o
}

// at walks to a place such as spec.containers.0.name.
func at(tb rapid.TB, o any, path string) any {
	tb.Helper()
	for key := range strings.SplitSeq(path, ".") {
		switch v := o.(type) {
		case map[string]any:
			o = v[key]
		case []any:
			if key != "0" || len(v) == 0 {
				tb.Fatalf("%s is not there", path)
			}
			o = v[0]
		default:
			tb.Fatalf("%s is not there", path)
		}
	}
	return o
}

func TestKubernetesManifests(t *testing.T) {
	t.Parallel()
	for name, v := range pods(t) {
		files := renderPod(t, Kubernetes, v)
		pod := at(t, readObject(t, files["40-deployment.yaml"]), "spec.template.spec")
		for path, want := range map[string]any{
			"securityContext.runAsNonRoot":                          true,
			"securityContext.seccompProfile.type":                   "RuntimeDefault",
			"containers.0.securityContext.allowPrivilegeEscalation": false,
			"containers.0.securityContext.readOnlyRootFilesystem":   true,
			"containers.0.securityContext.capabilities.drop.0":      "ALL",
			"containers.0.livenessProbe.httpGet.path":               "/healthz",
			"containers.0.readinessProbe.httpGet.path":              "/readyz",
			"automountServiceAccountToken":                          false,
		} {
			if diff := cmp.Diff(want, at(t, pod, path)); diff != "" {
				t.Errorf("%s: %s: %s", name, path, diff)
			}
		}
		for file, text := range files {
			if strings.Contains(text, "<no value>") {
				t.Errorf("%s: %s has a value that is not there:\n%s", name, file, text)
			}
		}
	}
}

// The configuration that is written is one that gatehouse reads, with what was asked.
func TestKubernetesConfigurationIsRead(t *testing.T) {
	t.Parallel()
	for name, v := range pods(t) {
		files := renderPod(t, Kubernetes, v)
		text, _ := at(t, readObject(t, files["20-configmap.yaml"]), "data").(map[string]any)["gatehouse.yaml"].(string)
		file := filepath.Join(t.TempDir(), "gatehouse.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		env := map[string]string{}
		list, _ := at(t, readObject(t, files["40-deployment.yaml"]), "spec.template.spec.containers.0.env").([]any)
		for _, item := range list {
			variable := item.(map[string]any)
			value, _ := variable["value"].(string)
			env[variable["name"].(string)] = value
		}
		c, err := config.Read(file, os.DevNull, func(key string) string { return env[key] })
		if err == nil {
			err = c.Validate()
		}
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
			continue
		}
		if c.Listen != "0.0.0.0:8321" || c.State != "sqlite:/var/lib/gatehouse/gatehouse.db" {
			t.Errorf("%s: listens at %q with state %q", name, c.Listen, c.State)
		}
		switch name {
		case "full":
			if c.Accounts.ExternalID != "1e3" || !strings.Contains(env["NOTE"], `{{ .Values }} <é> # \`) {
				t.Errorf("%s: external id %q, note %q", name, c.Accounts.ExternalID, env["NOTE"])
			}
			if len(c.Sinks) != 2 || len(c.Accounts.Roles) != 2 || len(c.Accounts.Regions) != 2 {
				t.Errorf("%s: sinks %v, roles %v, regions %v", name, c.Sinks, c.Accounts.Roles, c.Accounts.Regions)
			}
		case "in place of another":
			if len(c.Sinks) != 1 || !strings.HasPrefix(c.Sinks[0], "kafka://mini-runtime.traffic.svc:9094/akto.api.logs") || len(c.Accounts.Roles) != 2 {
				t.Errorf("%s: sinks %v, roles %v", name, c.Sinks, c.Accounts.Roles)
			}
		}
	}
}

func TestKubernetesTakesOverADeployment(t *testing.T) {
	t.Parallel()
	files := renderPod(t, Kubernetes, pods(t)["in place of another"])
	text, err := os.ReadFile("testdata/collector-deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, deployment, _ := strings.Cut(string(text), "---\n")
	const env = "spec.template.spec.containers.0.env"
	written := readObject(t, files["40-deployment.yaml"])
	if diff := cmp.Diff(at(t, readObject(t, deployment), env), at(t, written, env)); diff != "" {
		t.Errorf("environment (- theirs, + ours):\n%s", diff)
	}
	account := readObject(t, files["10-serviceaccount.yaml"])
	if at(t, account, "metadata.name") != "service-account-eks" || at(t, account, "metadata.namespace") != "traffic" ||
		at(t, account, "metadata.annotations").(map[string]any)["eks.amazonaws.com/role-arn"] != "arn:aws:iam::111122223333:role/EKSCloudWatchRole" {
		t.Errorf("the role's trust policy names another service account than\n%s", files["10-serviceaccount.yaml"])
	}
	withToken := strings.Replace(string(text), "DATABASE_ABSTRACTOR_TOKEN\n            value: \"\"", "DATABASE_ABSTRACTOR_TOKEN\n            value: hunter2", 1)
	v, err := ReadDeployment([]byte(withToken))
	if err != nil {
		t.Fatal(err)
	}
	v["image"] = []string{podImage}
	for name, text := range renderPod(t, Kubernetes, v) {
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s has the secret:\n%s", name, text)
		}
		if name == "README.md" && !strings.Contains(text, "the key `DATABASE_ABSTRACTOR_TOKEN` of the Secret `gatehouse-environment`") {
			t.Errorf("the README does not say which Secret to make:\n%s", text)
		}
	}
}

func TestReadDeploymentRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"kind: Service": "no Deployment",
		"kind: [":       "reading the manifest",
		"kind: Deployment\nspec: {template: {spec: {containers: [{}, {}]}}}":                                               "more than one container",
		"kind: Deployment\nspec: {template: {spec: {containers: [{env: [{name: A, valueFrom: {configMapKeyRef: {}}}]}]}}}": "neither a value nor a Secret",
		strings.Repeat("#", maxParameters+1): "at most",
		"kind: Deployment\nspec: {template: {spec: {containers: [{env: [{name: A, value: <the broker>:9092}]}]}}}": "still has the placeholder <the broker>",
	} {
		if _, err := ReadDeployment([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
}

// What is in the namespace of the collector that is replaced stays as it is: it would
// not all meet the standard restricted.
func TestKubernetesLeavesAnExistingNamespaceAlone(t *testing.T) {
	t.Parallel()
	v := pods(t)["in place of another"]
	if text, there := renderPod(t, Kubernetes, v)["00-namespace.yaml"]; there {
		t.Errorf("the namespace is written:\n%s", text)
	}
	v["create-namespace"] = []string{"true"} // by whoever says so
	if _, there := renderPod(t, Kubernetes, v)["00-namespace.yaml"]; !there {
		t.Error("the namespace is not written though it was asked for")
	}
}

// A variable that leads somewhere opens the port to it, as a sink does.
func TestKubernetesEgressOfVariables(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]int{
		"GATEHOUSE_SINKS=kafka://b1:9094,b2:9095/t,https://x:8443/in":                   {443, 8443, 9094, 9095},
		"GATEHOUSE_SINKS=kafka://b1,b2:9095/t":                                          {443, 9092, 9095},
		"AKTO_KAFKA_BROKER_MAL=kafka://b1:9094, kafka://b2:9095":                        {443, 9094, 9095},
		"AKTO_KAFKA_BROKER_MAL=[fd00::1]:9096":                                          {443, 9096},
		"AKTO_KAFKA_BROKER_MAL=":                                                        {443},
		"cequence_edge_endpoint=edge.example.com:8443/in":                               {443, 8443},
		"cequence_auth_endpoint=https://auth.example.com:8444/token":                    {443, 8444},
		"HTTPS_PROXY=http://proxy.example.com:3128":                                     {443, 3128},
		"HTTP_PROXY=http://someone@proxy.example.com:3128":                              {443, 3128},
		"NO_PROXY=http://localhost:9":                                                   {443},
		"AWS_ENDPOINT_URL=http://localstack:4566":                                       {443, 4566},
		"CROSS_ACCOUNT_ROLE_ARN=arn:aws:iam::222233334444:role/a,arn:aws:iam::3:role/b": {443},
	} {
		in, err := kubernetes.resolve(one("image", podImage, "environment", text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, err := in.egressPorts()
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: ports (- want, + got):\n%s", text, diff)
		}
	}
}

// A collector without a sink stops at once, also with the variables of another one that
// are there and empty.
func TestKubernetesWithoutASink(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"LOG_LEVEL=info": true, "AKTO_KAFKA_BROKER_MAL=": true, "AKTO_KAFKA_BROKER_MAL=b:9092": false, "GATEHOUSE_SINKS=stdout:": false, "cequence_edge_endpoint=e": false,
	} {
		out, err := kubernetes.Render(Kubernetes, one("image", podImage, "environment", text))
		if err != nil {
			t.Fatal(err)
		}
		if got := len(out.Cautions) == 1; got != want || got != strings.Contains(string(fileOf(out, readmeFile)), "## Sinks") {
			t.Errorf("%s: cautions %q, want one: %v", text, out.Cautions, want)
		}
	}
}

func TestKubernetesEgress(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]any{
		"smallest": {443}, "full": {443, 5432, 8443, 9094, 9095}, "in place of another": {443, 9094},
	} {
		policy := readObject(t, renderPod(t, Kubernetes, pods(t)[name])["60-networkpolicy.yaml"])
		var got []any
		for _, p := range at(t, policy, "spec.egress").([]any)[1].(map[string]any)["ports"].([]any) {
			got = append(got, p.(map[string]any)["port"])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: ports (- want, + got):\n%s", name, diff)
		}
	}
}

func TestKubernetesRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		change Values
		want   string
	}{
		{one("image", "a b"), "is not an image"},
		{one("name", "Gatehouse"), "is not a name"},
		{one("environment", "GATEHOUSE_KAFKA_PASSWORD=hunter2"), "would be readable in the deployment"},
		{one("environment", "GATEHOUSE_SINKS=https://u:hunter2@example.com/"), "would be readable in the deployment"},
		{one("environment", "A=x\x00y"), "no text"},
		{one("environment", "no assignment"), "name of a variable"},
		{one("environment", "A=1", "secret-environment", "A=b/c"), "is there twice"},
		{one("secret-environment", "A=b"), "is not NAME=SECRET/KEY"},
		{one("sink", "kafka://b:99999/t"), "is no port"},
		{one("memory", "0Gi"), "is not a size"},
		{one("namespace", "kube-system"), "is there in every cluster"},
		{one("namespace", "default"), "is there in every cluster"},
		{one("environment", "GATEHOUSE_LISTEN=:80"), "know the port 8321"},
		{one("environment", "GATEHOUSE_STATE=sqlite:/tmp/x.db"), "is not for the environment"},
		{one("environment", "AKTO_KAFKA_BROKER_MAL=b:0"), "is no port"},
		{one("environment", "HTTPS_PROXY=http://proxy:99999"), "is no port"},
		{one("environment", "A=\u2028"), "no text"},
		{one("sink", "gopher:hole"), "there is no gopher sink"},
		{one("sink", "file:/data"), "the pod can write under /var/lib/gatehouse alone"},
		{one("storage-class", "a..b"), "is not a name of Kubernetes"},
		{one("secret-environment", "A=b..c/d"), "is not NAME=SECRET/KEY"},
	} {
		v := one("image", podImage)
		maps.Copy(v, c.change)
		_, err := kubernetes.Render(Kubernetes, v)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v: %v, want %q", c.change, err, c.want)
		}
	}
	if _, err := kubernetes.Render(Terraform, one("image", podImage)); err == nil {
		t.Error("the stack is written as Terraform")
	}
}
