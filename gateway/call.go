package gateway

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// maxPayload is API Gateway's largest body.
const maxPayload = 10 << 20

// call is one call on its way through the gateway. It belongs to one goroutine.
type call struct {
	g     *Gateway
	w     http.ResponseWriter
	r     *http.Request
	api   *api
	stage *stage
	// logging is how the stage logged when the call came: one call is never logged in
	// two ways.
	logging *stageLogs
	route   *route

	id, extended string
	traceID      string
	start        time.Time
	sent         string // the path as it came, with the stage
	raw          string // the path as it came, without the stage
	path         string // the canonical path without the stage
	basePath     string // of a custom domain
	vpce         *vpcEndpoint
	params       []parameter
	queries      url.Values
	body         []byte
	hasBody      bool
	sourceIP     string

	who    *Principal
	lambda *authorizerResult
	claims map[string]any
	apiKey *apiKey
	denied string // how the authorization ended, for the access log
	socket *socketEvent
	// connection is the id in a call to @connections.
	connection string

	cached   *cacheEntry
	cacheKey [sha256.Size]byte
	cacheFor time.Duration // how long the answer is kept; zero: not at all

	refusal     *refusal
	status      int
	length      int
	integration outcome
	authLatency time.Duration
	authRan     bool
	authStatus  int

	lines []LogEvent
	// delivered are the lines as delivery records, where logs are delivered.
	delivered []LogEvent
	secrets   *secrets
	identity  []string // what the authorizer's identity sources hold
}

// outcome is what came of the integration.
type outcome struct {
	called    bool
	status    int // of the endpoint
	latency   time.Duration
	requestID string
	err       string
}

// ServeHTTP answers one call.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{g: g, w: w, r: r, start: g.now()}
	c.id, c.extended = g.newIDs()
	c.traceID = traceID(c.start, c.id)
	c.sourceIP, _, _ = net.SplitHostPort(r.RemoteAddr)
	f := c.locate()
	if f == nil {
		f = c.checkSize()
	}
	if f != nil {
		c.refuse(f)
		c.writeLogs()
		return
	}
	switch own := r.Header.Get("X-Amzn-Requestid"); {
	case c.api.kind != transaction.REST:
		c.id = c.extended // HTTP and WebSocket APIs have one id
	case isUUID(own):
		c.id = own // API Gateway lets callers choose it
	}
	if c.api.kind == transaction.WebSocket {
		c.serveSocket()
	} else if f := c.handle(); f != nil {
		c.refuse(f)
	}
	c.writeLogs()
}

// locate finds the API and the stage, by custom domain, by the API's id at the
// start of the host's name, or as the only API there is.
func (c *call) locate() *refusal {
	c.sent = c.r.URL.EscapedPath()
	if target := c.r.RequestURI; strings.HasPrefix(target, "/") {
		c.sent, _, _ = strings.Cut(target, "?") // as it is on the wire
	}
	for strings.HasPrefix(c.sent, "//") {
		c.sent = c.sent[1:]
	}
	host := c.r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(host)
	c.vpce = c.through()
	if ds, ok := c.g.domains[host]; ok {
		return c.locateByDomain(ds)
	}
	label, _, _ := strings.Cut(host, ".")
	if c.vpce != nil {
		c.api = c.apiOfEndpoint(label)
	} else {
		c.api = c.g.apis[label]
	}
	if c.api == nil {
		if c.api = c.g.only; c.api == nil {
			return refuse("WAF_FILTERED") // what a host without an API answers: Forbidden
		}
	}
	if f := c.checkWay(); f != nil {
		return f
	}
	if c.api.DisableExecuteAPIEndpoint {
		if c.api.kind == transaction.HTTP {
			return refuse("RESOURCE_NOT_FOUND")
		}
		return refuse("WAF_FILTERED")
	}
	first, rest := next(c.sent)
	stage := c.api.stages[first]
	if stage == nil || first == defaultRoute {
		if stage, rest = c.api.fallback, c.sent; stage == nil {
			return c.unrouted()
		}
	}
	return c.enter(stage, rest)
}

func (c *call) locateByDomain(ds []domain) *refusal {
	base, rest := next(c.sent)
	var found *domain
	for i := range ds {
		if ds[i].base == base {
			found = &ds[i]
			break
		}
		if ds[i].base == "" {
			found = &ds[i]
		}
	}
	if found == nil {
		return refuse("WAF_FILTERED")
	}
	if found.base == "" {
		rest = c.sent
	}
	c.api, c.basePath = found.api, found.base
	if f := c.checkWay(); f != nil {
		return f
	}
	return c.enter(found.stage, rest)
}

func (c *call) enter(s *stage, rest string) *refusal {
	if rest == "" {
		rest = "/"
	}
	c.stage, c.logging, c.raw = s, s.logging.Load(), rest
	var ok bool
	if c.path, ok = canonicalPath(rest); !ok {
		return &refusal{kind: "BAD_REQUEST_PARAMETERS", status: http.StatusBadRequest, errorType: "BadRequestException", message: "Bad Request", unlogged: true}
	}
	return nil
}

// handle takes a call to a REST or an HTTP API from the route on.
func (c *call) handle() *refusal {
	c.route = c.api.router.find(c.r.Method, c.path)
	if c.api.kind == transaction.HTTP && c.preflight() {
		return nil
	}
	if c.route == nil {
		return c.unrouted()
	}
	c.params = c.route.parameters(c.raw)
	if c.api.kind == transaction.REST {
		c.info("Extended Request Id: ", c.extended)
	}
	if f := c.authorize(); f != nil {
		return f
	}
	if c.api.kind == transaction.REST {
		if f := c.checkUsage(); f != nil {
			return f
		}
	} else if !c.stage.bucket.allows(c.start) {
		return refuse("THROTTLED")
	}
	if f := c.readBody(); f != nil {
		return f
	}
	c.requestLines()
	if f := c.validate(); f != nil {
		return f
	}
	if c.stage.cache != nil {
		if f := c.lookUp(); f != nil {
			return f
		}
	}
	return c.integrate()
}

// unrouted answers a call that meets no route. API Gateway reads the
// Authorization header of such a call all the same, and complains of it.
func (c *call) unrouted() *refusal {
	if c.api.kind != transaction.HTTP {
		if f := c.checkHeader(); f != nil {
			f.unlogged = true
			return f
		}
	}
	return c.miss()
}

// readBody reads the body once, up to the limit.
func (c *call) readBody() *refusal {
	if c.hasBody {
		return nil
	}
	c.hasBody = true
	if c.r.Body == nil || c.r.Body == http.NoBody {
		return nil
	}
	limit := c.g.limits.payload()
	if c.r.ContentLength > limit {
		return c.tooLarge()
	}
	// Room grows with what comes, not with what the caller promises.
	var b bytes.Buffer
	b.Grow(int(min(max(c.r.ContentLength+bytes.MinRead, bytes.MinRead), 64<<10)))
	n, err := b.ReadFrom(io.LimitReader(c.r.Body, limit+1))
	var tooLarge *http.MaxBytesError
	switch {
	case n > limit || errors.As(err, &tooLarge):
		return c.tooLarge()
	case err != nil:
		return &refusal{kind: "BAD_REQUEST_BODY", status: http.StatusBadRequest, errorType: "BadRequestException", message: "Bad Request"}
	}
	c.body = b.Bytes()
	return nil
}

func (c *call) tooLarge() *refusal {
	// The rest of the body is not read, so the connection cannot be used again.
	c.w.Header().Set("Connection", "close")
	return refuse("REQUEST_TOO_LARGE")
}

// query are the parameters of the query string. Pairs that are not properly
// encoded are left out.
func (c *call) query() url.Values {
	if c.queries == nil {
		c.queries = c.r.URL.Query()
	}
	return c.queries
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if unhex(c) > 15 {
				return false
			}
		}
	}
	return true
}
