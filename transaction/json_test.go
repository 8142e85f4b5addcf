package transaction

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func asEncodingJSON(t interface{ Fatal(...any) }, tx *Transaction) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(tx); err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte{'\n'}))
}

func TestAppendJSONIsEncodingJSON(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.Just(""), rapid.String(), rapid.Custom(func(t *rapid.T) string {
		return string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
	}), rapid.SampledFrom([]string{"a<b>&c", "\u2028\u2029", "\x00\x1f\x7f\"\\/", "12345678\"", "1234567\x80\xff89", "ü€😀"}))
	lists := rapid.OneOf(rapid.Just(map[string][]string(nil)), rapid.MapOf(text, rapid.OneOf(rapid.SliceOf(text), rapid.Just([]string(nil)))))
	number := rapid.OneOf(rapid.Just((*int64)(nil)), rapid.Ptr(rapid.Int64(), true))
	rapid.Check(t, func(t *rapid.T) {
		s := func() string { return text.Draw(t, "text") }
		some := func() bool { return rapid.Bool().Draw(t, "some") }
		tx := &Transaction{
			ID: s(), Account: s(), Region: s(), APIID: s(), APIType: APIType(s()), Stage: s(), RequestID: s(), ExtendedRequestID: s(),
			Time: Time(rapid.Int64Range(0, 253402300799999).Draw(t, "time")), Method: s(), Path: s(), Route: s(), RouteSource: RouteSource(s()),
			Query: lists.Draw(t, "query"), Host: s(), Protocol: s(), SourceIP: s(), UserAgent: s(), LatencyMS: number.Draw(t, "latency"),
			ConnectionID: s(), EventType: s(), Visibility: Visibility(s()), Complete: some(),
		}
		if some() {
			tx.Request = &Request{Headers: lists.Draw(t, "headers"), Body: s(), Truncated: some()}
			tx.Response = &Response{Status: rapid.IntRange(0, 599).Draw(t, "status"), Headers: lists.Draw(t, "headers"), Body: s(), Truncated: some()}
		}
		if some() {
			tx.Integration = &Integration{URI: s(), Status: rapid.IntRange(0, 599).Draw(t, "status"), LatencyMS: number.Draw(t, "latency"), RequestID: s(), Error: s()}
			tx.Caller = &Caller{Kind: CallerKind(s()), ARN: s(), Account: s(), Principal: s(), APIKeyID: s()}
			tx.Authorizer = &Authorizer{ID: s(), Outcome: s(), LatencyMS: number.Draw(t, "latency")}
		}
		if some() {
			tx.Error = &Error{Type: s(), Message: s()}
			tx.Log = &Log{Group: s(), FirstEventID: s(), Events: rapid.IntRange(0, 9).Draw(t, "events")}
			tx.Sources = []Source{SourceExecution, Source(s())}
		}
		got, want := string(tx.AppendJSON([]byte("x"))[1:]), asEncodingJSON(t, tx)
		if got != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	})
}

func TestTimeText(t *testing.T) {
	t.Parallel()
	at := Time(time.Date(2026, 3, 4, 5, 6, 7, 8_000_000, time.UTC).UnixMilli())
	tx := Transaction{ID: "x", Time: at}
	if got, want := string(tx.AppendJSON(nil)), `{"id":"x","time":"2026-03-04T05:06:07.008Z"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var back Transaction
	if err := json.Unmarshal(tx.AppendJSON(nil), &back); err != nil || back.Time != at {
		t.Errorf("read back %v, %v", back.Time, err)
	}
}
