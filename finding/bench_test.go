package finding

import (
	"strconv"
	"testing"
)

// BenchmarkEvaluate judges 300 REST APIs with a resource policy and 20 routes each.
func BenchmarkEvaluate(b *testing.B) {
	e := &Estate{Time: testTime}
	for i := range 300 {
		w := newWorld(REST)
		w.place.Account = strconv.Itoa(100_000_000_000 + i)
		w.api.Policy = policy("Allow", `"*"`, `{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`)
		for j := range 19 {
			w.api.Routes = append(w.api.Routes, Route{Method: "GET", Path: "/r" + strconv.Itoa(j), Authorization: []string{"NONE", "AWS_IAM"}[j%2]})
		}
		e.Places = append(e.Places, *w.place)
	}
	b.ReportAllocs()
	for b.Loop() {
		Evaluate(e)
	}
}
