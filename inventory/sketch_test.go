package inventory

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/transaction"
)

func TestLatencyQuantiles(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.OneOf(rapid.Int64Range(0, 300), rapid.Int64Range(0, maxLatencyMS)), 1, 300).Draw(t, "ms")
		at := rapid.IntRange(0, len(values)).Draw(t, "split")
		var whole, left, right latencies
		for i, v := range values {
			whole.add(v)
			if i < at {
				left.add(v)
			} else {
				right.add(v)
			}
		}
		left.merge(&right)
		slices.Sort(values)
		shares := []float64{0, 0.25, 0.5, 0.95, 0.99, 1}
		got, merged := whole.quantiles(shares...), left.quantiles(shares...)
		if d := cmp.Diff(got, merged); d != "" {
			t.Fatalf("quantiles of the merged halves (-whole +merged):\n%s", d)
		}
		for i, share := range shares {
			want := float64(values[int(share*float64(len(values)-1))])
			if math.Abs(got[i]-want) > 0.0201*want {
				t.Fatalf("quantile %g is %g; want %g within 2 %%", share, got[i], want)
			}
		}
		sum := int64(0)
		for _, b := range whole.buckets() {
			sum += b.Calls
		}
		if sum != int64(len(values)) {
			t.Fatalf("the buckets hold %d calls; want %d", sum, len(values))
		}
		var back latencies
		if err := back.decode(whole.append(nil)); err != nil {
			t.Fatalf("decode: %v", err)
		}
		if d := cmp.Diff(got, back.quantiles(shares...)); d != "" {
			t.Fatalf("quantiles after saving (-want +got):\n%s", d)
		}
	})
}

func TestLatencyBounds(t *testing.T) {
	t.Parallel()
	var l latencies
	for _, ms := range []int64{math.MinInt64, -1, 0, 1, math.MaxInt64} {
		l.add(ms)
	}
	if n := l.count(); n != 5 {
		t.Errorf("%d calls; want 5", n)
	}
	if len(l.bins) > latencyBins {
		t.Errorf("%d bins; want at most %d", len(l.bins), latencyBins)
	}
	full := latencies{first: 3, bins: []uint32{math.MaxUint32, 10}, zero: 4}
	full.add(1 << 1)
	full.bump(&full.bins[0], 1)
	if full.bins[0] < math.MaxUint32/2 || full.bins[1] != 5 || full.zero != 2 {
		t.Errorf("after an overflow: %+v; want halves", full)
	}
}

func TestCallersEstimate(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 100, exactCallers, 1000, 50_000} {
		var whole, even, odd callers
		for i := range n {
			d := callerDigest(2, fmt.Sprintf("arn:aws:iam::123456789012:role/role-%d", i))
			for range 2 {
				whole.add(d)
				if i%2 == 0 {
					even.add(d)
				} else {
					odd.add(d)
				}
			}
		}
		even.merge(&odd)
		var back callers
		b, err := whole.append(nil)
		if err == nil {
			err = back.decode(b)
		}
		if err != nil {
			t.Fatalf("saving %d callers: %v", n, err)
		}
		for name, c := range map[string]*callers{"whole": &whole, "merged": &even, "loaded": &back} {
			slack := 0.0
			if n > exactCallers {
				slack = 0.08 * float64(n)
			}
			if got := float64(c.estimate()); math.Abs(got-float64(n)) > slack {
				t.Errorf("%s: %g of %d callers", name, got, n)
			}
		}
	}
}

func TestTopCallers(t *testing.T) {
	t.Parallel()
	var top topCallers
	for i := range 2000 {
		name := fmt.Sprintf("rare%d", i)
		if i%2 == 0 {
			name = fmt.Sprintf("often%d", i/2%4)
		}
		top.add(callerDigest(2, name), 2, name, "1", int64(i))
	}
	got := top.counts()
	if len(got) != maxTopCallers {
		t.Fatalf("%d top callers; want %d", len(got), maxTopCallers)
	}
	for i := range 4 {
		if c := got[i]; c.Principal[:5] != "often" || c.Calls < 250 {
			t.Errorf("top caller %d is %+v; want one of the four that call often", i, c)
		}
	}
}

func TestPrincipals(t *testing.T) {
	t.Parallel()
	long := fmt.Sprintf("%0*d", 5000, 1)
	for want, c := range map[string]transaction.Caller{
		"arn:aws:iam::1:user/ann":                           {Kind: transaction.CallerIAM, ARN: "arn:aws:iam::1:user/ann", Principal: "AIDA"},
		"arn:aws:sts::1:assumed-role/Reader":                {Kind: transaction.CallerIAM, ARN: "arn:aws:sts::1:assumed-role/Reader/botocore-session-17"},
		"arn:aws:sts::1:assumed-role/AWSReservedSSO_X_1/an": {Kind: transaction.CallerIAM, ARN: "arn:aws:sts::1:assumed-role/AWSReservedSSO_X_1/an"},
		"user|1":            {Kind: transaction.CallerLambda, Principal: "user|1", APIKeyID: "k"},
		"k":                 {Kind: transaction.CallerAPIKey, APIKeyID: "k"},
		"":                  {Kind: transaction.CallerAnonymous, Principal: "x"},
		long[:maxPrincipal]: {Kind: transaction.CallerJWT, Principal: long},
	} {
		if got := principalOf(&c); got != want {
			t.Errorf("principalOf(%+v) = %q; want %q", c, got, want)
		}
	}
}

func TestRecent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		minutes := rapid.SliceOfN(rapid.Int64Range(1000, 1200), 1, 50).Draw(t, "minutes")
		var r, a, b recent
		model := map[int64]uint32{}
		newest := int64(0)
		for i, m := range minutes {
			r.add(m, 1)
			if i%2 == 0 {
				a.add(m, 1)
			} else {
				b.add(m, 1)
			}
			newest = max(newest, m)
			if m > newest-recentMinutes {
				model[m]++
			}
		}
		end := newest + rapid.Int64Range(0, 70).Draw(t, "later")
		want := make([]uint32, recentMinutes)
		for m, n := range model {
			if at := m - (end - recentMinutes + 1); at >= 0 && m > newest-recentMinutes {
				want[at] = n
			}
		}
		if d := cmp.Diff(want, r.until(end)); d != "" {
			t.Fatalf("minutes (-want +got):\n%s", d)
		}
		var back recent
		if err := back.decode(r.append(nil)); err != nil {
			t.Fatalf("decode: %v", err)
		}
		if d := cmp.Diff(want, back.until(end)); d != "" {
			t.Fatalf("minutes after saving (-want +got):\n%s", d)
		}
	})
}

func FuzzState(f *testing.F) {
	var s state
	s.countStatus(200, 3)
	s.latencies.add(12)
	s.callers.add(7)
	s.top.add(7, 2, "p", "a", 5)
	s.samples[0] = sample{key: "k", at: 1, class: 2, rank: 3}
	b, err := s.append(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{sectionCallers, 1, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var s state
		if err := s.decode(b); err != nil {
			return
		}
		again, err := s.append(nil)
		if err != nil {
			t.Fatalf("a state that was read cannot be saved: %v", err)
		}
		if err := new(state).decode(again); err != nil {
			t.Fatalf("a state that was saved cannot be read: %v", err)
		}
		_, _, _ = NewDetail(Endpoint{}, b)
		var r recent
		_ = r.decode(b)
	})
}
