package velocity

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// call calls a method of a value. One that does not exist gives nil.
func (e *execution) call(v any, name string, args []any) (any, error) {
	switch name {
	case "toString":
		if len(args) == 0 {
			return e.text(v)
		}
	case "equals":
		if len(args) == 1 {
			return e.equal(v, args[0])
		}
	}
	switch v := v.(type) {
	case string:
		return e.textMethod(v, name, args)
	case *Map:
		return e.mapMethod(v, name, args)
	case *List:
		return e.listMethod(v, name, args)
	case Object:
		result, err := v.Call(name, args)
		if s, ok := result.(string); ok && err == nil {
			err = e.charge(len(s))
		}
		return result, err
	case int64, float64, json.Number:
		return numberMethod(v, name, args), nil
	}
	return nil, nil
}

func numberMethod(v any, name string, args []any) any {
	f, _ := number(v)
	switch name {
	case "intValue", "longValue", "shortValue":
		if i, ok := integer(v); ok {
			return i
		}
		if math.Abs(f) < 1<<62 {
			return int64(f)
		}
	case "doubleValue", "floatValue":
		return f
	case "compareTo":
		if len(args) == 1 {
			if g, ok := number(args[0]); ok {
				return int64(order3(f < g, f > g))
			}
		}
	}
	return nil
}

// texts are arguments as texts.
func (e *execution) texts(name string, args []any, n int) ([]string, error) {
	if len(args) != n {
		return nil, argument(name)
	}
	out := make([]string, n)
	for i, a := range args {
		var err error
		if out[i], err = e.text(a); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// textMethod are the methods of texts. Positions count characters. A long text
// costs more steps than a short one.
func (e *execution) textMethod(s, name string, args []any) (any, error) {
	if e.steps -= len(s) / 64; e.steps < 0 {
		return nil, ErrLimit
	}
	switch name {
	case "length":
		return int64(utf8.RuneCountInString(s)), nil
	case "isEmpty":
		return s == "", nil
	case "toLowerCase":
		return e.charged(strings.ToLower(s))
	case "toUpperCase":
		return e.charged(strings.ToUpper(s))
	case "trim":
		return strings.TrimFunc(s, func(r rune) bool { return r <= ' ' }), nil
	case "substring":
		return e.substring(s, args)
	case "charAt":
		return e.characterAt(s, args)
	case "indexOf", "lastIndexOf":
		return e.indexOf(s, name, args)
	case "split":
		return e.split(s, args)
	case "equalsIgnoreCase", "contains", "startsWith", "endsWith", "concat", "matches", "compareTo":
		t, err := e.texts(name, args, 1)
		if err != nil {
			return nil, err
		}
		return e.withText(s, name, t[0])
	case "replace", "replaceAll", "replaceFirst":
		t, err := e.texts(name, args, 2)
		if err != nil {
			return nil, err
		}
		return e.replace(s, name, t[0], t[1])
	}
	return nil, nil
}

func (e *execution) charged(s string) (any, error) { return s, e.charge(len(s)) }

func (e *execution) withText(s, name, t string) (any, error) {
	switch name {
	case "equalsIgnoreCase":
		return strings.EqualFold(s, t), nil
	case "contains":
		return strings.Contains(s, t), nil
	case "startsWith":
		return strings.HasPrefix(s, t), nil
	case "endsWith":
		return strings.HasSuffix(s, t), nil
	case "compareTo":
		return int64(strings.Compare(s, t)), nil
	case "concat":
		if err := e.charge(len(s) + len(t)); err != nil {
			return nil, err
		}
		return s + t, nil
	default: // matches
		r, err := e.pattern("^(?:"+t+")$", s)
		return err == nil && r.MatchString(s), err
	}
}

// maxPattern bounds a regular expression, whose compiled form is larger than it.
const maxPattern = 1000

// pattern is a regular expression, and what it costs.
type pattern struct {
	*regexp.Regexp
	instructions int
}

// pattern reads a regular expression that is to be used on a text. Reading one costs
// steps once, and using it as many as it has work: its instructions for each byte.
func (e *execution) pattern(text, on string) (*regexp.Regexp, error) {
	p, ok := e.patterns[text]
	if !ok {
		if len(text) > maxPattern {
			return nil, fmt.Errorf("a regular expression is longer than %d characters", maxPattern)
		}
		if e.steps -= costOfPattern; e.steps < 0 {
			return nil, ErrLimit
		}
		r, err := regexp.Compile(text)
		if err != nil {
			return nil, fmt.Errorf("a regular expression cannot be read: %w", err)
		}
		p = pattern{r, instructions(text)}
		if e.patterns == nil {
			e.patterns = map[string]pattern{}
		}
		e.patterns[text] = p
	}
	if e.steps -= len(on) / 64 * (p.instructions/16 + 1); e.steps < 0 {
		return nil, ErrLimit
	}
	return p.Regexp, nil
}

// costOfPattern is what reading a regular expression costs: a short one can stand
// for thousands of instructions.
const costOfPattern = 1000

// instructions is how large the program of a regular expression is.
func instructions(text string) int {
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return maxPattern
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return maxPattern
	}
	return len(program.Inst)
}

func (e *execution) replace(s, name, old, now string) (any, error) {
	if name == "replace" {
		n := strings.Count(s, old)
		if err := e.charge(len(s) + n*len(now)); err != nil {
			return nil, err
		}
		return strings.ReplaceAll(s, old, now), nil
	}
	r, err := e.pattern(old, s)
	if err != nil {
		return nil, err
	}
	now = javaReplacement(now)
	limit := -1
	if name == "replaceFirst" {
		limit = 1
	}
	var b []byte
	end := 0
	for _, m := range r.FindAllStringSubmatchIndex(s, limit) {
		b = append(b, s[end:m[0]]...)
		size := len(b)
		b = r.ExpandString(b, now, s, m)
		if err := e.charge(len(b) - size + m[0] - end); err != nil {
			return nil, err
		}
		end = m[1]
	}
	return string(append(b, s[end:]...)), e.charge(len(s) - end)
}

// javaReplacement writes Java's $1 and \x as Go's ${1} and x.
func javaReplacement(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			if s[i] == '$' {
				b.WriteByte('$')
			}
			b.WriteByte(s[i])
		case s[i] == '$' && i+1 < len(s) && '0' <= s[i+1] && s[i+1] <= '9':
			i++
			b.WriteString("${" + s[i:i+1] + "}")
		case s[i] == '$':
			b.WriteString("$$")
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// offsets turns positions in characters into those in bytes.
func offsets(s string, positions ...int64) ([]int, bool) {
	out := make([]int, len(positions))
	for i, n := range positions {
		if n < 0 {
			return nil, false
		}
		at := 0
		for ; n > 0; n-- {
			if at >= len(s) {
				return nil, false
			}
			_, size := utf8.DecodeRuneInString(s[at:])
			at += size
		}
		out[i] = at
	}
	return out, true
}

func (e *execution) substring(s string, args []any) (any, error) {
	var positions []int64
	for _, a := range args {
		n, ok := integer(a)
		if !ok {
			return nil, argument("substring")
		}
		positions = append(positions, n)
	}
	at, ok := offsets(s, positions...)
	switch {
	case ok && len(at) == 1:
		return s[at[0]:], nil
	case ok && len(at) == 2 && at[0] <= at[1]:
		return s[at[0]:at[1]], nil
	}
	return nil, argument("substring")
}

func (e *execution) characterAt(s string, args []any) (any, error) {
	if len(args) == 1 {
		if n, ok := integer(args[0]); ok {
			if at, ok := offsets(s, n); ok && at[0] < len(s) {
				r, _ := utf8.DecodeRuneInString(s[at[0]:])
				return string(r), nil
			}
		}
	}
	return nil, argument("charAt")
}

func (e *execution) indexOf(s, name string, args []any) (any, error) {
	if len(args) == 0 || len(args) > 2 {
		return nil, argument(name)
	}
	what, err := e.text(args[0])
	if err != nil {
		return nil, err
	}
	from := 0
	if len(args) == 2 {
		n, ok := integer(args[1])
		if !ok || name == "lastIndexOf" {
			return nil, argument(name)
		}
		at, ok := offsets(s, max(n, 0))
		if !ok {
			return int64(-1), nil
		}
		from = at[0]
	}
	i := strings.Index(s[from:], what)
	if name == "lastIndexOf" {
		i = strings.LastIndex(s, what)
	}
	if i < 0 {
		return int64(-1), nil
	}
	return int64(utf8.RuneCountInString(s[:from+i])), nil
}

// split splits as Java does: by a regular expression, without the empty texts at
// the end.
func (e *execution) split(s string, args []any) (any, error) {
	limit := int64(0)
	if len(args) == 2 {
		n, ok := integer(args[1])
		if !ok {
			return nil, argument("split")
		}
		limit, args = n, args[:1]
	}
	t, err := e.texts("split", args, 1)
	if err != nil {
		return nil, err
	}
	r, err := e.pattern(t[0], s)
	if err != nil {
		return nil, err
	}
	n := -1
	if limit > 0 {
		n = int(min(limit, 1<<20))
	}
	parts := r.Split(s, n)
	if limit == 0 {
		for len(parts) > 1 && parts[len(parts)-1] == "" {
			parts = parts[:len(parts)-1]
		}
	}
	l := NewList()
	for _, p := range parts {
		l.Items = append(l.Items, p)
	}
	return l, e.charge(32 * len(parts))
}

// mapMethod are the methods of maps.
func (e *execution) mapMethod(m *Map, name string, args []any) (any, error) {
	switch {
	case name == "size" && len(args) == 0:
		return int64(m.Len()), nil
	case name == "isEmpty" && len(args) == 0:
		return m.Len() == 0, nil
	case (name == "keySet" || name == "values" || name == "entrySet") && len(args) == 0:
		l := NewList()
		for _, k := range m.keys {
			switch name {
			case "keySet":
				l.Items = append(l.Items, k)
			case "values":
				l.Items = append(l.Items, m.values[k])
			default:
				l.Items = append(l.Items, entry{m, k})
			}
		}
		return l, e.charge(32 * len(l.Items))
	case name == "clear" && len(args) == 0:
		m.keys, m.values = nil, map[string]any{}
		return nil, nil
	case name == "putAll" && len(args) == 1:
		if other, ok := args[0].(*Map); ok {
			for _, k := range append([]string(nil), other.keys...) {
				m.Set(k, other.values[k])
			}
			return nil, e.charge(64 * other.Len())
		}
		return nil, argument(name)
	case name == "containsValue" && len(args) == 1:
		for _, k := range m.keys {
			same, err := e.equal(m.values[k], args[0])
			if err != nil || same {
				return same, err
			}
		}
		return false, nil
	case len(args) == 0:
		return nil, nil
	}
	key, err := e.text(args[0])
	if err != nil {
		return nil, err
	}
	switch {
	case name == "get" && len(args) == 1:
		return m.Get(key), nil
	case name == "getOrDefault" && len(args) == 2:
		if m.Has(key) {
			return m.Get(key), nil
		}
		return args[1], nil
	case name == "containsKey" && len(args) == 1:
		return m.Has(key), nil
	case name == "put" && len(args) == 2:
		before := m.Get(key)
		m.Set(key, args[1])
		return before, e.charge(64 + len(key))
	case name == "remove" && len(args) == 1:
		if e.steps -= m.Len(); e.steps < 0 {
			return nil, ErrLimit
		}
		return m.Remove(key), nil
	}
	return nil, nil
}

// listMethod are the methods of lists.
func (e *execution) listMethod(l *List, name string, args []any) (any, error) {
	size := len(l.Items)
	switch {
	case (name == "size" || name == "count") && len(args) == 0:
		return int64(size), nil
	case name == "isEmpty" && len(args) == 0:
		return size == 0, nil
	case name == "clear" && len(args) == 0:
		l.Items = nil
		return nil, nil
	case name == "add" && len(args) == 1:
		l.Items = append(l.Items, args[0])
		return true, e.charge(32)
	case name == "addAll" && len(args) == 1:
		other, ok := args[0].(*List)
		if !ok {
			return nil, argument(name)
		}
		if err := e.charge(32 * len(other.Items)); err != nil {
			return nil, err
		}
		l.Items = append(l.Items, other.Items...)
		return true, nil
	case (name == "contains" || name == "indexOf") && len(args) == 1:
		found := int64(-1)
		for i, item := range l.Items {
			same, err := e.equal(item, args[0])
			if err != nil {
				return nil, err
			}
			if same {
				found = int64(i)
				break
			}
		}
		if name == "indexOf" {
			return found, nil
		}
		return found >= 0, nil
	case name == "get" && len(args) == 1:
		if i, ok := position(args[0], size); ok {
			return l.Items[i], nil
		}
		return nil, argument(name)
	case name == "set" && len(args) == 2:
		i, ok := position(args[0], size)
		if !ok {
			return nil, argument(name)
		}
		before := l.Items[i]
		l.Items[i] = args[1]
		return before, nil
	case name == "remove" && len(args) == 1:
		i, ok := position(args[0], size)
		if _, isIndex := integer(args[0]); !isIndex {
			// Not an index, so the value itself.
			for i = range l.Items {
				if same, err := e.equal(l.Items[i], args[0]); err != nil {
					return nil, err
				} else if same {
					l.Items = slices.Delete(l.Items, i, i+1)
					return true, nil
				}
			}
			return false, nil
		}
		if !ok {
			return nil, argument(name)
		}
		if e.steps -= size; e.steps < 0 {
			return nil, ErrLimit
		}
		before := l.Items[i]
		l.Items = append(l.Items[:i], l.Items[i+1:]...)
		return before, nil
	case name == "subList" && len(args) == 2:
		from, ok := integer(args[0])
		to, also := integer(args[1])
		if !ok || !also || from < 0 || to > int64(size) || from > to {
			return nil, argument(name)
		}
		return NewList(append([]any(nil), l.Items[from:to]...)...), e.charge(16 * int(to-from))
	}
	return nil, nil
}
