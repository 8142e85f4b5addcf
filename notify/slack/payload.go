package slack

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/gatehouse-project/gatehouse/notify"
)

// payload is what Gatehouse reads of an interaction. Names of people are left out
// on purpose: they prove nothing.
type payload struct {
	Type      string `json:"type"`
	TriggerID string `json:"trigger_id"`
	User      struct {
		ID string `json:"id"`
	} `json:"user"`
	Container struct {
		ChannelID string `json:"channel_id"`
		MessageTS string `json:"message_ts"`
	} `json:"container"`
	Message struct {
		Blocks json.RawMessage `json:"blocks"`
	} `json:"message"`
	Actions []struct {
		ActionID string `json:"action_id"`
		Value    string `json:"value"`
	} `json:"actions"`
	View struct {
		CallbackID      string `json:"callback_id"`
		PrivateMetadata string `json:"private_metadata"`
		State           struct {
			Values map[string]map[string]struct {
				Value *string `json:"value"`
			} `json:"values"`
		} `json:"state"`
	} `json:"view"`
}

// click is a button of a message, or the dialog that came after it.
type click struct {
	Action  string `json:"action"`
	Value   string `json:"value"`
	Channel string `json:"channel,omitempty"`
	TS      string `json:"ts,omitempty"`

	user    string
	trigger string
	ask     bool // opens the dialog for the reason
	asked   bool // comes from the dialog
	reason  string
	blocks  json.RawMessage // of the message
}

const (
	dialogID  = "gatehouse.reason"
	maxReason = 1000
	// maxID is longer than any id of Slack.
	maxID = 64
)

// errIgnored is an interaction that asks nothing of Gatehouse: a button that only
// opens a page, a dialog that was closed.
var errIgnored = errors.New("nothing to do")

// parse reads the payload of an interaction. A dialog without a reason gives a
// click with an empty one.
func parse(text string) (*click, error) {
	var p payload
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return nil, fmt.Errorf("reading the payload: %w", err)
	}
	var c click
	switch p.Type {
	case "block_actions":
		if len(p.Actions) == 0 {
			return nil, errIgnored
		}
		// Slack sends one action for one click.
		action, ask, ok := readActionID(p.Actions[0].ActionID)
		if !ok {
			return nil, errIgnored
		}
		c = click{
			Action: action, Value: p.Actions[0].Value, Channel: p.Container.ChannelID, TS: p.Container.MessageTS,
			ask: ask, blocks: p.Message.Blocks, trigger: p.TriggerID,
		}
	case "view_submission":
		if p.View.CallbackID != dialogID {
			return nil, errIgnored
		}
		if err := json.Unmarshal([]byte(p.View.PrivateMetadata), &c); err != nil {
			return nil, fmt.Errorf("reading what the dialog is about: %w", err)
		}
		if v := p.View.State.Values["reason"]["reason"].Value; v != nil {
			c.reason = notify.Clean(*v, true)
		}
		c.asked = true
	default:
		return nil, errIgnored
	}
	c.user = p.User.ID
	switch {
	case !isAction(c.Action) || !isID(c.Value):
		return nil, errors.New("the button has no action or no request")
	case !isSlackID(c.user):
		return nil, errors.New("the payload does not say who clicked")
	case c.Channel != "" && !isSlackID(c.Channel) || len(c.TS) > maxID:
		return nil, errors.New("the payload has a message that cannot be")
	case utf8.RuneCountInString(c.reason) > maxReason:
		return nil, fmt.Errorf("the reason is longer than %d characters", maxReason)
	}
	return &c, nil
}

// isSlackID accepts ids such as U012AB3CD.
func isSlackID(s string) bool {
	if s == "" || len(s) > maxID {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
