package transaction_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// Events that were pushed are read by when they arrived. Their call has the time
// at which it was made, its lines are in their own order although the later half
// arrived first, and it is held together by the order of reading.
func TestPushedEventsKeepTheirTime(t *testing.T) {
	t.Parallel()
	const id = "11111111-1111-4222-8333-444455556666"
	made := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC).UnixMilli()
	arrived := made + (2 * time.Hour).Milliseconds()
	a := transaction.NewAssembler(transaction.Options{Grace: 2 * time.Second, Idle: time.Minute})
	f := a.Feed(transaction.Group{Account: "1", Region: "eu-west-1", Name: "API-Gateway-Execution-Logs_a1b2c3d4e5/prod"})
	add := func(at, logged int64, text string) {
		t.Helper()
		if d := f.Add(&transaction.Event{Timestamp: at, Logged: logged, Message: "(" + id + ") " + text}); d.Outcome != transaction.Held {
			t.Fatalf("%s: %+v", text, d)
		}
	}
	add(arrived, made+20, "Received response. Status: 200, Integration latency: 12 ms")
	add(arrived, made+30, "Method completed with status: 200")
	add(arrived+1500, made, "Starting execution for request: "+id)
	add(arrived+1500, made+1, "HTTP Method: GET, Resource Path: /pets/7")
	f.Advance(arrived + 1999)
	if calls := a.Take(nil); len(calls) != 0 {
		t.Fatal("the call was closed before its grace was over in the order of reading")
	}
	f.Advance(arrived + 4000)
	calls := a.Take(nil)
	if len(calls) != 1 {
		t.Fatalf("%d calls", len(calls))
	}
	tx := calls[0].Transaction
	if tx.Time.Time().UnixMilli() != made || tx.Method != http.MethodGet || tx.Path != "/pets/7" || !tx.Complete || tx.Response.Status != 200 {
		t.Errorf("transaction: %+v", tx)
	}
	// A line of it that comes hours later is late, and no second call.
	d := f.Add(&transaction.Event{Timestamp: arrived + 3_600_000, Logged: made + 5, Message: "(" + id + ") Method request path: {id=7}"})
	if d.Outcome != transaction.Late {
		t.Errorf("a late line: %+v", d)
	}
}
