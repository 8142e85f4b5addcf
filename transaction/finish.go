package transaction

import "strings"

// finish puts together what the lines and the record told. What hangs on the transaction only sometimes is in more, or apart where that is
// nil.
func (d *draft) finish(more *builtOfLines) {
	t := d.transaction
	d.finishRoute()
	d.finishAPIType()
	d.finishError()
	d.finishResponse()
	d.finishBodies()
	d.finishCaller()
	switch {
	case d.times[0] != 0:
		t.Time = Time(d.times[0])
	case d.times[1] != 0:
		t.Time = Time(d.times[1])
	case d.c.logged != 0:
		t.Time = Time(d.c.logged)
	default:
		t.Time = Time(d.c.first)
	}
	e := &d.event
	t.Protocol = pick(t.Protocol, e.protocol)
	t.UserAgent = pick(t.UserAgent, d.a.redaction.text(e.userAgent, false))
	if t.SourceIP == "" {
		forwarded, _, _ := strings.Cut(d.forwardedFor, ",")
		t.SourceIP = pick(e.sourceIP, strings.TrimSpace(forwarded))
	}
	t.Path = d.a.redaction.text(t.Path, false)
	d.integration.URI = d.a.redaction.text(d.integration.URI, true)
	if r := d.request; r.Headers != nil || r.Body != "" || r.Truncated {
		if more != nil {
			t.Request = &more.request
		} else {
			t.Request = new(Request)
		}
		*t.Request = r
	}
	if r := d.response; r.Status != 0 || r.Headers != nil || r.Body != "" || r.Truncated {
		t.Response = r
	}
	if d.integration != (Integration{}) {
		if more != nil {
			t.Integration = &more.integration
		} else {
			t.Integration = new(Integration)
		}
		*t.Integration = d.integration
	}
	if d.authorizer != (Authorizer{}) {
		authorizer := d.authorizer
		t.Authorizer = &authorizer
	}
	if d.err != (Error{}) {
		err := d.err
		t.Error = &err
	}
	switch {
	case d.request.Truncated || d.response.Truncated:
		t.Visibility = Truncated
	case d.sawHeaders || d.sawBody:
		t.Visibility = Full
	default:
		t.Visibility = Metadata
	}
}

func (d *draft) finishRoute() {
	t := d.transaction
	for i, route := range d.route {
		if route != "" {
			t.Route, t.RouteSource = route, routeSources[i]
			return
		}
	}
}

func (d *draft) finishAPIType() {
	t := d.transaction
	switch {
	case d.socket:
		t.APIType = WebSocket
		if t.EventType == "" {
			t.ConnectionID = pick(t.ConnectionID, connectionOfPath(t.Path))
		}
		return
	case t.APIType != "":
		// Only the group's reader can know better than the record itself, and
		// only where it was told.
		if g := d.c.events[0].feed.group.APIType; g != "" {
			t.APIType = g
		}
		return
	}
	for i := range d.c.parts {
		f := d.c.parts[i].feed
		if f.group.APIType != "" || d.c.hasLines && f.guess != "" {
			t.APIType = pick2(f.group.APIType, f.guess)
			return
		}
	}
	if d.c.seen&(1<<lineHTTPMethod|1<<lineUsagePlan|1<<lineRequestHeaders|1<<lineKeyMethod|1<<lineThrottled) != 0 {
		t.APIType = REST
	}
}

func pick2(a, b APIType) APIType {
	if a != "" {
		return a
	}
	return b
}

// finishError settles what the authorizer and the failure lines say together.
func (d *draft) finishError() {
	if d.policyDenies && d.authorizer.Outcome == "allow" && d.executed < 0 {
		d.authorizer.Outcome = "deny"
	}
	if d.authorizer.Outcome == "deny" && d.err.Type == "" {
		d.err.Type = "ACCESS_DENIED"
	}
	if d.err.Type == "ACCESS_DENIED" && d.authorizer.Outcome == "allow" {
		d.authorizer.Outcome = "deny"
	}
}

func (d *draft) finishResponse() {
	r := d.response
	r.Status = d.status
	if r.Status == 0 {
		r.Status = d.defaultStatus
	}
	if d.gatewayHeader != "" && r.Headers == nil {
		d.sawHeaders = true
		var cut bool
		r.Headers, cut = d.headers(d.gatewayHeader, false)
		r.Truncated = r.Truncated || cut
	}
	if d.gatewayBody != "" && d.responseBody == "" {
		d.sawBody = true
		d.responseBody = d.gatewayBody
	}
}

func (d *draft) finishBodies() {
	if d.requestBody != "" {
		body, cut := d.bodyOf(d.request.Headers, d.requestBody)
		d.request.Body, d.request.Truncated = body, d.request.Truncated || cut
	}
	if r := d.response; d.responseBody != "" {
		body, cut := d.bodyOf(r.Headers, d.responseBody)
		r.Body, r.Truncated = body, r.Truncated || cut
	}
}

// finishCaller tells who called, by the strongest proof that was seen. That
// nobody had to prove anything is not for the logs to say.
func (d *draft) finishCaller() {
	t, c, e := d.transaction, d.caller, &d.event
	t.Caller = c
	switch {
	case e.userARN != "" || e.caller != "":
		c.Kind = CallerIAM
		c.ARN = e.userARN
		c.Account = pick(accountOfARN(e.userARN), e.account)
		c.Principal = e.caller
	case d.principal != "" || e.principal != "" || d.lambda && d.authorizer.Outcome == "allow":
		c.Kind = CallerLambda
		c.Principal = pick(d.principal, e.principal)
	case (c.APIKeyID != "" || d.apiKey != "") && d.err.Type != "INVALID_API_KEY":
		c.Kind = CallerAPIKey
		c.Principal = d.apiKey
	case e.claimSub != "":
		c.Kind = CallerCognito
		if t.APIType == HTTP {
			c.Kind = CallerJWT
		}
		c.Principal = e.claimSub
	default:
		c.Kind = CallerUnknown
	}
	if c.Kind != CallerIAM && e.principal != "" && d.principal == "" && d.authorizer.Outcome == "" {
		d.authorizer.Outcome = "allow"
	}
	if !isMasked(c.Principal) && c.Principal != Redacted {
		c.Principal = d.a.redaction.text(c.Principal, false)
	}
}

// accountOfARN is the account of arn:partition:service:region:account:resource.
func accountOfARN(arn string) string {
	for range 4 {
		var ok bool
		if _, arn, ok = strings.Cut(arn, ":"); !ok {
			return ""
		}
	}
	account, _, ok := strings.Cut(arn, ":")
	if !ok {
		return ""
	}
	return account
}
