package transaction

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// maxBodyDepth is how deep JSON and XML are followed.
	maxBodyDepth = 128
	// maxBodyFields is how many fields of a form or elements of XML are read.
	maxBodyFields = 4096
)

// JSON returns the body as one JSON value, and whether it is all of the body. JSON
// is returned as it is; of JSON that was cut, what was complete: members and
// elements that end before the cut, and the objects and arrays around them.
// Forms, multipart forms and XML become objects: a field that comes several times
// has an array, a file's part only its name, an XML attribute an at sign before its
// name. A body without such a structure returns an empty string.
func (b *Body) JSON() (text string, whole bool) {
	switch b.Kind {
	case BodyJSON:
		if !b.Truncated && json.Valid([]byte(b.Text)) {
			return b.Text, true
		}
		if !b.Truncated {
			return "", false
		}
		return SalvageJSON(b.Text), false
	case BodyForm:
		return b.formJSON()
	case BodyMultipart:
		return b.multipartJSON()
	case BodyXML:
		return b.xmlJSON()
	case BodyNone, BodyText, BodyBinary:
	}
	return "", false
}

// SalvageJSON returns what is complete of a JSON text that was cut, as valid JSON:
// nothing is made up for what is missing, so a member without all of its value is
// left out, and so is an object or array that has nothing complete in it. It
// returns an empty string if nothing is complete, or the text is not JSON up to
// where it was cut.
func SalvageJSON(text string) string {
	s := salvage{text: text}
	i := skipSpace(text, 0)
	if i >= len(text) || text[i] != '{' && text[i] != '[' {
		return ""
	}
	if end := s.value(i); end > 0 && skipSpace(text, end) == len(text) {
		return text[i:end]
	}
	if s.keep == 0 || s.broken {
		return ""
	}
	out := make([]byte, 0, s.keep-i+len(s.closing))
	out = append(out, text[i:s.keep]...)
	for _, bracket := range slices.Backward(s.closing) {
		out = append(out, bracket)
	}
	if !json.Valid(out) {
		return ""
	}
	return string(out)
}

// salvage reads JSON as far as it goes. keep is the end of the last value that is
// complete, and closing what must follow it.
type salvage struct {
	text    string
	open    []byte // closing brackets of what is open
	keep    int
	closing []byte
	broken  bool // not JSON, rather than cut
}

// value reads the value at i and returns the index after it, or a negative number
// if it is not complete.
func (s *salvage) value(i int) int {
	t := s.text
	switch c := t[i]; c {
	case '{', '[':
		if len(s.open) >= maxBodyDepth {
			return -1
		}
		s.open = append(s.open, c+2) // the closing bracket
		end := s.inside(i+1, c == '{')
		if end < 0 {
			return end
		}
		s.open = s.open[:len(s.open)-1]
		s.complete(end)
		return end
	case '"':
		for k := i + 1; k < len(t); k++ {
			switch t[k] {
			case '\\':
				k++
			case '"':
				s.complete(k + 1)
				return k + 1
			}
		}
		return -1
	default:
		end := i
		for end < len(t) && (isNameByte(t[end]) || t[end] == '-' || t[end] == '+' || t[end] == '.') {
			end++
		}
		switch {
		case end == i:
			s.broken = true
			return -1
		case end == len(t):
			return -1 // a number may go on
		}
		s.complete(end)
		return end
	}
}

// inside reads what is in an object or array, up to and with its end.
func (s *salvage) inside(i int, object bool) int {
	t := s.text
	for n := 0; ; n++ {
		i = skipSpace(t, i)
		if i >= len(t) {
			return -1
		}
		if t[i] == s.open[len(s.open)-1] {
			return i + 1
		}
		if n > 0 {
			if t[i] != ',' {
				s.broken = true
				return -1
			}
			if i = skipSpace(t, i+1); i >= len(t) {
				return -1
			}
		}
		if object {
			if t[i] != '"' {
				s.broken = true
				return -1
			}
			end := endOfString(t, i)
			if end >= len(t) {
				return -1
			}
			if i = skipSpace(t, end); i >= len(t) {
				return -1
			}
			if t[i] != ':' {
				s.broken = true
				return -1
			}
			if i = skipSpace(t, i+1); i >= len(t) {
				return -1
			}
		}
		if i = s.value(i); i < 0 {
			return -1
		}
	}
}

func (s *salvage) complete(end int) {
	s.keep = end
	s.closing = append(s.closing[:0], s.open...)
}

// fields collects names and values in order, and writes them as an object.
type fields struct {
	names  []string
	values map[string][]string // JSON texts
}

func (f *fields) add(name, value string) bool {
	if len(f.names) >= maxBodyFields {
		return false
	}
	if f.values == nil {
		f.values = map[string][]string{}
	}
	if _, ok := f.values[name]; !ok {
		f.names = append(f.names, name)
	}
	f.values[name] = append(f.values[name], value)
	return true
}

func (f *fields) appendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	for i, name := range f.names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendQuoted(dst, name), ':')
		values := f.values[name]
		if len(values) == 1 {
			dst = append(dst, values[0]...)
			continue
		}
		dst = append(dst, '[')
		for k, v := range values {
			if k > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, v...)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func appendQuoted(dst []byte, s string) []byte { return jsonWriter(dst).value(s) }

func quoted(s string) string { return string(appendQuoted(nil, s)) }

func (b *Body) formJSON() (text string, whole bool) {
	var f fields
	rest, whole := b.Text, !b.Truncated
	for rest != "" {
		part, more, found := strings.Cut(rest, "&")
		rest = more
		if !found && b.Truncated {
			break // may go on
		}
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, value = unpercent(strings.ReplaceAll(name, "+", " ")), unpercent(strings.ReplaceAll(value, "+", " "))
		if !f.add(name, quoted(value)) {
			whole = false
			break
		}
	}
	if len(f.names) == 0 {
		return "", false
	}
	return string(f.appendJSON(nil)), whole
}

// multipartJSON reads the parts of a form. A part that its boundary does not end
// is not complete.
func (b *Body) multipartJSON() (text string, whole bool) {
	boundary := ""
	if _, params, err := mime.ParseMediaType(b.contentType); err == nil {
		boundary = params["boundary"]
	}
	rest := b.Text
	if boundary == "" {
		line, _, _ := strings.Cut(rest, "\n")
		boundary = strings.TrimPrefix(strings.TrimRight(line, "\r"), "--")
	}
	if boundary == "" || len(boundary) > 200 {
		return "", false
	}
	_, rest, ok := strings.Cut(rest, "--"+boundary)
	if !ok {
		return "", false
	}
	var f fields
	for {
		if strings.HasPrefix(rest, "--") {
			whole = !b.Truncated
			break
		}
		part, more, ended := strings.Cut(rest, "\n--"+boundary)
		if !ended {
			break
		}
		rest = more
		head, content, ok := strings.Cut(part, "\r\n\r\n")
		if other, after, plain := strings.Cut(part, "\n\n"); plain && (!ok || len(other) < len(head)) {
			head, content, ok = other, after, true
		}
		if !ok || len(head) > maxTag {
			continue
		}
		name, value := partOf(head, strings.TrimSuffix(content, "\r"))
		if name == "" {
			continue
		}
		if !f.add(name, value) {
			return string(f.appendJSON(nil)), false
		}
	}
	if len(f.names) == 0 {
		return "", false
	}
	return string(f.appendJSON(nil)), whole
}

// partOf tells the name and the JSON value of a part of a form by its header.
func partOf(head, content string) (name, value string) {
	for line := range strings.SplitSeq(head, "\n") {
		key, disposition, ok := strings.Cut(strings.TrimSuffix(line, "\r"), ":")
		if !ok || !strings.EqualFold(strings.TrimSpace(key), "content-disposition") {
			continue
		}
		_, params, err := mime.ParseMediaType(strings.TrimSpace(disposition))
		if err != nil {
			return "", ""
		}
		if file, isFile := params["filename"]; isFile {
			return params["name"], `{"filename":` + quoted(file) + `}`
		}
		return params["name"], quoted(content)
	}
	return "", ""
}

// xmlJSON reads the elements of XML that are complete.
func (b *Body) xmlJSON() (text string, whole bool) {
	d := xml.NewDecoder(strings.NewReader(b.Text))
	d.Strict = true
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	type element struct {
		name     string
		text     strings.Builder
		children fields
	}
	var stack []*element
	var root fields
	count := 0
	for {
		token, err := d.Token()
		if err != nil {
			whole = err == io.EOF && len(stack) == 0 && !b.Truncated //nolint:errorlint // the decoder returns it as it is
			break
		}
		switch t := token.(type) {
		case xml.StartElement:
			if count++; count > maxBodyFields || len(stack) >= maxBodyDepth {
				return "", false
			}
			e := &element{name: t.Name.Local}
			for _, a := range t.Attr {
				if a.Name.Space == "xmlns" || a.Name.Local == "xmlns" {
					continue
				}
				e.children.add("@"+a.Name.Local, quoted(a.Value))
			}
			stack = append(stack, e)
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].text.Write(t)
			}
		case xml.EndElement:
			e := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			into := &root
			if len(stack) > 0 {
				into = &stack[len(stack)-1].children
			}
			into.add(e.name, e.children.value(strings.TrimSpace(e.text.String())))
		}
	}
	// What is open holds what was complete in it.
	for len(stack) > 0 {
		e := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if len(e.children.names) == 0 {
			continue
		}
		into := &root
		if len(stack) > 0 {
			into = &stack[len(stack)-1].children
		}
		into.add(e.name, e.children.value(""))
	}
	if len(root.names) == 0 {
		return "", false
	}
	return string(root.appendJSON(nil)), whole
}

// value is an element's JSON: its text, if it has nothing else, or an object, in
// which the text is called "#text".
func (f *fields) value(text string) string {
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	if len(f.names) == 0 {
		return quoted(text)
	}
	if text != "" {
		f.add("#text", quoted(text))
	}
	return string(f.appendJSON(nil))
}
