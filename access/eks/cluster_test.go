package eks

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/sigv4"
)

// The token is what an EKS cluster takes: a presigned GetCallerIdentity of the real STS,
// for this cluster alone, signed with the header that names it.
func TestClusterToken(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	creds := aws.Credentials{AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "secret", SessionToken: "session/token+="}
	token, err := clusterToken(t.Context(), creds, "eu-west-1", "prod", now)
	if err != nil {
		t.Fatal(err)
	}
	text, found := strings.CutPrefix(token, "k8s-aws-v1.")
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if !found || err != nil || len(token) > 4096 {
		t.Fatalf("the token %s is %v", token, err)
	}
	u, err := url.Parse(string(raw))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if u.Scheme != "https" || u.Host != "sts.eu-west-1.amazonaws.com" || u.Path != "/" || q.Get("Action") != "GetCallerIdentity" || q.Get("X-Amz-Expires") != "900" {
		t.Errorf("the URL is %s", u)
	}
	if !slices.Contains(strings.Split(q.Get("X-Amz-SignedHeaders"), ";"), "x-k8s-aws-id") {
		t.Errorf("the signed headers are %s", q.Get("X-Amz-SignedHeaders"))
	}
	verify := func(cluster string) error {
		r := httptest.NewRequest(http.MethodGet, u.String(), nil)
		r.Header.Set("x-k8s-aws-id", cluster)
		v := &sigv4.Verifier{Service: "sts", Region: "eu-west-1", Lookup: func(string) (sigv4.Credentials, error) {
			return sigv4.Credentials{AccessKeyID: creds.AccessKeyID, SecretAccessKey: creds.SecretAccessKey, SessionToken: creds.SessionToken}, nil
		}}
		_, err := v.Verify(r, now.Add(13*time.Minute))
		return err
	}
	if err := verify("prod"); err != nil {
		t.Errorf("the signature: %v", err)
	}
	if verify("another") == nil {
		t.Error("the token is good for another cluster too")
	}
	if china, err := clusterToken(t.Context(), creds, "cn-north-1", "prod", now); err != nil || !strings.Contains(decoded(china), "https://sts.cn-north-1.amazonaws.com.cn/") {
		t.Errorf("in China the token is for %s, %v", decoded(china), err)
	}
}

func decoded(token string) string {
	raw, _ := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, tokenPrefix))
	return string(raw)
}

// A token is used for 14 minutes, and never beyond the credentials that signed it.
func TestTokensAreRenewed(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "CONFIG_MAP")
	used := func() string {
		t.Helper()
		c.api.mu.Lock()
		c.api.token = ""
		c.api.mu.Unlock()
		conn, err := c.rbac.connect(c.integration)
		if err != nil {
			t.Fatal(err)
		}
		k, err := conn.api(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		token, err := k.token(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	first := used()
	c.clock.Advance(13*time.Minute + 59*time.Second)
	if used() != first {
		t.Error("a token was made anew before its time")
	}
	c.clock.Advance(2 * time.Second)
	if used() == first {
		t.Error("a token is used for more than 14 minutes")
	}
}

// The way to the cluster is the settings', the secret's, that of the cluster which
// Gatehouse runs in, or EKS's.
func TestWaysToTheCluster(t *testing.T) {
	t.Parallel()
	mount := func(t *testing.T, b *bench) string {
		t.Helper()
		dir := t.TempDir()
		for name, text := range map[string]string{"token": "mounted\n", "ca.crt": b.api.authority()} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		u, err := url.Parse(b.api.server.URL)
		if err != nil {
			t.Fatal(err)
		}
		b.env["KUBERNETES_SERVICE_HOST"], b.env["KUBERNETES_SERVICE_PORT"] = u.Hostname(), u.Port()
		return dir
	}
	for _, c := range []struct {
		name  string
		setup func(*testing.T, *bench, *Options)
		want  string // in the error; empty: it is reached
	}{
		{"settings and a token in the environment", func(*testing.T, *bench, *Options) {}, ""},
		{"all in the environment", func(_ *testing.T, b *bench, _ *Options) {
			b.integration.Config = map[string]string{keyCluster: "prod"}
			b.env["PROD_SERVER_URL"], b.env["PROD_CERTIFICATE_AUTHORITY"] = b.api.server.URL, encoded(b.api.authority())
		}, ""},
		{"a Kubernetes secret of the cluster beside us", func(t *testing.T, b *bench, o *Options) {
			t.Helper()
			o.ServiceAccount = mount(t, b)
			b.api.users["mounted"] = "system:serviceaccount:gatehouse:gatehouse"
			b.integration.Secret = &access.SecretRef{Kubernetes: &access.KubernetesSecret{Namespace: "gatehouse", Name: "prod"}}
			b.api.put(coreAPI+"/namespaces/gatehouse/secrets/prod", map[string]any{"metadata": map[string]any{"name": "prod"}, "data": map[string]any{"token": encoded(testToken)}})
		}, ""},
		{"the cluster that we run in", func(t *testing.T, b *bench, o *Options) {
			t.Helper()
			o.ServiceAccount = mount(t, b)
			b.api.token = "mounted"
			b.integration.Secret, b.integration.Config = nil, map[string]string{keyCluster: "prod"}
		}, ""},
		{"another cluster than the one that we run in", func(t *testing.T, b *bench, o *Options) {
			t.Helper()
			o.ServiceAccount = mount(t, b)
			b.integration.Secret, b.integration.Config = nil, map[string]string{keyCluster: "prod", keyRegion: testRegion}
		}, "no AWS credentials"},
		{"nothing", func(_ *testing.T, b *bench, _ *Options) {
			b.integration.Secret, b.integration.Config = nil, map[string]string{keyCluster: "prod"}
		}, "config.server_url"},
		{"an empty secret", func(_ *testing.T, b *bench, _ *Options) { delete(b.env, "PROD_TOKEN") }, "none of token"},
		{"a Kubernetes secret and no cluster beside us", func(_ *testing.T, b *bench, _ *Options) {
			b.integration.Secret = &access.SecretRef{Kubernetes: &access.KubernetesSecret{Namespace: "gatehouse", Name: "prod"}}
		}, "does not run in one"},
		{"plain http in a secret", func(_ *testing.T, b *bench, _ *Options) { b.env["PROD_SERVER_URL"] = "http://x" }, "not https"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			o := b.clusters.opts
			c.setup(t, b, &o)
			clusters, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			_, err = NewRBAC(clusters).List(t.Context(), b.integration)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), testToken) {
				t.Errorf("the token is in %v", err)
			}
		})
	}
}

// A secret of Secrets Manager is a JSON object or the token, and what is wrong with it is
// told without it.
func TestSecretsManager(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, secret, want string }{
		{"an object", `{"token":"` + testToken + `"}`, ""},
		{"the token alone", testToken + "\n", ""},
		{"no texts", `{"token":{"x":"` + testToken + `"}}`, "no JSON object of texts"},
		{"two lines", testToken + "\nX: y", "line end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.Header.Get("X-Amz-Target") != "secretsmanager.GetSecretValue" || !strings.Contains(string(body), "prod/kube") {
					http.Error(w, "{}", http.StatusBadRequest)
					return
				}
				_ = json.NewEncoder(w).Encode(map[string]string{"Name": "prod/kube", "SecretString": c.secret})
			}))
			t.Cleanup(store.Close)
			o := b.clusters.opts
			o.AWS = &plain{aws.Config{Region: testRegion, BaseEndpoint: aws.String(store.URL), RetryMaxAttempts: 1, HTTPClient: account.Connections(nil), Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "ASIA", SecretAccessKey: "s"}, nil
			})}}
			b.integration.Secret = &access.SecretRef{AWS: &access.AWSSecret{Region: testRegion, SecretID: "prod/kube"}}
			clusters, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			_, err = NewRBAC(clusters).List(t.Context(), b.integration)
			if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), testToken)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestDiscover(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "CONFIG_MAP")
	c.api.page = 2
	found, err := c.rbac.Discover(t.Context(), c.integration)
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]flow.Resource{}
	for _, r := range found {
		if r.Integration != "prod-1" || byID[r.ID].ID != "" || r.Tags[tagCluster] != "arn:aws:eks:eu-west-1:222222222222:cluster/prod" {
			t.Errorf("%+v", r)
		}
		byID[r.ID] = r
	}
	for id, want := range map[string][]string{
		"cluster/prod":           {"admin", "edit", "view"},
		"namespace/payments":     {"admin", "edit", "view", "role:deployer"},
		"namespace/orders":       {"admin", "edit", "view"},
		"clusterrole/view":       {"cluster", "namespace:default", "namespace:kube-system", "namespace:orders", "namespace:payments"},
		"role/payments/deployer": {"bind"},
	} {
		if got := byID[id].Permissions; !slices.Equal(got, want) {
			t.Errorf("%s has %v, want %v", id, got, want)
		}
	}
	if byID["cluster/prod"].Tags["owner"] != "platform" || byID["namespace/payments"].Tags["team"] != "team-payments" {
		t.Errorf("the tags are %v and %v", byID["cluster/prod"].Tags, byID["namespace/payments"].Tags)
	}
	for id, r := range byID {
		// Everything that can be found can be asked for.
		for _, permission := range r.Permissions {
			if _, err := c.rbac.Object(c.integration, person(0), flow.Item{Resource: r, Permission: permission}); err != nil {
				t.Errorf("%s on %s: %v", permission, id, err)
			}
		}
		if strings.Contains(id, "cluster-admin") || strings.Contains(id, "system:") || strings.Contains(id, "gatehouse") {
			t.Errorf("%s is offered", id)
		}
	}
	c.integration.ResourceTypes = []string{resourceNamespace}
	if found, err = c.rbac.Discover(t.Context(), c.integration); err != nil || len(found) != 4 {
		t.Errorf("of the namespaces alone there are %d, %v", len(found), err)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ key, value, want string }{
		{keyCluster, "", "it is missing"},
		{keyCluster, "a/b", "not the name of a cluster"},
		{keyServer, "http://x", "not the https URL"},
		{keyServer, "https://user:hunter2@x", "not the https URL"},
		{keyAuthority, "hello", "neither PEM nor base64"},
		{keyAuthority, encoded("hello"), "no certificate"},
		{keyRegion, "Ireland", "not a region"},
		{keyAccount, "123", "not an account id"},
		{keyRole, "arn:aws:sts::222222222222:assumed-role/x/y", "not an IAM role"},
		{keyAccessRole, "arn:aws:sts::222222222222:assumed-role/x/y", "not an IAM role"},
		{keyTemplate, "everybody", "everybody has one name"},
		{keyMapping, "both", "no way to map"},
		{keyAllowed, "a[", "not a pattern"},
		{"cluster", "x", "no setting"},
	} {
		i := &access.Integration{Name: "p", Type: TypeRBAC, Config: map[string]string{keyCluster: "prod"}}
		i.Config[c.key] = c.value
		err := (&RBAC{}).Validate(i)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "integration p: config."+c.key) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s = %q: %v, want %q", c.key, c.value, err, c.want)
		}
	}
	for name, ref := range map[string]*access.SecretRef{
		"none": {}, "two": {Environment: "A", AWS: &access.AWSSecret{Region: testRegion, SecretID: "x"}}, "a half": {Kubernetes: &access.KubernetesSecret{Name: "x"}}, "a bad prefix": {Environment: "a b"},
	} {
		if err := (&RBAC{}).Validate(&access.Integration{Name: "p", Type: TypeRBAC, Config: map[string]string{keyCluster: "prod"}, Secret: ref}); err == nil {
			t.Errorf("%s is a valid secret store", name)
		}
	}
	if err := (&RBAC{}).Validate(&access.Integration{Name: "p", Type: TypeRBAC, Config: map[string]string{keyCluster: "prod"}}); err != nil {
		t.Errorf("the name of the cluster is all that is needed: %v", err)
	}
}

var _ AWS = (*account.Accounts)(nil)
