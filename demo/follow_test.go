package demo

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/awssim"
)

const (
	legacyGroup    = "API-Gateway-Execution-Logs_" + paymentsID + "/legacy"
	legacyAccess   = "/aws/vendedlogs/apigateway/" + paymentsID + "/legacy"
	legacyDelivery = "/aws/vendedlogs/apigateway-execution/" + paymentsID + "/legacy"
)

// What is switched on at a stage is in the calls that follow, each setting by itself,
// and what is switched off is in none of them.
func TestTheGatewayFollowsTheStages(t *testing.T) {
	t.Parallel()
	s := setup(t, 25)
	region := s.world.Sim.Account(Orders).Region("us-east-1")
	payments := &s.world.apis[1]
	if payments.ID != paymentsID {
		t.Fatal(payments.ID)
	}
	from := time.Now().Add(-10 * time.Minute)
	minute := func() {
		t.Helper()
		s.traffic.adopt(t.Context())
		if err := s.traffic.Past(t.Context(), from, from.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		from = from.Add(time.Minute)
	}
	texts := func(group string) (out []string) {
		t.Helper()
		for _, e := range s.messages(payments, group) {
			out = append(out, e.Message)
		}
		return out
	}
	set := func(change func(*awssim.Stage)) {
		t.Helper()
		if !region.ChangeStage(paymentsID, "legacy", change) {
			t.Fatal("the stage is gone")
		}
	}
	completed := func(list []string) (n int) {
		for _, m := range list {
			if strings.Contains(m, "Method completed with status: ") {
				n++
			}
		}
		return n
	}

	minute()
	if n := region.Logs().Count(legacyGroup); n != 0 || s.traffic.Unlogged() == 0 {
		t.Fatalf("%d events of a stage that does not log; %d calls left no log", n, s.traffic.Unlogged())
	}

	set(func(st *awssim.Stage) { st.LoggingLevel, st.DataTrace = "INFO", false })
	minute()
	skeleton := texts(legacyGroup)
	if completed(skeleton) == 0 || strings.Contains(strings.Join(skeleton, "\n"), "Method request headers") {
		t.Errorf("INFO without data trace wrote %d calls:\n%s", completed(skeleton), strings.Join(skeleton, "\n"))
	}

	// A group that is not there takes no access log, as on AWS.
	set(func(st *awssim.Stage) {
		st.LoggingLevel, st.DataTrace = "INFO", true
		st.AccessLogARN, st.AccessFormat = "arn:aws:logs:us-east-1:"+Orders+":log-group:"+legacyAccess, "$context.requestId $context.status"
	})
	minute()
	if n := region.Logs().Count(legacyAccess); n != 0 {
		t.Errorf("%d events went into a log group that is not there", n)
	}
	region.Logs().CreateGroup(legacyAccess)
	region.Logs().CreateGroup(legacyDelivery)
	region.Logs().AddDelivery(awssim.Delivery{API: paymentsID, Stage: "legacy", LogType: "EXECUTION_LOGS", Group: legacyDelivery})
	before := completed(texts(legacyGroup))
	minute()
	whole := texts(legacyGroup)
	calls := completed(whole) - before
	if !strings.Contains(strings.Join(whole, "\n"), "Method request headers") || calls == 0 {
		t.Errorf("data trace wrote %d calls and no headers", calls)
	}
	if n := len(texts(legacyAccess)); n != calls {
		t.Errorf("%d calls, and %d access logs", calls, n)
	}
	if delivered := texts(legacyDelivery); completed(delivered) != calls || !strings.HasPrefix(delivered[0], `{"requestId":"`) {
		t.Errorf("%d calls, and %d were delivered, the first line %s", calls, completed(delivered), delivered[0])
	}

	// API Gateway cannot log without a role.
	role := region.LogRole()
	region.SetLogRole("")
	counts := func() [3]int {
		return [3]int{region.Logs().Count(legacyGroup), region.Logs().Count(legacyAccess), region.Logs().Count(legacyDelivery)}
	}
	unchanged := func(why string) {
		t.Helper()
		have := counts()
		minute()
		if now := counts(); now != have {
			t.Errorf("%s, and events went from %v to %v", why, have, now)
		}
	}
	unchanged("there is no CloudWatch role")
	region.SetLogRole(role)
	set(func(st *awssim.Stage) { st.LoggingLevel, st.AccessLogARN, st.AccessFormat = "OFF", "", "" })
	unchanged("the stage was switched off")
	set(func(st *awssim.Stage) { st.LoggingLevel = "INFO" })
	have := counts()
	minute()
	if now := counts(); now[0] == have[0] || now[1] != have[1] {
		t.Errorf("execution logs alone are on again, and events went from %v to %v", have, now)
	}
}

// While the demo runs nobody has to tell it: a stage that is switched on is logged, and
// one that is switched off no longer.
func TestFollowingWhileCalling(t *testing.T) {
	t.Parallel()
	s := setup(t, 200)
	region := s.world.Sim.Account(Orders).Region("us-east-1")
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- s.traffic.Run(ctx) }()
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s did not come within a minute", what)
			}
		}
	}
	region.ChangeStage(paymentsID, "legacy", func(st *awssim.Stage) { st.LoggingLevel = "INFO" })
	until("a log of the stage that was switched on", func() bool { return region.Logs().Count(legacyGroup) > 0 })
	region.ChangeStage(paymentsID, "legacy", func(st *awssim.Stage) { st.LoggingLevel = "OFF" })
	until("the end of the logs of the stage that was switched off", func() bool { return !s.traffic.logged(paymentsID, "legacy", false) })
	stop()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	if n := s.traffic.failed.Load(); n != 0 {
		t.Errorf("%d calls could not be made", n)
	}
}
