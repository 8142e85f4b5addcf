package collect

import (
	"context"
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// Page is one answer of a Source: log events of one group in the order in which
// they were given.
type Page struct {
	Events []transaction.Event
	// Next continues the same window; empty when the window is read to its end.
	// An empty page with a Next is not progress: more may follow.
	Next string
	// Bytes is the size of the messages, for the meters.
	Bytes int64
}

// Source reads log events. It knows nothing of API Gateway. Implementations
// are safe for concurrent use.
type Source interface {
	// Groups lists the log groups to read now. One account or region that
	// cannot be listed is told in problems and does not hide the others.
	Groups(ctx context.Context) (groups []transaction.Group, problems []Problem)
	// Read gives one page of the events with from <= timestamp <= to
	// (milliseconds, both ends included), continuing at next if it is given.
	Read(ctx context.Context, group transaction.Group, from, to int64, next string) (Page, error)
}

// Problem is an account, region or group that could not be read, in words that
// a person can act on.
type Problem struct {
	Account string    `json:"account,omitempty"`
	Region  string    `json:"region,omitempty"`
	Group   string    `json:"group,omitempty"`
	What    string    `json:"what"`
	Mend    string    `json:"mend,omitempty"`
	Since   time.Time `json:"since,omitzero"`
}

// Found is a log group as a discovery found it.
type Found struct {
	transaction.Group
	// Created is when the group was created; zero where that is not known.
	Created time.Time
	// First, if it is set, is where the group's events begin in a Source that
	// keeps them until they were delivered: a group without a cursor is read from
	// there, however long ago that is.
	First time.Time
}

// Finder is a Source that also tells when each group was created. With it, a
// group that appears between two discoveries is read from its creation;
// without it, from the discovery minus Config.StartFrom.
type Finder interface {
	Find(ctx context.Context) (groups []Found, problems []Problem)
}

// Counter is a Source that can tell how many events there are, from a count that
// is kept apart from the events: CloudWatch's metric IncomingLogEvents, or the
// receipts of a spool. With it the collector proves that it has read all events,
// and reads again what does not add up; without it there is no check.
type Counter interface {
	// Counts tells for each of the groups, in their order, how many events were
	// taken in during the minutes [from, to), given in milliseconds. All groups
	// are of one account and region; a Counter splits them over as many requests
	// as it needs. An event counts in the minute of its Event.Ingested, or of its
	// Timestamp where Ingested is 0. A minute that is not told has no events, or
	// none yet: a count may grow for some minutes after its minute is over, and
	// every minute is asked for again for an hour.
	//
	// A permission that is missing is an error that account.Classify calls
	// Denied.
	Counts(ctx context.Context, groups []transaction.Group, from, to int64) ([][]MinuteCount, error)
}

// MinuteCount is how many events were taken in during one minute.
type MinuteCount struct {
	Minute int64 `json:"minute"` // its beginning, milliseconds since the epoch
	Events int64 `json:"events"`
}

// Sink takes transactions out. The collector calls each sink from one
// goroutine at a time.
type Sink interface {
	// Name is stable over restarts; it labels metrics and keys the position.
	// It holds no secret.
	Name() string
	// Deliver returns nil only when the whole batch is where it must survive a
	// crash of this process. On an error the collector keeps the batch, waits
	// and calls again with the same transactions; a sink may then repeat some
	// of them, under the same ids.
	Deliver(ctx context.Context, batch []*transaction.Transaction) error
	// Position is what Restore needs after a crash to make the sink hold
	// exactly what was delivered until now; empty for a sink that has no use
	// for it. It is saved in the same commit as the cursors.
	Position() string
	// Restore is called once, before the first Deliver, with the last saved
	// position (empty on a first start).
	Restore(ctx context.Context, position string) error
	// Close flushes and frees; nothing is delivered after it.
	Close(ctx context.Context) error
}

// Enricher adds what the estate knows to a transaction: the route template
// where the logs gave none, and whether the method asks for authorization.
type Enricher interface {
	Enrich(t *transaction.Transaction)
}

// Observer learns from delivered transactions, as the inventory does. Changes
// returns what it has to save since the last call; the State saves that in the
// same commit as the cursors, so that a crash neither loses nor doubles a
// count. If that commit fails, the same changes are offered to it again.
type Observer interface {
	Observe(batch []*transaction.Transaction)
	Changes() any
}

// State keeps what a collector must not forget. Every Commit is atomic.
type State interface {
	// LoadCheckpoint returns what the last Commits left: all groups and sinks.
	LoadCheckpoint(ctx context.Context) (*Checkpoint, error)
	// Commit saves the groups named in c (others stay as they were), the sink
	// positions, and the changes of the observers, all or nothing.
	Commit(ctx context.Context, c *Checkpoint) error
}

// Checkpoint is one atomic step of the collector's state.
type Checkpoint struct {
	Groups []GroupCheckpoint
	// Sinks maps Sink.Name to Sink.Position.
	Sinks map[string]string
	// Changes are the Observers' Changes. Not set by LoadCheckpoint: observers
	// load their own state.
	Changes []any
}

// GroupCheckpoint is the state of one log group.
type GroupCheckpoint struct {
	Group transaction.Group
	// From is where the reading of this group began, in milliseconds: nothing
	// before it was ever asked for. A back-fill that goes further back reads
	// only up to here, so that it delivers nothing a second time.
	From int64
	// SkipFrom and SkipTo bound a time that was read and delivered before a
	// back-fill began further back: once Fast comes to SkipFrom it goes on at
	// SkipTo. Both are 0 when there is none.
	SkipFrom, SkipTo int64
	// Fast is the low-water mark in milliseconds: every event before it has
	// been read once and delivered. Reading begins here after a restart.
	Fast int64
	// Slow is how far the second reading, which finds late events, has come.
	Slow int64
	// Seen are digests of events and calls that were delivered, added since the
	// last Commit of this group (Commit) or all that were kept (Load). Commit
	// appends them and forgets the segments whose Newest is before SeenFrom.
	Seen     []Seen
	SeenFrom int64
	Books    Books

	// Counted is the collector's own count for the check, nil where nothing is
	// counted. Aged are minutes of timestamps that both readings have passed and
	// that only the check may read again: those that aged since the last Commit
	// of this group (Commit), or all that were kept (Load), in which a minute may
	// come several times. Commit appends them and forgets the minutes before
	// AgedFrom.
	Counted  *Counted     `json:",omitempty"`
	Aged     []AgedMinute `json:",omitempty"`
	AgedFrom int64        `json:",omitempty"`
}

// Counted is how many distinct events of a group were taken in by CloudWatch in
// each minute, of those that will not be read again.
type Counted struct {
	// Since is the first minute of which all events were read, in milliseconds.
	Since int64 `json:"since"`
	// From is the minute of the first of Events.
	From   int64   `json:"from,omitempty"`
	Events []int64 `json:"events,omitempty"`
	// Progress is where a pass left the check. A collector that always runs saves
	// none.
	Progress *CheckProgress `json:"progress,omitempty"`
}

// CheckProgress is what the check of a group takes over from one pass to the
// next. All times are in milliseconds since the epoch, 0 for none.
type CheckProgress struct {
	Asked     int64  `json:"asked,omitempty"`  // when the count was last asked for
	Failed    string `json:"failed,omitempty"` // why it could not be had then, in a word
	Base      int64  `json:"base"`             // up to here all adds up
	Swept     int64  `json:"swept,omitempty"`
	Credit    int64  `json:"credit"` // events that may be read again
	Unpaid    int64  `json:"unpaid,omitempty"`
	Fruitless int    `json:"fruitless,omitempty"`
	Quiet     int64  `json:"quiet,omitempty"`
	// Short are the minutes that do not add up; Excused are differences that are
	// taken as they are.
	Short   []ShortMinute   `json:"short,omitempty"`
	Excused []MinuteCount   `json:"excused,omitempty"`
	Reread  *RereadProgress `json:"reread,omitempty"`
}

// ShortMinute is a minute of which events are missing, and what was done for it.
type ShortMinute struct {
	Minute  int64 `json:"minute"`
	Missing int64 `json:"missing"`
	Tries   int   `json:"tries,omitempty"`
	Due     int64 `json:"due,omitempty"` // when it is read again
	Found   bool  `json:"found,omitempty"`
	Swept   bool  `json:"swept,omitempty"`
}

// RereadProgress is a time that is being read again, for the minutes that are
// short.
type RereadProgress struct {
	Next    int64   `json:"next"`
	To      int64   `json:"to"`
	Minutes []int64 `json:"minutes"`
	Last    bool    `json:"last,omitempty"`
	Found   bool    `json:"found,omitempty"`
}

// AgedMinute is what is remembered of a minute of timestamps for the check.
type AgedMinute struct {
	Minute int64    // its beginning, milliseconds
	Newest int64    // the youngest event of Calls, milliseconds
	Events []uint32 // a set of the digests of eventIds, in a form of its own
	Calls  []uint64 // digests of calls that ended in it
}

// Seen is a segment of delivered events and calls by 64-bit digest.
type Seen struct {
	Newest int64    // the youngest timestamp in the segment, milliseconds
	Events []uint64 // digests of eventIds
	Calls  []uint64 // digests of call keys
}

// Books account for every event of a group since it was first read:
// Read = Assembled + Unparsed + Filtered + Open. An event that came twice is
// counted in Doubles and nowhere else; one that came after its call was sent is
// Filtered and counted in Late.
type Books struct { //nolint:recvcheck // Add changes the books; the others are asked of values
	Read      int64 `json:"read"`
	Assembled int64 `json:"assembled"`
	Unparsed  int64 `json:"unparsed"`
	Filtered  int64 `json:"filtered"`
	Open      int64 `json:"open"`

	Doubles      int64 `json:"doubles"`
	Late         int64 `json:"late_lines"`
	Calls        int64 `json:"calls"`
	Incomplete   int64 `json:"incomplete"`
	Evicted      int64 `json:"evicted"`
	Pages        int64 `json:"pages"`
	Bytes        int64 `json:"bytes"`
	EventsOnWire int64 `json:"events_on_wire"` // as CloudWatch sent them, doubles too
}

// Balanced reports whether every event read is accounted for.
func (b Books) Balanced() bool {
	return b.Read == b.Assembled+b.Unparsed+b.Filtered+b.Open
}

// Add adds o to b, field by field.
func (b *Books) Add(o Books) {
	b.Read += o.Read
	b.Assembled += o.Assembled
	b.Unparsed += o.Unparsed
	b.Filtered += o.Filtered
	b.Open += o.Open
	b.Doubles += o.Doubles
	b.Late += o.Late
	b.Calls += o.Calls
	b.Incomplete += o.Incomplete
	b.Evicted += o.Evicted
	b.Pages += o.Pages
	b.Bytes += o.Bytes
	b.EventsOnWire += o.EventsOnWire
}

// GroupHealth is what the health page shows of one log group.
type GroupHealth struct {
	Group transaction.Group `json:"group"`
	Books Books             `json:"books"`
	// From is where the reading of the group began: nothing before it was asked for.
	From time.Time `json:"from,omitzero"`
	// Cursor is the low-water mark, Frontier how far has been read, Lag how far
	// Cursor is behind now.
	Cursor        time.Time     `json:"cursor,omitzero"`
	Frontier      time.Time     `json:"frontier,omitzero"`
	Lag           time.Duration `json:"lag"`
	OpenCalls     int           `json:"open_calls"` // estimated from the events that are open
	State         string        `json:"state"`      // reading, waiting, catching up, denied, gone, failing
	Error         string        `json:"error,omitempty"`
	Mend          string        `json:"mend,omitempty"`
	ErrorSince    time.Time     `json:"error_since,omitzero"`
	LastRead      time.Time     `json:"last_read,omitzero"`
	LastEvent     time.Time     `json:"last_event,omitzero"`
	Amplification float64       `json:"read_amplification"` // events on the wire / distinct events
	Check         Check         `json:"check"`
}

// The states of a Check.
const (
	// CheckOff means that nothing is compared: it is switched off, or the Source
	// cannot count.
	CheckOff = "off"
	// CheckWaiting means that no minute is old enough to be compared yet.
	CheckWaiting = "waiting"
	// CheckComplete means that every minute compared adds up.
	CheckComplete = "complete"
	// CheckRereading means that minutes are short and are read again.
	CheckRereading = "rereading"
	// CheckShort means that minutes stay short after they were read again as often
	// as is of use. Error says so in words.
	CheckShort = "short"
	// CheckUnavailable means that the count cannot be had. Error and Mend say why.
	CheckUnavailable = "unavailable"
)

// Check is how the events that were read compare with the Source's own count,
// minute by minute of the time when CloudWatch took them in. The counters run
// since the collector's start.
type Check struct {
	State string `json:"state"` // one of the Check… constants
	// Through is the end of the last minute that was compared; every minute
	// before it for an hour back adds up, or is counted in Missing.
	Through time.Time `json:"through,omitzero"`
	// Missing are events that the count has more than were read, of the minutes
	// that do not add up now.
	Missing int64 `json:"missing"`
	// Minutes were compared; Short of them did not add up at first. Of those,
	// Repaired added up after they were read again, and Unrepaired were given up.
	Minutes    int64 `json:"minutes"`
	Short      int64 `json:"short"`
	Repaired   int64 `json:"repaired"`
	Unrepaired int64 `json:"unrepaired"`
	// Found are events that only the check found. Reread are all events that came
	// over the wire for it; they are part of Books.EventsOnWire.
	Found  int64 `json:"found"`
	Reread int64 `json:"reread"`
	// Spared are minutes of log time that the slow reading did not read because
	// the count proved that nothing in them was missed.
	Spared int64  `json:"spared"`
	Error  string `json:"error,omitempty"`
	Mend   string `json:"mend,omitempty"`
}

// FilterHealth is what one rule of the filter did since the collector's start.
type FilterHealth struct {
	Rule  string `json:"rule"`  // the setting's name, such as filter_status
	Calls int64  `json:"calls"` // calls that it dropped
}

// SinkHealth is what the health page shows of one sink.
type SinkHealth struct {
	Name       string    `json:"name"`
	Delivered  int64     `json:"delivered"`
	Batches    int64     `json:"batches"`
	Failures   int64     `json:"failures"`
	Waiting    int       `json:"waiting"` // transactions held for it
	Error      string    `json:"error,omitempty"`
	Mend       string    `json:"mend,omitempty"` // what a person can do about Error, if the sink knows
	ErrorSince time.Time `json:"error_since,omitzero"`
	LastOK     time.Time `json:"last_ok,omitzero"`
}

// Health is a snapshot of a running collector.
type Health struct {
	Started  time.Time     `json:"started"`
	Groups   []GroupHealth `json:"groups"`
	Sinks    []SinkHealth  `json:"sinks"`
	Problems []Problem     `json:"problems"`
	Totals   Books         `json:"totals"`
	Lag      time.Duration `json:"lag"` // of the group that is furthest behind
	// CallsPerSecond by visibility, over the minute of log time that ends with
	// the youngest call; empty if that call is more than five minutes old.
	CallsPerSecond map[transaction.Visibility]float64 `json:"calls_per_second"`
	OpenCalls      int                                `json:"open_calls"`
	// Check sums the checks of all groups. Its State is the worst of them: short,
	// unavailable, rereading, waiting, complete, off, in this order.
	Check Check `json:"check"`
	// Filters are the rules that are set, in the order in which they are asked. A
	// call that several would drop counts for the first of them.
	Filters []FilterHealth `json:"filters"`
}
