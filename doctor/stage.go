package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/transaction"
)

const checkLogging = "logging"

// shownStages is how many stages are named of those that lack the same.
const shownStages = 5

// stages tells which stages' calls the logs cannot show, or not whole.
func (c *regionCheck) stages() {
	var off, errors, plain, untied []string
	total := 0
	for i := range c.region.APIs {
		api := &c.region.APIs[i]
		for j := range api.Stages {
			s := &api.Stages[j]
			total++
			name := api.ID + "/" + s.Name
			if api.Name != "" {
				name = api.Name + " (" + name + ")"
			}
			switch s.Coverage() {
			case estate.CoverageNone:
				off = append(off, name)
			case estate.CoverageErrors:
				errors = append(errors, name)
			case estate.CoverageMetadata:
				if api.Type != transaction.HTTP { // which can have no more
					plain = append(plain, name)
				}
			case estate.CoverageFull:
			}
			if s.AccessLogARN != "" && !tied(s.AccessFormat) {
				untied = append(untied, name)
			}
		}
	}
	for _, lack := range []struct {
		names []string
		what  string
		mend  string
	}{
		{off, "log nothing: their calls are not seen", "switch on execution logging at INFO with data trace, or for an HTTP API access logging"},
		{errors, "log errors alone: calls that succeed leave no trace", "set the log level to INFO"},
		{plain, "log without data trace: headers and bodies are not seen", "switch on data trace (log full requests and responses); it writes payloads into the log"},
		{untied, "have an access-log format without a request id: its lines cannot be joined with the execution log's", "add $context.requestId and $context.extendedRequestId to the format"},
	} {
		if len(lack.names) == 0 {
			continue
		}
		result := c.result(Warn, checkLogging, fmt.Sprintf("%d of %d stages %s", len(lack.names), total, lack.what))
		result.Subject, result.Mend = some(lack.names), lack.mend
		c.add(result)
	}
	if total > 0 && len(off)+len(errors)+len(plain)+len(untied) == 0 {
		c.add(c.result(OK, checkLogging, fmt.Sprintf("all %d stages log whole calls", total)))
	}
}

// tied reports whether a format tells which request a line is of.
func tied(format string) bool {
	return strings.Contains(format, "$context.requestId") || strings.Contains(format, "$context.extendedRequestId")
}

// some names the first of a list, sorted.
func some(names []string) string {
	slices.Sort(names)
	if len(names) <= shownStages {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shownStages], ", "), len(names)-shownStages)
}
