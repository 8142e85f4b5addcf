package awssim

import "strings"

// filterPattern is a compiled filter pattern of plain terms: all of must, none
// of not and, if there are any, one of some.
type filterPattern struct{ must, some, not []string }

// compilePattern reads a filter pattern of words and "quoted phrases", each with
// an optional ? (any of these) or - (none of these) before it. The JSON, the
// space-delimited and the regular expression forms are refused rather than
// matched wrongly.
func compilePattern(text string) (*filterPattern, error) {
	rest := strings.TrimSpace(text)
	if rest == "" {
		return nil, nil
	}
	if len(text) > 1024 {
		return nil, invalid("1 validation error detected: Value at 'filterPattern' failed to satisfy constraint: Member must have length less than or equal to 1024")
	}
	if strings.ContainsAny(rest[:1], "{[%") {
		return nil, invalid("Invalid filter pattern: awssim matches terms and quoted phrases only")
	}
	p := &filterPattern{}
	for rest != "" {
		list := &p.must
		switch rest[0] {
		case '?':
			list, rest = &p.some, rest[1:]
		case '-':
			list, rest = &p.not, rest[1:]
		}
		var term string
		if strings.HasPrefix(rest, `"`) {
			end := strings.IndexByte(rest[1:], '"')
			if end < 0 {
				return nil, invalid("Invalid filter pattern: the quote is not closed")
			}
			term, rest = rest[1:1+end], rest[end+2:]
		} else {
			end := strings.IndexByte(rest, ' ')
			if end < 0 {
				end = len(rest)
			}
			term, rest = rest[:end], rest[end:]
		}
		if term == "" {
			return nil, invalid("Invalid filter pattern: a term is empty")
		}
		*list = append(*list, term)
		rest = strings.TrimLeft(rest, " ")
	}
	return p, nil
}

// match reports whether the message has what the pattern asks for. A nil
// pattern matches everything.
func (p *filterPattern) match(message string) bool {
	if p == nil {
		return true
	}
	for _, t := range p.must {
		if !strings.Contains(message, t) {
			return false
		}
	}
	for _, t := range p.not {
		if strings.Contains(message, t) {
			return false
		}
	}
	for _, t := range p.some {
		if strings.Contains(message, t) {
			return true
		}
	}
	return len(p.some) == 0
}
