package finding

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// judgedSubject is a rule and a subject.
type judgedSubject struct{ rule, id string }

func verdicts(e *Estate) map[judgedSubject]Verdict {
	out := map[judgedSubject]Verdict{}
	Judge(e, func(r *Rule, s Subject, o Outcome) { out[judgedSubject{r.ID, IDOf(r.ID, s)}] = o.Verdict })
	return out
}

// mixture is an estate of worlds of the rules' cases, each in an account of its own
// and some with several APIs.
func mixture(t *rapid.T) *Estate {
	cases := rapid.SliceOfN(rapid.SampledFrom(ruleCases), 1, 12).Draw(t, "cases")
	e := &Estate{Time: testTime}
	for i, c := range cases {
		w := newWorld(c.of)
		c.change(w)
		w.place.Account = []string{"111122223333", "222233334444"}[i%2]
		w.place.Region = []string{"eu-west-1", "us-east-1", "eu-central-1"}[i%3]
		for j := range w.place.APIs {
			w.place.APIs[j].ID += string(rune('a' + i))
		}
		for j := range w.place.WebACLs {
			w.place.WebACLs[j].ARN += string(rune('a' + i))
		}
		for j := range w.place.Functions {
			w.place.Functions[j].ARN += string(rune('a' + i))
		}
		for j := range w.place.Clusters {
			w.place.Clusters[j].Name += string(rune('a' + i))
		}
		account := w.estate.Accounts[0]
		account.ID = w.place.Account
		for j := range account.Principals { // an ARN is there once
			account.Principals[j].ARN += string(rune('a' + i))
		}
		if at := slices.IndexFunc(e.Accounts, func(a Account) bool { return a.ID == account.ID }); at < 0 {
			e.Accounts = append(e.Accounts, account)
		} else {
			e.Accounts[at].Principals = append(e.Accounts[at].Principals, account.Principals...)
		}
		at := slices.IndexFunc(e.Places, func(p Place) bool { return p.Account == w.place.Account && p.Region == w.place.Region })
		if at < 0 {
			e.Places = append(e.Places, *w.place)
			continue
		}
		e.Places[at].APIs = append(e.Places[at].APIs, w.place.APIs...)
		e.Places[at].Clusters = append(e.Places[at].Clusters, w.place.Clusters...)
		e.Places[at].WebACLs = append(e.Places[at].WebACLs, w.place.WebACLs...)
		e.Places[at].Functions = append(e.Places[at].Functions, w.place.Functions...)
	}
	return e
}

func shuffle[T any](r *rand.Rand, list []T) []T {
	out := slices.Clone(list)
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := mixture(t)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		other := &Estate{Time: e.Time, Places: shuffle(r, e.Places), Accounts: shuffle(r, e.Accounts)}
		for i := range other.Accounts {
			other.Accounts[i].Principals = shuffle(r, other.Accounts[i].Principals)
		}
		for i := range other.Places {
			p := &other.Places[i]
			p.APIs, p.Domains, p.LogGroups, p.UsagePlans = shuffle(r, p.APIs), shuffle(r, p.Domains), shuffle(r, p.LogGroups), shuffle(r, p.UsagePlans)
			p.Clusters = shuffle(r, p.Clusters)
			p.WebACLs, p.Functions = shuffle(r, p.WebACLs), shuffle(r, p.Functions)
			for j := range p.APIs {
				a := &p.APIs[j]
				a.Stages, a.Routes, a.Authorizers, a.Deployments = shuffle(r, a.Stages), shuffle(r, a.Routes), shuffle(r, a.Authorizers), shuffle(r, a.Deployments)
			}
		}
		if d := cmp.Diff(Evaluate(e), Evaluate(other), cmp.AllowUnexported(Report{}, Rule{}), cmp.Comparer(func(a, b *Rule) bool { return a == b })); d != "" {
			t.Fatalf("another order gives another report (-one +other):\n%s", d)
		}
	})
}

// What passes while something was not read also passes when it is read, as it is.
func TestUnknownNeverPasses(t *testing.T) {
	t.Parallel()
	parts := []Part{
		PartREST, PartV2, PartAccount, PartUsagePlans, PartDomains, PartMappings, PartCertificates, PartStages, PartRoutes, PartIntegrations,
		PartAuthorizers, PartValidators, PartModels, PartResponses, PartDeployments, PartLogGroups, PartDeliveries, PartLogPolicies, PartSubscriptions, PartDataProtection,
		PartClusters, PartCluster, PartAccessEntries, PartPrincipals,
		PartWebACL, PartWebACLLogging, PartFunctionConfiguration, PartFunctionPolicy, PartFunctionURLs,
	}
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(ruleCases).Draw(t, "case")
		whole, part := newWorld(c.of), newWorld(c.of)
		c.change(whole)
		c.change(part)
		for _, p := range rapid.SliceOfDistinct(rapid.SampledFrom(parts), func(p Part) Part { return p }).Draw(t, "unread") {
			part.unsee(p)
			part.forget(p)
		}
		known := verdicts(whole.estate)
		for s, v := range verdicts(part.estate) {
			if v == Pass && known[s] != Pass && known[s] != NotApplicable {
				t.Fatalf("%s passes with parts unread, and says %s when they are read", s.rule, known[s])
			}
		}
	})
}

// forget takes away what a discovery that could not read a part does not have.
func (w *world) forget(p Part) {
	switch p {
	case PartAccount:
		w.place.LogRole, w.place.Throttle = "", nil
	case PartUsagePlans:
		w.place.UsagePlans = nil
	case PartDomains:
		w.place.Domains = nil
	case PartCertificates:
		w.place.Certificates = nil
	case PartLogGroups:
		w.place.LogGroups = nil
	case PartLogPolicies:
		w.place.LogPolicies = nil
	case PartClusters:
		w.place.Clusters = nil
	case PartCluster:
		for i := range w.place.Clusters {
			w.place.Clusters[i] = Cluster{Name: w.place.Clusters[i].Name, Unseen: w.place.Clusters[i].Unseen}
		}
	case PartAccessEntries:
		for i := range w.place.Clusters {
			w.place.Clusters[i].AccessEntries = nil
		}
	case PartPrincipals:
		w.estate.Accounts[0].Principals = nil
	case PartWebACL, PartWebACLLogging, PartFunctionConfiguration, PartFunctionPolicy, PartFunctionURLs:
		w.forgetBackend(p)
	case PartREST, PartV2, PartMappings, PartDataProtection:
	case PartSubscriptions:
		for i := range w.place.LogGroups {
			w.place.LogGroups[i].Subscriptions = nil
		}
	case PartDeliveries:
		for i := range w.place.APIs {
			for j := range w.place.APIs[i].Stages {
				w.place.APIs[i].Stages[j].Deliveries = nil
			}
		}
	default:
		for i := range w.place.APIs {
			forgetOf(&w.place.APIs[i], p)
		}
	}
}

func forgetOf(a *API, p Part) {
	switch p {
	case PartStages:
		a.Stages = nil
	case PartRoutes:
		a.Routes = nil
	case PartAuthorizers:
		a.Authorizers = nil
	case PartResponses:
		a.Responses = nil
	case PartDeployments:
		a.Deployments = nil
	case PartIntegrations:
		for i := range a.Routes {
			a.Routes[i].Backend, a.Routes[i].CORSHeaders, a.Routes[i].CORSTemplates = nil, nil, nil
		}
	case PartValidators:
		for i := range a.Routes {
			a.Routes[i].ValidatesBody, a.Routes[i].ValidatesParams = false, false
		}
	}
}

// memory is a store that keeps findings in the way that finding.Store asks for.
type memory struct {
	findings map[string]Finding
	posture  *Posture
	edits    int
}

func (m *memory) SaveFindings(_ context.Context, edits []Edit, p *Posture) error {
	for _, e := range edits {
		if m.findings[e.Finding.ID].Version != e.Before {
			return ErrConflict
		}
	}
	for _, e := range edits {
		f := e.Finding
		f.History = append(slices.Clone(m.findings[f.ID].History), e.Changes...)
		m.findings[f.ID] = f
		m.edits++
	}
	if p != nil {
		m.posture = p
	}
	return nil
}

func (m *memory) Findings(context.Context, Query) (Page, error) {
	var page Page
	for _, f := range m.findings {
		page.Findings = append(page.Findings, f)
	}
	return page, nil
}

func (m *memory) Finding(_ context.Context, id string) (*Finding, error) {
	f, ok := m.findings[id]
	if !ok {
		return nil, ErrNotFound
	}
	return &f, nil
}

func (m *memory) Posture(context.Context) (*Posture, error) { return m.posture, nil }

// life is a book over an estate of one route, which is open, closed, gone or unread.
type life struct {
	store *memory
	book  *Book
	now   time.Time
	id    string
}

func newLife() *life {
	l := &life{store: &memory{findings: map[string]Finding{}}, now: testTime}
	l.book = NewBook(l.store, func() time.Time { return l.now })
	l.id = IDOf("route-open", Subject{Kind: OfRoute, Account: "111122223333", Region: "eu-west-1", API: "api1", Name: "GET /pets"})
	return l
}

func (l *life) see(t interface{ Fatal(...any) }, what string) {
	w := newWorld(REST)
	w.estate.Time = l.now
	switch what {
	case "open":
		w.route.Authorization = "NONE"
	case "closed":
	case "gone":
		w.place.APIs = nil
	case "unread":
		w.api.Routes = nil
		w.unsee(PartRoutes)
	case "unlisted":
		w.place.APIs = nil
		w.unsee(PartREST)
	case "denied":
		w.estate.Places, w.estate.Unread = nil, []Unread{{Account: "111122223333", Why: "denied"}}
	case "elsewhere":
		w.place.Region = "us-east-1"
	}
	if _, err := l.book.Evaluate(context.Background(), w.estate); err != nil {
		t.Fatal(err)
	}
}

// The life of a finding follows a model that is written down once more, by what may
// follow what.
func TestLifeOfAFinding(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := newLife()
		state, until := State(""), time.Time{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			l.now = l.now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "hours")) * time.Hour)
			over := state == Accepted && !l.now.Before(until)
			switch step := rapid.SampledFrom([]string{"open", "closed", "gone", "unread", "unlisted", "denied", "elsewhere", "decide"}).Draw(t, "step"); step {
			case "decide":
				d := Decision{State: rapid.SampledFrom(append(States(), "strange")).Draw(t, "to"), By: "ann", Reason: "because"}
				if d.State == Accepted {
					d.Until = l.now.Add(48 * time.Hour)
				}
				_, err := l.book.Set(context.Background(), l.id, d)
				allowed := state != "" && state != Fixed && slices.Contains([]State{Open, Acknowledged, Accepted, FalsePositive}, d.State)
				if allowed != (err == nil) {
					t.Fatalf("from %q to %q: %v", state, d.State, err)
				}
				if allowed {
					state, until = d.State, d.Until
				}
			case "open":
				l.see(t, step)
				switch {
				case state == "" || over:
					state = Open
				case state == Fixed:
					state = Regressed
				}
			case "closed", "gone":
				l.see(t, step)
				if state != "" && state != FalsePositive {
					state = Fixed
				}
			default:
				l.see(t, step)
				if over {
					state = Open
				}
			}
			f := l.store.findings[l.id]
			if f.State != state {
				t.Fatalf("the finding is %q, not %q", f.State, state)
			}
			from := State("")
			for _, c := range f.History {
				if c.From != from || c.By == "" || c.Time.After(l.now) {
					t.Fatalf("a change from %q does not follow %q: %+v", c.From, from, c)
				}
				from = c.To
			}
			if from != state {
				t.Fatalf("the history ends at %q and the finding is %q", from, state)
			}
		}
	})
}

func TestTheSameEstateChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := newLife()
		e := mixture(t)
		if _, err := l.book.Evaluate(context.Background(), e); err != nil {
			t.Fatal(err)
		}
		edits := l.store.edits
		l.now = l.now.Add(time.Hour)
		if _, err := l.book.Evaluate(context.Background(), e); err != nil {
			t.Fatal(err)
		}
		if l.store.edits != edits {
			t.Fatalf("the second evaluation of the same estate changed %d findings", l.store.edits-edits)
		}
	})
}

func TestWhatIsUnreadIsMarkedAndKept(t *testing.T) {
	t.Parallel()
	l := newLife()
	l.see(t, "open")
	for _, what := range []string{"unread", "unlisted", "denied", "elsewhere"} {
		l.see(t, what)
		if f := l.store.findings[l.id]; f.State != Open || !f.NotSeen {
			t.Errorf("%s: the finding is %s, not seen %t", what, f.State, f.NotSeen)
		}
	}
	l.see(t, "open")
	if f := l.store.findings[l.id]; f.State != Open || f.NotSeen {
		t.Errorf("seen again: the finding is %s, not seen %t", f.State, f.NotSeen)
	}
}
