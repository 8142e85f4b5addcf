package ingest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/gatehouse-project/gatehouse/spool"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// errTooLarge is what a payload that holds more than is allowed fails with: it
// may be a few kilobytes that expand to gigabytes.
var errTooLarge = errors.New("the payload expands to more than is allowed")

// payload is what a CloudWatch Logs subscription sends.
type payload struct {
	MessageType string     `json:"messageType"`
	Owner       string     `json:"owner"`
	LogGroup    string     `json:"logGroup"`
	LogStream   string     `json:"logStream"`
	LogEvents   []logEvent `json:"logEvents"`
}

type logEvent struct {
	ID        string `json:"id"`
	Timestamp int64  `json:"timestamp"`
	Message   string `json:"message"`
}

// Decoder turns the payloads of subscriptions into batches. The payloads do not
// tell their region, which is that of whatever delivers them.
type Decoder struct {
	// Account and Region are used where a payload does not tell.
	Account, Region string
	// Left is how many more bytes payloads may expand to.
	Left int64

	// Control counts the messages by which CloudWatch Logs tries out a
	// destination; they hold no events of the group.
	Control int
}

// Decode reads one record: one payload or several behind one another, each or all
// of them compressed with gzip, or not. What was read before an error is returned
// with it.
func (d *Decoder) Decode(record []byte) ([]spool.Batch, error) {
	in, err := unzip(bytes.NewReader(record))
	if err != nil {
		return nil, err
	}
	limited := &limitedReader{in, &d.Left}
	decoder := json.NewDecoder(limited)
	var batches []spool.Batch
	for n := 0; ; n++ {
		var p payload
		err := decoder.Decode(&p)
		switch {
		case errors.Is(err, io.EOF) && n > 0:
			return batches, nil
		case errors.Is(err, io.EOF):
			return nil, errors.New("the record is empty")
		case err != nil:
			return batches, fmt.Errorf("not the JSON of a subscription: %w", err)
		}
		b, err := d.batch(&p)
		if err != nil {
			return batches, err
		}
		if len(b.Events) > 0 {
			batches = append(batches, b)
		}
	}
}

// batch takes the events out of a payload.
func (d *Decoder) batch(p *payload) (spool.Batch, error) {
	switch p.MessageType {
	case "DATA_MESSAGE":
	case "CONTROL_MESSAGE":
		d.Control++
		return spool.Batch{}, nil
	default:
		return spool.Batch{}, fmt.Errorf("messageType is %.40q: neither DATA_MESSAGE nor CONTROL_MESSAGE", p.MessageType)
	}
	if p.LogGroup == "" {
		return spool.Batch{}, errors.New("a message without logGroup")
	}
	g := transaction.NewGroup(p.LogGroup)
	if g.Account == "" {
		g.Account = p.Owner
	}
	if g.Account == "" {
		g.Account = d.Account
	}
	if g.Region == "" {
		g.Region = d.Region
	}
	b := spool.Batch{Group: g, Events: make([]transaction.Event, len(p.LogEvents))}
	for i, e := range p.LogEvents {
		b.Events[i] = transaction.Event{ID: e.ID, Stream: p.LogStream, Timestamp: e.Timestamp, Message: e.Message}
	}
	return b, nil
}

// unzip reads through gzip where there is any. Members that follow one another
// are read as one.
func unzip(r io.Reader) (io.Reader, error) {
	in := bufio.NewReader(r)
	head, err := in.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(head) < 2 || head[0] != 0x1f || head[1] != 0x8b {
		return in, nil
	}
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("reading gzip: %w", err)
	}
	return z, nil
}

// limitedReader fails, rather than ends, when there is more than is left.
type limitedReader struct {
	in   io.Reader
	left *int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if *l.left <= 0 {
		var one [1]byte
		if n, err := l.in.Read(one[:]); n == 0 {
			return 0, err
		}
		return 0, errTooLarge
	}
	if int64(len(p)) > *l.left {
		p = p[:*l.left]
	}
	n, err := l.in.Read(p)
	*l.left -= int64(n)
	return n, err
}
