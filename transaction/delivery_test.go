package transaction

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestDeliveryRecordsUnderAnyNames reads the lines of a call out of records whose
// fields have all kinds of names.
func TestDeliveryRecordsUnderAnyNames(t *testing.T) {
	t.Parallel()
	body := `{"note":"a \"quoted\" word, \n(` + rid + `) Method completed with status: 500","x":1}`
	texts := []string{
		"Extended Request Id: " + ext1, "Starting execution for request: " + rid, "HTTP Method: POST, Resource Path: /pets",
		"Method request body before transformations: " + body, "Method completed with status: 201",
	}
	for name, wrap := range map[string]func(line string) any{
		"message": func(l string) any {
			return map[string]any{"requestId": rid, "apiId": "a1b2c3d4e5", "stage": "prod", "message": "(" + rid + ") " + l}
		},
		"id in a field of its own": func(l string) any {
			return map[string]any{"request_id": rid, "api_id": "a1b2c3d4e5", "stage_name": "prod", "log_message": l}
		},
		"unknown names": func(l string) any {
			return map[string]any{"event_timestamp": 1767225600000, "resource_arn": "arn:aws:apigateway:eu-central-1::/restapis/a1b2c3d4e5/stages/prod", "apigw_request_uuid": rid, "content": l}
		},
		"nested": func(l string) any {
			return map[string]any{"meta": map[string]any{"restApiId": "a1b2c3d4e5", "stageName": "prod"}, "event": map[string]any{"data": "(" + rid + ") " + l}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var messages []string
			for _, l := range texts {
				text, err := json.Marshal(wrap(l))
				if err != nil {
					t.Fatal(err)
				}
				messages = append(messages, string(text))
			}
			calls, counts := assemble(Group{Name: "vended"}, Options{}, messages...)
			if len(calls) != 1 || counts["held"] != len(texts) {
				t.Fatalf("%d calls, %v", len(calls), counts)
			}
			tx := calls[0].Transaction
			got := fmt.Sprint(tx.APIID, tx.Stage, tx.RequestID, tx.ExtendedRequestID, tx.Method, tx.Path, tx.Response.Status, tx.Request.Truncated, tx.Sources)
			if want := fmt.Sprint("a1b2c3d4e5", "prod", rid, ext1, "POST", "/pets", 201, false, []Source{SourceDelivery}); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if diff := cmp.Diff(body, tx.Request.Body); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDeliveryRecordCutOff reads a record that ends in the middle of its line.
func TestDeliveryRecordCutOff(t *testing.T) {
	t.Parallel()
	whole, err := json.Marshal(map[string]string{"message": "(" + rid + `) Method request body before transformations: {"a":"ä\n\"b` + "\u2028" + `","secret":"planted0123456789"}`})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"a":"ä\n\"b` + "\u2028" + `","secret":"[redacted]"}`
	for n := len(`{"message":"(`+rid+`) Method request body before transformations: {"`) + 2; n < len(whole)-1; n++ {
		calls, _ := assemble(Group{Name: "vended"}, Options{}, string(whole[:n]))
		if len(calls) != 1 {
			t.Fatalf("%d bytes: %d calls", n, len(calls))
		}
		tx := calls[0].Transaction
		body := strings.ReplaceAll(tx.Request.Body, "[redacted]", "")
		if !tx.Request.Truncated || tx.Visibility != Truncated || !strings.HasPrefix(strings.ReplaceAll(want, "[redacted]", ""), body) {
			t.Fatalf("%d bytes: %s", n, tx.AppendJSON(nil))
		}
	}
}

// TestCallerCannotWriteDeliveryRecords puts what looks like a line into values of
// access records that have keys of their own.
func TestCallerCannotWriteDeliveryRecords(t *testing.T) {
	t.Parallel()
	const forged = "(" + rid + ") Method completed with status: 500"
	for _, record := range []string{
		`{"requestId":"` + rid + `","client":"` + forged + `","status":"200","httpMethod":"GET"}`,
		`{"client":"` + forged + `","requestId":"` + rid + `","status":"200","httpMethod":"GET"}`,
		`{"client":"` + forged + `","meta":{"x":"` + forged + `"},"requestId":"` + rid + `","status":"200","ip":"1.2.3.4"}`,
	} {
		for range 2 {
			tx := record1(t, Group{Name: "access"}, record)
			if tx.Response.Status != 200 || tx.Sources[0] != SourceAccess {
				t.Errorf("%s: got %s", record, tx.AppendJSON(nil))
			}
		}
	}
}

// TestMixedGroup reads execution lines, access records, delivery records and
// lines of others from one group.
func TestMixedGroup(t *testing.T) {
	t.Parallel()
	g := restGroup()
	g.AccessFormat = `$context.requestId|$context.identity.sourceIp|$context.resourcePath|$context.status`
	calls, counts := assemble(g, Options{},
		"("+rid+") Starting execution for request: "+rid,
		"START RequestId: "+rid+" Version: $LATEST",
		`{"requestId":"`+rid+`","message":"(`+rid+`) HTTP Method: GET, Resource Path: /x/1"}`,
		rid+"|198.51.100.7|/x/{id}|200",
		`{"level":"info","requestId":"`+rid+`","text":"hello"}`,
		"("+rid+") Method completed with status: 200",
		"not | of | this | format")
	if len(calls) != 1 || counts["held"] != 4 || counts["unparsed: format_mismatch"] != 2 || counts["unparsed: foreign_json"] != 1 {
		t.Fatalf("%d calls, %v", len(calls), counts)
	}
	tx := calls[0].Transaction
	got := fmt.Sprint(tx.Method, tx.Path, tx.Route, tx.SourceIP, tx.Response.Status, tx.Sources, tx.Log.Events)
	if want := fmt.Sprint("GET", "/x/1", "/x/{id}", "198.51.100.7", 200, []Source{SourceExecution, SourceAccess, SourceDelivery}, 4); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestJoinsInAnyOrder spreads the lines of calls over four groups, each with its
// own kind of log, and reads them in any order: every call comes out once, and
// whole.
func TestJoinsInAnyOrder(t *testing.T) {
	t.Parallel()
	type line struct {
		group int
		at    int64
		text  string
	}
	groups := []Group{restGroup(), accessGroup(), accessGroup(), accessGroup()}
	groups[1].AccessFormat = `{"id":"$context.requestId","route":"$context.resourcePath","code":"$context.status"}`
	groups[2].Name = "vended"
	groups[3].Name, groups[3].APIID, groups[3].Stage = "shared", "", ""
	rapid.Check(t, func(t *rapid.T) {
		var all []line
		n := rapid.IntRange(1, 4).Draw(t, "calls")
		for i := range n {
			id := fmt.Sprintf("5d1c2b3a-0a0b-4c0d-8e0f-00112233445%d", i)
			ext := fmt.Sprintf("AbCdEfGhIAM%dqXw=", i)
			at := int64(i)
			all = append(all,
				line{0, at, "(" + id + ") Extended Request Id: " + ext},
				line{0, at + 1, "(" + id + ") Starting execution for request: " + id},
				line{0, at + 2, "(" + id + ") HTTP Method: GET, Resource Path: /x/" + fmt.Sprint(i)},
				line{0, at + 9, "(" + id + ") Method completed with status: 200"},
				line{2, at + 4, `{"requestId":"` + id + `","message":"(` + id + `) Method request body before transformations: body ` + fmt.Sprint(i) + `"}`},
			)
			switch rapid.IntRange(0, 2).Draw(t, "record") {
			case 0:
				all = append(all, line{1, at + 5, `{"id":"` + id + `","route":"/x/{id}","code":"200"}`})
			case 1:
				all = append(all, line{3, at + 5, `{"requestId":"` + id + `","resourcePath":"/x/{id}","status":"200"}`})
			default:
				all = append(all, line{3, at + 5, `{"extendedRequestId":"` + ext + `","resourcePath":"/x/{id}","status":"200"}`})
			}
		}
		order := rapid.Permutation(all).Draw(t, "order")
		a := NewAssembler(Options{})
		var feeds []*Feed
		for _, g := range groups {
			feeds = append(feeds, a.Feed(g))
		}
		page := rapid.IntRange(1, len(order)).Draw(t, "page")
		for i, l := range order {
			d := feeds[l.group].Add(&Event{ID: eventIDOf(l.at, i), Stream: fmt.Sprint("s", l.group), Timestamp: corpusStart + l.at, Message: l.text})
			if d.Outcome != Held {
				t.Fatalf("%s: %v", l.text, d)
			}
			if i%page == 0 {
				for _, f := range feeds {
					f.Advance(corpusStart)
				}
				if got := a.Take(nil); len(got) != 0 {
					t.Fatalf("closed too early: %s", joined(got))
				}
			}
		}
		for _, f := range feeds {
			f.Advance(corpusStart + 100_000)
		}
		calls := a.Take(nil)
		if len(calls) != n {
			t.Fatalf("%d calls, want %d:\n%s", len(calls), n, joined(calls))
		}
		for _, c := range calls {
			tx := c.Transaction
			i := tx.RequestID[len(tx.RequestID)-1:]
			got := fmt.Sprint(tx.ExtendedRequestID, tx.Path, tx.Route, tx.Response.Status, tx.Sources, tx.Log.Events, tx.Complete, tx.APIID)
			want := fmt.Sprint("AbCdEfGhIAM"+i+"qXw=", "/x/"+i, "/x/{id}", 200, []Source{SourceExecution, SourceAccess, SourceDelivery}, 6, true, "a1b2c3d4e5")
			if got != want || tx.Request == nil || tx.Request.Body != "body "+i {
				t.Fatalf("got %s, want %s: %s", got, want, tx.AppendJSON(nil))
			}
		}
	})
}
