package cli

import (
	"bufio"
	"encoding/json"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// addOutput gives cmd the flag -o table|json. The returned function says
// whether JSON is wanted, and refuses anything else.
func addOutput(cmd *cobra.Command) func() (asJSON bool, err error) {
	format := cmd.Flags().StringP("output", "o", "table", "how to print the result: table or json")
	return func() (bool, error) {
		switch *format {
		case "table":
			return false, nil
		case "json":
			return true, nil
		}
		return false, withHint(usagef("--output: %q is not a form of output", *format), "use -o table or -o json")
	}
}

// printJSON writes v as indented JSON with a newline. HTML is left as it is: no
// browser reads this.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printTable writes a table with aligned columns, two spaces apart. A column of
// numbers is aligned to the right, except the first, which names the row; the last column is never padded, so it is the
// place for text of any length. A row may be shorter than the header.
func printTable(w io.Writer, header []string, rows [][]string) error {
	width := make([]int, len(header))
	number := make([]bool, len(header))
	for i, title := range header {
		width[i], number[i] = utf8.RuneCountInString(title), i > 0 && len(rows) > 0
	}
	clean := make([][]string, len(rows))
	for i, row := range rows {
		clean[i] = make([]string, min(len(row), len(header)))
		for j := range clean[i] {
			cell := printable(row[j])
			clean[i][j] = cell
			width[j] = max(width[j], utf8.RuneCountInString(cell))
			number[j] = number[j] && isNumber(cell)
		}
	}
	out := bufio.NewWriter(w)
	writeRow(out, header, width, number)
	for _, row := range clean {
		writeRow(out, row, width, number)
	}
	return out.Flush()
}

func writeRow(out *bufio.Writer, row []string, width []int, number []bool) {
	var line strings.Builder
	for i, cell := range row {
		if i > 0 {
			line.WriteString("  ")
		}
		pad := width[i] - utf8.RuneCountInString(cell)
		if number[i] {
			line.WriteString(strings.Repeat(" ", pad))
		}
		line.WriteString(cell)
		if !number[i] && i < len(width)-1 {
			line.WriteString(strings.Repeat(" ", pad))
		}
	}
	// A bufio.Writer keeps its first error for Flush.
	_, _ = out.WriteString(strings.TrimRight(line.String(), " "))
	_ = out.WriteByte('\n')
}

// printable takes control characters out of text that came from elsewhere: the
// name of an API may hold escape sequences that would command the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return '?'
		}
		if unicode.In(r, unicode.Cf) { // direction marks and other invisible ones
			return -1
		}
		return r
	}, s)
}

// isNumber reports whether a cell is a number or stands for none.
func isNumber(s string) bool {
	if s == "" || s == "-" {
		return true
	}
	for i, r := range s {
		if (r < '0' || r > '9') && (i == 0 || (r != '.' && r != ',')) {
			return false
		}
	}
	return true
}

// orDash stands a dash for nothing.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
