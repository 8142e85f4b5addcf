package demo

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/gatehouse-project/gatehouse/gateway"
)

// scene decides who calls what. It belongs to one goroutine; the same seed makes
// the same calls.
type scene struct {
	*dice
	parts []part
	total int
	queue []*visit // calls that follow one another at once

	orders, payments, catalog, chat, customers *gateway.API
	checkout, nightly, admin                   []*client
	marketing, expired, unsigned               *client
	services                                   []*client // of the payments API, by token
	support, batch, stranger, bank             *client
	shoppers                                   []*client
	lapsed, visitor, crm                       *client
	scanners                                   []*client
	notifier                                   *client
	table                                      *chatTable
}

// part is a kind of call and its share. The kinds of chat calls have no visit.
type part struct {
	weight int
	make   func(*scene) *visit
	chat   chatAct
}

// next is what happens next: a call, or something in the chat.
func (s *scene) next() (*visit, chatAct) {
	if len(s.queue) > 0 {
		v := s.queue[0]
		s.queue = s.queue[1:]
		return v, noChat
	}
	n := s.below(s.total)
	for i := range s.parts {
		p := &s.parts[i]
		if n -= p.weight; n >= 0 {
			continue
		}
		if p.make == nil {
			return nil, p.chat
		}
		return p.make(s), noChat
	}
	return nil, noChat
}

// The programs that call.
var browsers = []string{
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1",
	"Mozilla/5.0 (Linux; Android 16; Pixel 10) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
	"okhttp/5.1.0",
}

const shoppers = 40

// newScene makes the clients and the shares of what they do. expired is a session
// that has ended.
func newScene(w *World, d *dice, n *network, i *issuer, endpoint string, ended aws.Credentials, table *chatTable) *scene {
	s := &scene{dice: d, table: table}
	for j := range w.apis {
		a := &w.apis[j]
		*map[string]**gateway.API{ordersID: &s.orders, paymentsID: &s.payments, catalogID: &s.catalog, chatID: &s.chat, customersID: &s.customers}[a.ID] = a
	}
	instance := w.handed(Storefront, instanceRole, "i-0d3m0c0ffee")
	session := func(role, name string) aws.CredentialsProvider {
		return assumed(endpoint, instance, roleARN(Storefront, role), name)
	}
	signed := func(ip, agent string, sessions aws.CredentialsProvider) *client {
		return &client{agent: agent, transport: n.transport(ip), sessions: sessions}
	}
	token := func(ip, agent, name string) *client {
		return &client{agent: agent, transport: n.transport(ip), authorization: fixed(tokenPrefix + name + fmt.Sprintf("-%08x%08x", d.below(1<<31), d.below(1<<31)))}
	}
	const sdk = "storefront-checkout/3.4 aws-sdk-go-v2/1.47.7 os/linux lang/go#1.26"
	s.checkout = []*client{
		signed("192.0.2.10", sdk, session("checkout", "web-1")),
		signed("192.0.2.11", sdk, session("checkout", "web-2")),
	}
	s.nightly = []*client{signed("192.0.2.30", "python-requests/2.34.2", session("warehouse-sync", "nightly"))}
	s.marketing = signed("192.0.2.44", "Boto3/1.42.1 md/Botocore#1.42.1 lang/python#3.14.0", session("marketing", "newsletter"))
	s.admin = []*client{signed("198.51.100.7", "curl/8.17.0", assumed(endpoint, w.handed(Orders, staffRole, "workstation"), roleARN(Orders, "orders-admin"), "ines"))}
	s.expired = signed("192.0.2.31", "python-requests/2.34.2", credentials.StaticCredentialsProvider{Value: ended})
	s.unsigned = signed("198.51.100.23", "PostmanRuntime/7.49.1", nil)
	s.services = []*client{
		token("192.0.2.10", "storefront-checkout/3.4", "checkout-service"),
		token("192.0.2.60", "billing-portal/2.0 (node-fetch)", "billing-portal"),
	}
	s.support = token("198.51.100.81", browsers[1], "support-console")
	s.batch = token("192.0.2.61", "billing-batch/0.9 (Perl LWP)", "billing-batch")
	s.stranger = token("203.0.113.199", "Go-http-client/1.1", "guessed-name")
	s.bank = &client{agent: "SettlementHub/9.2 (Java/21)", transport: n.transport("198.51.100.200"), apiKey: bankKey}
	for j := range shoppers {
		ip := "203.0.113." + strconv.Itoa(10+j*4)
		if j%3 == 0 {
			ip = "198.51.100." + strconv.Itoa(100+j)
		}
		s.shoppers = append(s.shoppers, &client{agent: browsers[j%len(browsers)], transport: n.transport(ip), authorization: customerToken(i, fmt.Sprintf("customer-%04d", 100+j*7))})
	}
	s.lapsed = &client{agent: browsers[2], transport: n.transport("203.0.113.77"), authorization: func(at time.Time) (string, error) {
		text, err := i.token("customer-0042", at.Add(-2*tokenLife))
		return "Bearer " + text, err
	}}
	s.visitor = &client{agent: browsers[0], transport: n.transport("203.0.113.150")}
	s.crm = &client{agent: "crm-export/1.2", transport: n.transport("192.0.2.90")}
	for j, agent := range []string{"Mozilla/5.0 zgrab/0.x", "curl/7.88.1", "python-requests/2.31.0", "Nuclei - Open-source project (github.com/projectdiscovery/nuclei)"} {
		s.scanners = append(s.scanners, &client{agent: agent, transport: n.transport("203.0.113." + strconv.Itoa(220+j*7))})
	}
	s.notifier = &client{agent: "chat-notifier/1.0 aws-sdk-nodejs/3.921.0", transport: n.transport("192.0.2.120"), sessions: w.handed(Catalog, notifierRole, "chat-notifier")}
	s.parts = parts
	for j := range s.parts {
		s.total += s.parts[j].weight
	}
	return s
}

// clients are all HTTP clients, whose connections end with the traffic.
func (s *scene) clients() []*client {
	all := []*client{s.marketing, s.expired, s.unsigned, s.support, s.batch, s.stranger, s.bank, s.lapsed, s.visitor, s.crm, s.notifier}
	for _, list := range [][]*client{s.checkout, s.nightly, s.admin, s.services, s.shoppers, s.scanners} {
		all = append(all, list...)
	}
	return all
}

func (s *scene) order(by *client, method, path, body string) *visit {
	return &visit{who: by, api: s.orders, stage: "prod", method: method, path: path, body: body}
}

func (s *scene) payment(by *client, method, path, body string) *visit {
	return &visit{who: by, api: s.payments, stage: "prod", method: method, path: path, body: body}
}

func (s *scene) product(by *client, method, path, body string, query url.Values) *visit {
	return &visit{who: by, api: s.catalog, stage: "$default", method: method, path: path, body: body, query: query}
}

func (s *scene) shopper() *client { return pick(s.dice, s.shoppers...) }

// parts are the kinds of calls and their shares.
var parts = []part{
	// The orders API: signed calls across accounts, and those that it refuses.
	{weight: 8, make: func(s *scene) *visit { return s.order(pick(s.dice, s.checkout...), "GET", "/", "") }},
	{weight: 9, make: func(s *scene) *visit {
		v := s.order(pick(s.dice, s.checkout[0], s.checkout[1], s.nightly[0]), "GET", "/orders", "")
		v.query = url.Values{"limit": {pick(s.dice, "10", "25", "50")}, "status": {pick(s.dice, "open", "shipped")}}
		return v
	}},
	{weight: 6, make: func(s *scene) *visit {
		return s.order(pick(s.dice, s.checkout...), "POST", "/orders", fmt.Sprintf(
			`{"items":[{"sku":"%s","quantity":%d}],"customer":{"email":"%s","name":"A. Customer"},"currency":"EUR"}`, s.sku(), 1+s.below(4), s.email()))
	}},
	{weight: 15, make: func(s *scene) *visit {
		return s.order(pick(s.dice, s.checkout[0], s.checkout[1], s.nightly[0], s.admin[0]), "GET", "/orders/"+s.orderID(), "")
	}},
	{weight: 2, make: func(s *scene) *visit {
		return s.order(pick(s.dice, s.checkout...), "PUT", "/orders/"+s.orderID()+"/address", `{"street":"1 Example Street","city":"Dublin","postcode":"D01 X2Y3","country":"IE"}`)
	}},
	{weight: 1, make: func(s *scene) *visit { return s.order(s.admin[0], "DELETE", "/orders/"+s.orderID(), "") }},
	{weight: 3, make: func(s *scene) *visit {
		return s.order(pick(s.dice, s.checkout[0], s.nightly[0]), "GET", "/shipments/shp-"+strconv.Itoa(100_000+s.below(900)), "")
	}},
	{weight: 3, make: func(s *scene) *visit {
		v := s.order(s.admin[0], "GET", "/orders/"+s.orderID(), "")
		v.stage = "test"
		return v
	}},
	{weight: 1, make: func(s *scene) *visit { return s.order(s.nightly[0], "DELETE", "/orders/"+s.orderID(), "") }},
	{weight: 1, make: func(s *scene) *visit { return s.order(s.marketing, "GET", "/orders", "") }},
	{weight: 1, make: func(s *scene) *visit { return s.order(s.unsigned, "GET", pick(s.dice, "/", "/orders"), "") }},
	{weight: 1, make: func(s *scene) *visit { return s.order(s.expired, "GET", "/orders/"+s.orderID(), "") }},
	// The payments API: a Lambda authorizer, and a partner with an API key.
	{weight: 6, make: func(s *scene) *visit {
		return s.payment(pick(s.dice, s.services...), "POST", "/payments", fmt.Sprintf(
			`{"order":"%s","amount":%d,"currency":"EUR","card":{"number":"4111 1111 1111 1111","expiry":"12/29"}}`, s.orderID(), 500+s.below(40_000)))
	}},
	{weight: 6, make: func(s *scene) *visit {
		return s.payment(pick(s.dice, s.services[0], s.services[1], s.support), "GET", "/payments/"+s.paymentID(), "")
	}},
	{weight: 2, make: func(s *scene) *visit {
		return s.payment(pick(s.dice, s.services[1], s.support), "POST", "/refunds", `{"payment":"`+s.paymentID()+`","reason":"returned"}`)
	}},
	{weight: 1, make: func(s *scene) *visit { return s.payment(s.stranger, "GET", "/payments/"+s.paymentID(), "") }},
	{weight: 1, make: func(s *scene) *visit { return s.payment(s.unsigned, "GET", "/payments/"+s.paymentID(), "") }},
	{weight: 1, make: (*scene).settle},
	// Its forgotten stage, which logs nothing until somebody switches that on.
	{weight: 3, make: (*scene).legacy},
	// The catalog: customers with tokens, and anyone.
	{weight: 15, make: func(s *scene) *visit {
		return s.product(s.shopper(), "GET", "/products", "", url.Values{"category": {pick(s.dice, "book", "toy", "garden")}, "page": {strconv.Itoa(1 + s.below(20))}})
	}},
	{weight: 22, make: func(s *scene) *visit { return s.product(s.shopper(), "GET", "/products/"+s.sku(), "", nil) }},
	{weight: 7, make: func(s *scene) *visit {
		return s.product(pick(s.dice, s.shopper(), s.visitor), "GET", "/products/"+s.sku()+"/reviews", "", nil)
	}},
	{weight: 2, make: func(s *scene) *visit {
		return s.product(s.shopper(), "POST", "/products/"+s.sku()+"/reviews", `{"stars":`+strconv.Itoa(1+s.below(5))+`,"text":"As described."}`, nil)
	}},
	{weight: 10, make: func(s *scene) *visit {
		return s.product(pick(s.dice, s.shopper(), s.visitor), "GET", "/search", "", url.Values{"q": {pick(s.dice, "lamp", "novel", "chess", "rose")}})
	}},
	{weight: 1, make: func(s *scene) *visit { return s.product(s.lapsed, "GET", "/products/"+s.sku(), "", nil) }},
	{weight: 1, make: func(s *scene) *visit { return s.product(s.visitor, "GET", "/products", "", nil) }},
	// The forgotten API.
	{weight: 6, make: func(s *scene) *visit {
		return &visit{who: pick(s.dice, s.crm, s.scanners[1]), api: s.customers, stage: "live", method: "GET", path: "/customers/" + strconv.Itoa(70_000+s.below(3_000))}
	}},
	{weight: 2, make: func(s *scene) *visit {
		return &visit{who: s.crm, api: s.customers, stage: "live", method: "GET", path: "/export"}
	}},
	// Those who look for doors.
	{weight: 4, make: (*scene).scan},
	// The chat.
	{weight: 3, chat: chatConnect},
	{weight: 14, chat: chatMessage},
	{weight: 3, chat: chatLeave},
	{weight: 2, make: (*scene).notify},
}

// settle is the bank telling of its settlements, several at once: more than its
// usage plan allows.
func (s *scene) settle() *visit {
	for range 5 {
		s.queue = append(s.queue, s.settlement())
	}
	return s.settlement()
}

func (s *scene) settlement() *visit {
	return s.payment(s.bank, "POST", "/settlements", fmt.Sprintf(`{"batch":"SET-%05d","amount":%d,"currency":"EUR","iban":"IE29AIBK93115212345678"}`, s.below(100_000), 10_000+s.below(900_000)))
}

// legacy is a call to the stage that nobody looks at.
func (s *scene) legacy() *visit {
	v := s.payment(s.batch, "GET", "/payments/"+s.paymentID(), "")
	if s.oneIn(3) {
		v = s.payment(s.batch, "POST", "/refunds", `{"payment":"`+s.paymentID()+`","reason":"batch"}`)
	}
	v.stage = "legacy"
	return v
}

func (s *scene) scan() *visit {
	api, stage := s.orders, "prod"
	switch s.below(4) {
	case 0:
		api, stage = s.catalog, "$default"
	case 1:
		api, stage = s.customers, "live"
	}
	return &visit{
		who: pick(s.dice, s.scanners...), api: api, stage: stage, method: "GET", unrouted: true,
		path: pick(s.dice, "/.env", "/wp-login.php", "/admin", "/.git/config", "/actuator/health", "/api/v1/users"),
	}
}

// notify posts to a connection of the chat; nil if nobody is there.
func (s *scene) notify() *visit {
	id := s.table.anyone()
	if id == "" {
		return nil
	}
	return &visit{who: s.notifier, api: s.chat, stage: "prod", method: "POST", path: "/@connections/" + url.PathEscape(id), body: `{"notice":"` + pick(s.dice, "An order was shipped.", "Back in stock.") + `"}`}
}
