package eks

import "testing"

// BenchmarkLendAndTakeBack makes one binding and takes it away, each read back, over TLS to
// an API server in the process, after the list with which a server begins.
func BenchmarkLendAndTakeBack(b *testing.B) {
	c := newBench(b)
	if _, err := c.rbac.List(b.Context(), c.integration); err != nil {
		b.Fatal(err)
	}
	lent := c.wanted(b, person(0), testItems[0], "g-1")
	gone := lent
	gone.Holdings = nil
	for b.Loop() {
		if _, err := c.rbac.Apply(b.Context(), c.integration, lent); err != nil {
			b.Fatal(err)
		}
		if _, err := c.rbac.Apply(b.Context(), c.integration, gone); err != nil {
			b.Fatal(err)
		}
	}
}
