package velocity

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Path is a JSONPath that has been read.
type Path struct {
	selectors []selector
	// function is length or size at the end of the path; empty if there is none.
	function string
	// definite paths lead to one value at most; the others give a list.
	definite bool
}

// selector is one step of a path.
type selector struct {
	recursive bool
	wildcard  bool
	names     []string
	indexes   []int
	slice     *[2]*int // from and to
	filter    *filter
}

// maxSelected bounds how many values a path visits.
const maxSelected = 200_000

// ParsePath reads a JSONPath, such as $.pets[0].name, $..id or
// $.pets[?(@.price < 10)].type.
func ParsePath(text string) (*Path, error) {
	p := &pathParser{src: text}
	if len(text) > 4096 {
		return nil, errors.New("the JSONPath is longer than 4096 characters")
	}
	if !p.take("$") {
		p.take(".") // API Gateway's mappings leave $. out
		p.src, p.pos = "$."+p.src[p.pos:], 1
	}
	path, err := p.path()
	if err != nil {
		return nil, err
	}
	if p.pos < len(p.src) {
		return nil, p.fail()
	}
	return path, nil
}

type pathParser struct {
	src   string
	pos   int
	depth int
}

func (p *pathParser) fail() error {
	rest := p.src[p.pos:]
	if rest == "" {
		return errors.New("the JSONPath does not end")
	}
	return fmt.Errorf("the JSONPath cannot be read from %q on", rest[:min(len(rest), 20)])
}

func (p *pathParser) take(text string) bool {
	if strings.HasPrefix(p.src[p.pos:], text) {
		p.pos += len(text)
		return true
	}
	return false
}

func (p *pathParser) blanks() {
	for p.pos < len(p.src) && p.src[p.pos] == ' ' {
		p.pos++
	}
}

// path reads the selectors behind $ or @.
func (p *pathParser) path() (*Path, error) {
	path := &Path{definite: true}
	for p.pos < len(p.src) {
		var s selector
		switch {
		case p.take(".."):
			s.recursive = true
		case p.take("."):
		case p.src[p.pos] == '[':
		default:
			return path, nil
		}
		if p.pos < len(p.src) && p.src[p.pos] == '[' {
			if err := p.bracket(&s); err != nil {
				return nil, err
			}
		} else if p.take("*") {
			s.wildcard = true
		} else {
			name := p.name()
			if name == "" {
				return nil, p.fail()
			}
			if (name == "length" || name == "size") && p.take("()") {
				path.function = name
				return path, nil
			}
			s.names = []string{name}
		}
		path.definite = path.definite && !s.recursive && !s.wildcard && s.slice == nil && s.filter == nil && len(s.names)+len(s.indexes) == 1
		path.selectors = append(path.selectors, s)
	}
	return path, nil
}

// name reads a name behind a dot.
func (p *pathParser) name() string {
	begin := p.pos
	for p.pos < len(p.src) && strings.IndexByte(".[]()*?@=!<>&|, '\"", p.src[p.pos]) < 0 {
		p.pos++
	}
	return p.src[begin:p.pos]
}

// quoted reads a text in quotes.
func (p *pathParser) quoted() (string, bool) {
	if p.pos >= len(p.src) || p.src[p.pos] != '\'' && p.src[p.pos] != '"' {
		return "", false
	}
	quote := p.src[p.pos]
	var b strings.Builder
	for i := p.pos + 1; i < len(p.src); i++ {
		switch c := p.src[i]; {
		case c == '\\' && i+1 < len(p.src):
			i++
			b.WriteByte(p.src[i])
		case c == quote:
			p.pos = i + 1
			return b.String(), true
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}

func (p *pathParser) integer() (*int, error) {
	begin := p.pos
	p.take("-")
	for p.pos < len(p.src) && '0' <= p.src[p.pos] && p.src[p.pos] <= '9' {
		p.pos++
	}
	if begin == p.pos {
		return nil, nil
	}
	n, err := strconv.Atoi(p.src[begin:p.pos])
	if err != nil {
		return nil, p.fail()
	}
	return &n, nil
}

// bracket reads ['a'], [0], [0,1], [1:3], [*] and [?(…)].
func (p *pathParser) bracket(s *selector) error {
	p.pos++ // [
	p.blanks()
	switch {
	case p.take("*"):
		s.wildcard = true
	case p.take("?("):
		f, err := p.filter()
		if err != nil {
			return err
		}
		if p.blanks(); !p.take(")") {
			return p.fail()
		}
		s.filter = f
	default:
		if err := p.members(s); err != nil {
			return err
		}
	}
	if p.blanks(); !p.take("]") {
		return p.fail()
	}
	return nil
}

func (p *pathParser) members(s *selector) error {
	for {
		p.blanks()
		if name, ok := p.quoted(); ok {
			s.names = append(s.names, name)
		} else {
			n, err := p.integer()
			if err != nil {
				return err
			}
			if p.take(":") {
				to, err := p.integer()
				if err != nil {
					return err
				}
				s.slice = &[2]*int{n, to}
				return nil
			}
			if n == nil {
				return p.fail()
			}
			s.indexes = append(s.indexes, *n)
		}
		if p.blanks(); !p.take(",") {
			return nil
		}
	}
}

// filter is the condition of [?(…)]: alternatives of conditions that all hold.
type filter struct{ any [][]comparison }

// comparison compares two operands; without op it asks whether left exists.
type comparison struct {
	negated     bool
	left, right operand
	op          string
}

type operand struct {
	path  *Path // of @
	value any
}

func (p *pathParser) filter() (*filter, error) {
	if p.depth++; p.depth > 16 {
		return nil, errors.New("the JSONPath's filters are nested too deeply")
	}
	defer func() { p.depth-- }()
	f := &filter{}
	var all []comparison
	for {
		var c comparison
		var err error
		p.blanks()
		c.negated = p.take("!")
		if c.left, err = p.operand(); err != nil {
			return nil, err
		}
		p.blanks()
		for _, op := range []string{"==", "!=", "<=", ">=", "<", ">"} {
			if p.take(op) {
				c.op = op
				if c.right, err = p.operand(); err != nil {
					return nil, err
				}
				break
			}
		}
		all = append(all, c)
		p.blanks()
		switch {
		case p.take("&&"):
		case p.take("||"):
			f.any, all = append(f.any, all), nil
		default:
			f.any = append(f.any, all)
			return f, nil
		}
	}
}

func (p *pathParser) operand() (operand, error) {
	p.blanks()
	if p.take("@") {
		path, err := p.path()
		return operand{path: path}, err
	}
	if s, ok := p.quoted(); ok {
		return operand{value: s}, nil
	}
	begin := p.pos
	for p.pos < len(p.src) && strings.IndexByte(" )&|=<>!", p.src[p.pos]) < 0 {
		p.pos++
	}
	v, err := ParseJSON([]byte(p.src[begin:p.pos]))
	if err != nil {
		p.pos = begin
		return operand{}, p.fail()
	}
	return operand{value: v}, nil
}

// Select returns what the path leads to. ok is false where a definite path leads
// nowhere; any other gives a list, which may be empty.
func (p *Path) Select(root any) (v any, ok bool, err error) {
	budget := maxSelected
	found, err := p.visit(root, &budget)
	if err != nil {
		return nil, false, err
	}
	if p.definite {
		if len(found) == 0 {
			return nil, false, nil
		}
		v = found[0]
	} else {
		v = &List{Items: found, asJSON: true}
	}
	if p.function == "" {
		return v, true, nil
	}
	switch v := v.(type) {
	case *List:
		return int64(len(v.Items)), true, nil
	case *Map:
		return int64(v.Len()), true, nil
	case string:
		return int64(len([]rune(v))), true, nil
	}
	return nil, false, nil
}

func (p *Path) visit(root any, budget *int) ([]any, error) {
	found := []any{root}
	for i := range p.selectors {
		var next []any
		for _, v := range found {
			var err error
			if next, err = p.selectors[i].apply(next, v, budget, 0); err != nil {
				return nil, err
			}
		}
		found = next
	}
	return found, nil
}

var errSelected = fmt.Errorf("the JSONPath visits more than %d values", maxSelected)

// apply adds what the selector finds in v.
func (s *selector) apply(out []any, v any, budget *int, depth int) ([]any, error) {
	if *budget--; *budget < 0 {
		return nil, errSelected
	}
	if depth > maxNesting {
		return nil, errNested
	}
	var err error
	switch v := v.(type) {
	case *Map:
		for _, name := range s.names {
			if v.Has(name) {
				out = append(out, v.Get(name))
			}
		}
		if s.wildcard || s.filter != nil {
			for _, k := range v.keys {
				if out, err = s.member(out, v.values[k], budget); err != nil {
					return nil, err
				}
			}
		}
	case *List:
		for _, i := range s.indexes {
			if i < 0 {
				i += len(v.Items)
			}
			if i >= 0 && i < len(v.Items) {
				out = append(out, v.Items[i])
			}
		}
		items := v.Items
		if s.slice != nil {
			items = cut(items, s.slice)
		}
		if s.slice != nil || s.wildcard || s.filter != nil {
			for _, item := range items {
				if out, err = s.member(out, item, budget); err != nil {
					return nil, err
				}
			}
		}
	}
	if !s.recursive {
		return out, nil
	}
	for _, inner := range children(v) {
		if out, err = s.apply(out, inner, budget, depth+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func children(v any) []any {
	switch v := v.(type) {
	case *Map:
		out := make([]any, 0, len(v.keys))
		for _, k := range v.keys {
			out = append(out, v.values[k])
		}
		return out
	case *List:
		return v.Items
	}
	return nil
}

// cut is [from:to] of a list.
func cut(items []any, by *[2]*int) []any {
	from, to := 0, len(items)
	for i, n := range by {
		if n == nil {
			continue
		}
		at := *n
		if at < 0 {
			at += len(items)
		}
		at = min(max(at, 0), len(items))
		if i == 0 {
			from = at
		} else {
			to = at
		}
	}
	if from > to {
		return nil
	}
	return items[from:to]
}

// member adds one value, if the filter lets it.
func (s *selector) member(out []any, v any, budget *int) ([]any, error) {
	if *budget--; *budget < 0 {
		return nil, errSelected
	}
	if s.filter != nil {
		ok, err := s.filter.holds(v, budget)
		if err != nil || !ok {
			return out, err
		}
	}
	return append(out, v), nil
}

func (f *filter) holds(v any, budget *int) (bool, error) {
	for _, all := range f.any {
		ok := true
		for i := range all {
			holds, err := all[i].holds(v, budget)
			if err != nil {
				return false, err
			}
			ok = ok && holds
		}
		if ok {
			return true, nil
		}
	}
	return false, nil
}

func (c *comparison) holds(v any, budget *int) (bool, error) {
	left, exists, err := c.left.of(v, budget)
	if err != nil {
		return false, err
	}
	holds := exists
	if c.op != "" {
		right, also, err := c.right.of(v, budget)
		if err != nil {
			return false, err
		}
		switch c.op {
		case "==":
			holds = exists && also && equal(left, right)
		case "!=":
			holds = exists != also || !equal(left, right)
		default:
			holds = exists && also && compare(c.op, left, right)
		}
	}
	return holds != c.negated, nil
}

func (o *operand) of(v any, budget *int) (any, bool, error) {
	if o.path == nil {
		return o.value, true, nil
	}
	found, err := o.path.visit(v, budget)
	if err != nil || len(found) == 0 {
		return nil, false, err
	}
	return found[0], true, nil
}
