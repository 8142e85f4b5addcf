package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/gatehouse-project/gatehouse/iam"
)

// Limits of WebSocket APIs.
const (
	maxMessage = 128 << 10
	maxSocket  = 2 * time.Hour
	idleSocket = 10 * time.Minute
	// maxSockets bounds how many connections are open; each costs a goroutine.
	maxSockets = 10_000
)

// Route keys that API Gateway gives a meaning.
const (
	routeConnect    = "$connect"
	routeDisconnect = "$disconnect"
)

// sockets are the open WebSocket connections.
type sockets struct {
	mu   sync.Mutex
	open map[string]*socket
	stop bool
	all  sync.WaitGroup

	// ctx is that of the integrations of messages and of $disconnect, which have no
	// call whose end could cancel them.
	ctx    context.Context //nolint:containedctx // of the gateway, not of a call
	cancel context.CancelFunc
}

// socket is one connection.
type socket struct {
	id        string
	api       *api
	stage     *stage
	conn      *websocket.Conn // nil until ready is closed, and after it if the upgrade failed
	ready     chan struct{}
	connected time.Time
	sourceIP  string
	agent     string
	who       *Principal
	lambda    *authorizerResult

	mu     sync.Mutex
	active time.Time
	idle   *time.Timer
	ended  bool // by the gateway
}

// socketEvent is what of a connection a call is.
type socketEvent struct {
	socket  *socket
	kind    string // CONNECT, MESSAGE, DISCONNECT
	message string
	reason  string
	code    int
}

func newSockets() *sockets {
	ctx, cancel := context.WithCancel(context.Background())
	return &sockets{open: map[string]*socket{}, ctx: ctx, cancel: cancel}
}

// add takes a connection in; false where the gateway stops or has too many.
func (s *sockets) add(k *socket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop || len(s.open) >= maxSockets {
		return false
	}
	s.open[k.id] = k
	s.all.Add(1)
	return true
}

func (s *sockets) remove(k *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[k.id] == k {
		delete(s.open, k.id)
		s.all.Done()
	}
}

// get finds a connection of a stage.
func (s *sockets) get(id string, a *api, st *stage) *socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.open[id]
	if k == nil || k.api != a || k.stage != st {
		return nil
	}
	select {
	case <-k.ready:
		return k
	default:
		return nil // $connect is under way
	}
}

// closeAll ends all connections and waits until their $disconnect routes were
// called, or ctx is done.
func (s *sockets) closeAll(ctx context.Context) {
	s.mu.Lock()
	s.stop = true
	open := make([]*socket, 0, len(s.open))
	for _, k := range s.open {
		open = append(open, k)
	}
	s.mu.Unlock()
	var closing sync.WaitGroup
	for _, k := range open {
		closing.Go(func() {
			<-k.ready // the upgrade is being answered
			if k.conn != nil {
				k.end()
			}
		})
	}
	closing.Wait()
	done := make(chan struct{})
	go func() {
		s.all.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		// The connections are closed by now; only integrations can still run.
		s.cancel()
		<-done
	}
}

// touch notes that something came or went.
func (k *socket) touch(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.active = now
	if k.idle != nil {
		k.idle.Reset(idleSocket)
	}
}

// end closes the connection because its time is over. The client is told, and the
// reading side wakes.
func (k *socket) end() {
	k.mu.Lock()
	k.ended = true
	k.mu.Unlock()
	_ = k.conn.Close(websocket.StatusGoingAway, "Going away")
}

// write sends a message in frames that are no larger than a client's may be.
func (k *socket) write(ctx context.Context, message []byte) error {
	w, err := k.conn.Writer(ctx, websocket.MessageText)
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(message, maxFrame) {
		if _, err := w.Write(chunk); err != nil {
			return err
		}
	}
	return w.Close()
}

func (k *socket) lastActive() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.active
}

// compileSelection reads the route selection expression, $request.body.NAME.NAME.
func (a *api) compileSelection(path string) error {
	text := orDefault(a.RouteSelection, "$request.body.action")
	text = strings.TrimSuffix(strings.TrimPrefix(text, "${"), "}")
	text = strings.TrimPrefix(text, "$")
	rest, ok := strings.CutPrefix(text, "request.body.")
	if !ok || rest == "" {
		return at(path+".route_selection_expression", "%q is not $request.body.NAME", clip(a.RouteSelection))
	}
	a.selection = strings.Split(rest, ".")
	return nil
}

// selectRoute finds the route of a message; $default if none is named.
func (a *api) selectRoute(message []byte) *route {
	var v any
	if json.Unmarshal(message, &v) == nil {
		for _, name := range a.selection {
			m, ok := v.(map[string]any)
			if !ok {
				v = nil
				break
			}
			v = m[name]
		}
		if key, ok := v.(string); ok && !strings.HasPrefix(key, "$") {
			if rt := a.socket[key]; rt != nil {
				return rt
			}
		}
	}
	return a.socket[defaultRoute]
}

// serveSocket answers a call to a WebSocket API: a new connection, or one to
// @connections.
func (c *call) serveSocket() {
	if strings.HasPrefix(c.path, "/@connections/") {
		if f := c.manageConnection(); f != nil {
			c.refuse(f)
		}
		return
	}
	if c.path != "/" || !isUpgrade(c.r) {
		c.refuse(refuse("ACCESS_DENIED").saying("Forbidden").as(http.StatusForbidden).asType("ForbiddenException"))
		return
	}
	k := &socket{id: connectionID(c.extended), api: c.api, stage: c.stage, ready: make(chan struct{}), connected: c.start, active: c.start, sourceIP: c.sourceIP, agent: c.r.UserAgent()}
	c.socket = &socketEvent{socket: k, kind: "CONNECT"}
	c.route = c.api.socket[routeConnect]
	if c.route != nil {
		c.socketStart()
		c.info("Client [UserAgent: ", k.agent, ", SourceIp: ", k.sourceIP, "] is connecting to WebSocket API [", c.api.ID, "].")
		if f := c.connect(); f != nil {
			c.refuse(f)
			return
		}
	} else {
		c.route = &route{key: routeConnect, auth: iam.AuthNone}
	}
	k.who, k.lambda = c.who, c.lambda
	// The connection is known before the client learns that it is open: a stop
	// between the two would otherwise leave it out.
	if !c.g.sockets.add(k) {
		c.refuse(refuse("THROTTLED"))
		return
	}
	c.identify(c.w.Header())
	conn, err := websocket.Accept(frameWriter{c.w}, c.r, &websocket.AcceptOptions{
		// API Gateway knows no origin policy; who may connect is for $connect to say.
		InsecureSkipVerify: true,
		Subprotocols:       subprotocols(c.w.Header()),
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		c.status = http.StatusBadRequest // which Accept has answered
		close(k.ready)
		c.g.sockets.remove(k)
		return
	}
	k.conn = conn
	conn.SetReadLimit(maxMessage)
	close(k.ready)
	c.status = http.StatusSwitchingProtocols
	c.info("Client [Connection Id: ", k.id, "] connected to API [", c.api.ID, "] successfully.")
	c.writeLogs()
	stage := c.stage
	c.stage = nil // its logs are written
	c.g.readSocket(c.r, k, stage)
}

func (f *refusal) asType(errorType string) *refusal {
	f.errorType = errorType
	return f
}

func isUpgrade(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket") && r.Method == http.MethodGet
}

// subprotocols are what the $connect integration chose.
func subprotocols(h http.Header) []string {
	if v := h.Get("Sec-Websocket-Protocol"); v != "" {
		h.Del("Sec-Websocket-Protocol")
		return []string{v}
	}
	return nil
}

// connectionID looks like API Gateway's: base64 that ends in "=".
func connectionID(extended string) string {
	return strings.TrimRight(extended, "=")[:11] + "CJ="
}

func (c *call) socketStart() {
	c.info("Extended Request Id: ", c.extended)
	c.info("Starting execution for request: ", c.id)
	c.info("WebSocket Request Route: [", c.route.key, "]")
}

// connect authorizes a connection and asks the $connect integration.
func (c *call) connect() *refusal {
	if f := c.authorize(); f != nil {
		return f
	}
	if c.route.APIKeyRequired {
		if f := c.checkKey(""); f != nil {
			return f
		}
	} else if !c.stage.bucket.allows(c.start) {
		return refuse("THROTTLED")
	}
	status, header, _, f := c.callSocketIntegration(nil)
	if f != nil {
		return f
	}
	if status < 200 || status > 299 {
		return &refusal{kind: "INTEGRATION_FAILURE", status: status, errorType: "IntegrationFailureException", message: "Forbidden"}
	}
	if p := header.Get("Sec-Websocket-Protocol"); p != "" {
		c.w.Header().Set("Sec-Websocket-Protocol", p)
	}
	return nil
}

// readSocket reads messages until the connection ends, and then calls $disconnect.
// It runs on the goroutine of the connection's server.
func (g *Gateway) readSocket(r *http.Request, k *socket, st *stage) {
	// Last of all: a stop waits until $disconnect was called.
	defer g.sockets.remove(k)
	ctx := context.WithoutCancel(r.Context())
	k.mu.Lock()
	k.idle = time.AfterFunc(idleSocket, k.end)
	k.mu.Unlock()
	life := time.AfterFunc(maxSocket, k.end)
	code, reason := 1001, "Going away"
	for {
		kind, message, err := k.conn.Read(ctx)
		if err != nil {
			var closed websocket.CloseError
			switch {
			case errors.As(err, &closed):
				code, reason = int(closed.Code), closed.Reason
			case errors.Is(err, websocket.ErrMessageTooBig):
				code, reason = 1009, "Message too big"
			case errors.Is(err, errFrameTooBig):
				code, reason = 1009, "Frame too big"
				_ = k.conn.Close(websocket.StatusMessageTooBig, reason)
			case !k.wasEnded():
				code, reason = 1006, "Connection closed abnormally"
			}
			break
		}
		k.touch(g.now())
		g.message(r, k, kind, message)
	}
	k.idle.Stop()
	life.Stop()
	_ = k.conn.CloseNow()
	c := g.socketCall(r, k, st, "DISCONNECT")
	c.socket.code, c.socket.reason = code, reason
	if c.route = k.api.socket[routeDisconnect]; c.route != nil {
		c.socketStart()
		if _, _, _, f := c.callSocketIntegration(nil); f != nil {
			c.gatewayLines(f, f.status, "")
		}
	} else {
		c.route = &route{key: routeDisconnect}
		c.socketStart()
	}
	c.status = http.StatusOK
	c.info("Client [Connection Id: ", k.id, "] disconnected from API [", k.api.ID, "]. Close reason: [", strconv.Itoa(code), ": ", reason, "]")
	c.writeLogs()
}

// socketCall is a call that a connection makes.
func (g *Gateway) socketCall(r *http.Request, k *socket, st *stage, kind string) *call {
	c := &call{
		g: g, r: r.WithContext(g.sockets.ctx), w: discard{}, api: k.api, stage: st, logging: st.logging.Load(), start: g.now(), sourceIP: k.sourceIP, who: k.who, lambda: k.lambda,
		raw: "/", path: "/", sent: "/" + st.Name, hasBody: true, socket: &socketEvent{socket: k, kind: kind},
	}
	c.id, c.extended = g.newIDs()
	c.traceID, c.id = traceID(c.start, c.id), c.extended
	return c
}

// discard is the answer of a call that nobody waits for.
type discard struct{}

// Header is a map that nobody reads.
func (discard) Header() http.Header { return http.Header{} }

// Write takes all.
func (discard) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader does nothing.
func (discard) WriteHeader(int) {}

// message gives one message to its route, and the route's answer to the client.
func (g *Gateway) message(r *http.Request, k *socket, kind websocket.MessageType, message []byte) {
	c := g.socketCall(r, k, k.stage, "MESSAGE")
	c.body = message
	c.socket.message = "MESSAGE"
	c.route = k.api.selectRoute(message)
	reply := func(text string) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = k.write(ctx, []byte(text)) // the reading side sees a broken connection
	}
	trouble := func(text string) {
		reply(`{"message": ` + quote(text) + `, "connectionId":` + quote(k.id) + `, "requestId":` + quote(c.id) + `}`)
	}
	switch {
	case c.route == nil:
		c.route = &route{key: defaultRoute}
		c.status = http.StatusForbidden
		trouble("Forbidden")
	case kind != websocket.MessageText && c.route.Integration.Type != "AWS_PROXY" && c.route.Integration.Type != "HTTP_PROXY":
		c.status = http.StatusBadRequest
		trouble("Bad Request")
	case !c.stage.bucket.allows(c.start):
		c.status = http.StatusTooManyRequests
		c.refusal = refuse("THROTTLED")
		trouble("Too Many Requests")
	default:
		c.socketStart()
		c.info("WebSocket API [", k.api.ID, "] received message from client [Connection Id: ", k.id, "]. Message: [", c.logBody(message), "]")
		status, _, body, f := c.callSocketIntegration(message)
		if f == nil && c.route.replies() && len(body) > maxMessage {
			f = c.misconfigured(http.StatusInternalServerError, "Execution failed due to configuration error: Integration response is larger than 131072 bytes")
		}
		switch {
		case f != nil:
			c.refusal, c.status = f, f.status
			c.gatewayLines(f, f.status, "")
			trouble("Internal server error")
		default:
			c.status = status
			if len(body) > 0 && c.route.replies() {
				c.length = len(body)
				reply(string(body))
			}
		}
		c.info("Message from client [Connection Id: ", k.id, "] sent to API [", k.api.ID, "] with response status code [", strconv.Itoa(c.status), "].")
	}
	c.writeLogs()
}

// replies reports whether the client is given what the route's integration answers.
func (rt *route) replies() bool { return rt.RouteResponse == nil || *rt.RouteResponse }

// wasEnded reports whether the gateway has ended the connection.
func (k *socket) wasEnded() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ended
}

// socketVariable is the value of a $context variable that only WebSocket APIs have.
func (c *call) socketVariable(name string) string {
	if c.socket == nil {
		if name == "connectionId" {
			return c.connection
		}
		return ""
	}
	k := c.socket.socket
	switch name {
	case "connectionId":
		return k.id
	case "connectedAt":
		return strconv.FormatInt(k.connected.UnixMilli(), 10)
	case "eventType":
		return c.socket.kind
	case "messageId":
		if c.socket.kind == "MESSAGE" {
			return c.id
		}
	}
	return ""
}
