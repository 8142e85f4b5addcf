package eks

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awseks "github.com/aws/aws-sdk-go-v2/service/eks"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
)

const testRegion = "eu-west-1"

// ssoTrust is the trust policy of the documentation's tab for AWS SSO.
const ssoTrust = `{"Version":"2012-10-17","Statement":[{"Sid":"Statement1","Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole",` +
	`"Condition":{"StringEqualsIgnoreCase":{"sts:RoleSessionName":"${SAML:sub}"},"ArnLike":{"aws:PrincipalArn":[` +
	`"arn:aws:iam::222222222222:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_*",` +
	`"arn:aws:iam::222222222222:role/aws-reserved/sso.amazonaws.com/*/AWSReservedSSO_*"]}}}]}`

// samlTrust is that of the tab for SAML.
const samlTrust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::222222222222:saml-provider/okta"},` +
	`"Action":"sts:AssumeRoleWithSAML","Condition":{"StringEquals":{"SAML:aud":"https://signin.aws.amazon.com/saml"}}}]}`

// cloud is an account with the cluster prod, in which Gatehouse has a role.
type cloud struct {
	*bench
	sim      *awssim.Sim
	accounts *plain
	region   *awssim.Region
	clock    *clock
	engine   *awseks.Client
	fault    *faults
}

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// faults stands before awssim and makes the next change at EKS fail.
type faults struct {
	next http.Handler
	mu   sync.Mutex
	kind string // "before", "after" or empty
	skip int    // changes that pass first
	// look runs before the next reading of an access entry, once.
	look func()
}

func (f *faults) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	kind := ""
	var look func()
	if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/access-entries/") && !strings.HasSuffix(r.URL.Path, "/access-policies") {
		look, f.look = f.look, nil
	}
	if r.Method != http.MethodGet && (strings.HasPrefix(r.URL.Path, "/clusters") || strings.HasPrefix(r.URL.Path, "/tags")) {
		if f.skip > 0 {
			f.skip--
		} else {
			kind, f.kind = f.kind, ""
		}
	}
	f.mu.Unlock()
	if look != nil {
		look()
	}
	if kind == "" {
		f.next.ServeHTTP(w, r)
		return
	}
	if kind == "after" {
		f.next.ServeHTTP(httptest.NewRecorder(), r)
	}
	http.Error(w, `{"message":"told to fail"}`, http.StatusInternalServerError)
}

// plain is AWS without account's rate limits, which would make properties wait.
type plain struct{ cfg aws.Config }

func (p *plain) Config(_ account.Target, region string) aws.Config {
	cfg := p.cfg.Copy()
	cfg.Region = region
	return cfg
}

func (p *plain) Region() string { return p.cfg.Region }

func newCloud(t *testing.T, mode string, change ...func(*Options, *access.Integration)) *cloud {
	t.Helper()
	c := &cloud{clock: &clock{now: time.Now().Truncate(time.Second)}}
	c.sim = awssim.New(awssim.Options{Clock: c.clock.Now})
	c.fault = &faults{next: c.sim.Handler()}
	server := httptest.NewServer(c.fault)
	t.Cleanup(server.Close)
	own := c.sim.Account(testAccount)
	own.AddRole(awssim.Role{Name: "gatehouse-k8s-access", TrustPolicy: ssoTrust})
	own.AddRole(awssim.Role{Name: "Gatehouse", Allow: []string{"eks:*", "iam:GetRole", "sts:AssumeRole"}, TrustedAccounts: []string{testAccount}, MaxSession: 12 * time.Hour})
	key := own.Session("Gatehouse", "gatehouse", 12*time.Hour)
	accounts := &plain{aws.Config{
		Region: testRegion, BaseEndpoint: aws.String(server.URL), RetryMaxAttempts: 1, HTTPClient: account.Connections(nil),
		Credentials: credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, key.SessionToken),
	}}
	c.accounts = accounts
	c.bench = newBench(t, append([]func(*Options, *access.Integration){func(o *Options, i *access.Integration) {
		o.AWS = accounts
		o.Clock = c.clock.Now
		i.Secret = nil
		i.Config = map[string]string{keyCluster: "prod", keyRegion: testRegion}
	}}, change...)...)
	c.api.token = ""
	c.region = own.Region(testRegion)
	c.region.AddCluster(awssim.Object{
		"name": "prod", "status": "ACTIVE", "accessConfig": awssim.Object{"authenticationMode": mode},
		"endpoint": c.api.server.URL, "certificateAuthority": awssim.Object{"data": encoded(c.api.authority())}, "tags": map[string]string{"owner": "platform"},
	})
	c.engine = awseks.NewFromConfig(accounts.Config(account.Target{Account: testAccount}, testRegion))
	return c
}

// setMode makes the cluster anew with another authentication mode and the same entries.
func (c *cloud) setMode(mode string) {
	entries := c.region.AccessEntries("prod")
	c.region.AddCluster(awssim.Object{
		"name": "prod", "status": "ACTIVE", "accessConfig": awssim.Object{"authenticationMode": mode},
		"endpoint": c.api.server.URL, "certificateAuthority": awssim.Object{"data": encoded(c.api.authority())},
	}, entries...)
}
