package webhook

import (
	_ "embed"
	"encoding/json"
	"time"

	"github.com/gatehouse-project/gatehouse/notify"
)

// Schema is the JSON Schema of the requests' bodies.
//
//go:embed notice.schema.json
var Schema []byte

// body is what is sent. It only ever gains fields.
type body struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      data      `json:"data"`
}

type data struct {
	ID      string         `json:"id"`
	Title   string         `json:"title"`
	Text    string         `json:"text,omitempty"`
	Fields  []notify.Field `json:"fields,omitempty"`
	Thread  string         `json:"thread,omitempty"`
	Link    string         `json:"link,omitempty"`
	Expires time.Time      `json:"expires,omitzero"`
	Loud    bool           `json:"loud,omitempty"`
	// Actions tell what people can do, and where. A webhook decides nothing.
	Actions []action `json:"actions,omitempty"`
}

type action struct {
	ID    string `json:"id"`
	Label string `json:"label"`
	Value string `json:"value,omitempty"`
	URL   string `json:"url,omitempty"`
}

// encode gives the same bytes for the same notice, at each attempt.
func encode(n *notify.Notice) ([]byte, error) {
	b := body{Type: n.Kind, Timestamp: n.Time.UTC(), Data: data{
		ID: n.ID, Title: n.Title, Text: n.Text, Fields: n.Fields, Thread: n.Thread,
		Link: notify.WebURL(n.Link), Expires: n.Expires.UTC(), Loud: n.Loud,
	}}
	for _, a := range n.Actions {
		b.Data.Actions = append(b.Data.Actions, action{ID: a.ID, Label: a.Label, Value: a.Value, URL: notify.WebURL(a.URL)})
	}
	return json.Marshal(b)
}
