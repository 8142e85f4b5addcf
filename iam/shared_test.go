package iam_test

import (
	"sync"
	"testing"

	"github.com/gatehouse-project/gatehouse/iam"
)

// TestSharedBetweenGoroutines decides one query over the same policies in many
// goroutines; the race detector watches.
func TestSharedBetweenGoroutines(t *testing.T) {
	t.Parallel()
	c := parseCase(t, crossAccountCase)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			var r iam.Result
			for range 200 {
				c.Evaluate(&r)
				if r.Decision != iam.Allowed || c.Policies.Decide(c.Query) != iam.Allowed {
					t.Error("denied")
					return
				}
			}
		})
	}
	group.Wait()
}

// TestNoAllocation holds the promise of Decide, and of Evaluate into a Result
// that is used again.
func TestNoAllocation(t *testing.T) { // not parallel: it counts
	denied := kase{principal: theirUser, policy: invokeBy("222222222222"), identity: []string{silent}}
	variables := kase{
		identity: []string{doc(stmt("Allow", "execute-api:*", apiARN+"/prod/*/pets/${aws:PrincipalTag/id, '1'}", when("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:user/${aws:username}")))},
	}
	for name, text := range map[string]string{"cross account": crossAccountCase, "denied": denied.text(), "variables": variables.text()} {
		c := parseCase(t, text)
		var r iam.Result
		c.Evaluate(&r)
		if n := testing.AllocsPerRun(100, func() { c.Evaluate(&r); c.Policies.Decide(c.Query) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
