package transaction

import "strings"

// isMasked reports whether API Gateway masked a value: stars, and at most the
// last six characters.
func isMasked(s string) bool {
	if s == "" || s[0] != '*' {
		return false
	}
	stars := 1
	for stars < len(s) && s[stars] == '*' {
		stars++
	}
	return len(s)-stars <= 6
}

// header redacts the value of a header, whose name is in lower case.
func (d *redaction) header(name, value string, cut bool) string {
	if value == "" || isMasked(value) {
		return value
	}
	if d.isSecret(name, placeHeader) {
		return Redacted
	}
	return d.text(value, cut)
}

// parameter redacts the value of a query parameter.
func (d *redaction) parameter(name, value string, cut bool) string {
	if value == "" || isMasked(value) {
		return value
	}
	if d.isSecret(name, placeQuery) {
		return Redacted
	}
	return d.body(value, cut)
}

// text redacts a line of text, a URI or a header's value: parameters in it by
// their names, what has the shape of a secret, and data of the classes that are
// taken out.
func (d *redaction) text(s string, cut bool) string {
	set := d.rules.classes
	if isShortWord(s) {
		set &^= hasCard // shorter than any
	} else {
		var cards bool
		if s, cards = d.secrets(s, cut, 0); !cards {
			set &^= hasCard
		}
	}
	if set != 0 {
		s = redactClasses(s, set)
	}
	return s
}

// secrets redacts what is a secret by its name or shape. It also tells whether the
// text may hold the number of a card.
func (d *redaction) secrets(s string, cut bool, depth int) (kept string, cards bool) {
	if strings.IndexByte(s, '=') >= 0 {
		s = d.parameters(s, depth)
	}
	if strings.IndexByte(s, '@') >= 0 {
		s = redactUserinfo(s)
	}
	return redactShapes(s, cut)
}

// body redacts a body of any kind. A body that was cut is redacted as far as it
// goes.
func (d *redaction) body(s string, cut bool) string {
	if len(s) < 4 {
		return s
	}
	if isShortWord(s) {
		return d.text(s, cut)
	}
	s = d.rules.paths.redact(s)
	quotes := strings.IndexByte(s, '"') >= 0
	if quotes && strings.IndexByte(s, ':') >= 0 {
		s = d.members(s)
	}
	if strings.IndexByte(s, '<') >= 0 {
		s = d.elements(s)
	}
	if strings.IndexByte(s, '=') >= 0 && strings.Contains(s, "name=") {
		s = d.formParts(s)
	}
	return d.text(s, cut)
}

// parameters redacts "name=value" wherever it stands: in a query, a form or
// loose text. A value ends where the next parameter can begin.
func (d *redaction) parameters(s string, depth int) string {
	var out []byte
	done := 0
	for i := 0; ; {
		n := strings.IndexByte(s[i:], '=')
		if n < 0 {
			break
		}
		equals := i + n
		i = equals + 1
		from := equals
		for from > 0 && isParameterByte(s[from-1]) {
			from--
		}
		where := placeBody
		if from == 0 || s[from-1] == '?' || s[from-1] == '&' || s[from-1] == '#' {
			where = placeQuery
		}
		if from == equals {
			continue
		}
		secret := d.isSecret(s[from:equals], where)
		if !secret && (depth >= maxEncoded || strings.IndexByte(s[i:min(len(s), i+maxEncodedValue)], '%') < 0) {
			continue
		}
		start := i
		if start < len(s) && (s[start] == '"' || s[start] == '\'') {
			start++
		}
		end := start
		for end < len(s) && !endsParameter(s[end]) {
			end++
		}
		if !secret {
			if end-start > maxEncodedValue || !d.hidesSecret(s[start:end], depth) {
				continue
			}
			out = append(append(out, s[done:start]...), Redacted...)
			i, done = end, end
			continue
		}
		if word := s[start:end]; (strings.EqualFold(word, "Bearer") || strings.EqualFold(word, "Basic")) && end < len(s) && s[end] == ' ' {
			for end++; end < len(s) && !endsParameter(s[end]); end++ {
			}
		}
		i = end
		if start == end || isMasked(s[start:end]) || s[start:end] == Redacted {
			continue
		}
		out = append(append(out, s[done:start]...), Redacted...)
		done = end
	}
	if out == nil {
		return s
	}
	return string(append(out, s[done:]...))
}

const (
	// maxEncoded is how many times over a value may be percent-encoded and is
	// still looked into.
	maxEncoded = 3
	// maxEncodedValue is the longest encoded value that is looked into.
	maxEncodedValue = 64 << 10
)

// hidesSecret reports whether a value holds something to take out once it is
// decoded: a secret under its name in a URL that was put into a form, for example.
func (d *redaction) hidesSecret(value string, depth int) bool {
	if strings.IndexByte(value, '%') < 0 {
		return false
	}
	plain := unpercent(strings.ReplaceAll(value, "+", " "))
	if plain == value {
		return false
	}
	kept, _ := d.secrets(plain, false, depth+1)
	if set := d.rules.classes; set != 0 {
		kept = redactClasses(kept, set)
	}
	return kept != plain
}

func isParameterByte(c byte) bool {
	return isNameByte(c) || c == '-' || c == '.' || c == '[' || c == ']' || c == '%'
}

func endsParameter(c byte) bool {
	switch c {
	case '&', ' ', '\t', '\n', '\r', '"', '\'', '<', '>', '#':
		return true
	}
	return false
}

// redactUserinfo takes the password out of URLs: scheme://user:password@host.
func redactUserinfo(s string) string {
	var out []byte
	done := 0
	for i := 0; ; {
		n := strings.Index(s[i:], "://")
		if n < 0 {
			break
		}
		i += n + 3
		end := i
		for end < len(s) && end-i < 512 && !endsAuthority(s[end]) {
			end++
		}
		at := strings.LastIndexByte(s[i:end], '@')
		if at < 0 {
			continue
		}
		colon := strings.IndexByte(s[i:i+at], ':')
		if colon < 0 || colon+1 == at || s[i+colon+1:i+at] == Redacted {
			continue
		}
		out = append(append(out, s[done:i+colon+1]...), Redacted...)
		done = i + at
		i = done
	}
	if out == nil {
		return s
	}
	return string(append(out, s[done:]...))
}

func endsAuthority(c byte) bool {
	switch c {
	case '/', '?', '#', ' ', '"', '\'', '<', '>', '\n':
		return true
	}
	return false
}

// members redacts the members of JSON by their names: also of JSON that is a
// string within JSON, whose quotes have backslashes, and of JSON that was cut.
func (d *redaction) members(s string) string {
	var out []byte
	done := 0
	named := false // the member before said that a "value" that follows is a secret
	for i := 0; ; {
		n := strings.IndexByte(s[i:], ':')
		if n < 0 {
			break
		}
		colon := i + n
		i = colon + 1
		closing := colon - 1
		for closing > 0 && (s[closing] == ' ' || s[closing] == '\t' || s[closing] == '\n' || s[closing] == '\r') {
			closing--
		}
		if closing < 1 || s[closing] != '"' {
			continue
		}
		end := closing
		for end > 0 && s[end-1] == '\\' {
			end--
		}
		level := closing - end
		low := max(0, end-160)
		opening := strings.LastIndexByte(s[low:end], '"')
		if opening < 0 {
			continue
		}
		name := s[low+opening+1 : end]
		value := skipSpace(s, colon+1)
		if value >= len(s) {
			break
		}
		secret := d.isSecret(name, placeBody)
		switch {
		case len(name) > 5 || secret:
		case named && strings.EqualFold(name, "value"):
			secret = true
		case saysName(name):
			// Only a string says a name; looking for the end of an object here
			// would cost the length of the body for each.
			from, to, quoted := value, value, false
			if c := s[value]; c == '"' || c == '\\' {
				from, to, quoted = memberValue(s, value, level)
			}
			named = quoted && from < to && d.isSecret(s[from:to], placeBody)
			continue
		}
		if !secret {
			continue
		}
		named = false
		from, to, quoted := memberValue(s, value, level)
		i = max(to, i)
		if from >= to || isMasked(s[from:to]) || s[from:to] == Redacted {
			continue
		}
		if !quoted {
			switch strings.TrimSpace(s[from:to]) {
			case "null", "true", "false", "":
				continue
			}
		}
		out = append(out, s[done:from]...)
		if quoted {
			out = append(out, Redacted...)
		} else {
			quote := s[end : closing+1]
			out = append(append(append(out, quote...), Redacted...), quote...)
		}
		done = to
	}
	if out == nil {
		return s
	}
	return string(append(out, s[done:]...))
}

// saysName reports whether the value of a member that is called so is the name of
// a value beside it.
func saysName(name string) bool {
	if name == "" {
		return false
	}
	switch name[0] {
	case 'n', 'N':
		return strings.EqualFold(name, "name")
	case 'f', 'F':
		return strings.EqualFold(name, "field")
	case 'k', 'K', 0xe2: // also the sign of Kelvin, which folds to a k
		return strings.EqualFold(name, "key")
	}
	return false
}

// memberValue finds the value at i, whose quotes have level backslashes: the
// text between the quotes, or all of an object, array or number. A value that
// was cut goes to the end.
func memberValue(s string, i, level int) (from, to int, quoted bool) {
	open := i
	for open < len(s) && open-i < level && s[open] == '\\' {
		open++
	}
	if open < len(s) && s[open] == '"' {
		from = open + 1
		for at := from; ; at++ {
			n := strings.IndexByte(s[at:], '"')
			if n < 0 {
				return from, len(s), true
			}
			at += n
			slashes := 0
			for at-slashes > from && s[at-slashes-1] == '\\' {
				slashes++
			}
			if slashes < level || (slashes-level)%(2*(level+1)) == 0 {
				return from, at - min(slashes, level), true
			}
		}
	}
	if s[i] == '{' || s[i] == '[' {
		if end := skipValue(s, i); end > 0 && level == 0 {
			return i, end, false
		}
		depth := 0
		for k := i; k < len(s); k++ {
			switch s[k] {
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i, k + 1, false
				}
			}
		}
		return i, len(s), false
	}
	end := i
	for end < len(s) && s[end] != ',' && s[end] != '}' && s[end] != ']' && s[end] != '\n' && s[end] != '"' && s[end] != '\\' {
		end++
	}
	return i, end, false
}
