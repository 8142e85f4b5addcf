package transaction

import "strings"

// routeOfARN reads the route's template from the X-Amz-Source-Arn header of the
// request to a Lambda function: arn:…:execute-api:region:account:api/stage/METHOD/template.
// An ARN that was cut gives none.
func routeOfARN(text string) string {
	inner, cut := mapText(text)
	const name = "mz-Source-Arn=" // its case varies at the start only
	i := strings.Index(inner, name)
	if i < 0 {
		if i = strings.Index(inner, "mz-source-arn="); i < 0 {
			return ""
		}
	}
	arn := inner[i+len(name):]
	if end := strings.Index(arn, ", "); end >= 0 {
		arn = arn[:end]
	} else if cut {
		return ""
	}
	_, resource, ok := strings.Cut(arn, ":execute-api:")
	if !ok {
		return ""
	}
	// region:account:api/stage/METHOD/template
	_, resource, _ = strings.Cut(resource, "/")
	_, resource, _ = strings.Cut(resource, "/")
	method, template, ok := strings.Cut(resource, "/")
	if !ok || method == "" || method == "authorizers" || !isMethod(method) {
		return ""
	}
	return "/" + template
}

// isFunction reports whether the URI of an integration is that of a Lambda
// function.
func isFunction(uri string) bool {
	return strings.HasPrefix(uri, "https://lambda.") || strings.HasPrefix(uri, "arn:") && strings.Contains(uri, ":lambda:")
}

// functionEvent reads what API Gateway told the function that it called. Only to a
// function does it write headers and an event of its own: to other backends go the
// caller's, and to a function that has no proxy integration the caller's body may
// go as it came.
func (d *draft) functionEvent() {
	if d.integration.URI != "" && !isFunction(d.integration.URI) {
		return
	}
	path := d.transaction.Path
	if d.endpointHeaders != "" {
		if route := routeOfARN(d.endpointHeaders); path == "" || fits(route, path) {
			d.route[routeARN] = route
		}
	}
	event, _ := cutTruncated(d.endpointBody)
	sent, _ := cutTruncated(d.requestBody)
	if common := min(len(event), len(sent)); event == "" || common > 1 && event[:common] == sent[:common] {
		return
	}
	e := &d.event
	e.read(event)
	if path != "" && !fits(e.resource, path) || e.requestID != "" && e.requestID != d.c.rid ||
		e.extendedID != "" && d.c.ext != "" && e.extendedID != d.c.ext {
		*e = proxyEvent{}
		return
	}
	d.route[routeEvent] = e.resource
}

func isMethod(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'A' || c > 'Z') && c != '*' && c != '-' {
			return false
		}
	}
	return s != ""
}

// proxyEvent is what the event that API Gateway sends to a Lambda function tells
// of the call. The event is often cut.
type proxyEvent struct {
	resource  string
	sourceIP  string
	protocol  string
	userAgent string
	userARN   string
	caller    string
	account   string
	principal string
	claimSub  string

	requestID, extendedID string
}

// read takes what it needs out of an event. A key with its quotes cannot stand
// inside a JSON string, where quotes have backslashes, so looking for keys of
// API Gateway's own objects is safe.
func (e *proxyEvent) read(body string) {
	const resource = `{"resource":"`
	if !strings.HasPrefix(body, resource) {
		return
	}
	if template, _, ok := strings.Cut(body[len(resource):], `"`); ok && strings.HasPrefix(template, "/") {
		e.resource = template
	}
	i := strings.Index(body, `"requestContext":{`)
	if i < 0 {
		return
	}
	context := body[i+len(`"requestContext":`):]
	if end := skipValue(context, 0); end > 0 {
		context = context[:end]
	}
	e.protocol = member(context, `"protocol":"`)
	e.requestID, e.extendedID = member(context, `"requestId":"`), member(context, `"extendedRequestId":"`)
	if i := strings.Index(context, `"identity":{`); i >= 0 {
		identity := context[i+len(`"identity":`):]
		if end := skipValue(identity, 0); end > 0 {
			identity = identity[:end]
		}
		e.sourceIP = member(identity, `"sourceIp":"`)
		e.userAgent = member(identity, `"userAgent":"`)
		e.userARN = member(identity, `"userArn":"`)
		e.caller = member(identity, `"caller":"`)
		e.account = member(identity, `"accountId":"`)
	}
	if i := strings.Index(context, `"authorizer":{`); i >= 0 {
		authorizer := context[i+len(`"authorizer":`):]
		if end := skipValue(authorizer, 0); end > 0 {
			authorizer = authorizer[:end]
		}
		e.principal = member(authorizer, `"principalId":"`)
		if i := strings.Index(authorizer, `"claims":{`); i >= 0 {
			e.claimSub = member(authorizer[i:], `"sub":"`)
		}
	}
}

// member returns the string that follows key, if it is there whole.
func member(s, key string) string {
	i := strings.Index(s, key)
	if i < 0 {
		return ""
	}
	s = s[i+len(key):]
	for k := 0; k < len(s); k++ {
		switch s[k] {
		case '\\':
			k++
		case '"':
			if strings.IndexByte(s[:k], '\\') >= 0 {
				return unescape(s[:k])
			}
			return s[:k]
		}
	}
	return ""
}
