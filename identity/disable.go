package identity

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"
)

const (
	// watchEvery is how often the people file is looked at.
	watchEvery = 5 * time.Second
	// tidyEvery is how often what has ended is forgotten, and those who were to be
	// told of somebody disabled are told again if they failed.
	tidyEvery = time.Minute
)

// ErrSelf is returned to somebody who would disable themselves.
var ErrSelf = errors.New("nobody disables themselves: ask another admin")

// ErrFileOnly is returned for somebody whom only the people file names, or who is
// disabled there.
var ErrFileOnly = errors.New("this is said in the people file; change it there")

// toldPeople are the disabled people of whom OnDisabled was told in this process.
type toldPeople struct {
	mu   sync.Mutex // held over a call, so that of two one is made
	done map[string]bool
}

// Disable keeps a person out: their sessions end in the same step, they cannot sign
// in again, and OnDisabled is called. If that fails the person is disabled all the
// same, the error says so, and Run tries it again.
func (g *Guard) Disable(ctx context.Context, by Person, id, reason string) error {
	e, err := g.roster.Person(ctx, id)
	if err != nil {
		return err
	}
	if e.ID == by.ID {
		return ErrSelf
	}
	d := &Disabling{At: g.clock().UTC(), By: by.Name, Reason: reason}
	ended, err := g.store.Disable(ctx, e.ID, d)
	if errors.Is(err, ErrNoPerson) {
		if g.roster.isFileOnly(e) {
			return ErrFileOnly
		}
		// Somebody with a link who has not used it yet.
		if err := g.store.SeePerson(ctx, e.Person, d.At); err != nil {
			return err
		}
		ended, err = g.store.Disable(ctx, e.ID, d)
	}
	if err != nil {
		return err
	}
	g.tell(ctx, Event{
		Action: EventDisabled, Person: by, Subject: e.ID, SubjectName: e.Name, Reason: reason,
		Detail: map[string]string{"sessions": strconv.Itoa(ended)},
	})
	e.Disabled = d
	if err := g.takeBack(ctx, *e); err != nil {
		return fmt.Errorf("%s is disabled and their %d sessions have ended, but taking back what they were lent failed and is tried again: %w", e.Name, ended, err)
	}
	return nil
}

// Enable lets a person sign in again.
func (g *Guard) Enable(ctx context.Context, by Person, id, reason string) error {
	e, err := g.roster.Person(ctx, id)
	if err != nil {
		return err
	}
	if g.roster.disabled(e.Person) != nil || g.roster.isFileOnly(e) {
		return ErrFileOnly
	}
	if _, err := g.store.Disable(ctx, e.ID, nil); err != nil {
		return err
	}
	g.told.mu.Lock()
	delete(g.told.done, e.ID)
	g.told.mu.Unlock()
	g.tell(ctx, Event{Action: EventEnabled, Person: by, Subject: e.ID, SubjectName: e.Name, Reason: reason})
	return nil
}

// takeBack calls OnDisabled once for each time that somebody is disabled.
func (g *Guard) takeBack(ctx context.Context, e Entry) error {
	g.told.mu.Lock()
	defer g.told.mu.Unlock()
	if g.told.done[e.ID] {
		return nil
	}
	if g.onDisabled != nil {
		if err := g.onDisabled(ctx, e); err != nil {
			return err
		}
	}
	if g.told.done == nil {
		g.told.done = map[string]bool{}
	}
	g.told.done[e.ID] = true
	return nil
}

// Run watches the people file, ends the sessions of those who are disabled there,
// sees to it that what disabled people were lent is taken back, and forgets what
// has ended, until ctx is done.
func (g *Guard) Run(ctx context.Context) error {
	watch, tidy := time.NewTicker(watchEvery), time.NewTicker(tidyEvery)
	defer watch.Stop()
	defer tidy.Stop()
	g.enforce(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-watch.C:
			if g.roster.reload(ctx) {
				g.enforce(ctx)
			}
		case <-tidy.C:
			g.enforce(ctx)
			if err := g.store.PruneSessions(ctx, g.clock()); err != nil {
				g.log.WarnContext(ctx, "sessions that have ended were not forgotten; it is tried again", "error", err)
			}
		}
	}
}

// enforce does for everybody who is disabled what Disable did not do or could not.
func (g *Guard) enforce(ctx context.Context) {
	everyone, err := g.roster.everyDisabled(ctx)
	if err != nil {
		if ctx.Err() == nil {
			g.log.ErrorContext(ctx, "the people who are disabled could not be read; it is tried again", "error", err)
		}
		return
	}
	now := make(map[string]bool, len(everyone))
	for i := range everyone {
		e := &everyone[i]
		now[e.ID] = true
		ended, err := g.store.EndSessions(ctx, e.ID)
		if ended > 0 {
			g.tell(ctx, Event{Action: EventRevoked, Subject: e.ID, SubjectName: e.Name, Reason: "the person is disabled", Detail: map[string]string{"sessions": strconv.Itoa(ended)}})
		}
		if err == nil {
			err = g.takeBack(ctx, *e)
		}
		if err != nil && ctx.Err() == nil {
			g.log.ErrorContext(ctx, "somebody is disabled, but what they have was not all taken back; it is tried again", "person", e.ID, "error", err)
		}
	}
	g.told.mu.Lock()
	defer g.told.mu.Unlock()
	for id := range g.told.done {
		if !now[id] {
			delete(g.told.done, id)
		}
	}
}
