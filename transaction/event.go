package transaction

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// Event is one log event as CloudWatch Logs gives it.
type Event struct {
	ID        string // eventId; empty where the input has none
	Stream    string // log stream name; may be empty
	Timestamp int64  // milliseconds since the epoch; 0 where the input has none
	Message   string // may hold several lines
	// Ingested is when CloudWatch Logs took the event in, in milliseconds since
	// the epoch; 0 where the input does not tell.
	Ingested int64
	// Logged is the event's own time, in milliseconds, where Timestamp is rather
	// its place in the order of reading: events that were pushed are read by when
	// they arrived. 0 means that Timestamp is the event's own time.
	Logged int64
}

// Group is a log group as its reader knows it. Account and Region are empty
// where the input does not tell them. A Group is compared by Key.
type Group struct {
	Account string `json:"account,omitempty"`
	Region  string `json:"region,omitempty"`
	Name    string `json:"name"`
	// APIID, APIType and Stage are given where the estate knows which stage
	// writes to this group; otherwise they are read from the group's name. A
	// group that several stages share leaves them empty and every record must
	// tell for itself.
	APIID   string  `json:"api_id,omitempty"`
	APIType APIType `json:"api_type,omitempty"`
	Stage   string  `json:"stage,omitempty"`
	// AccessFormat is the stage's accessLogSettings.format; empty if unknown,
	// and then JSON access records are recognised by their keys.
	AccessFormat string `json:"access_format,omitempty"`
}

// Key names the group among all accounts and regions.
func (g *Group) Key() string { return g.Account + "/" + g.Region + "/" + g.Name }

// Digest is a 64-bit xxhash of the event's id, or of its stream, timestamp and
// message where the input gives no id.
func (e *Event) Digest() uint64 {
	if e.ID != "" {
		return xxhash.Sum64String(e.ID)
	}
	var d xxhash.Digest
	d.Reset()
	_, _ = d.WriteString(e.Stream)
	var at [9]byte
	binary.LittleEndian.PutUint64(at[1:], uint64(e.Timestamp))
	_, _ = d.Write(at[:])
	_, _ = d.WriteString(e.Message)
	return d.Sum64()
}
