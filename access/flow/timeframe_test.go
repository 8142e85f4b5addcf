package flow

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// On the days when clocks change, a timeframe is what the clock on the wall says. The
// model reads that clock as text, minute by minute from the last midnight on.
func TestTimeframeAgainstTheWall(t *testing.T) {
	t.Parallel()
	zones := []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo", "UTC"}
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom(zones).Draw(t, "zone")
		frame := &Timeframe{
			Days:  rapid.SliceOfNDistinct(rapid.SampledFrom([]time.Weekday{0, 1, 2, 3, 4, 5, 6}), 1, 7, rapid.ID[time.Weekday]).Draw(t, "days"),
			Start: rapid.IntRange(0, minutesOfDay-1).Draw(t, "start"), End: rapid.IntRange(0, minutesOfDay).Draw(t, "end"), TimeZone: zone,
		}
		if frame.Start == frame.End {
			return
		}
		w, err := compileTimeframe(frame)
		if err != nil {
			t.Fatal(err)
		}
		// Days on which one of the zones puts its clocks forward or back, and others.
		day := rapid.SampledFrom([]string{"2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01", "2018-11-04", "2018-02-18", "2026-06-10"}).Draw(t, "day")
		midnight, _ := time.Parse(time.DateOnly, day)
		at := midnight.Add(time.Duration(rapid.IntRange(-14*60, 38*60).Draw(t, "minute")) * time.Minute).Add(time.Duration(rapid.IntRange(0, 59).Draw(t, "second")) * time.Second)
		loc, _ := time.LoadLocation(zone)
		wall := strings.Fields(at.In(loc).Format("Monday 15:04"))
		start, end := FormatClock(frame.Start), FormatClock(frame.End)
		on := func(name string) bool {
			d, err := ParseWeekday(name)
			return err == nil && slices.Contains(frame.Days, d)
		}
		names := []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
		before := names[(slices.Index(names, wall[0])+6)%7]
		want := on(wall[0]) && wall[1] >= start && wall[1] < end
		if end <= start {
			want = on(wall[0]) && wall[1] >= start || on(before) && wall[1] < end
		}
		if got := w.contains(at); got != want {
			t.Fatalf("%s at %v: %v, want %v", frame, at.In(loc), got, want)
		}
	})
}

func TestTimeframe(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		frame, at string
		want      bool
	}{
		{"{days: [monday], start: '22:00', end: '06:00', time_zone: Europe/Berlin}", "2026-03-09T21:00:00Z", true},
		{"{days: [monday], start: '22:00', end: '06:00', time_zone: Europe/Berlin}", "2026-03-10T04:59:59Z", true},
		{"{days: [monday], start: '22:00', end: '06:00', time_zone: Europe/Berlin}", "2026-03-10T05:00:00Z", false},
		{"{days: [monday], start: '22:00', end: '06:00', time_zone: Europe/Berlin}", "2026-03-09T04:00:00Z", false},
		{"{days: [sunday], start: '02:30', end: '03:30', time_zone: Europe/Berlin}", "2026-03-29T01:10:00Z", true}, // 03:10; 02:30 to 03:00 does not exist
		{"{days: [sunday], start: '02:00', end: '02:30', time_zone: Europe/Berlin}", "2026-10-25T00:15:00Z", true}, // 02:15, the first time
		{"{days: [sunday], start: '02:00', end: '02:30', time_zone: Europe/Berlin}", "2026-10-25T01:15:00Z", true}, // and again
		{"{days: [sunday], start: '00:00', end: '24:00', time_zone: UTC}", "2026-10-25T23:59:59Z", true},
		{"{start: '23:00', end: '00:00', time_zone: UTC}", "2026-10-25T23:59:59Z", true},
		{"{start: '23:00', end: '00:00', time_zone: UTC}", "2026-10-26T00:00:00Z", false},
	} {
		s := parse(t, flowText("timeframe: "+tt.frame))
		at, err := time.Parse(time.RFC3339, tt.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.rules[0].window.contains(at); got != tt.want {
			t.Errorf("%s at %s: %v", tt.frame, tt.at, got)
		}
	}
}
