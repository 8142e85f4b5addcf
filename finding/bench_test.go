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

// BenchmarkEvaluatePrincipals judges 2,000 roles, each with a trust policy of its own,
// and 100 clusters.
func BenchmarkEvaluatePrincipals(b *testing.B) {
	e := &Estate{Time: testTime}
	for i := range 100 {
		w := newWorld("")
		w.place.Account = strconv.Itoa(100_000_000_000 + i)
		eks(nil)(w)
		a := Account{ID: w.place.Account, Partition: "aws"}
		for j := range 20 {
			id := a.ID + ":role/r" + strconv.Itoa(j)
			trusted := `{"AWS":"arn:aws:iam::` + id + `"}`
			if j%4 == 0 {
				trusted = byCluster
			}
			a.Principals = append(a.Principals, Principal{
				ARN:   "arn:aws:iam::" + id,
				Trust: `{"Version":"2012-10-17","Statement":[{"Sid":"S` + strconv.Itoa(i) + `","Effect":"Allow","Principal":` + trusted + `,"Action":["sts:AssumeRole","sts:AssumeRoleWithWebIdentity"],"Condition":` + exactIRSA + `}]}`,
			})
		}
		e.Places, e.Accounts = append(e.Places, *w.place), append(e.Accounts, a)
	}
	b.ReportAllocs()
	for b.Loop() {
		Evaluate(e)
	}
}
