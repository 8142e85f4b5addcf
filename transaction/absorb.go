package transaction

// absorbRecord joins an access record that gives only the extended id to the call
// that is now known to have it. The two became calls of their own where other
// lines of the call came before the one that tells its extended id.
func (a *Assembler) absorbRecord(c *openCall) {
	if !a.byExt || c.ext == "" || c.hasAccess {
		return
	}
	for o := a.index.find(c.ext, a.index.hash(c.ext)); o != nil; o = o.next {
		if o != c && o.key == o.ext && !o.hasLines && o.hasAccess && o.stage.compatible(c.stage) {
			a.absorb(c, o)
			return
		}
	}
}

// absorb moves all of o, which is a record, into c.
func (a *Assembler) absorb(c, o *openCall) {
	if o.state == stateLingering {
		a.lingering--
	} else {
		o.stage.due.remove(o)
		a.delist(o)
	}
	a.unindex(o)
	if c.state == stateLingering {
		a.reopen(c)
	}
	if len(c.events) == 0 {
		c.first, c.newest = o.first, o.newest
	}
	c.first, c.newest = min(c.first, o.first), max(c.newest, o.newest)
	if o.logged != 0 && (c.logged == 0 || o.logged < c.logged) {
		c.logged = o.logged
	}
	if o.ended && (!c.ended || o.terminal > c.terminal) {
		c.ended, c.terminal = true, o.terminal
	}
	c.events = append(c.events, o.events...)
	c.seen |= o.seen
	c.bytes += o.bytes
	c.hasAccess, c.record = true, o.record
	c.spans = append(c.spans[:0], o.spans...)
	c.vars = append(c.vars[:0], o.vars...)
	for i := range o.parts {
		p := &o.parts[i]
		p.feed.adopt(c, p)
		a.settle(c, p.feed, o.stage)
	}
	o.state = stateClosed
	a.recycle(o)
	a.reschedule(c)
}

// adopt counts the feed's events of a call as those of c.
func (f *Feed) adopt(c *openCall, part *openPart) {
	f.lows.push(low{part.first, c, c.gen})
	for i := range c.parts {
		if p := &c.parts[i]; p.feed == f {
			p.events += part.events
			p.first, p.newest = min(p.first, part.first), max(p.newest, part.newest)
			return
		}
	}
	c.parts = append(c.parts, *part)
}
