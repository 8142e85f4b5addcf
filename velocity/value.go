package velocity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Object is a value with behaviour, such as API Gateway's $input.
type Object interface {
	// Property returns the value of .name; nil if there is none.
	Property(name string) any
	// Call calls a method; nil if there is none of that name. An error ends the
	// template.
	Call(name string, args []any) (any, error)
}

// Map is a map that keeps the order in which its keys came.
type Map struct {
	keys   []string
	values map[string]any
}

// NewMap makes an empty Map.
func NewMap() *Map { return &Map{values: map[string]any{}} }

// Get returns the value of a key; nil if there is none.
func (m *Map) Get(key string) any { return m.values[key] }

// Has reports whether there is a key.
func (m *Map) Has(key string) bool {
	_, ok := m.values[key]
	return ok
}

// Set gives a key a value.
func (m *Map) Set(key string, v any) {
	if _, ok := m.values[key]; !ok {
		m.keys = append(m.keys, key)
	}
	m.values[key] = v
}

// Remove takes a key out and returns its value.
func (m *Map) Remove(key string) any {
	v, ok := m.values[key]
	if !ok {
		return nil
	}
	delete(m.values, key)
	for i, k := range m.keys {
		if k == key {
			m.keys = append(m.keys[:i], m.keys[i+1:]...)
			break
		}
	}
	return v
}

// Keys are the keys in their order. The slice belongs to the Map.
func (m *Map) Keys() []string { return m.keys }

// Len is how many keys there are.
func (m *Map) Len() int { return len(m.keys) }

// List is a list. One that was read from JSON is written as JSON; one that a
// template made is written as [a, b].
type List struct {
	Items  []any
	asJSON bool
}

// NewList makes a List, as a template makes one.
func NewList(items ...any) *List { return &List{Items: items} }

// entry is what a Map's entrySet holds.
type entry struct {
	m   *Map
	key string
}

// Property is key or value.
func (e entry) Property(name string) any {
	switch name {
	case "key":
		return e.key
	case "value":
		return e.m.Get(e.key)
	}
	return nil
}

// Call is getKey, getValue or setValue.
func (e entry) Call(name string, args []any) (any, error) {
	switch {
	case name == "getKey" && len(args) == 0:
		return e.key, nil
	case name == "getValue" && len(args) == 0:
		return e.m.Get(e.key), nil
	}
	return nil, nil
}

// String is key=value.
func (e entry) String() string {
	b, _ := appendText(nil, e.m.Get(e.key), 1, maxString)
	return e.key + "=" + string(b)
}

// maxNesting bounds how deep JSON may be nested, and how deep a value is written.
const maxNesting = 128

// maxString bounds what one value is written as.
const maxString = 10 << 20

// errNested means that a value is nested too deeply, as one that holds itself is.
var errNested = errors.New("a value is nested too deeply")

// errLong means that a value is too long as a text.
var errLong = errors.New("a value is too long")

// ParseJSON reads one JSON value. Objects are *Map in the order of the text, arrays
// *List, and numbers json.Number, as they are written.
func ParseJSON(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := readJSON(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one JSON value")
	}
	return v, nil
}

func readJSON(d *json.Decoder, depth int) (any, error) {
	if depth > maxNesting {
		return nil, errNested
	}
	t, err := d.Token()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if delim == '[' {
		l := &List{asJSON: true}
		for d.More() {
			v, err := readJSON(d, depth+1)
			if err != nil {
				return nil, err
			}
			l.Items = append(l.Items, v)
		}
		_, err = d.Token()
		return l, err
	}
	m := NewMap()
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok {
			return nil, fmt.Errorf("%v is not a key", key)
		}
		v, err := readJSON(d, depth+1)
		if err != nil {
			return nil, err
		}
		m.Set(name, v)
	}
	_, err = d.Token()
	return m, err
}

// JSON writes a value as JSON. Whatever is no JSON value is written as its text.
func JSON(v any) (string, error) {
	b, err := appendJSON(nil, v, 0, maxString)
	return string(b), err
}

func appendJSON(b []byte, v any, depth, limit int) ([]byte, error) {
	if depth > maxNesting {
		return b, errNested
	}
	if len(b) > limit {
		return b, errLong
	}
	var err error
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case json.Number:
		return append(b, v...), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case float64:
		return append(b, formatFloat(v)...), nil
	case *Map:
		b = append(b, '{')
		for i, k := range v.keys {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendQuoted(b, k), ':')
			if b, err = appendJSON(b, v.values[k], depth+1, limit); err != nil {
				return b, err
			}
		}
		return append(b, '}'), nil
	case *List:
		b = append(b, '[')
		for i, e := range v.Items {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSON(b, e, depth+1, limit); err != nil {
				return b, err
			}
		}
		return append(b, ']'), nil
	default:
		return appendQuoted(b, textOf(v)), nil
	}
}

// appendQuoted writes a JSON string, with angle brackets and ampersands as they
// are.
func appendQuoted(b []byte, s string) []byte {
	w := bytes.NewBuffer(b)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil { // a string always encodes
		return append(b, `""`...)
	}
	return bytes.TrimSuffix(w.Bytes(), []byte("\n"))
}

// appendText writes a value as Java's toString does.
func appendText(b []byte, v any, depth, limit int) ([]byte, error) {
	if depth > maxNesting {
		return b, errNested
	}
	if len(b) > limit {
		return b, errLong
	}
	var err error
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case *Map:
		b = append(b, '{')
		for i, k := range v.keys {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = append(append(b, k...), '=')
			if b, err = appendText(b, v.values[k], depth+1, limit); err != nil {
				return b, err
			}
		}
		return append(b, '}'), nil
	case *List:
		if v.asJSON {
			return appendJSON(b, v, depth, limit)
		}
		b = append(b, '[')
		for i, e := range v.Items {
			if i > 0 {
				b = append(b, ", "...)
			}
			if b, err = appendText(b, e, depth+1, limit); err != nil {
				return b, err
			}
		}
		return append(b, ']'), nil
	default:
		return append(b, textOf(v)...), nil
	}
}

// textOf is the text of a value that holds no other.
func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return string(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return formatFloat(v)
	case fmt.Stringer:
		return v.String()
	default:
		return ""
	}
}

// formatFloat writes a number as Java does in the range in which Java writes no
// exponent.
func formatFloat(f float64) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return "0"
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.ContainsRune(s, '.') {
		s += ".0"
	}
	return s
}

// truth is whether a reference holds in a condition: all but null and false do.
func truth(v any) bool {
	b, ok := v.(bool)
	return v != nil && (!ok || b)
}

// integer reads a whole number.
func integer(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case json.Number:
		n, err := strconv.ParseInt(string(v), 10, 64)
		return n, err == nil
	}
	return 0, false
}

// number reads a number.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	case json.Number:
		f, err := strconv.ParseFloat(string(v), 64)
		return f, err == nil
	}
	return 0, false
}

// equal compares as #if's == does: numbers by value, what is of one kind as such,
// and all else as texts.
func equal(a, b any) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	x, isNumber := number(a)
	if y, ok := number(b); ok && isNumber {
		return x == y
	}
	m, isMap := a.(*Map)
	if n, ok := b.(*Map); ok && isMap {
		return m == n || sameText(m, n)
	}
	return sameText(a, b)
}

func sameText(a, b any) bool {
	x, err := appendText(nil, a, 0, maxString)
	y, failure := appendText(nil, b, 0, maxString)
	return err == nil && failure == nil && bytes.Equal(x, y)
}
