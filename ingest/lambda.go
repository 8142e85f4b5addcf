package ingest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/gatehouse-project/gatehouse/spool"
)

// Lambda handles the invocations of a Lambda function. It tells by its shape what
// an event is: the data of a CloudWatch Logs subscription, records of a Kinesis
// stream to which a subscription writes, or the tick of a schedule.
type Lambda struct {
	// Spool takes what is pushed; nil: the function is only for a schedule.
	Spool Spool
	// Pass collects what there is; pushed says that it is enough to read what was
	// pushed. It is called after every push and at every tick.
	Pass func(ctx context.Context, pushed bool) (Outcome, error)
	// Account and Region are the function's own: what calls it is in its region.
	Account, Region string
	// Log must be set.
	Log *slog.Logger
}

// Outcome is what a pass tells in the function's answer.
type Outcome struct {
	// State is "caught up", "to be continued" when the time of the invocation was
	// over before everything was read, or "busy" when another invocation collects.
	State string `json:"state"`
	Calls int64  `json:"calls"` // delivered
	Lag   string `json:"lag,omitempty"`
}

// The values of Outcome.State.
const (
	CaughtUp    = "caught up"
	ToContinue  = "to be continued"
	AnotherBusy = "busy"
)

// invocation is what the events that are understood have in common.
type invocation struct {
	AWSLogs *struct {
		Data string `json:"data"`
	} `json:"awslogs"`
	Records    []kinesisRecord `json:"Records"`
	Source     string          `json:"source"`
	DetailType string          `json:"detail-type"`
	Action     string          `json:"action"`
}

type kinesisRecord struct {
	EventSource    string `json:"eventSource"`
	EventSourceARN string `json:"eventSourceARN"`
	AWSRegion      string `json:"awsRegion"`
	Kinesis        *struct {
		SequenceNumber string `json:"sequenceNumber"`
		Data           string `json:"data"`
	} `json:"kinesis"`
}

// kinesisAnswer tells Lambda from which record on to send again.
type kinesisAnswer struct {
	Failures []kinesisFailure `json:"batchItemFailures"`
}

type kinesisFailure struct {
	ItemIdentifier string `json:"itemIdentifier"`
}

// Invoke handles one event. An error makes Lambda send it again where it was
// pushed.
func (l *Lambda) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	var in invocation
	if err := json.Unmarshal(event, &in); err != nil {
		return nil, fmt.Errorf("the event is not a JSON object: %w", err)
	}
	switch {
	case in.AWSLogs != nil:
		return l.subscription(ctx, in.AWSLogs.Data)
	case len(in.Records) > 0:
		return l.kinesis(ctx, in.Records)
	case in.DetailType == "Scheduled Event", in.Source == "aws.scheduler", in.Source == "aws.events",
		in.Action == "collect", strings.TrimSpace(string(event)) == "{}":
		outcome, err := l.Pass(ctx, false)
		if err != nil {
			return nil, err
		}
		return json.Marshal(outcome)
	default:
		return nil, errors.New("the event is neither of CloudWatch Logs (awslogs), nor of Kinesis (Records), nor of a schedule ({} or {\"action\":\"collect\"})")
	}
}

// needSpool says what to do about a push that cannot be kept.
func (l *Lambda) needSpool() error {
	if l.Spool == nil {
		return errors.New("events are pushed to this function and it has no spool: set GATEHOUSE_SPOOL to s3://BUCKET/PREFIX")
	}
	return nil
}

// subscription spools what CloudWatch Logs pushes. The payload is all the event
// has, so what cannot be read is kept aside: sending it again would not mend it.
func (l *Lambda) subscription(ctx context.Context, data string) ([]byte, error) {
	if err := l.needSpool(); err != nil {
		return nil, err
	}
	batches := l.decode(ctx, &Decoder{Account: l.Account, Region: l.Region, Left: maxExpanded}, data)
	if err := l.Spool.Append(ctx, batches...); err != nil {
		return nil, err
	}
	return json.Marshal(l.pass(ctx))
}

// decode reads one record, or keeps it aside.
func (l *Lambda) decode(ctx context.Context, d *Decoder, text string) []spool.Batch {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		l.Spool.Reject(ctx, "the record is not Base64", []byte(text))
		return nil
	}
	batches, err := d.Decode(raw)
	if err != nil {
		l.Spool.Reject(ctx, err.Error(), raw)
	}
	return batches
}

// kinesis spools the records of a batch in their order. Those from the first on
// that could not be spooled are sent again: Lambda continues a shard at the lowest
// sequence number that is named.
func (l *Lambda) kinesis(ctx context.Context, records []kinesisRecord) ([]byte, error) {
	if err := l.needSpool(); err != nil {
		return nil, err
	}
	answer := kinesisAnswer{Failures: []kinesisFailure{}}
	for len(records) > 0 {
		n, err := l.spoolRecords(ctx, records)
		if err != nil {
			if records[0].Kinesis == nil || records[0].Kinesis.SequenceNumber == "" {
				return nil, err
			}
			l.Log.WarnContext(ctx, "records of a Kinesis stream were not spooled and are sent again",
				slog.Int("records", len(records)), slog.String("error", err.Error()))
			answer.Failures = append(answer.Failures, kinesisFailure{records[0].Kinesis.SequenceNumber})
			break
		}
		records = records[n:]
	}
	l.pass(ctx)
	return json.Marshal(answer)
}

// recordsAtOnce bounds how many Kinesis records are decoded before they are
// spooled.
const recordsAtOnce = 100

// spoolRecords spools the first records and returns how many.
func (l *Lambda) spoolRecords(ctx context.Context, records []kinesisRecord) (int, error) {
	records = records[:min(len(records), recordsAtOnce)]
	var batches []spool.Batch
	for i := range records {
		r := &records[i]
		if r.Kinesis == nil || r.EventSource != "aws:kinesis" {
			return 0, fmt.Errorf("a record of %.40q is not one of a Kinesis stream", r.EventSource)
		}
		d := &Decoder{Account: l.Account, Region: l.Region, Left: maxExpanded}
		if r.AWSRegion != "" {
			d.Region = r.AWSRegion
		}
		batches = append(batches, l.decode(ctx, d, r.Kinesis.Data)...)
	}
	if err := l.Spool.Append(ctx, merge(batches)...); err != nil {
		return 0, err
	}
	return len(records), nil
}

// pass collects after a push. What was pushed is safe, so a failure only waits
// for the next pass: sending the event again would spool it again.
func (l *Lambda) pass(ctx context.Context) Outcome {
	outcome, err := l.Pass(ctx, true)
	if err != nil {
		l.Log.ErrorContext(ctx, "what was pushed is in the spool and could not be collected yet", slog.String("error", err.Error()))
	}
	return outcome
}
