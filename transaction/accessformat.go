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
	// identifies means that it has one of the request's ids.
	identifies bool
	// parenthesized means that its lines begin as those of an execution log do.
	parenthesized bool
	// members means that all values end as those of JSON's members do.
	members bool
}

// segment is a variable, and the literal text that follows it. The first has no
// variable.
type segment struct {
	variable bool
	field    field
	class    *class
	literal  string
	// endsHere means that the literal's first byte is none of the class's: the
	// value ends where that byte stands first.
	endsHere bool
	// beginsHere means that the last byte of the literal before is none of the
	// class's: the value begins behind the last place where that byte stands.
	beginsHere bool
	// endsQuoted means that the literal is the end of a JSON string, a comma and a
	// key that no other member of the format has. Where none of a line's values has
	// a quote in it, the value ends at the first one, because nowhere else can such
	// a key follow a comma.
	endsQuoted bool
	quoted     bool // error.messageString
}

// ErrNoVariables means that an access-log format names no $context variable, so
// that nothing could be read by it.
var ErrNoVariables = errors.New("the format names no $context variable")

// CompileAccessFormat compiles an access-log format in JSON, CLF, XML, CSV or
// any other arrangement of $context variables. Variables that a transaction has
// no place for are skipped.
//
// API Gateway puts values into the format as they are, so a value may hold what
// passes for the format's own text. A value is therefore read only where the
// line can be taken apart in one way; where there are several, the values on
// which they differ are left out.
func CompileAccessFormat(format string) (*AccessFormat, error) {
	format = strings.Trim(format, "\r\n")
	f, err := compileText(format)
	if err != nil {
		return nil, fmt.Errorf("compiling access-log format: %w", err)
	}
	if format = strings.TrimSpace(format); strings.HasPrefix(format, "{") {
		f.json = jsonNames(format)
	}
	return f, nil
}

// jsonNames tells what a JSON format puts under each of its keys, by which lines
// are read that are not quite what the format makes: those of the stage's format
// before, or with other space between the members.
func jsonNames(format string) map[string]jsonValue {
	values := map[string]string{}
	if !readFormat(format, values) {
		return nil
	}
	names := map[string]jsonValue{}
	for path, text := range values {
		inner, err := compileText(text)
		if err != nil {
			continue // a constant
		}
		v := jsonValue{inner: inner}
		if s := inner.segments; len(s) == 2 && s[0].literal == "" && s[1].literal == "" {
			v = jsonValue{field: s[1].field}
		}
		names[path] = v
	}
	return names
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
		current = segment{variable: true, field: fieldOfVariable(name), class: classOfVariable(name), quoted: name == "error.messageString"}
		i += size
		literal = i
	}
	if !found {
		return nil, ErrNoVariables
	}
	current.literal = format[literal:]
	f.segments = append(f.segments, current)
	first := f.segments[0].literal
	f.parenthesized = strings.HasPrefix(first, "(") || first == "" && f.segments[1].class.any
	for i := 1; i < len(f.segments); i++ {
		s, before := &f.segments[i], f.segments[i-1].literal
		f.identifies = f.identifies || s.field == fieldRequestID || s.field == fieldExtendedID
		s.endsHere = s.literal != "" && s.class.excludes(s.literal[0])
		s.endsQuoted = i < len(f.segments)-1 && f.keyOf(i) != "" && f.isOnlyKey(i)
		f.members = (f.members || i == 1) && (s.endsQuoted || s.endsHere || i == len(f.segments)-1)
		s.beginsHere = before != "" && s.class.excludes(before[len(before)-1])
	}
	return f, nil
}

// keyOf is the key in the literal after the n-th value, if that is the end of a
// string, a comma and a key: `","key":"`, with space or without.
func (f *AccessFormat) keyOf(n int) string {
	rest, ok := strings.CutPrefix(f.segments[n].literal, `"`)
	if !ok || !strings.HasSuffix(f.segments[n-1].literal, `"`) {
		return ""
	}
	between, rest, ok := strings.Cut(rest, `"`)
	if !ok || strings.TrimSpace(between) != "," {
		return ""
	}
	key, rest, ok := strings.Cut(rest, `"`)
	if rest = strings.TrimSpace(rest); !ok || rest != ":" && rest != `:"` || strings.Trim(key, ",: ") == "" {
		return ""
	}
	return key
}

// isOnlyKey reports whether no other literal has the key of the n-th.
func (f *AccessFormat) isOnlyKey(n int) bool {
	quoted := `"` + f.keyOf(n) + `"`
	for i := range f.segments {
		if i != n && strings.Contains(f.segments[i].literal, quoted) {
			return false
		}
	}
	return strings.Count(f.segments[n].literal, quoted) == 1
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
