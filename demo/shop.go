package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// newBackends are the demo's functions and hosts.
func newBackends(c *clock, d *dice, issuer http.Handler, chats *chatTable) *backends {
	b := &backends{clock: c, dice: d}
	b.functions = map[string]function{
		"orders": b.orders, "payments": b.payments, "payments-authorizer": b.authorizePayment,
		"catalog": b.catalog, "customers-v1": b.customers, "chat": chats.function,
	}
	b.hosts = map[string]http.Handler{
		issuerHost:  issuer,
		carrierHost: b.host(b.shipment),
		searchHost:  b.host(b.search),
	}
	return b
}

// mishap lets some calls go wrong in a function: it takes too long, raises an
// error, or answers what API Gateway cannot use. ok is false where one did.
func (b *backends) mishap(ctx context.Context) (result any, ok bool, err error) {
	if err := b.work(ctx); err != nil {
		return nil, false, err
	}
	switch b.dice.below(300) {
	case 0:
		return nil, false, errors.New("connection to the database was refused")
	case 1:
		return map[string]any{"ok": true, "rows": 3}, false, nil // no proxy response
	case 2, 3:
		return answer(http.StatusInternalServerError, `{"message":"Internal Server Error"}`), false, nil
	}
	return nil, true, nil
}

func (b *backends) orders(ctx context.Context, e *event) (any, error) {
	if e.route() == "GET /" {
		if err := b.clock.pass(ctx, 9*time.Millisecond); err != nil {
			return nil, err
		}
		return answer(http.StatusOK, `{"id":123,"category":"book"}`), nil
	}
	if result, ok, err := b.mishap(ctx); !ok {
		return result, err
	}
	d := b.dice
	id := e.PathParameters["orderId"]
	switch e.route() {
	case "GET /orders":
		limit, _ := strconv.Atoi(e.QueryStringParameters["limit"])
		var text strings.Builder
		text.WriteString(`{"orders":[`)
		for i := range 3 + d.below(max(1, min(limit, 15))) {
			if i > 0 {
				text.WriteByte(',')
			}
			fmt.Fprintf(&text, `{"id":"%s","total":%d.%02d,"currency":"EUR","placed":"%s"}`,
				d.orderID(), 5+d.below(300), d.below(100), b.clock.now().UTC().Format(time.RFC3339))
		}
		text.WriteString(`],"next":null}`)
		return answer(http.StatusOK, text.String()), nil
	case "POST /orders":
		if d.oneIn(12) {
			return answer(http.StatusConflict, `{"error":"out of stock","sku":"`+d.sku()+`"}`), nil
		}
		id = d.orderID()
		return answer(http.StatusCreated, `{"id":"`+id+`","status":"open"}`, "Location", "/orders/"+id), nil
	case "GET /orders/{orderId}":
		if d.oneIn(25) {
			return answer(http.StatusNotFound, `{"error":"no such order"}`), nil
		}
		return answer(http.StatusOK, fmt.Sprintf(`{"id":"%s","status":"%s","items":[{"sku":"%s","quantity":1}],"customer":{"email":"%s"}}`,
			id, pick(d, "open", "paid", "shipped"), d.sku(), d.email())), nil
	case "PUT /orders/{orderId}/address":
		return answer(http.StatusNoContent, ""), nil
	case "DELETE /orders/{orderId}":
		return answer(http.StatusAccepted, `{"status":"cancelling"}`), nil
	}
	return answer(http.StatusNotFound, `{"error":"no such route"}`), nil
}

// shipment is the answer of the carrier, which is another company's.
func (b *backends) shipment(r *http.Request) response {
	id := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	if b.dice.oneIn(20) {
		return answer(http.StatusBadGateway, `{"error":"the depot does not answer"}`)
	}
	return answer(http.StatusOK, fmt.Sprintf(`{"shipment":"%s","state":"%s","city":"Dublin"}`, id, pick(b.dice, "packed", "on its way", "delivered")), "Server", "nginx")
}

// Tokens of the payments API are "Bearer demo-NAME-RANDOM".
const tokenPrefix = "Bearer demo-"

// authorizePayment is the Lambda authorizer of the payments API.
func (b *backends) authorizePayment(ctx context.Context, e *event) (any, error) {
	if err := b.clock.pass(ctx, 12*time.Millisecond); err != nil {
		return nil, err
	}
	name, ok := strings.CutPrefix(e.AuthorizationToken, tokenPrefix)
	if i := strings.LastIndexByte(name, '-'); ok && i > 0 {
		name = name[:i]
	}
	resource := `"arn:aws:execute-api:us-east-1:` + Orders + `:` + paymentsID + `/prod/*/*"`
	switch name {
	case "checkout-service", "billing-portal":
	case "billing-batch": // was never moved from the stage that came before
		resource = `"arn:aws:execute-api:us-east-1:` + Orders + `:` + paymentsID + `/legacy/*/*"`
	case "support-console": // looks at payments, and gives no money back
		resource = `"arn:aws:execute-api:us-east-1:` + Orders + `:` + paymentsID + `/prod/GET/*"`
	default:
		return nil, errors.New("Unauthorized") // the word that API Gateway asks for
	}
	return map[string]any{
		"principalId":    name,
		"policyDocument": rawJSON(`{"Version":"2012-10-17","Statement":[{"Action":"execute-api:Invoke","Effect":"Allow","Resource":` + resource + `}]}`),
	}, nil
}

// rawJSON is text that is JSON already.
type rawJSON string

// MarshalJSON returns the text.
func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }

func (b *backends) payments(ctx context.Context, e *event) (any, error) {
	if result, ok, err := b.mishap(ctx); !ok {
		return result, err
	}
	switch e.route() {
	case "POST /payments":
		return answer(http.StatusCreated, `{"id":"`+b.dice.paymentID()+`","state":"captured"}`), nil
	case "GET /payments/{paymentId}":
		return answer(http.StatusOK, `{"id":"`+e.PathParameters["paymentId"]+`","state":"captured","last4":"1111"}`), nil
	default: // refunds and settlements
		return answer(http.StatusAccepted, `{"state":"pending"}`), nil
	}
}

func (b *backends) catalog(ctx context.Context, e *event) (any, error) {
	if result, ok, err := b.mishap(ctx); !ok {
		return result, err
	}
	d := b.dice
	product := func(sku string) string {
		return fmt.Sprintf(`{"sku":"%s","title":"%s","price":%d.%02d,"currency":"EUR","description":"%s"}`, sku,
			pick(d, "A lamp", "A novel", "A chess set", "A rose bush"), 4+d.below(90), d.below(100), strings.Repeat("Well made. ", 10+d.below(20)))
	}
	switch e.route() {
	case "GET /products":
		items := make([]string, 3+d.below(12))
		for i := range items {
			items[i] = product(d.sku())
		}
		return answer(http.StatusOK, `{"products":[`+strings.Join(items, ",")+`]}`), nil
	case "GET /products/{sku}":
		if d.oneIn(30) {
			return answer(http.StatusNotFound, `{"error":"no such product"}`), nil
		}
		return answer(http.StatusOK, product(e.PathParameters["sku"])), nil
	case "GET /products/{sku}/reviews":
		return answer(http.StatusOK, `{"reviews":[{"stars":`+strconv.Itoa(1+d.below(5))+`,"text":"`+strings.Repeat("Good. ", 20+d.below(200))+`"}]}`), nil
	default:
		return answer(http.StatusCreated, `{"state":"waiting for a moderator"}`), nil
	}
}

// search is the answer of the search engine.
func (b *backends) search(r *http.Request) response {
	return answer(http.StatusOK, fmt.Sprintf(`{"query":%q,"hits":%d,"skus":["%s","%s"]}`, r.URL.Query().Get("q"), b.dice.below(200), b.dice.sku(), b.dice.sku()))
}

// customers is the function of the forgotten API: personal data for whoever asks.
func (b *backends) customers(ctx context.Context, e *event) (any, error) {
	if result, ok, err := b.mishap(ctx); !ok {
		return result, err
	}
	d := b.dice
	if e.route() == "GET /export" {
		rows := make([]string, 25)
		for i := range rows {
			rows[i] = fmt.Sprintf(`{"id":%d,"email":"%s","phone":"+353 1 555 0%03d"}`, 70_000+i, d.email(), d.below(1000))
		}
		return answer(http.StatusOK, "["+strings.Join(rows, ",")+"]"), nil
	}
	return answer(http.StatusOK, fmt.Sprintf(`{"id":%s,"name":"Ana Example","email":"%s","phone":"+353 1 555 01%02d","card":"4111111111111111","birthday":"1984-02-1%d"}`,
		e.PathParameters["customerId"], d.email(), d.below(100), d.below(10))), nil
}

// chatTable is the function behind the chat API and the table of connections that
// such functions keep.
type chatTable struct {
	clock *clock
	dice  *dice

	mu   sync.Mutex
	open []string
}

func (t *chatTable) function(ctx context.Context, e *event) (any, error) {
	if err := t.clock.pass(ctx, 5*time.Millisecond+t.dice.about(12*time.Millisecond).Round(time.Millisecond)); err != nil {
		return nil, err
	}
	id := e.RequestContext.ConnectionID
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e.RequestContext.EventType {
	case "CONNECT":
		t.open = append(t.open, id)
	case "DISCONNECT":
		for i, o := range t.open {
			if o == id {
				t.open = append(t.open[:i], t.open[i+1:]...)
				break
			}
		}
	case "MESSAGE":
		return response{StatusCode: http.StatusOK, Body: `{"delivered":true,"members":` + strconv.Itoa(len(t.open)) + `}`}, nil
	}
	return response{StatusCode: http.StatusOK}, nil
}

// anyone is an open connection; empty if there is none.
func (t *chatTable) anyone() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.open) == 0 {
		return ""
	}
	return t.open[t.dice.below(len(t.open))]
}
