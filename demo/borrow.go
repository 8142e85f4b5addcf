package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"time"

	"github.com/gatehouse-project/gatehouse/identity"
)

// Borrowers are the demo's people, who set lending up and ask for access over the HTTP
// API, so that there is something to see.
type Borrowers struct {
	// Base is the address of the dashboard, and Link the address that signs a person in
	// there.
	Base string
	Link func(identity.Person) string
	Log  *slog.Logger

	clients map[string]*http.Client // by the person's ID
}

// borrowWithin bounds how long the people wait for the parts of the product to be ready.
const borrowWithin = time.Minute

// Run plays the people's first minute, and ends. What does not work out is logged: the
// demo goes on without it.
func (b *Borrowers) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, borrowWithin)
	defer cancel()
	b.clients = map[string]*http.Client{}
	defer func() {
		for _, c := range b.clients {
			c.CloseIdleConnections()
		}
	}()
	if err := b.play(ctx); err != nil && ctx.Err() == nil {
		b.Log.WarnContext(ctx, "the demo's people could not ask for access", "error", err)
	}
	return nil
}

func (b *Borrowers) play(ctx context.Context) error {
	rosa, nadia, amir, sofia := person("demo-rosa"), person("demo-nadia"), person("demo-amir"), person("demo-sofia")
	for _, name := range []string{Cluster, OrdersAPI} {
		if err := b.connect(ctx, sofia, name); err != nil {
			return err
		}
	}
	// Somebody looks at an incident, and their manager agrees.
	look, err := b.ask(ctx, rosa, "1", "checkout", "view", "INC-2041: carts are lost when the session is renewed")
	if err != nil {
		return err
	}
	if err := b.vote(ctx, amir, look, true, "Go ahead."); err != nil {
		return err
	}
	// Something is refused, something waits, and something is had at once.
	change, err := b.ask(ctx, rosa, "2", "orders", "edit", "Try the new retry policy")
	if err != nil {
		return err
	}
	if err := b.vote(ctx, amir, change, false, "Not on a Friday: try it in the sandbox first."); err != nil {
		return err
	}
	if _, err := b.ask(ctx, rosa, "3", "sandbox", "edit", "The retry policy"); err != nil {
		return err
	}
	if _, err := b.ask(ctx, nadia, "4", "orders", "edit", "INC-2043: mend the stuck shipments of this morning"); err != nil {
		return err
	}
	if _, err := b.ask(ctx, nadia, "5", "payments", "view", "Why does the settlement of Tuesday not add up?"); err != nil {
		return err
	}
	if err := b.calling(ctx, nadia, amir); err != nil {
		return err
	}
	// What was lent is given back.
	back, err := b.ask(ctx, nadia, "6", "sandbox", "view", "")
	if err != nil {
		return err
	}
	if err := b.ready(ctx, nadia, back.Grant); err != nil {
		return err
	}
	if err := b.call(ctx, nadia, http.MethodPost, "/grants/"+back.Grant+"/return", nil, nil, nil); err != nil {
		return err
	}
	// An emergency.
	_, err = b.request(ctx, amir, "7", map[string]any{
		"items": items("orders", "edit"), "justification": "INC-2044: orders are down, the config map has a typo", "break_glass": true, "duration_seconds": 900,
	})
	return err
}

// calling has somebody ask for one route of the orders API, and take the credentials for it.
func (b *Borrowers) calling(ctx context.Context, p, approver identity.Person) error {
	r, err := b.request(ctx, p, "8", map[string]any{
		"items":         []map[string]string{{"integration": OrdersAPI, "type": "apigw-route", "resource": "GET /orders/{orderId}", "permission": "invoke"}},
		"justification": "INC-2043: which of the orders are stuck",
	})
	if err != nil || r.State != "pending" {
		return err
	}
	if err := b.vote(ctx, approver, r, true, "Reading is fine."); err != nil {
		return err
	}
	if err := b.call(ctx, p, http.MethodGet, "/requests/"+r.ID, nil, nil, &r); err != nil {
		return err
	}
	if err := b.ready(ctx, p, r.Grant); err != nil {
		return err
	}
	return b.call(ctx, p, http.MethodPost, "/credentials", map[string]any{"integration": OrdersAPI}, nil, nil)
}

// ready waits until a grant has been put in place, or is over.
func (b *Borrowers) ready(ctx context.Context, p identity.Person, grant string) error {
	return b.until(ctx, func() (bool, error) {
		var g struct{ State string }
		err := b.call(ctx, p, http.MethodGet, "/grants/"+grant, nil, nil, &g)
		return g.State != "provisioning", err
	})
}

// person is one of People.
func person(id string) identity.Person {
	for _, p := range People() {
		if p.ID == id {
			return p
		}
	}
	panic("demo: there is no person " + id) // the constants of this file
}

// connect waits until an integration is known, changes its target where it has to be
// changed, as an administrator does once, and waits until it can be lent from.
func (b *Borrowers) connect(ctx context.Context, admin identity.Person, name string) error {
	var in struct {
		Trouble string
		Health  struct{ Resources int }
	}
	path := "/integrations/" + name
	read := func() error { return b.call(ctx, admin, http.MethodGet, path, nil, nil, &in) }
	if err := b.until(ctx, func() (bool, error) { return read() == nil, nil }); err != nil {
		return fmt.Errorf("waiting for %s: %w", name, err)
	}
	if in.Trouble != "" {
		if err := b.call(ctx, admin, http.MethodPost, path+"/connect", map[string]any{"apply": true}, nil, nil); err != nil {
			return fmt.Errorf("connecting %s: %w", name, err)
		}
	}
	err := b.until(ctx, func() (bool, error) {
		if in.Health.Resources == 0 {
			// An API is known once the estate was discovered: until then it is asked again.
			_ = b.call(ctx, admin, http.MethodPost, path+"/discover", nil, nil, nil)
		}
		var flows struct{ Version int }
		err := b.call(ctx, admin, http.MethodGet, "/flows", nil, nil, &flows)
		if err == nil {
			in.Trouble = "" // it is left out where there is none
			err = read()
		}
		return in.Trouble == "" && in.Health.Resources > 0 && flows.Version > 0, err
	})
	if err != nil {
		return fmt.Errorf("waiting until %s can be lent from (%s): %w", name, in.Trouble, err)
	}
	return nil
}

// asked is what the API answers about a request.
type asked struct{ ID, State, Grant string }

func items(namespace, permission string) []map[string]string {
	return []map[string]string{{"integration": Cluster, "type": "eks-namespace", "resource": "namespace/" + namespace, "permission": permission}}
}

// ask sends a request of a person. Its key keeps a demo that goes on with an older state
// from asking twice.
func (b *Borrowers) ask(ctx context.Context, p identity.Person, key, namespace, permission, why string) (asked, error) {
	return b.request(ctx, p, key, map[string]any{"items": items(namespace, permission), "justification": why})
}

func (b *Borrowers) request(ctx context.Context, p identity.Person, key string, body map[string]any) (r asked, err error) {
	err = b.call(ctx, p, http.MethodPost, "/requests", body, map[string]string{"Idempotency-Key": "demo-" + key}, &r)
	if err != nil {
		err = fmt.Errorf("%s asks: %w", p.Name, err)
	}
	return r, err
}

func (b *Borrowers) vote(ctx context.Context, p identity.Person, r asked, approve bool, why string) error {
	if r.State != "pending" {
		return nil
	}
	if err := b.call(ctx, p, http.MethodPost, "/requests/"+r.ID+"/votes", map[string]any{"approve": approve, "reason": why}, nil, nil); err != nil {
		return fmt.Errorf("%s votes: %w", p.Name, err)
	}
	return nil
}

// until asks again until the answer is yes.
func (b *Borrowers) until(ctx context.Context, ready func() (bool, error)) error {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := ready(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// call sends a request as a person who is signed in, and decodes the answer into out.
func (b *Borrowers) call(ctx context.Context, p identity.Person, method, path string, body any, header map[string]string, out any) error {
	client, err := b.client(ctx, p)
	if err != nil {
		return err
	}
	var text []byte
	if body != nil {
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, b.Base+"/api/v1/access"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	answer, err := send(client, r)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(answer, out)
}

// client is a person's browser, signed in by their link.
func (b *Borrowers) client(ctx context.Context, p identity.Person) (*http.Client, error) {
	if c := b.clients[p.ID]; c != nil {
		return c, nil
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	c := &http.Client{Jar: jar, Timeout: 30 * time.Second, Transport: &http.Transport{}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.Link(p), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("signing %s in: the link is not valid", p.Name) // the error would show it
	}
	if _, err := send(c, r); err != nil {
		return nil, fmt.Errorf("signing %s in: %w", p.Name, err)
	}
	b.clients[p.ID] = c
	return c, nil
}

// send returns the body of an answer below 400.
func send(c *http.Client, r *http.Request) ([]byte, error) {
	res, err := c.Do(r)
	if err != nil {
		if u, ok := err.(*url.Error); ok { //nolint:errorlint // Do returns nothing else; its text has the address, and so a link
			err = u.Err
		}
		return nil, fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, err)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	_ = res.Body.Close()
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, err)
	case res.StatusCode >= 400:
		return nil, fmt.Errorf("%s %s answered %s: %s", r.Method, r.URL.Path, res.Status, text)
	}
	return text, nil
}
