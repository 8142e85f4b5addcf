package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/awssim"
)

// switcherActions are all that switching logging may do.
var switcherActions = []string{
	"account:ListRegions", "apigateway:GET", "apigateway:PATCH", "apigateway:DELETE",
	"logs:DescribeLogGroups", "logs:CreateLogGroup", "logs:PutRetentionPolicy", "logs:AssociateKmsKey", "logs:DeleteLogGroup",
	"logs:TagResource", "logs:ListTagsForResource",
	"logs:GetDelivery*", "logs:DescribeDeliver*", "logs:PutDelivery*", "logs:CreateDelivery", "logs:DeleteDelivery*",
	"iam:GetRole", "iam:CreateRole", "iam:TagRole", "iam:DeleteRole", "iam:ListAttachedRolePolicies", "iam:AttachRolePolicy", "iam:DetachRolePolicy", "iam:PassRole",
}

const customFormat = "$context.requestId theirs"

// loggingWorld has APIs of all types in two regions of an account, in all ways in
// which logging may be set already.
func loggingWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, awssim.Options{})
	w.sim.Account("aws").AddPolicy("service-role/AmazonAPIGatewayPushToCloudWatchLogs",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:CreateLogGroup","logs:PutLogEvents"],"Resource":"*"}]}`)
	w.sim.Account(apiAccount).AddRole(awssim.Role{
		Name: "Switcher", TrustedPrincipals: []string{"arn:aws:iam::" + hubAccount + ":role/Hub"}, ExternalID: externalID, Allow: switcherActions,
	})
	for i, name := range []string{region, "us-east-1"} {
		r := w.sim.Account(apiAccount).Region(name)
		r.AddRESTAPI(awssim.RESTAPI{
			ID: fmt.Sprintf("rest%d", i), Name: "orders",
			Resources: []awssim.Resource{{Path: "/pets", Methods: []awssim.Method{{HTTPMethod: "GET"}}}},
			Stages: []awssim.Stage{
				{Name: "prod", LoggingLevel: "ERROR", Metrics: true, MethodSettings: map[string]awssim.MethodSetting{"~1pets/GET": {LoggingLevel: "OFF", Metrics: true}}},
				{Name: "dev"},
			},
		})
		r.AddHTTPAPI(awssim.API{ID: fmt.Sprintf("http%d", i), Name: "catalog", Stages: []awssim.Stage{{Name: "$default", Metrics: true}, {Name: "beta"}}})
		r.AddHTTPAPI(awssim.API{ID: fmt.Sprintf("theirs%d", i), Name: "theirs", Stages: []awssim.Stage{
			{Name: "prod", AccessLogARN: "arn:aws:logs:" + name + ":" + apiAccount + ":log-group:theirs", AccessFormat: customFormat},
		}})
		r.AddWebSocketAPI(awssim.API{ID: fmt.Sprintf("chat%d", i), Name: "chat", Stages: []awssim.Stage{{Name: "live", LoggingLevel: "OFF"}}})
		r.Logs().CreateGroup("theirs")
		r.Logs().CreateGroup(fmt.Sprintf("API-Gateway-Execution-Logs_rest%d/prod", i))
	}
	return w
}

// loggingFacts are everything in the account that switching could change.
func loggingFacts(w *world) map[string]any {
	a := w.sim.Account(apiAccount)
	f := map[string]any{}
	_, f["role"] = a.Role("GatehouseAPIGatewayLogs")
	for i, name := range []string{region, "us-east-1"} {
		r := a.Region(name)
		f[name+" log role"], f[name+" groups"] = r.LogRole(), r.Logs().Groups()
		for _, at := range []string{"rest%d/prod", "rest%d/dev", "http%d/$default", "http%d/beta", "theirs%d/prod", "chat%d/live"} {
			api, stage, _ := strings.Cut(fmt.Sprintf(at, i), "/")
			f[name+" "+api+"/"+stage], _ = r.Stage(api, stage)
		}
	}
	return f
}

// loggingRun is the command line of a person who has a .env file.
type loggingRun struct {
	w       *world
	env     []string
	dir     string
	regions string // of the variables
}

func newLoggingRun(t *testing.T, w *world) *loggingRun {
	t.Helper()
	dir := t.TempDir()
	return &loggingRun{w, w.env("GATEHOUSE_STATE=sqlite:"+dir+"/state.db", "GATEHOUSE_EXTERNAL_ID="+externalID), dir, region + ",us-east-1"}
}

// start runs a logging command with the integration's variables.
func (l *loggingRun) start(t *testing.T, rest, http bool, args ...string) *process {
	t.Helper()
	file := filepath.Join(l.dir, fmt.Sprintf("%t-%t.env", rest, http))
	text := fmt.Sprintf("cequence_aws_regions=%s\ncequence_rest_api_enabled=%t\ncequence_http_api_enabled=%t\ncequence_tf_auto_approve=true\nis_existing_http_log_group=false\n", l.regions, rest, http)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return start(t, l.env, append([]string{"logging", args[0], "--env-file", file, "--role-arn", "arn:aws:iam::" + apiAccount + ":role/Switcher"}, args[1:]...)...)
}

func (l *loggingRun) ok(t *testing.T, rest, http bool, args ...string) *process {
	t.Helper()
	p := l.start(t, rest, http, args...)
	if code := p.exit(t, 60*time.Second); code != 0 {
		t.Fatalf("logging %v: exit %d\n%s\n%s", args, code, p.out.String(), p.err.String())
	}
	return p
}

func (l *loggingRun) stage(t *testing.T, api, stage string) awssim.Stage {
	t.Helper()
	name := region
	if strings.HasSuffix(api, "1") {
		name = "us-east-1"
	}
	st, ok := l.w.sim.Account(apiAccount).Region(name).Stage(api, stage)
	if !ok {
		t.Fatalf("stage %s/%s does not exist", api, stage)
	}
	return st
}

// TestLoggingWalk is the way of the Cequence integration's manual: enable in all
// regions, enable again, disable REST only, disable HTTP only, destroy.
func TestLoggingWalk(t *testing.T) {
	t.Parallel()
	w := loggingWorld(t)
	l := newLoggingRun(t, w)
	before := loggingFacts(w)

	plan := l.ok(t, true, true, "enable", "--dry-run")
	if diff := cmp.Diff(before, loggingFacts(w)); diff != "" {
		t.Fatalf("--dry-run changed something:\n%s", diff)
	}
	for _, want := range []string{"orders", "execution logs of /pets/GET", "ERROR", "INFO+trace", "log group cequence-http-api-access-logs"} {
		if !strings.Contains(plan.out.String(), want) {
			t.Errorf("the plan does not show %q:\n%s", want, plan.out.String())
		}
	}
	if !strings.Contains(plan.err.String(), "is unknown; a million calls cost") {
		t.Errorf("no estimate:\n%s", plan.err.String())
	}

	l.ok(t, true, true, "enable", "--retention", "14")
	for _, api := range []string{"rest0", "rest1"} {
		prod := l.stage(t, api, "prod")
		if prod.LoggingLevel != "INFO" || !prod.DataTrace || !prod.Metrics || prod.MethodSettings["~1pets/GET"].LoggingLevel != "INFO" ||
			!strings.Contains(prod.AccessFormat, "$context.requestId") {
			t.Errorf("%s/prod: %+v", api, prod)
		}
	}
	if got := l.stage(t, "http0", "$default").AccessLogARN; !strings.HasSuffix(got, ":log-group:cequence-http-api-access-logs") {
		t.Errorf("access logs of the HTTP API go to %q", got)
	}
	if got := l.stage(t, "theirs0", "prod"); got.AccessFormat != customFormat {
		t.Errorf("a format that was there was replaced: %+v", got)
	}
	if chat := l.stage(t, "chat1", "live"); chat.LoggingLevel != "INFO" || !chat.DataTrace {
		t.Errorf("chat1/live: %+v", chat)
	}

	writes := func() int {
		n := 0
		for _, c := range w.sim.Calls() {
			if strings.HasPrefix(c.Operation, "Update") || strings.HasPrefix(c.Operation, "Create") || strings.HasPrefix(c.Operation, "Put") || strings.HasPrefix(c.Operation, "Delete") {
				n += c.Calls
			}
		}
		return n
	}
	made := writes()
	if again := l.ok(t, true, true, "enable"); !strings.Contains(again.err.String(), "nothing to change") || writes() != made {
		t.Errorf("running it again wrote %d times:\n%s", writes()-made, again.err.String())
	}

	// Somebody adds an API: running it again catches it, and nothing else.
	w.sim.Account(apiAccount).Region(region).AddHTTPAPI(awssim.API{ID: "new0", Name: "new", Stages: []awssim.Stage{{Name: "prod"}}})
	l.ok(t, true, true, "enable")
	if l.stage(t, "new0", "prod").AccessFormat == "" || writes() != made+1 {
		t.Errorf("the new API: %+v, %d writes", l.stage(t, "new0", "prod"), writes()-made)
	}

	l.ok(t, false, true, "disable")
	now := loggingFacts(w)
	for _, at := range []string{region + " rest0/prod", region + " rest0/dev", "us-east-1 rest1/prod"} {
		if diff := cmp.Diff(before[at], now[at]); diff != "" {
			t.Errorf("disable of REST alone, %s (-before +now):\n%s", at, diff)
		}
	}
	if l.stage(t, "http0", "beta").AccessFormat == "" || l.stage(t, "chat0", "live").LoggingLevel != "INFO" {
		t.Error("disable of REST alone switched others off")
	}
	l.ok(t, true, false, "disable")
	if l.stage(t, "http0", "beta").AccessLogARN != "" || l.stage(t, "new0", "prod").AccessLogARN != "" || l.stage(t, "chat0", "live").LoggingLevel != "INFO" {
		t.Error("disable of HTTP alone")
	}

	l.ok(t, false, false, "destroy")
	w.sim.Account(apiAccount).Region(region).RemoveAPI("new0")
	if diff := cmp.Diff(before, loggingFacts(w)); diff != "" {
		t.Errorf("destroy left something (-before +now):\n%s", diff)
	}

	history := start(t, l.env, "logging", "history", "--limit", "1000", "-o", "json")
	if code := history.exit(t, 30*time.Second); code != 0 {
		t.Fatalf("history: exit %d\n%s", code, history.err.String())
	}
	var entries []struct{ Who, Command, Outcome string }
	if err := json.Unmarshal([]byte(history.out.String()), &entries); err != nil || len(entries) < 40 || entries[0].Command != "destroy" || entries[0].Who == "" {
		t.Errorf("journal: %v, %d entries, first %+v", err, len(entries), entries[:1])
	}
}

// TestLoggingWalkOfAllRegions is the same walk with "all" for the regions, in an account
// that has few of them opted in: each that is enabled is switched, one that is not is
// left alone, and one that is opted in later is caught by running it again.
func TestLoggingWalkOfAllRegions(t *testing.T) {
	t.Parallel()
	w := loggingWorld(t)
	a := w.sim.Account(apiAccount)
	const late = "eu-south-2"
	a.Region(late).AddRESTAPI(awssim.RESTAPI{ID: "late", Name: "late", Stages: []awssim.Stage{{Name: "prod", LoggingLevel: "OFF"}}})
	// What is on by default, but for eu-west-1, us-east-1 and eu-central-1, which has no
	// API.
	off := []string{
		"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1", "eu-north-1",
		"eu-west-2", "eu-west-3", "sa-east-1", "us-east-2", "us-west-1", "us-west-2",
	}
	for _, name := range append([]string{late}, off...) {
		a.SetRegionStatus(name, "DISABLED")
	}
	l := newLoggingRun(t, w)
	l.regions = "all"
	before := loggingFacts(w)
	lateLevel := func() string {
		st, _ := a.Region(late).Stage("late", "prod")
		return st.LoggingLevel
	}

	l.ok(t, true, true, "enable")
	for _, at := range []string{"rest0/prod", "rest1/prod", "chat0/live", "chat1/live"} {
		if api, stage, _ := strings.Cut(at, "/"); l.stage(t, api, stage).LoggingLevel != "INFO" {
			t.Errorf("%s: %+v", at, l.stage(t, api, stage))
		}
	}
	if lateLevel() != "OFF" {
		t.Error("a region that is not opted in was switched")
	}
	for _, c := range w.sim.Calls() {
		if c.Service != "sts" && slices.Contains(off, c.Region) {
			t.Errorf("%s was called in %s, which is not opted in", c.Operation, c.Region)
		}
	}
	if again := l.ok(t, true, true, "enable"); !strings.Contains(again.err.String(), "nothing to change") {
		t.Errorf("running it again:\n%s", again.err.String())
	}
	a.SetRegionStatus(late, "ENABLED")
	if l.ok(t, true, true, "enable"); lateLevel() != "INFO" {
		t.Error("a region that was opted in later was not caught")
	}
	status := l.ok(t, true, true, "status")
	for _, name := range []string{region, "us-east-1", late} {
		if !strings.Contains(status.out.String(), name) {
			t.Errorf("the status does not name %s:\n%s", name, status.out.String())
		}
	}
	if l.ok(t, false, true, "disable"); lateLevel() != "OFF" || l.stage(t, "rest1", "prod").LoggingLevel != "ERROR" || l.stage(t, "http1", "beta").AccessFormat == "" {
		t.Errorf("disable of REST alone: %s, %+v, %+v", lateLevel(), l.stage(t, "rest1", "prod"), l.stage(t, "http1", "beta"))
	}
	l.ok(t, true, false, "disable")
	l.ok(t, false, false, "destroy")
	if diff := cmp.Diff(before, loggingFacts(w)); diff != "" {
		t.Errorf("destroy left something (-before +now):\n%s", diff)
	}
	if groups := a.Region(late).Logs().Groups(); len(groups) != 0 {
		t.Errorf("destroy left %v in %s", groups, late)
	}
}

// TestLoggingKilled kills enable and disable in the middle, again and again: the
// next run goes on, and destroy at the end leaves what was there before.
func TestLoggingKilled(t *testing.T) {
	t.Parallel()
	w := loggingWorld(t)
	l := newLoggingRun(t, w)
	before := loggingFacts(w)
	for i, command := range []string{"enable", "enable", "disable", "enable", "destroy"} {
		slow := w.sim.Inject(awssim.Fault{Kind: awssim.Slow, Operation: "UpdateStage", Delay: 300 * time.Millisecond})
		had := w.sim.CallsOf("apigateway", "UpdateStage")
		p := l.start(t, command == "enable", command != "destroy", command)
		for until := time.Now().Add(30 * time.Second); time.Now().Before(until) && w.sim.CallsOf("apigateway", "UpdateStage") <= had+i%3; {
			select {
			case <-p.done:
				until = time.Now()
			case <-time.After(5 * time.Millisecond):
			}
		}
		_ = p.cmd.Process.Signal(syscall.SIGKILL) // it may have ended by itself
		p.exit(t, 10*time.Second)
		w.sim.RemoveFault(slow)
	}
	l.ok(t, true, true, "enable")
	if st := l.stage(t, "rest1", "dev"); st.LoggingLevel != "INFO" || st.AccessFormat == "" {
		t.Errorf("enable did not go on: %+v", st)
	}
	status := l.ok(t, true, true, "status")
	if strings.Contains(status.out.String(), "unfinished") {
		t.Errorf("something is unfinished:\n%s", status.out.String())
	}
	l.ok(t, false, false, "destroy")
	if diff := cmp.Diff(before, loggingFacts(w)); diff != "" {
		t.Errorf("destroy left something (-before +now):\n%s", diff)
	}
}

// TestLoggingOneAccountFails: an account that cannot be reached is told, and the
// other is switched all the same. What somebody changed since stays.
func TestLoggingOneAccountFails(t *testing.T) {
	t.Parallel()
	w := loggingWorld(t)
	l := newLoggingRun(t, w)
	p := l.start(t, true, true, "enable", "--role-arn", "arn:aws:iam::999988887777:role/Missing")
	if code := p.exit(t, 60*time.Second); code != 1 || !strings.Contains(p.err.String(), "not read: 999988887777") {
		t.Errorf("exit %d\n%s", code, p.err.String())
	}
	if st := l.stage(t, "rest0", "prod"); st.LoggingLevel != "INFO" {
		t.Errorf("the other account was not switched: %+v\n%s", st, p.err.String())
	}

	w.sim.Account(apiAccount).Region(region).ChangeStage("rest0", "prod", func(st *awssim.Stage) { st.LoggingLevel = "ERROR" })
	left := l.ok(t, false, false, "disable")
	if st := l.stage(t, "rest0", "prod"); st.LoggingLevel != "ERROR" || !st.DataTrace || !strings.Contains(left.err.String(), "somebody changed it since") {
		t.Errorf("what somebody changed was not left: %+v\n%s", st, left.err.String())
	}
	l.ok(t, false, false, "disable", "--force")
	if st := l.stage(t, "rest0", "prod"); st.LoggingLevel != "ERROR" || st.DataTrace {
		t.Errorf("--force did not put it back: %+v", st)
	}

	unasked := start(t, l.env, "logging", "enable")
	if code := unasked.exit(t, 30*time.Second); code != 2 || !strings.Contains(unasked.err.String(), "give --yes") {
		t.Errorf("without --yes: exit %d\n%s", code, unasked.err.String())
	}
}
