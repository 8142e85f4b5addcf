package deploy

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// The languages of the stack kubernetes, which has no other.
const (
	Kubernetes Language = "kubernetes"
	Helm       Language = "helm"
)

// KubernetesStack is the name of the stack that Kubernetes and Helm write.
const KubernetesStack = "kubernetes"

var kubernetes = &Stack{
	Name:    KubernetesStack,
	Summary: "the collector in a cluster: service account, configuration, volume, deployment, network policy, disruption budget; and what lending needs in one",
	About: "Written by 'gatehouse deploy kubernetes --out DIR', as manifests or as a Helm chart. " +
		"The pod meets the Pod Security Standard restricted. The role of the service account is what the stack collector-hub makes.",
	Parameters: []Parameter{
		{Name: "image", Summary: "image of Gatehouse that the cluster can pull (needed unless lending is only)", Example: "registry.example.com/gatehouse:1.0.0", check: checkImage},
		{Name: "name", Summary: "name of the deployment and of what belongs to it", Example: "gatehouse", Default: "gatehouse", check: checkServiceName},
		{Name: "namespace", Summary: "namespace", Example: "gatehouse", Default: "gatehouse", check: checkDNSLabel},
		flag("create-namespace", "also write the namespace, with the label that makes the API server hold pods to the standard restricted", true),
		{Name: "service-account", Summary: "name of the service account", Example: "gatehouse", Default: "gatehouse", check: checkDNSLabel},
		{Name: "role-arn", Summary: "ARN of the role of the service account, of the stack collector-hub (none: EKS Pod Identity)", Example: "arn:aws:iam::111122223333:role/GatehouseHub", check: checkRoleARN},
		{Name: "spoke-roles", Summary: "ARNs of the roles that the collector assumes, one an account", Example: "arn:aws:iam::222233334444:role/GatehouseCollector", List: true, check: checkRoleARN},
		externalID.optional(),
		regions.as("", "regions to read (default: that of the credentials)", ""),
		{Name: "sink", Summary: "address of a sink; a comma is part of it", Example: "kafka://broker.example.com:9092/calls?format=native", List: true, whole: true, check: checkSink},
		{Name: "environment", Summary: "further variables of the pod, as NAME=VALUE; a comma is part of the value", Example: "CROSS_ACCOUNT_ROLE_ARN=arn:aws:iam::222233334444:role/Reader", List: true, whole: true, check: checkPodEnvironment},
		{Name: "secret-environment", Summary: "variables whose value a Secret of the namespace holds, as NAME=SECRET/KEY", Example: "GATEHOUSE_KAFKA_PASSWORD=gatehouse/kafka-password", List: true, check: checkSecretReference},
		{Name: "egress-ports", Summary: "TCP ports that the pod may reach beside 443 and those of its sinks", Example: "9094", List: true, check: number(1, 65535)},
		{Name: "metrics-namespace", Summary: "namespace whose pods may read the metrics", Example: "monitoring", Default: "monitoring", check: checkDNSLabel},
		{Name: "storage-size", Summary: "size of the volume", Example: "10Gi", Default: "10Gi", check: pattern("a size such as 10Gi", `[1-9][0-9]{0,5}(Mi|Gi|Ti)`)},
		{Name: "storage-class", Summary: "storage class of the volume (default: the cluster's own)", Example: "gp3", check: checkSubdomain},
		{Name: "cpu", Summary: "processor time that is asked for", Example: "250m", Default: "250m", check: pattern("an amount of processor time such as 250m or 2", `[1-9][0-9]{0,5}m?`)},
		lendingParameter, lenderGroupParameter, lenderUserParameter, bindableParameter,
		{Name: "memory", Summary: "memory that is asked for, and the most that is given", Example: "1Gi", Default: "1Gi", check: pattern("a size such as 1Gi", `[1-9][0-9]{0,5}(Mi|Gi)`)},
	},
	write: writeKubernetes,
}

var (
	checkImage           = pattern("an image", `[a-z0-9][a-z0-9._-]*(:[0-9]{1,5})?(/[a-z0-9][a-z0-9._-]*)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?`)
	checkSubdomain       = pattern("a name of Kubernetes: lower-case letters, digits, - and .", subdomain)
	checkServiceName     = pattern("a name of a service: lower-case letters, digits and -, with a letter first", `[a-z]([-a-z0-9]{0,61}[a-z0-9])?`)
	checkSecretReference = pattern("NAME=SECRET/KEY", `[A-Za-z_][A-Za-z0-9_]{0,127}=`+subdomain+`/[A-Za-z0-9._-]{1,253}`)
)

// subdomain is what Kubernetes lets most objects be called, but for its length, which
// maxText bounds well enough: the API server tells.
const subdomain = `[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*`

// maxVariable bounds the value of a variable in bytes.
const maxVariable = 32 << 10

// checkPodEnvironment takes any variable, since a pod also has those of the AWS SDKs
// and of other collectors. A value under a secret's name, or with a password in it,
// is refused: whoever may look at the deployment could read it. Such names with
// nothing in them pass, as the deployments of other collectors list them.
func checkPodEnvironment(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if err := pattern("the name of a variable", `[A-Za-z_][A-Za-z0-9_]{0,127}`)(name); err != nil || !ok {
		return fmt.Errorf("%q does not begin with the name of a variable and =", clip(name))
	}
	if len(value) > maxVariable || strings.ContainsFunc(value, noText) {
		return fmt.Errorf("the value of %s is longer than %d bytes or has signs that are no text", name, maxVariable)
	}
	if hint := fixedVariables[name]; hint != "" {
		return fmt.Errorf("%s is not for the environment: %s", name, hint)
	}
	if value != "" && holdsSecret(name, value) {
		return fmt.Errorf("the value of %s would be readable in the deployment: keep it in a Secret and name that with secret-environment", name)
	}
	return nil
}

// fixedVariables are those that the other objects of the stack rely on.
var fixedVariables = map[string]string{
	"GATEHOUSE_LISTEN": "the probes, the service and the network policy know the port 8321",
	"GATEHOUSE_STATE":  "the volume is for the state sqlite:/var/lib/gatehouse/gatehouse.db",
}

// noText reports signs that YAML cannot hold as they are, or that nobody could see in
// it. A line may end in a value, such as that of a certificate.
func noText(r rune) bool {
	switch r {
	case '\n', '\t':
		return false
	case '\uFFFD', '\uFEFF', '\u2028', '\u2029':
		return true
	}
	return !unicode.IsGraphic(r) && !unicode.Is(unicode.Cf, r)
}

// holdsSecret reports whether a variable's name says that it holds a secret, or its
// value is an address with a password.
func holdsSecret(name, value string) bool {
	if secretName.MatchString(name) && !strings.HasSuffix(strings.ToLower(name), "_file") {
		return true
	}
	for part := range strings.SplitSeq(value, ",") {
		if !strings.Contains(part, "://") {
			continue
		}
		u, err := url.Parse(strings.TrimSpace(part))
		if err != nil {
			return true // what cannot be read may hold a password
		}
		if _, has := u.User.Password(); has {
			return true
		}
	}
	return false
}

// writeKubernetes writes manifests, or the chart with the values that give the same.
func writeKubernetes(s *Stack, language Language, in *input) ([]File, error) {
	if language != Kubernetes && language != Helm {
		return nil, in.fail("", "write it with 'gatehouse deploy kubernetes --out DIR'", "it is written as manifests or as a Helm chart, not as %s", clip(string(language)))
	}
	if err := in.checkPodLending(language); err != nil {
		return nil, err
	}
	if err := in.checkPod(); err != nil {
		return nil, err
	}
	if in.text("lending") == lendingOnly {
		return in.lenderFiles(s)
	}
	v, err := in.chartValues()
	if err != nil {
		return nil, err
	}
	render := func() ([]File, error) { return manifests(in.text("namespace"), v) }
	if language == Helm {
		render = func() ([]File, error) { return chartFiles(v) }
	}
	files, err := render()
	if err != nil {
		return nil, err
	}
	return append(files, File{"README.md", kubernetesReadme(s, language, in)}), nil
}

// checkPod refuses what would not run, or would change what others run.
func (in *input) checkPod() error {
	namespace := in.text("namespace")
	if in.flag("create-namespace") && (namespace == "default" || strings.HasPrefix(namespace, "kube-")) {
		return in.fail("namespace", "name a namespace of its own, or write create-namespace=false",
			"%s is there in every cluster, and its other pods would be held to the standard restricted too", namespace)
	}
	for _, sink := range in.list("sink") {
		if dir, ok := strings.CutPrefix(sink, "file:"); ok && !strings.HasPrefix(strings.TrimPrefix(dir, "//"), podVolume+"/") {
			return in.fail("sink", "write file:"+podVolume+"/calls", "the pod can write under %s alone", podVolume)
		}
	}
	return nil
}

// podVolume is where the pod's volume is.
const podVolume = "/var/lib/gatehouse"

// chartValues are the values of the chart.
func (in *input) chartValues() (map[string]any, error) {
	ports, err := in.egressPorts()
	if err != nil {
		return nil, err
	}
	env, err := in.podEnvironment()
	if err != nil {
		return nil, err
	}
	values := map[string]any{
		"name": in.text("name"), "createNamespace": in.flag("create-namespace"),
		"serviceAccount": in.text("service-account"), "roleARN": in.text("role-arn"), "image": in.text("image"),
		"config": in.podConfig(), "env": env,
		"storageSize": in.text("storage-size"), "storageClass": in.text("storage-class"),
		"cpu": in.text("cpu"), "memory": in.text("memory"),
		"metricsNamespace": in.text("metrics-namespace"), "egressPorts": ports,
	}
	if in.text("lending") != lendingNone {
		if values["lender"], err = in.lenderValues(); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// podConfig is gatehouse.yaml.
func (in *input) podConfig() map[string]any {
	c := map[string]any{
		"state":      "sqlite:" + podVolume + "/gatehouse.db",
		"listen":     "0.0.0.0:8321",
		"log_format": "json",
	}
	for key, parameter := range map[string]string{"role_arns": "spoke-roles", "regions": "regions", "sinks": "sink"} {
		if all := in.list(parameter); len(all) > 0 {
			c[key] = all
		}
	}
	if id := in.text("external-id"); id != "" {
		c["external_id"] = id
	}
	return c
}

// podEnvironment are the variables in the order given, those of Secrets last.
func (in *input) podEnvironment() ([]any, error) {
	env, names := []any{}, map[string]bool{}
	add := func(parameter, name string, more map[string]any) error {
		if names[name] {
			return in.fail(parameter, "name it once, with environment or with secret-environment", "%s is there twice", clip(name))
		}
		names[name] = true
		more["name"] = name
		env = append(env, more)
		return nil
	}
	for _, text := range in.list("environment") {
		name, value, _ := strings.Cut(text, "=")
		if err := add("environment", name, map[string]any{"value": value}); err != nil {
			return nil, err
		}
	}
	for _, text := range in.list("secret-environment") {
		name, place, _ := strings.Cut(text, "=")
		secret, key, _ := strings.Cut(place, "/")
		if err := add("secret-environment", name, map[string]any{"secret": secret, "key": key}); err != nil {
			return nil, err
		}
	}
	return env, nil
}

// egressPorts are 443, the ports of the sinks, and those named.
func (in *input) egressPorts() ([]int, error) {
	ports := []int{443}
	for _, text := range in.list("egress-ports") {
		n, _ := strconv.Atoi(text) // was checked
		ports = append(ports, n)
	}
	for _, address := range in.list("sink") {
		more, err := portsOf(address)
		if err != nil {
			return nil, in.fail("sink", "write the port as a number from 1 to 65535", "%w", err)
		}
		ports = append(ports, more...)
	}
	for _, text := range in.list("environment") {
		name, value, _ := strings.Cut(text, "=")
		more, err := variablePorts(name, strings.TrimSpace(value))
		if err != nil {
			return nil, in.fail("environment", "write the port as a number from 1 to 65535", "%s: %w", name, err)
		}
		ports = append(ports, more...)
	}
	slices.Sort(ports)
	return slices.Compact(ports), nil
}

// variablePorts are the TCP ports that a variable of the pod leads to: those of its
// sinks, of proxies and of endpoints.
func variablePorts(name, value string) ([]int, error) {
	switch {
	case value == "" || strings.EqualFold(name, "NO_PROXY"):
		return nil, nil
	case name == "AKTO_KAFKA_BROKER_MAL":
		// Each broker may be written as a URL.
		return portsOf("kafka://" + strings.ReplaceAll(value, "kafka://", ""))
	case name == "cequence_edge_endpoint" || name == "cequence_auth_endpoint":
		if !strings.Contains(value, "://") {
			value = "https://" + value
		}
	}
	var ports []int
	kafka := false
	for address := range strings.SplitSeq(value, ",") {
		address = strings.TrimSpace(address)
		switch scheme, rest, ok := strings.Cut(address, "://"); {
		case ok:
			kafka = scheme == "kafka" && !strings.Contains(rest, "/")
		case kafka: // a broker more of the address before
			kafka = !strings.Contains(address, "/")
			address = "kafka://" + address
		default:
			continue
		}
		more, err := portsOf(address)
		if err != nil {
			return nil, err
		}
		ports = append(ports, more...)
	}
	return ports, nil
}

// portsOf are the TCP ports that a sink's address leads to: none for a file.
func portsOf(address string) ([]int, error) {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return nil, nil
	}
	byDefault := map[string]int{"kafka": 9092, "https": 443, "http": 80, "otlp": 4318, "otlps": 443}[scheme]
	if byDefault == 0 {
		return nil, nil
	}
	hosts := rest
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		hosts = rest[:end]
	}
	hosts = hosts[strings.LastIndexByte(hosts, '@')+1:] // a user's name may stand before
	var ports []int
	for host := range strings.SplitSeq(hosts, ",") {
		_, text, err := net.SplitHostPort(strings.TrimSpace(host))
		if err != nil {
			ports = append(ports, byDefault) // without a port
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 65535 {
			return nil, fmt.Errorf("%q is no port", clip(text))
		}
		ports = append(ports, n)
	}
	return ports, nil
}
