package transaction

import (
	"encoding/json"
	"strings"
)

// access reads the access record of a call. What the execution log says of the
// method, path and integration stands; of the template, the caller and the
// source the record knows more.
func (d *draft) access() {
	t := d.transaction
	var r accessValues
	var has uint64
	for _, s := range d.c.spans {
		r[s.field&63] = d.c.record[s.from:s.to]
		has |= 1 << s.field
	}
	for _, v := range d.c.vars {
		r[v.field&63] = v.value
		has |= 1 << v.field
	}
	if n, ok := parseEpoch(r[fieldRequestTimeEpoch]); ok {
		d.times[0] = n
	}
	if n, ok := parseRequestTime(r[fieldRequestTime]); ok {
		d.times[1] = n
	}
	d.stage = pick(r[fieldStage], d.stage)
	d.apiID = pick(r[fieldAPIID], d.apiID)
	t.SourceIP = pick(r[fieldIP], t.SourceIP)
	t.Protocol = r[fieldProtocol]
	t.Host = pick(t.Host, r[fieldDomain])
	t.UserAgent = pick(t.UserAgent, d.a.redaction.text(r[fieldUserAgent], false))
	t.ConnectionID = pick(t.ConnectionID, r[fieldConnectionID])
	t.EventType = pick(t.EventType, r[fieldEventType])
	d.accessRoute(&r)
	d.accessAPIType(&r)
	if n, ok := number(r[fieldStatus]); ok && d.status == 0 {
		d.status = int(n)
	}
	if n, ok := number(r[fieldResponseLatency]); ok {
		d.latencies[0] = n
		t.LatencyMS = &d.latencies[0]
	}
	// Most records have none of what follows.
	if has&integrationFields != 0 {
		d.accessIntegration(&r)
	}
	if has&errorFields != 0 {
		d.accessError(&r)
	}
	if has&authorizerFields != 0 || d.c.hasLines {
		d.accessAuthorizer(&r)
	}
	if has&callerFields != 0 {
		d.accessCaller(&r)
	}
	if has&bodyFields != 0 {
		d.accessBodies(&r)
	}
}

// What accessIntegration and the others look at.
const (
	integrationFields = 1<<fieldIntegrationStatus | 1<<fieldServiceStatus | 1<<fieldIntegrationLatency |
		1<<fieldIntegrationRequestID | 1<<fieldIntegrationError
	errorFields = 1<<fieldErrorType | 1<<fieldErrorMessage | 1<<fieldErrorValidation | 1<<fieldWAFResponse | 1<<fieldWAFStatus
	// accessAuthorizer goes on with what the lines told, too.
	authorizerFields = 1<<fieldAuthorizerLatency | 1<<fieldAuthorizerPrincipal | 1<<fieldAuthorizerStatus |
		1<<fieldAuthorizerError | 1<<fieldClaimSub | 1<<fieldErrorType
	callerFields = 1<<fieldAPIKeyID | 1<<fieldAPIKey | 1<<fieldUserARN | 1<<fieldCaller | 1<<fieldUser |
		1<<fieldIdentityAccount | 1<<fieldClaimSub | 1<<fieldClaimUsername | 1<<fieldClaimClient
	bodyFields = 1<<fieldRequestHeaders | 1<<fieldResponseHeaders | 1<<fieldRequestBody | 1<<fieldResponseBody
)

// accessValues holds the values by field; one for each number that a set of
// fields can hold.
type accessValues [64]string

// number reads a count, a status or milliseconds, which some formats give with
// decimals.
func number(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	whole, _, _ := strings.Cut(s, ".")
	n, ok := parseInt(whole)
	return n, ok && len(whole) <= 12
}

func (d *draft) accessRoute(r *accessValues) {
	t := d.transaction
	t.Method = pick(t.Method, r[fieldMethod])
	template := r[fieldResourcePath]
	if key := r[fieldRouteKey]; key != "" {
		// "GET /pets/{id}" of an HTTP API; "$default" and a WebSocket's keys are
		// templates as they are.
		if method, path, ok := strings.Cut(key, " "); ok && strings.HasPrefix(path, "/") {
			if method != "ANY" {
				t.Method = pick(t.Method, method)
			}
			key = path
		}
		template = pick(template, key)
	}
	if method, path, ok := strings.Cut(template, " "); ok && isMethod(method) && strings.HasPrefix(path, "/") {
		template = path // people put the route key under other names
	}
	if template != "" {
		d.route[routeAccess] = template
	}
	if t.EventType != "" && t.Method == "" {
		t.Method = t.EventType
	}
	if path := r[fieldPath]; path != "" && t.Path == "" {
		path, query, hasQuery := strings.Cut(path, "?")
		t.Path = withoutStage(path, pick(d.c.stage.name, d.stage), r[fieldBasePath], template)
		if hasQuery && t.Query == nil {
			d.rawQuery(query)
		}
	}
}

// withoutStage takes the stage, or the base path of a custom domain, off the path
// of an access record. A custom domain's path has no stage, so where the template
// fits the path as it is, nothing is taken off.
func withoutStage(path, stage, base, template string) string {
	if path == "" || path[0] != '/' {
		return path
	}
	for _, prefix := range [...]string{stage, strings.Trim(base, "/")} {
		if prefix == "" || prefix == "(none)" || prefix == "$default" {
			continue
		}
		rest, ok := strings.CutPrefix(path[1:], prefix)
		if !ok || rest != "" && rest[0] != '/' {
			continue
		}
		if rest == "" {
			rest = "/"
		}
		if strings.HasPrefix(template, "/") && fits(template, path) && !fits(template, rest) {
			return path
		}
		return rest
	}
	if strings.HasPrefix(template, "/") && !fits(template, path) {
		// Neither is known, but the template shows what does not belong to it.
		if i := strings.IndexByte(path[1:], '/'); i >= 0 && path[0] == '/' && fits(template, path[i+1:]) {
			return path[i+1:]
		}
	}
	return path
}

// fits reports whether a path is one of a template's.
func fits(template, path string) bool {
	for {
		t, restT, moreT := strings.Cut(strings.TrimPrefix(template, "/"), "/")
		p, restP, moreP := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		if strings.HasSuffix(t, "+}") {
			return p != ""
		}
		if t != p && (p == "" || !strings.HasPrefix(t, "{") || !strings.HasSuffix(t, "}")) {
			return false
		}
		if !moreT || !moreP {
			return moreT == moreP || restT == "" && restP == ""
		}
		template, path = restT, restP
	}
}

// rawQuery reads a query string that a format logs as part of the path.
func (d *draft) rawQuery(query string) {
	m := map[string][]string{}
	for part := range strings.SplitSeq(query, "&") {
		if part == "" || len(m) >= 256 {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, value = unpercent(strings.ReplaceAll(name, "+", " ")), unpercent(strings.ReplaceAll(value, "+", " "))
		m[name] = append(m[name], d.a.redaction.parameter(name, value, false))
	}
	if len(m) > 0 {
		d.transaction.Query = m
	}
}

// accessAPIType tells the kind of API by what the record has: only WebSocket
// APIs have connections, only HTTP APIs have both a route key and a method.
func (d *draft) accessAPIType(r *accessValues) {
	t := d.transaction
	switch {
	case r[fieldConnectionID] != "" || r[fieldEventType] != "":
		t.APIType = WebSocket
	case r[fieldRouteKey] != "":
		t.APIType = HTTP
	case r[fieldResourcePath] != "" || r[fieldWAFResponse] != "":
		t.APIType = REST
	}
}

func (d *draft) accessIntegration(r *accessValues) {
	i := &d.integration
	for _, f := range [...]field{fieldIntegrationStatus, fieldServiceStatus} {
		if n, ok := number(r[f]); ok && i.Status == 0 && n < 1000 {
			i.Status = int(n)
		}
	}
	if n, ok := number(r[fieldIntegrationLatency]); ok && i.LatencyMS == nil {
		d.latencies[1] = n
		i.LatencyMS = &d.latencies[1]
	}
	i.RequestID = pick(i.RequestID, r[fieldIntegrationRequestID])
	if message := r[fieldIntegrationError]; message != "" {
		i.Error = d.a.redaction.body(message, false)
	}
}

func (d *draft) accessError(r *accessValues) {
	kind := r[fieldErrorType]
	if kind == "" && d.err.Type == "" && (r[fieldWAFResponse] == "WAF_BLOCK" || r[fieldWAFStatus] == "403" && r[fieldStatus] == "403") {
		kind = "WAF_FILTERED"
	}
	if kind != "" && !d.gatewayType {
		// API Gateway itself names the type here; the lines only let it be
		// guessed.
		d.err.Type = kind
	}
	if message := pick(r[fieldErrorMessage], r[fieldErrorValidation]); message != "" && d.err.Message == "" {
		d.err.Message = d.a.redaction.body(message, false)
	}
}

func (d *draft) accessAuthorizer(r *accessValues) {
	a := &d.authorizer
	if n, ok := number(r[fieldAuthorizerLatency]); ok && a.LatencyMS == nil {
		d.latencies[2] = n
		a.LatencyMS = &d.latencies[2]
	}
	if p := r[fieldAuthorizerPrincipal]; p != "" {
		// In full, where the execution log masks it.
		d.principal, d.authorized, d.lambda = p, true, true
	}
	if r[fieldAuthorizerStatus] != "" || r[fieldAuthorizerError] != "" || r[fieldClaimSub] != "" || a.LatencyMS != nil {
		d.authorized = true
	}
	kind := r[fieldErrorType]
	status, _ := number(r[fieldAuthorizerStatus])
	switch {
	case !d.authorized && !strings.HasPrefix(kind, "AUTHORIZER_"):
	case strings.HasPrefix(kind, "AUTHORIZER_"):
		a.Outcome = "error"
	case kind == "ACCESS_DENIED":
		a.Outcome = "deny"
	case kind == "UNAUTHORIZED":
		a.Outcome = "unauthorized"
	case a.Outcome != "":
	case r[fieldAuthorizerError] != "" || status >= 500:
		a.Outcome = "error"
	case status == 403:
		a.Outcome = "deny"
	case status == 401:
		a.Outcome = "unauthorized"
	case status == 200 || d.principal != "" || r[fieldClaimSub] != "":
		a.Outcome = "allow"
	}
}

func (d *draft) accessCaller(r *accessValues) {
	c := d.caller
	c.APIKeyID = r[fieldAPIKeyID]
	if key := r[fieldAPIKey]; key != "" {
		// The key itself is a secret, unless it was masked.
		if isMasked(key) {
			d.apiKey = key
		} else if d.apiKey == "" {
			d.apiKey = Redacted
		}
	}
	e := &d.event
	e.userARN = pick(r[fieldUserARN], e.userARN)
	e.caller = pick(r[fieldCaller], r[fieldUser], e.caller)
	e.account = pick(r[fieldIdentityAccount], e.account)
	e.claimSub = pick(r[fieldClaimSub], r[fieldClaimUsername], r[fieldClaimClient], e.claimSub)
}

// accessBodies reads the headers and bodies that some formats carry in records
// of their own making.
func (d *draft) accessBodies(r *accessValues) {
	if s := r[fieldRequestHeaders]; s != "" && d.request.Headers == nil {
		d.sawHeaders = true
		d.request.Headers = d.headerObject(s)
		d.transaction.Host = pick(d.transaction.Host, first(d.request.Headers["host"]))
		d.transaction.UserAgent = pick(d.transaction.UserAgent, first(d.request.Headers["user-agent"]))
		d.forwardedFor = pick(d.forwardedFor, first(d.request.Headers["x-forwarded-for"]))
	}
	if s := r[fieldResponseHeaders]; s != "" && d.response.Headers == nil {
		d.sawHeaders = true
		d.response.Headers = d.headerObject(s)
	}
	if s := r[fieldRequestBody]; s != "" && d.requestBody == "" {
		d.sawBody = true
		d.requestBody, d.base64 = s, r[fieldBase64] == "true"
	}
	if s := r[fieldResponseBody]; s != "" && d.responseBody == "" {
		d.sawBody = true
		d.responseBody, d.base64 = s, r[fieldBase64] == "true"
	}
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// headerObject reads headers as a JSON object, or as the map of an execution
// log.
func (d *draft) headerObject(s string) map[string][]string {
	var object map[string]any
	if err := json.Unmarshal([]byte(s), &object); err != nil {
		m, _ := d.headers(s, false)
		return m
	}
	m := make(map[string][]string, len(object))
	add := func(name string, value any) {
		switch v := value.(type) {
		case string:
			m[name] = append(m[name], d.a.redaction.header(name, v, false))
		case nil:
		default:
			if text, err := json.Marshal(v); err == nil {
				m[name] = append(m[name], d.a.redaction.header(name, string(text), false))
			}
		}
	}
	for name, value := range object {
		name = strings.ToLower(name)
		if list, ok := value.([]any); ok {
			for _, v := range list {
				add(name, v)
			}
			continue
		}
		add(name, value)
	}
	return m
}
