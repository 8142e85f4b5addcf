package dashboard

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// sample is a transaction as the endpoint's page shows it.
type sample struct {
	*transaction.Transaction
	At       time.Time
	Open     bool
	Status   int
	Class    string
	Facts    []fact
	Query    []fact
	Request  *message
	Response *message
	Command  string // rebuilds this call from its logs
}

// fact is a name and a value; Copy puts a button beside it.
type fact struct {
	Name, Value string
	Copy        bool
}

// message is a request or a response.
type message struct {
	Headers   []fact
	Body      string
	Left      int // bytes of the body that are not on the page
	Truncated bool
	Seen      bool
}

// maxBody is how much of a body a page shows; the API gives all that was kept.
const maxBody = 32 << 10

func messageOf(headers map[string][]string, body string, truncated, seen bool) *message {
	m := &message{Headers: pairs(headers), Truncated: truncated, Seen: seen}
	if len(body) > maxBody {
		m.Left = len(body) - maxBody
		body = strings.ToValidUTF8(body[:maxBody], "")
	}
	m.Body = pretty(body)
	return m
}

func sampleOf(t *transaction.Transaction, open bool) sample {
	s := sample{Transaction: t, At: t.Time.Time(), Open: open, Query: pairs(t.Query)}
	if t.Response != nil {
		s.Status = t.Response.Status
	}
	s.Class = statusClass(s.Status)
	s.Request, s.Response = &message{}, &message{}
	if r := t.Request; r != nil {
		s.Request = messageOf(r.Headers, r.Body, r.Truncated, true)
	}
	if r := t.Response; r != nil {
		s.Response = messageOf(r.Headers, r.Body, r.Truncated, len(r.Headers) > 0 || r.Body != "")
	}
	s.facts()
	s.Command = parseCommand(t)
	return s
}

func (s *sample) facts() {
	t := s.Transaction
	add := func(name, value string, copied bool) {
		if value != "" {
			s.Facts = append(s.Facts, fact{name, value, copied})
		}
	}
	took := func(ms *int64) string {
		if ms == nil {
			return ""
		}
		return count(*ms) + " ms"
	}
	add("Request id", t.RequestID, true)
	add("Extended request id", t.ExtendedRequestID, true)
	if c := t.Caller; c != nil {
		who := c.ARN
		for _, other := range []string{c.Principal, c.APIKeyID, c.Account} {
			if who == "" {
				who = other
			}
		}
		add("Caller", strings.TrimSpace(string(c.Kind)+" "+who), who != "")
	}
	add("Source IP", t.SourceIP, true)
	add("User agent", t.UserAgent, false)
	add("Host", t.Host, true)
	add("Protocol", t.Protocol, false)
	add("Latency", took(t.LatencyMS), false)
	if i := t.Integration; i != nil {
		add("Integration", i.URI, true)
		if i.Status != 0 {
			add("Integration status", strconv.Itoa(i.Status), false)
		}
		add("Integration latency", took(i.LatencyMS), false)
		add("Integration error", i.Error, false)
	}
	if a := t.Authorizer; a != nil {
		add("Authorizer", strings.TrimSpace(a.ID+" "+a.Outcome), false)
		add("Authorizer latency", took(a.LatencyMS), false)
	}
	if e := t.Error; e != nil {
		add("Error", strings.TrimSpace(e.Type+" "+e.Message), false)
	}
	add("Connection id", t.ConnectionID, true)
	add("Event type", t.EventType, false)
	if l := t.Log; l != nil {
		add("Log group", l.Group, true)
		add("Log events", strconv.Itoa(l.Events), false)
	}
	add("Transaction id", t.ID, true)
}

func pairs(m map[string][]string) []fact {
	names := make([]string, 0, len(m))
	for k := range m {
		names = append(names, k)
	}
	slices.Sort(names)
	out := make([]fact, 0, len(m))
	for _, k := range names {
		for _, v := range m[k] {
			out = append(out, fact{Name: k, Value: v})
		}
	}
	return out
}

// parseCommand reads this call's events from CloudWatch and rebuilds it; "" if
// the logs did not tell enough for that.
func parseCommand(t *transaction.Transaction) string {
	if t.Log == nil || t.Log.Group == "" || t.RequestID == "" || t.Region == "" || t.Time.IsZero() || strings.Contains(t.RequestID, `"`) {
		return ""
	}
	group, ok := quoted(t.Log.Group)
	id, ok2 := quoted(`"` + t.RequestID + `"`)
	region, ok3 := quoted(t.Region)
	if !ok || !ok2 || !ok3 {
		return ""
	}
	at := t.Time.Time()
	return fmt.Sprintf("aws logs filter-log-events --region %s --log-group-name %s --filter-pattern %s --start-time %d --end-time %d | gatehouse parse --log-group %s",
		region, group, id, at.Add(-time.Minute).UnixMilli(), at.Add(5*time.Minute).UnixMilli(), group)
}
