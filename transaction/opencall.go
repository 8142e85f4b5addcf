package transaction

const (
	stateOpen uint8 = iota + 1
	stateLingering
	stateClosed
)

// heldOverhead is what a held event costs beside its text.
const heldOverhead = 96

// held is an event of an open call.
type held struct {
	text     string // what follows the request id; all of an access record
	id       string // eventId
	at       int64
	logged   int64 // as the event's
	digest   uint64
	feed     *Feed
	kind     lineKind
	delivery bool // came as a delivery record
	terminal bool
}

// own is the event's own time, wherever it stands in the order of reading.
func (h *held) own() int64 {
	if h.logged != 0 {
		return h.logged
	}
	return h.at
}

// openCall is a call whose lines are still coming. Its lines are only sorted
// out when it closes, because they need not come in order.
type openCall struct {
	key    string // of the index: request id, or extended id where there is none
	hash   uint64 // of key in the index
	rid    string
	ext    string
	stage  *stage
	stream string // of the execution log

	events []held
	parts  []openPart

	// What the access record tells: where its values are in its text, or the
	// values themselves where they do not stand there as they are.
	spans  []span
	record string
	vars   []accessVar

	first, newest int64
	logged        int64 // the smallest Event.Logged; 0 where none has it
	terminal      int64 // timestamp of the last completion line; if ended
	due           int64
	seen          uint64 // kinds of lines
	bytes         int64
	seq           uint64
	ticket        uint64

	next, prev     *openCall // the next older and younger call under the same key
	beside         *openCall // the next chain at the same place of the index
	older, younger *openCall
	call           *Call

	pos        int // in the stage's queue
	gen        uint32
	in         uint8 // where in the queue
	state      uint8
	ended      bool
	shared     bool // its key is or was that of another open call too
	hasLines   bool // execution lines
	hasAccess  bool
	inExtended bool

	oneEvent [1]held // the first room of events and parts
	onePart  [1]openPart
}

type openPart struct {
	feed          *Feed
	first, newest int64
	events        int
}

// oneSided reports whether a call was seen in one kind of log alone.
func (c *openCall) oneSided() bool { return c.hasLines != c.hasAccess }

// holds reports whether an event is among c's already.
func (c *openCall) holds(digest uint64) bool {
	for i := range c.events {
		if c.events[i].digest == digest {
			return true
		}
	}
	return false
}
