package invoke

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

// slack is how much earlier than thought a right may end without anything being taken
// back, for times are reckoned anew when access is ready.
const slack = 2 * time.Second

// kept is what is remembered of a right that was lent to a person.
type kept struct {
	// Until is when it ended at the last look; zero: it was not lent.
	Until time.Time `json:"until,omitzero"`
	// Generation is that of the last change. Credentials know of an extension before an
	// Apply does, so when a generation was left out, Until may be too early.
	Generation int64 `json:"generation"`
	// Role is what sessions were of.
	Role string `json:"role,omitempty"`
	// Left is the role that sessions were of before the integration was changed.
	Left string `json:"left,omitempty"`
	// Denied is the time before which sessions are being denied, and At when IAM was
	// told; zero: none are.
	Denied time.Time `json:"denied,omitzero"`
	At     time.Time `json:"at,omitzero"`
	// Since is when it was first seen that sessions have to go as a generation wants it.
	// Whatever happens, all have ended by themselves keepDenial later.
	Since    time.Time `json:"since,omitzero"`
	SinceFor int64     `json:"since_for,omitempty"`
}

// Object returns the key of a person's right to an item: the session's name, the
// permission and the resource. It refuses items that are not of the integration.
func (l *Lender) Object(i *access.Integration, p flow.Person, item flow.Item) (string, error) {
	s, err := readSettings(i)
	if err != nil {
		return "", fmt.Errorf("integration %s: %w", i.Name, err)
	}
	if _, err := s.rightOf(item); err != nil {
		return "", err
	}
	name, err := sessionName(p.ID)
	if err != nil {
		return "", err
	}
	return "session/" + name + "/" + item.Permission + "/" + item.Resource.ID, nil
}

func sessionOf(key string) (string, error) {
	rest, ok := strings.CutPrefix(key, "session/")
	name, _, found := strings.Cut(rest, "/")
	if !ok || !found || !isSessionName(name) {
		return "", fmt.Errorf("%q is not the key of a right to an API", key)
	}
	return name, nil
}

// Apply does nothing while a right is lent, for credentials are made when they are asked
// for. When one has ended before sessions that may have it do, it denies the person's
// older sessions, and is done once IAM shows that and has had time to make it known.
func (l *Lender) Apply(ctx context.Context, i *access.Integration, w access.Wanted) (access.Applied, error) {
	if err := ctx.Err(); err != nil {
		return access.Applied{}, err
	}
	c, err := l.connect(i)
	if err != nil {
		return access.Applied{}, err
	}
	name, err := sessionOf(w.Key)
	if err != nil {
		return access.Applied{}, err
	}
	role, err := c.roleOf(c.partition, name)
	if err != nil {
		return access.Applied{}, err
	}
	a := &application{conn: c, name: name, role: role, wanted: w, now: l.opts.Clock()}
	if len(w.Kept) > 0 {
		if err := json.Unmarshal(w.Kept, &a.kept); err != nil {
			return access.Applied{}, fmt.Errorf("reading what is kept of %s: %w", w.Key, err)
		}
		a.known = true
	}
	return a.apply(ctx)
}

// application is one look at one right of one person.
type application struct {
	conn   *connection
	name   string
	role   string
	wanted access.Wanted
	kept   kept
	known  bool
	now    time.Time
}

func (a *application) apply(ctx context.Context) (access.Applied, error) {
	until := a.wanted.Expires()
	reach := a.reach()
	if late := a.now.Sub(reach); until.IsZero() && !reach.IsZero() && late >= 0 && late <= maxSkew {
		// It has ended by our clock. Session policies are decided by the clock of AWS.
		if behind := a.conn.behind(ctx, a.role); behind > late {
			reach = a.now.Add(behind - late + slack)
		}
	}
	switch {
	case a.moved():
		return a.deny(ctx)
	case until.IsZero() && reach.After(a.now) && reach.Sub(a.now) <= slack:
		// The clock of the desk is ahead of ours.
		return access.Applied{Kept: a.wanted.Kept, Pending: reach.Sub(a.now) + time.Millisecond, Note: "it ends by itself"}, nil
	case until.IsZero() && reach.After(a.now), !until.IsZero() && reach.Sub(until) > slack:
		return a.deny(ctx)
	case !a.kept.Denied.IsZero():
		return a.settle(ctx)
	}
	return access.Applied{Kept: a.keep(kept{Until: until, Generation: a.wanted.Generation, Role: a.role})}, nil
}

// reach is until when sessions with the right may last; zero: there are none.
func (a *application) reach() time.Time {
	longest := a.now.Add(maxSession)
	switch {
	case !a.known && len(a.wanted.Holdings) > 0:
		return time.Time{} // an Apply comes before anything is lent
	case !a.known:
		return longest
	case a.kept.Until.IsZero():
		return time.Time{}
	case a.wanted.Generation <= a.kept.Generation+1 && a.kept.Until.Before(longest):
		return a.kept.Until
	default:
		return longest
	}
}

// moved reports whether sessions may be of another role than those that are made now.
func (a *application) moved() bool {
	return a.kept.Role != "" && a.kept.Role != a.role && a.kept.Until.After(a.now)
}

// keep is what is remembered. What did not change is not written anew.
func (a *application) keep(k kept) []byte {
	if k.Until.IsZero() {
		k.Role = ""
	}
	if a.known && k.Until.Equal(a.kept.Until) && k.Role == a.kept.Role && a.kept.Since.IsZero() {
		return a.wanted.Kept
	}
	data, _ := json.Marshal(k) //nolint:errchkjson // times and texts cannot fail
	return data
}

// roles are those whose sessions may have the right.
func (a *application) roles() []string {
	out := []string{a.role}
	for _, other := range []string{a.kept.Role, a.kept.Left} {
		if other != "" && !slices.Contains(out, other) {
			out = append(out, other)
		}
	}
	return out
}

// deny denies the person's sessions that began until now.
func (a *application) deny(ctx context.Context) (access.Applied, error) {
	k := a.kept
	if k.Since.IsZero() || k.SinceFor != a.wanted.Generation {
		k.Since, k.SinceFor = a.now, a.wanted.Generation
	}
	if a.now.Sub(k.Since) > keepDenial {
		return a.over("the sessions that had it have ended by themselves"), nil
	}
	before := a.conn.issuedBy(ctx, a.role)
	note := "older sessions of " + a.name + " are denied"
	left := a.kept.Left
	if a.kept.Role != a.role {
		left = a.kept.Role
	}
	for _, role := range a.roles() {
		_, wide, err := a.conn.switchOf(role).deny(ctx, a.name, before)
		if awsCode(err) == "NoSuchEntity" {
			continue // a role that is gone has no sessions that may do anything
		}
		if err != nil {
			a.conn.lender.metrics.deny("failed")
			data, _ := json.Marshal(k) //nolint:errchkjson // times and texts cannot fail
			return access.Applied{Kept: data}, fmt.Errorf("taking back sessions of %s: %w; what was vended ends by itself at %s at the latest", a.name, err, stamp(k.Since.Add(maxSession)))
		}
		if wide {
			note = "ALL older sessions of " + role + " are denied, of everybody, for more revocations do not fit into its policies"
		}
	}
	a.conn.lender.metrics.deny("done")
	k = kept{Until: a.wanted.Expires(), Generation: a.wanted.Generation, Role: a.role, Left: left, Denied: before, At: a.conn.lender.opts.Clock()}
	data, _ := json.Marshal(k) //nolint:errchkjson // times and texts cannot fail
	return access.Applied{Kept: data, Pending: a.conn.lender.opts.Settle, Note: note}, nil
}

// settle reads back what was denied.
func (a *application) settle(ctx context.Context) (access.Applied, error) {
	if wait := a.conn.lender.opts.Settle - a.now.Sub(a.kept.At); wait > 0 && wait <= a.conn.lender.opts.Settle {
		return access.Applied{Kept: a.wanted.Kept, Pending: wait, Note: "IAM is given time to make it known that older sessions are denied"}, nil
	}
	for _, role := range a.roles() {
		s := a.conn.switchOf(role)
		err := s.look(ctx, a.kept.At)
		if awsCode(err) == "NoSuchEntity" {
			continue
		}
		if err != nil {
			return access.Applied{Kept: a.wanted.Kept}, err
		}
		if !s.shows(a.name, a.kept.Denied) && a.now.Sub(a.kept.Denied) <= keepDenial {
			a.conn.lender.opts.Logger.WarnContext(ctx, "IAM does not show a revocation that was written; it is written again", "role", role, "session", a.name)
			return a.deny(ctx)
		}
	}
	if a.wanted.Expires().IsZero() {
		return a.over("older sessions of " + a.name + " are denied"), nil
	}
	return a.over("older sessions of " + a.name + " are denied; new ones give what is still held"), nil
}

// over is what is remembered once nothing has to be taken back any more.
func (a *application) over(note string) access.Applied {
	k := kept{Until: a.wanted.Expires(), Generation: a.wanted.Generation, Role: a.role}
	if k.Until.IsZero() {
		k.Role = ""
	}
	data, _ := json.Marshal(k) //nolint:errchkjson // times and texts cannot fail
	return access.Applied{Kept: data, Note: note}
}

// List returns the policies with Gatehouse's name that say something else than what
// Gatehouse writes. Nothing else stands in AWS.
func (l *Lender) List(ctx context.Context, i *access.Integration) ([]access.Found, error) {
	c, err := l.connect(i)
	if err != nil {
		return nil, err
	}
	if c.role == "" {
		return nil, nil // the roles are people's, and only those who hold something are known
	}
	changed, err := c.switchOf(c.role).changed(ctx)
	if err != nil {
		return nil, err
	}
	var out []access.Found
	for name, why := range changed {
		out = append(out, access.Found{Name: name + " of " + c.role, Detail: map[string]string{"role": c.role, "policy": name}, Drift: why})
	}
	return out, nil
}
