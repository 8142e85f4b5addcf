package transaction

import (
	"slices"
	"strings"
)

// builder is the scratch room for building transactions, used again for each.
type builder struct {
	record record
	pairs  []pair
	orders [2]headerOrder  // of the headers of requests, of others
	values int             // how many values of maps the last call had
	ids    strings.Builder // of a few transactions, one after the other

	touched byte // keeps touch from being found useless
}

// idsTogether is how many ids share one piece of memory.
const idsTogether = 16

// id makes the id of t.
func (b *builder) id(t *Transaction) string {
	text := idText(t.Account, t.Region, t.APIID, t.Stage, t.RequestID, t.ExtendedRequestID)
	if b.ids.Cap()-b.ids.Len() < idLength {
		b.ids.Reset()
		b.ids.Grow(idsTogether * idLength)
	}
	from := b.ids.Len()
	b.ids.Write(text[:])
	return b.ids.String()[from:]
}

// built is a call and what hangs on each, made in one piece.
type built struct {
	call        Call
	transaction Transaction
	response    Response
	caller      Caller
	log         Log
	latencies   [3]int64
	sources     [1]Source
	parts       [1]Part
	digests     [4]uint64
}

// builtOfLines has what hangs on most calls of an execution log beside that.
type builtOfLines struct {
	built
	request     Request
	integration Integration
	digests     [20]uint64
}

// draft is a transaction while its lines are read.
type draft struct {
	*built
	a *Assembler
	c *openCall

	transaction *Transaction
	response    *Response
	caller      *Caller
	request     Request
	integration Integration
	authorizer  Authorizer
	err         Error
	values      []string // room that is left for the values of maps
	valued      int      // how many values there are

	executed     int // index of the first event that shows that the authorizer is over
	inAuthorizer bool
	authorized   bool // an authorizer ran
	lambda       bool // it was a Lambda authorizer
	policyDenies bool
	unauthorized bool
	socket       bool
	sawHeaders   bool
	sawBody      bool
	gatewayType  bool

	status        int // the completion line's
	defaultStatus int // where no line gives one
	route         [4]string
	principal     string // of the authorizer
	apiKey        string // masked
	apiID, stage  string // as the lines tell
	forwardedFor  string
	event         proxyEvent
	times         [2]int64 // of the access record
	gatewayBody   string
	gatewayHeader string

	// What went to the backend, and what the caller sent, as logged.
	endpointHeaders, endpointBody, requestBody, responseBody string

	base64 bool // the bodies are
}

// The places of route, best first.
const (
	routeAccess = iota
	routeKeyLine
	routeARN
	routeEvent
)

var routeSources = [...]RouteSource{RouteFromAccessLog, RouteFromAPIKeyLine, RouteFromSourceARN, RouteFromProxyEvent}

// build makes the transaction of a call from its events.
func (a *Assembler) build(c *openCall, evicted bool) *Call {
	sortEvents(c.events)
	a.scratch.touched = touch(c.events)
	var b *built
	var more *builtOfLines
	if c.hasLines {
		more = &builtOfLines{}
		b = &more.built
		a.parts(b, c, more.digests[:0])
	} else {
		b = &built{}
		a.parts(b, c, b.digests[:0])
	}
	t := &b.transaction
	d := draft{built: b, a: a, c: c, transaction: t, response: &b.response, caller: &b.caller, executed: -1}
	b.call.Transaction, b.call.Newest, b.call.Evicted = t, c.newest, evicted
	t.Complete = c.ended

	const over = 1<<lineStart | 1<<lineHTTPMethod | 1<<lineUsagePlan | 1<<lineKeyMethod | 1<<lineKey | 1<<lineRequestPath |
		1<<lineQuery | 1<<lineRequestHeaders | 1<<lineRequestBody | 1<<lineUsageOK
	if c.seen&over != 0 {
		d.executed = slices.IndexFunc(c.events, func(h held) bool { return h.kind.in(over) })
	}
	d.authorized = c.seen&(1<<lineStartAuthorizer|1<<lineIdentity|1<<lineAuthorizerResult|1<<lineValidPolicy|1<<lineAuthorizerDone) != 0
	events, delivered, lines := 0, false, false
	for i := range c.events {
		h := &c.events[i]
		if i > 0 && h.digest == c.events[i-1].digest {
			continue // the same event twice
		}
		events++
		if h.kind == lineRecord {
			continue
		}
		if h.delivery {
			delivered = true
		} else {
			lines = true
		}
		d.line(i, h)
	}
	if c.seen&(1<<lineEndpointHeaders|1<<lineEndpointBody) != 0 {
		d.functionEvent()
	}
	if c.hasAccess {
		d.access()
	}
	t.RequestID, t.ExtendedRequestID = c.rid, c.ext
	t.Account, t.Region = c.stage.account, c.stage.region
	t.APIID, t.Stage = pick(c.stage.api, d.apiID), pick(c.stage.name, d.stage)
	d.finish(more)
	a.scratch.values = d.valued
	t.ID = a.scratch.id(t)
	sources := b.sources[:0]
	if lines {
		sources = append(sources, SourceExecution)
	}
	if c.hasAccess {
		sources = append(sources, SourceAccess)
	}
	if delivered {
		sources = append(sources, SourceDelivery)
	}
	t.Sources = sources
	first := &c.events[0]
	b.log = Log{Group: first.feed.group.Name, FirstEventID: first.id, Events: events}
	t.Log = &b.log
	return &b.call
}

// touch reads both ends of all lines. They have waited for their call to close
// for longer than the processor's caches remember: fetched here, independently of
// one another, they come side by side, and not one after the other as they are
// read.
func touch(events []held) (sum byte) {
	for i := range events {
		if text := events[i].text; text != "" {
			sum += text[0] + text[len(text)-1]
		}
	}
	return sum
}

// parts lists which events of which feed made the call.
func (a *Assembler) parts(b *built, c *openCall, digests []uint64) {
	parts := b.parts[:0]
	if len(c.events) > cap(digests) {
		digests = make([]uint64, 0, len(c.events))
	}
	for i := range c.parts {
		p := &c.parts[i]
		from := len(digests)
		for k := range c.events {
			if c.events[k].feed == p.feed {
				digests = append(digests, c.events[k].digest)
			}
		}
		parts = append(parts, Part{Feed: p.feed, First: p.first, Newest: p.newest, Events: digests[from:len(digests):len(digests)]})
	}
	b.call.Parts = parts
}

// sortEvents puts events in order of time, and those of one millisecond in order
// of their ids, which grow. Events without ids stay as they came.
func sortEvents(events []held) {
	for i := 1; i < len(events); i++ {
		if compareEvents(&events[i], &events[i-1]) >= 0 {
			continue
		}
		if len(events) > 64 {
			slices.SortStableFunc(events, func(x, y held) int { return compareEvents(&x, &y) })
			return
		}
		h := events[i]
		k := i
		for k > 0 && compareEvents(&h, &events[k-1]) < 0 {
			events[k] = events[k-1]
			k--
		}
		events[k] = h
	}
}

func compareEvents(x, y *held) int {
	a, b := x.own(), y.own()
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return CompareEventIDs(x.id, y.id)
}

// CompareEventIDs orders the ids of events of one millisecond: as numbers, by
// length and then by digits. An event without an id equals any other.
func CompareEventIDs(x, y string) int {
	switch {
	case x == "" || y == "":
		return 0
	case len(x) != len(y):
		return len(x) - len(y)
	default:
		return strings.Compare(x, y)
	}
}

// line reads one line of the execution log. Between the start of the authorizer
// and its end, the lines about an endpoint speak of the authorizer's function:
// its request body holds the caller's token as it came, so nothing of them is
// kept but how it went.
func (d *draft) line(i int, h *held) {
	const endpoint = 1<<lineEndpointURI | 1<<lineEndpointHeaders | 1<<lineEndpointBody | 1<<lineSending | 1<<lineReceived |
		1<<lineEndpointResponseHeaders | 1<<lineEndpointResponseBody | 1<<lineEndpointRequestID
	const failure = 1<<lineFailed | 1<<lineLambdaFailed
	auth := d.inAuthorizer || i < d.executed || d.executed < 0 && d.authorized
	if auth && h.kind.in(endpoint) {
		d.authorizerEndpoint(h)
		return
	}
	switch {
	case h.kind.in(failure):
		d.failed(h, d.inAuthorizer || i < d.executed && d.authorized || d.executed < 0 && d.authorized)
	case h.kind <= lineDenied:
		d.authorizerLine(h)
	case h.kind <= lineKey && h.kind != lineHTTPMethod || h.kind == lineInvalidBody || h.kind == lineInvalidParameters:
		d.inAuthorizer = false
		d.planLine(h)
	case h.kind >= lineSocketRoute:
		d.socketLine(h)
	case h.kind >= lineEndpointURI && h.kind <= lineEndpointResponseBody:
		d.endpointLine(h)
	default:
		d.inAuthorizer = false
		d.methodLine(h)
	}
}

// authorizerEndpoint reads what the endpoint lines of the authorizer phase tell
// of the authorizer.
func (d *draft) authorizerEndpoint(h *held) {
	d.lambda = true
	if h.kind == lineReceived {
		if _, latency, ok := received(h.text); ok {
			d.latencies[2] = latency
			d.authorizer.LatencyMS = &d.latencies[2]
		}
	}
}

func (d *draft) authorizerLine(h *held) {
	switch h.kind {
	case lineStartAuthorizer:
		d.inAuthorizer = true
		id, _, _ := strings.Cut(cutLabel(h.text, prefixStartAuthorizer), " ")
		d.authorizer.ID = id
	case lineAuthorizerResult:
		d.lambda = true
		d.policyDenies = strings.Contains(h.text, `"Deny"`)
	case lineValidPolicy:
		d.lambda = true
		if _, principal, ok := strings.Cut(h.text, "principal: "); ok {
			d.principal, _ = cutTruncated(principal)
		}
		d.outcome("allow")
	case lineAuthorizerDone:
		d.inAuthorizer = false
		d.outcome("allow")
	case lineUnauthorized:
		d.inAuthorizer = false
		d.unauthorized = true
		d.authorizer.Outcome = "unauthorized"
		d.fail("UNAUTHORIZED", h.text)
		d.defaultStatus = 401
	case lineAuthorizerError:
		d.inAuthorizer = false
		d.authorizer.Outcome = "error"
		kind := "AUTHORIZER_CONFIGURATION_ERROR"
		if strings.Contains(h.text[:min(len(h.text), 32)], "ailure") {
			kind = "AUTHORIZER_FAILURE"
		}
		d.fail(kind, h.text)
	case lineDenied:
		if strings.HasPrefix(h.text, "Missing Authentication Token") {
			d.fail("MISSING_AUTHENTICATION_TOKEN", h.text)
			return
		}
		if d.authorized {
			d.authorizer.Outcome = "deny"
		}
		d.fail("ACCESS_DENIED", h.text)
	}
}

func (d *draft) outcome(o string) {
	if d.authorizer.Outcome == "" {
		d.authorizer.Outcome = o
	}
}

// fail notes why the call failed. The first reason stands: what follows is its
// consequence.
func (d *draft) fail(kind, message string) {
	if d.err.Type == "" {
		d.err.Type = kind
	}
	if d.err.Message == "" {
		message, cut := cutTruncated(message)
		d.err.Message = d.a.redaction.body(strings.TrimSpace(message), cut)
	}
}

// failed reads a line that says why the execution failed, of the method or, if
// ofAuthorizer, of the authorizer.
func (d *draft) failed(h *held, ofAuthorizer bool) {
	head := h.text[:min(len(h.text), 200)]
	configuration := strings.Contains(head, "configuration error")
	if ofAuthorizer {
		d.inAuthorizer = false
		d.authorizer.Outcome = "error"
		if configuration {
			d.fail("AUTHORIZER_CONFIGURATION_ERROR", h.text)
		} else {
			d.fail("AUTHORIZER_FAILURE", h.text)
		}
		return
	}
	switch {
	case configuration:
		d.fail("API_CONFIGURATION_ERROR", h.text)
	case strings.Contains(head, "timeout") || strings.Contains(head, "timed out"):
		d.fail("INTEGRATION_TIMEOUT", h.text)
	case strings.Contains(head, "model schema") || strings.Contains(head, "request body"):
		d.fail("BAD_REQUEST_BODY", h.text)
	default:
		d.fail("INTEGRATION_FAILURE", h.text)
	}
	if _, id, ok := strings.Cut(h.text, "Lambda request id: "); ok && d.integration.RequestID == "" {
		id, _, _ = strings.Cut(id, " ")
		d.integration.RequestID = strings.TrimRight(id, ".")
	}
}

// planLine reads the lines about the API key, the usage plan and the validation
// of the request.
func (d *draft) planLine(h *held) {
	text, _ := cutTruncated(h.text)
	switch h.kind {
	case lineUsagePlan, lineUsageOK:
		if _, key, ok := strings.Cut(text, "API Key"); ok {
			key = strings.TrimLeft(key, ": ")
			if key, _, ok = strings.Cut(key, " "); ok && isMasked(key) {
				d.apiKey = key
			}
		}
		if _, stage, ok := strings.Cut(text, "API Stage"); ok {
			stage = strings.TrimLeft(stage, ": ")
			if api, stage, ok := strings.Cut(stage, "/"); ok && isAPIID(api) {
				d.apiID, d.stage = api, strings.TrimSpace(stage)
			}
		}
	case lineKey:
		if key := cutLabel(text, prefixKey); isMasked(key) {
			d.apiKey = key
		}
	case lineKeyMethod:
		head, _, _ := strings.Cut(text, "because")
		if strings.Contains(head, "not authorized") || !strings.Contains(head, "authorized") {
			d.fail("INVALID_API_KEY", text)
		}
		if _, key, ok := strings.Cut(head, "API Key "); ok {
			if key, _, ok = strings.Cut(key, " "); ok && isMasked(key) {
				d.apiKey = key
			}
		}
		if _, method, ok := strings.Cut(text, "method '"); ok {
			if method, route, ok := strings.Cut(method, " "); ok && strings.HasPrefix(route, "/") {
				if template, _, ok := strings.Cut(route, "' "); ok {
					d.route[routeKeyLine] = template
				} else if route, ok := strings.CutSuffix(route, "'"); ok {
					d.route[routeKeyLine] = route
				}
				d.transaction.Method = pick(d.transaction.Method, method)
			}
		}
	case lineThrottled, lineQuota:
		kind := "THROTTLED"
		if h.kind == lineQuota {
			kind = "QUOTA_EXCEEDED"
		}
		d.fail(kind, text)
		d.defaultStatus = 429
		if _, method, ok := strings.Cut(text, "HttpMethod "); ok {
			method, _, _ = strings.Cut(method, ".")
			d.transaction.Method = pick(d.transaction.Method, strings.TrimSpace(method))
		}
	case lineInvalidBody:
		d.fail("BAD_REQUEST_BODY", text)
		d.defaultStatus = 400
	case lineInvalidParameters:
		kind := "BAD_REQUEST_PARAMETERS"
		if strings.Contains(text, " body") && !strings.Contains(text, "arameter") {
			kind = "BAD_REQUEST_BODY"
		}
		d.fail(kind, text)
		d.defaultStatus = 400
	}
}
