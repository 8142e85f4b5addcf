package dashboard

import (
	"context"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/inventory"
)

// span is a time range that a page can show, and how finely.
type span struct {
	Name  string // in the address
	Title string
	Whole time.Duration
	Step  time.Duration
}

var spans = []span{
	{"15m", "15 min", 15 * time.Minute, time.Minute},
	{"1h", "1 h", time.Hour, time.Minute},
	{"24h", "24 h", 24 * time.Hour, 10 * time.Minute},
	{"7d", "7 d", 7 * 24 * time.Hour, time.Hour},
	{"30d", "30 d", 30 * 24 * time.Hour, 4 * time.Hour},
}

func spanOf(name string) span {
	for _, s := range spans {
		if s.Name == name {
			return s
		}
	}
	return spans[1]
}

// point is a step of a time series, in calls a second. One that was not
// observed is a gap, whatever stands beside it.
type point struct {
	At                time.Time
	Observed          bool
	Calls, E4xx, E5xx float64
}

// series gathers minutes into the steps of [from, to). A minute that was not
// read to its end by until would look like a fall; it counts only while there is
// no whole one, and then for the seconds that were read.
func series(minutes []inventory.Minute, from, to, until time.Time, step time.Duration) []point {
	n := int(to.Sub(from) / step)
	points, seconds := make([]point, n), make([]float64, n)
	for i := range points {
		points[i].At = from.Add(time.Duration(i) * step)
	}
	whole := slices.ContainsFunc(minutes, func(m inventory.Minute) bool { return !until.Before(m.Time.Add(time.Minute)) })
	for i := range minutes {
		m := &minutes[i]
		at := int(m.Time.Sub(from) / step)
		took := min(60, until.Sub(m.Time).Seconds())
		if m.Time.Before(from) || at >= n || took < 1 || (whole && took < 60) {
			continue
		}
		p := &points[at]
		p.Observed = true
		p.Calls += float64(m.Calls)
		p.E4xx += float64(m.Errors4xx)
		p.E5xx += float64(m.Errors5xx)
		seconds[at] += took
	}
	for i := range points {
		if s := seconds[i]; s > 0 {
			points[i].Calls /= s
			points[i].E4xx /= s
			points[i].E5xx /= s
		}
	}
	return points
}

// chart is what the template of a time series shows.
type chart struct {
	Span     span
	Spans    []span
	Points   []point
	SVG      template.HTML
	Top      float64 // the value at the upper edge
	Half     float64
	Ticks    []time.Time
	Last     point
	Peak     float64
	Gaps     int // steps that were not observed
	Observed int
	Err      bool
}

// traffic draws the calls of api, or of all if api is empty.
func (s *server) traffic(ctx context.Context, api, name string) chart {
	sp := spanOf(name)
	now := s.Clock().UTC()
	to := now.Truncate(sp.Step).Add(sp.Step)
	from := to.Add(-sp.Whole)
	c := chart{Span: sp, Spans: spans}
	for i := range 5 {
		c.Ticks = append(c.Ticks, from.Add(sp.Whole*time.Duration(i)/4))
	}
	minutes, err := s.Inventory.Traffic(ctx, api, from, to)
	if err != nil {
		s.Logger.ErrorContext(ctx, "dashboard read failed", "what", "the traffic", "error", err)
		c.Err = true
		return c
	}
	until := now.Add(-s.usualLag())
	c.Points = series(minutes, from, to, until, sp.Step)
	for i := range c.Points {
		p := c.Points[i]
		switch {
		case p.Observed:
			c.Observed++
			c.Peak = max(c.Peak, p.Calls)
			c.Last = p
		case p.At.Add(sp.Step).Before(until):
			c.Gaps++
		}
	}
	if name == "" && c.young() {
		return s.traffic(ctx, api, spans[0].Name)
	}
	c.Top = niceTop(c.Peak)
	c.Half = c.Top / 2
	c.SVG = drawSeries(c.Points, c.Top, until.Add(-sp.Step), fmt.Sprintf(
		"Calls per second over %s: last %s, highest %s, %d of %d steps not observed", sp.Title, rate(c.Last.Calls), rate(c.Peak), c.Gaps, len(c.Points)))
	return c
}

// young reports whether everything that was observed is in the latest steps, which a
// shorter span would fill: what is an hour of emptiness and a corner of lines tells a
// newcomer little.
func (c *chart) young() bool {
	late := max(0, len(c.Points)-int(spans[0].Whole/c.Span.Step))
	return c.Observed > 0 && !slices.ContainsFunc(c.Points[:late], func(p point) bool { return p.Observed })
}

// usualLag is how far the groups that keep up are behind now: the one that is
// hours behind, or cannot be read, must not hide what the others show.
func (s *server) usualLag() time.Duration {
	var lag time.Duration
	h := s.health()
	for i := range h.Groups {
		if g := &h.Groups[i]; g.Error == "" && g.Lag <= slow {
			lag = max(lag, g.Lag)
		}
	}
	return lag
}

// niceTop is the smallest of 1, 2, 5, 10, … times a power of ten that is not
// under v.
func niceTop(v float64) float64 {
	if v <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{1, 2, 4, 5, 8, 10} {
		if f*unit >= v*1.02 {
			return f * unit
		}
	}
	return 20 * unit
}

// svg writes numbers with at most two decimals.
type svg struct{ strings.Builder }

func (b *svg) num(v float64) {
	s := strconv.FormatFloat(v, 'f', 2, 64)
	b.WriteString(strings.TrimSuffix(strings.TrimRight(s, "0"), "."))
}

func (b *svg) at(command byte, x, y float64) {
	b.WriteByte(command)
	b.num(x)
	b.WriteByte(' ')
	b.num(y)
}

// drawSeries draws calls as an area and errors as lines in a box of one unit a
// step by 100, which the page stretches. The lines break at gaps. Only steps
// that end before read are called gaps: later ones may still be read.
func drawSeries(points []point, top float64, read time.Time, label string) template.HTML {
	var b svg
	n := len(points)
	fmt.Fprintf(&b, `<svg class="series" viewBox="0 0 %d 100" preserveAspectRatio="none" role="img" tabindex="0" aria-label="%s">`, n, template.HTMLEscapeString(label))
	for y := 0; y <= 100; y += 50 {
		fmt.Fprintf(&b, `<path class="grid" d="M0 %dH%d"/>`, y, n)
	}
	for i := 0; i < n; i++ {
		j := i
		for j < n && !points[j].Observed && points[j].At.Before(read) {
			j++
		}
		if j > i {
			fmt.Fprintf(&b, `<rect class="gap" x="%d" y="0" width="%d" height="100"/>`, i, j-i)
			i = j
		}
	}
	lines := []struct {
		class string
		value func(*point) float64
		area  bool
	}{
		{"calls", func(p *point) float64 { return p.Calls }, true},
		{"e4xx", func(p *point) float64 { return p.E4xx }, false},
		{"e5xx", func(p *point) float64 { return p.E5xx }, false},
	}
	for _, l := range lines {
		var line, area svg
		for i := 0; i < n; {
			if !points[i].Observed {
				i++
				continue
			}
			j := i
			for ; j < n && points[j].Observed; j++ {
				x, y := float64(j)+.5, 100-100*l.value(&points[j])/top
				if j == i {
					line.at('M', x, y)
					area.at('M', x, 100)
					area.at('L', x, y)
				} else {
					line.at('L', x, y)
					area.at('L', x, y)
				}
			}
			if j == i+1 { // one step between gaps: a dot
				line.WriteString("h0")
			}
			area.at('L', float64(j)-.5, 100)
			area.WriteByte('Z')
			i = j
		}
		if l.area && area.Len() > 0 {
			fmt.Fprintf(&b, `<path class="area %s" d="%s"/>`, l.class, area.String())
		}
		if line.Len() > 0 {
			fmt.Fprintf(&b, `<path class="line %s" d="%s"/>`, l.class, line.String())
		}
	}
	b.WriteString(`<g class="hits">`)
	for i := range points {
		p := &points[i]
		at := p.At.Format("2006-01-02T15:04:05Z")
		if !p.Observed {
			fmt.Fprintf(&b, `<rect x="%d" width="1" height="100" data-t="%s"><title>%s UTC: not observed</title></rect>`, i, at, p.At.Format("2 Jan 15:04"))
			continue
		}
		fmt.Fprintf(&b, `<rect x="%d" width="1" height="100" data-t="%s" data-v="%s %s %s"><title>%s UTC: %s calls/s, %s 4xx/s, %s 5xx/s</title></rect>`,
			i, at, rate(p.Calls), rate(p.E4xx), rate(p.E5xx), p.At.Format("2 Jan 15:04"), rate(p.Calls), rate(p.E4xx), rate(p.E5xx))
	}
	b.WriteString(`</g><path class="cursor" d="M0 0V100"/></svg>`)
	return template.HTML(b.String()) //nolint:gosec // Numbers and times alone; the label is escaped.
}

// sparkline draws the calls of each of the last 60 minutes as columns; the
// minute that has not ended is fainter.
func sparkline(recent []uint32) template.HTML {
	if len(recent) == 0 {
		return ""
	}
	var top uint32 = 1
	for _, v := range recent {
		top = max(top, v)
	}
	var b, done svg
	column := func(d *svg, i int, v uint32) {
		if v == 0 {
			return
		}
		h := max(1, 20*float64(v)/float64(top))
		d.at('M', float64(i), 20)
		fmt.Fprintf(d, "v-")
		d.num(h)
		d.WriteString("h.8v")
		d.num(h)
	}
	last := len(recent) - 1
	for i, v := range recent[:last] {
		column(&done, i, v)
	}
	fmt.Fprintf(&b, `<svg class="spark" viewBox="0 0 %d 20" preserveAspectRatio="none" role="img" aria-label="calls a minute over the last hour, highest %s"><path d="%s"/>`, len(recent), count(top), done.String())
	var open svg
	column(&open, last, recent[last])
	if open.Len() > 0 {
		fmt.Fprintf(&b, `<path class="open" d="%s"/>`, open.String())
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) //nolint:gosec // Numbers alone.
}

// bar draws shares of a whole side by side, each in its class.
func bar(shares ...share) template.HTML {
	var b svg
	b.WriteString(`<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">`)
	x := 0.0
	for _, s := range shares {
		if w := s.Part * 100; w > 0 {
			fmt.Fprintf(&b, `<rect class="%s" x="`, template.HTMLEscapeString(s.Class))
			b.num(x)
			b.WriteString(`" width="`)
			b.num(w)
			b.WriteString(`" height="1"/>`)
			x += w
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) //nolint:gosec // Numbers and our own class names alone.
}

type share struct {
	Class string
	Part  float64 // of 1
}
