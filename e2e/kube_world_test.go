//go:build integration

package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eks"

	"github.com/gatehouse-project/gatehouse/awssim"
)

// kubeWorld is an EKS cluster made of its real parts: etcd, Kubernetes' API server,
// and aws-iam-authenticator as its token webhook, which asks STS who signed a token.
// AWS itself is awssim. People reach it with kubectl and the AWS CLI.
//
//	k := newKubeWorld(t, "API")                             // or CONFIG_MAP, API_AND_CONFIG_MAP
//	k.letIn(t, k.role, "apono:{{SessionName}}")             // once for the role that people share
//	alice := k.person(t, "alice@example.com")               // signed in by SSO; may take the role under her own name
//	out, err := k.kubectlAs(t, alice, "get", "pods")        // aws eks get-token --profile, then kubectl
//	k.kubectl(t, manifest, "apply", "-f", "-")              // as an administrator
//
// What EKS's control plane does between its API and the authenticator is done here
// too: the authentication mode that awssim's cluster has, and the access entries that
// it lets see, get to the authenticator within a second, by the files that EKS uses
// itself. In CONFIG_MAP and API_AND_CONFIG_MAP the authenticator watches the real
// ConfigMap aws-auth. Rights come from RBAC and, roughly as AWS defines them, from the
// access policies of entries.
//
// The programs are found on PATH; scripts/integration puts them there. By hand:
//
//	PATH="$HOME/.cache/gatehouse/kubernetes:$PATH" go test -tags integration ./e2e -run IntegrationKube
type kubeWorld struct {
	*world

	cluster string // its name, in apiAccount and region
	role    string // ARN of the role that people share
	url     string // of the API server
	ca      *authority
	token   string // of an administrator of the cluster
	config  string // kubeconfig of the administrator
	network *awsNetwork
	dir     string

	// apiServer is the process; stopAPI kills it, and startAPI starts it anew.
	apiServer *os.Process
	stopAPI   func()
	startAPI  func()
}

// The roles of people: the one that they share, and that of their permission set.
const (
	peopleRole = "apono-k8s-access"
	ssoRole    = "AWSReservedSSO_Developers_0123456789abcdef"
)

// newKubeWorld starts a cluster with an authentication mode. It takes a few seconds.
func newKubeWorld(t *testing.T, mode string) *kubeWorld {
	t.Helper()
	server, etcd, authenticator := need(t, "kube-apiserver"), need(t, "etcd"), need(t, "aws-iam-authenticator")
	need(t, "kubectl")
	need(t, "aws")
	k := &kubeWorld{world: newWorld(t, awssim.Options{}), cluster: "blue", token: "admin-of-the-test", dir: t.TempDir()}
	k.ca = newAuthority(t, k.dir)
	k.network = newAWSNetwork(t, k.ca, k.sim.Handler())
	k.addRoles()

	// The API server knows the webhook before the webhook, which may watch it, starts.
	store, webhook, port := k.etcd(t, etcd), freePort(t), freePort(t)
	k.url = fmt.Sprintf("https://127.0.0.1:%d", port)
	k.certificate(t)
	k.write(t, "webhook.yaml", kubeconfig(fmt.Sprintf("https://127.0.0.1:%d/authenticate", webhook), k.ca.pem, nil))
	k.write(t, "policies.yaml", kubeconfig(fmt.Sprintf("https://127.0.0.1:%d", k.authorizer(t)), k.ca.pem, nil))
	k.write(t, "tokens.csv", k.token+",admin,1,system:masters\n")
	k.config = k.write(t, "admin.yaml", kubeconfig(k.url, k.ca.pem, map[string]any{"token": k.token}))
	arguments := []string{
		"--etcd-servers=" + store, "--secure-port=" + fmt.Sprint(port), "--bind-address=127.0.0.1",
		"--tls-cert-file=" + k.file("tls/cert.pem"), "--tls-private-key-file=" + k.file("tls/key.pem"), "--cert-dir=" + k.file("certs"),
		"--service-account-key-file=" + k.file("tls/key.pem"), "--service-account-signing-key-file=" + k.file("tls/key.pem"),
		"--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.0.0.0/24",
		"--authorization-mode=RBAC,Webhook", "--authorization-webhook-config-file=" + k.file("policies.yaml"), "--authorization-webhook-version=v1",
		"--token-auth-file=" + k.file("tokens.csv"),
		"--authentication-token-webhook-config-file=" + k.file("webhook.yaml"),
		// Every request asks again, so that tests see at once what has changed.
		"--authentication-token-webhook-version=v1beta1", "--authentication-token-webhook-cache-ttl=0s",
		"--authorization-webhook-cache-authorized-ttl=0s", "--authorization-webhook-cache-unauthorized-ttl=0s",
	}
	k.startAPI = func() {
		k.apiServer, k.stopAPI = componentProcess(t, nil, server, arguments...)
		eventually(t, time.Minute, func() error {
			out, err := exec.Command("kubectl", "--kubeconfig", k.config, "get", "--raw", "/readyz").CombinedOutput()
			if err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			return nil
		})
	}
	k.startAPI()

	k.sim.Account(apiAccount).Region(region).AddCluster(awssim.Object{
		"name": k.cluster, "status": "ACTIVE", "version": "1.34", "platformVersion": "eks.1", "endpoint": k.url,
		"certificateAuthority": awssim.Object{"data": base64.StdEncoding.EncodeToString(k.ca.pem)},
		"accessConfig":         awssim.Object{"authenticationMode": mode},
	})
	k.controlPlane(t)
	k.write(t, "authenticator.json", fmt.Sprintf(`{"clusterID":%q,"server":{"address":"127.0.0.1","hostname":"127.0.0.1","port":%d,"stateDir":%q,
		"kubeconfigPregenerated":true,"kubeconfig":%q,"backendMode":["DynamicFile"],"dynamicfilepath":%q,"dynamicfileUserIDStrict":true,"dynamicBackendModePath":%q}}`,
		k.cluster, webhook, k.file("tls"), k.config, k.file("entries.json"), k.file("mode.json")))
	component(t, k.network.env(), authenticator, "server", "--config", k.file("authenticator.json"))
	eventually(t, time.Minute, func() error {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", webhook))
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
	return k
}

// addRoles adds the role that people share, and that of the permission set with which
// they sign in. A second time it makes them anew, with other unique ids.
func (k *kubeWorld) addRoles() {
	a := k.sim.Account(apiAccount)
	a.RemoveRole(peopleRole)
	a.RemoveRole(ssoRole)
	const path = "/aws-reserved/sso.amazonaws.com/" + region + "/"
	k.role = a.AddRole(awssim.Role{Name: peopleRole, TrustPolicy: `{"Version":"2012-10-17","Statement":[{
		"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + apiAccount + `:root"},"Action":"sts:AssumeRole","Condition":{
		"StringEqualsIgnoreCase":{"sts:RoleSessionName":"${SAML:sub}"},
		"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::` + apiAccount + `:role` + path + `AWSReservedSSO_Developers_????????????????"}}}]}`})
	a.AddRole(awssim.Role{Name: ssoRole, Path: path, Policies: []string{
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"` + k.role + `"}]}`,
	}})
}

// etcd starts the API server's store and returns its address.
func (k *kubeWorld) etcd(t *testing.T, program string) string {
	t.Helper()
	client, peer := fmt.Sprintf("http://127.0.0.1:%d", freePort(t)), fmt.Sprintf("http://127.0.0.1:%d", freePort(t))
	component(t, nil, program, "--data-dir", k.file("etcd"), "--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)
	return client
}

// certificate writes the certificate of this machine and its key into a folder of the
// world, for the API server and the webhook.
func (k *kubeWorld) certificate(t *testing.T) {
	t.Helper()
	certPEM, keyPEM, err := k.ca.issue("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	k.write(t, "tls/cert.pem", string(certPEM))
	k.write(t, "tls/key.pem", string(keyPEM))
}

func (k *kubeWorld) file(name string) string { return filepath.Join(k.dir, name) }

// write writes a file of the world, in place, and returns its path.
func (k *kubeWorld) write(t *testing.T, name, text string) string {
	t.Helper()
	file := k.file(name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// kubeconfig reaches a server as a user; JSON is YAML too.
func kubeconfig(server string, ca []byte, user map[string]any) string {
	text, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "blue",
		"clusters": []any{map[string]any{"name": "blue", "cluster": map[string]any{"server": server, "certificate-authority-data": ca}}},
		"users":    []any{map[string]any{"name": "person", "user": user}},
		"contexts": []any{map[string]any{"name": "blue", "context": map[string]any{"cluster": "blue", "user": "person"}}},
	})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// eksRegion is where the cluster is.
func (k *kubeWorld) eksRegion() *awssim.Region { return k.sim.Account(apiAccount).Region(region) }

// eks is a client of EKS with all rights in the cluster's account.
func (k *kubeWorld) eks() *eks.Client {
	key := k.sim.Account(apiAccount).AddAccessKey("admin")
	return eks.New(eks.Options{
		Region: region, BaseEndpoint: aws.String(k.server.URL()),
		Credentials: credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, ""),
	})
}

// controlPlane tells the authenticator what EKS knows, from now until the test ends.
func (k *kubeWorld) controlPlane(t *testing.T) {
	t.Helper()
	modes := map[string]string{"CONFIG_MAP": "EKSConfigMap", "API_AND_CONFIG_MAP": "DynamicFile EKSConfigMap", "API": "DynamicFile"}
	type mapping struct {
		Role     any      `json:"rolearn,omitempty"`
		User     any      `json:"userarn,omitempty"`
		ID       any      `json:"userid"`
		Username any      `json:"username"`
		Groups   []string `json:"groups"`
	}
	told := map[string]string{}
	tell := func(name string, what any) {
		text, err := json.Marshal(what)
		if err != nil || told[name] == string(text) {
			return
		}
		told[name] = string(text)
		// In place, as the authenticator watches the file and not its folder.
		_ = os.WriteFile(k.file(name), text, 0o600)
	}
	update := func() {
		roles, users := []mapping{}, []mapping{}
		for _, e := range k.eksRegion().AccessEntries(k.cluster) {
			m := mapping{ID: e["principalId"], Username: e["username"], Groups: []string{}}
			if groups, ok := e["kubernetesGroups"].([]string); ok {
				m.Groups = groups
			}
			if principal := fmt.Sprint(e["principalArn"]); strings.Contains(principal, ":user/") {
				m.User = principal
				users = append(users, m)
			} else {
				m.Role = principal
				roles = append(roles, m)
			}
		}
		tell("entries.json", map[string]any{"LastUpdatedDateTime": "1", "Version": "1", "mapRoles": roles, "mapUsers": users})
		tell("mode.json", map[string]any{"LastUpdatedDateTime": "1", "Version": "1", "backendMode": modes[k.eksRegion().AuthenticationMode(k.cluster)]})
	}
	update()
	end := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				update()
			}
		}
	})
	t.Cleanup(func() { close(end); done.Wait() })
}

// letIn maps a role to a user name and groups: by an access entry, or in the ConfigMap
// aws-auth, beside what is there, where the cluster knows that alone.
func (k *kubeWorld) letIn(t *testing.T, role, username string, groups ...string) {
	t.Helper()
	if k.eksRegion().AuthenticationMode(k.cluster) != "CONFIG_MAP" {
		_, err := k.eks().CreateAccessEntry(t.Context(), &eks.CreateAccessEntryInput{
			ClusterName: aws.String(k.cluster), PrincipalArn: aws.String(role), Username: aws.String(username), KubernetesGroups: groups,
		})
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	var all []map[string]any
	get := exec.Command("kubectl", "--kubeconfig", k.config, "-n", "kube-system", "get", "configmap", "aws-auth", "--ignore-not-found", "-o", "jsonpath={.data.mapRoles}")
	if text, err := get.Output(); err != nil {
		t.Fatal(err)
	} else if len(text) > 0 {
		if err := json.Unmarshal(text, &all); err != nil {
			t.Fatal(err)
		}
	}
	all = append(all, map[string]any{"rolearn": role, "username": username, "groups": append([]string{}, groups...)})
	roles, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	object, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "aws-auth", "namespace": "kube-system"},
		"data": map[string]any{"mapRoles": string(roles)},
	})
	if err != nil {
		t.Fatal(err)
	}
	k.kubectl(t, string(object), "apply", "-f", "-")
}

// kubectl runs kubectl as an administrator of the cluster and returns what it prints.
func (k *kubeWorld) kubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "kubectl", append([]string{"--kubeconfig", k.config}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// kubePerson is somebody with kubectl, a kubeconfig and a profile of the AWS CLI.
type kubePerson struct {
	name   string
	home   string // with .kube/config and .aws
	config string
}

// person is somebody who has signed in with a permission set and may take the role
// that people share, under their own name alone. Their kubeconfig gets tokens as that
// of aws eks update-kubeconfig --profile does, from the profile blue.
func (k *kubeWorld) person(t *testing.T, name string) *kubePerson {
	t.Helper()
	p := k.newPerson(t, name, "sso", k.sim.Account(apiAccount).SAMLSession(ssoRole, name, 8*time.Hour))
	k.profile(t, p, name)
	return p
}

// profile names the sessions that a person takes of the shared role; STS refuses
// other names than their own, in whatever case.
func (k *kubeWorld) profile(t *testing.T, p *kubePerson, session string) {
	t.Helper()
	text := "[profile blue]\nrole_arn = " + k.role + "\nrole_session_name = " + session + "\nsource_profile = sso\n"
	if err := os.WriteFile(filepath.Join(p.home, ".aws", "config"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// holder is somebody who holds credentials of a session already, and signs tokens
// with them.
func (k *kubeWorld) holder(t *testing.T, name string, c awssim.Credentials) *kubePerson {
	t.Helper()
	return k.newPerson(t, name, "blue", c)
}

// newPerson makes a home with a kubeconfig and one profile of the AWS CLI.
func (k *kubeWorld) newPerson(t *testing.T, name, profile string, c awssim.Credentials) *kubePerson {
	t.Helper()
	p := &kubePerson{name: name, home: t.TempDir()}
	p.config = filepath.Join(p.home, ".kube", "config")
	env := []map[string]string{}
	for _, e := range append(k.network.env(), "HOME="+p.home) {
		key, value, _ := strings.Cut(e, "=")
		env = append(env, map[string]string{"name": key, "value": value})
	}
	login := map[string]any{"exec": map[string]any{
		"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "aws", "interactiveMode": "Never", "env": env,
		"args": []string{"--region", region, "eks", "get-token", "--cluster-name", k.cluster, "--profile", "blue", "--output", "json"},
	}}
	for file, text := range map[string]string{
		p.config: kubeconfig(k.url, k.ca.pem, login),
		filepath.Join(p.home, ".aws", "credentials"): fmt.Sprintf("[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\naws_session_token = %s\n",
			profile, c.AccessKeyID, c.SecretAccessKey, c.SessionToken),
	} {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// kubectlAs runs kubectl as a person and returns what it prints, on both streams.
func (k *kubeWorld) kubectlAs(t *testing.T, p *kubePerson, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "kubectl", append([]string{"--kubeconfig", p.config}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.home}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// whoami is who the API server takes a person for.
func (k *kubeWorld) whoami(t *testing.T, p *kubePerson) (username string, groups []string, err error) {
	t.Helper()
	out, err := k.kubectlAs(t, p, "auth", "whoami", "-o", "json")
	if err != nil {
		return "", nil, fmt.Errorf("%w: %s", err, out)
	}
	var review struct {
		Status struct {
			UserInfo struct {
				Username string
				Groups   []string
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &review); err != nil {
		return "", nil, fmt.Errorf("%w: %s", err, out)
	}
	return review.Status.UserInfo.Username, review.Status.UserInfo.Groups, nil
}
