package gateway

import (
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// LogEvent is one log event: milliseconds since the epoch, and its text.
type LogEvent struct {
	Timestamp int64
	Message   string
}

// LogWriter takes log events. Put is called by many calls at once and must not
// wait: what cannot be written is dropped and counted by whoever implements it.
type LogWriter interface {
	Put(group, stream string, events []LogEvent)
}

// cutAt is where API Gateway cuts an execution-log message, in bytes.
const cutAt = 1024

// cutMark stands where a message was cut.
const cutMark = " [TRUNCATED]"

// cutMessage shortens a message as API Gateway does, wherever that falls.
func cutMessage(s string) string {
	if len(s) <= cutAt {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.ToValidUTF8(s[:cutAt], "") + cutMark
}

// logs reports whether lines of the INFO level are written.
func (c *call) logs() bool { return c.stage != nil && c.logging.info && c.g.writers[c.api] != nil }

// traces reports whether headers and bodies are written.
func (c *call) traces() bool { return c.logs() && c.logging.trace }

// info writes a line of the INFO level.
func (c *call) info(parts ...string) {
	if c.logs() {
		c.line(parts)
	}
}

// fail writes a line of the ERROR level.
func (c *call) fail(parts ...string) {
	if c.stage != nil && c.logging.execution != "" {
		c.line(parts)
	}
}

// line adds a line of the execution log. No more of a long part is copied than is
// written.
func (c *call) line(parts []string) {
	var b strings.Builder
	b.WriteString("(" + c.id + ") ")
	mask, longest := c.masker()
	limit := c.lineLimit()
	for _, p := range parts {
		// A secret that goes over the cut must be seen whole to be found.
		p = p[:min(len(p), limit+1+longest)]
		if mask != nil {
			p = mask.Replace(p)
		}
		b.WriteString(p[:min(len(p), limit+1)])
	}
	text, at := b.String(), c.g.now().UnixMilli()
	c.lines = append(c.lines, LogEvent{at, cutMessage(text)})
	if len(c.logging.deliveries) > 0 {
		c.delivered = append(c.delivered, LogEvent{at, c.deliveryRecord(text)})
	}
}

// masker hides the credentials that the caller sent, wherever a line holds them:
// in a header, in the event of a function, in an address. API Gateway masks the
// headers alone. longest is the length of the longest of them.
func (c *call) masker() (mask *strings.Replacer, longest int) {
	if c.secrets == nil {
		c.secrets = &secrets{}
		var pairs []string
		add := func(v string) {
			if len(v) < 8 {
				return // too short to be one, and it would be found in other words
			}
			quoted := quote(v)
			for _, form := range []string{v, quoted[1 : len(quoted)-1], url.QueryEscape(v)} {
				pairs = append(pairs, form, maskSecret(v))
				c.secrets.longest = max(c.secrets.longest, len(form))
			}
		}
		for _, name := range [...]string{"Authorization", "Proxy-Authorization", "X-Api-Key", "X-Amz-Security-Token"} {
			for _, v := range c.r.Header[name] {
				add(v)
				if _, token, ok := strings.Cut(v, " "); ok {
					add(token)
				}
			}
		}
		if strings.Contains(c.r.URL.RawQuery, "X-Amz-") {
			for _, name := range [...]string{"X-Amz-Security-Token", "X-Amz-Signature"} {
				for _, v := range c.query()[name] {
					add(v)
				}
			}
		}
		for _, v := range c.identity {
			add(v)
		}
		if c.apiKey != nil {
			add(c.apiKey.value)
		}
		if pairs != nil {
			c.secrets.mask = strings.NewReplacer(pairs...)
		}
	}
	return c.secrets.mask, c.secrets.longest
}

// secrets are the credentials that a caller sent.
type secrets struct {
	mask    *strings.Replacer
	longest int
}

// requestLines tell what the caller sent.
func (c *call) requestLines() {
	if !c.logs() || c.api.kind == transaction.HTTP {
		return
	}
	c.info("Starting execution for request: ", c.id)
	c.info("HTTP Method: ", c.r.Method, ", Resource Path: ", c.raw)
	if !c.traces() {
		return
	}
	pairs := make([]string, 0, len(c.params))
	for _, p := range c.params {
		pairs = append(pairs, p.name+"="+p.value)
	}
	c.info("Method request path: ", logMap(pairs))
	pairs = pairs[:0]
	for name, values := range c.query() {
		pairs = append(pairs, name+"="+values[len(values)-1])
	}
	sort.Strings(pairs)
	c.info("Method request query string: ", logMap(pairs))
	h := c.forwardedHeader()
	c.info("Method request headers: ", logHeader(h))
	c.info("Method request body before transformations: ", c.logBody(c.body))
}

// logMap writes a map as API Gateway does.
func logMap(pairs []string) string { return "{" + strings.Join(pairs, ", ") + "}" }

// logBody is a body as the log has it; bodies that are not text are not shown.
func (c *call) logBody(b []byte) string {
	s := string(b[:min(len(b), c.lineLimit()+1)])
	for i := range len(s) {
		if s[i] == 0 {
			return "[Binary Data]"
		}
	}
	return s
}

// logHeader writes headers in order of their names, with several values of one
// name joined by commas. Secrets that API Gateway masks are masked.
func logHeader(h http.Header) string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	sort.Strings(names)
	pairs := make([]string, 0, len(names))
	for _, name := range names {
		v := strings.Join(h[name], ",")
		switch name {
		case "Authorization", "Proxy-Authorization":
			v = maskSecret(v)
		case "X-Api-Key":
			v = maskSecret(v)
		case "X-Amz-Security-Token":
			// API Gateway leaves the token readable. Here it is masked: nobody needs a
			// working session token in a log of their own gateway.
			v = maskSecret(v)
		}
		pairs = append(pairs, name+"="+v)
	}
	return logMap(pairs)
}

// maskSecret hides all but the last six characters; of a short value all.
func maskSecret(s string) string {
	if len(s) <= 12 {
		return strings.Repeat("*", len(s))
	}
	return strings.Repeat("*", min(len(s), 256)-6) + s[len(s)-6:]
}

// maskKey hides an API key as the usage plan's lines do.
func maskKey(s string) string {
	if len(s) <= 12 {
		return "******"
	}
	return "******" + s[len(s)-6:]
}

// maskPrincipal hides a principal or a token as the authorizer's lines do.
func maskPrincipal(s string) string {
	return "****" + s[max(0, len(s)-6):]
}

// gatewayLines tell of an answer that API Gateway gave itself.
func (c *call) gatewayLines(f *refusal, status int, body string) {
	if c.stage == nil || f.unlogged {
		return
	}
	for _, line := range f.cause {
		c.fail(line)
	}
	if f.silent || !c.logs() {
		return
	}
	if c.traces() {
		c.info("Gateway response type: ", f.kind, " with status code: ", strconv.Itoa(status))
		c.info("Gateway response body: ", body)
		c.info("Gateway response headers: ", logHeader(c.w.Header()))
	}
}

// writeLogs hands the lines of the call and its access record to the writer.
func (c *call) writeLogs() {
	if c.stage == nil {
		return
	}
	w := c.g.writers[c.api]
	if w == nil {
		return
	}
	stream := c.g.streams[c.stage][int(c.id[0])%len(c.g.streams[c.stage])]
	unauthorized := c.refusal != nil && c.refusal.kind == "UNAUTHORIZED"
	unlogged := c.refusal != nil && c.refusal.unlogged
	if c.logging.execution != "" && !unlogged && c.route != nil {
		if c.api.kind == transaction.REST && !unauthorized {
			c.info("Method completed with status: ", strconv.Itoa(c.status))
			if c.integration.requestID != "" {
				c.info("AWS Integration Endpoint RequestId : ", c.integration.requestID)
			}
		}
		c.info("X-ray Tracing ID : ", c.traceID)
		if len(c.lines) > 0 {
			w.Put(c.logging.execution, stream, c.lines)
		}
		for _, group := range c.logging.deliveries {
			if len(c.delivered) > 0 {
				w.Put(group, stream, slices.Clone(c.delivered))
			}
		}
	}
	if a := c.logging.access; a != nil {
		w.Put(a.group, stream, []LogEvent{{c.g.now().UnixMilli(), a.record(c)}})
	}
}

// traceID is an X-Ray trace id: the second, and 24 digits of a UUID.
func traceID(at time.Time, id string) string {
	b := make([]byte, 0, len("Root=1-00000000-")+24)
	b = append(b, "Root=1-"...)
	second := strconv.FormatUint(uint64(uint32(at.Unix())), 16)
	b = append(b, "00000000"[len(second):]...)
	b = append(append(b, second...), '-')
	for i := 0; len(b) < cap(b); i++ {
		if id[i] != '-' {
			b = append(b, id[i])
		}
	}
	return string(b)
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
