package gateway

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf16"

	"github.com/gatehouse-project/gatehouse/velocity"
)

// templateVariables are what a mapping template is given. Of a response template,
// body is what the integration answered.
func (c *call) templateVariables(body []byte, o *overrides) map[string]any {
	return map[string]any{
		"input": &inputObject{c: c, body: body}, "context": &contextObject{c: c, overrides: o},
		"stageVariables": &stageObject{c.stage.Variables}, "util": utilObject{},
	}
}

// inputObject is $input.
type inputObject struct {
	c    *call
	body []byte

	parsed   bool
	root     any
	text     string // the body
	all      *velocity.Map
	selected int
}

// maxSelections bounds how often a template follows a JSONPath through the body.
const maxSelections = 10_000

// jsonError means that a body is not the JSON that a template asks of it.
type jsonError struct{ err error }

// Error returns what is wrong with the body, without its content.
func (e *jsonError) Error() string {
	return "Could not parse payload into json: " + clip(e.err.Error())
}

// Unwrap returns the parser's error.
func (e *jsonError) Unwrap() error { return e.err }

// Property is body.
func (i *inputObject) Property(name string) any {
	if name == "body" {
		if i.text == "" {
			i.text = string(i.body)
		}
		return i.text
	}
	return nil
}

// Call is json, path, params and body.
func (i *inputObject) Call(name string, args []any) (any, error) {
	switch {
	case name == "body" && len(args) == 0:
		return i.Property(name), nil
	case (name == "json" || name == "path") && len(args) == 1:
		v, ok, err := i.follow(argumentText(args[0]))
		if err != nil || name == "path" {
			return v, err
		}
		if !ok {
			// What json gives for a path that leads nowhere: best evidence.
			return `""`, nil
		}
		return velocity.JSON(v)
	case name == "params" && len(args) == 0:
		return i.allParameters(), nil
	case name == "params" && len(args) == 1:
		wanted := argumentText(args[0])
		for _, place := range parameterPlaces {
			if m, ok := i.allParameters().Get(place).(*velocity.Map); ok && m.Has(wanted) {
				return m.Get(wanted), nil
			}
		}
		for name := range i.c.r.Header {
			if strings.EqualFold(name, wanted) {
				return i.c.header(name), nil
			}
		}
		return "", nil
	}
	return nil, nil
}

// parameterPlaces are searched in this order for a parameter by its name alone.
var parameterPlaces = [...]string{"path", "querystring", "header"}

// follow is what a JSONPath leads to in the body.
func (i *inputObject) follow(path string) (any, bool, error) {
	if i.selected++; i.selected > maxSelections {
		return nil, false, velocity.ErrLimit
	}
	p, err := velocity.ParsePath(path)
	if err != nil {
		return nil, false, err
	}
	if !i.parsed {
		i.parsed = true
		if len(strings.TrimSpace(string(i.body))) == 0 {
			i.root = velocity.NewMap() // a call without a body has an empty object
		} else if i.root, err = velocity.ParseJSON(i.body); err != nil {
			i.parsed = false
			return nil, false, &jsonError{err}
		}
	}
	return p.Select(i.root)
}

// allParameters are path, querystring and header, each a map by name.
func (i *inputObject) allParameters() *velocity.Map {
	if i.all != nil {
		return i.all
	}
	path, query, header := velocity.NewMap(), velocity.NewMap(), velocity.NewMap()
	for _, p := range i.c.params {
		path.Set(p.name, p.value)
	}
	values := i.c.query()
	for _, name := range sortedKeys(values) {
		query.Set(name, values[name][len(values[name])-1])
	}
	h := i.c.forwardedHeader()
	for _, name := range sortedKeys(h) {
		header.Set(name, strings.Join(h[name], ","))
	}
	i.all = velocity.NewMap()
	i.all.Set("path", path)
	i.all.Set("querystring", query)
	i.all.Set("header", header)
	return i.all
}

// argumentText is a method's argument as a text.
func argumentText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	s, err := velocity.JSON(v)
	if err != nil || v == nil {
		return ""
	}
	return s
}

// overrides are what a template sets in $context.requestOverride and
// $context.responseOverride.
type overrides struct{ request, response *velocity.Map }

func newOverrides() *overrides {
	o := &overrides{velocity.NewMap(), velocity.NewMap()}
	for _, place := range parameterPlaces {
		o.request.Set(place, velocity.NewMap())
	}
	o.response.Set("header", velocity.NewMap())
	return o
}

// each calls f with every value that a template set under a name.
func each(m *velocity.Map, name string, f func(name, value string)) {
	inner, ok := m.Get(name).(*velocity.Map)
	if !ok {
		return
	}
	for _, k := range inner.Keys() {
		f(k, argumentText(inner.Get(k)))
	}
}

// contextObject is $context, and what is below it up to a variable.
type contextObject struct {
	c         *call
	overrides *overrides
	prefix    string
}

// contextGroups are the names below $context that have names of their own.
var contextGroups = map[string]bool{
	"identity": true, "authorizer": true, "error": true, "integration": true, "authenticate": true, "authorize": true,
	"customDomain": true, "identity.clientCert": true, "authorizer.claims": true, "authorizer.jwt": true, "authorizer.jwt.claims": true,
}

// Property is a variable, a group of them, or the overrides.
func (o *contextObject) Property(name string) any {
	full := o.prefix + name
	switch {
	case full == "requestOverride":
		return o.overrides.request
	case full == "responseOverride":
		return o.overrides.response
	case contextGroups[full]:
		return &contextObject{o.c, o.overrides, full + "."}
	case full == "identity.apiKey" && o.c.apiKey != nil:
		return o.c.apiKey.value // masked in logs alone
	}
	if v := o.c.variable(full); v != "" {
		return v
	}
	return nil
}

// Call is get.
func (o *contextObject) Call(name string, args []any) (any, error) {
	if name == "get" && len(args) == 1 {
		return o.Property(argumentText(args[0])), nil
	}
	return nil, nil
}

// stageObject is $stageVariables.
type stageObject struct{ variables map[string]string }

// Property is a stage variable.
func (o *stageObject) Property(name string) any {
	if v, ok := o.variables[name]; ok {
		return v
	}
	return nil
}

// Call is get.
func (o *stageObject) Call(name string, args []any) (any, error) {
	if name == "get" && len(args) == 1 {
		return o.Property(argumentText(args[0])), nil
	}
	return nil, nil
}

// utilObject is $util.
type utilObject struct{}

// Property is nothing.
func (utilObject) Property(string) any { return nil }

// Call is one of the functions that API Gateway documents.
func (utilObject) Call(name string, args []any) (any, error) {
	if len(args) != 1 {
		return nil, nil
	}
	if args[0] == nil {
		return nil, nil
	}
	s := argumentText(args[0])
	switch name {
	case "escapeJavaScript":
		return escapeJavaScript(s), nil
	case "parseJson":
		v, err := velocity.ParseJSON([]byte(s))
		if err != nil {
			return nil, &jsonError{err}
		}
		return v, nil
	case "urlEncode":
		return url.QueryEscape(s), nil
	case "urlDecode":
		v, err := url.QueryUnescape(s)
		if err != nil {
			return nil, errors.New("$util.urlDecode: the text is not URL-encoded")
		}
		return v, nil
	case "base64Encode":
		return base64.StdEncoding.EncodeToString([]byte(s)), nil
	case "base64Decode":
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return nil, errors.New("$util.base64Decode: the text is not base64")
		}
		return string(b), nil
	}
	return nil, nil
}

// escapeJavaScript escapes as Apache Commons Lang does: quotes, slashes, control
// characters, and all that is not ASCII.
func escapeJavaScript(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\'' || r == '"' || r == '\\' || r == '/':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\b':
			b.WriteString(`\b`)
		case r == '\f':
			b.WriteString(`\f`)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04X\u%04X`, high, low)
		case r < ' ' || r > 0x7e:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
