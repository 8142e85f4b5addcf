package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/logging"
	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	loggingPath     = "/logging"
	loggingPlanPath = loggingPath + "/plan"
	loggingRunsPath = loggingPath + "/runs"
	// shownRuns are the runs in the history on the page, and shownChanges the rows of
	// a plan or a run; the API gives the rest.
	shownRuns    = 20
	shownChanges = 500
)

// Logging is what the pages need of the desk that switches logging.
type Logging interface {
	Status(ctx context.Context, c *logging.Choice) (*logging.Status, error)
	Propose(ctx context.Context, r logging.Request) (*logging.Proposal, error)
	Proposal(digest string) (*logging.Proposal, error)
	Start(ctx context.Context, digest, who string) (*logging.Run, error)
	Follow(id string) (*logging.Run, <-chan struct{}, error)
	Current() *logging.Run
	Lines(ctx context.Context, id string, limit int) (*logging.Past, []logging.Entry, error)
	History(ctx context.Context, limit int) ([]logging.Past, error)
}

var _ Logging = (*logging.Desk)(nil)

// loggingRoutes adds the pages that switch logging. The guard before all of this lets
// no other site's form come here.
func (s *server) loggingRoutes(mux *http.ServeMux) {
	if s.Logging == nil {
		return
	}
	mux.HandleFunc("GET "+loggingPath, s.loggingPage)
	mux.HandleFunc("POST "+loggingPlanPath, s.loggingPropose)
	mux.HandleFunc("GET "+loggingPlanPath+"/{digest}", s.loggingPlan)
	mux.HandleFunc("GET "+loggingRunsPath+"/{id}", s.loggingRun)
	mux.Handle("POST "+loggingRunsPath, identity.Require(identity.Admin, http.HandlerFunc(s.loggingStart)))
}

// selection says which stages are meant: those that pass the filter and, where Of
// names any, are among them.
type selection struct {
	Query, Coverage, Type string
	Of                    []string // ACCOUNT, ACCOUNT/REGION, …/API, …/STAGE
}

func selectionOf(v url.Values) selection {
	s := selection{Query: strings.TrimSpace(v.Get("q")), Coverage: v.Get("coverage"), Type: v.Get("type")}
	for _, of := range v["of"] {
		if of != "" && !slices.Contains(s.Of, of) && len(s.Of) < 5000 {
			s.Of = append(s.Of, of)
		}
	}
	return s
}

func (s *selection) filtered() bool { return s.Query != "" || s.Coverage != "" || s.Type != "" }

func (s *selection) matches(st *logging.StageStatus) bool {
	text := strings.ToLower(strings.Join([]string{st.Account, st.Name, st.Region, st.API, st.APIName, string(st.APIType)}, " "))
	return strings.Contains(text, strings.ToLower(s.Query)) && (s.Coverage == "" || s.Coverage == string(st.Coverage)) &&
		(s.Type == "" || s.Type == string(st.APIType))
}

func placeOf(account, region, api, stage string) string {
	return account + "/" + region + "/" + api + "/" + stage
}

// loggingData is the page with the state of every stage.
type loggingData struct {
	selection
	Accounts   []loggingAccount
	Shown      int // stages that the selection lets through
	Cut        int
	Total      int
	On, Off    int // of those shown: stages that log something, and none
	Switched   int
	Failures   []logging.Failure
	Read       time.Time
	Coverages  []option
	Types      []option
	Retentions []option
	Clear      string // without the choice of stages
	Export     string
	Form       logging.Request // as it was sent, where something was wrong with it
	Admin      bool
	Current    *logging.Run
	Left       *logging.Past // the last run, where it did not end well
	Runs       []runRow
	Fault      string // why nothing can be chosen
	Wrong      string // what was wrong with the form
}

type loggingAccount struct {
	ID, Name string
	Regions  []loggingRegion
}

type loggingRegion struct {
	Name   string
	Stages []loggingRow
}

// loggingRow is a stage with how it logs.
type loggingRow struct {
	*logging.StageStatus
	Place    string
	Chosen   bool
	Badge    badge
	APIPlace string // in the first row of an API with several stages
	Stages   int    // of that API
}

type runRow struct {
	logging.Past
	Badge badge
	Link  string
	Done  string // what was done with how many
}

func (s *server) loggingPage(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	s.showLogging(ctx, w, r, 0, r.URL.Query(), logging.Request{Command: logging.Enable, EnableOptions: logging.DefaultEnable()}, "")
}

// showLogging shows the page for what v chooses; wrong says what was wrong with a form
// that was sent.
func (s *server) showLogging(ctx context.Context, w http.ResponseWriter, r *http.Request, code int, v url.Values, form logging.Request, wrong string) {
	d := &loggingData{selection: selectionOf(v), Form: form, Admin: identity.FromContext(ctx).Role.Allows(identity.Admin), Wrong: wrong, Current: s.Logging.Current()}
	status, err := s.Logging.Status(ctx, &logging.Choice{})
	switch {
	case errors.Is(err, logging.ErrNoEstate):
		d.Fault = "No discovery has finished yet."
	case err != nil:
		s.unavailable(w, r, "How stages log", err)
		return
	default:
		d.fill(status)
	}
	past, err := s.Logging.History(ctx, shownRuns)
	if err != nil {
		s.unavailable(w, r, "The history of switching", err)
		return
	}
	for i := range past {
		d.Runs = append(d.Runs, s.runRow(&past[i], d.Current))
	}
	if len(past) > 0 && past[0].Unfinished() && d.Current == nil {
		d.Left = &past[0]
	}
	d.Export = s.BasePath + "/api/v1/logging/stages"
	if len(d.Of) > 0 {
		d.Export += "?" + url.Values{"place": d.Of}.Encode()
	}
	d.Clear = with(s.BasePath+loggingPath, url.Values{}, "q", d.Query, "coverage", d.Coverage, "type", d.Type)
	s.render(w, r, code, "logging", s.shell(r, "Logging", loggingPath, d))
}

func (d *loggingData) fill(status *logging.Status) {
	d.Read, d.Failures, d.Total = status.Read, status.Failures, len(status.Stages)
	chosen := &logging.Choice{Places: d.Of}
	coverages, types := map[estate.Coverage]int{}, map[transaction.APIType]int{}
	several := map[string]int{}
	for i := range status.Stages {
		st := &status.Stages[i]
		if d.matches(st) && chosen.Means(st.Account, st.Region, st.API, st.Stage) {
			several[st.Account+"/"+st.Region+"/"+st.API]++
		}
		coverages[st.Coverage]++
		types[st.APIType]++
	}
	for _, c := range []estate.Coverage{estate.CoverageFull, estate.CoverageMetadata, estate.CoverageErrors, estate.CoverageNone} {
		d.Coverages = append(d.Coverages, option{Value: string(c), Title: covers(c).Word, Count: coverages[c], Chosen: string(c) == d.Coverage})
	}
	for _, t := range []transaction.APIType{transaction.REST, transaction.HTTP, transaction.WebSocket} {
		d.Types = append(d.Types, option{Value: string(t), Title: string(t), Count: types[t], Chosen: string(t) == d.Type})
	}
	for _, days := range logging.Retentions() {
		title := plural(int(days), "day", "days")
		if days == 0 {
			title = "for ever"
		}
		d.Retentions = append(d.Retentions, option{Value: strconv.Itoa(int(days)), Title: title, Chosen: days == d.Form.RetentionDays})
	}
	api := ""
	for i := range status.Stages {
		st := &status.Stages[i]
		if !d.matches(st) || !chosen.Means(st.Account, st.Region, st.API, st.Stage) {
			continue
		}
		d.count(st)
		if d.Shown > maxStages {
			d.Cut++
			continue
		}
		row := loggingRow{StageStatus: st, Place: placeOf(st.Account, st.Region, st.API, st.Stage), Chosen: len(d.Of) > 0, Badge: covers(st.Coverage)}
		if at := st.Account + "/" + st.Region + "/" + st.API; at != api {
			if api = at; several[at] > 1 {
				row.APIPlace, row.Stages = at, several[at]
			}
		}
		d.add(row)
	}
}

func (d *loggingData) count(st *logging.StageStatus) {
	d.Shown++
	if st.Coverage == estate.CoverageNone {
		d.Off++
	} else {
		d.On++
	}
	if st.Switched {
		d.Switched++
	}
}

// add puts a row into its account and region; rows come in their order.
func (d *loggingData) add(row loggingRow) {
	if n := len(d.Accounts); n == 0 || d.Accounts[n-1].ID != row.Account {
		d.Accounts = append(d.Accounts, loggingAccount{ID: row.Account, Name: row.Name})
	}
	a := &d.Accounts[len(d.Accounts)-1]
	if n := len(a.Regions); n == 0 || a.Regions[n-1].Name != row.Region {
		a.Regions = append(a.Regions, loggingRegion{Name: row.Region})
	}
	region := &a.Regions[len(a.Regions)-1]
	region.Stages = append(region.Stages, row)
}

// deeds are the commands in the words of the pages.
var deeds = map[logging.Command]struct{ Title, Doing, Button string }{
	logging.Enable:  {"Switch logging on", "switching logging on", "Switch on"},
	logging.Disable: {"Put logging back", "putting logging back", "Put back"},
	logging.Destroy: {"Put logging back and remove what was made", "putting logging back and removing what was made", "Put back and remove"},
}

func (s *server) runRow(p *logging.Past, current *logging.Run) runRow {
	row := runRow{Past: *p, Badge: outcomeOf(p), Link: s.BasePath + loggingRunsPath + "/" + url.PathEscape(p.ID)}
	if current != nil && current.ID == p.ID {
		row.Badge = badge{"wait", "◐", "goes on", ""}
	}
	row.Done = fmt.Sprintf("%d of %d", p.Summary.Done, p.Summary.Planned)
	if p.Ended.IsZero() {
		row.Done = plural(p.Summary.Planned, "planned", "planned")
	}
	return row
}

func outcomeOf(p *logging.Past) badge {
	switch p.Outcome {
	case logging.Done:
		return badge{"good", "●", "done", ""}
	case logging.Failed:
		return badge{"bad", "■", plural(p.Summary.Failed, "change failed", "changes failed"), ""}
	case logging.Stopped:
		return badge{"wait", "◐", "stopped", "it ended before all changes were tried"}
	case logging.Intended:
		return badge{"wait", "◐", "has no end", "its process died, or another process is still at it"}
	case logging.Planned, logging.Unchanged, logging.Left, logging.Skipped:
	}
	return badge{"unknown", "○", string(p.Outcome), ""}
}

// loggingPropose makes a plan of a form and leads to it. It changes nothing, so
// everybody who may look may have one made.
func (s *server) loggingPropose(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	if err := r.ParseForm(); err != nil {
		s.message(w, r, http.StatusBadRequest, "This form cannot be read", "Reload the page and try again.")
		return
	}
	request, wrong, err := s.loggingRequest(ctx, r.PostForm)
	if wrong != "" {
		s.showLogging(ctx, w, r, http.StatusUnprocessableEntity, r.PostForm, request, wrong)
		return
	}
	var p *logging.Proposal
	if err == nil {
		p, err = s.Logging.Propose(ctx, request)
	}
	var invalid *logging.InvalidError
	switch {
	case errors.As(err, &invalid):
		s.showLogging(ctx, w, r, http.StatusUnprocessableEntity, r.PostForm, request, err.Error())
	case errors.Is(err, logging.ErrUnknownRun):
		s.message(w, r, http.StatusNotFound, "There is no such run", "It may be of another state.")
	case errors.Is(err, logging.ErrNoEstate):
		s.message(w, r, http.StatusConflict, "No discovery has finished yet", "A plan is made with what a discovery found. Try again in a minute.")
	case err != nil:
		s.unavailable(w, r, "The plan", err)
	default:
		http.Redirect(w, r, s.BasePath+loggingPlanPath+"/"+p.Digest, http.StatusSeeOther) //nolint:gosec // A digest of our own leads nowhere else.
	}
}

// loggingRequest reads what a form asks for; wrong says what a person must mend.
func (s *server) loggingRequest(ctx context.Context, v url.Values) (request logging.Request, wrong string, err error) {
	if id := v.Get("run"); id != "" {
		past, _, err := s.Logging.Lines(ctx, id, 1)
		if err != nil {
			return request, "", err
		}
		request = past.Request
		if v.Get("do") == "undo" {
			request = logging.Request{Command: logging.Disable, EnableOptions: logging.EnableOptions{Choice: request.Choice}}
		}
		return request, "", nil
	}
	request.Command = logging.Command(v.Get("command"))
	if request.Command == logging.Enable {
		request.EnableOptions = logging.DefaultEnable()
		request.DataTrace = v.Get("data_trace") != ""
		request.Role = strings.TrimSpace(v.Get("role"))
		request.KMSKey, request.HTTPGroup = strings.TrimSpace(v.Get("kms_key")), strings.TrimSpace(v.Get("http_group"))
		request.HTTPGroupExists, request.ReplaceFormat, request.Delivery = v.Get("http_group_exists") != "", v.Get("replace_format") != "", v.Get("delivery") != ""
		offered := logging.Retentions()
		i := slices.IndexFunc(offered, func(days int32) bool { return strconv.Itoa(int(days)) == v.Get("retention") })
		if i < 0 {
			return request, "Retention: CloudWatch Logs takes only the days that are offered.", nil
		}
		request.RetentionDays = offered[i]
	} else {
		request.Force = v.Get("force") != ""
	}
	sel := selectionOf(v)
	all := v.Get("all") != ""
	narrowed := sel.filtered() || len(v["chosen"]) > 0
	switch {
	case !all && len(sel.Of) == 0:
		return request, "Choose stages first, or all that are shown.", nil
	case all && !narrowed:
		return request, "", nil // all there are
	case !narrowed:
		request.Places = sel.Of
		return request, "", nil
	case all:
		sel.Of = nil
	}
	// What is shown now is meant, and nothing that appears later: the box of an account
	// stands for those of its stages that the page shows.
	status, err := s.Logging.Status(ctx, &logging.Choice{Places: v["chosen"]})
	if err != nil {
		return request, "", err
	}
	among := logging.Choice{Places: sel.Of}
	for i := range status.Stages {
		if st := &status.Stages[i]; sel.matches(st) && among.Means(st.Account, st.Region, st.API, st.Stage) {
			request.Places = append(request.Places, placeOf(st.Account, st.Region, st.API, st.Stage))
		}
	}
	if len(request.Places) == 0 {
		return request, "No stage is chosen: none matches the filter.", nil
	}
	return request, "", nil
}
