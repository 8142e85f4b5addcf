package dashboard

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/inventory"
)

func TestSeriesKeepsGaps(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(m int) time.Time { return from.Add(time.Duration(m) * time.Minute) }
	minutes := []inventory.Minute{
		{Time: at(0), Calls: 60},
		{Time: at(1), Calls: 120, Errors5xx: 60},
		{Time: at(4)}, // observed, and nobody called
		{Time: at(6), Calls: 600},
		{Time: at(9), Calls: 30}, // not over yet
		{Time: at(-1), Calls: 9999},
	}
	got := series(minutes, from, at(10), at(9).Add(20*time.Second), 2*time.Minute)
	want := []point{
		{At: at(0), Observed: true, Calls: 1.5, E5xx: .5},
		{At: at(2)},
		{At: at(4), Observed: true},
		{At: at(6), Observed: true, Calls: 10},
		{At: at(8)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	first := series([]inventory.Minute{{Time: at(9), Calls: 30}}, from, at(10), at(9).Add(20*time.Second), 2*time.Minute)
	if p := first[4]; !p.Observed || p.Calls != 1.5 {
		t.Errorf("the first seconds of all are %+v, want 30 calls in 20 seconds", p)
	}
}

func TestLinesBreakAtGaps(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	points := make([]point, 6)
	for i := range points {
		points[i] = point{At: from.Add(time.Duration(i) * time.Minute), Observed: i != 2 && i != 4, Calls: 1}
	}
	svg := string(drawSeries(points, 1, from.Add(time.Hour), `a "label"`))
	for _, want := range []string{
		`<path class="line calls" d="M0.5 0L1.5 0M3.5 0h0M5.5 0h0"/>`,
		`<rect class="gap" x="2" y="0" width="1" height="100"/>`, `<rect class="gap" x="4"`,
		"12:02 UTC: not observed", "12:03 UTC: 1.00 calls/s", "a &#34;label&#34;",
	} {
		if !strings.Contains(svg, want) {
			t.Errorf("the chart lacks %s: %s", want, svg)
		}
	}
	unread := string(drawSeries(points, 1, from, ""))
	if strings.Contains(unread, `class="gap"`) {
		t.Error("what may still be read is called a gap")
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ got, want string }{
		{count(0), "0"},
		{count(999), "999"},
		{count(1000), "1,000"},
		{count(-1234567), "-1,234,567"},
		{rate(0), "0.00"},
		{rate(9.994), "9.99"},
		{rate(42.46), "42.5"},
		{rate(1234.5), "1,235"},
		{duration(0), "0 s"},
		{duration(250 * time.Millisecond), "250 ms"},
		{duration(59 * time.Second), "59 s"},
		{duration(7*time.Minute + 12*time.Second), "7 min 12 s"},
		{duration(3 * time.Hour), "3 h"},
		{duration(49 * time.Hour), "2 d 1 h"},
		{duration(-time.Second), "0 s"},
		{percent(0, 0), "–"},
		{percent(0, 10), "0 %"},
		{percent(1, 100_000), "< 0.1 %"},
		{percent(99_999, 100_000), "> 99.9 %"},
		{percent(997, 1000), "99.7 %"},
		{percent(10, 10), "100 %"},
		{percent(1, 3), "33 %"},
		{milliseconds(0), "–"},
		{milliseconds(6.84), "6.8 ms"},
		{milliseconds(2350), "2,350 ms"},
		{milliseconds(29_000), "29.0 s"},
		{size(999), "999 B"},
		{size(2_437_000_000), "2.4 GB"},
		{short(niceTop(35)), "40"},
		{short(niceTop(.13)), "0.2"},
		{short(niceTop(0)), "1"},
		{short(niceTop(99.9)), "200"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %q, want %q", tc.got, tc.want)
		}
	}
}

func TestVisible(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain\ttext\n":            "plain\ttext\n",
		"Grüße, 世界 🚀":              "Grüße, 世界 🚀",
		"txt\u202eexe":             "txt⟨U+202E⟩exe",
		"a\u200b\u2066b\ufeff":     "a⟨U+200B⟩⟨U+2066⟩b⟨U+FEFF⟩",
		"\x1b[31m\x7f\u0085\r":     "⟨U+001B⟩[31m⟨U+007F⟩⟨U+0085⟩⟨U+000D⟩",
		"\xff\xc0":                 "⟨0xFF⟩⟨0xC0⟩",
		"tag\U000E0041 soft\u00ad": "tag⟨U+E0041⟩ soft⟨U+00AD⟩",
	} {
		if got := string(visible([]byte(in))); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
}

func FuzzPretty(f *testing.F) {
	f.Add(`{"a":[1,{"b":"x\"y"}],"c":{}}`)
	f.Add(`[[[[]]]]`)
	f.Add(`not json`)
	f.Fuzz(func(t *testing.T, body string) {
		out := pretty(body)
		if strip(out) != strip(body) {
			t.Errorf("pretty changed %q to %q", body, out)
		}
	})
}

// strip takes the space away that pretty may add or leave out.
func strip(s string) string {
	return strings.NewReplacer(" ", "", "\n", "", "\t", "", "\r", "").Replace(s)
}

// A chart whose calls are all of the last minutes shows those; one with a past, or with
// nothing at all, shows the usual hour.
func TestYoungChart(t *testing.T) {
	t.Parallel()
	hour := spanOf("")
	for name, test := range map[string]struct {
		observed []int
		young    bool
	}{
		"nothing": {nil, false}, "a minute": {[]int{59}, true}, "a quarter": {[]int{45, 50, 59}, true},
		"a little more": {[]int{44, 59}, false}, "an old minute": {[]int{0}, false},
	} {
		c := chart{Span: hour, Points: make([]point, 60), Observed: len(test.observed)}
		for _, i := range test.observed {
			c.Points[i].Observed = true
		}
		if c.young() != test.young {
			t.Errorf("%s: young is %t", name, c.young())
		}
	}
}
