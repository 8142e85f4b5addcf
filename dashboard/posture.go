package dashboard

import (
	"cmp"
	"context"
	"errors"
	"html/template"
	"net/http"
	"slices"
	"time"

	"github.com/gatehouse-project/gatehouse/finding"
)

const posturePath = "/posture"

// Findings is what the pages need of the book of findings.
type Findings interface {
	List(ctx context.Context, q finding.Query) (finding.Page, error)
	Get(ctx context.Context, id string) (*finding.Finding, error)
	Set(ctx context.Context, id string, d finding.Decision) (*finding.Finding, error)
	Posture(ctx context.Context) (*finding.Posture, error)
}

var _ Findings = (*finding.Book)(nil)

type postureData struct {
	Evaluated  time.Time
	Judged     bool
	Whole      standing
	Severities []severityCount
	Decided    int // accepted, or called a false positive
	Areas      []standing
	Accounts   []standing
	Cut        int            // accounts that are not on the page
	Rules      []ruleStanding // that fail somewhere
	Blind      []ruleStanding // that found nothing and could not look everywhere
	Clean      int            // rules that found nothing and saw everything
	Idle       int            // rules that had nothing to look at
}

type severityCount struct {
	Severity finding.Severity
	Findings int // that wait for somebody
	Link     string
}

// standing is how a part of the estate stands: what was judged, and what could not
// be.
type standing struct {
	Title, ID, Link     string
	Pass, Fail, NotSeen int
	Failing             []int // by severity, the worst first
}

// Judged is how many checks gave an answer.
func (s standing) Judged() int { return s.Pass + s.Fail }

// Score is the share of the checks that passed, of those that gave an answer. What
// was not seen is in neither, and stands beside it.
func (s standing) Score() string { return percent(int64(s.Pass), int64(s.Judged())) }

// Bar draws passed, failed and not seen.
func (s standing) Bar() template.HTML {
	all := float64(s.Judged() + s.NotSeen)
	if all == 0 {
		return ""
	}
	return bar(share{"f-good", float64(s.Pass) / all}, share{"f-bad", float64(s.Fail) / all}, share{"f-unknown", float64(s.NotSeen) / all})
}

// worse orders by score, the worst first; what nothing was seen of comes before what
// is clean, for nobody knows that it is.
func worse(a, b standing) int {
	score := func(s standing) float64 {
		if s.Judged() == 0 {
			return .9999
		}
		return float64(s.Pass) / float64(s.Judged())
	}
	return cmp.Or(cmp.Compare(score(a), score(b)), slices.Compare(b.Failing, a.Failing), cmp.Compare(b.NotSeen, a.NotSeen), cmp.Compare(a.ID, b.ID))
}

type ruleStanding struct {
	*finding.Rule
	standing
}

// maxStandings bounds the accounts on the page; the findings of the rest are found
// by their filter.
const maxStandings = 100

func (s *server) posturePage(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	p, err := s.Findings.Posture(ctx)
	if err != nil {
		s.findingsFailed(w, r, "The posture", err)
		return
	}
	d := &postureData{}
	if p != nil {
		d.fill(p, s.BasePath+findingsPath)
	}
	s.render(w, r, 0, "posture", s.shell(r, "Posture", posturePath, d))
}

func (d *postureData) fill(p *finding.Posture, path string) {
	d.Judged, d.Evaluated = true, p.Evaluated
	severities := finding.Severities()
	d.Whole.Failing = make([]int, len(severities))
	for _, sev := range severities {
		d.Severities = append(d.Severities, severityCount{Severity: sev, Link: with(path, nil, "severity", string(sev))})
	}
	for _, c := range p.Counts {
		switch i := slices.Index(severities, c.Severity); {
		case c.State == finding.Accepted || c.State == finding.FalsePositive:
			d.Decided += c.Findings
		case i >= 0 && slices.Contains(finding.Unsettled(), c.State):
			d.Severities[i].Findings += c.Findings
		}
	}
	d.rules(p, path, severities)
	for i := range p.Accounts {
		a := &p.Accounts[i]
		st := standing{
			Title: a.Name, ID: a.Account, Link: with(path, nil, "account", a.Account),
			Pass: a.Pass, Fail: a.Fail, NotSeen: a.NotSeen, Failing: make([]int, len(severities)),
		}
		for j, sev := range severities {
			st.Failing[j] = a.Failing[sev]
		}
		d.Accounts = append(d.Accounts, st)
	}
	slices.SortFunc(d.Accounts, worse)
	if len(d.Accounts) > maxStandings {
		d.Cut = len(d.Accounts) - maxStandings
		d.Accounts = d.Accounts[:maxStandings]
	}
}

// rules sums the verdicts by rule and by area.
func (d *postureData) rules(p *finding.Posture, path string, severities []finding.Severity) {
	areas := map[finding.Area]*standing{}
	for _, t := range p.Rules {
		rule := finding.RuleOf(t.Rule)
		if rule == nil {
			continue // of a rule that this version no longer has
		}
		a := areas[rule.Area]
		if a == nil {
			a = &standing{Title: string(rule.Area), ID: string(rule.Area), Link: with(path, nil, "area", string(rule.Area)), Failing: make([]int, len(severities))}
			areas[rule.Area] = a
		}
		for _, st := range []*standing{&d.Whole, a} {
			st.Pass += t.Pass
			st.Fail += t.Fail
			st.NotSeen += t.NotSeen
			if i := slices.Index(severities, rule.Severity); i >= 0 {
				st.Failing[i] += t.Fail
			}
		}
		switch {
		case t.Fail > 0:
			d.Rules = append(d.Rules, ruleStandingOf(rule, t, path))
		case t.NotSeen > 0:
			d.Blind = append(d.Blind, ruleStandingOf(rule, t, path))
		case t.Pass > 0:
			d.Clean++
		default:
			d.Idle++
		}
	}
	for _, a := range areas {
		d.Areas = append(d.Areas, *a)
	}
	slices.SortFunc(d.Areas, worse)
	worst := func(a, b ruleStanding) int {
		return cmp.Or(cmp.Compare(a.Severity.Rank(), b.Severity.Rank()), cmp.Compare(b.Fail, a.Fail), cmp.Compare(b.NotSeen, a.NotSeen))
	}
	slices.SortStableFunc(d.Rules, worst)
	slices.SortStableFunc(d.Blind, worst)
}

func ruleStandingOf(r *finding.Rule, t finding.Tally, path string) ruleStanding {
	return ruleStanding{r, standing{ID: r.ID, Link: with(path, nil, "rule", r.ID), Pass: t.Pass, Fail: t.Fail, NotSeen: t.NotSeen}}
}

// findingsFailed shows why findings cannot be read.
func (s *server) findingsFailed(w http.ResponseWriter, r *http.Request, what string, err error) {
	if errors.Is(err, finding.ErrNotKept) {
		s.message(w, r, http.StatusNotFound, "This state keeps no findings",
			"It holds cursors alone. Keep the state in a database (--state sqlite:PATH), and the next discovery is judged.")
		return
	}
	s.unavailable(w, r, what, err)
}

// severe counts the critical and high among failures by severity.
func severe(failing []int) int {
	n := 0
	for i, v := range failing {
		if i <= finding.High.Rank() {
			n += v
		}
	}
	return n
}

// grade is a severity as a badge.
func grade(v finding.Severity) badge {
	switch v {
	case finding.Critical:
		return badge{"bad", "◆", "critical", ""}
	case finding.High:
		return badge{"bad", "■", "high", ""}
	case finding.Medium:
		return badge{"wait", "◐", "medium", ""}
	case finding.Low:
		return badge{"unknown", "○", "low", ""}
	case finding.Info:
		return badge{"unknown", "·", "info", ""}
	default:
		return badge{"unknown", "?", string(v), ""}
	}
}

// stands is the state of a finding as a badge.
func stands(v finding.State) badge {
	switch v {
	case finding.Open:
		return badge{"bad", "■", "open", "it waits for somebody"}
	case finding.Regressed:
		return badge{"bad", "■", "regressed", "it was fixed and is there again"}
	case finding.Acknowledged:
		return badge{"wait", "◐", "acknowledged", "somebody has it"}
	case finding.Accepted:
		return badge{"unknown", "○", "accepted", "until a date"}
	case finding.FalsePositive:
		return badge{"unknown", "○", "false positive", "whatever the rule says later"}
	case finding.Fixed:
		return badge{"good", "●", "fixed", "the rule does not find it any more"}
	default:
		return badge{"unknown", "?", string(v), ""}
	}
}
