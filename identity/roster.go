package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Directory answers who people are and which groups they are in.
type Directory interface {
	// Person returns somebody by id, or by e-mail address in any case, or
	// ErrNoPerson.
	Person(ctx context.Context, idOrEmail string) (*Entry, error)
	// People returns people in the order of their e-mail addresses.
	People(ctx context.Context, q PeopleQuery) ([]Entry, error)
	// Members returns everybody in a group, those who are disabled too; it is an
	// error if there are more than 10,000.
	Members(ctx context.Context, group string) ([]Entry, error)
}

// maxMembers bounds the members of a group that are returned at once.
const maxMembers = 10_000

// RosterOptions configure a Roster.
type RosterOptions struct {
	Store PeopleStore // nil: a Memory
	// File names people beside those who signed in; empty: none.
	File string
	// Local are people who come by links and not from an identity provider: the
	// demo's.
	Local  []Person
	Roles  RoleRules
	Clock  func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: silent
}

// Roster is the Directory over the people who signed in and those of a file. What
// the file says of somebody is added to what the identity provider says, by e-mail
// address. It is safe for concurrent use.
type Roster struct {
	store PeopleStore
	roles RoleRules
	local []Entry
	path  string
	clock func() time.Time
	log   *slog.Logger

	file    atomic.Pointer[peopleFile]
	reading sync.Mutex // one reading of the file at a time
}

var _ Directory = (*Roster)(nil)

// NewRoster makes a Roster. It returns an error for rules of another form and for
// a file that cannot be used.
func NewRoster(o RosterOptions) (*Roster, error) {
	if err := o.Roles.Check(); err != nil {
		return nil, err
	}
	if o.Store == nil {
		o.Store = &Memory{}
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Roster{store: o.Store, roles: o.Roles, path: o.File, clock: o.Clock, log: o.Logger}
	for _, p := range o.Local {
		p = p.clone()
		slices.Sort(p.Groups)
		r.local = append(r.local, Entry{Person: p})
	}
	r.file.Store(&peopleFile{})
	if r.path != "" {
		f, err := readPeopleFile(r.path)
		if err != nil {
			return nil, err
		}
		r.file.Store(f)
	}
	return r, nil
}

// reload reads the file again. One that cannot be used leaves what was there: a
// slip of the pen must not let people in whom the last good file kept out, nor
// everybody's groups go. It reports whether anything changed.
func (r *Roster) reload(ctx context.Context) bool {
	if r.path == "" {
		return false
	}
	r.reading.Lock()
	defer r.reading.Unlock()
	was := r.file.Load()
	f, err := readPeopleFile(r.path)
	if err != nil {
		if was.failed != err.Error() {
			r.log.ErrorContext(ctx, "the people file cannot be used; what it said before holds on", "error", err)
			kept := *was
			kept.failed = err.Error()
			r.file.Store(&kept)
		}
		return false
	}
	if f.digest == was.digest && was.failed == "" {
		return false
	}
	r.file.Store(f)
	r.log.InfoContext(ctx, "the people file was read", "people", len(f.people))
	return true
}

// complete adds what the file says of a person, and their role. A role that their
// way in fixed stays.
func (r *Roster) complete(p Person) Person {
	if f := r.file.Load().of(p.Email); f != nil {
		p = p.clone()
		p.Groups = append(p.Groups, f.Groups...)
		slices.Sort(p.Groups)
		p.Groups = slices.Compact(p.Groups)
		for name, values := range f.Attributes {
			if p.Attributes == nil {
				p.Attributes = map[string][]string{}
			}
			p.Attributes[name] = values
		}
		if f.Manager != "" {
			p.Manager = f.Manager
		}
		if f.Name != "" && (p.Name == "" || p.Name == p.Email) {
			p.Name = f.Name
		}
	}
	for i := range r.local {
		if p.Role == None && p.ID == r.local[i].ID {
			p.Role = r.local[i].Role
		}
	}
	if p.Role == None {
		p.Role = r.roles.Of(p)
	}
	return p
}

// disabled returns how the file disables somebody, or nil.
func (r *Roster) disabled(p Person) *Disabling {
	f := r.file.Load()
	if u := f.of(p.Email); u != nil && u.Disabled {
		return &Disabling{At: f.read, By: "people file", Reason: "disabled in " + r.path}
	}
	return nil
}

// isFileOnly reports whether nobody but the file knows a person: their id is their
// address, by which nobody signs in.
func (r *Roster) isFileOnly(e *Entry) bool {
	return e.ID == e.Email && r.file.Load().of(e.Email) != nil
}

func (r *Roster) entry(e Entry) Entry {
	e.Person = r.complete(e.Person)
	if d := r.disabled(e.Person); d != nil {
		e.Disabled = d
	}
	if e.Disabled != nil {
		e.Role = None
	}
	return e
}

// Person returns somebody by id or e-mail address; see Directory.
func (r *Roster) Person(ctx context.Context, idOrEmail string) (*Entry, error) {
	if idOrEmail == "" {
		return nil, ErrNoPerson
	}
	e, err := r.store.FindPerson(ctx, idOrEmail)
	if err == nil {
		out := r.entry(*e)
		return &out, nil
	}
	if !errors.Is(err, ErrNoPerson) {
		return nil, fmt.Errorf("finding a person: %w", err)
	}
	for i := range r.local {
		if l := &r.local[i]; l.ID == idOrEmail || l.Email != "" && EmailKey(l.Email) == EmailKey(idOrEmail) {
			e := r.entry(*l)
			return &e, nil
		}
	}
	if f := r.file.Load().of(idOrEmail); f != nil {
		out := r.entry(f.entry())
		return &out, nil
	}
	return nil, ErrNoPerson
}

// People returns people in the order of OrderKey; see Directory.
func (r *Roster) People(ctx context.Context, q PeopleQuery) ([]Entry, error) {
	limit := q.limit()
	// Whom the file puts into the group, the store cannot find by it.
	stored, err := r.store.FindPeople(ctx, PeopleQuery{Search: q.Search, Group: q.Group, Limit: limit, After: q.After})
	if err != nil {
		return nil, fmt.Errorf("finding people: %w", err)
	}
	seen := map[string]bool{}
	var out []Entry
	fromFile := 0
	add := func(e Entry) bool {
		e = r.entry(e)
		if e.OrderKey() <= q.After || !q.matches(e.Person) {
			return false
		}
		if !seen[e.ID] {
			seen[e.ID] = true
			out = append(out, e)
		}
		return true
	}
	for i := range stored {
		add(stored[i])
	}
	for i := range r.local {
		add(r.local[i])
	}
	for _, f := range r.file.Load().people {
		// The file is in order too: a page of it is enough for the page of both.
		if fromFile >= limit {
			break
		}
		if EmailKey(f.Email)+"\n\xff" <= q.After || !q.mayMatch(f) {
			continue
		}
		e, err := r.store.FindPerson(ctx, f.Email)
		switch {
		case err == nil:
		case errors.Is(err, ErrNoPerson):
			e = new(f.entry())
		default:
			return nil, fmt.Errorf("finding people: %w", err)
		}
		if add(*e) {
			fromFile++
		}
	}
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(a.OrderKey(), b.OrderKey()) })
	return out[:min(len(out), limit)], nil
}

// mayMatch reports whether somebody of the file could be one of the query. Names of
// the identity provider are the store's to find.
func (q *PeopleQuery) mayMatch(f *filePerson) bool {
	if q.Group != "" {
		return slices.Contains(f.Groups, q.Group)
	}
	return q.matches(f.entry().Person)
}

// Members returns everybody in a group; see Directory.
func (r *Roster) Members(ctx context.Context, group string) ([]Entry, error) {
	out := []Entry{}
	if group == "" {
		return out, nil
	}
	q := PeopleQuery{Group: group, Limit: maxPeople}
	for {
		page, err := r.People(ctx, q)
		if err != nil {
			return nil, err
		}
		out = append(out, page...)
		switch {
		case len(page) < maxPeople:
			return out, nil
		case len(out) >= maxMembers:
			return nil, fmt.Errorf("reading the members of %q: they are more than %d", group, maxMembers)
		}
		q.After = page[len(page)-1].OrderKey()
	}
}

// everyDisabled returns all who are disabled, in the store or the file. Of the file
// it names those who signed in, and by their address those who did not.
func (r *Roster) everyDisabled(ctx context.Context) ([]Entry, error) {
	out, err := r.store.DisabledPeople(ctx)
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i] = r.entry(out[i])
	}
	for _, f := range r.file.Load().people {
		if !f.Disabled {
			continue
		}
		e, err := r.Person(ctx, f.Email)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(out, func(o Entry) bool { return o.ID == e.ID }) {
			out = append(out, *e)
		}
	}
	return out, nil
}
