package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/identity"
)

// ExerciseIdentity runs the part of the suite that concerns people and sessions.
// newStore makes an empty store for each test.
func ExerciseIdentity(t *testing.T, newStore func(t *testing.T) identity.Store) {
	t.Helper()
	for name, test := range identityTests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newStore(t))
		})
	}
}

var identityTests = map[string]func(t *testing.T, s identity.Store){
	"Sessions":              sessions,
	"SessionsChangeInTurn":  sessionsChangeInTurn,
	"SessionsAreBounded":    sessionsAreBounded,
	"SessionsArePruned":     sessionsArePruned,
	"People":                people,
	"PeoplePages":           peoplePages,
	"DisabledStayOutside":   disabledStayOutside,
	"DisabledWhileEntering": disabledWhileEntering,
	"SignIns":               signIns,
	"SignInsAreTakenOnce":   signInsAreTakenOnce,
	"SignInsAreBounded":     signInsAreBounded,
}

func session(key, person string) *identity.Session {
	return &identity.Session{
		Key: key, Person: identity.Person{ID: person, Email: person + "@Example.com", Name: person, Groups: []string{"a"}, Attributes: map[string][]string{"team": {"x", "y"}}},
		Kind: identity.ViaWeb, Source: "s", Device: "Firefox", Address: "192.0.2.1",
		Created: start, Seen: start, Checked: start, Ends: start.Add(12 * time.Hour), IdleEnds: start.Add(time.Hour), Sealed: []byte{0, 1, 0xff},
	}
}

func openSession(t *testing.T, s identity.Store, session *identity.Session) {
	t.Helper()
	if err := s.OpenSession(t.Context(), session); err != nil {
		t.Fatal(err)
	}
}

func sessions(t *testing.T, s identity.Store) {
	if _, err := s.Session(t.Context(), "none"); !errors.Is(err, identity.ErrNoSession) {
		t.Errorf("a session that is not there: %v", err)
	}
	one := session("k1", "ann")
	openSession(t, s, one)
	got, err := s.Session(t.Context(), "k1")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(one, got); d != "" {
		t.Errorf("session (-want +got):\n%s", d)
	}
	two := session("k2", "ann")
	two.Seen = start.Add(time.Minute)
	openSession(t, s, two)
	openSession(t, s, session("k3", "bob"))
	list, err := s.Sessions(t.Context(), "ann")
	if err != nil || len(list) != 2 || list[0].Key != "k2" || list[1].Key != "k1" {
		t.Errorf("the sessions of a person, the last used first: %+v, %v", list, err)
	}
	if err := s.EndSession(t.Context(), "k1"); err != nil {
		t.Error(err)
	}
	if err := s.EndSession(t.Context(), "k1"); err != nil {
		t.Errorf("ending a session twice: %v", err)
	}
	if _, err := s.Session(t.Context(), "k1"); !errors.Is(err, identity.ErrNoSession) {
		t.Errorf("an ended session: %v", err)
	}
	if n, err := s.EndSessions(t.Context(), "ann"); err != nil || n != 1 {
		t.Errorf("ending all sessions: %d, %v", n, err)
	}
	if _, err := s.Session(t.Context(), "k3"); err != nil {
		t.Errorf("somebody else's session: %v", err)
	}
}

func sessionsChangeInTurn(t *testing.T, s identity.Store) {
	openSession(t, s, session("k1", "ann"))
	const writers = 8
	var won, lost atomic.Int32
	var wg sync.WaitGroup
	read := make([]*identity.Session, writers) // all of them before the first writes
	for i := range read {
		got, err := s.Session(t.Context(), "k1")
		if err != nil {
			t.Fatal(err)
		}
		got.Device = strconv.Itoa(i)
		read[i] = got
	}
	for _, got := range read {
		wg.Go(func() {
			switch err := s.SaveSession(t.Context(), got); {
			case err == nil:
				won.Add(1)
			case errors.Is(err, identity.ErrConflict):
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || lost.Load() != writers-1 {
		t.Errorf("of %d changes of one version %d were saved and %d refused", writers, won.Load(), lost.Load())
	}
	got, err := s.Session(t.Context(), "k1")
	if err != nil || got.Version != 2 {
		t.Fatalf("after one change: %+v, %v", got, err)
	}
	got.Seen, got.Sealed = start.Add(time.Hour), nil
	if err := s.SaveSession(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	again, err := s.Session(t.Context(), "k1")
	if err != nil || cmp.Diff(got, again) != "" {
		t.Errorf("a saved session: %v\n%s", err, cmp.Diff(got, again))
	}
	if err := s.EndSession(t.Context(), "k1"); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveSession(t.Context(), got); !errors.Is(err, identity.ErrNoSession) {
		t.Errorf("saving a session that was ended: %v", err)
	}
}

func sessionsAreBounded(t *testing.T, s identity.Store) {
	for i := range identity.MaxSessions + 3 {
		one := session(fmt.Sprintf("k%02d", i), "ann")
		one.Seen = start.Add(time.Duration(i) * time.Second)
		openSession(t, s, one)
	}
	list, err := s.Sessions(t.Context(), "ann")
	if err != nil || len(list) != identity.MaxSessions || list[len(list)-1].Key != "k03" {
		t.Errorf("a person has %d sessions, the oldest is %s, %v", len(list), list[len(list)-1].Key, err)
	}
}

func sessionsArePruned(t *testing.T, s identity.Store) {
	idle, over, lasts := session("idle", "ann"), session("over", "ann"), session("lasts", "ann")
	idle.IdleEnds, over.Ends, lasts.IdleEnds = start.Add(time.Minute), start.Add(time.Minute), start.Add(2*time.Hour)
	for _, one := range []*identity.Session{idle, over, lasts} {
		openSession(t, s, one)
	}
	if err := s.PruneSessions(t.Context(), start.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Sessions(t.Context(), "ann"); err != nil || len(list) != 1 || list[0].Key != "lasts" {
		t.Errorf("what is left: %+v, %v", list, err)
	}
}

func people(t *testing.T, s identity.Store) {
	p := identity.Person{ID: "p-1", Email: "Ann@Example.com", Name: "Ann", Groups: []string{"admins", "dev"}, Attributes: map[string][]string{"team": {"x"}}, Manager: "bob@example.com"}
	seen := p
	seen.Role, seen.Via = identity.Admin, identity.ViaWeb
	if err := s.SeePerson(t.Context(), seen, start); err != nil {
		t.Fatal(err)
	}
	for _, by := range []string{"p-1", "Ann@Example.com", "ann@example.COM"} {
		got, err := s.FindPerson(t.Context(), by)
		if err != nil {
			t.Fatalf("finding %q: %v", by, err)
		}
		if d := cmp.Diff(&identity.Entry{Person: p, FirstSeen: start, LastSeen: start}, got); d != "" {
			t.Errorf("by %q (-want +got):\n%s", by, d)
		}
	}
	// The Kelvin sign is no K, whatever Unicode folds it to.
	for _, by := range []string{"", "p-2", "ann", "\u212aann@example.com"} {
		if _, err := s.FindPerson(t.Context(), by); !errors.Is(err, identity.ErrNoPerson) {
			t.Errorf("finding %q: %v", by, err)
		}
	}
	p.Email, p.Groups = "ann.new@example.com", []string{"dev"}
	if err := s.SeePerson(t.Context(), p, start.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	got, err := s.FindPerson(t.Context(), "p-1")
	if err != nil || got.Email != p.Email || !got.FirstSeen.Equal(start) || !got.LastSeen.Equal(start.Add(time.Hour)) {
		t.Errorf("after a change: %+v, %v", got, err)
	}
	if list, err := s.FindPeople(t.Context(), identity.PeopleQuery{Group: "admins"}); err != nil || len(list) != 0 {
		t.Errorf("a group that the person left has %+v, %v", list, err)
	}
	if _, err := s.FindPerson(t.Context(), "ann@example.com"); !errors.Is(err, identity.ErrNoPerson) {
		t.Errorf("the old address: %v", err)
	}
	// An address that was given out again is that of who was seen last.
	other := identity.Person{ID: "p-0", Email: "Ann.New@example.com", Name: "Another Ann"}
	if err := s.SeePerson(t.Context(), other, start.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.FindPerson(t.Context(), "ann.new@example.com"); err != nil || got.ID != "p-0" {
		t.Errorf("an address that two had: %+v, %v", got, err)
	}
}

func peoplePages(t *testing.T, s identity.Store) {
	const count = 57
	want := make([]string, 0, count)
	for i := range count {
		p := identity.Person{ID: fmt.Sprintf("p-%d", i), Email: fmt.Sprintf("%c%02d@example.com", "aBcD"[i%4], i), Name: fmt.Sprintf("Name %d 100%%_", i)}
		if i%3 == 0 {
			p.Groups = []string{"third"}
		}
		want = append(want, p.OrderKey())
		if err := s.SeePerson(t.Context(), p, start); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(want)
	var got []string
	q := identity.PeopleQuery{Limit: 10}
	for {
		page, err := s.FindPeople(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for i := range page {
			got = append(got, page[i].OrderKey())
		}
		if len(page) < q.Limit {
			break
		}
		q.After = page[len(page)-1].OrderKey()
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the pages (-want +got):\n%s", d)
	}
	for name, c := range map[string]struct {
		query identity.PeopleQuery
		want  int
	}{
		"group":               {identity.PeopleQuery{Group: "third"}, 19},
		"group, other case":   {identity.PeopleQuery{Group: "Third"}, 0},
		"address":             {identity.PeopleQuery{Search: "B01@EXAMPLE"}, 1},
		"name":                {identity.PeopleQuery{Search: "name 5 "}, 1},
		"nothing":             {identity.PeopleQuery{Search: "nobody"}, 0},
		"no pattern":          {identity.PeopleQuery{Search: "%_"}, 57},
		"a pattern of SQL":    {identity.PeopleQuery{Search: "a%c"}, 0},
		"group and search":    {identity.PeopleQuery{Group: "third", Search: "a00"}, 1},
		"quotes do not break": {identity.PeopleQuery{Search: `' OR "1`}, 0},
	} {
		if page, err := s.FindPeople(t.Context(), c.query); err != nil || len(page) != c.want {
			t.Errorf("%s: %d people, %v; want %d", name, len(page), err, c.want)
		}
	}
}

func disabledStayOutside(t *testing.T, s identity.Store) {
	d := &identity.Disabling{At: start, By: "root", Reason: "left"}
	if _, err := s.Disable(t.Context(), "ann", d); !errors.Is(err, identity.ErrNoPerson) {
		t.Errorf("disabling somebody unknown: %v", err)
	}
	one := session("k1", "ann")
	if err := s.SeePerson(t.Context(), one.Person, start); err != nil {
		t.Fatal(err)
	}
	openSession(t, s, one)
	if n, err := s.Disable(t.Context(), "ann", d); err != nil || n != 1 {
		t.Errorf("disabling ended %d sessions, %v", n, err)
	}
	if _, err := s.Session(t.Context(), "k1"); !errors.Is(err, identity.ErrNoSession) {
		t.Errorf("the session of somebody disabled: %v", err)
	}
	if err := s.OpenSession(t.Context(), session("k2", "ann")); !errors.Is(err, identity.ErrDisabled) {
		t.Errorf("a new session of somebody disabled: %v", err)
	}
	// What the identity provider says does not enable anybody.
	if err := s.SeePerson(t.Context(), one.Person, start.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	list, err := s.DisabledPeople(t.Context())
	if err != nil || len(list) != 1 || cmp.Diff(d, list[0].Disabled) != "" {
		t.Errorf("who is disabled: %+v, %v", list, err)
	}
	if _, err := s.Disable(t.Context(), "ann", nil); err != nil {
		t.Fatal(err)
	}
	openSession(t, s, session("k3", "ann"))
	if list, err := s.DisabledPeople(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("after enabling: %+v, %v", list, err)
	}
}

// disabledWhileEntering: whatever the order of a sign-in and a disabling, no
// session is left.
func disabledWhileEntering(t *testing.T, s identity.Store) {
	for i := range 20 {
		id := fmt.Sprintf("p%d", i)
		if err := s.SeePerson(t.Context(), identity.Person{ID: id, Email: id + "@example.com"}, start); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for j := range 3 {
			wg.Go(func() {
				if err := s.OpenSession(t.Context(), session(fmt.Sprintf("%s-%d", id, j), id)); err != nil && !errors.Is(err, identity.ErrDisabled) {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			if _, err := s.Disable(t.Context(), id, &identity.Disabling{At: start, By: "root"}); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if list, err := s.Sessions(t.Context(), id); err != nil || len(list) != 0 {
			t.Fatalf("somebody disabled has %d sessions, %v", len(list), err)
		}
	}
}

func signIn(key, code string) *identity.SignIn {
	return &identity.SignIn{Key: key, Code: code, Ends: start.Add(time.Minute), Body: []byte{1, 0, 2}}
}

func signIns(t *testing.T, s identity.Store) {
	one := signIn("k1", "BCDF")
	if err := s.BeginSignIn(t.Context(), one, start); err != nil {
		t.Fatal(err)
	}
	for i := range 2 { // several without a code are no conflict
		if err := s.BeginSignIn(t.Context(), signIn(fmt.Sprintf("n%d", i), ""), start); err != nil {
			t.Fatal(err)
		}
	}
	for _, taken := range []*identity.SignIn{signIn("k1", "XXXX"), signIn("k2", "BCDF")} {
		if err := s.BeginSignIn(t.Context(), taken, start); !errors.Is(err, identity.ErrConflict) {
			t.Errorf("beginning what is there: %v", err)
		}
	}
	byKey, err := s.SignInByKey(t.Context(), "k1")
	if err != nil || cmp.Diff(one, byKey) != "" {
		t.Errorf("by key: %v\n%s", err, cmp.Diff(one, byKey))
	}
	byCode, err := s.SignInByCode(t.Context(), "BCDF")
	if err != nil || cmp.Diff(one, byCode) != "" {
		t.Errorf("by code: %v\n%s", err, cmp.Diff(one, byCode))
	}
	if _, err := s.SignInByCode(t.Context(), ""); !errors.Is(err, identity.ErrNoSignIn) {
		t.Errorf("by no code: %v", err)
	}
	byKey.Body = []byte("yes")
	if err := s.SaveSignIn(t.Context(), byKey); err != nil {
		t.Fatal(err)
	}
	byCode.Body = []byte("another yes")
	if err := s.SaveSignIn(t.Context(), byCode); !errors.Is(err, identity.ErrConflict) {
		t.Errorf("confirming twice: %v", err)
	}
	got, err := s.TakeSignIn(t.Context(), "k1")
	if err != nil || string(got.Body) != "yes" {
		t.Errorf("taken: %+v, %v", got, err)
	}
	for name, try := range map[string]func() error{
		"take": func() error { _, err := s.TakeSignIn(t.Context(), "k1"); return err },
		"key":  func() error { _, err := s.SignInByKey(t.Context(), "k1"); return err },
		"save": func() error { return s.SaveSignIn(t.Context(), byKey) },
	} {
		if err := try(); !errors.Is(err, identity.ErrNoSignIn) {
			t.Errorf("%s of a sign-in that was taken: %v", name, err)
		}
	}
}

func signInsAreTakenOnce(t *testing.T, s identity.Store) {
	if err := s.BeginSignIn(t.Context(), signIn("k1", ""), start); err != nil {
		t.Fatal(err)
	}
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := s.TakeSignIn(t.Context(), "k1"); err == nil {
				won.Add(1)
			} else if !errors.Is(err, identity.ErrNoSignIn) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d got one sign-in", won.Load())
	}
}

func signInsAreBounded(t *testing.T, s identity.Store) {
	for i := range identity.MaxSignIns {
		if err := s.BeginSignIn(t.Context(), signIn(strconv.Itoa(i), "C"+strconv.Itoa(i)), start); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.BeginSignIn(t.Context(), signIn("more", "MORE"), start); !errors.Is(err, identity.ErrTooMany) {
		t.Errorf("one too many: %v", err)
	}
	if err := s.BeginSignIn(t.Context(), signIn("signed in", ""), start); err != nil {
		t.Errorf("one without a code: %v", err)
	}
	later := start.Add(time.Minute) // all of them have ended
	next := signIn(strings.Repeat("k", 64), "NEXT")
	next.Ends = later.Add(time.Minute)
	if err := s.BeginSignIn(t.Context(), next, later); err != nil {
		t.Errorf("after the others have ended: %v", err)
	}
}
