package collect

import "maps"

// minute is the step of the Source's count, in milliseconds.
const minute = 60_000

// floorMinute is the beginning of the minute of a time in milliseconds.
func floorMinute(ms int64) int64 { return floorDiv(ms, minute) * minute }

// tally counts the distinct events of a group by the minute in which they were
// taken in, for the comparison with the Source's own count.
//
// What is saved must count exactly the events that will not be read again after
// a crash. So the counts of each minute of timestamps are kept apart until the
// slow reading has passed it and no call in it is open: only then are they added
// to those that are saved. Everything later is counted anew in the next life.
type tally struct {
	// since is the first minute of which all events are counted.
	since  int64
	all    map[int64]int64         // by the minute of taking in
	sealed map[int64]int64         // the part of all that is saved
	open   map[int64][]MinuteCount // the rest, by the minute of the timestamp
	saved  *Counted                // sealed, as a checkpoint has it; nil: to be made

	// Events come in runs of the same two minutes; a run reaches the maps when
	// it ends.
	runAt, runIn, run int64
}

// restore takes over what was saved.
func (t *tally) restore(c *Counted) {
	t.since = c.Since
	t.saved = c
	for i, n := range c.Events {
		if n != 0 {
			t.keep(&t.sealed, c.From+int64(i)*minute, n)
			t.keep(&t.all, c.From+int64(i)*minute, n)
		}
	}
}

func (t *tally) keep(m *map[int64]int64, in, n int64) {
	if *m == nil {
		*m = make(map[int64]int64)
	}
	(*m)[in] += n
}

// note counts an event with a timestamp and the time when it was taken in.
func (t *tally) note(timestamp, ingested int64) {
	at, in := floorMinute(timestamp), floorMinute(ingested)
	if at != t.runAt || in != t.runIn {
		t.flush()
		t.runAt, t.runIn = at, in
	}
	t.run++
}

// flush ends the run.
func (t *tally) flush() {
	if t.run == 0 {
		return
	}
	n := t.run
	t.run = 0
	t.keep(&t.all, t.runIn, n)
	cells := t.open[t.runAt]
	for i := range cells {
		if cells[i].Minute == t.runIn {
			cells[i].Events += n
			return
		}
	}
	if t.open == nil {
		t.open = make(map[int64][]MinuteCount)
	}
	t.open[t.runAt] = append(cells, MinuteCount{t.runIn, n})
}

// seal moves what has timestamps before a time, which begins a minute, to what
// is saved.
func (t *tally) seal(before int64) {
	t.flush()
	for at, cells := range t.open {
		if at >= before {
			continue
		}
		for _, c := range cells {
			t.keep(&t.sealed, c.Minute, c.Events)
		}
		delete(t.open, at)
		t.saved = nil
	}
}

// forget drops the minutes before a time.
func (t *tally) forget(before int64) {
	old := func(in, _ int64) bool { return in < before }
	maps.DeleteFunc(t.all, old)
	n := len(t.sealed)
	maps.DeleteFunc(t.sealed, old)
	if len(t.sealed) != n {
		t.saved = nil
	}
}

// of returns how many events were taken in during a minute.
func (t *tally) of(in int64) int64 { return t.all[in] }

// counted is what a checkpoint saves.
func (t *tally) counted() *Counted {
	if t.saved != nil {
		return t.saved
	}
	c := &Counted{Since: t.since}
	first, last := int64(maxTime), int64(-maxTime)
	for in := range t.sealed {
		first, last = min(first, in), max(last, in)
	}
	// Events with wild clocks must not make the list long.
	if len(t.sealed) > 0 {
		first = max(first, last-2*checkSpan)
		c.From = first
		c.Events = make([]int64, (last-first)/minute+1)
		for in, n := range t.sealed {
			if in >= first {
				c.Events[(in-first)/minute] = n
			}
		}
	}
	t.saved = c
	return c
}
