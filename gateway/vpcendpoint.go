package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"regexp"
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
)

// vpcEndpoint is an endpoint made ready.
type vpcEndpoint struct {
	*VPCEndpoint
	policy iam.Attached // without a Policy: all is allowed
	secret [sha256.Size]byte
}

var (
	vpcePattern = regexp.MustCompile(`^vpce-[a-z0-9]{1,32}$`)
	vpcPattern  = regexp.MustCompile(`^vpc-[a-z0-9]{1,32}$`)
)

// minSecret is the shortest secret of an endpoint's header: whoever guesses it is
// taken for a caller inside of the VPC.
const minSecret = 16

func (e *VPCEndpoint) compile(path string) (*vpcEndpoint, error) {
	switch {
	case !vpcePattern.MatchString(e.ID):
		return nil, at(path+".id", "%q is not the id of a VPC endpoint such as vpce-0a1b2c3d4e5f", clip(e.ID))
	case !vpcPattern.MatchString(e.VPC):
		return nil, at(path+".vpc", "%q is not the id of a VPC such as vpc-0a1b2c3d", clip(e.VPC))
	case e.Listen == "" && e.Header == "":
		return nil, at(path, "needs listen or header, so that calls can come through it")
	case e.Header != "" && (!validHeader(e.Header, "") || len(e.Secret) < minSecret):
		return nil, at(path+".header", "needs a name, and a secret of at least %d characters", minSecret)
	case e.Header == "" && e.Secret != "":
		return nil, at(path+".secret", "is of a header, and there is none")
	}
	out := &vpcEndpoint{VPCEndpoint: e, secret: sha256.Sum256([]byte(e.Secret))}
	out.Header = http.CanonicalHeaderKey(e.Header)
	if e.Policy != nil {
		var err error
		if out.policy, err = attach(path+".policy", iam.KindVPCEndpoint, e.Policy); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// endpointKey is the context's key of the endpoint on whose address a connection
// came.
type endpointKey struct{}

// through finds the endpoint that the call came through, by the address that it
// came to or the header that a proxy set. The header goes no further.
func (c *call) through() *vpcEndpoint {
	if len(c.g.endpoints) == 0 {
		return nil
	}
	found, _ := c.r.Context().Value(endpointKey{}).(*vpcEndpoint)
	for _, e := range c.g.endpoints {
		if e.Header == "" {
			continue
		}
		for _, v := range c.r.Header[e.Header] {
			// Digests have one length, so the comparison tells nothing of the secret's.
			sum := sha256.Sum256([]byte(v))
			if subtle.ConstantTimeCompare(sum[:], e.secret[:]) == 1 && found == nil {
				found = e
			}
		}
	}
	for _, e := range c.g.endpoints {
		if e.Header != "" {
			delete(c.r.Header, e.Header)
		}
	}
	return found
}

// apiOfEndpoint finds a private API by the names that a VPC endpoint answers to:
// the API's id, the id joined to the endpoint's, or the header x-apigw-api-id.
func (c *call) apiOfEndpoint(label string) *api {
	if a := c.g.apis[c.r.Header.Get("X-Apigw-Api-Id")]; a != nil {
		return a
	}
	id, _, _ := strings.Cut(label, "-vpce-")
	return c.g.apis[id]
}

// checkWay refuses a call to a private API that comes through no endpoint, and one
// to a public API that comes through one: an endpoint leads to private APIs alone.
// Without any endpoint in the configuration all calls are private.
func (c *call) checkWay() *refusal {
	if len(c.g.endpoints) == 0 || c.api.private == (c.vpce != nil) {
		return nil
	}
	f := refuse("WAF_FILTERED")
	f.unlogged = true // there is no stage that the call could have reached
	return f
}

// checkEndpoint asks the endpoint's policy, before anything else. Who calls is who
// signed: a call that is not signed is anonymous, and one with a wrong signature is
// refused whatever the method asks for.
func (c *call) checkEndpoint() *refusal {
	e := c.vpce
	if e == nil || e.policy.Policy == nil {
		return nil
	}
	who := c.who
	signed := strings.HasPrefix(c.r.Header.Get("Authorization"), "AWS4-") || strings.Contains(c.r.URL.RawQuery, "X-Amz-Algorithm=")
	if signed {
		if f := c.authenticate(); f != nil {
			return f
		}
	}
	request := iam.Request{
		// What a public method without a resource policy asks is the endpoint's policy
		// alone.
		Action: "execute-api:Invoke", Resource: c.resource(), Auth: iam.AuthNone, API: iam.API(c.api.kind), Context: c.conditionKeys(),
	}
	if c.who != nil {
		request.Principal = c.who.Principal
	}
	if c.route.auth != iam.AuthIAM {
		c.who = who // the method knows no caller
	}
	query, err := request.Prepare()
	if err != nil {
		return c.accessDenied("User is not authorized to access this resource")
	}
	policies := iam.Policies{VPCEndpoint: e.policy}
	if policies.Decide(query) == iam.Allowed {
		return nil
	}
	return c.accessDenied(iam.Evaluate(&policies, query).Message())
}

// endpointContext marks the connections of an endpoint's listener.
func endpointContext(ctx context.Context, e *vpcEndpoint) func(net.Listener) context.Context {
	return func(net.Listener) context.Context { return context.WithValue(ctx, endpointKey{}, e) }
}
