package dashboard

import (
	"cmp"
	"context"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/collect"
)

type sourcesData struct {
	Collecting bool
	Health     collect.Health
	Complete   completeness
	Groups     []groupRow
	Shown      int // after the filter
	First      int
	Previous   string
	Next       string
	States     []option
	State      string
	Query      string
	Books      []bookRow
	Names      map[string]string
	Wire       float64 // events on the wire for each distinct one, over all
	Check      badge   // of all groups
	Places     []placeRow
	PlacesLeft int
	Sinks      []sinkRow
	Refused    bool // there is a place for dead letters
}

// placeRow is an account and region with what its groups add up to.
type placeRow struct {
	Account, Region  string
	Groups, Failing  int
	Behind, Problems int
	Lag              time.Duration
	Books            collect.Books
	Missing          int64
	State            badge
	Link             string
}

// sinkRow is a sink and how many calls it refused for good.
type sinkRow struct {
	collect.SinkHealth
	Refused int64
	Link    string
}

type groupRow struct {
	collect.GroupHealth
	State badge
	Proof badge
}

// bookRow is a line of the books.
type bookRow struct {
	Name, Means, Live string
	Events            int64
	Bar               template.HTML
}

func stateOf(state string) badge {
	switch state {
	case "reading":
		return badge{"good", "●", state, "events come and are read"}
	case "waiting":
		return badge{"good", "○", state, "read to its end; no new events"}
	case "catching up":
		return badge{"wait", "◐", state, "reading the past"}
	case "denied", "gone", "failing":
		return badge{"bad", "■", state, ""}
	default:
		return badge{"unknown", "?", state, ""}
	}
}

// rank puts what needs a person first.
func rank(b *badge) int {
	return slices.Index([]string{"bad", "unknown", "wait", "good"}, b.Class)
}

func (s *server) sources(w http.ResponseWriter, r *http.Request) {
	h := s.health()
	snap := s.estate(r.Context())
	v := r.URL.Query()
	d := &sourcesData{Collecting: s.Health != nil, Health: h, Complete: judge(&h, s.Health != nil, snap), State: v.Get("state"), Query: v.Get("q"), Names: accountNames(snap)}
	states := map[string]int{}
	var rows []groupRow
	for i := range h.Groups {
		g := &h.Groups[i]
		states[g.State]++
		text := strings.ToLower(g.Group.Name + " " + g.Group.Account + " " + g.Group.Region + " " + g.Group.APIID + " " + d.Names[g.Group.Account])
		if (d.State == "" || d.State == g.State) && strings.Contains(text, strings.ToLower(d.Query)) {
			rows = append(rows, groupRow{*g, stateOf(g.State), proofOf(&g.Check)})
		}
	}
	for state, n := range states {
		d.States = append(d.States, option{Value: state, Title: state, Count: n, Chosen: state == d.State})
	}
	slices.SortFunc(d.States, func(a, b option) int { return strings.Compare(a.Value, b.Value) })
	slices.SortStableFunc(rows, func(a, b groupRow) int {
		return cmp.Or(cmp.Compare(rank(&a.State), rank(&b.State)), cmp.Compare(b.Lag, a.Lag), strings.Compare(a.Group.Key(), b.Group.Key()))
	})
	d.page(rows, s.BasePath+"/sources", v)
	d.books()
	d.Check = proofOf(&h.Check)
	d.places(s.BasePath + "/sources")
	s.sinks(r.Context(), d)
	s.render(w, r, 0, "sources", s.shell(r, "Sources and health", "/sources", d))
}

func (d *sourcesData) page(rows []groupRow, path string, v url.Values) {
	d.Shown = len(rows)
	from := min(offset(v), len(rows))
	d.First = min(from+1, len(rows))
	if from > 0 {
		d.Previous = with(path, v, "at", positive(from-rowsPerPage))
	}
	if from+rowsPerPage < len(rows) {
		d.Next = with(path, v, "at", positive(from+rowsPerPage))
	}
	d.Groups = rows[from:min(from+rowsPerPage, len(rows))]
}

func positive(n int) string {
	if n <= 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func (d *sourcesData) books() {
	b := d.Health.Totals
	d.Wire = 1
	if b.Read > 0 {
		d.Wire = float64(b.EventsOnWire) / float64(b.Read)
	}
	d.Books = []bookRow{
		{Name: "assembled", Live: "books.assembled", Means: "part of a call that was rebuilt", Events: b.Assembled},
		{Name: "unparsed", Live: "books.unparsed", Means: "not understood; counted and kept", Events: b.Unparsed},
		{Name: "filtered", Live: "books.filtered", Means: "left out on purpose, or came after its call was sent", Events: b.Filtered},
		{Name: "open", Live: "books.open", Means: "of calls that are not finished yet", Events: b.Open},
	}
	for i, class := range []string{"f-good", "f-bad", "f-unknown", "f-wait"} {
		if b.Read > 0 {
			d.Books[i].Bar = bar(share{class, float64(d.Books[i].Events) / float64(b.Read)})
		}
	}
}

// proofOf says in a word how the events that were read compare with the count
// that CloudWatch keeps of them.
func proofOf(c *collect.Check) badge {
	switch c.State {
	case collect.CheckComplete:
		return badge{"good", "●", "adds up", "every minute compared has as many events as CloudWatch counted"}
	case collect.CheckRereading:
		return badge{"wait", "◐", "read again", "minutes have fewer events than CloudWatch counted, and are read again"}
	case collect.CheckShort:
		return badge{"bad", "■", "short", "events that CloudWatch counted could not be read"}
	case collect.CheckUnavailable:
		return badge{"wait", "◐", "not proven", "CloudWatch's count cannot be had"}
	case collect.CheckWaiting:
		return badge{"unknown", "○", "not compared yet", "no minute is old enough to be compared"}
	default:
		return badge{"unknown", "○", "not compared", "the check is switched off, or the source keeps no count"}
	}
}

// maxPlaces bounds the accounts and regions that are listed.
const maxPlaces = 200

// places adds up the groups of each account and region, those that need a person
// first.
func (d *sourcesData) places(path string) {
	type key struct{ account, region string }
	by := map[key]*placeRow{}
	at := func(account, region string) *placeRow {
		k := key{account, region}
		if by[k] == nil {
			by[k] = &placeRow{Account: account, Region: region, Link: with(path, url.Values{}, "q", account)}
		}
		return by[k]
	}
	for i := range d.Health.Groups {
		g := &d.Health.Groups[i]
		row := at(g.Group.Account, g.Group.Region)
		row.Groups++
		row.Books.Add(g.Books)
		row.Lag = max(row.Lag, g.Lag)
		row.Missing += g.Check.Missing
		switch {
		case g.Error != "":
			row.Failing++
		case g.Lag > slow:
			row.Behind++
		}
	}
	for i := range d.Health.Problems {
		if p := &d.Health.Problems[i]; p.Group == "" && p.Account != "" {
			at(p.Account, p.Region).Problems++
		}
	}
	for _, row := range by {
		switch {
		case row.Failing > 0 || row.Problems > 0:
			row.State = badge{"bad", "■", "cannot be read whole", ""}
		case row.Behind > 0 || row.Missing > 0:
			row.State = badge{"wait", "◐", "behind", ""}
		default:
			row.State = badge{"good", "●", "read", ""}
		}
		d.Places = append(d.Places, *row)
	}
	slices.SortFunc(d.Places, func(a, b placeRow) int {
		return cmp.Or(cmp.Compare(rank(&a.State), rank(&b.State)), strings.Compare(a.Account, b.Account), strings.Compare(a.Region, b.Region))
	})
	if len(d.Places) > maxPlaces {
		d.PlacesLeft = len(d.Places) - maxPlaces
		d.Places = d.Places[:maxPlaces]
	}
}

// sinks adds to each sink how many dead letters it has.
func (s *server) sinks(ctx context.Context, d *sourcesData) {
	refused := map[string]int64{}
	if s.DeadLetters != nil {
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		counts, err := s.DeadLetters.Counts(ctx)
		if err != nil {
			s.Logger.ErrorContext(ctx, "dashboard read failed", "what", "the dead letters", "error", err)
		}
		d.Refused = err == nil
		for _, c := range counts {
			refused[c.Sink] = c.Letters
		}
	}
	for _, sink := range d.Health.Sinks {
		d.Sinks = append(d.Sinks, sinkRow{sink, refused[sink.Name], with(s.BasePath+deadLettersPath, url.Values{}, "sink", sink.Name)})
	}
}

// leftOut is how many calls the filters dropped.
func leftOut(h *collect.Health) int64 {
	var n int64
	for _, f := range h.Filters {
		n += f.Calls
	}
	return n
}
