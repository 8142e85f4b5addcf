package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// LogFile writes log events one a line, in a form that `gatehouse parse` reads.
// The log group is written as its ARN, which tells the account and the region.
type LogFile struct {
	to   io.Writer
	next uint64
}

var _ BatchWriter = (*LogFile)(nil)

// NewLogFile makes a LogFile that writes to w, a batch at a time. It is not safe
// for concurrent use: one LogQueue owns it.
func NewLogFile(w io.Writer) *LogFile { return &LogFile{to: w} }

// fileEvent is a line of the file.
type fileEvent struct {
	LogGroup  string `json:"logGroupIdentifier"`
	LogStream string `json:"logStreamName"`
	Timestamp int64  `json:"timestamp"`
	Message   string `json:"message"`
	EventID   string `json:"eventId"`
}

// WriteBatch appends the events of one stream.
func (f *LogFile) WriteBatch(_ context.Context, b *LogBatch) error {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	arn := fmt.Sprintf("arn:%s:logs:%s:%s:log-group:%s", partitionOf(b.Region), b.Region, b.Account, b.Group)
	for _, event := range b.Events {
		f.next++
		// CloudWatch's ids are long numbers that grow; so are these.
		id := fmt.Sprintf("3%015d%040d", event.Timestamp, f.next)
		if err := e.Encode(fileEvent{arn, b.Stream, event.Timestamp, strings.ToValidUTF8(event.Message, "\uFFFD"), id}); err != nil {
			return fmt.Errorf("writing log events: %w", err)
		}
	}
	if _, err := f.to.Write(out.Bytes()); err != nil {
		return fmt.Errorf("writing log events: %w", err)
	}
	return nil
}
