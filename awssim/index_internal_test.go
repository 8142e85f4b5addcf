package awssim

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestIndexIsASortedSet compares the chunked index with a sorted slice, over
// insertions in and out of order, cuts at the front, seeks and walks.
func TestIndexIsASortedSet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var x index[key]
		var model []key
		var seq uint64
		compare := func(a, b key) int {
			switch {
			case a.less(b):
				return -1
			case b.less(a):
				return 1
			}
			return 0
		}
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(rt *rapid.T) {
				for range rapid.IntRange(1, 700).Draw(rt, "n") {
					seq++
					k := key{ts: int64(seq / 3), seq: seq}
					x.insert(k)
					model = append(model, k)
				}
				slices.SortFunc(model, compare)
			},
			"insert": func(rt *rapid.T) {
				for range rapid.IntRange(1, 700).Draw(rt, "n") {
					seq++
					k := key{ts: rapid.Int64Range(0, 500).Draw(rt, "ts"), seq: seq}
					x.insert(k)
					model = append(model, k)
				}
				slices.SortFunc(model, compare)
			},
			"cut": func(rt *rapid.T) {
				k := key{ts: rapid.Int64Range(0, 300).Draw(rt, "ts")}
				n, _ := slices.BinarySearchFunc(model, k, compare)
				var dropped []key
				x.popBefore(k, func(e *key) { dropped = append(dropped, *e) })
				if !slices.Equal(dropped, model[:n]) {
					rt.Fatalf("dropped %d, want %d", len(dropped), n)
				}
				model = slices.Clone(model[n:])
			},
			"seek": func(rt *rapid.T) {
				k := key{ts: rapid.Int64Range(-1, 600).Draw(rt, "ts"), seq: rapid.Uint64Range(0, seq+1).Draw(rt, "seq")}
				n, _ := slices.BinarySearchFunc(model, k, compare)
				e, ok := x.get(x.seek(k))
				if ok != (n < len(model)) || ok && *e != model[n] {
					rt.Fatalf("seek %v gave %v %t", k, e, ok)
				}
				e, ok = x.get(x.prev(x.seek(k)))
				if ok != (n > 0) || ok && *e != model[n-1] {
					rt.Fatalf("before %v is %v %t", k, e, ok)
				}
			},
			"": func(rt *rapid.T) {
				var walked []key
				for p := (place{}); ; p = x.next(p) {
					e, ok := x.get(p)
					if !ok {
						break
					}
					walked = append(walked, *e)
				}
				if !slices.Equal(walked, model) || x.size != len(model) {
					rt.Fatalf("walk of %d, size %d, want %d", len(walked), x.size, len(model))
				}
			},
		})
	})
}

func TestEventIDs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		draw := func() key {
			return key{ts: rapid.Int64Range(0, 4e12).Draw(rt, "ts"), seq: rapid.Uint64().Draw(rt, "seq")}
		}
		a, b := draw(), draw()
		if back, err := parseEventID(eventID(a)); err != nil || back != a {
			rt.Fatalf("%v became %s and %v (%v)", a, eventID(a), back, err)
		}
		if len(eventID(a)) != eventIDDigits || a.less(b) != (eventID(a) < eventID(b)) {
			rt.Fatalf("%v and %v became %s and %s", a, b, eventID(a), eventID(b))
		}
	})
	for _, bad := range []string{"", "1", string(make([]byte, eventIDDigits))} {
		if k, err := parseEventID(bad); err == nil {
			t.Errorf("%q was read as %v", bad, k)
		}
	}
}

func TestFilterPattern(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, message string
		want             bool
	}{
		{"", "anything", true},
		{"ERROR", "an ERROR here", true},
		{"ERROR", "an error here", false},
		{"ERROR disk", "disk ERROR", true},
		{`"disk full"`, "disk is full", false},
		{`"disk full"`, "the disk full", true},
		{"?a1 ?b2", "b2", true},
		{"?a1 ?b2", "c3", false},
		{"ERROR -disk", "ERROR disk", false},
		{"ERROR -disk", "ERROR", true},
	} {
		p, err := compilePattern(test.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.match(test.message); got != test.want {
			t.Errorf("%q matches %q: %t, want %t", test.pattern, test.message, got, test.want)
		}
	}
	for _, bad := range []string{"{ $.a = 1 }", "[a, b]", "%x%", `"open`, "? "} {
		if _, err := compilePattern(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestDeadSessionsAreForgotten(t *testing.T) {
	t.Parallel()
	s := New(Options{})
	a := s.Account("111111111111")
	a.AddRole(Role{Name: "R"})
	for range 3 * firstSweep {
		a.Session("R", "s", -2*keepDead)
	}
	if n := len(s.keys); n > firstSweep {
		t.Errorf("%d sessions are remembered", n)
	}
}
