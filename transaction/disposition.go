package transaction

// Outcome is what became of an event.
type Outcome uint8

// The outcomes of Feed.Add. Each event has exactly one.
const (
	// Held means that the event belongs to a call, and will be counted in
	// exactly one Part of it.
	Held Outcome = iota + 1
	// Late means that the event belongs to a call that was closed before.
	Late
	// Unparsed means that the event belongs to no call; Disposition.Kind says
	// why.
	Unparsed
)

// String names the outcome in lower case.
func (o Outcome) String() string {
	switch o {
	case Held:
		return "held"
	case Late:
		return "late"
	case Unparsed:
		return "unparsed"
	default:
		return "none"
	}
}

// Kind says why an event belongs to no call.
type Kind uint8

// The kinds of events that belong to no call.
const (
	// KindEmpty is a message without text.
	KindEmpty Kind = iota + 1
	// KindBinary is a message that is not text: it holds a NUL or mostly
	// control characters.
	KindBinary
	// KindNoRequestID is text that does not begin with "(request id) ".
	KindNoRequestID
	// KindBadRequestID is text in parentheses that cannot be a request id.
	KindBadRequestID
	// KindUnknownLine begins with a word in parentheses, but neither it nor
	// what follows is API Gateway's.
	KindUnknownLine
	// KindBrokenJSON is a JSON object that cannot be read.
	KindBrokenJSON
	// KindForeignJSON is a JSON object without a request id.
	KindForeignJSON
	// KindFormatMismatch is a line that does not fit the group's access-log
	// format.
	KindFormatMismatch
	numKinds
)

var kindNames = [numKinds]string{
	KindEmpty:          "empty",
	KindBinary:         "binary",
	KindNoRequestID:    "no_request_id",
	KindBadRequestID:   "bad_request_id",
	KindUnknownLine:    "unknown_line",
	KindBrokenJSON:     "broken_json",
	KindForeignJSON:    "foreign_json",
	KindFormatMismatch: "format_mismatch",
}

// String is the kind as metrics and reports name it: lower case, underscores.
func (k Kind) String() string {
	if k < numKinds {
		return kindNames[k]
	}
	return ""
}

// Disposition is what became of one event.
type Disposition struct {
	Outcome Outcome
	Kind    Kind // set where Outcome is Unparsed
}

// String names the outcome, and for an unparsed event the kind.
func (d Disposition) String() string {
	if d.Outcome == Unparsed {
		return "unparsed: " + d.Kind.String()
	}
	return d.Outcome.String()
}

func unparsed(k Kind) Disposition { return Disposition{Outcome: Unparsed, Kind: k} }
