package transaction

import "strings"

// isSocketEnd reports whether a line of a WebSocket API's execution log ends its
// call.
func isSocketEnd(kind lineKind, text string) bool {
	switch kind {
	case lineSocketClient:
		return strings.Contains(text, "] connected to ") || strings.Contains(text, "] disconnected from ")
	case lineSocketMessage:
		return strings.Contains(text, "] sent to ")
	default:
		return false
	}
}

// socketLine reads the lines that only WebSocket APIs write. A call to one is a
// connection, a message or the end of a connection.
func (d *draft) socketLine(h *held) {
	d.socket = true
	t := d.transaction
	switch h.kind {
	case lineSocketRoute:
		key := bracketed(h.text, "Route: [")
		if key == "" {
			key = strings.TrimSpace(cutLabel(h.text, prefixSocketRoute))
		}
		d.route[routeAccess] = key
		switch key {
		case "$connect":
			d.socketEvent("CONNECT")
		case "$disconnect":
			d.socketEvent("DISCONNECT")
		default:
			d.socketEvent("MESSAGE")
		}
	case lineSocketClient:
		switch {
		case strings.Contains(h.text, "disconnected from"):
			t.EventType = ""
			d.socketEvent("DISCONNECT")
		case strings.Contains(h.text, "connecting to"), strings.Contains(h.text, "connected to"):
			d.socketEvent("CONNECT")
		}
		// The caller wrote the user agent: what stands at the end counts.
		if end := strings.LastIndex(h.text, "] is connecting"); end > 0 {
			inner := strings.TrimPrefix(h.text[:end], "Client [")
			if i := strings.LastIndex(inner, ", SourceIp: "); i >= 0 {
				t.UserAgent = d.a.redaction.text(strings.TrimPrefix(inner[:i], "UserAgent: "), false)
				t.SourceIP = inner[i+len(", SourceIp: "):]
			}
		}
	case lineSocketAPI:
		d.socketEvent("MESSAGE")
	case lineSocketMessage:
		d.socketEvent("MESSAGE")
		if n, ok := leadingInt(bracketed(h.text, "status code [")); ok {
			d.status = int(n)
		}
	case lineSocketCompleted:
		if n, ok := leadingInt(cutLabel(h.text, prefixSocketCompleted)); ok {
			d.status = int(n)
		}
	}
	if id := bracketed(h.text, "[Connection Id: "); id != "" {
		t.ConnectionID = id
	}
	if api := bracketed(h.text, "API ["); isAPIID(api) {
		d.apiID = api
	}
}

// socketEvent notes the kind of event; the first line that tells it stands.
func (d *draft) socketEvent(kind string) {
	t := d.transaction
	if t.EventType == "" {
		t.EventType, t.Method = kind, kind
	}
}

// bracketed returns the text between open, which ends with a bracket or a label,
// and the closing bracket.
func bracketed(text, open string) string {
	_, rest, ok := strings.Cut(text, open)
	if !ok {
		return ""
	}
	inner, _, ok := strings.Cut(rest, "]")
	if !ok {
		return ""
	}
	return inner
}
