package logfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// FuzzPlainEvent holds plainEvent against encoding/json: what it reads must be
// what that reads.
func FuzzPlainEvent(f *testing.F) {
	for _, raw := range []string{
		`{"logStreamName":"s","timestamp":1767225600000,"message":"(x) a \"b\" \u00e4\n","ingestionTime":1,"eventId":"37"}`,
		`{ "id" : "1", "timestamp" : 1767225600 , "message" : "ü\ud83d\ude00" }`,
		`{"message":"\x","eventId":null}`, `{"message":"a","message":"b"}`, `{"Message":"a","timestamp":01}`,
		`{"message":"a","timestamp":1e3}`, `{"message":"a","eventId":"1","id":"2"}`, "{\"message\":\"\xff\"}", `{"message":"a"`,
	} {
		f.Add([]byte(raw), true)
		f.Add([]byte(raw), false)
	}
	f.Fuzz(func(t *testing.T, raw []byte, inPage bool) {
		r := NewReader(nil, transaction.Group{})
		if inPage {
			r.page = &page{}
		}
		got, ok := r.plainEvent(raw, "default")
		if !ok {
			return
		}
		var w wireEvent
		if err := json.Unmarshal(raw, &w); err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		want := transaction.Event{ID: w.EventID, Stream: first(w.LogStreamName, "default"), Timestamp: milliseconds(w.Timestamp), Message: text(w.Message)}
		if want.ID == "" && inPage {
			want.ID = text(w.ID)
		}
		if got != want || w.Message == nil {
			t.Errorf("%q: got %+v, want %+v", raw, got, want)
		}
	})
}

// BenchmarkReader reads a page as aws logs filter-log-events prints it.
func BenchmarkReader(b *testing.B) {
	var page bytes.Buffer
	page.WriteString("{\n    \"events\": [\n")
	const events = 5_000
	for i := range events {
		message, err := json.Marshal(fmt.Sprintf(`(%08x-0a0b-4c0d-8e0f-001122334455) Method request body before transformations: {"sku":"SKU-%06d","quantity":1,"note":"please wrap it, thank you","gift":{"wrap":true}}`, i, i))
		if err != nil {
			b.Fatal(err)
		}
		fmt.Fprintf(&page, `        {
            "logStreamName": "%032x",
            "timestamp": %d,
            "message": %s,
            "ingestionTime": %d,
            "eventId": "%056d"
        },
`, i%16, 1_767_225_600_000+i, message, 1_767_225_601_000+i, i)
	}
	page.WriteString("        {\"timestamp\": 1767225600000, \"message\": \"the end\"}\n    ],\n    \"searchedLogStreams\": []\n}\n")
	b.SetBytes(int64(page.Len()))
	b.ReportAllocs()
	for b.Loop() {
		r := NewReader(bytes.NewReader(page.Bytes()), transaction.Group{})
		n := 0
		for {
			_, _, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != events+1 {
			b.Fatalf("%d events", n)
		}
	}
}
