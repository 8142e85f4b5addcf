package collect_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// The soak is a steady load over soakLanes accounts, execution and access logs, as
// CloudWatch would page it.
const (
	soakLanes   = 4
	soakRoutes  = 40
	soakPerPage = 300 // calls on a page, so that it is about 1 MB
	soakLines   = 13  // of the execution log of a call; the access log has one more
)

// soakSource makes the events of every moment when it is asked for them: the
// state of a group is how its calls are numbered. A page is made in the slice of
// the group's page before, which nobody looks at any more, and each call's text
// is one copy of a template.
type soakSource struct {
	began   int64 // milliseconds
	perLane int64 // calls a second
	groups  []soakGroup
}

type soakGroup struct {
	info   transaction.Group
	lane   int
	access bool
	mu     sync.Mutex
	events []transaction.Event
}

// soakCall is the text of a call, with room for the numbers in it.
type soakCall struct {
	text  []byte
	lines []soakLine
	ids   []int // where the eight hexadecimal digits of the call's number stand
}

// soakLine is a message and its event id, as places in the text.
type soakLine struct{ from, to, id int }

const soakEventID = 56

func newSoakSource(rate int) *soakSource {
	s := &soakSource{began: time.Now().UnixMilli(), perLane: int64(rate / soakLanes)}
	for lane := range soakLanes {
		accountID := fmt.Sprintf("%012d", 111111111111+lane)
		api := fmt.Sprintf("soakapi00%d", lane)
		s.groups = append(s.groups,
			soakGroup{lane: lane, info: transaction.Group{Account: accountID, Region: testRegion, Name: "API-Gateway-Execution-Logs_" + api + "/prod"}},
			soakGroup{lane: lane, access: true, info: transaction.Group{
				Account: accountID, Region: testRegion, Name: "access/" + api, APIID: api, APIType: transaction.REST, Stage: "prod",
			}})
	}
	return s
}

const soakNumber = "NNNNNNNN" // stands for the number of a call

var soakTemplates = sync.OnceValue(func() *[2][soakRoutes]soakCall {
	made := new([2][soakRoutes]soakCall)
	for route := range soakRoutes {
		id := soakNumber + "-1111-4222-8333-444455556666"
		resource := fmt.Sprintf("/shop%d/items/{id}", route)
		at := fmt.Sprintf("/shop%d/items/%s", route, soakNumber)
		body := `{"id":"` + soakNumber + `","name":"rex","kind":"dog","tags":["a","b"],"price":12.5,"note":"` + strings.Repeat("x", 150) + `"}`
		lines := []string{
			"Extended Request Id: X" + soakNumber + "IAMFqXw=",
			"Verifying Usage Plan for request: " + id + ". API Key:  API Stage: soakapi000/prod",
			"API Key  authorized because method 'PUT " + resource + "' does not require API Key. Request will not contribute to throttle or quota limits",
			"Usage Plan check succeeded for API Key  and API Stage soakapi000/prod",
			"Starting execution for request: " + id,
			"HTTP Method: PUT, Resource Path: " + at,
			"Method request headers: {Accept=application/json, Host=soakapi000.execute-api.eu-west-1.amazonaws.com, User-Agent=curl/8.5.0, X-Forwarded-For=198.51.100.7}",
			"Method request body before transformations: " + body,
			"Endpoint request URI: https://backend.example.com" + at,
			"Method response body after transformations: " + body,
			"Method response headers: {Content-Type=application/json;charset=utf-8, X-Amzn-Trace-Id=Root=1-5e66d96f-7491f09xmpl79d18acf3d050}",
			"Successfully completed execution",
			"Method completed with status: 200",
		}
		for i := range lines {
			lines[i] = "(" + id + ") " + lines[i]
		}
		made[0][route] = newSoakCall(0, lines)
		made[1][route] = newSoakCall(1, []string{`{"requestId":"` + id + `","extendedRequestId":"X` + soakNumber + `IAMFqXw=","ip":"198.51.100.7","requestTimeEpoch":"1792000000000",` +
			`"httpMethod":"PUT","resourcePath":"` + resource + `","path":"` + at + `","status":"200","protocol":"HTTP/1.1","responseLatency":"12","integrationLatency":"10","responseLength":"250"}`})
	}
	return made
})

func newSoakCall(group int, lines []string) soakCall {
	var c soakCall
	for i, l := range lines {
		id := len(c.text)
		c.text = fmt.Appendf(c.text, "%040d%s%08d", group, soakNumber, i)
		from := len(c.text)
		c.text = append(c.text, l...)
		c.lines = append(c.lines, soakLine{from, len(c.text), id})
	}
	for i := 0; ; i += len(soakNumber) {
		k := strings.Index(string(c.text[i:]), soakNumber)
		if k < 0 {
			return c
		}
		i += k
		c.ids = append(c.ids, i)
	}
}

// events appends the events of call n.
func (c *soakCall) events(dst []transaction.Event, n uint32, at int64) []transaction.Event {
	text := append([]byte(nil), c.text...)
	const hex = "0123456789abcdef"
	for _, i := range c.ids {
		for k := range 8 {
			text[i+k] = hex[n>>(28-4*k)&15]
		}
	}
	s := unsafe.String(unsafe.SliceData(text), len(text)) // nobody writes to text any more
	for _, l := range c.lines {
		dst = append(dst, transaction.Event{ID: s[l.id : l.id+soakEventID], Stream: "stream", Timestamp: at, Ingested: at, Message: s[l.from:l.to]})
	}
	return dst
}

func (s *soakSource) Groups(context.Context) ([]transaction.Group, []collect.Problem) {
	all := make([]transaction.Group, len(s.groups))
	for i := range s.groups {
		all[i] = s.groups[i].info
	}
	return all, nil
}

// Read makes the calls whose time is in [from, to] and has come.
func (s *soakSource) Read(_ context.Context, info transaction.Group, from, to int64, next string) (collect.Page, error) {
	g := s.group(info.Name)
	first := max(0, (from-s.began)*s.perLane+999) / 1000 // call n is at the millisecond 1000n/perLane, rounded down
	if next != "" {
		n, err := strconv.ParseInt(next, 10, 64)
		if err != nil {
			return collect.Page{}, err
		}
		first = n
	}
	last := ((min(to, time.Now().UnixMilli())-s.began+1)*s.perLane+999)/1000 - 1
	perPage := int64(soakPerPage)
	if g.access {
		perPage = 2000
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	p := collect.Page{Events: g.events[:0]}
	templates := &soakTemplates()[0]
	if g.access {
		templates = &soakTemplates()[1]
	}
	for n := first; n <= last; n++ {
		if n == first+perPage {
			p.Next = strconv.FormatInt(n, 10)
			break
		}
		t := &templates[n%soakRoutes]
		p.Events = t.events(p.Events, uint32(n)*soakLanes+uint32(g.lane), s.began+n*1000/s.perLane)
		p.Bytes += int64(len(t.text))
	}
	g.events = p.Events
	return p, nil
}

func (s *soakSource) group(name string) *soakGroup {
	for i := range s.groups {
		if s.groups[i].info.Name == name {
			return &s.groups[i]
		}
	}
	panic("no group " + name)
}

// soakSink counts, and asks of some that they are whole.
type soakSink struct {
	null
	rate         int
	calls, wrong atomic.Int64
}

func (s *soakSink) Deliver(_ context.Context, batch []*transaction.Transaction) error {
	for _, t := range batch {
		n, err := strconv.ParseUint(t.RequestID[:8], 16, 32)
		if err == nil && n < uint64(5*s.rate) {
			continue // which group's records belong to which is learnt from the first calls
		}
		if err != nil || !t.Complete || t.Response == nil || t.Response.Status != 200 || len(t.Sources) != 2 || t.Log.Events != soakLines+1 {
			s.wrong.Add(1)
		}
	}
	s.calls.Add(int64(len(batch)))
	return nil
}

// TestSoak plays the load by a clock that runs as fast as the machine can follow
// (a synctest bubble's: time passes when nobody has anything to do), with the
// state in SQLite: half a minute at 2,000 calls/s, or as long as GATEHOUSE_SOAK
// says at 20,000; "make bench" plays 30 minutes. Memory must be flat, the books
// balance, and nothing be lost.
func TestSoak(t *testing.T) {
	length, rate := 30*time.Second, 2000
	long := os.Getenv("GATEHOUSE_SOAK")
	if long != "" {
		var err error
		if length, err = time.ParseDuration(long); err != nil {
			t.Fatal(err)
		}
		rate = 20_000
	}
	for _, analyze := range []bool{false, true} {
		t.Run(fmt.Sprintf("inventory=%v", analyze), func(t *testing.T) {
			began := time.Now()
			var books collect.Books
			synctest.Test(t, func(t *testing.T) { books = soak(t, length, rate, analyze, long != "") })
			seconds := time.Since(began).Seconds()
			t.Logf("%v at %d calls/s in %.1f s: %.2f times real time, %.0f calls/s, %.1f MB/s, every event read %.2f times",
				length, rate, seconds, length.Seconds()/seconds, float64(books.Calls)/seconds, float64(books.Bytes)/1e6/seconds,
				float64(books.EventsOnWire)/float64(books.Read))
		})
	}
}

func soak(t *testing.T, length time.Duration, rate int, analyze, strict bool) collect.Books {
	t.Helper()
	s, err := sqlite.Open(t.Context(), "sqlite:"+t.TempDir()+"/soak.db", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	source, out := newSoakSource(rate), &soakSink{rate: rate}
	deps := collect.Deps{Source: source, State: s, Sinks: []collect.Sink{out}}
	if analyze {
		deps.Observers = append(deps.Observers, inventory.New(inventory.Options{}))
	}
	// The slow reading comes early, for at this rate a minute is 17 million
	// events to remember.
	cfg := collect.Config{PollInterval: time.Second, Settle: time.Second, Overlap: 5 * time.Second, SlowInterval: time.Second, Idle: 5 * time.Second, StartFrom: time.Millisecond}
	r := start(t, cfg, deps)
	var heaps []uint64
	if strict {
		// What is remembered is dropped by the minute, so memory is looked at in
		// the middle of one.
		time.Sleep(37 * time.Second)
	}
	for range 6 {
		time.Sleep(length / 6)
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		heaps = append(heaps, m.HeapAlloc)
		t.Logf("after %v: %d MB after a collection, %d calls", time.Since(time.UnixMilli(source.began)).Round(time.Second), m.HeapAlloc>>20, out.calls.Load())
	}
	h := r.Health()
	if !h.Totals.Balanced() || h.Lag > 30*time.Second {
		t.Errorf("lag %v, books %+v", h.Lag, h.Totals)
	}
	if n, least := out.calls.Load(), int64((length-15*time.Second)/time.Second)*int64(rate); n < least {
		t.Errorf("%d calls came out of %v, want at least %d", n, length, least)
	}
	if n := out.wrong.Load(); n > 0 {
		t.Errorf("%d calls are not whole", n)
	}
	if h.Totals.Incomplete+h.Totals.Evicted+h.Totals.Unparsed > 0 || h.Totals.EventsOnWire > 2*h.Totals.Read {
		t.Errorf("books: %+v", h.Totals)
	}
	// The first sixth is warming up.
	least, most := heaps[1], heaps[1]
	for _, n := range heaps[2:] {
		least, most = min(least, n), max(most, n)
	}
	if strict && float64(most) > 1.1*float64(least) {
		t.Errorf("memory is not flat: %d MB to %d MB", least>>20, most>>20)
	}
	r.stop(t)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return h.Totals
}
