package transaction

import "hash/maphash"

// callIndex finds the open calls under a key. Those under one key are a chain,
// the youngest first; the first of each chain stands in the table. Its seed is
// random, because callers choose request ids.
type callIndex struct {
	seed   maphash.Seed
	heads  []*openCall // by hash; those of one place follow one another by beside
	chains int
}

const minCallIndex = 256 // a power of two

func (x *callIndex) init() {
	x.seed = maphash.MakeSeed()
	x.heads = make([]*openCall, minCallIndex)
}

func (x *callIndex) hash(key string) uint64 { return maphash.String(x.seed, key) }

func (x *callIndex) place(hash uint64) **openCall {
	return &x.heads[hash&uint64(len(x.heads)-1)]
}

// find returns the youngest call under a key with this hash, or nil.
func (x *callIndex) find(key string, hash uint64) *openCall {
	c := *x.place(hash)
	for c != nil && (c.hash != hash || c.key != key) {
		c = c.beside
	}
	return c
}

// put makes c the first of the calls under its key.
func (x *callIndex) put(c *openCall) {
	at := x.place(c.hash)
	for old := *at; old != nil; at, old = &old.beside, old.beside {
		if old.hash == c.hash && old.key == c.key {
			c.shared, old.shared = true, true
			c.next, old.prev = old, c
			c.beside, old.beside = old.beside, nil
			*at = c
			return
		}
	}
	*at = c
	if x.chains++; x.chains > len(x.heads) {
		x.grow()
	}
}

// remove takes c out.
func (x *callIndex) remove(c *openCall) {
	if c.next != nil {
		c.next.prev = c.prev
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		at := x.place(c.hash)
		for *at != c {
			at = &(*at).beside
		}
		if c.next != nil {
			c.next.beside = c.beside
			*at = c.next
		} else {
			*at = c.beside
			x.chains--
		}
	}
	c.next, c.prev, c.beside = nil, nil, nil
}

func (x *callIndex) grow() {
	old := x.heads
	x.heads = make([]*openCall, 2*len(old))
	for _, c := range old {
		for c != nil {
			at, rest := x.place(c.hash), c.beside
			c.beside, *at = *at, c
			c = rest
		}
	}
}
