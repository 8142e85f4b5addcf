// Package accesstest is the conformance suite of access.Provisioner: what the
// engine rests on, whatever the target. Every provisioner runs it against a
// target that keeps objects and can be told to misbehave.
package accesstest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

// Target is a provisioner with the target that it serves, made anew for a test.
type Target struct {
	Provisioner access.Provisioner
	Integration *access.Integration
	// Item returns one of at least three items that can be lent, 0 first, each
	// carried by an object of its own.
	Item func(n int) flow.Item
	// Person returns one of at least three people. Nil: people with plain e-mail
	// addresses.
	Person func(n int) flow.Person
	// Has asks the target itself, not the provisioner, whether the person can use
	// the item now.
	Has func(t *testing.T, p flow.Person, item flow.Item) bool
	// Foreign puts an object that Gatehouse did not make where the object of the
	// item for the person would stand, and returns a function that reports whether
	// it stands there unchanged. Nil: such an object cannot be.
	Foreign func(t *testing.T, p flow.Person, item flow.Item) (stands func() bool)
	// Break makes the next change at the target fail: with applied set the target
	// makes the change and answers with an error all the same. Nil: not tested.
	Break func(t *testing.T, applied bool)
	// Wait passes the time that an Apply asked for. Nil: it sleeps, at most 20 ms
	// a time.
	Wait func(time.Duration)
	// Unlisted is set where List need not find what stands, because nothing stands
	// in the target while access is lent.
	Unlisted bool
}

// Factory makes a Target of its own for each test.
type Factory func(t *testing.T) *Target

// Run tests a Provisioner.
func Run(t *testing.T, factory Factory) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(*testing.T, *world)
	}{
		{"names", names},
		{"keys are kept", keys},
		{"applying", applying},
		{"applying again changes nothing", again},
		{"removing what is not there", removing},
		{"overlapping grants share an object", overlap},
		{"objects are apart", apart},
		{"an extension", extension},
		{"what others made is left alone", foreign},
		{"the target fails before the change", broken(false)},
		{"the answer to the change is lost", broken(true)},
		{"a crash before the result is kept", forgotten},
		{"two processes at once", together},
		{"a context that is done", done},
		{"listing", listing},
		{"details", details},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, newWorld(t, factory))
		})
	}
}

type world struct {
	*Target
	now time.Time
}

func newWorld(t *testing.T, factory Factory) *world {
	t.Helper()
	w := &world{Target: factory(t), now: time.Now().Truncate(time.Second)}
	if w.Person == nil {
		w.Person = func(n int) flow.Person {
			name := []string{"alice", "bob", "carol", "dave"}[n]
			return flow.Person{ID: name + "@example.com", Name: name}
		}
	}
	if w.Wait == nil {
		w.Wait = func(d time.Duration) { time.Sleep(min(d, 20*time.Millisecond)) }
	}
	return w
}

// held is an object as the engine holds it between two Applies.
type held struct {
	w          *world
	key        string
	generation int64
	kept       []byte
}

func (w *world) object(t *testing.T, p flow.Person, item flow.Item) *held {
	t.Helper()
	key, err := w.Provisioner.Object(w.Integration, p, item)
	if err != nil {
		t.Fatalf("object of %s on %s for %s: %v", item.Permission, item.Resource.ID, p.ID, err)
	}
	if key == "" {
		t.Fatalf("object of %s on %s has no key", item.Permission, item.Resource.ID)
	}
	return &held{w: w, key: key}
}

func (w *world) holding(grant string, p flow.Person, item flow.Item) access.Holding {
	return access.Holding{Grant: grant, Person: p, Item: item, Expires: w.now.Add(time.Hour)}
}

// try applies until nothing is pending or an error comes.
func (h *held) try(ctx context.Context, holdings ...access.Holding) error {
	h.generation++
	for range 500 {
		got, err := h.w.Provisioner.Apply(ctx, h.w.Integration, access.Wanted{
			Key: h.key, Generation: h.generation, Holdings: holdings, Kept: slices.Clone(h.kept),
		})
		if err != nil {
			return err
		}
		h.kept = got.Kept
		if got.Pending == 0 {
			return nil
		}
		h.w.Wait(got.Pending)
	}
	return errors.New("it stays pending for ever")
}

func (h *held) apply(t *testing.T, holdings ...access.Holding) {
	t.Helper()
	if err := h.try(t.Context(), holdings...); err != nil {
		t.Fatalf("applying %d holdings to %s: %v", len(holdings), h.key, err)
	}
	if len(h.kept) > 16<<10 {
		t.Errorf("%d bytes are kept of %s; at most 16 KiB are", len(h.kept), h.key)
	}
}

func (w *world) want(t *testing.T, has bool, p flow.Person, item flow.Item) {
	t.Helper()
	if got := w.Has(t, p, item); got != has {
		t.Fatalf("the target gives %s %s on %s: %v, want %v", p.ID, item.Permission, item.Resource.ID, got, has)
	}
}

func (w *world) list(t *testing.T) []access.Found {
	t.Helper()
	found, err := w.Provisioner.List(t.Context(), w.Integration)
	if err != nil {
		t.Fatalf("listing: %v", err)
	}
	return found
}

func names(t *testing.T, w *world) {
	if w.Provisioner.Type() == "" || w.Provisioner.Type() != w.Integration.Type {
		t.Errorf("type %q serves an integration of type %q", w.Provisioner.Type(), w.Integration.Type)
	}
	seen := map[string]bool{}
	for _, r := range w.Provisioner.ResourceTypes() {
		if r.Name == "" || r.Title == "" || seen[r.Name] {
			t.Errorf("resource type %+v has no name, no title, or comes twice", r)
		}
		seen[r.Name] = true
	}
	for n := range 3 {
		if item := w.Item(n); !seen[item.Resource.Type] {
			t.Errorf("item %d is of the unknown type %q", n, item.Resource.Type)
		}
	}
	if err := w.Provisioner.Validate(w.Integration); err != nil {
		t.Errorf("validating the integration: %v", err)
	}
	if err := w.Provisioner.Validate(&access.Integration{Name: "empty", Type: w.Integration.Type}); err == nil {
		t.Error("an integration without settings is valid")
	}
}

func keys(t *testing.T, w *world) {
	seen := map[string]int{}
	for n := range 3 {
		key := w.object(t, w.Person(0), w.Item(n)).key
		if first, ok := seen[key]; ok {
			t.Errorf("items %d and %d have one key, %q", first, n, key)
		}
		seen[key] = n
		bare := w.Item(n)
		bare.Resource.Tags, bare.Resource.Owners, bare.Resource.Path = nil, nil, "elsewhere"
		person := w.Person(0)
		person.Name, person.Groups = "Another Name", []string{"others"}
		if got := w.object(t, person, bare).key; got != key {
			t.Errorf("the key of item %d is %q, and %q after names and tags have changed", n, key, got)
		}
	}
}

func applying(t *testing.T, w *world) {
	p, item := w.Person(0), w.Item(0)
	o := w.object(t, p, item)
	w.want(t, false, p, item)
	o.apply(t, w.holding("g1", p, item))
	w.want(t, true, p, item)
	w.want(t, false, p, w.Item(1))
	o.apply(t)
	w.want(t, false, p, item)
	o.apply(t, w.holding("g2", p, item))
	w.want(t, true, p, item)
	o.apply(t)
	w.want(t, false, p, item)
}

func again(t *testing.T, w *world) {
	p, item := w.Person(0), w.Item(0)
	o := w.object(t, p, item)
	o.apply(t, w.holding("g1", p, item))
	before, kept := w.list(t), slices.Clone(o.kept)
	for range 3 {
		o.apply(t, w.holding("g1", p, item))
		w.want(t, true, p, item)
	}
	if diff := cmp.Diff(before, w.list(t)); diff != "" {
		t.Errorf("applying again changed what stands (-first +again):\n%s", diff)
	}
	if string(kept) != string(o.kept) {
		t.Errorf("what is kept changed from %s to %s", kept, o.kept)
	}
	o.apply(t)
	o.apply(t)
	w.want(t, false, p, item)
}

func removing(t *testing.T, w *world) {
	p, item := w.Person(0), w.Item(0)
	o := w.object(t, p, item)
	o.apply(t)
	w.want(t, false, p, item)
	if found := w.list(t); len(found) != 0 {
		t.Errorf("after a removal of nothing there is %+v", found)
	}
}

func overlap(t *testing.T, w *world) {
	p, item := w.Person(0), w.Item(0)
	o := w.object(t, p, item)
	first, second := w.holding("g1", p, item), w.holding("g2", p, item)
	second.Expires = second.Expires.Add(time.Hour)
	o.apply(t, first)
	o.apply(t, first, second)
	w.want(t, true, p, item)
	o.apply(t, second)
	w.want(t, true, p, item)
	o.apply(t)
	w.want(t, false, p, item)
}

func apart(t *testing.T, w *world) {
	p := w.Person(0)
	objects := make([]*held, 0, 3)
	for n := range 3 {
		o := w.object(t, p, w.Item(n))
		o.apply(t, w.holding("g", p, w.Item(n)))
		objects = append(objects, o)
	}
	for n := range 3 {
		w.want(t, true, p, w.Item(n))
	}
	objects[1].apply(t)
	w.want(t, true, p, w.Item(0))
	w.want(t, false, p, w.Item(1))
	w.want(t, true, p, w.Item(2))
	for _, o := range objects {
		o.apply(t)
	}
	for n := range 3 {
		w.want(t, false, p, w.Item(n))
	}
}

func extension(t *testing.T, w *world) {
	p, item := w.Person(0), w.Item(0)
	o := w.object(t, p, item)
	h := w.holding("g1", p, item)
	o.apply(t, h)
	h.Expires = h.Expires.Add(30 * time.Minute)
	o.apply(t, h)
	w.want(t, true, p, item)
	for _, f := range w.list(t) {
		if f.Key == o.key && !f.Expires.IsZero() && !f.Expires.Equal(h.Expires) {
			t.Errorf("the object says that it ends at %v after an extension until %v", f.Expires, h.Expires)
		}
	}
	o.apply(t)
	w.want(t, false, p, item)
}

func foreign(t *testing.T, w *world) {
	if w.Foreign == nil {
		t.Skip("nothing of others can stand where the provisioner's objects do")
	}
	p, item := w.Person(0), w.Item(0)
	o := w.object(t, p, item)
	stands := w.Foreign(t, p, item)
	if err := o.try(t.Context(), w.holding("g1", p, item)); !errors.Is(err, access.ErrForeign) {
		t.Errorf("applying over an object of others: %v, want ErrForeign", err)
	}
	if !stands() {
		t.Fatal("applying changed an object of others")
	}
	// What a removal says is the provisioner's business; the object stays.
	_ = o.try(t.Context())
	if !stands() {
		t.Fatal("removing took away an object of others")
	}
	for _, f := range w.list(t) {
		if f.Key == o.key {
			t.Errorf("an object of others is listed as ours: %+v", f)
		}
	}
}

func broken(applied bool) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		if w.Break == nil {
			t.Skip("the target cannot be broken")
		}
		p, item := w.Person(0), w.Item(0)
		o := w.object(t, p, item)
		h := w.holding("g1", p, item)
		w.Break(t, applied)
		// An error or none: what counts is that the next time makes it right.
		_ = o.try(t.Context(), h)
		o.apply(t, h)
		w.want(t, true, p, item)
		w.Break(t, applied)
		_ = o.try(t.Context())
		o.apply(t)
		w.want(t, false, p, item)
		if found := w.list(t); len(found) != 0 {
			t.Errorf("after the removal there is %+v", found)
		}
	}
}

// forgotten is a crash after the target was changed and before the result was
// committed: the next Apply comes with what was kept before.
func forgotten(t *testing.T, w *world) {
	p, item := w.Person(0), w.Item(0)
	h := w.holding("g1", p, item)
	o := w.object(t, p, item)
	o.apply(t, h)
	o.kept = nil
	o.apply(t, h)
	w.want(t, true, p, item)
	kept := slices.Clone(o.kept)
	o.apply(t)
	o.kept = kept
	o.apply(t)
	w.want(t, false, p, item)
	o.apply(t, h)
	o.kept = nil
	o.apply(t)
	w.want(t, false, p, item)
	if found := w.list(t); len(found) != 0 {
		t.Errorf("after the removal there is %+v", found)
	}
}

func together(t *testing.T, w *world) {
	p, item := w.Person(0), w.Item(0)
	h := w.holding("g1", p, item)
	for _, holdings := range [][]access.Holding{{h}, nil, {h}, nil} {
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				// Whoever loses a race may say so; the state is what counts.
				_ = w.object(t, p, item).try(t.Context(), holdings...)
			})
		}
		group.Wait()
		w.object(t, p, item).apply(t, holdings...)
		w.want(t, len(holdings) > 0, p, item)
	}
}

func done(t *testing.T, w *world) {
	p, item := w.Person(0), w.Item(0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := w.object(t, p, item)
	if err := o.try(ctx, w.holding("g1", p, item)); err == nil && !w.Has(t, p, item) {
		t.Error("an Apply whose context was done says that the access is there, and it is not")
	}
	if _, err := w.Provisioner.Check(ctx, w.Integration); err == nil {
		t.Error("a Check whose context was done says nothing of it")
	}
}

func listing(t *testing.T, w *world) {
	if w.Unlisted {
		t.Skip("nothing stands in the target while access is lent")
	}
	p := w.Person(0)
	a, b := w.object(t, p, w.Item(0)), w.object(t, p, w.Item(1))
	a.apply(t, w.holding("grant-a", p, w.Item(0)))
	b.apply(t, w.holding("grant-b", p, w.Item(1)), w.holding("grant-c", p, w.Item(1)))
	found := map[string]access.Found{}
	for _, f := range w.list(t) {
		if f.Name == "" {
			t.Errorf("%+v has no name", f)
		}
		if f.Drift != "" {
			t.Errorf("%s was just applied and has drifted: %s", f.Name, f.Drift)
		}
		found[f.Key] = f
	}
	if len(found) != 2 || found[a.key].Key == "" || found[b.key].Key == "" {
		t.Fatalf("listed %+v, want %s and %s", found, a.key, b.key)
	}
	if got := found[a.key].Grants; len(got) > 0 && !slices.Equal(got, []string{"grant-a"}) {
		t.Errorf("the grants of %s are %v, want grant-a", a.key, got)
	}
	if got := slices.Sorted(slices.Values(found[b.key].Grants)); len(got) > 0 && !slices.Equal(got, []string{"grant-b", "grant-c"}) {
		t.Errorf("the grants of %s are %v, want grant-b and grant-c", b.key, got)
	}
	if got := found[a.key].Expires; !got.IsZero() && !got.Equal(w.now.Add(time.Hour)) {
		t.Errorf("%s says that it ends at %v, want %v", a.key, got, w.now.Add(time.Hour))
	}
	a.apply(t)
	b.apply(t)
	if rest := w.list(t); len(rest) != 0 {
		t.Errorf("after the removal %+v is listed", rest)
	}
}

func details(t *testing.T, w *world) {
	p, item := w.Person(0), w.Item(0)
	i := *w.Integration
	i.AccessDetails = "Ask in #platform first."
	d, err := w.Provisioner.Details(&i, &access.Grant{
		ID: "g1", Person: p, State: access.Active, Items: []access.GrantItem{{Item: item}}, ExpiresAt: w.now.Add(time.Hour),
	})
	if err != nil {
		t.Fatalf("details: %v", err)
	}
	if !strings.HasPrefix(d.Text, i.AccessDetails) {
		t.Errorf("the text does not begin with the integration's own: %q", d.Text)
	}
	if len(d.Snippets) == 0 {
		t.Error("there is nothing to copy")
	}
	for _, s := range d.Snippets {
		if s.Title == "" || s.Text == "" || !slices.Contains([]string{"sh", "ini", "yaml", "json"}, s.Language) {
			t.Errorf("snippet %+v has no title, no text, or no known language", s)
		}
	}
}
