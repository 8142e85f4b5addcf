package demo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/sigv4"
)

// Kubectl asks the demo's cluster as one person, as kubectl with aws eks get-token does:
// a session of the shared role in the person's name, and a token that it signed.
type Kubectl struct {
	world  *World
	kube   *awssim.Kubernetes
	person identity.Person
	client *http.Client
}

// NewKubectl makes a Kubectl for a person. The caller closes it.
func (w *World) NewKubectl(k *awssim.Kubernetes, p identity.Person) *Kubectl {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(k.CertificateAuthority())
	return &Kubectl{world: w, kube: k, person: p, client: &http.Client{
		Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}},
	}}
}

// Close ends its connections.
func (c *Kubectl) Close() { c.client.CloseIdleConnections() }

// MayListPods reports whether the person may list the pods of a namespace now.
func (c *Kubectl) MayListPods(ctx context.Context, namespace string) (bool, error) {
	token, err := c.token(ctx)
	if err != nil {
		return false, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.kube.URL()+"/api/v1/namespaces/"+namespace+"/pods", http.NoBody)
	if err != nil {
		return false, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := c.client.Do(r)
	if err != nil {
		return false, err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
	err = errors.Join(err, res.Body.Close())
	switch res.StatusCode {
	case http.StatusOK:
		return true, err
	case http.StatusForbidden, http.StatusUnauthorized: // no rights, or not even known
		return false, err
	default:
		return false, fmt.Errorf("listing pods: the cluster answered %s", res.Status)
	}
}

func (c *Kubectl) token(ctx context.Context) (string, error) {
	s := c.world.Sim.Account(Orders).Session(AccessRole, c.person.Email, time.Hour)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15", http.NoBody)
	if err != nil {
		return "", err
	}
	r.Header.Set("X-K8s-Aws-Id", Cluster)
	signer := sigv4.Signer{
		Credentials: sigv4.Credentials{AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey, SessionToken: s.SessionToken},
		Service:     "sts", Region: "eu-west-1",
	}
	if _, err := signer.Presign(r, time.Now(), 15*time.Minute); err != nil {
		return "", err
	}
	return "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(r.URL.String())), nil
}

// lookEvery is how often people try whether they get in.
const lookEvery = 2 * time.Second

// Watch tries every few seconds whether people may look into namespaces, and tells
// each time that the answer has changed, until ctx is done.
func (w *World) Watch(ctx context.Context, k *awssim.Kubernetes, people []identity.Person, namespaces []string, tell func(string)) error {
	type question struct {
		who   *Kubectl
		where string
	}
	was := map[question]bool{}
	all := make([]question, 0, len(people)*len(namespaces))
	for _, p := range people {
		c := w.NewKubectl(k, p)
		defer c.Close()
		for _, n := range namespaces {
			all = append(all, question{c, n})
		}
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		for _, q := range all {
			may, err := q.who.MayListPods(ctx, q.where)
			if err != nil || may == was[q] {
				continue // what could not be asked is asked again
			}
			was[q] = may
			word := "denied again"
			if may {
				word = "allowed now"
			}
			tell(fmt.Sprintf("%s: kubectl get pods -n %s is %s", q.who.person.Name, q.where, word))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
