package ingest_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/ingest"
)

type function struct {
	*ingest.Lambda
	spool  *memory
	passes []bool // whether each was after a push
	err    error  // of every pass
}

func newFunction() *function {
	f := &function{spool: &memory{}}
	f.Lambda = &ingest.Lambda{
		Spool: f.spool, Account: "444455556666", Region: "eu-west-1", Log: slog.New(slog.DiscardHandler),
		Pass: func(_ context.Context, pushed bool) (ingest.Outcome, error) {
			f.passes = append(f.passes, pushed)
			return ingest.Outcome{State: ingest.CaughtUp, Calls: 3}, f.err
		},
	}
	return f
}

func kinesisRecord(sequence string, data []byte) map[string]any {
	return map[string]any{
		"eventSource": "aws:kinesis", "eventSourceARN": "arn:aws:kinesis:us-east-1:111122223333:stream/logs", "awsRegion": "us-east-1",
		"kinesis": map[string]any{"sequenceNumber": sequence, "data": b64(data), "partitionKey": "p"},
	}
}

func TestLambdaEvents(t *testing.T) {
	t.Parallel()
	push := zipped(message(groupA, number(1), number(2)))
	for name, c := range map[string]struct {
		event    any
		answer   string
		spooled  int
		rejected int
		passes   []bool
	}{
		"a subscription":     {map[string]any{"awslogs": map[string]any{"data": b64(push)}}, `{"state":"caught up","calls":3}`, 2, 0, []bool{true}},
		"its test message":   {map[string]any{"awslogs": map[string]any{"data": b64(zipped(control()))}}, `{"state":"caught up","calls":3}`, 0, 0, []bool{true}},
		"one that is broken": {map[string]any{"awslogs": map[string]any{"data": "!"}}, `{"state":"caught up","calls":3}`, 0, 1, []bool{true}},
		"Kinesis records": {
			map[string]any{"Records": []any{kinesisRecord("1", push), kinesisRecord("2", []byte("broken")), kinesisRecord("3", zipped(message("g", number(3))))}},
			`{"batchItemFailures":[]}`, 3, 1,
			[]bool{true},
		},
		"EventBridge":           {map[string]any{"version": "0", "detail-type": "Scheduled Event", "source": "aws.events", "detail": map[string]any{}}, `{"state":"caught up","calls":3}`, 0, 0, []bool{false}},
		"EventBridge Scheduler": {map[string]any{"source": "aws.scheduler", "detail": "{}"}, `{"state":"caught up","calls":3}`, 0, 0, []bool{false}},
		"an empty tick":         {map[string]any{}, `{"state":"caught up","calls":3}`, 0, 0, []bool{false}},
		"a tick by name":        {map[string]any{"action": "collect"}, `{"state":"caught up","calls":3}`, 0, 0, []bool{false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFunction()
			got, err := f.Invoke(t.Context(), mustJSON(t, c.event))
			if err != nil || string(got) != c.answer {
				t.Fatalf("answer %s, %v; want %s", got, err, c.answer)
			}
			if n := len(f.spool.ids()); n != c.spooled || len(f.spool.rejected) != c.rejected {
				t.Errorf("%d events spooled, rejected %q", n, f.spool.rejected)
			}
			if d := cmp.Diff(c.passes, f.passes); d != "" {
				t.Errorf("passes (-want +got):\n%s", d)
			}
		})
	}
}

func TestLambdaGroupsAreWhereTheEventSays(t *testing.T) {
	t.Parallel()
	f := newFunction()
	for _, event := range []any{
		map[string]any{"awslogs": map[string]any{"data": b64(zipped(message("g", number(1))))}},
		map[string]any{"Records": []any{kinesisRecord("1", zipped(message("g", number(2))))}},
	} {
		if _, err := f.Invoke(t.Context(), mustJSON(t, event)); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []string{"111122223333/eu-west-1/g", "111122223333/us-east-1/g"} {
		if got := f.spool.batches[i].Group.Key(); got != want {
			t.Errorf("group %s; want %s", got, want)
		}
	}
}

// What cannot be spooled is sent again: a subscription's event by an error, Kinesis
// records from the first one on that is not safe.
func TestLambdaFailures(t *testing.T) {
	t.Parallel()
	push := zipped(message(groupA, number(1)))
	f := newFunction()
	f.spool.err = errors.New("S3 is down")
	if _, err := f.Invoke(t.Context(), mustJSON(t, map[string]any{"awslogs": map[string]any{"data": b64(push)}})); err == nil {
		t.Error("a subscription's event that is not safe was acknowledged")
	}
	records := make([]any, 150)
	for i := range records {
		records[i] = kinesisRecord(number(i), push)
	}
	got, err := f.Invoke(t.Context(), mustJSON(t, map[string]any{"Records": records}))
	if err != nil || string(got) != `{"batchItemFailures":[{"itemIdentifier":"`+number(0)+`"}]}` {
		t.Errorf("answer %s, %v", got, err)
	}

	// A pass that fails does not undo what is safe.
	f = newFunction()
	f.err = errors.New("the sink is down")
	if _, err := f.Invoke(t.Context(), mustJSON(t, map[string]any{"awslogs": map[string]any{"data": b64(push)}})); err != nil {
		t.Errorf("a push that is spooled: %v", err)
	}
	if _, err := f.Invoke(t.Context(), []byte("{}")); err == nil {
		t.Error("a tick whose pass fails succeeds")
	}

	f.Spool = nil
	for _, event := range []any{
		map[string]any{"awslogs": map[string]any{"data": b64(push)}}, map[string]any{"Records": records},
	} {
		if _, err := f.Invoke(t.Context(), mustJSON(t, event)); err == nil || !strings.Contains(err.Error(), "GATEHOUSE_SPOOL") {
			t.Errorf("a push without a spool: %v", err)
		}
	}
	for _, event := range []string{"", "7", `"x"`, `{"Records":[{"eventSource":"aws:sqs"}]}`, `{"hello":1}`} {
		if _, err := newFunction().Invoke(t.Context(), []byte(event)); err == nil {
			t.Errorf("event %q was taken", event)
		}
	}
}

func FuzzInvoke(f *testing.F) {
	f.Add([]byte(`{"awslogs":{"data":"` + b64(zipped(message(groupA, number(1)))) + `"}}`))
	f.Add([]byte(`{"Records":[{"eventSource":"aws:kinesis","kinesis":{"data":"","sequenceNumber":"1"}}]}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, event []byte) {
		fn := newFunction()
		if got, err := fn.Invoke(t.Context(), event); err == nil && len(got) == 0 {
			t.Error("no answer")
		}
	})
}
