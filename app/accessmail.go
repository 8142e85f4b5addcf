package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/notify"
)

// mailer sends the notices of lending over the channels of the settings.
type mailer struct {
	router *notify.Router
	// base is the address of the pages, without a slash at the end; empty: no links.
	base string
}

var _ access.Mailer = (*mailer)(nil)

// Plan writes one letter for each address of each channel.
func (m *mailer) Plan(n access.Notice) ([]access.Letter, error) {
	deliveries := m.router.Plan(m.notice(&n))
	letters := make([]access.Letter, 0, len(deliveries))
	for i := range deliveries {
		d := &deliveries[i]
		body, err := json.Marshal(d)
		if err != nil {
			return nil, fmt.Errorf("writing a letter: %w", err)
		}
		letters = append(letters, access.Letter{Key: d.Key(), Channel: d.Channel, Thread: d.Notice.Thread, Body: body, At: n.At})
	}
	return letters, nil
}

// Deliver sends a letter.
func (m *mailer) Deliver(ctx context.Context, l access.ClaimedLetter) ([]byte, error) {
	var d notify.Delivery
	if err := json.Unmarshal(l.Body, &d); err != nil {
		return nil, fmt.Errorf("%w: the letter cannot be read: %w", access.ErrUndeliverable, err)
	}
	for _, text := range l.Earlier {
		var r notify.Receipt
		// A receipt that cannot be read leaves one old message with its buttons, which
		// say that it is decided; the letter is worth more.
		if len(text) > 0 && json.Unmarshal(text, &r) == nil {
			d.Earlier = append(d.Earlier, r)
		}
	}
	receipt, err := m.router.Deliver(ctx, d)
	switch {
	case notify.IsPermanent(err):
		return nil, fmt.Errorf("%w: %w", access.ErrUndeliverable, err)
	case err != nil:
		return nil, err
	}
	return json.Marshal(receipt)
}

// notice puts what happened into words.
func (m *mailer) notice(n *access.Notice) notify.Notice {
	out := notify.Notice{ID: n.ID, Kind: n.Kind, Time: n.At, Thread: n.Thread, Loud: n.Loud, Text: n.Text}
	for _, id := range n.To {
		// Who has no address, such as whoever holds the admin token, is told nothing.
		if strings.Contains(id, "@") {
			out.To = append(out.To, notify.Recipient{Email: id})
		}
	}
	switch {
	case n.Request != nil && strings.HasPrefix(n.Kind, "request."), n.Request != nil && n.Grant == nil:
		m.ofRequest(n, &out)
	case n.Grant != nil:
		m.ofGrant(n, &out)
	default:
		m.ofRest(n, &out)
	}
	return out
}

// field adds a value if there is one.
func field(to *notify.Notice, name, value string) {
	if value != "" {
		to.Fields = append(to.Fields, notify.Field{Name: name, Value: value})
	}
}

func whom(p *flow.Person) string {
	if p.Name == "" || p.Name == p.ID {
		return p.ID
	}
	return p.Name + " (" + p.ID + ")"
}

func (m *mailer) ofRequest(n *access.Notice, out *notify.Notice) {
	r := n.Request
	what := "access to " + r.Title()
	if r.Extends != "" {
		what = "more time for " + r.Title()
	}
	who := whom(&r.By)
	switch n.Kind {
	case "request.created":
		out.Title = who + " asks for " + what
	case "request.escalated":
		out.Title = who + " still waits for " + what
	case "request.approved":
		out.Title = "Approved: " + what + " for " + whom(&r.For)
	case "request.denied":
		out.Title = "Denied: " + what + " for " + whom(&r.For)
	case "request.cancelled":
		out.Title = "Withdrawn: " + what + " for " + whom(&r.For)
	case "request.lapsed":
		out.Title = "Nobody answered: " + what + " for " + whom(&r.For)
	case "breakglass.used":
		out.Title = who + " broke the glass for " + what
	default:
		out.Title = n.Kind + ": " + what
	}
	if r.For.ID != r.By.ID {
		field(out, "For", whom(&r.For))
	}
	field(out, "What", itemLines(r.Items))
	field(out, "How long", flow.FormatDuration(r.Duration))
	field(out, "Why", r.Justification)
	field(out, "Flow", r.Rule.Flow)
	if n.By != "" && n.By != r.By.ID {
		field(out, "By", n.By)
	}
	out.Link = m.link("/access/requests/" + url.PathEscape(r.ID))
	switch n.Kind {
	case "request.created", "request.escalated":
		field(out, "Can decide", people(n.To))
		out.Expires = r.LapsesAt
		out.Actions = []notify.Action{
			{ID: notify.Approve, Label: "Approve", Style: "primary", Value: r.ID, URL: out.Link, Reason: r.Rule.ApproverReason},
			{ID: notify.Deny, Label: "Deny", Style: "danger", Value: r.ID, URL: out.Link, Reason: true},
		}
	case "breakglass.used":
		if r.Grant != "" {
			out.Link = m.link("/access/grants/" + url.PathEscape(r.Grant))
			out.Actions = []notify.Action{{ID: notify.Revoke, Label: "Revoke", Style: "danger", Value: r.Grant, URL: out.Link, Reason: true}}
		}
	}
}

func (m *mailer) ofGrant(n *access.Notice, out *notify.Notice) {
	g := n.Grant
	what, who := g.Title(), whom(&g.Person)
	items := make([]flow.Item, len(g.Items))
	for i := range g.Items {
		items[i] = g.Items[i].Item
	}
	out.Link = m.link("/access/grants/" + url.PathEscape(g.ID))
	extend := notify.Action{ID: notify.Extend, Label: "Extend", Value: g.ID, URL: out.Link}
	switch n.Kind {
	case "grant.ready":
		out.Title = "Ready: access to " + what
	case "grant.ending":
		out.Title = "Ends soon: access to " + what
		out.Expires = g.ExpiresAt
		out.Actions = []notify.Action{extend}
	case "grant.extended":
		out.Title = "Extended: access to " + what
	case "grant.ended":
		out.Title = "Ended: access to " + what
	case "grant.failed":
		out.Title = "Access to " + what + " could not be put in place"
	default:
		out.Title = n.Kind + ": access to " + what + " of " + who
	}
	field(out, "Who", who)
	field(out, "What", itemLines(items))
	if g.State == access.Active {
		field(out, "Until", g.ExpiresAt.UTC().Format("2006-01-02 15:04 MST"))
	}
	if g.State == access.Ended {
		field(out, "Ended because it was", string(g.EndReason))
	}
	field(out, "By", n.By)
}

func (m *mailer) ofRest(n *access.Notice, out *notify.Notice) {
	switch n.Kind {
	case "grant.late":
		out.Title = "Access is late on " + n.Integration
		out.Link = m.link("/access/grants?integration=" + url.QueryEscape(n.Integration))
	case "panic.used":
		out.Title = "Lending was stopped by " + n.By
		out.Link = m.link("/access/grants")
	case "panic.lifted":
		out.Title = "Lending goes on: " + n.By + " lifted the stop"
		out.Link = m.link("/access/grants")
	case "drift.found":
		out.Title = "Something differs from what is lent on " + n.Integration
	case "integration.failed":
		out.Title = "Nothing can be lent from " + n.Integration
	default:
		out.Title = n.Kind
	}
	if out.Link == "" && n.Integration != "" {
		out.Link = m.link("/access/integrations/" + url.PathEscape(n.Integration))
	}
	field(out, "Integration", n.Integration)
}

func (m *mailer) link(path string) string {
	if m.base == "" {
		return ""
	}
	return m.base + path
}

// linesAtMost is how many permissions a notice names.
const linesAtMost = 10

func itemLines(items []flow.Item) string {
	var b strings.Builder
	for i := range items {
		if i == linesAtMost {
			fmt.Fprintf(&b, "\nand %d more", len(items)-i)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		r := &items[i].Resource
		where := r.Path
		if where == "" {
			where = r.Name
		}
		fmt.Fprintf(&b, "%s on %s (%s)", items[i].Permission, where, r.Integration)
	}
	return b.String()
}

// people names those who can decide.
func people(ids []string) string {
	if len(ids) > linesAtMost {
		return strings.Join(ids[:linesAtMost], ", ") + fmt.Sprintf(" and %d more", len(ids)-linesAtMost)
	}
	return strings.Join(ids, ", ")
}
