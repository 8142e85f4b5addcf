package flow

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a decision must not depend on what the machine has installed
)

// Timeframe is a time of the week, by the clocks of a time zone: on the days when
// those are put forward or back, what counts is what they show. A window whose end
// is not after its start goes on past midnight and belongs to the day it began on.
type Timeframe struct {
	Days []time.Weekday `json:"days"` // empty: every day
	// Start and End are minutes since midnight, Start included and End not; both 0:
	// the whole day.
	Start int `json:"start"`
	End   int `json:"end"`
	// TimeZone is an IANA name, such as "Europe/Berlin".
	TimeZone string `json:"time_zone"`
}

// minutesOfDay is one more than the last minute that a clock shows.
const minutesOfDay = 24 * 60

var weekdays = [...]string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

// ParseWeekday reads the English name of a day in any case.
func ParseWeekday(name string) (time.Weekday, error) {
	for i, w := range weekdays {
		if strings.EqualFold(w, name) {
			return time.Weekday(i), nil
		}
	}
	return 0, fmt.Errorf("%q is not a day of the week: monday, tuesday, …", name)
}

// ParseClock reads a time of the day as HH:MM, from 00:00 to 24:00, in minutes.
func ParseClock(text string) (int, error) {
	bad := fmt.Errorf("%q is not a time of the day from 00:00 to 24:00", text)
	if len(text) != len("00:00") || text[2] != ':' {
		return 0, bad
	}
	for _, i := range []int{0, 1, 3, 4} {
		if text[i] < '0' || text[i] > '9' {
			return 0, bad
		}
	}
	h, m := int(text[0]-'0')*10+int(text[1]-'0'), int(text[3]-'0')*10+int(text[4]-'0')
	if m > 59 || h*60+m > minutesOfDay {
		return 0, bad
	}
	return h*60 + m, nil
}

// FormatClock writes minutes since midnight as HH:MM.
func FormatClock(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }

// location returns the time zone. "Local" is refused: it is another one on each
// machine.
func (t *Timeframe) location() (*time.Location, error) {
	if t.TimeZone == "" || t.TimeZone == "Local" {
		return nil, errors.New("name the time zone, such as Europe/Berlin or UTC")
	}
	loc, err := time.LoadLocation(t.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("%q is not a time zone: use an IANA name, such as Europe/Berlin or UTC", t.TimeZone)
	}
	return loc, nil
}

// wholeDay reports whether the window is all of each of its days.
func (t *Timeframe) wholeDay() bool {
	return t.Start == 0 && (t.End == 0 || t.End == minutesOfDay)
}

// window is a Timeframe, compiled.
type window struct {
	days       [7]bool
	start, end int
	loc        *time.Location
	text       string
}

func compileTimeframe(t *Timeframe) (*window, error) {
	if t == nil {
		return nil, nil //nolint:nilnil // no timeframe, no window: every time is inside
	}
	loc, err := t.location()
	if err != nil {
		return nil, err
	}
	w := &window{start: t.Start, end: t.End, loc: loc, text: t.String()}
	if t.wholeDay() {
		w.end = minutesOfDay
	}
	for _, d := range t.Days {
		w.days[d] = true
	}
	if len(t.Days) == 0 {
		w.days = [7]bool{true, true, true, true, true, true, true}
	}
	return w, nil
}

// contains reports whether a moment is inside; a nil window has every moment but
// the zero time, which nobody has told.
func (w *window) contains(at time.Time) bool {
	if w == nil {
		return true
	}
	if at.IsZero() {
		return false
	}
	at = at.In(w.loc)
	m, day := at.Hour()*60+at.Minute(), at.Weekday()
	if w.start < w.end {
		return w.days[day] && m >= w.start && m < w.end
	}
	return w.days[day] && m >= w.start || w.days[(day+6)%7] && m < w.end
}

// String describes the timeframe for people.
func (t *Timeframe) String() string {
	var b strings.Builder
	switch {
	case len(t.Days) == 0 || len(t.Days) == 7:
		b.WriteString("every day")
	default:
		for i, d := range t.Days {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(d.String())
		}
	}
	if !t.wholeDay() {
		b.WriteString(" " + FormatClock(t.Start) + "–" + FormatClock(t.End))
	}
	b.WriteString(" " + t.TimeZone)
	return b.String()
}
