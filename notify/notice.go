package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// Notice is one thing to tell. Its texts are plain text that may come from
// anyone: each channel escapes them for its own form.
type Notice struct {
	// ID is the idempotency key: a notice that is planned or sent again keeps it.
	ID string `json:"id"`
	// Kind is what happened, such as request.created, request.approved,
	// request.denied, request.expiring, request.expired, request.escalated,
	// grant.ready, grant.ending, grant.ended, grant.late, grant.failed,
	// breakglass.used, panic.used, drift.found. The part before the dot is its
	// subject.
	Kind   string  `json:"kind"`
	Title  string  `json:"title"`
	Text   string  `json:"text,omitempty"`
	Fields []Field `json:"fields,omitempty"`
	// To are those who are told beside those that the settings name.
	To      []Recipient `json:"to,omitempty"`
	Actions []Action    `json:"actions,omitempty"`
	// Link is the page that shows it all; http or https.
	Link string `json:"link,omitempty"`
	// Time is when it happened. Expires is until when the Actions can be taken;
	// zero: they do not end.
	Time    time.Time `json:"time"`
	Expires time.Time `json:"expires,omitzero"`
	// Thread names what belongs together, such as one request.
	Thread string `json:"thread,omitempty"`
	// Closes says that earlier messages of the thread about the same subject offer
	// nothing to do any more. The kinds in closing do so without it.
	Closes bool `json:"closes,omitempty"`
	// Loud notices go to every channel, whatever kinds it is set to.
	Loud bool `json:"loud,omitempty"`
}

// Field is a named value of a Notice: who, what, why, how long, who may decide.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Recipient is one person, by e-mail address or Slack id or both, or one Slack
// channel, or one webhook by its name in the settings.
type Recipient struct {
	Email   string `json:"email,omitempty"`
	SlackID string `json:"slack_id,omitempty"`
	// Channel is a Slack channel: its id, or #name.
	Channel string `json:"channel,omitempty"`
	Webhook string `json:"webhook,omitempty"`
}

// The actions that a person can take.
const (
	Approve = "approve"
	Deny    = "deny"
	Revoke  = "revoke"
	Extend  = "extend"
	Open    = "open" // only follows the URL
)

// Action is something that a person can do about a Notice.
type Action struct {
	// ID is Approve, Deny, Revoke, Extend or Open.
	ID    string `json:"id"`
	Label string `json:"label"`
	// Style is primary, danger or empty.
	Style string `json:"style,omitempty"`
	// Value is the id of the request or the grant.
	Value string `json:"value,omitempty"`
	// URL is the page where the same can be done, for channels without buttons.
	URL string `json:"url,omitempty"`
	// Reason asks the person for a reason first.
	Reason bool `json:"reason,omitempty"`
}

// closing are the kinds after which there is nothing left to do in the messages
// before them.
var closing = []string{
	"request.approved", "request.denied", "request.expired", "request.lapsed", "request.cancelled",
	"grant.ended", "grant.revoked",
}

// IsClosing reports whether earlier messages of the thread about the same subject
// are to lose their buttons.
func (n *Notice) IsClosing() bool { return n.Closes || slices.Contains(closing, n.Kind) }

// Subject is the part of a kind before the dot: request, grant.
func Subject(kind string) string {
	subject, _, _ := strings.Cut(kind, ".")
	return subject
}

// Delivery is one row of the outbox: a Notice for one address of one channel.
type Delivery struct {
	// Channel is slack, email or webhook:NAME.
	Channel string `json:"channel"`
	// Address is a person or place of the channel. Empty: the row reaches nobody
	// new but brings the earlier messages of the thread up to date.
	Address string `json:"address,omitempty"`
	Notice  Notice `json:"notice"`
	// Earlier are the receipts of the same channel and thread, oldest first. The
	// outbox fills them in before it delivers.
	Earlier []Receipt `json:"-"`
}

// Key is the same for the same notice, channel and address: 32 hexadecimal digits.
func (d *Delivery) Key() string {
	sum := sha256.Sum256([]byte(d.Notice.ID + "\x00" + d.Channel + "\x00" + d.Address))
	return hex.EncodeToString(sum[:16])
}

// Receipt says where a delivery is found. It holds no secret.
type Receipt struct {
	Channel string `json:"channel"`
	Address string `json:"address,omitempty"`
	Kind    string `json:"kind"`
	// Place and ID find a message again: Slack's channel id and timestamp; for
	// e-mail ID is the Message-ID, for a webhook the webhook-id.
	Place string `json:"place,omitempty"`
	ID    string `json:"id,omitempty"`
	// Open says that the message had buttons that decide something.
	Open bool      `json:"open,omitempty"`
	Time time.Time `json:"time"`
}

// Sender sends over one channel. Its errors are *Error; any other is taken for a
// temporary failure. It is safe for concurrent use.
type Sender interface {
	Send(ctx context.Context, d Delivery) (Receipt, error)
}
