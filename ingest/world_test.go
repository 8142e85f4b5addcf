package ingest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/gatehouse-project/gatehouse/spool"
)

// memory is a spool that can be told to fail.
type memory struct {
	mu       sync.Mutex
	batches  []spool.Batch
	appends  int
	rejected []string
	err      error
}

func (m *memory) Append(_ context.Context, batches ...spool.Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.appends++
	if m.err != nil {
		return m.err
	}
	m.batches = append(m.batches, batches...)
	return nil
}

func (m *memory) Reject(_ context.Context, why string, _ []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rejected = append(m.rejected, why)
}

func (m *memory) ids() (ids []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.batches {
		for _, e := range b.Events {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// message is a subscription's payload with one event for each id.
func message(group string, ids ...string) []byte {
	events := make([]map[string]any, len(ids))
	for i, id := range ids {
		events[i] = map[string]any{"id": id, "timestamp": 1700000000000 + i, "message": "line " + id}
	}
	b, err := json.Marshal(map[string]any{
		"messageType": "DATA_MESSAGE", "owner": "111122223333", "logGroup": group, "logStream": "stream",
		"subscriptionFilters": []string{"f"}, "logEvents": events,
	})
	if err != nil {
		panic(err)
	}
	return b
}

func control() []byte {
	return []byte(`{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logStream":"","subscriptionFilters":[],"logEvents":[{"id":"","timestamp":1,"message":"CWL CONTROL MESSAGE: Checking health of destination Firehose."}]}`)
}

func zipped(parts ...[]byte) []byte {
	var b bytes.Buffer
	for _, p := range parts { // a member for each
		z := gzip.NewWriter(&b)
		_, _ = z.Write(p)
		_ = z.Close()
	}
	return b.Bytes()
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// requestBody is the body of a Firehose request.
func requestBody(id string, records ...[]byte) []byte {
	type record struct {
		Data string `json:"data"`
	}
	list := make([]record, len(records))
	for i, r := range records {
		list[i].Data = b64(r)
	}
	b, err := json.Marshal(map[string]any{"requestId": id, "timestamp": 1700000000000, "records": list})
	if err != nil {
		panic(err)
	}
	return b
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func number(n int) string { return fmt.Sprintf("%056d", n) }
