package logging_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/logging"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// facts are every setting of the world that could be changed, by its name.
func (w *world) facts(stages []where) map[string]string {
	f := map[string]string{}
	for _, at := range stages {
		st, ok := w.region(at.account).Stage(at.api, at.stage)
		if !ok {
			continue
		}
		name := at.account + " " + at.api + "/" + at.stage + " "
		level := func(l string, trace bool) string {
			if l == "" {
				l = "OFF"
			}
			return fmt.Sprint(l, " ", trace)
		}
		if at.kind != transaction.HTTP {
			f[name+"*"] = level(st.LoggingLevel, st.DataTrace)
			for k, m := range st.MethodSettings {
				f[name+k] = level(m.LoggingLevel, m.DataTrace)
			}
		}
		f[name+"access"] = st.AccessLogARN + " " + st.AccessFormat
		f[name+"metrics"] = fmt.Sprint(st.Metrics)
	}
	return f
}

type where struct {
	account, api, stage string
	kind                transaction.APIType
}

// random makes a world with APIs of all types whose stages log in all ways.
func random(t *testing.T, r *rand.Rand) (*world, []where) {
	t.Helper()
	w := newWorld(t)
	var all []where
	levels := []string{"", "OFF", "ERROR", "INFO"}
	for _, id := range []string{one, two} {
		region := w.region(id)
		if r.IntN(2) == 0 {
			arn := w.sim.Account(id).AddRole(awssim.Role{
				Name: "TheirRole", TrustPolicy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"apigateway.amazonaws.com"},"Action":"sts:AssumeRole"}]}`,
				Allow: []string{"logs:*"},
			})
			region.SetLogRole(arn)
		}
		for n := range 3 {
			kind := []transaction.APIType{transaction.REST, transaction.HTTP, transaction.WebSocket}[n]
			api := fmt.Sprintf("api%d%s", n, id[:4])
			st := awssim.Stage{Name: []string{"prod", "dev"}[r.IntN(2)]}
			if kind == transaction.HTTP && r.IntN(2) == 0 {
				st.Name = "$default"
			}
			if kind != transaction.HTTP {
				st.LoggingLevel, st.DataTrace = levels[r.IntN(4)], r.IntN(2) == 0
				if st.LoggingLevel == "" {
					st.DataTrace = false
				}
				if r.IntN(2) == 0 {
					k := map[transaction.APIType]string{transaction.REST: "~1pets~1{id}/GET", transaction.WebSocket: "send"}[kind]
					st.MethodSettings = map[string]awssim.MethodSetting{k: {LoggingLevel: levels[1+r.IntN(3)], DataTrace: r.IntN(2) == 0}}
				}
			}
			if r.IntN(3) == 0 {
				st.AccessLogARN = "arn:aws:logs:" + here + ":" + id + ":log-group:theirs"
				st.AccessFormat = "$context.requestId $context.status"
				region.Logs().CreateGroup("theirs")
			}
			if r.IntN(3) == 0 && kind == transaction.REST {
				region.Logs().CreateGroup("API-Gateway-Execution-Logs_" + api + "/" + st.Name)
			}
			switch kind {
			case transaction.REST:
				region.AddRESTAPI(awssim.RESTAPI{ID: api, Name: api, Stages: []awssim.Stage{st}})
			case transaction.HTTP:
				region.AddHTTPAPI(awssim.API{ID: api, Name: api, Stages: []awssim.Stage{st}})
			case transaction.WebSocket:
				region.AddWebSocketAPI(awssim.API{ID: api, Name: api, Stages: []awssim.Stage{st}})
			}
			all = append(all, where{id, api, st.Name, kind})
		}
	}
	return w, all
}

// choices are what a command may be restricted to.
func choices(r *rand.Rand) logging.Choice {
	switch r.IntN(5) {
	case 0:
		return logging.Choice{Types: []transaction.APIType{transaction.REST}}
	case 1:
		return logging.Choice{Types: []transaction.APIType{transaction.HTTP, transaction.WebSocket}}
	case 2:
		return logging.Choice{Accounts: []string{one}}
	}
	return logging.Choice{}
}

// TestModel switches random estates on and back in random order, with people who
// change settings in between and processes that die at every point. However it went,
// a destroy at the end leaves every setting as people last wanted it, and nothing of
// what Gatehouse made, unless somebody's stage uses it.
func TestModel(t *testing.T) {
	t.Parallel()
	seeds := 60
	if testing.Short() {
		seeds = 10
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			model(t, rand.New(rand.NewPCG(uint64(seed), 11)))
		})
	}
}

func model(t *testing.T, r *rand.Rand) {
	t.Helper()
	w, stages := random(t, r)
	wanted := w.facts(stages)
	groups, roles := map[string][]string{}, map[string]string{}
	for _, id := range []string{one, two} {
		groups[id], roles[id] = w.region(id).Logs().Groups(), w.region(id).LogRole()
	}
	var log []string
	for range 3 + r.IntN(6) {
		deed := r.IntN(6)
		if deed == 0 {
			log = append(log, w.meddle(r, stages, wanted))
			continue
		}
		w.die(-1, false)
		crash := r.IntN(2) == 0
		sw := w.mustOpen(t)
		if crash {
			w.die(1+r.IntN(60), r.IntN(2) == 0)
		}
		var p *logging.Plan
		var err error
		switch deed {
		case 1, 2, 3:
			o := logging.DefaultEnable()
			o.Choice, o.DataTrace, o.Delivery, o.ReplaceFormat = choices(r), r.IntN(4) > 0, r.IntN(2) == 0, r.IntN(4) == 0
			if r.IntN(2) == 0 {
				o.HTTPGroup = "shared-http"
			}
			p, err = sw.PlanEnable(t.Context(), &o)
		case 4:
			p, err = sw.PlanUndo(logging.Disable, &logging.UndoOptions{Choice: choices(r)})
		case 5:
			p, err = sw.PlanUndo(logging.Destroy, &logging.UndoOptions{Choice: choices(r)})
		}
		if err != nil {
			t.Fatal(err)
		}
		err = sw.Apply(t.Context(), p, nil)
		if err != nil && !crash {
			t.Fatal(err)
		}
		if !crash {
			for _, c := range p.Changes {
				if c.State == logging.Failed || c.State == logging.Skipped {
					t.Errorf("%s %+v: %s: %s\n%s", p.Command, c.Key, c.State, c.Why, strings.Join(log, "\n"))
				}
			}
		}
		log = append(log, fmt.Sprintf("%s crash=%t changes=%d", p.Command, crash, len(p.Changes)))
	}
	w.die(-1, false)
	last := w.undo(t, logging.Destroy, logging.UndoOptions{})
	for _, c := range last.Changes {
		if c.State == logging.Failed || c.State == logging.Skipped {
			t.Errorf("last destroy: %+v: %s: %s", c.Key, c.State, c.Why)
		}
	}
	told := strings.Join(log, "\n")
	if diff := cmp.Diff(wanted, w.facts(stages)); diff != "" {
		t.Errorf("settings (-wanted +got):\n%s\n%s", diff, told)
	}
	w.checkMade(t, stages, groups, roles, told)
}

// meddle is somebody at the console.
func (w *world) meddle(r *rand.Rand, stages []where, wanted map[string]string) string {
	at := stages[r.IntN(len(stages))]
	w.region(at.account).ChangeStage(at.api, at.stage, func(st *awssim.Stage) {
		switch {
		case at.kind == transaction.HTTP || r.IntN(2) == 0:
			st.AccessLogARN, st.AccessFormat = "arn:aws:logs:"+here+":"+at.account+":log-group:meddled", "$context.requestId meddled"
			w.region(at.account).Logs().CreateGroup("meddled")
		default:
			st.LoggingLevel, st.DataTrace = "ERROR", false
		}
	})
	now := w.facts(stages)
	st, _ := w.region(at.account).Stage(at.api, at.stage)
	name := at.account + " " + at.api + "/" + at.stage + " "
	if strings.HasSuffix(st.AccessFormat, "meddled") {
		wanted[name+"access"] = now[name+"access"]
	}
	if st.LoggingLevel == "ERROR" && !st.DataTrace && at.kind != transaction.HTTP {
		wanted[name+"*"] = now[name+"*"]
	}
	return "somebody changed " + name
}

// checkMade checks that what Gatehouse made is gone where nothing uses it, and that
// what was there is there.
func (w *world) checkMade(t *testing.T, stages []where, groups map[string][]string, roles map[string]string, told string) {
	t.Helper()
	for _, id := range []string{one, two} {
		region := w.region(id)
		used, logs := map[string]bool{"meddled": true}, false
		for _, at := range stages {
			st, _ := region.Stage(at.api, at.stage)
			if at.account != id {
				continue
			}
			if i := strings.Index(st.AccessLogARN, ":log-group:"); i >= 0 {
				used[st.AccessLogARN[i+len(":log-group:"):]] = true
				logs = logs || at.kind != transaction.HTTP
			}
			on := st.LoggingLevel != "" && st.LoggingLevel != "OFF"
			for m := range maps.Values(st.MethodSettings) {
				on = on || m.LoggingLevel != "OFF"
			}
			if on && at.kind != transaction.HTTP {
				logs = true
				used["API-Gateway-Execution-Logs_"+at.api+"/"+at.stage] = true
				used["/aws/apigateway/"+at.api+"/"+at.stage] = true
			}
		}
		for _, g := range region.Logs().Groups() {
			if !slices.Contains(groups[id], g) && !used[g] {
				t.Errorf("account %s: log group %s was left behind\n%s", id, g, told)
			}
		}
		for _, g := range groups[id] {
			if !slices.Contains(region.Logs().Groups(), g) {
				t.Errorf("account %s: log group %s, which was there before, is gone\n%s", id, g, told)
			}
		}
		if got := region.LogRole(); got != roles[id] && !logs {
			t.Errorf("account %s: CloudWatch role %q, want %q\n%s", id, got, roles[id], told)
		}
		if _, ok := w.sim.Account(id).Role(logging.DefaultRole); ok && !strings.HasSuffix(region.LogRole(), "/"+logging.DefaultRole) {
			t.Errorf("account %s: the role was left behind\n%s", id, told)
		}
	}
}
