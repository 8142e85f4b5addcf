package slack

import (
	"testing"
	"unicode/utf8"

	"github.com/gatehouse-project/gatehouse/notify"
)

// Whatever comes, the parser does not panic, and what it takes is an action on an
// id by a user.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"type":"block_actions","trigger_id":"1","user":{"id":"U1"},"container":{"channel_id":"C1","message_ts":"1.2"},"actions":[{"action_id":"approve:0","value":"req-1"}]}`,
		`{"type":"block_actions","user":{"id":"U1"},"actions":[{"action_id":"deny:reason:1","value":"req-1"}],"message":{"blocks":[{}]}}`,
		`{"type":"view_submission","user":{"id":"U1"},"view":{"callback_id":"gatehouse.reason","private_metadata":"{\"action\":\"deny\",\"value\":\"r\",\"channel\":\"C1\",\"ts\":\"1\"}","state":{"values":{"reason":{"reason":{"value":"no"}}}}}}`,
		`{"type":"view_submission","view":{"callback_id":"gatehouse.reason","private_metadata":"null"}}`,
		`{"type":"block_actions","actions":[null]}`, `[]`, `null`, ``, `{`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := parse(s)
		if err != nil {
			if c != nil {
				t.Error("an error and a click")
			}
			return
		}
		if !isAction(c.Action) || !isID(c.Value) || !isSlackID(c.user) || utf8.RuneCountInString(c.reason) > maxReason || c.ask && c.asked {
			t.Errorf("%q became %+v", s, c)
		}
	})
}

func TestActionIDs(t *testing.T) {
	t.Parallel()
	for _, id := range []string{notify.Approve, notify.Deny, notify.Revoke, notify.Extend} {
		for _, ask := range []bool{false, true} {
			action, reason, ok := readActionID(actionID(notify.Action{ID: id, Reason: ask}, 3))
			if action != id || reason != ask || !ok {
				t.Errorf("%s, %v became %s, %v, %v", id, ask, action, reason, ok)
			}
		}
	}
	for _, id := range []string{"", "open", "open:1", "approve2:0", "Approve:0", "reason:approve"} {
		if _, _, ok := readActionID(id); ok {
			t.Errorf("%q is an action", id)
		}
	}
}
