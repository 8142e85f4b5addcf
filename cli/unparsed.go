package cli

import (
	"encoding/json"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// unparsedEvent is an event that belongs to no call, as --unparsed writes it.
// The reader of log files reads it again.
type unparsedEvent struct {
	Kind      string `json:"kind"`
	LogGroup  string `json:"logGroup,omitempty"`
	LogStream string `json:"logStreamName,omitempty"`
	EventID   string `json:"eventId,omitempty"`
	Timestamp int64  `json:"timestamp,omitempty"`
	Message   string `json:"message"`
}

func appendUnparsed(dst []byte, g transaction.Group, ev *transaction.Event, kind transaction.Kind) []byte {
	line, err := json.Marshal(unparsedEvent{kind.String(), g.Name, ev.Stream, ev.ID, ev.Timestamp, ev.Message})
	if err != nil {
		return dst // strings and numbers always can be written
	}
	return append(append(dst, line...), '\n')
}
