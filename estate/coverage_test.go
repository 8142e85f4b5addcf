package estate

import "testing"

func TestStageCoverage(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		stage Stage
		want  Coverage
	}{
		{"nothing set", Stage{}, CoverageNone},
		{"execution logs off", Stage{LoggingLevel: "OFF", DataTrace: true}, CoverageNone},
		{"errors alone, data trace or not", Stage{LoggingLevel: "ERROR", DataTrace: true}, CoverageErrors},
		{"errors and an access log", Stage{LoggingLevel: "ERROR", AccessLogARN: "arn:aws:logs:::g"}, CoverageMetadata},
		{"info without data trace", Stage{LoggingLevel: "INFO"}, CoverageMetadata},
		{"info with data trace", Stage{LoggingLevel: "INFO", DataTrace: true}, CoverageFull},
		{"an HTTP API's access log", Stage{AccessLogARN: "arn:aws:logs:::g"}, CoverageMetadata},
	} {
		if got := tc.stage.Coverage(); got != tc.want {
			t.Errorf("%s: coverage is %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestSnapshotTotals(t *testing.T) {
	t.Parallel()
	var none *Snapshot
	if got := none.Totals(); got.Accounts != 0 || got.Stages != 0 {
		t.Errorf("a nil snapshot counts %+v", got)
	}
	s := &Snapshot{Accounts: []Account{
		{ID: "111111111111", Regions: []Region{{
			Name: "eu-west-1",
			APIs: []API{
				{ID: "a", Stages: []Stage{{Name: "prod", LoggingLevel: "INFO", DataTrace: true}, {Name: "dev"}}, Routes: []Route{{Path: "/x"}}},
				{ID: "b", Stages: []Stage{{Name: "$default"}}},
			},
			Errors: []Fault{{What: "apigateway:GetStages"}},
		}}},
		{ID: "222222222222", Error: "access denied"},
	}}
	got := s.Totals()
	if got.Accounts != 2 || got.AccountsUnread != 1 || got.Regions != 1 || got.RegionsUnread != 1 ||
		got.APIs != 2 || got.Routes != 1 || got.Stages != 3 || got.StagesNotLogged != 2 || got.StagesByCoverage[CoverageFull] != 1 {
		t.Errorf("totals are %+v", got)
	}
}
