package transaction

import "strings"

// elements redacts the content of XML elements by their names, and of those whose
// name or key attribute is that of a secret.
func (d *redaction) elements(s string) string {
	var out []byte
	done := 0
	for i := 0; ; {
		n := strings.IndexByte(s[i:], '<')
		if n < 0 {
			break
		}
		i += n + 1
		end := i
		for end < len(s) && (isNameByte(s[end]) || s[end] == '-' || s[end] == ':' || s[end] == '.') {
			end++
		}
		tagName := s[i:end]
		name := tagName[strings.LastIndexByte(tagName, ':')+1:]
		if name == "" {
			continue
		}
		secret := d.isSecret(name, placeBody)
		if !secret && (end >= len(s) || s[end] != ' ') {
			continue
		}
		tag := strings.IndexByte(s[end:min(len(s), end+maxTag)], '>')
		if tag < 0 {
			continue
		}
		from := end + tag + 1
		if !secret {
			var value, to int
			if value, to, secret = d.secretAttribute(s, end, from-1); !secret {
				continue
			}
			if value < to && value >= done {
				out = append(append(out, s[done:value]...), Redacted...)
				done = to
			}
		}
		i = from
		if s[from-2] == '/' {
			continue
		}
		to := len(s)
		closing := endOfElement(s, from, tagName)
		if strings.HasPrefix(s[from:], "<![CDATA[") {
			from += len("<![CDATA[")
			if n := strings.Index(s[from:], "]]>"); n >= 0 {
				to = from + n
			}
		} else if closing >= 0 {
			to = closing
		} else if n := strings.IndexByte(s[from:], '<'); n > 0 {
			to = from + n
		}
		i = to
		if strings.TrimSpace(s[from:to]) == "" || isMasked(s[from:to]) || s[from:to] == Redacted {
			continue
		}
		out = append(append(out, s[done:from]...), Redacted...)
		done = to
	}
	if out == nil {
		return s
	}
	return string(append(out, s[done:]...))
}

const (
	// maxTag is the longest tag that is looked at.
	maxTag = 4096
	// maxElement is how far the end of an element is looked for.
	maxElement = 16 << 10
)

// endOfElement is where the closing tag of an element stands whose content begins
// at from, or a negative number.
func endOfElement(s string, from int, name string) int {
	rest := s[from:min(len(s), from+maxElement)]
	for at := 0; ; {
		n := strings.Index(rest[at:], "</")
		if n < 0 {
			return -1
		}
		at += n
		if tail, ok := strings.CutPrefix(rest[at+2:], name); ok && (tail == "" || tail[0] == '>' || tail[0] == ' ') {
			return from + at
		}
		at += 2
	}
}

// secretAttribute looks in a tag for an attribute that says a secret's name, and
// tells where the value attribute's text stands, if it has one.
func (d *redaction) secretAttribute(s string, from, end int) (value, to int, secret bool) {
	for i := from; i < end; {
		n := strings.IndexByte(s[i:end], '=')
		if n < 0 {
			break
		}
		name := strings.TrimSpace(s[i : i+n])
		i += n + 1
		if i >= end || s[i] != '"' && s[i] != '\'' {
			continue
		}
		n = strings.IndexByte(s[i+1:end], s[i])
		if n < 0 {
			break
		}
		text := s[i+1 : i+1+n]
		switch {
		case strings.EqualFold(name, "value"):
			value, to = i+1, i+1+n
		case saysName(name) || strings.EqualFold(name, "id"):
			secret = secret || d.isSecret(text, placeBody)
		}
		i += n + 2
	}
	return value, to, secret
}

// maxPartHeader is how far after a part's name its value begins at most.
const maxPartHeader = 1024

// formParts redacts the parts of a multipart form by their names. The header of
// a part ends with an empty line, its value with the line of the boundary.
func (d *redaction) formParts(s string) string {
	var out []byte
	done := 0
	for i := 0; ; {
		n := strings.Index(s[i:], "name=")
		if n < 0 {
			break
		}
		i += n + len("name=")
		quote := byte(0)
		if i < len(s) && (s[i] == '"' || s[i] == '\'') {
			quote = s[i]
			i++
		}
		end := i
		for ; end < len(s) && end-i < maxPartHeader && s[end] != quote && (quote != 0 || s[end] > ' ' && s[end] != ';'); end++ {
		}
		name := s[i:end]
		i = end
		if !d.isSecret(name, placeQuery) {
			continue
		}
		head := s[i:min(len(s), i+maxPartHeader)]
		from, skip := strings.Index(head, "\n\r\n"), 3
		if other := strings.Index(head, "\n\n"); other >= 0 && (from < 0 || other < from) {
			from, skip = other, 2
		}
		if from < 0 {
			continue
		}
		from += i + skip
		to := len(s)
		if n := strings.Index(s[from:], "\n--"); n >= 0 {
			to = from + n
		}
		i = to
		out = append(append(out, s[done:from]...), Redacted...)
		done = to
	}
	if out == nil {
		return s
	}
	return string(append(out, s[done:]...))
}
