package eks

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/gatehouse-project/gatehouse/account"
)

// secretValue is what a secret store holds for a cluster. It prints without its token.
type secretValue struct {
	token     string
	server    string
	authority []byte
}

// String tells what there is, never what it is.
func (s secretValue) String() string { return "the secret of a cluster" }

// GoString tells what there is, never what it is.
func (s secretValue) GoString() string { return s.String() }

// secretOf reads the integration's secret, at most once in secretLife: a token that was
// rotated is found soon, or at once when the cluster refuses the old one.
func (c *connection) secretOf(ctx context.Context) (secretValue, error) {
	now := c.all.opts.Clock()
	c.token.mu.Lock()
	have, read := c.token.secret, c.token.read
	c.token.mu.Unlock()
	if !read.IsZero() && now.Sub(read) < secretLife {
		return have, nil
	}
	var fields map[string]string
	var err error
	switch {
	case c.secret.Environment != "":
		fields = map[string]string{}
		for key, suffix := range map[string]string{"token": "_TOKEN", "certificate_authority": "_CERTIFICATE_AUTHORITY", "server_url": "_SERVER_URL"} {
			fields[key] = c.all.opts.Getenv(c.secret.Environment + suffix)
		}
	case c.secret.Kubernetes != nil:
		fields, err = c.kubernetesSecret(ctx)
	default:
		fields, err = c.awsSecret(ctx)
	}
	if err != nil {
		return secretValue{}, fmt.Errorf("integration %s: secret store: %w", c.integration, err)
	}
	var v secretValue
	v.token, v.server = strings.TrimSpace(fields["token"]), strings.TrimRight(strings.TrimSpace(fields["server_url"]), "/")
	if strings.ContainsAny(v.token, "\r\n") {
		return secretValue{}, fmt.Errorf("integration %s: secret store: the token has a line end in it", c.integration)
	}
	if v.server != "" && !strings.HasPrefix(v.server, "https://") {
		return secretValue{}, fmt.Errorf("integration %s: secret store: server_url is not https", c.integration)
	}
	text := orElse(fields["certificate_authority"], fields["ca.crt"])
	if text != "" {
		if v.authority, err = readAuthority(text); err != nil {
			return secretValue{}, fmt.Errorf("integration %s: secret store: certificate_authority: %w", c.integration, err)
		}
	}
	if v.token == "" && v.server == "" && len(v.authority) == 0 {
		return secretValue{}, fmt.Errorf("integration %s: secret store: it has none of token, certificate_authority and server_url", c.integration)
	}
	c.token.mu.Lock()
	defer c.token.mu.Unlock()
	c.token.secret, c.token.read = v, now
	return v, nil
}

// kubernetesSecret reads a secret of the cluster where Gatehouse runs.
func (c *connection) kubernetesSecret(ctx context.Context) (map[string]string, error) {
	host := c.all.opts.Getenv("KUBERNETES_SERVICE_HOST")
	if host == "" {
		return nil, fmt.Errorf("the secret %s/%s is of the cluster where gatehouse runs, and it does not run in one", c.secret.Kubernetes.Namespace, c.secret.Kubernetes.Name)
	}
	authority, err := os.ReadFile(filepath.Join(c.all.opts.ServiceAccount, "ca.crt"))
	if err != nil {
		return nil, err
	}
	port := orElse(c.all.opts.Getenv("KUBERNETES_SERVICE_PORT"), "443")
	k, err := newKube("https://"+net.JoinHostPort(host, port), authority, c.token.mounted(c), c.limit, c.all.opts.Timeout)
	if err != nil {
		return nil, err
	}
	defer k.http.CloseIdleConnections()
	var s struct {
		Data map[string]string `json:"data"`
	}
	if err := k.get(ctx, coreAPI+"/namespaces/"+c.secret.Kubernetes.Namespace+"/secrets/"+c.secret.Kubernetes.Name, &s); err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for key, value := range s.Data {
		data, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return nil, fmt.Errorf("the field %s is not base64", key)
		}
		fields[key] = string(data)
	}
	return fields, nil
}

// awsSecret reads a secret of AWS Secrets Manager: a JSON object of the fields, or the
// token alone.
func (c *connection) awsSecret(ctx context.Context) (map[string]string, error) {
	if c.all.opts.AWS == nil {
		return nil, errNoAWS
	}
	cfg, err := c.config()
	if err != nil {
		return nil, err
	}
	if cfg.Region != c.secret.AWS.Region {
		cfg = c.all.opts.AWS.Config(account.Target{RoleARN: c.assumed(), Account: accountOf(c.assumed())}, c.secret.AWS.Region)
	}
	out, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &c.secret.AWS.SecretID})
	if err != nil {
		return nil, fmt.Errorf("secretsmanager:GetSecretValue of %s: %w", c.secret.AWS.SecretID, refused(err))
	}
	text := strings.TrimSpace(aws.ToString(out.SecretString))
	if !strings.HasPrefix(text, "{") {
		return map[string]string{"token": text}, nil
	}
	var fields map[string]string
	if json.Unmarshal([]byte(text), &fields) != nil {
		// The decoder's own error would repeat a part of the secret.
		return nil, fmt.Errorf("the secret %s is no JSON object of texts", c.secret.AWS.SecretID)
	}
	return fields, nil
}

// assumed is the ARN of the role that Gatehouse assumes; empty: none.
func (c *connection) assumed() string {
	if c.role == "" {
		return ""
	}
	return roleARN(c.role, partitionOf(orElse(c.region, c.all.opts.AWS.Region())), c.accountSetting())
}
