package estate

// Coverage says how much of a stage's calls its logs can show.
type Coverage string

const (
	// CoverageFull means execution logs at INFO with data trace: headers and
	// bodies of every call.
	CoverageFull Coverage = "full"
	// CoverageMetadata means that every call leaves a record without headers
	// and bodies: an access log, or execution logs at INFO without data trace.
	CoverageMetadata Coverage = "metadata"
	// CoverageErrors means execution logs at ERROR alone: calls that succeed
	// leave no trace.
	CoverageErrors Coverage = "errors"
	// CoverageNone means that the stage logs nothing.
	CoverageNone Coverage = "none"
)

// Coverage says how much of the stage's calls its default logging settings can
// show; Overrides may show more or less of some methods.
func (s *Stage) Coverage() Coverage {
	switch {
	case s.LoggingLevel == "INFO" && s.DataTrace:
		return CoverageFull
	case s.LoggingLevel == "INFO" || s.AccessLogARN != "":
		return CoverageMetadata
	case s.LoggingLevel == "ERROR":
		return CoverageErrors
	default:
		return CoverageNone
	}
}

// Totals counts what a Snapshot holds.
type Totals struct {
	Accounts int `json:"accounts"`
	// AccountsUnread could not be read at all, RegionsUnread only in part.
	AccountsUnread int `json:"accounts_unread"`
	RegionsUnread  int `json:"regions_unread"`
	Regions        int `json:"regions"`
	APIs           int `json:"apis"`
	Routes         int `json:"routes"`
	Stages         int `json:"stages"`
	// StagesNotLogged are those whose Coverage is none.
	StagesNotLogged int `json:"stages_not_logged"`
	// StagesByCoverage counts the stages by what their logs can show.
	StagesByCoverage map[Coverage]int `json:"stages_by_coverage"`
}

// Totals counts accounts, APIs, routes and stages. A nil Snapshot has none.
func (s *Snapshot) Totals() Totals {
	t := Totals{StagesByCoverage: map[Coverage]int{}}
	if s == nil {
		return t
	}
	t.Accounts = len(s.Accounts)
	for i := range s.Accounts {
		a := &s.Accounts[i]
		if a.Error != "" {
			t.AccountsUnread++
		}
		t.Regions += len(a.Regions)
		for j := range a.Regions {
			r := &a.Regions[j]
			if len(r.Errors) > 0 {
				t.RegionsUnread++
			}
			t.APIs += len(r.APIs)
			for k := range r.APIs {
				api := &r.APIs[k]
				t.Routes += len(api.Routes)
				t.Stages += len(api.Stages)
				for l := range api.Stages {
					t.StagesByCoverage[api.Stages[l].Coverage()]++
				}
			}
		}
	}
	t.StagesNotLogged = t.StagesByCoverage[CoverageNone]
	return t
}
