package https

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-project/gatehouse/sink/sinktest"
)

// Calls a second, with gzip, to an endpoint in the process that reads and drops.
func BenchmarkDeliver(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	b.Cleanup(server.Close)
	for _, format := range []Format{Native, Cequence} {
		b.Run(string(format), func(b *testing.B) {
			c, err := Parse(server.URL + "/?format=" + string(format))
			if err != nil {
				b.Fatal(err)
			}
			s, err := Open(c)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.Close(b.Context()) }()
			batch := sinktest.Calls(0, 1000)
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Deliver(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(batch)*b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}
