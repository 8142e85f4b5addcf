package transaction

import "strings"

// encodedBody redacts a body, also what is in it in base64 or compressed where
// that is marked. The encodings are put on again around what was redacted; what is
// more than is decoded is left out, because nobody looked at it.
func (d *redaction) encodedBody(headers map[string][]string, text string, cut, marked bool) (body string, truncated bool) {
	if mayBeEncoded(text) {
		encoding := first(headers["content-encoding"])
		marked = marked || encoding != "" || strings.EqualFold(first(headers["content-transfer-encoding"]), "base64")
		var x decoder
		if x.decode(text, encoding, marked) {
			plain := string(x.data)
			kept := d.body(plain, cut || x.truncated)
			if kept != plain || x.truncated {
				return x.encode(kept), cut || x.truncated
			}
			return text, cut
		}
	}
	if strings.Contains(text, "Base64Encoded") { // isBase64Encoded, but a B is rarer than an i
		text = d.envelope(text, cut)
	}
	return d.body(text, cut), cut
}

// envelope redacts the body in a function's answer, where it says that the body is
// in base64: {"statusCode":200,"isBase64Encoded":true,"body":"…"}.
func (d *redaction) envelope(text string, cut bool) string {
	_, after, _ := strings.Cut(text, `"isBase64Encoded"`)
	after = strings.TrimLeft(after, " \t\r\n")
	if after == "" || after[0] != ':' || !strings.HasPrefix(strings.TrimLeft(after[1:], " \t\r\n"), "true") {
		return text
	}
	const member = `"body"`
	for i := 0; ; {
		n := strings.Index(text[i:], member)
		if n < 0 {
			return text
		}
		i = skipSpace(text, i+n+len(member))
		if i >= len(text) || text[i] != ':' {
			continue
		}
		if i = skipSpace(text, i+1); i >= len(text) || text[i] != '"' {
			continue
		}
		end := endOfString(text, i)
		tail := end
		if end > i+1 && text[end-1] == '"' {
			tail--
		}
		value := strings.ReplaceAll(text[i+1:tail], `\/`, "/")
		var x decoder
		if len(value) >= 8 && x.decode(value, "", true) {
			plain := string(x.data)
			if kept := d.body(plain, cut || x.truncated); kept != plain || x.truncated {
				return text[:i+1] + x.encode(kept) + text[tail:]
			}
		}
		i = end
	}
}
