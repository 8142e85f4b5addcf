package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/identity"
)

const (
	// factsFor is how long what the directory said is believed: a page of the catalog
	// asks for the same people a thousand times. Who is shut out is forgotten at once.
	factsFor = 3 * time.Second
	// factsAtMost bounds the memory for answers.
	factsAtMost = 10_000
	// factsWithin bounds one question.
	factsWithin = 5 * time.Second
	// peopleAtMost bounds how many people are compared for names that would be one.
	peopleAtMost = 20_000
)

// onCall answers who is on call; a webhook.OnCall does.
type onCall interface {
	People(ctx context.Context, schedule string) ([]string, error)
}

// facts are what flows ask about people. What cannot be found out is not known, which
// lets nobody in.
type facts struct {
	directory identity.Directory
	onCall    onCall // nil: nobody is ever on call
	log       *slog.Logger
	clock     func() time.Time

	mu      sync.Mutex
	people  map[string]knownPerson
	members map[string]knownMembers
}

type knownPerson struct {
	person flow.Person
	ok     bool
	until  time.Time
}

type knownMembers struct {
	ids   []string
	until time.Time
}

var _ flow.Facts = (*facts)(nil)

func newFacts(d identity.Directory, o onCall, log *slog.Logger) *facts {
	return &facts{directory: d, onCall: o, log: log, clock: time.Now, people: map[string]knownPerson{}, members: map[string]knownMembers{}}
}

// forget has the next question asked anew.
func (f *facts) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.people)
	clear(f.members)
}

// personOf is somebody of the directory as lending knows them; false for those who are
// nobody there. Whoever holds the admin token administers and is no person that a flow
// could name, so they agree to nothing. Of somebody who is shut out that is all there
// is to know: the desk tells them from those of whom nothing is known.
func personOf(e *identity.Entry) (flow.Person, bool) {
	if e.ID == identity.AdminID {
		return flow.Person{}, false
	}
	p := access.PersonOf(e.Person)
	if e.Disabled != nil {
		p = flow.Person{ID: p.ID, Name: p.Name, Disabled: true}
	}
	return p, p.ID != ""
}

// Person returns somebody by the ID that lending has for them, in any case.
func (f *facts) Person(id string) (flow.Person, bool) {
	if id == "" {
		return flow.Person{}, false
	}
	now := f.clock()
	f.mu.Lock()
	known, ok := f.people[id]
	f.mu.Unlock()
	if ok && now.Before(known.until) {
		return known.person, known.ok
	}
	ctx, cancel := context.WithTimeout(context.Background(), factsWithin)
	defer cancel()
	known = knownPerson{until: now.Add(factsFor)}
	switch e, err := f.directory.Person(ctx, id); {
	case errors.Is(err, identity.ErrNoPerson):
	case err != nil:
		f.log.ErrorContext(ctx, "the directory does not say who somebody is; they are taken for unknown", "person", id, "error", err)
		return flow.Person{}, false
	default:
		// The directory takes its own IDs too, by which lending knows nobody who has an
		// address: one person must not come under two names.
		known.person, known.ok = personOf(e)
		if known.ok && identity.EmailKey(known.person.ID) != identity.EmailKey(id) {
			known.person, known.ok = flow.Person{}, false
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.people) >= factsAtMost {
		clear(f.people)
	}
	f.people[id] = known
	return known.person, known.ok
}

// Members returns the IDs of a group's members who are not shut out.
func (f *facts) Members(group string) []string {
	now := f.clock()
	f.mu.Lock()
	known, ok := f.members[group]
	f.mu.Unlock()
	if ok && now.Before(known.until) {
		return slices.Clone(known.ids)
	}
	ctx, cancel := context.WithTimeout(context.Background(), factsWithin)
	defer cancel()
	entries, err := f.directory.Members(ctx, group)
	if err != nil {
		f.log.ErrorContext(ctx, "the directory does not say who is in a group; it is taken for empty", "group", group, "error", err)
		return nil
	}
	known = knownMembers{until: now.Add(factsFor)}
	for i := range entries {
		if p, ok := personOf(&entries[i]); ok && !p.Disabled {
			known.ids = append(known.ids, p.ID)
		}
	}
	slices.Sort(known.ids)
	known.ids = slices.Compact(known.ids)
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.members) >= factsAtMost {
		clear(f.members)
	}
	f.members[group] = known
	return slices.Clone(known.ids)
}

// OnCall reports whether a person is on call now. Whatever goes wrong, they are not.
func (f *facts) OnCall(schedule, person string) bool {
	if f.onCall == nil || person == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), factsWithin)
	defer cancel()
	people, err := f.onCall.People(ctx, schedule)
	if err != nil {
		return false // it is logged, once an outage
	}
	return slices.ContainsFunc(people, func(p string) bool { return identity.EmailKey(p) == identity.EmailKey(person) })
}

// everybody is the IDs of the people known, for names that would be one in a cluster.
func (f *facts) everybody(ctx context.Context) []string {
	var ids []string
	q := identity.PeopleQuery{Limit: 1000}
	for len(ids) < peopleAtMost {
		page, err := f.directory.People(ctx, q)
		if err != nil {
			f.log.WarnContext(ctx, "the people of the directory could not be read", "error", err)
			return ids
		}
		for i := range page {
			if p, ok := personOf(&page[i]); ok {
				ids = append(ids, p.ID)
			}
		}
		if len(page) < q.Limit {
			break
		}
		q.After = page[len(page)-1].OrderKey()
	}
	return ids
}
