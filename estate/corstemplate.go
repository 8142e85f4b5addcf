package estate

import (
	"regexp"
	"strings"
)

// CORSTemplate is a mapping template that sets Access-Control-Allow-Origin to what the
// request says. The template itself is not kept.
type CORSTemplate struct {
	// Where is the template, for people: "response template 200 application/json".
	Where string `json:"where"`
	// Guards are the conditions that the origin must fulfil, all of them. Each is a list
	// of regular expressions, one of which must match the whole origin.
	Guards [][]string `json:"guards,omitempty"`
	// Opaque is set where a condition could not be understood.
	Opaque bool `json:"opaque,omitempty"`
}

const (
	// corsTemplatesAtMost bounds what is kept of one route, and guardBytes one condition.
	corsTemplatesAtMost = 10
	guardBytes          = 500
)

// corsTemplates finds where a template sets the allowed origin from the request.
func corsTemplates(where, template string) []CORSTemplate {
	if !strings.Contains(strings.ToLower(template), "access-control-allow-origin") {
		return nil
	}
	v := velocityScan{origin: map[string]bool{}}
	var out []CORSTemplate
	// Variables may be set by one directive and used by one that stands before it in the
	// text but in another branch, so they are all known before the origin is looked for.
	v.each(template, func(left, right string) {
		if name := strings.TrimSpace(left); variable.MatchString(name) && v.fromOrigin(right) {
			v.origin[strings.Trim(name, "${}!")] = true
		}
	})
	v.each(template, func(left, right string) {
		if !overridesOrigin.MatchString(left) || !v.fromOrigin(right) || len(out) >= corsTemplatesAtMost {
			return
		}
		t := CORSTemplate{Where: where}
		for _, condition := range v.conditions {
			guard, ok := v.guard(condition)
			switch {
			case !ok:
				t.Opaque = true
			case len(guard) > 0:
				t.Guards = append(t.Guards, guard)
			}
		}
		out = append(out, t)
	})
	return out
}

var (
	variable        = regexp.MustCompile(`^\$!?\{?[A-Za-z][\w-]*\}?$`)
	overridesOrigin = regexp.MustCompile(`(?i)^\s*\$context\.responseOverride\.header\W*access-control-allow-origin\W*$`)
	requestOrigin   = regexp.MustCompile(`(?i)\$input\.params\b[^;]*\borigin\b`)
	anyVariable     = regexp.MustCompile(`\$!?\{?([A-Za-z][\w-]*)`)
)

// velocityScan goes through the directives of a template.
type velocityScan struct {
	origin     map[string]bool // variables that hold the request's origin
	conditions []string        // those that hold where the scan is
}

// fromOrigin reports whether a value is the request's origin.
func (v *velocityScan) fromOrigin(value string) bool {
	if requestOrigin.MatchString(value) {
		return true
	}
	for _, m := range anyVariable.FindAllStringSubmatch(value, -1) {
		if v.origin[m[1]] {
			return true
		}
	}
	return false
}

// each gives the two sides of every #set.
func (v *velocityScan) each(template string, set func(left, right string)) {
	v.conditions = nil
	for {
		at := strings.IndexByte(template, '#')
		if at < 0 {
			return
		}
		template = template[at+1:]
		name := directive(template)
		rest := template[len(name):]
		switch strings.Trim(name, "{}") {
		case "set":
			inner, after := parenthesized(rest)
			if left, right, ok := strings.Cut(inner, "="); ok {
				set(left, right)
			}
			template = after
		case "if", "foreach":
			inner, after := parenthesized(rest)
			v.conditions = append(v.conditions, inner)
			template = after
		case "elseif":
			inner, after := parenthesized(rest)
			v.replace(inner)
			template = after
		case "else":
			// What does not hold says little of what does.
			v.replace("else")
			template = rest
		case "end":
			if len(v.conditions) > 0 {
				v.conditions = v.conditions[:len(v.conditions)-1]
			}
			template = rest
		}
	}
}

func (v *velocityScan) replace(condition string) {
	if len(v.conditions) > 0 {
		v.conditions[len(v.conditions)-1] = condition
	}
}

var directiveName = regexp.MustCompile(`^\{?[a-z]+\}?`)

func directive(text string) string { return directiveName.FindString(text) }

// parenthesized returns what stands in the parentheses that a text begins with, and
// what comes after them.
func parenthesized(text string) (inner, after string) {
	start := strings.IndexByte(text, '(')
	if start < 0 || strings.TrimSpace(text[:start]) != "" {
		return "", text
	}
	depth, quote := 0, byte(0)
	for i := start; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				return text[start+1 : i], text[i+1:]
			}
		}
	}
	return "", ""
}

var (
	// comparison is a method or an operator that compares with a text.
	comparison = regexp.MustCompile(`^\s*(?:\.\s*(matches|equals|equalsIgnoreCase|contains|startsWith|endsWith)\s*\(\s*(?:"([^"]*)"|'([^']*)')\s*\)|(==|!=)\s*(?:"([^"]*)"|'([^']*)'))\s*$`)
	operand    = regexp.MustCompile(`(?i)^\s*(?:\$!?\{?[A-Za-z][\w-]*\}?|\$input\.params\([^)]*\)(?:\.header)?(?:\.get\([^)]*\)|\.origin)?)`)
)

// guard is a condition as regular expressions, one of which the origin must match;
// empty: every origin does. It is false for a condition that is something else.
func (v *velocityScan) guard(condition string) ([]string, bool) {
	if len(condition) > guardBytes || strings.Contains(condition, "&&") {
		return nil, false
	}
	var patterns []string
	for part := range strings.SplitSeq(condition, "||") {
		part = strings.TrimSpace(part)
		subject := operand.FindString(part)
		if subject == "" || !v.fromOrigin(subject) {
			return nil, false
		}
		if strings.TrimSpace(part[len(subject):]) == "" {
			return nil, true // that there is an origin
		}
		m := comparison.FindStringSubmatch(part[len(subject):])
		if m == nil {
			return nil, false
		}
		text := m[2] + m[3] + m[5] + m[6]
		quoted := regexp.QuoteMeta(text)
		switch m[1] + m[4] {
		case "matches":
			patterns = append(patterns, text)
		case "equals", "equalsIgnoreCase", "==":
			patterns = append(patterns, quoted)
		case "contains":
			patterns = append(patterns, ".*"+quoted+".*")
		case "startsWith":
			patterns = append(patterns, quoted+".*")
		case "endsWith":
			patterns = append(patterns, ".*"+quoted)
		case "!=":
			if text == "" {
				return nil, true
			}
			return nil, false
		}
	}
	return patterns, true
}
