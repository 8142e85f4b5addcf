package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// StageRow is a stage with where it stands.
type StageRow struct {
	Account        string              `json:"account"`
	AccountName    string              `json:"account_name,omitempty"`
	Region         string              `json:"region"`
	APIID          string              `json:"api_id"`
	APIName        string              `json:"api_name,omitempty"`
	APIType        transaction.APIType `json:"api_type"`
	Stage          string              `json:"stage,omitempty" doc:"Empty for an API that has no stage."`
	Coverage       estate.Coverage     `json:"coverage,omitempty"`
	LoggingLevel   string              `json:"logging_level,omitempty"`
	DataTrace      bool                `json:"data_trace,omitempty"`
	ExecutionGroup string              `json:"execution_group,omitempty"`
	AccessGroup    string              `json:"access_group,omitempty"`
	Routes         int                 `json:"routes"`
}

func (s *server) registerEstate(a huma.API) {
	const tag = "Estate"
	huma.Register(a, operation("get-estate", "/api/v1/estate", tag, "The last discovery whole"),
		func(ctx context.Context, _ *struct{}) (*struct{ Body *estate.Snapshot }, error) {
			snap, err := s.found(ctx)
			if err != nil {
				return nil, err
			}
			return &struct{ Body *estate.Snapshot }{snap}, nil
		})
	huma.Register(a, operation("list-stages", "/api/v1/estate/apis", tag, "Every API and stage with its logging"),
		func(ctx context.Context, _ *struct{}) (*struct{ Body []StageRow }, error) {
			snap, err := s.found(ctx)
			if err != nil {
				return nil, err
			}
			return &struct{ Body []StageRow }{stageRows(snap)}, nil
		})
	huma.Register(a, csvContent(operation("export-stages-csv", "/api/v1/estate/apis.csv", tag, "Every API and stage, as CSV")),
		func(ctx context.Context, _ *struct{}) (*huma.StreamResponse, error) {
			snap, err := s.found(ctx)
			if err != nil {
				return nil, err
			}
			return csvAnswer("estate", s.Clock(), []string{
				"account", "account_name", "region", "api_id", "api_name", "api_type", "stage", "coverage", "logging_level", "data_trace", "execution_group", "access_group", "routes",
			}, func(yield func([]string) bool) {
				for _, r := range stageRows(snap) {
					if !yield([]string{
						r.Account, r.AccountName, r.Region, r.APIID, r.APIName, string(r.APIType), r.Stage, string(r.Coverage), r.LoggingLevel,
						strconv.FormatBool(r.DataTrace), r.ExecutionGroup, r.AccessGroup, strconv.Itoa(r.Routes),
					}) {
						return
					}
				}
			}), nil
		})
	s.registerEstateChanges(a, tag)
}

func (s *server) registerEstateChanges(a huma.API, tag string) {
	if s.History == nil {
		return
	}
	op := operation("list-estate-changes", "/api/v1/estate/changes", tag, "What appeared, changed and went from one discovery to the next, the newest first")
	op.Description = "A change has the time of the discovery that noticed it. What could not be read is not told as gone."
	op.Errors = []int{http.StatusNotFound, http.StatusUnprocessableEntity}
	huma.Register(a, op, func(ctx context.Context, in *struct {
		Account string    `query:"account"`
		Region  string    `query:"region"`
		API     string    `query:"api" doc:"The API's id."`
		Type    string    `query:"type" doc:"The kind of thing: stage, route, log-group, …"`
		Kind    string    `query:"kind" enum:"appeared,changed,went"`
		Since   time.Time `query:"since" doc:"From this time on, RFC 3339."`
		Until   time.Time `query:"until" doc:"Before this time, RFC 3339."`
		Limit   int       `query:"limit" minimum:"1" maximum:"1000" default:"100"`
		Cursor  string    `query:"cursor" maxLength:"100" doc:"The next of the page before."`
	},
	) (*struct{ Body estate.HistoryPage }, error) {
		if in.Type != "" && !slices.Contains(estate.SubjectTypes(), estate.SubjectType(in.Type)) {
			return nil, huma.Error422UnprocessableEntity(fmt.Sprintf("type %q is none of %v", in.Type, estate.SubjectTypes()))
		}
		page, err := s.History.EstateHistory(ctx, estate.HistoryQuery{
			Account: in.Account, Region: in.Region, API: in.API, Type: estate.SubjectType(in.Type), Kind: estate.ChangeKind(in.Kind),
			Since: in.Since, Until: in.Until, Limit: in.Limit, Cursor: in.Cursor,
		})
		var notKept interface{ Mend() string }
		switch {
		case errors.Is(err, estate.ErrInvalidQuery):
			return nil, huma.Error422UnprocessableEntity(err.Error())
		case errors.As(err, &notKept):
			return nil, huma.Error404NotFound(err.Error() + ": " + notKept.Mend())
		case err != nil:
			return nil, s.unavailable(ctx, "the history of the estate", err)
		}
		if page.Changes == nil {
			page.Changes = []estate.Change{}
		}
		return &struct{ Body estate.HistoryPage }{page}, nil
	})
}

// found returns the last discovery, or the 404 that says there was none.
func (s *server) found(ctx context.Context) (*estate.Snapshot, error) {
	snap, err := s.estate(ctx)
	if err != nil {
		return nil, s.unavailable(ctx, "the estate", err)
	}
	if snap == nil {
		return nil, huma.NewError(http.StatusNotFound, "no discovery has finished yet")
	}
	return snap, nil
}

func stageRows(snap *estate.Snapshot) []StageRow {
	rows := []StageRow{}
	for i := range snap.Accounts {
		a := &snap.Accounts[i]
		for j := range a.Regions {
			for k := range a.Regions[j].APIs {
				api := &a.Regions[j].APIs[k]
				row := StageRow{
					Account: a.ID, AccountName: a.Name, Region: a.Regions[j].Name,
					APIID: api.ID, APIName: api.Name, APIType: api.Type, Routes: len(api.Routes),
				}
				if len(api.Stages) == 0 {
					rows = append(rows, row)
				}
				for l := range api.Stages {
					st := &api.Stages[l]
					row.Stage, row.Coverage, row.LoggingLevel, row.DataTrace = st.Name, st.Coverage(), st.LoggingLevel, st.DataTrace
					row.ExecutionGroup, row.AccessGroup = st.ExecutionGroup, st.AccessGroup
					rows = append(rows, row)
				}
			}
		}
	}
	return rows
}
