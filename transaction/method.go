package transaction

import "strings"

// methodLine reads the lines about the method itself: what the caller sent and
// got.
func (d *draft) methodLine(h *held) {
	t := d.transaction
	switch h.kind {
	case lineHTTPMethod:
		text, cut := cutTruncated(h.text)
		d.request.Truncated = d.request.Truncated || cut
		method, path, ok := strings.Cut(cutLabel(text, prefixHTTPMethod), ", Resource Path: ")
		t.Method = method
		if ok {
			t.Path = path
		}
	case lineRequestPath:
		_, cut := cutTruncated(h.text)
		d.request.Truncated = d.request.Truncated || cut
	case lineQuery:
		d.query(cutLabel(h.text, prefixQuery))
	case lineRequestHeaders:
		d.sawHeaders = true
		var cut bool
		d.request.Headers, cut = d.headers(cutLabel(h.text, prefixRequestHeaders), true)
		d.request.Truncated = d.request.Truncated || cut
	case lineRequestBody:
		d.sawBody = true
		if d.requestBody = cutLabel(h.text, prefixRequestBody); d.requestBody == "null" {
			d.requestBody = ""
		}
	case lineResponseHeaders:
		d.sawHeaders = true
		var cut bool
		d.response.Headers, cut = d.headers(cutLabel(h.text, prefixResponseHeaders), false)
		d.response.Truncated = d.response.Truncated || cut
	case lineResponseBody:
		d.sawBody = true
		d.responseBody = cutLabel(h.text, prefixResponseBody)
	case lineGatewayType:
		kind, status, _ := strings.Cut(cutLabel(h.text, prefixGatewayType), " with status code: ")
		if kind = strings.TrimSpace(kind); kind != "" && !d.gatewayType {
			d.err.Type, d.gatewayType = kind, true
		}
		if n, ok := leadingInt(status); ok && d.status == 0 {
			d.status = int(n)
		}
	case lineGatewayHeaders:
		d.gatewayHeader = cutLabel(h.text, prefixGatewayHeaders)
	case lineGatewayBody:
		d.gatewayBody = cutLabel(h.text, prefixGatewayBody)
	case lineCompleted:
		if n, ok := leadingInt(cutLabel(h.text, prefixCompleted)); ok {
			d.status = int(n)
		}
	case lineEndpointRequestID:
		if _, id, ok := strings.Cut(h.text, ":"); ok {
			d.integration.RequestID = strings.TrimSpace(id)
		}
	}
}

// endpointLine reads the lines about the integration.
func (d *draft) endpointLine(h *held) {
	switch h.kind {
	case lineEndpointURI:
		uri, _ := cutTruncated(cutLabel(h.text, prefixEndpointURI))
		d.integration.URI = strings.TrimSpace(uri)
	case lineSending:
		uri, _ := cutTruncated(cutLabel(h.text, prefixSending))
		d.integration.URI = pick(d.integration.URI, strings.TrimSpace(uri))
	case lineReceived:
		status, latency, ok := received(h.text)
		if status > 0 {
			d.integration.Status = status
		}
		if ok {
			d.latencies[1] = latency
			d.integration.LatencyMS = &d.latencies[1]
		}
	case lineEndpointHeaders:
		d.endpointHeaders = h.text
	case lineEndpointBody:
		d.endpointBody = cutLabel(h.text, prefixEndpointBody)
	}
}

// received reads "Received response. Status: 200, Integration latency: 356 ms",
// and the older form without a status.
func received(text string) (status int, latency int64, ok bool) {
	if _, s, found := strings.Cut(text, "Status: "); found {
		if n, isNumber := leadingInt(s); isNumber && n < 1000 {
			status = int(n)
		}
	}
	if _, s, found := strings.Cut(text, "latency: "); found {
		latency, ok = leadingInt(s)
	}
	return status, latency, ok
}

// bodyOf redacts a logged body. Which encodings it has, its headers tell.
func (d *draft) bodyOf(headers map[string][]string, text string) (body string, cut bool) {
	if text, cut = cutTruncated(text); cut {
		text = cutRune(text)
	}
	return d.a.redaction.encodedBody(headers, text, cut, d.base64)
}

// headers makes the map of a line's headers, redacted. Of the request's, it notes
// what else they tell.
func (d *draft) headers(text string, ofRequest bool) (m map[string][]string, cut bool) {
	b := &d.a.scratch
	order := &b.orders[1]
	if ofRequest {
		order = &b.orders[0]
	}
	b.pairs, cut = splitHeaders(b.pairs[:0], text, order)
	if len(b.pairs) == 0 {
		return nil, cut
	}
	m = make(map[string][]string, len(b.pairs))
	values := d.room(len(b.pairs))
	secret := false // the header before was one
	for i, p := range b.pairs {
		var value string
		switch last := cut && i == len(b.pairs)-1; {
		case p.open && d.a.redaction.rules.ordinary:
			value = d.a.redaction.text(p.value, last)
			secret = secret && !p.known
		case secret && !p.known && p.value != "" && !hasHeaderPrefix(p.name):
			// Where a secret's value ends was told by a name that may as well be
			// part of it.
			value = Redacted
		default:
			value = d.a.redaction.header(p.name, p.value, last)
			secret = value == Redacted
		}
		values[i] = value
		names := len(m)
		if m[p.name] = values[i : i+1 : i+1]; len(m) == names {
			// The name came before: all of its values so far, in order.
			var all []string
			for k := range i + 1 {
				if b.pairs[k].name == p.name {
					all = append(all, values[k])
				}
			}
			m[p.name] = all
		}
		if !ofRequest {
			continue
		}
		switch p.name {
		case "host":
			d.transaction.Host = pick(d.transaction.Host, value)
		case "user-agent":
			d.transaction.UserAgent = pick(d.transaction.UserAgent, value)
		case "x-forwarded-for":
			d.forwardedFor = pick(d.forwardedFor, value)
		}
	}
	return m, cut
}

func (d *draft) query(text string) {
	b := &d.a.scratch
	var cut bool
	b.pairs, cut = splitQuery(b.pairs[:0], text)
	d.request.Truncated = d.request.Truncated || cut
	if len(b.pairs) == 0 {
		return
	}
	m := make(map[string][]string, len(b.pairs))
	values := d.room(len(b.pairs))
	for i, p := range b.pairs {
		all := m[p.name]
		if all == nil {
			all = values[i : i : i+1]
		}
		m[p.name] = append(all, d.a.redaction.parameter(p.name, p.value, cut && i == len(b.pairs)-1))
	}
	d.transaction.Query = m
}

// room makes room for n values of a map. A call's maps share it, as far as the
// last call's size foretells this one's.
func (d *draft) room(n int) []string {
	if n > len(d.values) {
		d.values = make([]string, max(n, min(d.a.scratch.values, maxTogether)-d.valued))
	}
	values := d.values[:n:n]
	d.values = d.values[n:]
	d.valued += n
	return values
}

// maxTogether bounds how much room is made in advance.
const maxTogether = 64
