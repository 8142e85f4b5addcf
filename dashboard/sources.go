package dashboard

import (
	"cmp"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

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
}

type groupRow struct {
	collect.GroupHealth
	State badge
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
			rows = append(rows, groupRow{*g, stateOf(g.State)})
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
