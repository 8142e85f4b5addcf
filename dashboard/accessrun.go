package dashboard

import (
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
)

// targetRunRow is one time that somebody had a target checked, discovered or compared.
type targetRunRow struct {
	access.TargetRun
	Title  string
	Badge  badge
	Said   string // what it does, or what came of it
	Share  int    // of 100 that is done; 0: it cannot be told
	Within time.Duration
}

var targetRunTitles = map[access.RunKind]string{
	access.RunCheck: "Check", access.RunDiscover: "Discovery", access.RunReconcile: "Comparison",
}

// showRuns fills in the last run of each kind, the newest first.
func (d *integrationData) showRuns(runs []access.TargetRun) {
	seen := map[access.RunKind]bool{}
	for _, r := range slices.Backward(runs) {
		if seen[r.Kind] {
			continue
		}
		seen[r.Kind] = true
		row := targetRunRow{TargetRun: r, Title: targetRunTitles[r.Kind], Within: time.Duration(r.AtMost) * time.Second}
		switch r.State {
		case access.RunGoing:
			d.Going = true
			row.Badge = badge{"wait", "◐", "going on", ""}
			if row.Said = r.Doing; r.Total > 0 {
				row.Share = 100 * min(r.Done, r.Total) / r.Total
				row.Said = "step " + strconv.Itoa(min(r.Done+1, r.Total)) + " of " + strconv.Itoa(r.Total)
			}
		case access.RunDone:
			row.Badge, row.Said = badge{"good", "●", "done", ""}, foundText(&r)
			if r.Left > 0 {
				row.Badge = badge{"wait", "◐", "done", "something has to be mended"}
			}
		case access.RunFailed:
			row.Badge, row.Said = badge{"bad", "■", "failed", ""}, sentence(r.Error)
		default:
			row.Badge, row.Said = badge{"unknown", "○", string(r.State), ""}, sentence(r.Error)
		}
		d.Runs = append(d.Runs, row)
	}
	if len(d.Runs) > 0 {
		d.Ended = d.Runs[0].Title + ": " + d.Runs[0].Badge.Word + ", " + d.Runs[0].Said
	}
}

// foundText says what a run that is done has found.
func foundText(r *access.TargetRun) string {
	switch {
	case r.Kind == access.RunDiscover:
		return plural(r.Found, "resource", "resources")
	case r.Kind == access.RunCheck && r.Left > 0:
		return strconv.Itoa(r.Left) + " of " + plural(r.Found, "check", "checks") + " failed"
	case r.Kind == access.RunCheck:
		return plural(r.Found, "check", "checks") + ", none failed"
	case r.Found == 0:
		return "the target is as it should be"
	case r.Left == 0:
		return plural(r.Found, "difference", "differences") + ", being mended"
	default:
		return plural(r.Found, "difference", "differences") + ", of which " + strconv.Itoa(r.Left) + " somebody has to mend"
	}
}
