package https

import (
	"bytes"
	"encoding/json"
	"math"

	"github.com/gatehouse-project/gatehouse/sink/post"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// rejectionLists are the members of an answer that name calls which were not
// taken.
var rejectionLists = [...]string{"rejected", "errors", "failed"}

// readAnswer reads what an answer says of single calls. An answer that is no
// JSON object says nothing; one that says in a way which cannot be read that
// something was rejected counts as not naming it.
func readAnswer(body []byte, batch []*transaction.Transaction) post.Verdict {
	var v post.Verdict
	body = bytes.TrimSpace(body)
	if len(body) == 0 || body[0] != '{' {
		return v
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return v
	}
	v.Message = text(members, "message", "error", "detail")
	index := make(map[string]int, len(batch))
	for i, t := range batch {
		index[t.ID] = i
	}
	for _, name := range rejectionLists {
		if raw, ok := members[name]; ok {
			readRejections(raw, index, len(batch), &v)
		}
	}
	return v
}

func readRejections(raw json.RawMessage, index map[string]int, n int, v *post.Verdict) {
	var entries []json.RawMessage
	if err := json.Unmarshal(raw, &entries); err != nil {
		// A number of rejected calls, a text, or true.
		switch value := string(bytes.TrimSpace(raw)); value {
		case "null", "false", "0", `""`, "{}":
		default:
			v.Unnamed = true
		}
		return
	}
	for _, entry := range entries {
		r, ok := readRejection(entry, index, n)
		if !ok {
			v.Unnamed = true
			continue
		}
		v.Rejected = append(v.Rejected, r)
	}
}

// readRejection reads one entry: an object, or the id alone.
func readRejection(raw json.RawMessage, index map[string]int, n int) (post.Rejection, bool) {
	var id string
	if json.Unmarshal(raw, &id) == nil {
		i, ok := index[id]
		return post.Rejection{Index: i}, ok
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return post.Rejection{}, false
	}
	r := post.Rejection{Message: text(members, "reason", "message", "error")}
	var retry bool
	if json.Unmarshal(members["retry"], &retry) == nil {
		r.Retry = retry
	} else if status, ok := whole(members["status"]); ok {
		r.Retry = post.StatusClass(status) == post.Later
	}
	if id := text(members, "id"); id != "" {
		i, ok := index[id]
		r.Index = i
		return r, ok
	}
	i, ok := whole(members["index"])
	r.Index = i
	return r, ok && i >= 0 && i < n
}

// text is the first of the named members that is a text and not empty.
func text(members map[string]json.RawMessage, names ...string) string {
	for _, name := range names {
		var s string
		if json.Unmarshal(members[name], &s) == nil && s != "" {
			return s
		}
	}
	return ""
}

func whole(raw json.RawMessage) (int, bool) {
	var f float64
	if json.Unmarshal(raw, &f) != nil || f != math.Trunc(f) || math.Abs(f) > 1<<30 {
		return 0, false
	}
	return int(f), true
}
