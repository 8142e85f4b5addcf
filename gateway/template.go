package gateway

import (
	"strings"

	"github.com/gatehouse-project/gatehouse/velocity"
)

// template is a text with variables in it.
type template []part

// part is a literal text, and the variable that follows it. The last has none.
type part struct {
	literal string
	kind    variableKind
	name    string
	path    *velocity.Path // of a bodyVariable; nil: the whole body
}

type variableKind uint8

const (
	noVariable      variableKind = iota
	contextVariable              // $context.name
	stageVariable                // $stageVariables.name, ${stageVariables.name}
	pathVariable                 // {name}
	queryVariable                // method.request.querystring.name
	headerVariable               // method.request.header.name
	bodyVariable                 // method.request.body
)

// contextTemplate reads an access-log format or a gateway response's template,
// whose variables are $context.name and $stageVariables.name.
func contextTemplate(text string) template {
	var t template
	for {
		i, kind, prefix := -1, noVariable, ""
		for k, p := range map[variableKind]string{contextVariable: "$context.", stageVariable: "$stageVariables."} {
			if at := strings.Index(text, p); at >= 0 && (i < 0 || at < i) {
				i, kind, prefix = at, k, p
			}
		}
		if i < 0 {
			return append(t, part{literal: text})
		}
		end := i + len(prefix)
		for end < len(text) && isNameByte(text[end]) {
			end++
		}
		name := strings.TrimRight(text[i+len(prefix):end], ".")
		end = i + len(prefix) + len(name)
		t = append(t, part{literal: text[:i], kind: kind, name: name})
		text = text[end:]
	}
}

func isNameByte(c byte) bool {
	return c == '.' || c == '_' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// uriTemplate reads an integration's URI, whose variables are {name} and
// ${stageVariables.name}.
func uriTemplate(text string) template {
	var t template
	literal := ""
	for {
		i := strings.IndexByte(text, '{')
		if i < 0 {
			return append(t, part{literal: literal + text})
		}
		end := strings.IndexByte(text[i:], '}')
		if end < 0 {
			return append(t, part{literal: literal + text})
		}
		end += i
		name := text[i+1 : end]
		before, isStage := strings.CutSuffix(text[:i], "$")
		stageName, known := strings.CutPrefix(name, "stageVariables.")
		switch {
		case isStage && known:
			t = append(t, part{literal: literal + before, kind: stageVariable, name: stageName})
		default:
			t = append(t, part{literal: literal + text[:i], kind: pathVariable, name: strings.TrimSuffix(name, "+")})
		}
		literal, text = "", text[end+1:]
	}
}

// isLiteral reports whether t has no variables.
func (t template) isLiteral() bool { return len(t) <= 1 }

// text is a literal template.
func (t template) text() string {
	if len(t) == 0 {
		return ""
	}
	return t[0].literal
}

// expand puts values in the place of variables.
func (t template) expand(value func(part) string) string {
	if t.isLiteral() {
		return t.text()
	}
	var b strings.Builder
	for _, p := range t {
		b.WriteString(p.literal)
		if p.kind != noVariable {
			b.WriteString(value(p))
		}
	}
	return b.String()
}

// value is what a variable stands for in a call. Path parameters are as the
// caller encoded them.
func (c *call) value(p part) string {
	switch p.kind {
	case contextVariable:
		return c.variable(p.name)
	case stageVariable:
		return c.stage.Variables[p.name]
	case pathVariable:
		for _, v := range c.params {
			if v.name == p.name {
				return v.raw
			}
		}
	case queryVariable:
		return c.query().Get(p.name)
	case headerVariable:
		return c.header(p.name)
	case bodyVariable:
		if p.path == nil {
			return string(c.body)
		}
		v, err := jsonText(p.path, c.body)
		if err != nil {
			return "" // a body that is no JSON has no fields
		}
		return v
	case noVariable:
	}
	return ""
}

// header is the value of a request header, several joined by commas.
func (c *call) header(name string) string {
	if strings.EqualFold(name, "Host") {
		return c.r.Host
	}
	return strings.Join(c.r.Header.Values(name), ",")
}
