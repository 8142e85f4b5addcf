package eks

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/sigv4"
)

const (
	tokenPrefix = "k8s-aws-v1."
	headerID    = "X-K8s-Aws-Id"

	// tokenLife is how long a token is used. The cluster takes one for 15 minutes
	// from when it was signed, which the URL's own expiry allows too.
	tokenLife    = 14 * time.Minute
	tokenExpires = 15 * time.Minute
	tokenSpare   = time.Minute // before the credentials that signed it end
	secretLife   = time.Minute
)

// clusterToken signs the token by which an EKS cluster knows the owner of credentials:
// a presigned GetCallerIdentity for this cluster alone. It always names the real STS of
// the region, whatever endpoint the SDK is given, for the cluster takes no other.
func clusterToken(ctx context.Context, creds aws.Credentials, region, cluster string, now time.Time) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet,
		"https://sts."+region+"."+account.DNSSuffix(region)+"/?Action=GetCallerIdentity&Version=2011-06-15", nil)
	if err != nil {
		return "", fmt.Errorf("signing a cluster token: %w", err)
	}
	r.Header.Set(headerID, cluster)
	signer := sigv4.Signer{
		Credentials: sigv4.Credentials{AccessKeyID: creds.AccessKeyID, SecretAccessKey: creds.SecretAccessKey, SessionToken: creds.SessionToken},
		Service:     "sts", Region: region,
	}
	if _, err := signer.Presign(r, now, tokenExpires); err != nil {
		return "", fmt.Errorf("signing a cluster token: %w", err)
	}
	return tokenPrefix + base64.RawURLEncoding.EncodeToString([]byte(r.URL.String())), nil
}

// bearer keeps the token of one cluster.
type bearer struct {
	mu     sync.Mutex
	token  string
	until  time.Time
	secret secretValue
	read   time.Time
}

// own makes tokens of Gatehouse's own AWS credentials.
func (b *bearer) own(c *connection) tokens {
	return func(ctx context.Context, again bool) (string, error) {
		now := c.all.opts.Clock()
		b.mu.Lock()
		have, until := b.token, b.until
		b.mu.Unlock()
		if have != "" && now.Before(until) && !again {
			return have, nil
		}
		cfg, err := c.config()
		if err != nil {
			return "", err
		}
		creds, err := cfg.Credentials.Retrieve(ctx)
		if err != nil {
			return "", fmt.Errorf("credentials for the cluster %s: %w", c.settings.cluster, err)
		}
		token, err := clusterToken(ctx, creds, cfg.Region, c.settings.cluster, now)
		if err != nil {
			return "", err
		}
		until = now.Add(tokenLife)
		if end := creds.Expires.Add(-tokenSpare); creds.CanExpire && end.Before(until) {
			until = end
		}
		// Two who find none at once make one each; either is good.
		b.mu.Lock()
		defer b.mu.Unlock()
		b.token, b.until = token, until
		return token, nil
	}
}

// stored takes the token of the secret store.
func (b *bearer) stored(c *connection) tokens {
	return func(ctx context.Context, again bool) (string, error) {
		if again {
			b.mu.Lock()
			b.read = time.Time{}
			b.mu.Unlock()
		}
		found, err := c.secretOf(ctx)
		if err != nil {
			return "", err
		}
		if found.token == "" {
			return "", fmt.Errorf("integration %s: the secret has no token", c.integration)
		}
		return found.token, nil
	}
}

// mounted takes the token that Kubernetes mounts into Gatehouse's pod and renews there.
func (b *bearer) mounted(c *connection) tokens {
	return func(context.Context, bool) (string, error) {
		data, err := os.ReadFile(filepath.Join(c.all.opts.ServiceAccount, "token"))
		if err != nil {
			return "", fmt.Errorf("integration %s: the service account's token: %w", c.integration, err)
		}
		return strings.TrimSpace(string(data)), nil
	}
}
