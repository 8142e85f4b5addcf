package demo

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// scene makes calls. The same seed makes the same calls.
type scene struct {
	random *rand.Rand
	apis   []*api
	total  int
	conns  []string // open WebSocket connections
}

func newScene(apis []*api, seed uint64) *scene {
	s := &scene{random: rand.New(rand.NewPCG(seed, 1)), apis: apis} //nolint:gosec // a demo repeats on purpose
	for _, a := range apis {
		s.total += apiWeight(a)
	}
	return s
}

// apiWeight is an API's share of the traffic: the sum of its routes'.
func apiWeight(a *api) int {
	n := 0
	for _, r := range a.routes {
		n += r.weight
	}
	return n
}

// next makes the call that happens at a time.
func (s *scene) next(at time.Time) *call {
	r := s.random
	n := r.IntN(s.total)
	var a *api
	for _, a = range s.apis {
		if n -= apiWeight(a); n < 0 {
			break
		}
	}
	c := &call{
		api: a, at: at, id: requestID(r), extended: extendedID(r), caller: &caller{},
		ip:      pick(r, "203.0.113.", "198.51.100.", "192.0.2.") + strconv.Itoa(1+r.IntN(250)),
		agent:   pick(r, agents...),
		backend: time.Duration(8+r.ExpFloat64()*35) * time.Millisecond,
	}
	c.stage = a.stages[0]
	if m := len(a.stages); m > 1 && r.IntN(10) == 0 {
		c.stage = a.stages[1]
	}
	n = r.IntN(apiWeight(a))
	for _, c.route = range a.routes {
		if n -= c.route.weight; n < 0 {
			break
		}
	}
	c.method, c.status = c.route.method, 200
	c.path = c.route.path
	switch c.route.auth {
	case "AWS_IAM":
		c.caller = pick(r, iamCallers...)
	case "CUSTOM":
		c.caller = &caller{name: pick(r, "checkout-service", "billing-portal", "support-console")}
	case "JWT":
		c.caller = &caller{name: fmt.Sprintf("customer-%04d", r.IntN(900))}
	}
	c.route.play(s, c)
	s.mishap(c)
	if a.kind == "WEBSOCKET" {
		c.extended = c.id[:12] + "FeQ="
		c.id = c.extended
	} else {
		c.headers = append(s.requestHeaders(c), c.headers...)
		c.answer = append([]header{
			{"Content-Type", "application/json;charset=utf-8"},
			{"X-Amzn-Trace-Id", strings.ReplaceAll(traceID(at, c.id), " ", "") + ";Sampled=0"},
		}, c.answer...)
	}
	c.latency = c.backend + time.Duration(3+r.IntN(9))*time.Millisecond
	return c
}

// mishap lets some calls go wrong, as they do.
func (s *scene) mishap(c *call) {
	if c.api.kind != "REST" {
		if s.random.IntN(60) == 0 && c.api.kind == "HTTP" {
			c.status, c.result = 500, `{"message":"Internal Server Error"}`
		}
		return
	}
	fail := func(o outcome, status int, result string) {
		c.outcome, c.status, c.result = o, status, result
	}
	switch s.random.IntN(120) {
	case 0, 1:
		if c.route.authorizer != "" {
			fail(unauthorized, 401, `{"message":"Unauthorized"}`)
			c.caller = &caller{}
		}
	case 2:
		fail(throttled, 429, `{"message":"Too Many Requests"}`)
	case 3:
		fail(timedOut, 504, `{"message": "Endpoint request timed out"}`)
		c.backend = 29 * time.Second
	case 4:
		fail(malformed, 502, `{"message": "Internal server error"}`)
	case 5, 6:
		fail(probe, 403, `{"message":"Missing Authentication Token"}`)
		c.path = pick(s.random, "/.env", "/wp-login.php", "/admin", "/.git/config", "/actuator/health", "/api/v1/users")
		c.method, c.route, c.caller = "GET", nil, &caller{}
		c.query, c.body = nil, ""
	}
}

var agents = []string{
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1",
	"okhttp/5.1.0", "python-requests/2.34.2", "aws-sdk-go-v2/1.47.7 os/linux lang/go#1.26", "storefront-checkout/3.4",
}

var iamCallers = []*caller{
	{arn: "arn:aws:sts::" + Storefront + ":assumed-role/checkout/web-1", id: "AROADEMOCHECKOUT00001:web-1", account: Storefront},
	{arn: "arn:aws:sts::" + Storefront + ":assumed-role/checkout/web-2", id: "AROADEMOCHECKOUT00001:web-2", account: Storefront},
	{arn: "arn:aws:sts::" + Storefront + ":assumed-role/warehouse-sync/nightly", id: "AROADEMOWAREHOUSE0001:nightly", account: Storefront},
	{arn: "arn:aws:sts::" + Orders + ":assumed-role/orders-admin/ines", id: "AROADEMOADMIN00000001:ines", account: Orders},
}

func (s *scene) requestHeaders(c *call) []header {
	h := []header{
		{"Accept", "application/json, text/plain, */*"},
		{"Accept-Encoding", "gzip, deflate, br"},
		{"Host", c.api.host()},
		{"User-Agent", c.agent},
		{"X-Amzn-Trace-Id", "Root=1-" + c.id[:8] + "-" + strings.ReplaceAll(c.id, "-", "")[:24]},
		{"X-Forwarded-For", c.ip},
		{"X-Forwarded-Port", "443"},
		{"X-Forwarded-Proto", "https"},
	}
	switch {
	case c.caller.arn != "":
		h = append(h, header{"Authorization", strings.Repeat("*", 250) + "3f9a1c"}, header{"X-Amz-Date", c.at.UTC().Format("20060102T150405Z")})
	case c.caller.name != "":
		h = append(h, header{"Authorization", strings.Repeat("*", 40) + "q8ZtLw"})
	}
	if c.body != "" {
		h = append(h, header{"Content-Type", "application/json"}, header{"Content-Length", strconv.Itoa(len(c.body))})
	}
	return h
}

func (s *scene) orderID() string {
	return fmt.Sprintf("ord-%08d", 40_000_000+s.random.IntN(5_000))
}

func (s *scene) sku() string {
	return pick(s.random, "BK", "TY", "GD") + "-" + strconv.Itoa(1000+s.random.IntN(400))
}

func (s *scene) email() string {
	return pick(s.random, "ana", "bo", "chidi", "dana", "emre", "farah") + strconv.Itoa(s.random.IntN(90)) + "@example.com"
}

func (s *scene) home(c *call) { c.result = `{"id":123,"category":"book"}` }

func (s *scene) listOrders(c *call) {
	c.query = []header{{"limit", pick(s.random, "10", "25", "50")}, {"status", pick(s.random, "open", "shipped")}}
	var b strings.Builder
	b.WriteString(`{"orders":[`)
	for i := range 3 + s.random.IntN(12) {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":"%s","total":%d.%02d,"currency":"EUR","placed":"%s"}`, s.orderID(), 5+s.random.IntN(300), s.random.IntN(100), c.at.UTC().Format(time.RFC3339))
	}
	b.WriteString(`],"next":null}`)
	c.result = b.String()
}

func (s *scene) createOrder(c *call) {
	c.status = 201
	c.body = fmt.Sprintf(`{"items":[{"sku":"%s","quantity":%d}],"customer":{"email":"%s","name":"A. Customer"},"currency":"EUR"}`, s.sku(), 1+s.random.IntN(4), s.email())
	id := s.orderID()
	c.result = `{"id":"` + id + `","status":"open"}`
	c.answer = []header{{"Location", "/orders/" + id}}
	if s.random.IntN(12) == 0 {
		c.status, c.result, c.answer = 409, `{"error":"out of stock","sku":"`+s.sku()+`"}`, nil
	}
}

func (s *scene) oneOrder(c *call) {
	id := s.orderID()
	c.path = template(c.route.path, id)
	c.result = fmt.Sprintf(`{"id":"%s","status":"%s","items":[{"sku":"%s","quantity":1}],"customer":{"email":"%s"}}`, id, pick(s.random, "open", "paid", "shipped"), s.sku(), s.email())
	if s.random.IntN(25) == 0 {
		c.status, c.result = 404, `{"error":"no such order"}`
	}
}

func (s *scene) changeAddress(c *call) {
	c.path = template(c.route.path, s.orderID())
	c.body = `{"street":"1 Example Street","city":"Dublin","postcode":"D01 X2Y3","country":"IE"}`
	c.status, c.result = 204, ""
}

func (s *scene) cancelOrder(c *call) {
	c.path = template(c.route.path, s.orderID())
	c.status, c.result = 202, `{"status":"cancelling"}`
}

func (s *scene) pay(c *call) {
	c.status = 201
	c.body = fmt.Sprintf(`{"order":"%s","amount":%d,"currency":"EUR","card":{"number":"4111 1111 1111 1111","expiry":"12/29"}}`, s.orderID(), 500+s.random.IntN(40_000))
	c.result = fmt.Sprintf(`{"id":"pay_%06d","state":"captured"}`, s.random.IntN(1_000_000))
}

func (s *scene) onePayment(c *call) {
	id := fmt.Sprintf("pay_%06d", s.random.IntN(1_000_000))
	c.path = template(c.route.path, id)
	c.result = `{"id":"` + id + `","state":"captured","last4":"1111"}`
}

func (s *scene) refund(c *call) {
	c.body = fmt.Sprintf(`{"payment":"pay_%06d","reason":"returned"}`, s.random.IntN(1_000_000))
	c.status, c.result = 202, `{"state":"pending"}`
}

func (s *scene) products(c *call) {
	c.query = []header{{"category", pick(s.random, "book", "toy", "garden")}, {"page", strconv.Itoa(1 + s.random.IntN(20))}}
	c.result = strings.Repeat("x", 900+s.random.IntN(4000))
}

func (s *scene) product(c *call) {
	c.path = template(c.route.path, s.sku())
	c.result = strings.Repeat("x", 300+s.random.IntN(500))
	if s.random.IntN(30) == 0 {
		c.status = 404
	}
}

func (s *scene) reviews(c *call) {
	c.path = template(c.route.path, s.sku())
	c.result = strings.Repeat("x", 600+s.random.IntN(2500))
}

func (s *scene) review(c *call) {
	c.path = template(c.route.path, s.sku())
	c.status = 201
}

func (s *scene) search(c *call) {
	c.query = []header{{"q", pick(s.random, "lamp", "novel", "chess", "rose")}}
	c.result = strings.Repeat("x", 400+s.random.IntN(3000))
}

func (s *scene) connection() string { return extendedID(s.random) }

func (s *scene) connect(c *call) {
	c.event, c.conn = "CONNECT", s.connection()
	if len(s.conns) < 200 {
		s.conns = append(s.conns, c.conn)
	}
}

func (s *scene) message(c *call) {
	c.event, c.conn = "MESSAGE", s.anyConnection()
	c.body = `{"action":"sendMessage","text":"` + pick(s.random, "hello", "is it in stock?", "thanks") + `"}`
	c.result = `{"delivered":true}`
}

func (s *scene) disconnect(c *call) {
	c.event, c.conn = "DISCONNECT", s.anyConnection()
}

func (s *scene) anyConnection() string {
	if len(s.conns) == 0 {
		return s.connection()
	}
	return pick(s.random, s.conns...)
}

func (s *scene) customer(c *call) {
	id := strconv.Itoa(70_000 + s.random.IntN(3_000))
	c.path = template(c.route.path, id)
	c.result = fmt.Sprintf(`{"id":%s,"name":"Ana Example","email":"%s","phone":"+353 1 555 01%02d","card":"4111111111111111","birthday":"1984-02-1%d"}`,
		id, s.email(), s.random.IntN(100), s.random.IntN(10))
}

func (s *scene) export(c *call) {
	var b strings.Builder
	b.WriteString(`[`)
	for i := range 25 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"email":"%s","phone":"+353 1 555 0%03d"}`, 70_000+i, s.email(), s.random.IntN(1000))
	}
	b.WriteString(`]`)
	c.result = b.String()
}
