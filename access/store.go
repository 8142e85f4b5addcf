package access

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/audit"
)

// Errors of a Store.
var (
	// ErrConflict is returned by Commit when something that the change rests on is
	// not as it was read. Nothing was written; read again and decide again.
	ErrConflict = errors.New("it was changed by somebody else in the meantime")
	// ErrNotFound is returned for an ID, a name or a version that does not exist.
	ErrNotFound = errors.New("not found")
	// ErrInvalidQuery is returned for a query that cannot be answered, such as one
	// with a cursor that no page gave.
	ErrInvalidQuery = errors.New("not a query of lending")
	// ErrRewound is returned by Commit and Rewind when the time of lending was set back
	// since. It is an ErrConflict: take the new time and decide again.
	ErrRewound = fmt.Errorf("the time of lending was set back: %w", ErrConflict)
	// ErrNotKept is returned by a store that keeps no lending.
	ErrNotKept = errors.New("this state keeps no lending: use an SQLite or PostgreSQL store")
)

// Store keeps what was lent. All reads see committed state, each call one state.
// It has no rules of its own: it keeps what a Change says and nothing else, so
// that every engine behaves alike and rules are in one place, the Desk.
type Store interface {
	// Commit writes a change whole or not at all. It is the only way to write
	// anything but leases, resources and the outbox's tries. It returns an error
	// that wraps ErrConflict if a version, a lease or the stops are not as the
	// change expects; then nothing was written.
	Commit(ctx context.Context, c *Change) error
	// Pulse is a cheap look at what is due and whether anything was changed, also
	// by another process.
	Pulse(ctx context.Context) (Pulse, error)
	// Rewind sets the time of lending back, as one step. ErrRewound means that somebody
	// else has, ErrConflict that the high water is above From.
	Rewind(ctx context.Context, r *Rewind) error
	// Time returns the clock of the store's server; zero: it has none but ours.
	Time(ctx context.Context) (time.Time, error)

	Request(ctx context.Context, id string) (*Request, error)
	Requests(ctx context.Context, q RequestQuery) (RequestPage, error)
	// DueRequests returns pending requests whose Due is not after now, the most
	// overdue first.
	DueRequests(ctx context.Context, now time.Time, limit int) ([]*Request, error)

	Grant(ctx context.Context, id string) (*Grant, error)
	Grants(ctx context.Context, q GrantQuery) (GrantPage, error)
	// DueGrants returns the grants whose Due is not after now, the most overdue first.
	DueGrants(ctx context.Context, now time.Time, limit int) ([]*Grant, error)
	// OpenGrants returns the grants that are not ended and have an item on one of
	// the objects.
	OpenGrants(ctx context.Context, objects []string) ([]*Grant, error)

	// LeaseObjects takes objects of an integration that are due (NextTry is set and
	// not after now) and that nobody holds a lease of that lasts beyond now, the
	// most overdue first. Each lease lasts until until and raises the object's
	// Fence. The holdings are those of the same moment.
	LeaseObjects(ctx context.Context, l LeaseQuery) ([]Leased, error)
	// RenewLeases prolongs the leases that holder still has on the objects and
	// returns the keys of those.
	RenewLeases(ctx context.Context, holder string, leases []Lease, until time.Time) ([]string, error)
	// Attend makes it known that a holder of leases is there, until its Presence is
	// closed or its process ends, however that ends. A name is never used twice. Where
	// a store cannot know who is there, the Presence is one of which Pulse never says
	// that it is gone.
	Attend(ctx context.Context, holder string) (Presence, error)
	// EndLeases ends the leases of holders now and forgets them. Their results still
	// count, as long as nobody took a lease of the object since.
	EndLeases(ctx context.Context, holders []string) error
	// Objects returns the objects of the keys that exist.
	Objects(ctx context.Context, keys []string) ([]Object, error)
	// Ledger returns every object of an integration with its holdings.
	Ledger(ctx context.Context, integration string, now time.Time) ([]Leased, error)

	// LateObjects returns objects that are not done although they were due before a
	// time, the most overdue first, and how many there are of each integration.
	LateObjects(ctx context.Context, before time.Time, limit int) ([]Object, map[string]int, error)

	Integrations(ctx context.Context) ([]*Integration, error)
	Integration(ctx context.Context, name string) (*Integration, error)
	// ChangeHealth reads what is known of an integration's health, has change change
	// it, and writes it, as one step. It is no part of the integration's version:
	// people edit settings while checks run. change may be called more than once.
	ChangeHealth(ctx context.Context, name string, change func(h *Health)) error
	// SaveResources replaces the known resources of an integration.
	SaveResources(ctx context.Context, integration string, resources []flow.Resource) error
	Resources(ctx context.Context, q ResourceQuery) (ResourcePage, error)
	Resource(ctx context.Context, integration, typ, id string) (*flow.Resource, error)

	// Flows returns a version of the flows' text, the newest for 0. Before the
	// first it returns ErrNotFound.
	Flows(ctx context.Context, version int) (*FlowVersion, error)
	// FlowVersions returns the newest versions without their text.
	FlowVersions(ctx context.Context, limit int) ([]FlowVersion, error)

	// Stops returns all stops that stand, and a number that changes with each
	// change of them; Change.IfStops compares it.
	Stops(ctx context.Context) ([]Stop, int64, error)
	// Drifts returns what the reconciler found, the open ones first.
	Drifts(ctx context.Context, integration string, limit int) ([]Drift, error)

	// ClaimLetters takes letters that are due, but none of the channels of without,
	// and hides them from others until until. Of one channel and thread it gives only
	// the oldest one that is not done, with the receipts of those before it.
	ClaimLetters(ctx context.Context, now, until time.Time, without []string, limit int) ([]ClaimedLetter, error)
	// SettleLetter notes what became of a letter. With again zero it is done, and
	// the error, if there is one, is final.
	SettleLetter(ctx context.Context, key string, receipt []byte, failed string, again time.Time) error
	// ForgetLetters removes letters that were done before a time.
	ForgetLetters(ctx context.Context, before time.Time) error

	// Leavers returns who has no grant left on an integration that ended after
	// before, and was not cleaned up since.
	Leavers(ctx context.Context, integration string, before time.Time, limit int) ([]flow.Person, error)
}

// Change is a set of writes that hold together.
type Change struct {
	// At is the Desk's time of the change; the store's high water rises to it.
	At time.Time
	// IfEpoch, if not nil, is the epoch that Pulse gave: a Rewind since makes the change
	// a conflict, that is ErrRewound, for At is of a time that holds no longer.
	IfEpoch *int64
	// IfStops, if not nil, is the number that Stops gave: a panic that came since
	// makes the change a conflict.
	IfStops *int64

	// IfIntegrations are integrations that have to be there: one that was removed since
	// makes the change a conflict, for nobody would take access to it away again.
	IfIntegrations []string

	// Requests and Grants replace the version before theirs; Version 1 is new.
	Requests []*Request
	Grants   []*Grant
	// Touches say of objects that what is wanted of them has changed, or that they
	// have to be looked at again.
	Touches []Touch
	// Results end leases.
	Results []Result

	// Integrations replace the version before theirs, with their health; Version 1 is
	// new.
	Integrations []*Integration
	// RemoveIntegration removes an integration of that name and version, with its
	// resources, its objects and its drift. A grant on it that is not ended is a
	// conflict.
	RemoveIntegration *Integration

	// Flows is a new version of the flows: exactly one above the newest.
	Flows *FlowVersion

	// Stops are added, or replaced if the ID is there; LiftStops are removed.
	Stops     []Stop
	LiftStops []string

	// Drifts are added, or replaced if integration and key are there.
	Drifts []Drift
	// Cleaned are people who were cleaned up on an integration.
	Cleaned []Cleaned

	Events  []audit.Event
	Letters []Letter
}

// Touch says that an object has to be made to match.
type Touch struct {
	Key         string
	Integration string
	// DueAt is when what is wanted has to be there. An object that waits already
	// keeps its earlier DueAt.
	DueAt time.Time
	// NextTry is when to do it.
	NextTry time.Time
	// Known touches an object only if it is there.
	Known bool
}

// Lease is the right to change one object in its target until a time. A later
// lease has a higher fence, and a result counts only under the newest.
type Lease struct {
	Key   string
	Fence int64
	Until time.Time
}

// LeaseQuery chooses what to lease.
type LeaseQuery struct {
	Integration string
	Holder      string
	Now, Until  time.Time
	Limit       int
}

// Leased is an object with what it has to carry.
type Leased struct {
	Object   Object
	Holdings []Holding
	Lease    Lease
	// Stolen is set if somebody had the lease before and did not end it: a write of
	// theirs may still be on its way to the target.
	Stolen bool
}

// Result is what became of an object under a lease.
type Result struct {
	Lease  Lease
	Holder string
	// Object replaces the object; its Generation is the one that was read, and
	// NextTry zero means that it is done. If the generation has grown meanwhile the
	// store keeps the newer generation and leaves the object due at once.
	Object Object
}

// Pulse is the state of the store in short.
type Pulse struct {
	// Seq grows with every commit.
	Seq int64
	// High is the newest time of a commit, and Epoch counts how often it was set back.
	High  time.Time
	Epoch int64
	// Gone are holders that attended and are gone: no process of theirs is left that
	// could change an object, or it has lost what showed that it is there and stops.
	// Their leases stand until EndLeases.
	Gone []string
	// Due is the earliest time at which a request, a grant, or a letter is due;
	// zero: none.
	Due time.Time
	// Lanes are the integrations with objects to be changed, each with the earliest
	// time at which one that nobody has a lease of is due.
	Lanes map[string]time.Time
}

// RequestQuery chooses requests; the zero value is all, the newest first.
type RequestQuery struct {
	By, For     string // IDs of people
	States      []RequestState
	Integration string
	Limit       int // 0: 100, at most 1000
	Cursor      string
	// Person restricts to requests by or for a person.
	Person string
	// Voter restricts to pending requests that this person may vote on now. Only a
	// Desk answers it; a Store refuses it.
	Voter string
}

// RequestPage is a page of requests.
type RequestPage struct {
	Requests []*Request `json:"requests"`
	Next     string     `json:"next,omitempty"`
	Total    int        `json:"total"`
}

// GrantQuery chooses grants; the zero value is all, the newest first.
type GrantQuery struct {
	Person      string // who holds it
	States      []GrantState
	Integration string
	Resource    string // a resource's ID; needs Integration
	Request     string
	Limit       int // 0: 100, at most 1000
	Cursor      string
}

// GrantPage is a page of grants.
type GrantPage struct {
	Grants []*Grant `json:"grants"`
	Next   string   `json:"next,omitempty"`
	Total  int      `json:"total"`
}

// ResourceQuery chooses resources, by integration, type, path and ID.
type ResourceQuery struct {
	Integration string
	Type        string
	// Text is a part of the ID, the name or the path, in any case.
	Text   string
	Limit  int // 0: 100, at most 10000
	Cursor string
}

// ResourcePage is a page of resources.
type ResourcePage struct {
	Resources []flow.Resource `json:"resources"`
	Next      string          `json:"next,omitempty"`
	Total     int             `json:"total"`
}

// FlowVersion is one version of the flows' text.
type FlowVersion struct {
	Version int       `json:"version"`
	Text    string    `json:"text,omitempty"`
	Digest  string    `json:"digest"` // SHA-256 of the text, hexadecimal
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	// Source says where the version came from: "file", "page", "api".
	Source string `json:"source,omitempty"`
	// Applied are the digests of the flows as they were last applied from a file, to
	// tell what was changed elsewhere since.
	Applied map[string]string `json:"applied,omitempty"`
}

// StopScope is what a panic reaches.
type StopScope struct {
	// Kind is "person", "resource", "integration" or "all".
	Kind string `json:"kind"`
	// Person is an ID.
	Person      string `json:"person,omitempty"`
	Integration string `json:"integration,omitempty"`
	// Resource is a resource's ID; it needs Integration.
	Resource string `json:"resource,omitempty"`
}

// Stop is a panic that stands: nothing in its scope is lent until it is lifted.
type Stop struct {
	ID     string    `json:"id"`
	Scope  StopScope `json:"scope"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	// Ended counts the grants that it sent on their way out.
	Ended int `json:"ended,omitempty"`
	// Swept is set once every grant in its scope was sent on its way out. Until
	// then the sweeper goes on, whoever began it.
	Swept bool `json:"swept"`
}

// Drift is a difference between a target and the ledger.
type Drift struct {
	Integration string `json:"integration"`
	// Key is the object's key, or the name in the target where that is not known.
	Key  string `json:"key"`
	Name string `json:"name,omitempty"`
	// Kind is "missing", "orphan" or "changed".
	Kind   string    `json:"kind"`
	Detail string    `json:"detail,omitempty"`
	Grants []string  `json:"grants,omitempty"`
	First  time.Time `json:"first"`
	Last   time.Time `json:"last"`
	// ByHand is set if Gatehouse leaves it as it is, and somebody has to mend it.
	ByHand bool `json:"by_hand,omitempty"`
	// Mended is when it was gone again; zero while it stands.
	Mended time.Time `json:"mended,omitzero"`
}

// Cleaned says that a person was cleaned up on an integration.
type Cleaned struct {
	Integration string
	Person      string
	At          time.Time
}

// Letter is one row of the outbox: a notice for one address of one channel, as
// the Mailer wrote it. Letters of one channel and thread go in their order.
type Letter struct {
	Key     string // the same letter planned twice has the same
	Channel string
	Thread  string
	Body    []byte // the Mailer's own
	At      time.Time
}

// ClaimedLetter is a letter to be sent now.
type ClaimedLetter struct {
	Letter
	Attempts int
	// Earlier are the receipts of the same channel and thread, the oldest first.
	Earlier [][]byte
}
