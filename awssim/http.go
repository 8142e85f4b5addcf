package awssim

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/iam"
)

// The services, by the name in the credential scope.
const (
	serviceSTS           = "sts"
	serviceLogs          = "logs"
	serviceAPIGateway    = "apigateway"
	serviceOrganizations = "organizations"
	serviceAccount       = "account"
	serviceMetrics       = "monitoring"
	serviceIAM           = "iam"
	serviceEKS           = "eks"
	serviceLambda        = "lambda"
)

// maxBody bounds a request's body: a PutLogEvents batch of 1 MiB whose every
// byte is escaped in JSON, with room to spare.
const maxBody = 8 << 20

// service is one AWS service: how it speaks and what it does.
type service struct {
	name string
	wire wire
	// find names the operation of a request. It returns an *Error for one that
	// it does not know.
	find func(x *exchange) (operation, error)
}

// operation is one operation of a service.
type operation struct {
	name string
	// prepare reads the input and sets x.call.Resource and x.group, for what
	// must be known before the call is decided on; nil: nothing.
	prepare func(x *exchange) error
	// free operations need no permission: whoever has a credential may call.
	free bool
	// federated operations are not signed: prepare finds out who calls.
	federated bool
	// further are the actions, beside the operation's own, that the call needs
	// once it is prepared; nil: none.
	further func(x *exchange) []string
	// run does it and answers. It is not called if an error came before.
	run func(x *exchange) error
}

var services = map[string]*service{
	serviceSTS:           {name: serviceSTS, wire: wireQuery, find: findSTS},
	serviceIAM:           {name: serviceIAM, wire: wireQuery, find: findIAM},
	serviceLogs:          {name: serviceLogs, wire: wireJSON, find: findLogs},
	serviceOrganizations: {name: serviceOrganizations, wire: wireJSON, find: findOrganizations},
	serviceAccount:       {name: serviceAccount, wire: wireRESTJSON, find: findAccount},
	serviceAPIGateway:    {name: serviceAPIGateway, wire: wireRESTJSON, find: findAPIGateway},
	serviceEKS:           {name: serviceEKS, wire: wireRESTJSON, find: findEKS},
	serviceLambda:        {name: serviceLambda, wire: wireRESTJSON, find: findLambda},
	serviceWAFV2:         {name: serviceWAFV2, wire: wireJSON, find: findWAFV2},
}

// exchange is one request and its answer.
type exchange struct {
	sim       *Sim
	w         http.ResponseWriter
	r         *http.Request
	body      []byte
	requestID string
	svc       *service
	op        operation
	region    string
	cred      Credential
	call      Call
	account   *Account

	form  url.Values        // STS
	args  map[string]string // path parameters of a REST operation
	input any               // what prepare has read
	group string            // log group that the call is about

	failed    bool
	throttled bool
	cut       *Fault
}

// Handler serves all services on one endpoint. A request belongs to the service
// and region of its credential scope.
func (s *Sim) Handler() http.Handler { return http.HandlerFunc(s.serve) }

func (s *Sim) serve(w http.ResponseWriter, r *http.Request) {
	if s.opts.Control && strings.HasPrefix(r.URL.Path, controlPath) {
		s.control(w, r)
		return
	}
	x := &exchange{sim: s, w: w, r: r, requestID: s.requestID()}
	w.Header().Set("X-Amzn-Requestid", x.requestID)
	scope, signed := scopeOf(r)
	x.region = scope.region
	x.svc = services[scope.service]
	if x.svc == nil && scope.service == "" {
		x.svc = guessService(r)
	}
	if scope.service == serviceMetrics {
		x.svc = metricsService(r)
	}
	if x.svc == nil {
		x.svc = foreignService(r)
		x.fail(unknownOperation(r.Method + " " + r.URL.Path + " of service " + strconv.Quote(scope.service)))
		return
	}
	defer func() {
		k := callKey{service: x.svc.name, operation: x.op.name}
		if x.account != nil {
			// Only names that are known to be real, so that the counters stay
			// few whatever clients send.
			k.account, k.region = x.account.id, x.region
		}
		s.calls.count(k, x.failed, x.throttled)
	}()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			x.fail(&Error{Status: http.StatusRequestEntityTooLarge, Code: "RequestEntityTooLarge", Message: "Request body is too large"})
		}
		return // the client has gone
	}
	x.body = body
	if x.op, err = x.svc.find(x); err != nil {
		x.fail(err)
		return
	}
	if err := x.handle(signed, scope); err != nil {
		x.fail(err)
	}
}

// handle takes the call from authentication to its answer.
func (x *exchange) handle(signed bool, scope scope) error {
	s := x.sim
	if x.op.federated {
		return x.handleFederated()
	}
	if !signed && !claimsSignature(x.r) {
		return ErrMissingAuthentication
	}
	x.cred = s.credential(scope.accessKey)
	if err := s.authority.Authenticate(x.r, x.body, x.cred); err != nil {
		return err
	}
	if !x.cred.Known() {
		return ErrUnknownAccessKey
	}
	a := s.account(x.cred.Principal.Account)
	if a == nil || a.Status() != statusActive {
		return ErrUnknownAccessKey
	}
	if a.optStatus(x.region) == "" && a.regionIfAny(x.region) == nil {
		return errRegion
	}
	x.account = a
	x.call = Call{
		Service: x.svc.name, Operation: x.op.name, Action: x.svc.name + ":" + x.op.name,
		Account: x.account.id, Region: x.region, Resource: "*", Owner: x.account.id,
		Principal: x.cred.Principal, Session: x.cred,
	}
	var tags map[string]string
	x.call.Policies, tags = x.account.policiesOf(&x.cred)
	x.call.Context = x.context(tags)
	if x.svc.name == serviceAPIGateway {
		x.call.Action = "apigateway:" + x.r.Method
	}
	var prepared error
	if x.op.prepare != nil {
		prepared = x.op.prepare(x)
	}
	if err := x.misbehave(); err != nil {
		return err
	}
	if prepared != nil {
		return prepared
	}
	if x.op.free {
		return x.op.run(x)
	}
	if err := x.authorize(); err != nil {
		return err
	}
	return x.op.run(x)
}

// authorize asks for every action that the call needs.
func (x *exchange) authorize() error {
	if err := x.sim.authority.Authorize(x.call); err != nil {
		return err
	}
	if x.op.further == nil {
		return nil
	}
	for _, action := range x.op.further(x) {
		x.call.Action = action
		if err := x.sim.authority.Authorize(x.call); err != nil {
			return err
		}
	}
	return nil
}

// handleFederated takes a call that an identity provider vouches for to its
// answer.
func (x *exchange) handleFederated() error {
	x.call = Call{
		Service: x.svc.name, Operation: x.op.name, Action: x.svc.name + ":" + x.op.name,
		Region: x.region, Resource: "*", Context: x.context(nil),
	}
	if err := x.op.prepare(x); err != nil {
		return err
	}
	if err := x.misbehave(); err != nil {
		return err
	}
	if err := x.authorize(); err != nil {
		return err
	}
	return x.op.run(x)
}

// context are the condition keys of every request. Who calls has the tags.
func (x *exchange) context(tags map[string]string) iam.Context {
	now := x.sim.clock().UTC()
	c := iam.Context{
		"aws:CurrentTime":     {now.Format(time.RFC3339)},
		"aws:EpochTime":       {strconv.FormatInt(now.Unix(), 10)},
		"aws:SecureTransport": {strconv.FormatBool(x.r.TLS != nil)},
	}
	if x.region != "" {
		c["aws:RequestedRegion"] = []string{x.region}
	}
	if host, _, err := net.SplitHostPort(x.r.RemoteAddr); err == nil {
		c["aws:SourceIp"] = []string{host}
	}
	if agent := x.r.UserAgent(); agent != "" {
		c["aws:UserAgent"] = []string{agent}
	}
	if x.cred.Known() {
		maps.Copy(c, x.sim.principalKeys(&x.cred, tags))
	}
	return c
}

// claimsSignature reports whether a request means to be signed, however badly.
func claimsSignature(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-") || strings.Contains(r.URL.RawQuery, "X-Amz-Algorithm=")
}

// misbehave applies the quotas and the faults that every operation can have.
func (x *exchange) misbehave() error {
	s := x.sim
	k := callKey{x.svc.name, x.op.name, x.account.id, x.region}
	if s.opts.EnforceQuotas && !s.quotas.allow(k, s.clock()) {
		return x.throttling()
	}
	o := x.occasion()
	if f := s.faults.strike(Slow, o, false); f != nil {
		if err := sleep(x.r.Context(), f.Delay); err != nil {
			return err
		}
	}
	if x.cred.SessionToken != "" && s.faults.strike(ExpireCredentials, o, false) != nil {
		s.expire(x.cred.AccessKeyID)
		return ErrExpiredToken
	}
	if s.faults.strike(Throttle, o, false) != nil {
		return x.throttling()
	}
	if s.faults.strike(Status500, o, false) != nil {
		return &Error{Status: http.StatusInternalServerError, Code: "InternalFailure", Message: "We encountered an internal error. Please try again."}
	}
	if s.faults.strike(Denied, o, false) != nil {
		return ErrAccessDenied
	}
	x.cut = s.faults.strike(CutConnection, o, false)
	return nil
}

func (x *exchange) occasion() *occasion {
	return &occasion{service: x.svc.name, operation: x.op.name, account: x.account.id, region: x.region, group: x.group}
}

// reached is the region of the call.
func (x *exchange) reached() (*Region, error) {
	r, ok := x.account.reached(x.region)
	if !ok {
		return nil, ErrUnknownAccessKey // what AWS says of a region that is not enabled
	}
	return r, nil
}

// answer writes a whole answer, or the part of it that a fault lets pass.
func (x *exchange) answer(status int, body []byte) {
	h := x.w.Header()
	if x.cut == nil {
		h.Set("Content-Length", strconv.Itoa(len(body)))
		x.w.WriteHeader(status)
		_, _ = x.w.Write(body) // a client that has gone is no concern of ours
		return
	}
	if !x.cut.Chunked {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	x.w.WriteHeader(status)
	_, _ = x.w.Write(body[:len(body)/2])
	_ = http.NewResponseController(x.w).Flush()
	panic(http.ErrAbortHandler) // the server then closes the connection without the rest
}

func (s *Sim) requestID() string {
	const hex = "0123456789abcdef"
	s.randMu.Lock()
	a, b := s.random.Uint64(), s.random.Uint64()
	s.randMu.Unlock()
	var id [36]byte
	n := 0
	for i := range id {
		switch i {
		case 8, 13, 18, 23:
			id[i] = '-'
			continue
		case 14:
			id[i] = '4'
			continue
		}
		if n == 16 {
			a = b
		}
		id[i] = hex[a&15]
		a >>= 4
		n++
	}
	return string(id[:])
}

// scope is the credential scope of a signed request.
type scope struct{ accessKey, region, service string }

// scopeOf reads the credential scope from the Authorization header or the query
// of a presigned request; ok is false for a request that is not signed.
func scopeOf(r *http.Request) (sc scope, ok bool) {
	text := ""
	if h := r.Header.Get("Authorization"); strings.HasPrefix(h, "AWS4-") {
		_, after, found := strings.Cut(h, "Credential=")
		if found {
			text, _, _ = strings.Cut(after, ",")
			text, _, _ = strings.Cut(text, " ")
		}
	} else if strings.Contains(r.URL.RawQuery, "X-Amz-Credential=") {
		text = r.URL.Query().Get("X-Amz-Credential")
	}
	part := strings.Split(text, "/")
	if len(part) < 5 {
		return scope{}, false
	}
	// The access key comes first and holds no slash; what follows is fixed.
	return scope{accessKey: part[0], region: part[2], service: part[3]}, part[0] != ""
}

// foreignService is a service that is not simulated. How it would write an
// error is seen from how it was asked.
func foreignService(r *http.Request) *service {
	svc := &service{wire: wireRESTJSON}
	switch {
	case r.Header.Get("X-Amz-Target") != "":
		svc.wire = wireJSON
	case strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		svc.wire = wireQuery
	}
	return svc
}

// guessService finds the service of a request that has no credential scope: by
// target, host or path.
func guessService(r *http.Request) *service {
	target := r.Header.Get("X-Amz-Target")
	switch {
	case strings.HasPrefix(target, logsTarget):
		return services[serviceLogs]
	case strings.HasPrefix(target, organizationsTarget):
		return services[serviceOrganizations]
	}
	name, _, _ := strings.Cut(r.Host, ".")
	if svc := services[name]; svc != nil {
		return svc
	}
	path := r.URL.Path
	switch {
	case strings.HasPrefix(path, "/restapis") || strings.HasPrefix(path, "/v2/"):
		return services[serviceAPIGateway]
	case path == "/listRegions":
		return services[serviceAccount]
	case path == "/" && (r.Method == http.MethodPost || r.URL.Query().Has("Action")) && target == "":
		return services[serviceSTS]
	}
	return nil
}

// sleep waits in real time, or until the client has gone.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
