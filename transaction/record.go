package transaction

import "strings"

// record is an access record or a delivery record taken apart. It is used again
// for the next one; what is kept is copied out.
type record struct {
	vars       []accessVar
	spans      []span // of vars, as long as each stands in the text as it is
	requestID  string
	extendedID string
	api, stage string
	line       string // of a delivery record: the classic line with its request id
	message    string
	seen       uint64 // fields
	keys       *keyMemo
	key        int // number of the key that is read
	steps      int // of work done on this record
	again      bool
}

// parse takes a message apart, by the group's format if it is known. It returns
// 0, or why the message is no record.
func (r *record) parse(message string, format *AccessFormat, keys *keyMemo) Kind {
	*r = record{vars: r.vars[:0], spans: r.spans[:0], keys: keys}
	switch {
	case message[0] == '{':
		if format != nil && format.json == nil && format.match(r, message, true) && r.identified() {
			return 0
		}
		r.reset()
		return r.parseJSONRecord(message, format)
	case format != nil && format.match(r, message, true):
		if !r.identified() {
			return KindFormatMismatch
		}
		return 0
	}
	r.reset()
	if message[0] == '<' && r.parseXML(message) {
		return 0
	}
	if len(message) > maxPreset || strings.IndexByte(message, ':') < 0 {
		return mismatch(format)
	}
	for _, preset := range presets() {
		r.reset()
		if preset.match(r, message, true) && r.identified() && r.seen>>fieldRequestTime&1 != 0 {
			return 0
		}
	}
	return mismatch(format)
}

// maxPreset is the longest line that is tried against the console's formats.
const maxPreset = 8 << 10

func mismatch(format *AccessFormat) Kind {
	if format != nil {
		return KindFormatMismatch
	}
	return KindNoRequestID
}

func (r *record) reset() { *r = record{vars: r.vars[:0], spans: r.spans[:0], keys: r.keys} }

func (r *record) identified() bool { return r.requestID != "" || r.extendedID != "" }

// parseJSONRecord reads an access record or a delivery record in JSON.
func (r *record) parseJSONRecord(message string, format *AccessFormat) Kind {
	if r.keys != nil && r.keys.shape.match(r, message) {
		return r.kindOfJSON(true, format)
	}
	s := jsonScanner{text: message, record: r}
	if format != nil {
		s.names = format.json
	}
	whole := s.object(1, "", 0) > 0
	if r.again {
		// A key came twice: one of them was written by the caller.
		keys := r.keys
		r.reset()
		r.keys, s.careful = keys, true
		whole = s.object(1, "", 0) > 0
	} else if whole && r.keys != nil {
		r.keys.shape.learn(message, func(key string) memoKey { return s.lookUp("", key) })
	}
	return r.kindOfJSON(whole, format)
}

// kindOfJSON tells what a JSON record is, now that its values are known: 0, or
// why it is none of API Gateway's. It may be cut, and not whole.
func (r *record) kindOfJSON(whole bool, format *AccessFormat) Kind {
	if r.message != "" && r.isDelivery() {
		return 0
	}
	switch {
	case !r.identified() && !whole:
		return KindBrokenJSON
	case !r.identified(), r.seen&tells == 0 && (format == nil || r.seen>>fieldMessage&1 != 0):
		return KindForeignJSON
	}
	return 0
}

// isDelivery reports whether the record wraps a line of the execution log, and
// makes that line whole: some deliveries give the request id in a field of its
// own only.
func (r *record) isDelivery() bool {
	if id, text, bad := splitLine(r.message); bad == 0 && validID(id) &&
		(id == r.requestID || id == r.extendedID || looksLikeRequestID(id) || classify(text) != lineUnknown) {
		r.line = r.message
		return true
	}
	if r.requestID == "" || r.seen&tells != 0 || !validID(r.requestID) {
		return false
	}
	if classify(r.message) == lineUnknown {
		return false
	}
	r.line = "(" + r.requestID + ") " + r.message
	return true
}

// put adds a variable. The first value of a field stands: what comes later
// under the same name may have been written by the caller.
func (r *record) put(f field, value string) {
	if f == fieldNone || value == "" || value == "-" || value == "null" || r.seen>>f&1 != 0 {
		return
	}
	switch f {
	case fieldRequestID:
		r.requestID = value
	case fieldExtendedID:
		r.extendedID = value
	case fieldAPIID:
		r.api = value
	case fieldStage:
		r.stage = value
	case fieldMessage:
		r.message = value
	case fieldErrorMessage, fieldIntegrationError, fieldErrorValidation:
		// error.messageString brings quotes of its own.
		if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
			if value = value[1 : len(value)-1]; value == "" || value == "-" {
				return
			}
		}
	}
	r.seen |= 1 << f
	r.vars = append(r.vars, accessVar{f, value})
}

// putAt adds the variable that stands at from in the record's text.
func (r *record) putAt(f field, value string, from int) {
	n := len(r.vars)
	r.put(f, value)
	if len(r.vars) > n {
		// Quotes may have been taken off both ends.
		kept := len(r.vars[n].value)
		from += (len(value) - kept) / 2
		r.spans = append(r.spans, span{uint32(from), uint32(from + kept), f})
	}
}

// keyMemo remembers which field each key of a feed's records is. Records of one
// format have the same keys in the same order, so that one comparison tells.
type keyMemo struct {
	keys  []memoKey
	shape jsonShape
}

type memoKey struct {
	key   string
	field field
	inner *AccessFormat
}

const maxMemo = 96

// find returns what the n-th key of a record is, if it is the same as last
// time.
func (m *keyMemo) find(n int, key string) (memoKey, bool) {
	if m != nil && n < len(m.keys) && m.keys[n].key == key {
		return m.keys[n], true
	}
	return memoKey{}, false
}

func (m *keyMemo) set(n int, k memoKey) {
	if m == nil || n >= maxMemo || len(k.key) > 128 {
		return
	}
	k.key = strings.Clone(k.key)
	for len(m.keys) <= n {
		m.keys = append(m.keys, memoKey{})
	}
	m.keys[n] = k
}
