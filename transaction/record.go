package transaction

import (
	"math/bits"
	"slices"
	"strings"
)

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
	// What a delivery record may have under keys of its own: the line, the
	// request's id and the ARN of the stage.
	otherLine, otherID, otherARN string
	seen                         uint64 // fields
	keys                         *keyMemo
	key                          int    // number of the key that is read
	steps                        int    // of work done on this record
	text                         string // that the spans speak of
	ambiguous                    int    // values that were left out because they can stand at several places
	again                        bool
	fit                          fitter
}

// parse takes a message apart, by the group's format if it is known. It returns
// 0, or why the message is no record.
func (r *record) parse(raw string, format *AccessFormat, keys *keyMemo) Kind {
	r.keys = keys
	r.reset(raw)
	message := strings.TrimSpace(raw)
	if format != nil {
		// Space at either end may belong to a value, or may be a reader's.
		fits := format.match(r, raw, true)
		if !fits && len(message) < len(raw) {
			r.reset(message)
			fits = format.match(r, message, true)
		}
		switch {
		case fits && r.identified():
			return 0
		case fits && (format.identifies || format.json != nil || message == "" || message[0] != '{'):
			return KindFormatMismatch // nothing else may guess what is where
		}
	}
	r.reset(message)
	if message[0] == '{' {
		return r.parseJSONRecord(message, format)
	}
	if message[0] == '<' && r.parseXML(message) {
		return 0
	}
	if len(message) > maxPreset || strings.IndexByte(message, ':') < 0 {
		return mismatch(format)
	}
	for _, preset := range presets() {
		r.reset(message)
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

// reset begins again with a text.
func (r *record) reset(text string) {
	*r = record{vars: r.vars[:0], spans: r.spans[:0], keys: r.keys, fit: r.fit, text: text}
}

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
	end := s.object(1, "", 0)
	whole := end > 0
	if more := whole && skipSpace(message, end) < len(message); r.again || more {
		if end = r.readAgain(&s); end > 0 && skipSpace(message, end) < len(message) {
			return KindBrokenJSON
		}
		whole = end > 0
	} else if whole && r.keys != nil {
		r.keys.shape.learn(message, func(key string) memoKey { return s.lookUp("", key) })
	}
	return r.kindOfJSON(whole, format)
}

// readAgain reads a record in which a key came twice, or that goes on after its
// end: the caller wrote some of it. Where there is one value that the caller writes, all of what is in
// doubt is part of it. Where there are several, what stands is what two readings
// agree on: one in which they end as early as can be, and one in which they end
// late.
func (r *record) readAgain(s *jsonScanner) (end int) {
	several := bits.OnesCount64(r.seen&callerWrites) > 1
	var early []accessVar
	doubted := uint64(0)
	if several {
		r.reset(s.text)
		s.given = map[field]keyValue{}
		s.object(1, "", 0)
		early, doubted = slices.Clone(r.vars), s.doubted
	}
	r.reset(s.text)
	s.careful, s.given, s.doubted, s.cut = true, map[field]keyValue{}, 0, false
	end = s.object(1, "", 0)
	doubted |= s.doubted
	if several {
		for _, v := range r.vars {
			if !slices.Contains(early, v) {
				doubted |= 1 << v.field
			}
		}
	}
	r.drop(doubted)
	return end
}

// kindOfJSON tells what a JSON record is, now that its values are known: 0, or
// why it is none of API Gateway's. It may be cut, and not whole.
func (r *record) kindOfJSON(whole bool, format *AccessFormat) Kind {
	if (r.message != "" || r.otherLine != "") && r.isDelivery() {
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
//
// The names of the fields are not documented, so any will do. What looks like a
// line under a name that says nothing is only believed in a record that has
// nothing of an access record: there, a caller could have written it.
func (r *record) isDelivery() bool {
	message, id := r.message, r.requestID
	if r.seen&tells == 0 {
		message, id = pick(message, r.otherLine), pick(id, r.otherID)
	}
	if message == "" {
		return false
	}
	if r.api == "" {
		r.api, r.stage = stageOfARN(r.otherARN, r.stage)
	}
	if in, text, bad := splitLine(message); bad == 0 && validID(in) &&
		(in == id || in == r.extendedID || looksLikeRequestID(in) || classify(text) != lineUnknown) {
		r.line = message
		return true
	}
	if id == "" || r.seen&tells != 0 || !validID(id) || classify(message) == lineUnknown {
		return false
	}
	r.line = "(" + id + ") " + message
	return true
}

// mayBeDelivery notes a value under a key that says nothing to access records.
func (r *record) mayBeDelivery(key, value string) {
	switch {
	case value == "":
	case r.otherLine == "" && isLine(value):
		r.otherLine = value
	case r.otherID == "" && looksLikeRequestID(value) && strings.Contains(plainKey(key[:min(len(key), 80)]), "request"):
		r.otherID = value
	case r.otherARN == "" && strings.HasPrefix(value, "arn:") && strings.Contains(value, ":apigateway:"):
		r.otherARN = value
	}
}

// isLine reports whether a value is a line of an execution log, with its request
// id or without.
func isLine(value string) bool {
	if value[0] != '(' {
		return classify(value) != lineUnknown
	}
	id, _, bad := splitLine(value)
	return bad == 0 && validID(id)
}

// stageOfARN reads arn:aws:apigateway:REGION::/restapis/API/stages/STAGE, or
// /apis/API/stages/STAGE. What it does not tell is left as it is.
func stageOfARN(arn, stage string) (api, name string) {
	for _, kind := range [...]string{"/restapis/", "/apis/"} {
		_, rest, ok := strings.Cut(arn, kind)
		if !ok {
			continue
		}
		api, rest, _ = strings.Cut(rest, "/")
		if !isAPIID(api) {
			return "", stage
		}
		named, _ := strings.CutPrefix(rest, "stages/")
		named, _, _ = strings.Cut(named, "/")
		return api, pick(stage, named)
	}
	return "", stage
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
	}
	r.seen |= 1 << f
	r.vars = append(r.vars, accessVar{f, value})
}

// drop leaves out values of fields of which a caller may have written some.
func (r *record) drop(fields uint64) {
	if fields == 0 {
		return
	}
	r.vars = slices.DeleteFunc(r.vars, func(v accessVar) bool { return v.field.in(fields) })
	r.ambiguous += bits.OnesCount64(fields)
	r.seen &^= fields
	for f, value := range map[field]*string{
		fieldRequestID: &r.requestID, fieldExtendedID: &r.extendedID, fieldAPIID: &r.api, fieldStage: &r.stage, fieldMessage: &r.message,
	} {
		if f.in(fields) {
			*value = ""
		}
	}
}

// putAt adds the variable that stands at from in the record's text.
func (r *record) putAt(f field, value string, from int) {
	n := len(r.vars)
	r.put(f, value)
	if len(r.vars) > n {
		r.spans = append(r.spans, span{uint32(from), uint32(from + len(value)), f})
	}
}

// putQuoted adds a message, which may have quotes of its own: error.messageString
// brings them, and is escaped.
func (r *record) putQuoted(f field, value string) { r.put(f, unquote(value)) }

func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	if s = s[1 : len(s)-1]; strings.IndexByte(s, '\\') >= 0 {
		return unescape(s)
	}
	return s
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
