package api

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gatehouse-project/gatehouse/finding"
)

var findingColumns = []string{
	"id", "severity", "state", "rule", "title", "area", "kind", "account", "account_name", "region", "api_id", "api_name", "api_type", "stage", "name",
	"evidence", "not_seen", "opened", "changed", "until", "by", "reason",
}

// registerFindingExports adds the exports of all that a filter chooses, which the
// list gives in pages.
func (s *server) registerFindingExports(a huma.API, tag string) {
	huma.Register(a, csvContent(operation("export-findings-csv", findingsPath+".csv", tag, "All findings that are filtered, as CSV")),
		func(ctx context.Context, in *struct{ FindingFilter }) (*huma.StreamResponse, error) {
			rows, err := s.allFindings(ctx, in.query())
			if err != nil {
				return nil, err
			}
			return csvAnswer("findings", s.Clock(), findingColumns, func(yield func([]string) bool) {
				for i := range rows {
					if !yield(findingRow(&rows[i])) {
						return
					}
				}
			}), nil
		})
	huma.Register(a, operation("export-findings-json", findingsPath+".json", tag, "All findings that are filtered, as one list"),
		func(ctx context.Context, in *struct{ FindingFilter }) (*huma.StreamResponse, error) {
			rows, err := s.allFindings(ctx, in.query())
			if err != nil {
				return nil, err
			}
			return &huma.StreamResponse{Body: func(hc huma.Context) {
				hc.SetHeader("Content-Type", "application/json")
				hc.SetHeader("Content-Disposition", attachment("findings", s.Clock(), "json"))
				_ = json.NewEncoder(hc.BodyWriter()).Encode(rows) // else the client went away
			}}, nil
		})
}

// allFindings reads every page before the answer begins, so that an export that
// fails half-way does not look like a whole one.
func (s *server) allFindings(ctx context.Context, q finding.Query) ([]finding.Finding, error) {
	out := []finding.Finding{}
	q.Limit = 1000
	for {
		page, err := s.Findings.List(ctx, q)
		if err := s.findingError(ctx, err); err != nil {
			return nil, err
		}
		out = append(out, page.Findings...)
		if q.Cursor = page.Next; q.Cursor == "" {
			return out, nil
		}
	}
}

func findingRow(f *finding.Finding) []string {
	facts := make([]string, len(f.Evidence))
	for i, e := range f.Evidence {
		facts[i] = e.What + ": " + e.Value
	}
	unseen := ""
	if f.NotSeen {
		unseen = "true"
	}
	s := &f.Subject
	return []string{
		f.ID, string(f.Severity), string(f.State), f.Rule, f.Title, string(f.Area), string(s.Kind), s.Account, s.AccountName, s.Region, s.API, s.APIName, string(s.APIType), s.Stage, s.Name,
		strings.Join(facts, "; "), unseen, stamp(f.Opened), stamp(f.Changed), stamp(f.Until), f.By, f.Reason,
	}
}
