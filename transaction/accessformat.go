package transaction

import (
	"errors"
	"fmt"
	"strings"
	"sync"
)

// AccessFormat is a compiled access-log format: a stage's
// accessLogSettings.format. It is safe for concurrent use.
type AccessFormat struct {
	segments []segment
	json     map[string]jsonValue // where the format is JSON
}

// segment is a variable, and the literal text that follows it. The first has no
// variable.
type segment struct {
	variable bool
	field    field
	literal  string
}

// ErrNoVariables means that an access-log format names no $context variable, so
// that nothing could be read by it.
var ErrNoVariables = errors.New("the format names no $context variable")

// CompileAccessFormat compiles an access-log format in JSON, CLF, XML, CSV or
// any other arrangement of $context variables. Variables that a transaction has
// no place for are skipped.
func CompileAccessFormat(format string) (*AccessFormat, error) {
	format = strings.TrimSpace(format)
	f := &AccessFormat{}
	if strings.HasPrefix(format, "{") {
		values := map[string]string{}
		if readFormat(format, values) {
			f.json = map[string]jsonValue{}
			for path, text := range values {
				inner, err := compileText(text)
				if err != nil {
					continue // a constant
				}
				v := jsonValue{inner: inner}
				if s := inner.segments; len(s) == 2 && s[0].literal == "" && s[1].literal == "" {
					v = jsonValue{field: s[1].field}
				}
				f.json[path] = v
			}
			if len(f.json) > 0 {
				return f, nil
			}
		}
		if f.json != nil {
			return nil, fmt.Errorf("compiling access-log format: %w", ErrNoVariables)
		}
	}
	f, err := compileText(format)
	if err != nil {
		return nil, fmt.Errorf("compiling access-log format: %w", err)
	}
	return f, nil
}

// readFormat reads a JSON format into values by path of keys. It reports whether
// the format is an object that can be read.
func readFormat(format string, values map[string]string) bool {
	return formatObject(format, 1, "", values, 0) > 0
}

func formatObject(t string, i int, outer string, values map[string]string, depth int) int {
	for {
		i = skipSpace(t, i)
		if i >= len(t) {
			return -1
		}
		switch t[i] {
		case '}':
			return i + 1
		case ',':
			i++
			continue
		case '"':
		default:
			return -1
		}
		n := strings.IndexByte(t[i+1:], '"')
		if n < 0 {
			return -1
		}
		path := t[i+1 : i+1+n]
		if outer != "" {
			path = outer + "." + path
		}
		i = skipSpace(t, i+n+2)
		if i >= len(t) || t[i] != ':' {
			return -1
		}
		if i = skipSpace(t, i+1); i >= len(t) {
			return -1
		}
		switch {
		case t[i] == '"':
			n := strings.IndexByte(t[i+1:], '"')
			if n < 0 {
				return -1
			}
			values[path] = t[i+1 : i+1+n]
			i += n + 2
		case t[i] == '{' && depth < maxDepth:
			if i = formatObject(t, i+1, path, values, depth+1); i < 0 {
				return -1
			}
		case t[i] == '[' || t[i] == '{':
			if i = skipValue(t, i); i < 0 {
				return -1
			}
		default:
			n := strings.IndexAny(t[i:], ",}")
			if n < 0 {
				return -1
			}
			values[path] = strings.TrimSpace(t[i : i+n])
			i += n
		}
	}
}

func compileText(format string) (*AccessFormat, error) {
	f := &AccessFormat{}
	literal := 0
	current := segment{}
	found := false
	for i := 0; i < len(format); {
		n := strings.IndexByte(format[i:], '$')
		if n < 0 {
			break
		}
		i += n
		name, size := variableAt(format[i:])
		if size == 0 {
			i++
			continue
		}
		found = true
		current.literal = format[literal:i]
		f.segments = append(f.segments, current)
		current = segment{variable: true, field: fieldOfVariable(name)}
		i += size
		literal = i
	}
	if !found {
		return nil, ErrNoVariables
	}
	current.literal = format[literal:]
	f.segments = append(f.segments, current)
	return f, nil
}

// variableAt reads a variable at the start of s, without "$context.". Its size
// is 0 if there is none.
func variableAt(s string) (name string, size int) {
	rest, ok := strings.CutPrefix(s, "$context.")
	braced := false
	if !ok {
		if rest, ok = strings.CutPrefix(s, "${context."); !ok {
			return "", 0
		}
		braced = true
	}
	n := 0
	for n < len(rest) {
		c := rest[n]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' {
			n++
			continue
		}
		// A dot, colon or hyphen belongs to the name only if the name goes on.
		if (c == '.' || c == ':' || c == '-') && n > 0 && n+1 < len(rest) && isNameByte(rest[n+1]) {
			if c != '.' && !strings.HasPrefix(rest[:n], "authorizer.") {
				break
			}
			n++
			continue
		}
		break
	}
	if n == 0 {
		return "", 0
	}
	name, size = rest[:n], len(s)-len(rest)+n
	if after, ok := strings.CutPrefix(rest[n:], "['"); ok {
		if inner, _, ok := strings.Cut(after, "']"); ok && len(inner) <= 64 {
			name += "." + inner
			size += len(inner) + 4
		}
	}
	if braced {
		if size >= len(s) || s[size] != '}' {
			return "", 0
		}
		size++
	}
	return name, size
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

// maxMatched is the longest line that is fitted to a format: finding where values
// end may need several tries, and no access record is so long.
const maxMatched = 64 << 10

// match takes text apart by the format and gives the variables to r. It gives
// nothing where the text does not fit. The text may be whole, a record of its own.
func (f *AccessFormat) match(r *record, text string, whole bool) bool {
	if f.json != nil || len(f.segments) == 0 || len(text) > maxMatched {
		return false
	}
	first := f.segments[0].literal
	if !strings.HasPrefix(text, first) {
		if text = strings.TrimSpace(text); !strings.HasPrefix(text, first) {
			return false
		}
		whole = false
	}
	var room [48]string
	values := room[:0]
	if len(f.segments) > len(room) {
		values = make([]string, 0, len(f.segments))
	}
	values = values[:len(f.segments)]
	text = text[len(first):]
	if steps := 0; !f.matchFirst(text, values) && !f.matchFrom(1, text, values, &steps) {
		return false
	}
	at := len(first)
	for i := 1; i < len(f.segments); i++ {
		s := &f.segments[i]
		if whole {
			r.putAt(s.field, values[i], at)
			at += len(values[i]) + len(s.literal)
		} else {
			r.put(s.field, values[i])
		}
	}
	return true
}

// matchFirst tries the first choice that matchFrom would make for each value, and
// no other. Nearly all lines fit so.
func (f *AccessFormat) matchFirst(text string, values []string) bool {
	last := len(f.segments) - 1
	for n := 1; n < last; n++ {
		s := &f.segments[n]
		var end int
		switch {
		case s.literal == "":
			return false
		case s.field.in(callerWrites):
			end = lastIndex(text, s.literal)
		case len(s.literal) == 1:
			end = strings.IndexByte(text, s.literal[0])
		default:
			end = strings.Index(text, s.literal)
		}
		if end < 0 || !s.field.in(callerWrites) && !s.field.accepts(text[:end]) {
			return false
		}
		values[n], text = text[:end], text[end+len(s.literal):]
	}
	s := &f.segments[last]
	value, ok := strings.CutSuffix(text, s.literal)
	if !ok || last == 0 || !s.field.accepts(value) {
		return false
	}
	values[last] = value
	return true
}

// lastIndex is strings.LastIndex for literals, which are short.
func lastIndex(text, literal string) int {
	for end := len(text) - len(literal) + 1; end > 0; {
		i := strings.LastIndexByte(text[:end], literal[0])
		if i < 0 || text[i:i+len(literal)] == literal {
			return i
		}
		end = i
	}
	return -1
}

// matchFrom fits the segments from n on to text. A value ends at the first place
// where the literal after it stands and the rest fits; one that the caller
// writes ends at the last, so that it cannot hold what passes for other values.
func (f *AccessFormat) matchFrom(n int, text string, values []string, steps *int) bool {
	if n == len(f.segments) {
		return text == ""
	}
	s := &f.segments[n]
	if *steps++; *steps > maxSteps {
		return false
	}
	if n == len(f.segments)-1 {
		value, ok := strings.CutSuffix(text, s.literal)
		if !ok {
			value, ok = strings.CutSuffix(text, strings.TrimRight(s.literal, " "))
		}
		if !ok || !s.field.accepts(value) {
			return false
		}
		values[n] = value
		return true
	}
	if s.literal == "" {
		// Two variables side by side: nothing says where the first ends, so it
		// takes what its kind can and the second the rest.
		end := s.field.span(text)
		values[n] = text[:end]
		return f.matchFrom(n+1, text[end:], values, steps)
	}
	if s.field.in(callerWrites) {
		for end := lastIndex(text, s.literal); end >= 0; end = lastIndex(text[:end], s.literal) {
			values[n] = text[:end]
			if f.matchFrom(n+1, text[end+len(s.literal):], values, steps) {
				return true
			}
			if *steps > maxSteps {
				return false
			}
		}
		return false
	}
	for from := 0; ; {
		var i int
		if len(s.literal) == 1 {
			i = strings.IndexByte(text[from:], s.literal[0])
		} else {
			i = strings.Index(text[from:], s.literal)
		}
		if i < 0 {
			return false
		}
		end := from + i
		if s.field.accepts(text[:end]) {
			values[n] = text[:end]
			if f.matchFrom(n+1, text[end+len(s.literal):], values, steps) {
				return true
			}
		} else if s.field.oneWord() && strings.IndexByte(text[:end], ' ') >= 0 {
			return false // more text cannot help
		}
		if *steps++; *steps > maxSteps {
			return false
		}
		from = end + 1
	}
}

// oneWord reports whether values of the field have no space in them.
func (f field) oneWord() bool {
	switch f {
	case fieldRequestID, fieldExtendedID, fieldAPIID, fieldStage, fieldIP, fieldMethod, fieldStatus, fieldProtocol,
		fieldResponseLength, fieldResponseLatency, fieldIntegrationLatency, fieldIntegrationStatus, fieldServiceStatus,
		fieldRequestTimeEpoch, fieldConnectionID, fieldEventType, fieldAPIKeyID, fieldDomain, fieldResourcePath,
		fieldAuthorizerStatus, fieldAuthorizerLatency, fieldIdentityAccount, fieldErrorType:
		return true
	default:
		return false
	}
}

// accepts reports whether value can be one of the field.
func (f field) accepts(value string) bool {
	if value == "-" || value == "" {
		return true
	}
	switch f {
	case fieldStatus, fieldIntegrationStatus, fieldServiceStatus, fieldAuthorizerStatus, fieldAuthorizeStatus,
		fieldAuthenticateStatus, fieldWAFStatus, fieldResponseLength, fieldResponseLatency, fieldIntegrationLatency,
		fieldAuthorizerLatency, fieldRequestTimeEpoch:
		for i := range len(value) {
			if c := value[i]; (c < '0' || c > '9') && c != '.' {
				return false
			}
		}
		return true
	case fieldRequestTime:
		_, ok := parseRequestTime(value)
		return ok
	case fieldMethod:
		for i := range len(value) {
			if c := value[i]; c <= ' ' || c == '"' || c == '<' || c == ',' {
				return false
			}
		}
		return true
	case fieldProtocol:
		return strings.HasPrefix(value, "HTTP/") && strings.IndexByte(value, ' ') < 0
	case fieldRequestID, fieldExtendedID:
		return validID(value)
	default:
		return !f.oneWord() || strings.IndexByte(value, ' ') < 0
	}
}

// span says how much of text a value of the field can take.
func (f field) span(text string) int {
	switch f {
	case fieldStatus, fieldIntegrationStatus, fieldServiceStatus:
		return min(3, len(text))
	case fieldRequestID:
		return min(36, len(text))
	case fieldRequestTime:
		return min(len(requestTimeLayout), len(text))
	case fieldRequestTimeEpoch:
		return min(13, len(text))
	case fieldMethod:
		i := 0
		for i < len(text) && text[i] >= 'A' && text[i] <= 'Z' {
			i++
		}
		return i
	default:
		return len(text)
	}
}

// presets are the formats that API Gateway's console offers which are not JSON
// or XML; those are read without a format.
var presets = sync.OnceValue(func() []*AccessFormat {
	var all []*AccessFormat
	for _, format := range [...]string{
		// REST: CLF, CSV.
		`$context.identity.sourceIp $context.identity.caller $context.identity.user [$context.requestTime]"$context.httpMethod $context.resourcePath $context.protocol" $context.status $context.responseLength $context.requestId $context.extendedRequestId`,
		`$context.identity.sourceIp $context.identity.caller $context.identity.user [$context.requestTime] "$context.httpMethod $context.resourcePath $context.protocol" $context.status $context.responseLength $context.requestId $context.extendedRequestId`,
		`$context.identity.sourceIp,$context.identity.caller,$context.identity.user,$context.requestTime,$context.httpMethod,$context.resourcePath,$context.protocol,$context.status,$context.responseLength,$context.requestId,$context.extendedRequestId`,
		// HTTP: CLF, CSV. Also REST without the extended id.
		`$context.identity.sourceIp - - [$context.requestTime] "$context.httpMethod $context.routeKey $context.protocol" $context.status $context.responseLength $context.requestId`,
		`$context.identity.sourceIp $context.identity.caller $context.identity.user [$context.requestTime]"$context.httpMethod $context.resourcePath $context.protocol" $context.status $context.responseLength $context.requestId`,
		`$context.identity.sourceIp $context.identity.caller $context.identity.user [$context.requestTime] "$context.httpMethod $context.resourcePath $context.protocol" $context.status $context.responseLength $context.requestId`,
		`$context.identity.sourceIp,$context.requestTime,$context.httpMethod,$context.routeKey,$context.protocol,$context.status,$context.responseLength,$context.requestId`,
		`$context.identity.sourceIp,$context.identity.caller,$context.identity.user,$context.requestTime,$context.httpMethod,$context.resourcePath,$context.protocol,$context.status,$context.responseLength,$context.requestId`,
		// WebSocket: CLF, CSV.
		`$context.identity.sourceIp $context.identity.caller $context.identity.user [$context.requestTime] "$context.eventType $context.routeKey $context.connectionId" $context.status $context.requestId`,
		`$context.identity.sourceIp $context.identity.caller $context.identity.user [$context.requestTime] "$context.eventType $context.routeKey $context.connectionId" $context.requestId`,
		`$context.identity.sourceIp,$context.identity.caller,$context.identity.user,$context.requestTime,$context.eventType,$context.routeKey,$context.connectionId,$context.status,$context.requestId`,
		`$context.identity.sourceIp,$context.identity.caller,$context.identity.user,$context.requestTime,$context.eventType,$context.routeKey,$context.connectionId,$context.requestId`,
	} {
		if f, err := compileText(format); err == nil {
			all = append(all, f)
		}
	}
	return all
})
