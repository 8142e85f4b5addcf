package demo

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/gateway"
)

// followEvery is how often the gateway looks at how the stages are to log. API Gateway
// too takes some seconds until a changed stage logs as it says.
const followEvery = 2 * time.Second

// stageKey names a stage.
type stageKey struct{ api, stage string }

// followed is how the gateway logs at present: what the stages of the simulated AWS
// said when it last looked.
type followed struct {
	mu  sync.Mutex
	now map[stageKey]gateway.StageLogging
}

// of is how a stage logs now.
func (f *followed) of(k stageKey) gateway.StageLogging {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now[k]
}

// change notes how a stage is to log, and reports whether that is new.
func (f *followed) change(k stageKey, l gateway.StageLogging) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if reflect.DeepEqual(f.now[k], l) {
		return false
	}
	if f.now == nil {
		f.now = map[stageKey]gateway.StageLogging{}
	}
	f.now[k] = l
	return true
}

// follow keeps the gateway logging as the stages say until ctx is done, so that logging
// that is switched on or off, by Gatehouse or by anybody else, is seen in the calls.
func (t *Traffic) follow(ctx context.Context) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		t.adopt(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// adopt makes the gateway log as the stages of the simulated AWS say at this moment.
func (t *Traffic) adopt(ctx context.Context) {
	for i := range t.world.apis {
		a := &t.world.apis[i]
		region := t.world.Sim.Account(a.Account).Region(a.Region)
		deliveries := region.Logs().Deliveries()
		for j := range a.Stages {
			k := stageKey{a.ID, a.Stages[j].Name}
			st, ok := region.Stage(k.api, k.stage)
			if !ok {
				continue // what is not there is not called either, once its clients notice
			}
			l := t.world.loggingOf(a, &st, deliveries)
			if !t.followed.change(k, l) {
				continue
			}
			if err := t.gateway.SetLogging(k.api, k.stage, l); err != nil {
				t.log.WarnContext(ctx, "a stage of the demo says to log in a way that its gateway cannot", "api", a.Name, "stage", k.stage, "error", err)
			}
		}
	}
}

// loggingOf is how API Gateway logs a stage with settings as they are: REST and
// WebSocket APIs not at all without the account's CloudWatch role, and access logs only
// to log groups.
func (w *World) loggingOf(a *gateway.API, st *awssim.Stage, deliveries []awssim.Delivery) gateway.StageLogging {
	var l gateway.StageLogging
	if a.Type != "HTTP" && !w.mayLog(a) {
		return l
	}
	if a.Type != "HTTP" {
		l.Level, l.DataTrace = st.LoggingLevel, st.DataTrace
	}
	if _, group, ok := strings.Cut(st.AccessLogARN, ":log-group:"); ok {
		l.AccessLog = &gateway.AccessLog{Group: strings.TrimSuffix(group, ":*"), Format: st.AccessFormat}
	}
	for _, d := range deliveries {
		if d.API == a.ID && d.Stage == st.Name && d.Group != "" && !slices.Contains(l.Deliveries, d.Group) {
			l.Deliveries = append(l.Deliveries, d.Group)
		}
	}
	return l
}

// mayLog reports whether API Gateway has a role to write the logs of an API with.
func (w *World) mayLog(a *gateway.API) bool {
	account := w.Sim.Account(a.Account)
	arn := account.Region(a.Region).LogRole()
	if arn == "" {
		return false
	}
	_, ok := account.Role(arn[strings.LastIndexByte(arn, '/')+1:])
	return ok
}

// logged reports whether a call leaves a log as the stage logs now.
func (t *Traffic) logged(api, stage string, unrouted bool) bool {
	l := t.followed.of(stageKey{api, stage})
	return l.AccessLog != nil || l.Level == "INFO" && !unrouted
}

// count counts a call by whether it leaves a log. Of one that is made in the moment in
// which its stage changes, the count may be the one while its log is the other.
func (t *Traffic) count(api, stage string, unrouted bool) {
	if t.logged(api, stage, unrouted) {
		t.made.Add(1)
	} else {
		t.unlogged.Add(1)
	}
}

// existing writes to log groups as AWS does: API Gateway makes the groups of execution
// logs itself, and what is for another group that is gone is lost.
type existing struct {
	gateway.BatchWriter
	sim *awssim.Sim
}

// WriteBatch writes a batch, or drops it where its group is gone and nobody makes it.
func (e existing) WriteBatch(ctx context.Context, b *gateway.LogBatch) error {
	execution := strings.HasPrefix(b.Group, "API-Gateway-Execution-Logs_") || strings.HasPrefix(b.Group, "/aws/apigateway/")
	if !execution && !slices.Contains(e.sim.Account(b.Account).Region(b.Region).Logs().Groups(), b.Group) {
		return nil
	}
	return e.BatchWriter.WriteBatch(ctx, b)
}
