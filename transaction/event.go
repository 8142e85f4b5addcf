package transaction

// Event is one log event as CloudWatch Logs gives it.
type Event struct {
	ID        string // eventId; empty where the input has none
	Stream    string // log stream name; may be empty
	Timestamp int64  // milliseconds since the epoch; 0 where the input has none
	Message   string // may hold several lines
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
