package https

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	// bodyTruncated stands for a body that API Gateway cut, letter for letter as
	// Cequence documents it.
	bodyTruncated = `{ "cq_body_truncated": "true" }`
	// discoveryOnly marks a call whose headers and bodies could not be captured.
	discoveryOnly = "cq-discovery-only"
)

// skipCequence leaves out WebSocket calls: the form knows REST and HTTP APIs
// alone.
func skipCequence(t *transaction.Transaction) string {
	if t.APIType == transaction.WebSocket {
		return "websocket"
	}
	return ""
}

// call has the fields of Cequence's documentation under their names there. For
// an HTTP API these are all that is captured of a call; a REST API adds headers
// and bodies. ID is Gatehouse's: a repeat is known by it.
type call struct {
	ID               string            `json:"id"`
	RequestTimeEpoch int64             `json:"requestTimeEpoch,omitempty"` // milliseconds, as API Gateway's variable
	RequestID        string            `json:"requestId,omitempty"`
	AccountID        string            `json:"accountId,omitempty"`
	Stage            string            `json:"stage,omitempty"`
	InstanceID       string            `json:"instance_id,omitempty"` // the API's id
	IP               string            `json:"ip,omitempty"`
	Host             string            `json:"host,omitempty"`
	HTTPVersion      string            `json:"http-version,omitempty"`
	HTTPMethod       string            `json:"http-method,omitempty"`
	URI              string            `json:"uri-query-fragment,omitempty"`
	StatusCode       int               `json:"status-code,omitempty"`
	RequestHeaders   map[string]string `json:"request-headers,omitempty"`
	RequestBody      string            `json:"request-body,omitempty"`
	ResponseHeaders  map[string]string `json:"response-headers,omitempty"`
	ResponseBody     string            `json:"response-body,omitempty"`
}

func appendCequence(dst []byte, t *transaction.Transaction) []byte {
	c := call{
		ID: t.ID, RequestTimeEpoch: int64(t.Time), RequestID: t.RequestID, AccountID: t.Account, Stage: t.Stage,
		InstanceID: t.APIID, IP: t.SourceIP, Host: hostOf(t), HTTPVersion: t.Protocol, HTTPMethod: t.Method, URI: uri(t),
	}
	if t.Response != nil {
		c.StatusCode = t.Response.Status
	}
	if t.APIType == transaction.HTTP {
		c.RequestHeaders = map[string]string{discoveryOnly: "true"}
	} else {
		addTraffic(&c, t)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // no browser reads this, and paths have an &
	if err := e.Encode(&c); err != nil {
		// Texts, numbers and maps of texts always have a JSON form.
		panic("https sink: " + err.Error())
	}
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}

// addTraffic adds headers and bodies, and the markers for what API Gateway cut.
func addTraffic(c *call, t *transaction.Transaction) {
	uncaptured := t.Visibility == transaction.Metadata
	if r := t.Request; r != nil {
		c.RequestHeaders = joined(r.Headers)
		var lost bool
		c.RequestBody, lost = body(r.Body, r.Truncated)
		uncaptured = uncaptured || lost
	}
	if r := t.Response; r != nil {
		c.ResponseHeaders = joined(r.Headers)
		var lost bool
		c.ResponseBody, lost = body(r.Body, r.Truncated)
		uncaptured = uncaptured || lost
	}
	if uncaptured {
		if c.RequestHeaders == nil {
			c.RequestHeaders = map[string]string{}
		}
		c.RequestHeaders[discoveryOnly] = "true"
	}
}

// body gives the body as it is sent. Truncated says that a line of this side was
// cut, which may have been its headers: a body that is whole JSON was not cut,
// and of one that is missing nobody knows, so nothing was captured.
func body(text string, truncated bool) (sent string, lost bool) {
	switch {
	case !truncated:
		return text, false
	case text == "":
		return "", true
	case json.Valid([]byte(text)):
		return text, false
	default:
		return bodyTruncated, false
	}
}

// joined gives each header one value, as HTTP allows: with commas, and cookies
// with semicolons.
func joined(headers map[string][]string) map[string]string {
	if len(headers) == 0 {
		return nil
	}
	m := make(map[string]string, len(headers)+1)
	for name, values := range headers {
		separator := ", "
		if name == "cookie" {
			separator = "; "
		}
		m[name] = strings.Join(values, separator)
	}
	return m
}

func hostOf(t *transaction.Transaction) string {
	if t.Host != "" || t.APIID == "" || t.Region == "" {
		return t.Host
	}
	suffix := ".amazonaws.com"
	if strings.HasPrefix(t.Region, "cn-") {
		suffix += ".cn"
	}
	return t.APIID + ".execute-api." + t.Region + suffix
}

// uri is path and query; logs have no fragment. Names are in order, so that the
// same call always has the same text.
func uri(t *transaction.Transaction) string {
	if t.Path == "" {
		return ""
	}
	var b strings.Builder
	b.WriteString(escapePath(t.Path))
	names := make([]string, 0, len(t.Query))
	for name := range t.Query {
		names = append(names, name)
	}
	slices.Sort(names)
	separator := byte('?')
	for _, name := range names {
		for _, value := range t.Query[name] {
			b.WriteByte(separator)
			separator = '&'
			b.WriteString(url.QueryEscape(name))
			b.WriteByte('=')
			b.WriteString(url.QueryEscape(value))
		}
	}
	return b.String()
}

// escapePath escapes what would end the path or break the line; escapes that it
// has already stay.
func escapePath(path string) string {
	var b strings.Builder
	for i := range len(path) {
		switch c := path[i]; {
		case c <= ' ', c == '?', c == '#', c >= 0x7f:
			b.WriteByte('%')
			if c < 0x10 {
				b.WriteByte('0')
			}
			b.WriteString(strings.ToUpper(strconv.FormatUint(uint64(c), 16)))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
