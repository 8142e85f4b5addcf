package inventory

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"
	"unique"

	"github.com/axiomhq/hyperloglog"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// exactCallers is how many callers of an endpoint are counted exactly before a
// HyperLogLog takes over. The library's own sparse form allocates whenever a
// caller that it knows calls again; a sorted list of digests does not.
const (
	exactCallers    = 128
	callerPrecision = 11 // 2,048 registers of a byte: within 2.3 %
)

// callers estimates how many distinct principals called an endpoint.
type callers struct {
	exact  []uint64 // sorted digests, while there are few
	sketch *hyperloglog.Sketch
}

func (c *callers) add(digest uint64) {
	if c.sketch != nil {
		c.sketch.InsertHash(digest)
		return
	}
	at, found := slices.BinarySearch(c.exact, digest)
	if found {
		return
	}
	if len(c.exact) < exactCallers {
		c.exact = slices.Insert(c.exact, at, digest)
		return
	}
	c.toSketch()
	c.sketch.InsertHash(digest)
}

func (c *callers) toSketch() {
	// The precision is valid, so there is no error to meet.
	c.sketch, _ = hyperloglog.NewSketch(callerPrecision, false)
	for _, digest := range c.exact {
		c.sketch.InsertHash(digest)
	}
	c.exact = nil
}

func (c *callers) estimate() int64 {
	if c.sketch != nil {
		return int64(c.sketch.Estimate())
	}
	return int64(len(c.exact))
}

func (c *callers) merge(o *callers) {
	if o.sketch == nil {
		for _, digest := range o.exact {
			c.add(digest)
		}
		return
	}
	if c.sketch == nil {
		c.toSketch()
	}
	// Both have the same precision, so they merge without error.
	_ = c.sketch.Merge(o.sketch)
}

func (c *callers) append(b []byte) ([]byte, error) {
	if c.sketch != nil {
		return c.sketch.AppendBinary(append(b, 1))
	}
	b = append(b, 0)
	for _, digest := range c.exact {
		b = binary.LittleEndian.AppendUint64(b, digest)
	}
	return b, nil
}

func (c *callers) decode(b []byte) error {
	if len(b) == 0 {
		return errState
	}
	kind, b := b[0], b[1:]
	switch {
	case kind == 1:
		c.sketch = new(hyperloglog.Sketch)
		if err := c.sketch.UnmarshalBinary(b); err != nil {
			return fmt.Errorf("callers: %w", err)
		}
		// A sketch of another precision would neither merge nor stay in bounds.
		want, _ := hyperloglog.NewSketch(callerPrecision, false)
		if err := want.Merge(c.sketch); err != nil {
			return fmt.Errorf("callers: %w", err)
		}
		c.sketch = want
		return nil
	case kind == 0 && len(b)%8 == 0 && len(b)/8 <= exactCallers:
		for ; len(b) > 0; b = b[8:] {
			c.exact = append(c.exact, binary.LittleEndian.Uint64(b))
		}
		slices.Sort(c.exact)
		return nil
	default:
		return errState
	}
}

// maxTopCallers is how many callers of an endpoint are known by name.
const maxTopCallers = 16

// maxPrincipal bounds a principal's name: a token's subject can be as long as
// its issuer likes.
const maxPrincipal = 256

// topCaller is a caller in a space-saving summary: one that was let in for
// another takes over its count, so a count may be too high, never too low.
type topCaller struct {
	digest uint64
	// The same principals call many endpoints, which share their names. A
	// handle has a copy of its own: the strings of a transaction may be cut
	// from a page of log events, which they would keep in memory.
	principal unique.Handle[string]
	account   unique.Handle[string]
	calls     int64
	last      int64 // milliseconds
	kind      uint8
}

type topCallers []topCaller

// add counts a call and reports whether the caller was known already.
func (t *topCallers) add(digest uint64, kind uint8, principal, account string, at int64) bool {
	list := *t
	least := 0
	for i := range list {
		if list[i].digest == digest {
			list[i].calls++
			list[i].last = max(list[i].last, at)
			return true
		}
		if list[i].calls < list[least].calls {
			least = i
		}
	}
	c := topCaller{
		digest: digest, kind: kind, calls: 1, last: at,
		principal: unique.Make(principal), account: unique.Make(account),
	}
	if len(list) < maxTopCallers {
		*t = append(list, c)
		return false
	}
	c.calls += list[least].calls
	list[least] = c
	return false
}

func (t *topCallers) merge(o topCallers) {
	list := *t
next:
	for _, c := range o {
		for i := range list {
			if list[i].digest == c.digest {
				list[i].calls += c.calls
				list[i].last = max(list[i].last, c.last)
				continue next
			}
		}
		list = append(list, c)
	}
	list.sort()
	if len(list) > maxTopCallers {
		list = slices.Clone(list[:maxTopCallers])
	}
	*t = list
}

func (t *topCallers) sort() {
	slices.SortFunc(*t, func(a, b topCaller) int {
		return cmp.Or(cmp.Compare(b.calls, a.calls), cmp.Compare(a.digest, b.digest))
	})
}

func (t *topCallers) counts() []CallerCount {
	sorted := slices.Clone(*t)
	sorted.sort()
	out := make([]CallerCount, len(sorted))
	for i, c := range sorted {
		out[i] = CallerCount{
			Kind: callerKinds[c.kind], Principal: c.principal.Value(), Account: c.account.Value(),
			Calls: c.calls, LastSeen: time.UnixMilli(c.last).UTC(),
		}
	}
	return out
}

func (t *topCallers) append(b []byte) []byte {
	for _, c := range *t {
		b = binary.LittleEndian.AppendUint64(b, c.digest)
		b = append(b, c.kind)
		b = appendString(b, c.principal.Value())
		b = appendString(b, c.account.Value())
		b = binary.AppendUvarint(b, uint64(c.calls))
		b = binary.AppendVarint(b, c.last)
	}
	return b
}

func (t *topCallers) decode(b []byte) error {
	r := reader{b: b}
	for len(r.b) > 0 && r.err == nil {
		c := topCaller{
			digest: r.fixed64(), kind: r.byte(), principal: unique.Make(r.string()), account: unique.Make(r.string()),
			calls: int64(r.uvarint()), last: r.varint(),
		}
		if int(c.kind) >= len(callerKinds) || len(*t) == maxTopCallers {
			return errState
		}
		*t = append(*t, c)
	}
	return r.err
}

// callerKinds are numbered for arrays and for the saved form, where a number
// never changes its meaning.
var callerKinds = [...]transaction.CallerKind{
	transaction.CallerUnknown, transaction.CallerAnonymous, transaction.CallerIAM, transaction.CallerLambda,
	transaction.CallerCognito, transaction.CallerJWT, transaction.CallerAPIKey,
}

func kindOf(kind transaction.CallerKind) uint8 {
	for i, k := range callerKinds {
		if k == kind {
			return uint8(i)
		}
	}
	return 0
}

// principalOf names the caller of a transaction: the ARN of an IAM caller, the
// authorizer's principal, or the API key's id; empty where nobody was named.
//
// A role session is counted as its role: tools give every run a session name
// of its own. A person's session of IAM Identity Center keeps it, because there
// the name is the person.
func principalOf(c *transaction.Caller) string {
	name := ""
	switch {
	case c.Kind == transaction.CallerAnonymous:
	case c.ARN != "":
		name = withoutSession(c.ARN)
	case c.Principal != "":
		name = c.Principal
	default:
		name = c.APIKeyID
	}
	if len(name) > maxPrincipal {
		name = strings.ToValidUTF8(name[:maxPrincipal], "")
	}
	return name
}

func withoutSession(arn string) string {
	const resource = ":assumed-role/"
	at := strings.Index(arn, resource)
	if at < 0 {
		return arn
	}
	role := arn[at+len(resource):]
	slash := strings.LastIndexByte(role, '/')
	if slash < 0 || strings.HasPrefix(role, "AWSReservedSSO_") {
		return arn
	}
	return arn[:at+len(resource)+slash]
}

// callerDigest is stable over restarts, as the saved sketches need. FNV-1a
// alone leaves the high bits too regular for HyperLogLog; the finalizer of
// MurmurHash3 spreads them.
func callerDigest(kind uint8, principal string) uint64 {
	h := uint64(14695981039346656037)
	h = (h ^ uint64(kind)) * 1099511628211
	for i := range len(principal) {
		h = (h ^ uint64(principal[i])) * 1099511628211
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
