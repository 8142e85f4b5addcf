package transaction

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"io"
	"strings"
	"unicode/utf8"
)

// BodyKind says what a body is.
type BodyKind string

// The kinds of body.
const (
	BodyNone      BodyKind = ""
	BodyJSON      BodyKind = "json"
	BodyForm      BodyKind = "form" // application/x-www-form-urlencoded
	BodyMultipart BodyKind = "multipart"
	BodyXML       BodyKind = "xml"
	BodyText      BodyKind = "text"
	BodyBinary    BodyKind = "binary"
)

const (
	// MaxDecodedBody is how much is decoded of a body, in bytes. The rest is cut
	// off.
	MaxDecodedBody = 1 << 20
	// maxRatio is how many times its size a compressed body may grow, beyond the
	// first 64 KiB. Text does not; a bomb does.
	maxRatio = 200
	ratioRun = 64 << 10
)

// Body is what a logged body says, without the encodings around it.
type Body struct {
	Kind BodyKind
	// Text is the decoded body, in UTF-8 unless Kind is BodyBinary.
	Text string
	// Encodings are those that were taken off, the outermost first: "base64",
	// "gzip", "deflate".
	Encodings []string
	// Truncated means that the text is not all of the body: API Gateway cut it,
	// or it is larger than MaxDecodedBody.
	Truncated bool

	contentType string
}

// Decoded returns the request's body without its encodings.
func (r *Request) Decoded() Body { return DecodeBody(r.Headers, r.Body, r.Truncated) }

// Decoded returns the response's body without its encodings.
func (r *Response) Decoded() Body { return DecodeBody(r.Headers, r.Body, r.Truncated) }

// DecodeBody takes the encodings off a body as it was logged, where the headers or
// the body itself mark them: a Content-Encoding, a Content-Transfer-Encoding, or
// base64 of something compressed. Header names are lower-case. A body that cannot
// be decoded is left as it is. Truncated means that the headers or the body were
// cut.
func DecodeBody(headers map[string][]string, text string, truncated bool) Body {
	b := Body{Text: text, Truncated: truncated, contentType: first(headers["content-type"])}
	if text == "" {
		return b
	}
	if mayBeEncoded(text) {
		encoding := first(headers["content-encoding"])
		marked := encoding != "" || strings.EqualFold(first(headers["content-transfer-encoding"]), "base64")
		var d decoder
		if d.decode(text, encoding, marked) {
			b.Text, b.Encodings, b.Truncated = string(d.data), d.encodings, truncated || d.truncated
		}
	}
	b.Kind = kindOfBody(b.contentType, b.Text)
	return b
}

// mayBeEncoded reports whether a body can be base64 or compressed bytes. Most
// bodies show at their first byte that they are neither.
func mayBeEncoded(text string) bool {
	if len(text) < 8 {
		return false
	}
	if text[0] == 0x1f {
		return text[1] == 0x8b
	}
	for i := range 8 {
		if !isBase64Byte(text[i]) {
			return false
		}
	}
	return true
}

// decoder takes the encodings off a body.
type decoder struct {
	data      []byte
	encodings []string
	gzip      string // the encoding below base64
	truncated bool
}

// decode reports whether there was an encoding to take off. A body in base64 that
// nothing marks counts as such only if what it holds is compressed or the
// beginning of JSON or XML.
func (d *decoder) decode(text, encoding string, marked bool) bool {
	data, whole := []byte(text), true
	if text[0] != 0x1f {
		var ok bool
		if data, whole, ok = fromBase64(text); !ok || len(data) < 4 {
			return false
		}
		inner := bytes.TrimLeft(data, " \t\r\n")
		likely := isGzip(data) || len(inner) > 0 && (inner[0] == '{' || inner[0] == '[' || inner[0] == '<') && isText(data)
		if !marked && !likely {
			return false
		}
		d.encodings = append(d.encodings, "base64")
	}
	d.data, d.truncated = data, !whole
	kind := ""
	switch {
	case isGzip(data):
		kind = "gzip"
	case strings.EqualFold(encoding, "deflate"):
		kind = "deflate"
	}
	if kind != "" {
		if out, cut, ok := inflate(data, kind); ok {
			d.data, d.truncated, d.gzip = out, d.truncated || cut, kind
			d.encodings = append(d.encodings, kind)
		}
	}
	if len(d.data) > MaxDecodedBody {
		d.data, d.truncated = d.data[:MaxDecodedBody], true
	}
	if marked && len(d.encodings) == 1 && d.encodings[0] == "base64" && encoding != "" && !isText(d.data) {
		// Marked as compressed, and yet not: text that happens to have no other
		// characters than base64's.
		return false
	}
	return len(d.encodings) > 0
}

// encode puts the encodings on again that decode took off.
func (d *decoder) encode(text string) string {
	data := []byte(text)
	switch d.gzip {
	case "gzip":
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(data) // a buffer takes all
		_ = w.Close()
		data = b.Bytes()
	case "deflate":
		var b bytes.Buffer
		w := zlib.NewWriter(&b)
		_, _ = w.Write(data)
		_ = w.Close()
		data = b.Bytes()
	}
	if len(d.encodings) > 0 && d.encodings[0] == "base64" {
		return base64.StdEncoding.EncodeToString(data)
	}
	return string(data)
}

func isGzip(data []byte) bool {
	return len(data) > 3 && data[0] == 0x1f && data[1] == 0x8b && data[2] == 8
}

// isText reports whether data is UTF-8 without control characters, as far as its
// beginning shows.
func isText(data []byte) bool {
	head := data[:min(len(data), 512)]
	for i, c := range head {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return false
		}
		if c >= utf8.RuneSelf && !utf8.FullRune(head[i:]) {
			return true // cut in the middle of a character
		}
	}
	return utf8.Valid(head[:len(cutRune(string(head)))])
}

// fromBase64 decodes base64 in either alphabet, with line ends or without. It
// returns false if the text is something else; it is not whole if it was cut.
func fromBase64(text string) (data []byte, whole, ok bool) {
	encoding := base64.RawStdEncoding
	text = text[:min(len(text), 2*MaxDecodedBody)]
	clean := make([]byte, 0, len(text))
	end := 0
	for ; end < len(text); end++ {
		switch c := text[end]; {
		case c == '-':
			clean = append(clean, '+')
		case c == '_':
			clean = append(clean, '/')
		case c == '\r' || c == '\n':
		case isBase64Byte(c):
			clean = append(clean, c)
		default:
			goto ended
		}
	}
ended:
	whole = len(text) < 2*MaxDecodedBody
	if strings.TrimRight(text[end:], "=\r\n") != "" {
		return nil, false, false
	}
	if len(clean)%4 == 1 {
		clean, whole = clean[:len(clean)-1], false
	}
	data = make([]byte, encoding.DecodedLen(len(clean)))
	n, err := encoding.Decode(data, clean)
	return data[:n], whole && err == nil, true
}

// inflate decompresses as much as is there and allowed. It is cut if the data ends
// too early or is more than is decoded.
func inflate(data []byte, kind string) (out []byte, cut, ok bool) {
	var r io.Reader
	var err error
	if kind == "gzip" {
		r, err = gzip.NewReader(bytes.NewReader(data))
	} else if r, err = zlib.NewReader(bytes.NewReader(data)); err != nil {
		r, err = flate.NewReader(bytes.NewReader(data)), nil
	}
	if err != nil {
		return nil, false, false
	}
	limit := min(MaxDecodedBody, max(ratioRun, maxRatio*len(data)))
	out, err = io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if len(out) > limit {
		return out[:limit], true, true
	}
	return out, err != nil, len(out) > 0 || err == nil
}

// kindOfBody tells what a body is, by its type where there is one, and else by how
// it begins.
func kindOfBody(contentType, text string) BodyKind {
	media, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	media = strings.TrimSpace(media)
	begin := byte(0)
	if i := skipSpace(text, 0); i < len(text) {
		begin = text[i]
	}
	switch {
	case text == "":
		return BodyNone
	case media == "application/x-www-form-urlencoded":
		return BodyForm
	case strings.HasPrefix(media, "multipart/"):
		return BodyMultipart
	case strings.HasSuffix(media, "json") || begin == '{' || begin == '[' && !strings.HasPrefix(text, "[Binary Data]"):
		return BodyJSON
	case strings.HasSuffix(media, "xml") || begin == '<':
		return BodyXML
	case !utf8.ValidString(text) || !isText([]byte(text[:min(len(text), 512)])) || strings.HasPrefix(text, "[Binary Data]"):
		return BodyBinary
	case media == "" && strings.HasPrefix(text, "--") && strings.Contains(text, "name="):
		return BodyMultipart
	default:
		return BodyText
	}
}
