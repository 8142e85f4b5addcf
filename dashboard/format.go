package dashboard

import (
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/finding"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// functions are what the templates format with. The script formats live numbers
// alike: a change here is a change in assets/dashboard.js.
var functions = template.FuncMap{
	"int":      count,
	"rate":     rate,
	"short":    short,
	"duration": duration,
	"ms":       milliseconds,
	"bytes":    size,
	"percent":  percent,
	"stamp":    stamp,
	"plural":   plural,
	"plural64": func(n int64, one, many string) string { return plural(int(n), one, many) },
	"redacted": redacted,
	"method":   methodOf,
	"seen":     seen,
	"covers":   covers,
	"source":   routeSource,
	"grade":    grade,
	"kindWord": kindWord,
	"rules":    finding.Catalogue,
	"severe":   severe,
	"stands":   stands,
	"spark":    sparkline,
	"dict":     dict,
	"level":    func(v string) string { return strings.Replace(v, "+trace", " + data trace", 1) },
	"options":  strings.NewReplacer("--replace-format", "the option to set the format everywhere", "--force", "the option to put it back all the same").Replace,
	"deref":    func(n *int32) int { return int(*n) },
	"fields":   func() []string { return append([]string{"case"}, labFields...) },
	"layer":    layerBadge,
	"absent":   absentLayers,
	"severity": severityClass,
	"errors":   func(e inventory.Endpoint) string { return percent(e.Errors4xx+e.Errors5xx, e.Calls) },
}

// count writes a whole number with commas between thousands.
func count(v any) string {
	var n int64
	switch x := v.(type) {
	case int:
		n = int64(x)
	case int64:
		n = x
	case int32:
		n = int64(x)
	case uint32:
		n = int64(x)
	case *int64:
		n = *x
	}
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// rate writes calls a second with three digits that mean something.
func rate(v float64) string {
	switch {
	case v >= 100:
		return count(int64(math.Round(v)))
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}

// short writes a round number for an axis.
func short(v float64) string {
	if v >= 1000 {
		return count(int64(v))
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// duration writes the two largest units: "12 s", "7 min 12 s", "3 h 4 min".
func duration(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	if d < time.Second && d > 0 {
		return strconv.FormatInt(max(1, d.Milliseconds()), 10) + " ms"
	}
	s := int64(d / time.Second)
	two := func(a int64, ua string, b int64, ub string) string {
		if b == 0 {
			return fmt.Sprintf("%d %s", a, ua)
		}
		return fmt.Sprintf("%d %s %d %s", a, ua, b, ub)
	}
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return two(s/60, "min", s%60, "s")
	case s < 86400:
		return two(s/3600, "h", s%3600/60, "min")
	default:
		return two(s/86400, "d", s%86400/3600, "h")
	}
}

func milliseconds(v float64) string {
	switch {
	case v <= 0:
		return "–"
	case v < 10:
		return strconv.FormatFloat(v, 'f', 1, 64) + " ms"
	case v < 10_000:
		return count(int64(math.Round(v))) + " ms"
	default:
		return strconv.FormatFloat(v/1000, 'f', 1, 64) + " s"
	}
}

func size(n int64) string {
	v, unit := float64(n), 0
	for v >= 1000 && unit < 5 {
		v /= 1000
		unit++
	}
	name := [...]string{"B", "kB", "MB", "GB", "TB", "PB"}[unit]
	if unit == 0 {
		return fmt.Sprintf("%d %s", n, name)
	}
	return fmt.Sprintf("%.1f %s", v, name)
}

// percent writes part of whole; what is not zero never reads as zero, and what
// is not all never as all.
func percent(part, whole int64) string {
	if whole == 0 {
		return "–"
	}
	p := float64(part) / float64(whole) * 100
	switch {
	case part == 0:
		return "0 %"
	case p < .1:
		return "< 0.1 %"
	case p > 99.9 && part < whole:
		return "> 99.9 %"
	case p < 10 || (p > 99 && part < whole):
		return strconv.FormatFloat(p, 'f', 1, 64) + " %"
	default:
		return strconv.FormatFloat(p, 'f', 0, 64) + " %"
	}
}

// stamp writes a moment as UTC; the script turns it into local time and leaves
// UTC for the hover.
func stamp(t time.Time, now time.Time) template.HTML {
	if t.IsZero() {
		return `<span class="muted">never</span>`
	}
	t = t.UTC()
	text := t.Format("15:04:05")
	switch ago := now.Sub(t); {
	case ago > 300*24*time.Hour:
		text = t.Format("2 Jan 2006")
	case ago > 12*time.Hour || ago < -12*time.Hour:
		text = t.Format("2 Jan 15:04")
	}
	return template.HTML(`<time datetime="` + t.Format("2006-01-02T15:04:05.000Z") + `" title="` + t.Format("2006-01-02 15:04:05") + ` UTC">` + text + `<span class="utc"> UTC</span></time>`) //nolint:gosec // Digits and names of months alone.
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// redacted escapes s and marks what was taken out of it.
func redacted(s string) template.HTML {
	return template.HTML(strings.ReplaceAll(template.HTMLEscapeString(s), transaction.Redacted, `<mark class="redacted">[redacted]</mark>`)) //nolint:gosec // Escaped before.
}

// maxDepth is how deep JSON may nest to be indented: each level would widen all
// lines within it, and a body of brackets alone would fill the page.
const maxDepth = 40

// pretty indents a JSON body; what is not JSON, was cut or nests too deep stays
// as it is.
func pretty(body string) string {
	if !json.Valid([]byte(body)) {
		return body
	}
	var b strings.Builder
	depth, inString, escaped := 0, false, false
	line := func() {
		b.WriteByte('\n')
		for range depth {
			b.WriteString("  ")
		}
	}
	for i := range len(body) {
		c := body[i]
		switch {
		case inString:
			b.WriteByte(c)
			switch {
			case escaped:
				escaped = false
			case c == '\\':
				escaped = true
			case c == '"':
				inString = false
			}
		case c == ' ' || c == '\n' || c == '\t' || c == '\r':
		case c == '"':
			inString = true
			b.WriteByte(c)
		case c == '{' || c == '[':
			b.WriteByte(c)
			if depth++; depth > maxDepth {
				return body
			}
			if next := following(body, i+1); next != '}' && next != ']' {
				line()
			}
		case c == '}' || c == ']':
			depth--
			if before := b.String()[b.Len()-1]; before != '{' && before != '[' {
				line()
			}
			b.WriteByte(c)
		case c == ',':
			b.WriteByte(c)
			line()
		case c == ':':
			b.WriteString(": ")
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func following(s string, i int) byte {
	for ; i < len(s); i++ {
		if c := s[i]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
	}
	return 0
}

// badge is a word with a class for its colour and a shape beside it.
type badge struct{ Class, Shape, Word, Hint string }

func methodOf(e transaction.APIType, method string) badge {
	if e == transaction.WebSocket { // the route key beside it tells the rest
		return badge{Class: "m-ws", Word: "WS", Hint: strings.TrimSpace("WebSocket " + method)}
	}
	switch method {
	case "GET", "HEAD", "OPTIONS":
		return badge{Class: "m-read", Word: method, Hint: "reads"}
	case "DELETE":
		return badge{Class: "m-delete", Word: method, Hint: "deletes"}
	case "ANY", "":
		return badge{Class: "m-any", Word: "ANY", Hint: "any method"}
	default:
		return badge{Class: "m-write", Word: method, Hint: method + " changes something"}
	}
}

func seen(v transaction.Visibility) badge {
	switch v {
	case transaction.Full:
		return badge{"good", "●", "full", "headers and bodies were logged whole"}
	case transaction.Truncated:
		return badge{"wait", "◐", "truncated", "API Gateway cut long lines at 1,024 bytes"}
	case transaction.Metadata:
		return badge{"unknown", "○", "metadata", "headers and bodies were not logged"}
	default:
		return badge{"unknown", "?", string(v), ""}
	}
}

func covers(c estate.Coverage) badge {
	switch c {
	case estate.CoverageFull:
		return badge{"good", "●", "full", "execution logs at INFO with data trace: headers and bodies"}
	case estate.CoverageMetadata:
		return badge{"unknown", "○", "metadata", "each call is logged, without headers and bodies"}
	case estate.CoverageErrors:
		return badge{"wait", "◐", "errors only", "calls that succeed leave no trace"}
	default:
		return badge{"bad", "■", "not logged", "calls to this stage cannot be seen"}
	}
}

func routeSource(s transaction.RouteSource) string {
	switch s {
	case transaction.RouteFromAccessLog:
		return "the access log names it"
	case transaction.RouteFromAPIKeyLine:
		return "the execution log's API key line names it"
	case transaction.RouteFromSourceARN:
		return "the source ARN of the integration request names it"
	case transaction.RouteFromProxyEvent:
		return "the Lambda proxy event names it"
	case transaction.RouteFromEstate:
		return "matched to the API's resources and routes"
	case transaction.RouteDeclared:
		return "declared in a specification"
	case transaction.RouteLearned:
		return "learned from the paths that were called; it may be wrong"
	default:
		return "not known"
	}
}

func dict(pairs ...any) map[string]any {
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1] //nolint:forcetypeassert // Template text alone calls it.
	}
	return m
}
