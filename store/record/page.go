package record

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// Cursor is what Page.Next holds: the order it belongs to and the values of the
// last endpoint of the page.
type Cursor struct {
	Sort  string `json:"s"`
	Down  bool   `json:"d,omitempty"`
	After []any  `json:"a"`
}

// String is the cursor as a page gives it. Strings in it are written as bytes: a route
// need not be UTF-8, and one that came back changed would lead to another page.
func (c Cursor) String() string {
	after := make([]any, len(c.After))
	for i, v := range c.After {
		if text, ok := v.(string); ok {
			v = []byte(text)
		}
		after[i] = v
	}
	c.After = after
	// Bytes and numbers always encode.
	b, _ := json.Marshal(c)
	return base64.RawURLEncoding.EncodeToString(b)
}

// ReadCursor reads a cursor of an order with so many values, or returns an error that
// wraps inventory.ErrInvalidQuery. Each value is a string, an int64 or a float64.
func ReadCursor(text, sort string, down bool, values int) (Cursor, error) {
	var c Cursor
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		d := json.NewDecoder(strings.NewReader(string(b)))
		d.UseNumber() // a float64 would round large counts
		err = d.Decode(&c)
	}
	if err != nil {
		return c, fmt.Errorf("%w: the cursor is damaged", inventory.ErrInvalidQuery)
	}
	if c.Sort != sort || c.Down != down || len(c.After) != values {
		return c, fmt.Errorf("%w: the cursor belongs to another order", inventory.ErrInvalidQuery)
	}
	for i, v := range c.After {
		switch v := v.(type) {
		case string:
			text, err := base64.StdEncoding.DecodeString(v)
			if err != nil {
				return c, fmt.Errorf("%w: the cursor is damaged", inventory.ErrInvalidQuery)
			}
			c.After[i] = string(text)
		case json.Number:
			if n, err := v.Int64(); err == nil {
				c.After[i] = n
			} else if f, err := v.Float64(); err == nil {
				c.After[i] = f
			}
		default:
			return c, fmt.Errorf("%w: the cursor is damaged", inventory.ErrInvalidQuery)
		}
	}
	return c, nil
}

// CountFacets adds n endpoints to every facet all of whose other filters they
// pass.
func CountFacets(
	out *inventory.Facets, q *inventory.Query, k inventory.StageKey, method string, visibility transaction.Visibility, n int,
) {
	passes := [7]bool{
		q.Account == "" || q.Account == k.Account,
		q.Region == "" || q.Region == k.Region,
		q.APIID == "" || q.APIID == k.APIID,
		q.Stage == "" || q.Stage == k.Stage,
		q.Method == "" || q.Method == method,
		q.APIType == "" || q.APIType == k.APIType,
		q.Visibility == "" || q.Visibility == visibility,
	}
	failed, last := 0, 0
	for i, ok := range passes {
		if !ok {
			failed++
			last = i
		}
	}
	add := [7]func(){
		func() { out.Accounts[k.Account] += n },
		func() { out.Regions[k.Region] += n },
		func() { out.APIs[k.APIID] += n },
		func() { out.Stages[k.Stage] += n },
		func() { out.Methods[method] += n },
		func() { out.APITypes[k.APIType] += n },
		func() { out.Visibilities[visibility] += n },
	}
	switch failed {
	case 0:
		for _, f := range add {
			f()
		}
	case 1:
		add[last]()
	}
}
