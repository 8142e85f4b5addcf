package kafka

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// Akto holds what the akto form says beyond the call itself.
type Akto struct {
	// AccountID is Akto's account, digits; default 1000000.
	AccountID string
	// Accounts gives Akto's account for an AWS account; others get AccountID.
	Accounts map[string]string
	// DropErrors leaves out the calls that the consumer's inventory ignores
	// anyway: REST and HTTP calls whose status is neither 2xx nor 302.
	DropErrors bool
}

// defaultAktoAccount is Akto's account of an installation of one tenant.
const defaultAktoAccount = "1000000"

// payloadTruncated marks, in the headers of the message that it is about, that
// the payload is not all that was sent.
const payloadTruncated = "x-akto-payload-truncated"

// skip is why a transaction is not sent in the form asked for; empty if it is.
// It is a label of the metrics.
type skip string

const (
	// skipNoStatus: the consumer throws on a message without statusCode, and a
	// status that nobody saw must not be made up.
	skipNoStatus skip = "no_status"
	// skipNoPath and skipNoMethod: nothing can be filed under no path.
	skipNoPath   skip = "no_path"
	skipNoMethod skip = "no_method"
	// skipErrorStatus: DropErrors was asked for.
	skipErrorStatus skip = "error_status"
)

// aktoEncoder writes the message of Akto's API traffic topic. Every value is a
// JSON string, also those that look like numbers, booleans and objects: one of
// the consumer's two parsers casts without asking, and a wrong type drops the
// call.
type aktoEncoder struct {
	config Akto
	now    func() time.Time
	names  []string // scratch: sorted names of one map
	object []byte   // scratch: an object that goes into a string
}

func (e *aktoEncoder) encode(dst []byte, t *transaction.Transaction) ([]byte, skip) {
	if t.Response == nil || t.Response.Status == 0 {
		return dst, skipNoStatus
	}
	status := t.Response.Status
	if e.config.DropErrors && t.APIType != transaction.WebSocket && !aktoKeeps(status) {
		return dst, skipErrorStatus
	}
	path, method := t.Path, t.Method
	protocol := "HTTP/1.1"
	if strings.HasPrefix(t.Protocol, "HTTP/") {
		protocol = t.Protocol
	}
	if t.APIType == transaction.WebSocket {
		// A WebSocket API has route keys where others have paths.
		path, method = t.Route, webSocketMethod(t)
		protocol = "WEBSOCKET"
	}
	if path == "" {
		return dst, skipNoPath
	}
	if method == "" {
		return dst, skipNoMethod
	}

	var none transaction.Request
	request := t.Request
	if request == nil {
		request = &none
	}
	requestBody, requestCut := aktoPayload(request.Headers, request.Body, request.Truncated)
	responseBody, responseCut := aktoPayload(t.Response.Headers, t.Response.Body, t.Response.Truncated)

	dst = append(dst, `{"path":"`...)
	// Percent-encoded, so nothing in it needs JSON's escapes.
	dst = appendPath(dst, path)
	dst = e.appendQuery(dst, t.Query)
	dst = append(dst, `","method":`...)
	dst = appendString(dst, strings.ToUpper(method))
	dst = append(dst, `,"type":`...)
	dst = appendString(dst, protocol)
	dst = append(dst, `,"requestHeaders":`...)
	dst = e.appendHeaders(dst, request.Headers, aktoHost(t, request.Headers), requestCut)
	dst = append(dst, `,"requestPayload":`...)
	dst = appendString(dst, requestBody)
	dst = append(dst, `,"responseHeaders":`...)
	dst = e.appendHeaders(dst, t.Response.Headers, "", responseCut)
	dst = append(dst, `,"responsePayload":`...)
	dst = appendString(dst, responseBody)
	dst = append(dst, `,"statusCode":"`...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, `","status":`...)
	dst = appendString(dst, http.StatusText(status))
	dst = append(dst, `,"time":"`...)
	dst = strconv.AppendInt(dst, e.seconds(t.Time), 10)
	dst = append(dst, `","ip":`...)
	dst = appendString(dst, t.SourceIP)
	dst = append(dst, `,"destIp":"","akto_account_id":`...)
	dst = appendString(dst, e.account(t.Account))
	dst = append(dst, `,"akto_vxlan_id":"0","is_pending":"false","source":"MIRRORING","direction":"1","tag":`...)
	dst = e.appendTag(dst, t)
	return append(dst, '}'), ""
}

// aktoKeeps reports whether the consumer's inventory takes calls of a status.
func aktoKeeps(status int) bool {
	return status >= 200 && status <= 299 || status == http.StatusFound
}

func webSocketMethod(t *transaction.Transaction) string {
	switch {
	case t.EventType != "":
		return t.EventType
	case t.Route == "$connect":
		return "CONNECT"
	case t.Route == "$disconnect":
		return "DISCONNECT"
	}
	return "MESSAGE"
}

// seconds returns the call's time in seconds since the epoch. The consumer
// reads 32 bits, and one of its versions throws on anything else; a call
// without a time that fits gets that of its sending.
func (e *aktoEncoder) seconds(at transaction.Time) int64 {
	if s := int64(at) / 1000; s > 0 && s <= math.MaxInt32 {
		return s
	}
	return min(max(e.now().Unix(), 0), math.MaxInt32)
}

func (e *aktoEncoder) account(aws string) string {
	if id, ok := e.config.Accounts[aws]; ok {
		return id
	}
	return e.config.AccountID
}

// appendQuery appends ?k=v&k=v with the names in order, and nothing for no
// parameters.
func (e *aktoEncoder) appendQuery(dst []byte, query map[string][]string) []byte {
	separator := byte('?')
	for _, name := range e.sorted(query) {
		for _, value := range query[name] {
			dst = append(dst, separator)
			dst = appendQueryValue(dst, name)
			dst = append(dst, '=')
			dst = appendQueryValue(dst, value)
			separator = '&'
		}
	}
	return dst
}

// appendHeaders appends a JSON string that holds a JSON object of strings. host
// is added where it is given, and the mark of a cut payload where cut says so.
func (e *aktoEncoder) appendHeaders(dst []byte, headers map[string][]string, host string, cut bool) []byte {
	o := append(e.object[:0], '{')
	for _, name := range e.sorted(headers) {
		if cut && name == payloadTruncated || host != "" && name == "host" {
			continue
		}
		o = appendName(o, name)
		o = append(o, '"')
		for i, value := range headers[name] {
			if i > 0 {
				// RFC 6265, section 5.4, and RFC 9110, section 5.3.
				if name == "cookie" {
					o = append(o, "; "...)
				} else {
					o = append(o, ", "...)
				}
			}
			o = appendEscaped(o, value)
		}
		o = append(o, '"')
	}
	if host != "" {
		o = appendName(o, "host")
		o = appendString(o, host)
	}
	if cut {
		o = appendName(o, payloadTruncated)
		o = append(o, `"true"`...)
	}
	return e.appendObject(dst, o)
}

func (e *aktoEncoder) appendTag(dst []byte, t *transaction.Transaction) []byte {
	o := append(e.object[:0], `{"service":"aws-api-gateway"`...)
	for _, part := range [...]struct{ name, value string }{
		{"account", t.Account}, {"region", t.Region}, {"api", t.APIID}, {"stage", t.Stage},
	} {
		if part.value != "" {
			o = appendName(o, part.name)
			o = appendString(o, part.value)
		}
	}
	return e.appendObject(dst, o)
}

// appendObject closes the object o and appends it as a string.
func (e *aktoEncoder) appendObject(dst, o []byte) []byte {
	o = append(o, '}')
	dst = append(dst, '"')
	dst = appendEscapedJSON(dst, o)
	e.object = o
	return append(dst, '"')
}

// appendEscapedJSON is appendEscaped for an o that is JSON already: it holds no
// control characters and no broken UTF-8, so quotes and backslashes are all.
func appendEscapedJSON(dst, o []byte) []byte {
	start := 0
	for i, c := range o {
		if c == '"' || c == '\\' {
			dst = append(dst, o[start:i]...)
			dst = append(dst, '\\')
			start = i
		}
	}
	return append(dst, o[start:]...)
}

// appendName appends a name, with the comma before it, to an open object.
func appendName(o []byte, name string) []byte {
	if o[len(o)-1] != '{' {
		o = append(o, ',')
	}
	o = appendString(o, name)
	return append(o, ':')
}

func (e *aktoEncoder) sorted(m map[string][]string) []string {
	e.names = e.names[:0]
	for name := range m {
		e.names = append(e.names, name)
	}
	slices.Sort(e.names)
	return e.names
}

// aktoHost returns the host to add to the headers: none if they name one. A
// call without a host would be filed under a number instead of its API.
func aktoHost(t *transaction.Transaction, headers map[string][]string) string {
	for _, value := range headers["host"] {
		if value != "" {
			return ""
		}
	}
	if t.Host != "" {
		return t.Host
	}
	if t.APIID == "" || t.Region == "" {
		return ""
	}
	suffix := ".amazonaws.com"
	if strings.HasPrefix(t.Region, "cn-") {
		suffix += ".cn"
	}
	return t.APIID + ".execute-api." + t.Region + suffix
}

// aktoPayload returns the payload to send and whether it is less than what was
// logged or than what was on the wire. The consumer drops a call whose request
// has no content type, or exactly application/json, and whose payload begins
// with a bracket and does not end with its partner, as the bodies do that API
// Gateway cut at 1 KB.
func aktoPayload(headers map[string][]string, body string, truncated bool) (string, bool) {
	if !maybeJSON(headers["content-type"]) {
		return body, truncated
	}
	// Java's String.trim takes more for white space than JSON does.
	start := strings.TrimLeftFunc(body, func(r rune) bool { return r <= ' ' })
	if start == "" || start[0] != '{' && start[0] != '[' {
		return body, truncated
	}
	repaired := RepairJSON(start)
	return repaired, truncated || repaired != strings.TrimRight(start, " \t\r\n")
}

// maybeJSON reports whether the consumer may take a payload for JSON.
func maybeJSON(contentType []string) bool {
	if len(contentType) == 0 {
		return true
	}
	for _, value := range contentType {
		if value == "" || containsJSON(value) {
			return true
		}
	}
	return false
}

func containsJSON(s string) bool {
	for i := 0; i+4 <= len(s); i++ {
		if strings.EqualFold(s[i:i+4], "json") {
			return true
		}
	}
	return false
}
