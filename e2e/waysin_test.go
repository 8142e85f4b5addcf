package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/store/object/objecttest"
	"github.com/gatehouse-project/gatehouse/transaction"
)

const pushKey = "a-key-of-thirty-two-characters-!"

// subscription is the payload that CloudWatch Logs pushes, compressed.
func subscription(t *testing.T, group string, first int, lines []string, at []int64) []byte {
	t.Helper()
	events := make([]map[string]any, len(lines))
	for i, l := range lines {
		events[i] = map[string]any{"id": fmt.Sprintf("%056d", first+i), "timestamp": at[i], "message": l}
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := errors.Join(json.NewEncoder(z).Encode(map[string]any{
		"messageType": "DATA_MESSAGE", "owner": apiAccount, "logGroup": group, "logStream": "s",
		"subscriptionFilters": []string{"all"}, "logEvents": events,
	}), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pusher is a Firehose: it sends a request again and again until it is
// acknowledged.
type pusher struct {
	url  string
	sent int
}

func (p *pusher) push(ctx context.Context, t *testing.T, id string, records ...[]byte) {
	t.Helper()
	list := make([]map[string]string, len(records))
	for i, r := range records {
		list[i] = map[string]string{"data": base64.StdEncoding.EncodeToString(r)}
	}
	body, err := json.Marshal(map[string]any{"requestId": id, "timestamp": time.Now().UnixMilli(), "records": list})
	if err != nil {
		t.Fatal(err)
	}
	for ctx.Err() == nil {
		p.sent++
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		r.Header.Set("X-Amz-Firehose-Protocol-Version", "1.0")
		r.Header.Set("X-Amz-Firehose-Request-Id", id)
		r.Header.Set("X-Amz-Firehose-Access-Key", pushKey)
		r.Header.Set("X-Amz-Firehose-Source-Arn", "arn:aws:firehose:"+region+":"+apiAccount+":deliverystream/logs")
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			var answer struct {
				RequestID string `json:"requestId"`
			}
			err := json.NewDecoder(resp.Body).Decode(&answer)
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK && err == nil && answer.RequestID == id {
				return
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("a request was never acknowledged")
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// What Firehose pushes while the collector is killed again and again comes out
// exactly once: it is acknowledged only when it is on the disk.
func TestFirehosePushSurvivesBeingKilled(t *testing.T) {
	t.Parallel()
	calls, kills := 3_000, 8
	if testing.Short() {
		calls, kills = 1_000, 4
	}
	w := newWorld(t, awssim.Options{})
	address, dir, state := freeAddress(t), t.TempDir(), t.TempDir()
	env := append(w.env("GATEHOUSE_STATE=sqlite:"+state+"/state.db", "GATEHOUSE_INGEST_ACCESS_KEY="+pushKey), quick()...)
	args := []string{"collect", "--ingest-listen", address, "--push-only", "--sink", "file:" + dir}
	ids := make(map[string]bool, calls)
	r := rand.New(rand.NewPCG(7, 7))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	p := &pusher{url: "http://" + address + "/firehose"}
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Some are hours old, as after an outage of whatever pushes. The lines of
		// some calls lie in two requests.
		number := 0
		var lines []string
		var at []int64
		for n := 0; n < calls; {
			for range 40 {
				id, texts, after := callLines(n, r)
				ids[id] = true
				base := time.Now().Add(-time.Duration(r.IntN(3)) * time.Hour).UnixMilli()
				for i := range texts {
					lines, at = append(lines, texts[i]), append(at, base+after[i])
				}
				n++
			}
			keep := r.IntN(12)
			if n >= calls {
				keep = 0
			}
			cut := len(lines) - keep
			half := cut / 2
			p.push(ctx, t, fmt.Sprintf("request-%d", n),
				subscription(t, groupName(n%2), number, lines[:half], at[:half]),
				subscription(t, groupName(n%2), number+half, lines[half:cut], at[half:cut]))
			number += cut
			if keep > 0 {
				// The rest belongs to the same group.
				p.push(ctx, t, fmt.Sprintf("request-%d-rest", n), subscription(t, groupName(n%2), number, lines[cut:], at[cut:]))
				number += keep
			}
			lines, at = nil, nil
			time.Sleep(10 * time.Millisecond)
		}
	}()
	for range kills {
		proc := start(t, env, args...)
		select {
		case <-time.After(time.Duration(500+rand.IntN(1200)) * time.Millisecond):
			proc.signal(t, syscall.SIGKILL)
		case <-proc.done:
		}
		if code := proc.exit(t, 10*time.Second); code > 0 {
			t.Fatalf("exit status %d\n%s", code, tail(proc.err.String()))
		}
	}
	proc := start(t, env, args...)
	<-done
	eventually(t, time.Minute, func() error {
		if n := countLines(t, dir); n < len(ids) {
			return fmt.Errorf("%d of %d calls are in the files\n%s", n, len(ids), tail(proc.err.String()))
		}
		return nil
	})
	time.Sleep(2 * time.Second) // had a call been doubled, it would come now
	proc.signal(t, syscall.SIGTERM)
	if code := proc.exit(t, 60*time.Second); code != 0 {
		t.Errorf("exit status %d\n%s", code, tail(proc.err.String()))
	}
	once(t, readFiles(t, dir), ids)
	for _, tx := range readFiles(t, dir) {
		if tx.Time.Time().After(time.Now()) || !tx.Complete || tx.Region != region || tx.Account != apiAccount {
			t.Fatalf("call %s: time %v, complete %v, %s/%s", tx.RequestID, tx.Time.Time(), tx.Complete, tx.Account, tx.Region)
		}
	}
	if p.sent <= calls/40 {
		t.Log("no request had to be sent again")
	}
	if strings.Contains(proc.err.String(), pushKey) {
		t.Error("the access key was printed")
	}
}

// The endpoint is not opened to others without TLS or without a key.
func TestFirehoseEndpointIsGuarded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--ingest-listen", "127.0.0.1:0"}, "anybody could push"},
		{[]string{"--ingest-listen", "0.0.0.0:0", "--ingest-access-key-file", "key"}, "can be reached by others"},
		{[]string{"--push-only"}, "nothing else to read"},
	} {
		p := start(t, w.env(), append([]string{"collect", "--sink", "stdout:", "--state", t.TempDir() + "/s.db"}, c.args...)...)
		if code := p.exit(t, 20*time.Second); code == 0 || !strings.Contains(p.err.String(), c.says) {
			t.Errorf("%q: exit status %d, %s", c.args, code, p.err.String())
		}
	}
}

// A folder of exported logs, imported twice: each call once.
func TestCollectFromFiles(t *testing.T) {
	t.Parallel()
	logs, dir, state := t.TempDir(), t.TempDir(), t.TempDir()
	r := rand.New(rand.NewPCG(5, 5))
	ids := map[string]bool{}
	write := func(name string, calls int) {
		path := filepath.Join(logs, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		for range calls {
			id, lines, after := callLines(len(ids), r)
			ids[id] = true
			base := time.Date(2026, 3, 1, 0, 0, len(ids), 0, time.UTC)
			for i, l := range lines {
				fmt.Fprintf(z, "%s %s\n", base.Add(time.Duration(after[i])*time.Millisecond).Format("2006-01-02T15:04:05.000Z"), l)
			}
		}
		if err := errors.Join(z.Close(), os.WriteFile(path, b.Bytes(), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write("export/5e9f/0123456789abcdef0123456789abcdef/000000.gz", 200)
	write("export/5e9f/fedcba9876543210fedcba9876543210/000000.gz", 100)
	args := []string{
		"collect", "--from", logs, "--from-group", "arn:aws:logs:" + region + ":" + apiAccount + ":log-group:" + groupName(0),
		"--sink", "file:" + dir, "--state", state + "/state.db",
	}
	for range 2 {
		p := start(t, nil, args...) // nothing of AWS is needed
		if code := p.exit(t, 60*time.Second); code != 0 {
			t.Fatalf("exit status %d\n%s", code, tail(p.err.String()))
		}
		once(t, readFiles(t, dir), ids)
		write("export/5e9f/fedcba9876543210fedcba9876543210/000001.gz", 50)
	}
	p := start(t, nil, args...)
	if code := p.exit(t, 60*time.Second); code != 0 || !strings.Contains(p.err.String(), "1 imported, 2 known") {
		t.Errorf("exit status %d\n%s", code, tail(p.err.String()))
	}
	once(t, readFiles(t, dir), ids)
}

// runtimeAPI is Lambda's runtime API: it hands out invocations one by one and
// takes their answers.
type runtimeAPI struct {
	address string
	events  chan invocation
}

type invocation struct {
	event  []byte
	limit  time.Duration
	answer chan lambdaAnswer
}

type lambdaAnswer struct {
	body string
	ok   bool
}

func newRuntimeAPI(t *testing.T) *runtimeAPI {
	t.Helper()
	api := &runtimeAPI{events: make(chan invocation)}
	var mu sync.Mutex
	open := map[string]chan lambdaAnswer{}
	n := 0
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case in := <-api.events:
			mu.Lock()
			n++
			id := fmt.Sprintf("8476a536-e9f4-11e8-9739-%012d", n)
			open[id] = in.answer
			mu.Unlock()
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", id)
			w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(in.limit).UnixMilli()))
			w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:"+region+":"+apiAccount+":function:gatehouse")
			_, _ = w.Write(in.event)
		case <-r.Context().Done():
		}
	})
	take := func(ok bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			mu.Lock()
			answer := open[r.PathValue("id")]
			delete(open, r.PathValue("id"))
			mu.Unlock()
			w.WriteHeader(http.StatusAccepted)
			answer <- lambdaAnswer{string(body), ok}
		}
	}
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", take(true))
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", take(false))
	server := httptest.NewServer(mux)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	api.address = server.Listener.Addr().String()
	return api
}

func (api *runtimeAPI) invoke(t *testing.T, p *process, event any) lambdaAnswer {
	t.Helper()
	body, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	in := invocation{body, 30 * time.Second, make(chan lambdaAnswer, 1)}
	select {
	case api.events <- in:
	case <-p.done:
		t.Fatalf("the function ended\n%s", tail(p.err.String()))
	case <-time.After(30 * time.Second):
		t.Fatalf("the function asks for no invocation\n%s", tail(p.err.String()))
	}
	select {
	case a := <-in.answer:
		return a
	case <-time.After(40 * time.Second):
		t.Fatalf("the invocation was not answered\n%s", tail(p.err.String()))
		return lambdaAnswer{}
	}
}

// printed are the transactions that a function's stdout sink has printed.
func printed(t *testing.T, out string) (txs []*transaction.Transaction) {
	t.Helper()
	for l := range strings.Lines(out) {
		tx := new(transaction.Transaction)
		if !strings.HasSuffix(l, "\n") || json.Unmarshal([]byte(l), tx) != nil {
			continue
		}
		txs = append(txs, tx)
	}
	return txs
}

// The function as AWS runs it: started without arguments, on the tick of a
// schedule and pushed to, its state in S3 or DynamoDB. New sandboxes come and are
// killed; every call comes at least once, under one id, and once where nothing was
// killed.
func TestLambdaFunction(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"s3", "dynamodb"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, awssim.Options{})
			w.sim.Account(hubAccount).AddRole(awssim.Role{Name: "Hub", Allow: []string{"sts:*"}})
			bucket, table, api := objecttest.NewS3(t), objecttest.NewDynamoDB(t), newRuntimeAPI(t)
			stateURL := "s3://bucket/state"
			if kind == "dynamodb" {
				stateURL = "dynamodb://table/gatehouse"
			}
			env := append(w.env(quick()...),
				"AWS_LAMBDA_RUNTIME_API="+api.address, "AWS_LAMBDA_LOG_STREAM_NAME=2026/01/01/[$LATEST]abc", "_HANDLER=bootstrap",
				"AWS_ENDPOINT_URL_S3="+bucket.URL, "AWS_ENDPOINT_URL_DYNAMODB="+table.URL,
				"GATEHOUSE_STATE="+stateURL, "GATEHOUSE_SPOOL=s3://bucket/spool", "GATEHOUSE_SINKS=stdout:",
				"GATEHOUSE_ROLE_ARNS="+w.readerARN(), "GATEHOUSE_EXTERNAL_ID="+externalID, "GATEHOUSE_START_FROM=25m",
			)
			var all []*transaction.Transaction
			ids := map[string]bool{}
			r := rand.New(rand.NewPCG(9, 9))
			number := 0
			pushed := func(calls int, group string) []byte {
				var lines []string
				var at []int64
				for range calls {
					id, texts, after := callLines(1_000_000+len(ids), r)
					ids[id] = true
					for i := range texts {
						lines, at = append(lines, texts[i]), append(at, time.Now().UnixMilli()+after[i])
					}
				}
				first := number
				number += len(lines)
				return subscription(t, group, first, lines, at)
			}
			b64 := base64.StdEncoding.EncodeToString
			tick := map[string]any{"source": "aws.scheduler", "detail-type": "Scheduled Event"}
			for sandbox := range 2 {
				from := time.Now().Add(-3 * time.Minute)
				if sandbox > 0 {
					from = time.Now() // after the cursor
				}
				for id := range w.fill(60, 2, from, from.Add(time.Second), uint64(sandbox+1)) {
					ids[id] = true
				}
				time.Sleep(time.Until(from.Add(2 * time.Second)))
				p := start(t, env)
				if a := api.invoke(t, p, tick); !a.ok || !strings.Contains(a.body, `"caught up"`) {
					t.Fatalf("tick: %+v\n%s", a, tail(p.err.String()))
				}
				push := pushed(30, "API-Gateway-Execution-Logs_pushed0001/prod")
				if a := api.invoke(t, p, map[string]any{"awslogs": map[string]any{"data": b64(push)}}); !a.ok {
					t.Fatalf("subscription: %+v\n%s", a, tail(p.err.String()))
				}
				record := func(data []byte) map[string]any {
					return map[string]any{
						"eventSource": "aws:kinesis", "awsRegion": region,
						"kinesis": map[string]any{"sequenceNumber": fmt.Sprint(number), "data": b64(data)},
					}
				}
				a := api.invoke(t, p, map[string]any{"Records": []any{
					record(pushed(10, "API-Gateway-Execution-Logs_pushed0002/prod")), record([]byte("broken")), record(push),
				}})
				if !a.ok || a.body != `{"batchItemFailures":[]}` {
					t.Fatalf("Kinesis: %+v\n%s", a, tail(p.err.String()))
				}
				if a := api.invoke(t, p, map[string]any{"hello": "world"}); a.ok || !strings.Contains(a.body, "awslogs") {
					t.Errorf("an event that is none: %+v", a)
				}
				// What was pushed last closes once the log time has moved on.
				eventually(t, 30*time.Second, func() error {
					time.Sleep(300 * time.Millisecond)
					if a := api.invoke(t, p, tick); !a.ok {
						return fmt.Errorf("tick: %+v", a)
					}
					got := map[string]bool{}
					for _, tx := range append(printed(t, p.out.String()), all...) {
						got[tx.RequestID] = true
					}
					if len(got) < len(ids) {
						return fmt.Errorf("%d of %d calls were delivered\n%s", len(got), len(ids), tail(p.err.String()))
					}
					return nil
				})
				p.signal(t, syscall.SIGKILL) // as AWS ends a sandbox
				<-p.done
				all = append(all, printed(t, p.out.String())...)
			}
			once(t, all, ids)
			for _, tx := range all {
				if !tx.Complete {
					t.Fatalf("call %s is not complete", tx.RequestID)
				}
			}
		})
	}
}

// A function that only ticks finds an event that CloudWatch shows later than
// overlap: it compares with the count.
func TestLambdaFunctionFindsWhatIsLate(t *testing.T) {
	t.Parallel()
	var behind atomic.Int64 // how far the account's clock is put back
	w := newWorld(t, awssim.Options{Clock: func() time.Time { return time.Now().Add(-time.Duration(behind.Load())) }})
	w.sim.Account(apiAccount).AddRole(awssim.Role{
		Name: "Reader", TrustedPrincipals: []string{"arn:aws:iam::" + hubAccount + ":role/Hub"}, ExternalID: externalID,
		Allow: []string{"logs:DescribeLogGroups", "logs:FilterLogEvents", "cloudwatch:GetMetricData"},
	})
	bucket, api := objecttest.NewS3(t), newRuntimeAPI(t)
	p := start(t, append(w.env(quick()...),
		"AWS_LAMBDA_RUNTIME_API="+api.address, "AWS_LAMBDA_LOG_STREAM_NAME=2026/01/01/[$LATEST]abc", "_HANDLER=bootstrap",
		"AWS_ENDPOINT_URL_S3="+bucket.URL, "GATEHOUSE_STATE=s3://bucket/state", "GATEHOUSE_SINKS=stdout:",
		"GATEHOUSE_ROLE_ARNS="+w.readerARN(), "GATEHOUSE_EXTERNAL_ID="+externalID,
		"GATEHOUSE_START_FROM=30m", "GATEHOUSE_CHECK_INTERVAL=1s",
	))
	// put writes calls at a time ago, which are taken in at another.
	put := func(calls int, at, taken time.Duration, seed uint64) map[string]bool {
		behind.Store(int64(taken))
		defer behind.Store(0)
		return w.fill(calls, 1, time.Now().Add(-at), time.Now().Add(-at+time.Second), seed)
	}
	tick := func() {
		t.Helper()
		event := map[string]any{"source": "aws.scheduler", "detail-type": "Scheduled Event"}
		if a := api.invoke(t, p, event); !a.ok || !strings.Contains(a.body, `"caught up"`) {
			t.Fatalf("tick: %+v\n%s", a, tail(p.err.String()))
		}
	}
	ids := put(40, 21*time.Minute, 21*time.Minute, 1)
	tick()
	once(t, printed(t, p.out.String()), ids)
	late := put(3, 20*time.Minute, 15*time.Minute, 2)
	maps.Copy(ids, late)
	eventually(t, 20*time.Second, func() error {
		time.Sleep(1100 * time.Millisecond)
		tick()
		if n := len(printed(t, p.out.String())); n < len(ids) {
			return fmt.Errorf("%d of %d calls were delivered\n%s", n, len(ids), tail(p.err.String()))
		}
		return nil
	})
	time.Sleep(1100 * time.Millisecond)
	tick() // had a call been doubled, it would come now
	once(t, printed(t, p.out.String()), ids)
	p.signal(t, syscall.SIGKILL)
	<-p.done
}
