package transaction

import "strings"

// The lines that only WebSocket APIs write. Best evidence: no document of AWS's
// lists them, so what is not needed of a line may differ.
const (
	socketClient     = "Client [Connection Id: "
	socketConnecting = "] is connecting to WebSocket API ["
	socketAgent      = "Client [UserAgent: "
	socketIP         = ", SourceIp: "
	socketAPI        = "WebSocket API ["
	socketReceived   = "] received message from client [Connection Id: "
	socketMessage    = "Message from client [Connection Id: "
)

// socketText is a line about a client of a WebSocket API, taken apart. Parts of it
// are the client's own words, so each part is looked for where it must stand.
type socketText struct {
	connection string
	agent, ip  string
	rest       string // what the line says of the client
}

func readSocket(kind lineKind, text string) (s socketText) {
	switch kind {
	case lineSocketClient:
		if inner, ok := strings.CutPrefix(text, socketClient); ok {
			s.connection, s.rest, _ = strings.Cut(inner, "]")
			return s
		}
		// The client wrote the user agent: what stands at the end counts.
		end := strings.LastIndex(text, socketConnecting)
		if end < 0 {
			return s
		}
		s.rest = text[end+1:]
		if i := strings.LastIndex(text[:end], socketIP); i >= len(socketAgent) && strings.HasPrefix(text, socketAgent) {
			s.agent, s.ip = text[len(socketAgent):i], text[i+len(socketIP):end]
		}
	case lineSocketAPI:
		_, inner, _ := strings.Cut(text, socketReceived)
		s.connection, _, _ = strings.Cut(inner, "]")
		s.rest = text
	case lineSocketMessage:
		s.connection, s.rest, _ = strings.Cut(text[len(socketMessage):], "]")
	}
	return s
}

// isSocketEnd reports whether a line of a WebSocket API's execution log ends its
// call.
func isSocketEnd(kind lineKind, text string) bool {
	switch kind {
	case lineSocketClient:
		rest := readSocket(kind, text).rest
		return strings.HasPrefix(rest, " connected to ") || strings.HasPrefix(rest, " disconnected from ")
	case lineSocketMessage:
		return strings.HasPrefix(readSocket(kind, text).rest, " sent to ")
	default:
		return false
	}
}

// socketLine reads the lines that only WebSocket APIs write. A call to one is a
// connection, a message, the end of a connection, or a request to its @connections
// API, which is no event of the socket's.
func (d *draft) socketLine(h *held) {
	d.socket = true
	t := d.transaction
	text, _ := cutTruncated(h.text)
	switch h.kind {
	case lineSocketRoute:
		key := strings.TrimSpace(cutLabel(text, prefixSocketRoute))
		if inner, ok := strings.CutPrefix(key, "["); ok {
			key = strings.TrimSuffix(inner, "]")
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
		return
	case lineSocketCompleted:
		if n, ok := leadingInt(cutLabel(text, prefixSocketCompleted)); ok {
			d.status = int(n)
		}
		return
	}
	s := readSocket(h.kind, text)
	switch {
	case h.kind != lineSocketClient:
		d.socketEvent("MESSAGE")
	case strings.HasPrefix(s.rest, " disconnected from "):
		t.EventType = ""
		d.socketEvent("DISCONNECT")
	case strings.HasPrefix(s.rest, " is connecting to "), strings.HasPrefix(s.rest, " connected to "):
		d.socketEvent("CONNECT")
	}
	if s.ip != "" {
		t.UserAgent = d.a.redaction.text(s.agent, false)
		t.SourceIP = s.ip
	}
	// The client may give a reason of its own for closing.
	said, _, _ := strings.Cut(s.rest, "Close reason")
	if n, ok := leadingInt(bracketed(said, "integration response status code [")); ok {
		d.integration.Status = int(n)
	} else if n, ok := leadingInt(bracketed(said, "status code [")); ok {
		d.status = int(n)
	}
	t.ConnectionID = pick(s.connection, t.ConnectionID)
	if api := bracketed(said, "API ["); isAPIID(api) {
		d.apiID = api
	}
}

// connectionOfPath is the connection that a request to the @connections API is
// about.
func connectionOfPath(path string) string {
	_, id, ok := strings.Cut(path, "/@connections/")
	if !ok {
		return ""
	}
	id, _, _ = strings.Cut(id, "/")
	return unpercent(id)
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
