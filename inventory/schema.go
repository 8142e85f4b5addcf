package inventory

import (
	"math"
	"math/bits"
	"slices"
	"strings"
	"unique"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// An endpoint's fields are learnt from its first schemaWhole calls, and after
// that from one of schemaOneOf, chosen by the call's id so that every machine
// that sees a call chooses alike.
const (
	schemaWhole = 1000
	schemaOneOf = 16
)

const (
	// maxFieldDepth is how deep objects and arrays are followed.
	maxFieldDepth = 8
	// maxFieldName is the longest name, in bytes, that is kept; longer ones are
	// taken for values, as an object's keys that are ids are.
	maxFieldName = 48
	// maxBodyValues bounds what one body costs.
	maxBodyValues = 10_000
	// anyName stands for all names of an object that are values themselves.
	anyName = "*"
	// elements is the name of the elements of an array.
	elements = "[]"
)

// part says where a field stands.
type part uint8

const (
	partRequest part = iota
	partQuery
	partResponse
	numParts
)

// maxFields bounds the fields of each part of an endpoint, the roots of its
// bodies included. Each part has its own, so that callers who make up parameters
// cannot push out what the backend answers.
var maxFields = [numParts]int{partRequest: 10, partQuery: 4, partResponse: 17}

// maxAllFields is one less than 32 because the allocator adds a word to a slice
// with pointers: 32 fields would take the room of 37.
const maxAllFields = 31

// The JSON types of a field's values.
const (
	typeObject = 1 << iota
	typeArray
	typeString
	typeInteger
	typeNumber
	typeBoolean
	typeNull
)

var typeNames = [...]string{"object", "array", "string", "integer", "number", "boolean", "null"}

const (
	fieldEnum     = 1 << iota // enum holds all values that were seen
	fieldNoEnum               // too many values, or not such as an enum has
	fieldRedacted             // a value was taken out before it came here
)

// field is a place in the bodies or the query of an endpoint. Fields are ordered
// by key: part, depth, then a digest of the path. Of each part the fields with
// the smallest keys are kept. That choice does not depend on the order of calls,
// what is kept was kept from its first call on, so its counts are exact, and a
// field's parent has a smaller key than the field. A field that goes is the last
// of its part, so nothing stands below it.
type field struct {
	key     uint64
	name    unique.Handle[string]
	enum    unique.Handle[string] // sorted, joined by line feeds
	values  valueSet              // of strings and numbers
	matches valueSet              // those of class
	seen    uint32                // values
	present uint32                // values in bodies that were whole
	objects uint32                // of the values in whole bodies, objects
	// least and most are of numbers. Seven digits are enough for a range.
	least, most       float32
	shortest, longest uint16 // of strings, in bytes
	formats           format
	types             uint8
	flags             uint8
	class             class // the first in order that a value had
	hint              class // what the name says
	up                uint8 // index of the parent; of a root, its own
}

// schema is what is known of an endpoint's fields.
type schema struct {
	fields []field
	calls  uint32   // that could teach something
	learnt uint32   // that did
	all    valueSet // keys of all fields, those not kept included
}

func keyOf(p part, depth int, digest uint64) uint64 {
	return uint64(p)<<62 | uint64(depth)<<58 | digest>>6
}

func partOf(key uint64) part { return part(key >> 62) }

func depthOf(key uint64) int { return int(key >> 58 & 15) }

func rootKey(p part, name string) uint64 { return keyOf(p, 0, callerDigest(uint8(p), name)) }

func childKey(parent uint64, name string) uint64 {
	return keyOf(partOf(parent), depthOf(parent)+1, spread(digestOf(parent|1, name)))
}

// digestOf is FNV-1a from a seed; stable over restarts, as saved fields need.
func digestOf(seed uint64, s string) uint64 {
	h := 14695981039346656037 ^ seed
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// spread is the finalizer of MurmurHash3.
func spread(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

func (s *schema) find(key uint64) (int, bool) {
	from, to := 0, len(s.fields)
	for from < to {
		if middle := int(uint(from+to) / 2); s.fields[middle].key < key {
			from = middle + 1
		} else {
			to = middle
		}
	}
	return from, from < len(s.fields) && s.fields[from].key == key
}

// put returns the index of the field with that key, which it makes if it may be
// kept, or -1.
func (s *schema) put(key uint64, name string, up int) int {
	at, found := s.find(key)
	if found {
		return at
	}
	s.all.add(spread(key))
	p := partOf(key)
	from, _ := s.find(uint64(p) << 62)
	to := len(s.fields)
	if p < numParts-1 {
		to, _ = s.find(uint64(p+1) << 62)
	}
	if to-from >= maxFields[p] {
		if at == to {
			return -1
		}
		s.remove(to - 1)
	}
	if len(s.fields) == cap(s.fields) {
		// Not doubled: memory is counted by the endpoint.
		s.fields = append(make([]field, 0, min(cap(s.fields)+8, maxAllFields)), s.fields...)
	}
	for i := range s.fields {
		if int(s.fields[i].up) >= at {
			s.fields[i].up++
		}
	}
	f := field{key: key, name: unique.Make(name), hint: hintOf(name), up: uint8(up)}
	if up < 0 {
		f.up = uint8(at)
	}
	s.fields = slices.Insert(s.fields, at, f)
	return at
}

// remove takes out the last field of a part, which has nothing below it.
func (s *schema) remove(at int) {
	s.fields = slices.Delete(s.fields, at, at+1)
	for i := range s.fields {
		if int(s.fields[i].up) > at {
			s.fields[i].up--
		}
	}
}

// member returns the field of the member of an object, nil if it is not kept,
// and its key.
func (s *schema) member(parent uint64, name string) (key uint64, f *field) {
	key = childKey(parent, name)
	if at, found := s.find(key); found {
		return key, &s.fields[at]
	}
	if len(name) > maxFieldName || isValue(name) || strings.Contains(name, transaction.Redacted) {
		name = anyName
		key = childKey(parent, name)
	}
	return key, s.below(parent, key, name)
}

// below finds or makes a field below the one with the key parent. Indexes move as
// fields come and go, so the walk through a body goes by keys.
func (s *schema) below(parent, key uint64, name string) *field {
	if at, found := s.find(key); found {
		return &s.fields[at]
	}
	up, found := s.find(parent)
	if !found {
		s.all.add(spread(key))
		return nil
	}
	at := s.put(key, name, up)
	if at < 0 {
		return nil
	}
	return &s.fields[at]
}

// observe learns from a call, if it is one of those that are learnt from. What
// the caller sent teaches only if it was accepted: anybody can send anything.
func (s *schema) observe(t *transaction.Transaction, status int) {
	accepted := status >= 200 && status < 400
	request := accepted && t.Request != nil && t.Request.Body != ""
	query := accepted && len(t.Query) > 0
	response := t.Response != nil && t.Response.Body != "" && status >= 200 && status < 600
	if !request && !query && !response {
		return
	}
	s.calls = add32(s.calls, 1)
	if s.calls > schemaWhole && spread(digestOf(0, t.ID))%schemaOneOf != 0 {
		return
	}
	s.learnt = add32(s.learnt, 1)
	if request {
		b := t.Request.Decoded()
		s.learnBody(&b, partRequest, "")
	}
	if query {
		s.learnQuery(t.Query)
	}
	if response {
		b := t.Response.Decoded()
		s.learnBody(&b, partResponse, statusClasses[status/100])
	}
}

var statusClasses = [...]string{2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}

func (s *schema) learnBody(b *transaction.Body, p part, name string) {
	text, whole := b.Text, true
	if b.Kind != transaction.BodyJSON || b.Truncated {
		text, whole = b.JSON()
	}
	if text == "" || !validJSON(text) {
		return
	}
	key := rootKey(p, name)
	s.put(key, name, -1)
	w := walker{schema: s, text: text, whole: whole, left: maxBodyValues}
	w.value(w.space(0), key, s.at(key), 0)
}

func (s *schema) at(key uint64) *field {
	at, found := s.find(key)
	if !found {
		return nil
	}
	return &s.fields[at]
}

func (s *schema) learnQuery(query map[string][]string) {
	root := rootKey(partQuery, "")
	s.put(root, "", -1)
	if f := s.at(root); f != nil {
		f.saw(typeObject, true)
	}
	for name, values := range query {
		_, f := s.member(root, name)
		if f == nil {
			continue
		}
		for i, v := range values[:min(len(values), 16)] {
			f.saw(typeString, i == 0)
			f.text(v)
		}
	}
}

func add32(a, b uint32) uint32 {
	if a > math.MaxUint32-b {
		return math.MaxUint32
	}
	return a + b
}

// saw counts a value; one of a body that was cut says nothing of presence.
func (f *field) saw(kind uint8, whole bool) {
	f.types |= kind
	f.seen = add32(f.seen, 1)
	if whole {
		f.present = add32(f.present, 1)
		if kind == typeObject {
			f.objects = add32(f.objects, 1)
		}
	}
}

// text learns from a string without its quotes.
func (f *field) text(v string) {
	if strings.Contains(v, transaction.Redacted) {
		f.flags = f.flags&^fieldEnum | fieldNoEnum | fieldRedacted
		f.enum = unique.Handle[string]{}
		return
	}
	n := uint16(min(len(v), math.MaxUint16))
	if f.formats == 0 {
		f.shortest, f.longest = n, n
	}
	f.shortest, f.longest = min(f.shortest, n), max(f.longest, n)
	form := formatOf(v)
	f.formats |= form
	digest := spread(digestOf(0, v[:min(len(v), 256)]))
	f.values.add(digest)
	f.classify(classOfText(v, form, f.hint), digest)
	f.addEnum(v, form)
}

func (f *field) number(v string, at float64) {
	x := float32(at)
	if f.flags&fieldNoEnum == 0 {
		f.flags = f.flags&^fieldEnum | fieldNoEnum
		f.enum = unique.Handle[string]{}
	}
	if !f.ranged() {
		f.least, f.most = x, x
	}
	f.least, f.most = min(f.least, x), max(f.most, x)
	digest := spread(digestOf(1, v[:min(len(v), 64)]))
	f.values.add(digest)
	f.classify(classOfNumber(v, at, f.hint), digest)
}

// fieldRanged says that least and most are of numbers that were seen.
const fieldRanged = 1 << 3

func (f *field) ranged() bool {
	was := f.flags&fieldRanged != 0
	f.flags |= fieldRanged
	return was
}

func (f *field) classify(c class, digest uint64) {
	if c == classNone || f.class != classNone && c > f.class {
		return
	}
	if c != f.class {
		f.class, f.matches = c, 0
	}
	f.matches.add(digest)
}

const (
	maxEnum      = 6
	maxEnumValue = 24
)

// addEnum keeps the distinct values of a field while they are few and look like
// the words of a program. What may name a person is never kept.
func (f *field) addEnum(v string, form format) {
	if f.flags&fieldNoEnum != 0 {
		return
	}
	if f.hint != classNone || form != formatWord || len(v) > maxEnumValue {
		f.flags, f.enum = f.flags&^fieldEnum|fieldNoEnum, unique.Handle[string]{}
		return
	}
	if f.flags&fieldEnum == 0 {
		f.flags, f.enum = f.flags|fieldEnum, unique.Make(v)
		return
	}
	for have := range strings.SplitSeq(f.enum.Value(), "\n") {
		if have == v {
			return
		}
	}
	all := append(strings.Split(f.enum.Value(), "\n"), v)
	if len(all) > maxEnum {
		f.flags, f.enum = f.flags&^fieldEnum|fieldNoEnum, unique.Handle[string]{}
		return
	}
	slices.Sort(all)
	f.enum = unique.Make(strings.Join(all, "\n"))
}

// merge adds what another machine learnt of the same endpoint.
func (s *schema) merge(o *schema) {
	s.calls, s.learnt = add32(s.calls, o.calls), add32(s.learnt, o.learnt)
	s.all |= o.all
	// In the order of keys a parent comes before what is below it.
	for i := range o.fields {
		from := &o.fields[i]
		var to *field
		if int(from.up) == i {
			s.put(from.key, from.name.Value(), -1)
			to = s.at(from.key)
		} else {
			to = s.below(o.fields[from.up].key, from.key, from.name.Value())
		}
		if to != nil {
			to.merge(from)
		}
	}
}

func (f *field) merge(o *field) {
	if o.formats != 0 {
		if f.formats == 0 {
			f.shortest, f.longest = o.shortest, o.longest
		}
		f.shortest, f.longest = min(f.shortest, o.shortest), max(f.longest, o.longest)
	}
	if o.flags&fieldRanged != 0 {
		if !f.ranged() {
			f.least, f.most = o.least, o.most
		}
		f.least, f.most = min(f.least, o.least), max(f.most, o.most)
	}
	f.types |= o.types
	f.formats |= o.formats
	f.values |= o.values
	f.seen, f.present, f.objects = add32(f.seen, o.seen), add32(f.present, o.present), add32(f.objects, o.objects)
	f.flags |= o.flags & fieldRedacted
	switch {
	case o.class == classNone || f.class != classNone && o.class > f.class:
	case o.class == f.class:
		f.matches |= o.matches
	default:
		f.class, f.matches = o.class, o.matches
	}
	if o.flags&fieldNoEnum != 0 {
		f.flags, f.enum = f.flags&^fieldEnum|fieldNoEnum, unique.Handle[string]{}
	}
	if o.flags&fieldEnum != 0 {
		for v := range strings.SplitSeq(o.enum.Value(), "\n") {
			f.addEnum(v, formatWord)
		}
	}
}

// valueSet counts distinct values roughly: four rows of 16 bits, of which the
// first takes three of four values, the next three of the four rest, and so on.
// Sets merge by or.
type valueSet uint64

func (v *valueSet) add(digest uint64) {
	row := min(bits.LeadingZeros64(digest)/2, 3)
	*v |= 1 << (16*row + int(digest&15))
}

// counts estimates the size of v and of its subset k from the rows that are not
// full. The greatest answer is about 3,000.
func (v *valueSet) counts(k valueSet) (of, matching int) {
	row := 0
	for row < 3 && bits.OnesCount16(uint16(*v>>(16*row))) > 14 {
		row++
	}
	scale := float64(int(1) << (2 * row))
	estimate := func(s valueSet) int {
		sum := 0.0
		for r := row; r < 4; r++ {
			n := min(float64(bits.OnesCount16(uint16(s>>(16*r)))), 15.5)
			sum += -16 * math.Log(1-n/16)
		}
		return int(math.Round(sum * scale))
	}
	return estimate(*v), estimate(k & *v)
}
