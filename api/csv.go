package api

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// csvAnswer streams a table as CSV for download.
func csvAnswer(name string, at time.Time, header []string, rows func(yield func([]string) bool)) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		ctx.SetHeader("Content-Type", "text/csv; charset=utf-8")
		ctx.SetHeader("Content-Disposition", attachment(name, at, "csv"))
		w := csv.NewWriter(ctx.BodyWriter())
		if w.Write(header) != nil {
			return
		}
		for row := range rows {
			for i := range row {
				row[i] = inert(row[i])
			}
			if w.Write(row) != nil {
				return // the client went away
			}
		}
		w.Flush()
	}}
}

func attachment(name string, at time.Time, ext string) string {
	return fmt.Sprintf("attachment; filename=%q", "gatehouse-"+name+"-"+at.UTC().Format("20060102T150405Z")+"."+ext)
}

// inert keeps spreadsheets from taking a cell for a formula: paths and names
// come from whoever calls the APIs, and =HYPERLINK(…) in one would run on the
// machine of whoever opens the export.
func inert(cell string) string {
	if cell == "" || !strings.ContainsRune("=+-@\t\r\n|%", rune(cell[0])) {
		return cell
	}
	return "'" + cell
}

// csvContent documents a CSV answer.
func csvContent(op huma.Operation) huma.Operation {
	op.Responses = map[string]*huma.Response{"200": {
		Description: "The table as CSV; a cell that a spreadsheet would take for a formula begins with a quote.",
		Content:     map[string]*huma.MediaType{"text/csv": {Schema: &huma.Schema{Type: huma.TypeString}}},
	}}
	op.Errors = []int{http.StatusServiceUnavailable}
	return op
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
