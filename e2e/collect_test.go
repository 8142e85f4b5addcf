package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// quick are settings that make a test short: nothing is late there, so nothing
// need be waited for.
func quick() []string {
	return []string{
		"GATEHOUSE_POLL_INTERVAL=200ms", "GATEHOUSE_SETTLE=200ms", "GATEHOUSE_OVERLAP=30s",
		"GATEHOUSE_GRACE=200ms", "GATEHOUSE_IDLE=5s", "GATEHOUSE_LISTEN=",
		"GATEHOUSE_QUOTA=FilterLogEvents=500,DescribeLogGroups=100",
	}
}

// broker is a Kafka in the process with one topic.
func broker(t *testing.T, topics ...string) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, topics...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// consume gives the values of a topic to take until that says it has enough, or
// the time is over.
func consume(t *testing.T, brokers []string, topic string, within time.Duration, take func(value string) (enough bool)) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	enough := false
	for !enough && ctx.Err() == nil {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			if !enough {
				enough = take(string(r.Value))
			}
		})
	}
}

// The deployment of the Akto connector, with nothing but its own variables.
func TestCollectWithTheAktoEnvironment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	// That connector gives no external id.
	w.sim.Account(apiAccount).AddRole(awssim.Role{
		Name: "Reader", TrustedPrincipals: []string{"arn:aws:iam::" + hubAccount + ":role/Hub"},
		Allow: []string{"logs:*"},
	})
	k := broker(t, "akto.api.logs")
	ids := w.fill(50, 2, time.Now().Add(-60*time.Second), time.Now().Add(-30*time.Second), 1)
	p := start(t, w.env(
		"AKTO_BYTES_IN_THRESHOLD=100", "AKTO_TRAFFIC_BATCH_TIME_SECS=10", "AKTO_TRAFFIC_BATCH_SIZE=100",
		"AKTO_KAFKA_BROKER_MAL="+strings.Join(k.ListenAddrs(), ","), "CLOUDWATCH_READ_BATCH_SIZE=5",
		"CROSS_ACCOUNT_ROLE_ARN="+w.readerARN(), "LOG_GROUP_PREFIX=API-Gateway-Execution-Logs",
		"SESSION_NAME=akto", "DATABASE_ABSTRACTOR_TOKEN=very-secret-token",
	), "collect")
	var got []string
	consume(t, k.ListenAddrs(), "akto.api.logs", 60*time.Second, func(v string) bool {
		got = append(got, v)
		return len(got) >= len(ids)
	})
	if len(got) != len(ids) {
		t.Fatalf("%d messages for %d calls\n%s", len(got), len(ids), tail(p.err.String()))
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(got[0]), &m); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"path", "method", "type", "requestHeaders", "responseHeaders", "requestPayload", "responsePayload", "status", "ip", "akto_account_id", "akto_vxlan_id", "is_pending", "source"} {
		if _, ok := m[f].(string); !ok {
			t.Errorf("%s is %T, the consumer needs a string", f, m[f])
		}
	}
	if path := fmt.Sprint(m["path"]); !strings.HasPrefix(path, "/items/") || !strings.Contains(path, "?n=") {
		t.Errorf("path = %q, want the concrete path with its query", path)
	}
	if m["ip"] != "203.0.113.7" {
		t.Errorf("ip = %v, want the client's", m["ip"])
	}
	p.signal(t, syscall.SIGTERM)
	if code := p.exit(t, 30*time.Second); code != 0 {
		t.Errorf("exit status %d after SIGTERM\n%s", code, tail(p.err.String()))
	}
	if strings.Contains(p.err.String()+p.out.String(), "very-secret-token") {
		t.Error("a secret of the environment was printed")
	}
	if !strings.Contains(p.err.String(), "DATABASE_ABSTRACTOR_TOKEN") {
		t.Error("a variable that has nothing to do is not mentioned")
	}
}

// kill -9 at random moments: every call is in the files exactly once, and in
// Kafka at least once under the same id.
func TestCollectSurvivesBeingKilled(t *testing.T) {
	calls, kills := 100_000, 20
	if testing.Short() {
		calls, kills = 5_000, 4
	}
	w := newWorld(t, awssim.Options{})
	k := broker(t, "calls")
	end := time.Now().Add(-time.Minute)
	ids := w.fill(calls, 3, end.Add(-20*time.Minute), end, 2)
	dir, state := t.TempDir(), t.TempDir()
	env := append(w.env("GATEHOUSE_STATE=sqlite:"+state+"/state.db", "GATEHOUSE_EXTERNAL_ID="+externalID,
		"GATEHOUSE_START_FROM=25m"), quick()...)
	args := []string{
		"collect", "--role-arn", w.readerARN(),
		"--sink", "file:" + dir + "?rotate_size=8388608",
		"--sink", "kafka://" + strings.Join(k.ListenAddrs(), ",") + "/calls?format=native",
	}
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 3))
	died := 0
	for range kills {
		p := start(t, env, args...)
		select {
		case <-time.After(time.Duration(300+r.IntN(1500)) * time.Millisecond):
			p.signal(t, syscall.SIGKILL)
			died++
		case <-p.done:
		}
		if code := p.exit(t, 10*time.Second); code > 0 {
			t.Fatalf("exit status %d\n%s", code, tail(p.err.String()))
		}
	}
	if died < kills {
		t.Errorf("only %d of %d runs were killed", died, kills)
	}
	p := start(t, env, args...)
	eventually(t, 5*time.Minute, func() error {
		if n := countLines(t, dir); n < calls {
			return fmt.Errorf("%d of %d calls are in the files\n%s", n, calls, tail(p.err.String()))
		}
		return nil
	})
	// Had a call been doubled, it would come within the next readings.
	time.Sleep(2 * time.Second)
	p.signal(t, syscall.SIGTERM)
	if code := p.exit(t, 60*time.Second); code != 0 {
		t.Errorf("exit status %d after SIGTERM\n%s", code, tail(p.err.String()))
	}
	files := readFiles(t, dir)
	once(t, files, ids)
	byRequest := make(map[string]string, len(files))
	for _, tx := range files {
		byRequest[tx.RequestID] = tx.ID
		if !tx.Complete || tx.Response == nil || tx.Response.Status != 200 || tx.Log.Events != 12 {
			t.Fatalf("a call is not whole: %+v", tx)
		}
	}
	inKafka := map[string]bool{}
	consume(t, k.ListenAddrs(), "calls", 60*time.Second, func(v string) bool {
		var tx transaction.Transaction
		if err := json.Unmarshal([]byte(v), &tx); err != nil {
			t.Fatal(err)
		}
		if byRequest[tx.RequestID] != tx.ID {
			t.Errorf("call %s has id %s in Kafka and %s in the files", tx.RequestID, tx.ID, byRequest[tx.RequestID])
		}
		inKafka[tx.RequestID] = true
		return len(inKafka) == len(ids)
	})
	if len(inKafka) != len(ids) {
		t.Errorf("Kafka has %d of %d calls", len(inKafka), len(ids))
	}
}

// SIGTERM in the middle: what was closed is delivered, the rest comes after the
// next start, and nothing comes twice.
func TestCollectStopsGracefully(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	end := time.Now().Add(-30 * time.Second)
	ids := w.fill(8_000, 2, end.Add(-10*time.Minute), end, 3)
	dir, state := t.TempDir(), t.TempDir()
	env := append(w.env("GATEHOUSE_STATE=sqlite:"+state+"/state.db", "GATEHOUSE_EXTERNAL_ID="+externalID,
		"GATEHOUSE_START_FROM=20m", "GATEHOUSE_SINKS=file:"+dir, "GATEHOUSE_ROLE_ARNS="+w.readerARN()), quick()...)
	p := start(t, env, "collect")
	eventually(t, 60*time.Second, func() error {
		if countLines(t, dir) == 0 {
			return fmt.Errorf("nothing delivered yet\n%s", tail(p.err.String()))
		}
		return nil
	})
	p.signal(t, syscall.SIGTERM)
	if code := p.exit(t, 30*time.Second); code != 0 {
		t.Fatalf("exit status %d after SIGTERM\n%s", code, tail(p.err.String()))
	}
	p = start(t, env, "collect")
	eventually(t, 2*time.Minute, func() error {
		if n := countLines(t, dir); n < len(ids) {
			return fmt.Errorf("%d of %d\n%s", n, len(ids), tail(p.err.String()))
		}
		return nil
	})
	p.signal(t, syscall.SIGTERM)
	p.exit(t, 30*time.Second)
	once(t, readFiles(t, dir), ids)
}

// Two collectors with one state: the second waits, and goes on where the first
// was killed.
func TestSecondCollectorWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	end := time.Now().Add(-30 * time.Second)
	ids := w.fill(6_000, 2, end.Add(-10*time.Minute), end, 11)
	dir := t.TempDir()
	env := append(w.env("GATEHOUSE_STATE=sqlite:"+t.TempDir()+"/state.db", "GATEHOUSE_EXTERNAL_ID="+externalID,
		"GATEHOUSE_START_FROM=20m", "GATEHOUSE_ROLE_ARNS="+w.readerARN()), quick()...)
	first := start(t, env, "collect", "--sink", "file:"+dir)
	eventually(t, 60*time.Second, func() error {
		if countLines(t, dir) == 0 {
			return fmt.Errorf("nothing delivered yet\n%s", tail(first.err.String()))
		}
		return nil
	})
	second := start(t, env, "collect", "--sink", "stdout:")
	eventually(t, 20*time.Second, func() error {
		if !strings.Contains(second.err.String(), "another process collects with this state") {
			return fmt.Errorf("the second collector does not say that it waits\n%s", tail(second.err.String()))
		}
		return nil
	})
	if second.out.String() != "" {
		t.Error("the second collector delivers while the first collects")
	}
	once := start(t, env, "collect", "--once", "--since", "1h", "--sink", "stdout:")
	if code := once.exit(t, 20*time.Second); code != 1 || !strings.Contains(once.err.String(), "is held by") {
		t.Errorf("--once beside a running collector: exit status %d\n%s", code, tail(once.err.String()))
	}
	first.signal(t, syscall.SIGKILL)
	first.exit(t, 10*time.Second)
	eventually(t, 60*time.Second, func() error {
		seen := map[string]bool{}
		for _, tx := range readFiles(t, dir) {
			seen[tx.RequestID] = true
		}
		for l := range strings.Lines(second.out.String()) {
			var tx transaction.Transaction
			if json.Unmarshal([]byte(l), &tx) == nil {
				seen[tx.RequestID] = true
			}
		}
		if len(seen) < len(ids) {
			return fmt.Errorf("%d of %d calls\n%s", len(seen), len(ids), tail(second.err.String()))
		}
		return nil
	})
}

func TestCollectOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	now := time.Now()
	early := w.fill(300, 1, now.Add(-3*time.Hour), now.Add(-2*time.Hour), 4)
	ids := w.fill(500, 2, now.Add(-50*time.Minute), now.Add(-time.Minute), 5)
	// A call without an end.
	w.logs.Put(groupName(0), "s", awssim.LogEvent{
		Timestamp: now.Add(-time.Minute).UnixMilli(),
		Message:   "(00000000-0000-4000-8000-00000000dead) HTTP Method: GET, Resource Path: /never/ends",
	})
	env := append(w.env("GATEHOUSE_EXTERNAL_ID="+externalID, "GATEHOUSE_STATE=sqlite:"+t.TempDir()+"/s.db"), quick()...)
	p := start(t, env, "collect", "--once", "--since", "1h", "--sink", "stdout:", "--role-arn", w.readerARN())
	if code := p.exit(t, 60*time.Second); code != 0 {
		t.Fatalf("exit status %d\n%s", code, tail(p.err.String()))
	}
	got := map[string]transaction.Transaction{}
	for l := range strings.Lines(p.out.String()) {
		var tx transaction.Transaction
		if err := json.Unmarshal([]byte(l), &tx); err != nil {
			t.Fatalf("%v: %s", err, l)
		}
		got[tx.RequestID] = tx
	}
	for id := range ids {
		if _, ok := got[id]; !ok {
			t.Errorf("call %s of the last hour is missing", id)
		}
	}
	for id := range early {
		if _, ok := got[id]; ok {
			t.Errorf("call %s of before --since was read", id)
		}
	}
	if tx, ok := got["00000000-0000-4000-8000-00000000dead"]; !ok || tx.Complete {
		t.Errorf("the call without an end: there %v, complete %v", ok, tx.Complete)
	}
}

// One role that cannot be assumed: the others are read, and the exit says so.
func TestCollectOnceWithAnAccountThatRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	now := time.Now()
	ids := w.fill(40, 1, now.Add(-20*time.Minute), now.Add(-10*time.Minute), 6)
	w.sim.Account("999988887777").AddRole(awssim.Role{Name: "Reader", TrustedAccounts: []string{"000000000000"}})
	dir := t.TempDir()
	env := append(w.env("GATEHOUSE_EXTERNAL_ID="+externalID, "GATEHOUSE_STATE=sqlite:"+t.TempDir()+"/s.db"), quick()...)
	p := start(t, env, "collect", "--once", "--since", "1h", "--sink", "file:"+dir,
		"--role-arn", w.readerARN(), "--role-arn", "arn:aws:iam::999988887777:role/Reader")
	if code := p.exit(t, 60*time.Second); code != 1 {
		t.Errorf("exit status %d, want 1: an account could not be read", code)
	}
	once(t, readFiles(t, dir), ids)
	if e := p.err.String(); !strings.Contains(e, "999988887777") || !strings.Contains(e, "sts:AssumeRole") {
		t.Errorf("the error names neither the account nor the action:\n%s", e)
	}
}

func TestCollectThroughFaults(t *testing.T) {
	t.Parallel()
	for _, f := range []awssim.Fault{
		{Operation: "FilterLogEvents", Kind: awssim.Throttle, Every: 2, Times: 12},
		{Operation: "FilterLogEvents", Kind: awssim.EmptyPage, Every: 2, Times: 20},
		{Operation: "FilterLogEvents", Kind: awssim.Status500, Every: 3, Times: 8},
		{Operation: "FilterLogEvents", Kind: awssim.CutConnection, Every: 3, Times: 8},
		{Operation: "FilterLogEvents", Kind: awssim.Double, Every: 1, Times: 50},
		{Operation: "FilterLogEvents", Kind: awssim.PageTwice, Every: 2, Times: 20},
		{Operation: "FilterLogEvents", Kind: awssim.TokenInvalid, Every: 3, Times: 5},
		{Operation: "FilterLogEvents", Kind: awssim.ExpireCredentials, Every: 4, Times: 3},
	} {
		t.Run(string(f.Kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, awssim.Options{})
			now := time.Now()
			ids := w.fill(4_000, 2, now.Add(-10*time.Minute), now.Add(-20*time.Second), 8)
			w.sim.Inject(f)
			dir := t.TempDir()
			env := append(w.env("GATEHOUSE_EXTERNAL_ID="+externalID, "GATEHOUSE_STATE=sqlite:"+t.TempDir()+"/s.db",
				"GATEHOUSE_START_FROM=15m"), quick()...)
			p := start(t, env, "collect", "--sink", "file:"+dir, "--role-arn", w.readerARN())
			eventually(t, 2*time.Minute, func() error {
				if n := countLines(t, dir); n < len(ids) {
					return fmt.Errorf("%d of %d calls\n%s", n, len(ids), tail(p.err.String()))
				}
				return nil
			})
			p.signal(t, syscall.SIGTERM)
			p.exit(t, 30*time.Second)
			once(t, readFiles(t, dir), ids)
		})
	}
}

func TestCollectSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	for name, tc := range map[string]struct {
		env  []string
		args []string
		code int
		want []string
	}{
		"no sink":         {args: []string{"collect"}, code: 2, want: []string{"no sink", "hint:"}},
		"unknown scheme":  {args: []string{"collect", "--sink", "carrier-pigeon:loft"}, code: 2, want: []string{"carrier-pigeon", "file:", "kafka://"}},
		"once, no since":  {args: []string{"collect", "--once", "--sink", "stdout:"}, code: 2, want: []string{"--since"}},
		"unknown flag":    {args: []string{"collect", "--sinks"}, code: 2, want: []string{"--sinks", "--help"}},
		"bad variable":    {env: []string{"GATEHOUSE_SETTLE=fast"}, args: []string{"collect", "--sink", "stdout:"}, code: 1, want: []string{"GATEHOUSE_SETTLE", "duration"}},
		"long-lived keys": {env: []string{"AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "AWS_SESSION_TOKEN="}, args: []string{"collect", "--once", "--since", "1h", "--sink", "stdout:"}, code: 1, want: []string{"long-lived", "allow"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, append(w.env("GATEHOUSE_STATE=sqlite:"+t.TempDir()+"/s.db", "GATEHOUSE_LISTEN="), tc.env...), tc.args...)
			if code := p.exit(t, 60*time.Second); code != tc.code {
				t.Errorf("exit status %d, want %d", code, tc.code)
			}
			for _, want := range tc.want {
				if !strings.Contains(p.err.String(), want) {
					t.Errorf("stderr does not say %q:\n%s", want, p.err.String())
				}
			}
			if strings.Contains(p.err.String(), "wJalrXUtnFEMI") {
				t.Error("a secret was printed")
			}
			if p.out.String() != "" {
				t.Errorf("stdout is not empty: %s", p.out.String())
			}
		})
	}
}
