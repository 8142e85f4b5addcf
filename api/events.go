package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/inventory"
)

const (
	eventsPath = "/api/v1/events"
	eventsID   = "stream-events"

	// maxSubscribers bounds the open streams; maxKept the events that a client
	// may have missed while it was away.
	maxSubscribers = 100
	maxKept        = 256
	heartbeat      = 15 * time.Second
	writeTimeout   = 5 * time.Second
)

// event is one kept event; its number grows by one.
type event struct {
	number uint64
	name   string
	data   []byte
}

// hub takes the numbers at most once a tick, however many look, and not at all
// while nobody does. It runs in the goroutines of the requests.
type hub struct {
	s *server
	// run tells the events of this process from those of one before it.
	run string

	mu          sync.Mutex
	taken       time.Time
	last        *Overview
	json        []byte // last without its time, to see what changed
	kept        []event
	number      uint64
	subscribers int
	endpoints   map[string]bool // ids of the newest, to tell new ones
	health      map[string]string
}

func newHub(s *server) *hub {
	return &hub{s: s, run: strings.ToLower(rand.Text()[:8]), last: &Overview{}}
}

// overview returns the numbers, at most a tick old, and the number of the last
// event.
func (h *hub) overview(ctx context.Context) (*Overview, uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.look(ctx)
	return h.last, h.number
}

// look takes new numbers if the last are a tick old, and keeps what is new as
// events. The caller holds mu.
func (h *hub) look(ctx context.Context) {
	now := time.Now()
	if !h.taken.IsZero() && now.Sub(h.taken) < h.s.Tick*9/10 {
		return
	}
	// The one who asks first works for all: their leaving must not fail others.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	health := h.s.health()
	o, newest := h.s.measure(ctx, &health, h.last)
	h.taken, h.last = now, o
	undated := *o
	undated.Time = time.Time{}
	h.json, _ = json.Marshal(&undated) //nolint:errchkjson // Numbers and strings alone; NaN comes from nowhere.
	h.news(newest)
	h.changes(&health)
}

// news keeps an event for each endpoint among the newest that was not there
// before.
func (h *hub) news(newest []inventory.Endpoint) {
	if newest == nil {
		return
	}
	seen := make(map[string]bool, len(newest))
	for i := range newest {
		e := &newest[i]
		seen[e.ID] = true
		if h.endpoints != nil && !h.endpoints[e.ID] {
			h.keep("endpoint", map[string]any{
				"id": e.ID, "api_type": e.APIType, "account": e.Account, "region": e.Region, "api_id": e.APIID, "api_name": e.APIName,
				"stage": e.Stage, "method": e.Method, "route": e.Route, "first_seen": e.FirstSeen, "visibility": e.Visibility,
			})
		}
	}
	h.endpoints = seen
}

// changes keeps an event for each log group and sink whose state is another
// than before.
func (h *hub) changes(health *collect.Health) {
	states := make(map[string]string, len(health.Groups)+len(health.Sinks))
	tell := func(kind, name, state string, data map[string]any) {
		key := kind + " " + name
		states[key] = state
		if before, known := h.health[key]; h.health != nil && (!known || before != state) {
			data["kind"], data["name"], data["state"] = kind, name, state
			h.keep("health", data)
		}
	}
	for i := range health.Groups {
		g := &health.Groups[i]
		tell("log_group", g.Group.Key(), g.State, map[string]any{"error": g.Error, "mend": g.Mend})
	}
	for i := range health.Sinks {
		k := &health.Sinks[i]
		state := "delivering"
		if k.Error != "" {
			state = "failing"
		}
		tell("sink", k.Name, state, map[string]any{"error": k.Error})
	}
	h.health = states
}

func (h *hub) keep(name string, data any) {
	b, err := json.Marshal(data)
	if err != nil {
		return
	}
	h.number++
	h.kept = append(h.kept, event{number: h.number, name: name, data: b})
	if len(h.kept) > maxKept {
		h.kept = append(h.kept[:0], h.kept[len(h.kept)-maxKept:]...)
	}
}

// since returns the events after number; gap is set if some of them are no
// longer kept.
func (h *hub) since(ctx context.Context, number uint64) (o *Overview, undated []byte, events []event, gap bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.look(ctx)
	for _, e := range h.kept {
		if e.number > number {
			events = append(events, e)
		}
	}
	gap = h.number-number != uint64(len(events))
	return h.last, h.json, events, gap
}

func (h *hub) subscribe() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.subscribers >= maxSubscribers {
		return false
	}
	h.subscribers++
	return true
}

func (h *hub) unsubscribe() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.subscribers--
}

// resume reads a Last-Event-ID ("run-number"). known is false for one that this
// process did not give.
func (h *hub) resume(id string) (number uint64, known bool) {
	run, n, _ := strings.Cut(id, "-")
	number, err := strconv.ParseUint(n, 10, 64)
	h.mu.Lock()
	defer h.mu.Unlock()
	return number, err == nil && run == h.run && number <= h.number
}

func (s *server) registerEvents(a huma.API) {
	op := operation(eventsID, eventsPath, "Events", "Live numbers and news as server-sent events")
	op.Description = "Events: overview (the numbers, when they change, at most one a second), endpoint (a new endpoint; of a burst, the 20 newest), " +
		"health (a log group or sink changed state), resync (events were missed: read everything again). " +
		"A comment is sent when nothing else was for 15 seconds. Last-Event-ID resumes."
	op.Responses = map[string]*huma.Response{"200": {
		Description: "The stream.",
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}},
	}}
	op.Errors = []int{http.StatusServiceUnavailable}
	huma.Register(a, op, func(_ context.Context, in *struct {
		LastEventID string `header:"Last-Event-ID"`
	},
	) (*huma.StreamResponse, error) {
		if !s.hub.subscribe() {
			return nil, huma.ErrorWithHeaders(huma.Error503ServiceUnavailable(fmt.Sprintf("there are %d streams already; close one", maxSubscribers)),
				http.Header{"Retry-After": {"10"}})
		}
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			defer s.hub.unsubscribe()
			r, w := humago.Unwrap(ctx)
			s.stream(r, w, in.LastEventID)
		}}, nil
	})
}

// stream writes events until the client or the server goes away.
func (s *server) stream(r *http.Request, w http.ResponseWriter, lastID string) {
	ctx := r.Context()
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold the events back
	w.WriteHeader(http.StatusOK)

	var b strings.Builder
	b.WriteString("retry: 2000\n\n")
	_, number := s.hub.overview(ctx)
	if lastID != "" {
		if n, known := s.hub.resume(lastID); known {
			number = n
		} else {
			b.WriteString("event: resync\ndata: {}\n\n")
		}
	}
	tick := time.NewTicker(s.Tick)
	defer tick.Stop()
	var sent []byte
	lastWrite := time.Now()
	for {
		o, undated, events, gap := s.hub.since(ctx, number)
		if gap {
			b.WriteString("event: resync\ndata: {}\n\n")
		}
		for _, e := range events {
			number = e.number
			fmt.Fprintf(&b, "id: %s-%d\nevent: %s\ndata: %s\n\n", s.hub.run, e.number, e.name, e.data)
		}
		if string(undated) != string(sent) {
			sent = undated
			data, err := json.Marshal(o)
			if err == nil {
				fmt.Fprintf(&b, "id: %s-%d\nevent: overview\ndata: %s\n\n", s.hub.run, number, data)
			}
		}
		if b.Len() == 0 && time.Since(lastWrite) >= heartbeat {
			b.WriteString(": still here\n\n")
		}
		if b.Len() > 0 {
			// A server's WriteTimeout would end every stream; each write gets
			// its own, so that a client that stopped reading does not stay.
			_ = control.SetWriteDeadline(time.Now().Add(writeTimeout))
			if _, err := w.Write([]byte(b.String())); err != nil {
				return
			}
			if err := control.Flush(); err != nil {
				return
			}
			b.Reset()
			lastWrite = time.Now()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
