package transaction

import "strings"

// Add adds an event to the call it belongs to. The message of a held event is
// kept until its call is taken.
func (f *Feed) Add(ev *Event) Disposition {
	f.detached = false
	message := ev.Message
	if message == "" {
		return unparsed(KindEmpty)
	}
	if message[0] == '(' && !f.isParenthesized(message) {
		return f.addLine(ev, message, false)
	}
	return f.addRecord(ev)
}

// isParenthesized reports whether a message that begins as an execution line does
// may rather be a record of the group's access format, whose lines can begin so
// too. In a group of API Gateway's own execution logs, what reads as one of their
// lines is one; in any other, a caller could have written it into a record.
func (f *Feed) isParenthesized(message string) bool {
	if f.format == nil || !f.format.parenthesized {
		return false
	}
	if f.group.isExecution() {
		_, text, bad := splitLine(message)
		return bad != 0 || classify(text) == lineUnknown
	}
	return true
}

// addRecord adds an event that is not a plain execution line: an access record,
// a delivery record, or nothing of API Gateway's.
func (f *Feed) addRecord(ev *Event) Disposition {
	message := strings.TrimSpace(ev.Message)
	switch {
	case message == "":
		return unparsed(KindEmpty)
	case message[0] == '(' && !f.isParenthesized(message):
		return f.addLine(ev, message, false)
	case message[0] != '{' && isBinary(message):
		return unparsed(KindBinary)
	}
	r := &f.a.scratch.record
	kind := r.parse(ev.Message, f.format, &f.keys)
	f.ambiguous += int64(r.ambiguous)
	if kind != 0 && message[0] == '(' && (r.text == message || kind != KindFormatMismatch) {
		return f.addLine(ev, message, false)
	}
	if kind != 0 {
		return unparsed(kind)
	}
	if r.line != "" {
		return f.addLine(ev, r.line, true)
	}
	return f.addAccess(ev, r.text, r)
}

// addLine adds an execution line, which begins with the request id.
func (f *Feed) addLine(ev *Event, message string, delivery bool) Disposition {
	id, text, bad := splitLine(message)
	if bad != 0 {
		return unparsed(bad)
	}
	h := held{
		text: text, id: ev.ID, at: ev.Timestamp, logged: ev.Logged, digest: ev.Digest(),
		kind: classify(text), delivery: delivery,
	}
	h.terminal = h.kind.in(terminals) || isSocketEnd(h.kind, text)
	a := f.a
	s := f.stage
	if delivery {
		s = f.stageNamed(a.scratch.record.api, a.scratch.record.stage)
	}
	c := f.last
	if c == nil || c.state != stateOpen || c.key != id || c.stage != s || c.shared ||
		h.kind == lineExtendedID || !a.takes(c, &h) {
		hash := a.index.hash(id)
		if c = a.find(id, hash, s, ev.Stream, &h); c == nil {
			if a.isLate(id, s, &h) {
				return Disposition{Outcome: Late}
			}
			switch {
			case !validID(id):
				return unparsed(KindBadRequestID)
			case h.kind == lineUnknown && !looksLikeRequestID(id):
				return unparsed(KindUnknownLine)
			}
			c = a.start(id, hash, s, ev.Stream)
		}
		f.last = c
	}
	if !c.hasLines {
		c.hasLines, c.rid, c.stream = true, id, ev.Stream
	}
	if h.kind == lineExtendedID && c.ext == "" {
		if ext, cut := cutTruncated(strings.TrimSpace(cutLabel(text, prefixExtendedID))); !cut {
			c.ext = ext
			a.extend(c)
			a.absorbRecord(c)
		}
	}
	if c.stage != s || s != f.stage || !f.exec {
		a.settle(c, f, s)
		f.linkExec(c.stage)
	}
	return a.hold(c, f, &h)
}

// stageNamed is the stage that a record names, or the feed's own where it names
// none.
func (f *Feed) stageNamed(api, name string) *stage {
	if api == "" && name == "" {
		return f.stage
	}
	if n := &f.named; n.stage != nil && n.api == api && n.name == name {
		return n.stage
	}
	k := f.stage.stageKey
	if api != "" && api != k.api {
		// A record of another API than the group was thought to belong to.
		k.api, k.name = api, ""
	}
	k.name = pick(name, k.name)
	if k.api == "" {
		return f.stage // a stage's name alone says nothing
	}
	s := f.a.stages[k]
	if s == nil {
		k.api, k.name = strings.Clone(k.api), strings.Clone(k.name)
		if s = f.a.stageFor(k); s == nil {
			return f.stage
		}
	}
	f.named = namedStage{strings.Clone(api), strings.Clone(name), s}
	return s
}

// settle puts a call under the stage that more is known of, now that an event of
// f, which speaks of s, belongs to it.
func (a *Assembler) settle(c *openCall, f *Feed, s *stage) {
	if s != c.stage && s.knows() > c.stage.knows() {
		from := c.stage
		c.stage = s
		if c.in != placeNone {
			from.due.remove(c)
			s.due.set(c, c.due)
		}
		for i := range c.parts {
			c.parts[i].feed.link(s)
		}
	}
	f.link(c.stage)
}

// maxSharing is how many of the open calls under one id are looked at, the
// youngest first: a caller that uses one id for thousands of calls at a time must
// not cost the square of them.
const maxSharing = 128

// find returns the open call that an execution line belongs to, or nil if it
// begins another one.
func (a *Assembler) find(id string, hash uint64, s *stage, stream string, h *held) *openCall {
	head := a.index.find(id, hash)
	if h.kind == lineExtendedID {
		return a.findExtended(head, id, s, h)
	}
	var other *openCall
	for c, n := head, 0; c != nil && n < maxSharing; c, n = c.next, n+1 {
		if !c.stage.compatible(s) {
			continue
		}
		if !a.takes(c, h) {
			if c.seen&once>>h.kind&1 != 0 && c.holds(h.digest) {
				return c // the same event twice
			}
			continue
		}
		if c.stream == stream || !c.hasLines {
			return c
		}
		if other == nil {
			other = c
		}
	}
	return other
}

// findExtended finds the call of an Extended Request Id line: the one that is
// known to have it, or the youngest that has none yet.
func (a *Assembler) findExtended(head *openCall, id string, s *stage, h *held) *openCall {
	ext := strings.TrimSpace(cutLabel(h.text, prefixExtendedID))
	var fresh *openCall
	for c, n := head, 0; c != nil && n < maxSharing; c, n = c.next, n+1 {
		if !c.stage.compatible(s) {
			continue
		}
		if c.ext == ext {
			return c
		}
		if c.ext == "" && fresh == nil && a.takes(c, h) {
			fresh = c
		}
	}
	if fresh != nil || !a.byExt {
		return fresh
	}
	// An access record that gives only the extended id may have come first.
	for c := a.index.find(ext, a.index.hash(ext)); c != nil; c = c.next {
		if c.key == c.ext && !c.hasLines && c.stage.compatible(s) {
			a.rekey(c, id)
			return c
		}
	}
	return nil
}

// rekey puts a call that was known by its extended id alone under its request
// id.
func (a *Assembler) rekey(c *openCall, id string) {
	a.unindex(c)
	c.key, c.hash = id, a.index.hash(id)
	a.index.put(c)
	a.extend(c)
}

// takes reports whether an execution line can belong to c: c has no line of its
// kind yet where a call has only one, and c did not end long before.
func (a *Assembler) takes(c *openCall, h *held) bool {
	if c.seen&once>>h.kind&1 != 0 {
		return false
	}
	return !c.ended || h.own() <= c.terminal || h.kind.in(trailers) || h.own() <= addTime(c.terminal, a.grace)
}

// longestCall is more than a call can last, in milliseconds.
const longestCall = 15 * 60 * 1000

// isLate reports whether a line without an open call belongs to one that was
// closed. A caller that uses one request id again and again must not hide its
// calls as late lines of the first, so what cannot be of the closed call begins
// another one.
func (a *Assembler) isLate(id string, s *stage, h *held) bool {
	c, ok := a.closedCall(id, s)
	if !ok {
		return false
	}
	if h.kind == lineExtendedID {
		ext := hash32(strings.TrimSpace(cutLabel(h.text, prefixExtendedID)))
		if c.ext == ext {
			return true
		}
		if c.has(flagExtended) {
			return false
		}
	}
	switch {
	case h.at == 0:
		return true
	case c.has(flagEnded) && !h.kind.in(trailers):
		return h.own() <= addTime(c.newest, a.grace)
	default:
		return h.own() <= addTime(c.newest, longestCall)
	}
}

func (a *Assembler) closedCall(id string, s *stage) (closedCall, bool) {
	if a.closed.live == 0 {
		return closedCall{}, false
	}
	if c, ok := a.closed.get(a.digest(s, id)); ok {
		return c, true
	}
	if s.loose() || len(a.loose) == 0 {
		return closedCall{}, false
	}
	c, ok := a.closed.get(looseDigest(s, id))
	if ok {
		if n := c.stage & (1<<stageBits - 1); n > 0 && !a.list[n-1].compatible(s) {
			return closedCall{}, false
		}
	}
	return c, ok
}

// addAccess adds an access record.
func (f *Feed) addAccess(ev *Event, message string, r *record) Disposition {
	a := f.a
	rid, ext := r.requestID, r.extendedID
	if !validID(pick(rid, ext)) {
		return unparsed(KindBadRequestID)
	}
	if rid == "" && !a.byExt {
		a.byExt = true
		for c := a.oldest; c != nil; c = c.younger {
			a.extend(c)
		}
	}
	s := f.stageNamed(r.api, r.stage)
	h := held{text: message, id: ev.ID, at: ev.Timestamp, logged: ev.Logged, digest: ev.Digest(), kind: lineRecord, terminal: true}
	key := rid
	if key == "" {
		key = ext
	}
	hash := a.index.hash(key)
	c := a.findForRecord(key, hash, rid, ext, s, &h)
	if c == nil {
		if late, where := a.isLateRecord(key, ext, s, &h); late {
			if where != nil {
				f.link(where)
			}
			return Disposition{Outcome: Late}
		}
		c = a.start(key, hash, s, ev.Stream)
		c.rid = rid
	}
	if c.hasAccess && c.holds(h.digest) {
		return a.hold(c, f, &h)
	}
	c.hasAccess = true
	c.rid = pick(c.rid, rid)
	if c.ext == "" && ext != "" {
		c.ext = ext
		a.extend(c)
	}
	if c.record == "" {
		c.record = message
		if len(r.spans) == len(r.vars) {
			c.spans = append(c.spans[:0], r.spans...)
		} else {
			c.vars = append(c.vars[:0], r.vars...)
		}
	}
	if c.stage != s || s != f.stage {
		a.settle(c, f, s)
	}
	return a.hold(c, f, &h)
}

// findForRecord finds the open call of an access record: by request id, then by
// extended request id.
func (a *Assembler) findForRecord(key string, hash uint64, rid, ext string, s *stage, h *held) *openCall {
	var fresh *openCall
	for c, n := a.index.find(key, hash), 0; c != nil && n < maxSharing; c, n = c.next, n+1 {
		if !c.stage.compatible(s) {
			continue
		}
		switch {
		case ext != "" && c.ext == ext, c.hasAccess && c.holds(h.digest):
			return c
		case c.hasAccess || ext != "" && c.ext != "":
			continue
		case fresh == nil:
			fresh = c
		}
	}
	if fresh != nil || ext == "" || !a.byExt {
		return fresh
	}
	if c := a.extended[ext]; c != nil && c.stage.compatible(s) {
		return c
	}
	if rid != "" {
		for c := a.index.find(ext, a.index.hash(ext)); c != nil; c = c.next {
			if c.rid == "" && c.stage.compatible(s) {
				a.rekey(c, rid)
				return c
			}
		}
	}
	return nil
}

// isLateRecord reports whether an access record without an open call belongs to
// a closed one, and where that was known, to which stage.
func (a *Assembler) isLateRecord(key, ext string, s *stage, h *held) (bool, *stage) {
	c, ok := a.closedCall(key, s)
	if !ok {
		return false, nil
	}
	var where *stage
	if n := c.stage & (1<<stageBits - 1); n > 0 {
		where = a.list[n-1]
	}
	switch {
	case ext != "" && c.ext != 0:
		return c.ext == hash32(ext), where
	case c.has(flagAccess):
		// A call has one access record: this is the same one again, or another
		// call under the same id.
		return h.at == c.newest && h.at != 0, where
	case c.has(flagEnded):
		return h.own() <= addTime(c.newest, a.idle), where
	default:
		return h.own() <= addTime(c.newest, longestCall), where
	}
}

// isBinary reports whether a message cannot be text.
func isBinary(s string) bool {
	if !mayHaveControls(s) {
		return false
	}
	if strings.IndexByte(s, 0) >= 0 {
		return true
	}
	head := s[:min(len(s), 256)]
	odd := 0
	for i := range len(head) {
		if c := head[i]; c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != 0x1b {
			odd++
		}
	}
	return odd*4 > len(head)
}

// mayHaveControls reports false if s has no control character. It looks at eight
// bytes at a time, and sees no more than that.
func mayHaveControls(s string) bool {
	for ; len(s) >= 8; s = s[8:] {
		x := load64(s)
		// A high bit comes where a byte is below 0x20; a borrow can only add
		// false alarms.
		if (x-ones*0x20)&^x&highs != 0 {
			return true
		}
	}
	for i := range len(s) {
		if s[i] < 0x20 {
			return true
		}
	}
	return false
}
