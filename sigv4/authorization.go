package sigv4

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// claim is what a request says of its own signature, in either form.
type claim struct {
	message
	presigned bool

	algorithm     string
	credential    string
	signedHeaders string
	signature     string
	dateText      string
	token         string
	regionSet     string
	expiresText   string

	at      time.Time
	date    string // YYYYMMDDTHHMMSSZ
	expires time.Duration
	method  Algorithm

	accessKeyID string
	day         string
	region      string
	service     string
	end         string // of the scope: aws4_request
}

// read takes the claim apart, up to the values; what they mean is checked later.
func (c *claim) read(r *http.Request) *Error {
	c.message.read(r)
	authorization, inHeader := c.header[headerAuthorization]
	inQuery := strings.Contains(c.query, "X-Amz-")
	if inQuery {
		inQuery = hasParam(c.query, queryAlgorithm) || hasParam(c.query, querySignature) || hasParam(c.query, queryCredential)
	}
	switch {
	case inHeader && inQuery:
		return invalid(foundBothText)
	case inQuery:
		c.presigned = true
		return c.readQuery()
	case !inHeader || len(authorization) == 0 || authorization[0] == "" && len(authorization) == 1:
		return &Error{Code: CodeMissingToken, Message: missingTokenText}
	}
	text := authorization[0]
	if len(authorization) > 1 {
		// Several are one with commas, and then have a parameter twice.
		text = strings.Join(authorization, ", ")
	}
	return c.readHeader(text)
}

// readHeader reads an Authorization header: the algorithm, then key=value pairs
// between commas or spaces.
func (c *claim) readHeader(text string) *Error {
	algorithm, rest, _ := strings.Cut(text, " ")
	c.algorithm = algorithm
	var credential, signature, signed bool
	for rest != "" {
		pair := rest
		if i := strings.IndexAny(rest, ", "); i >= 0 {
			pair, rest = rest[:i], rest[i+1:]
		} else {
			rest = ""
		}
		if pair == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return incomplete("'"+pair+"' not a valid key=value pair (missing equal-sign) in Authorization header: '"+text+"'.",
				"the Authorization header has a part that is not key=value")
		}
		twice := false
		switch key {
		case "Credential":
			c.credential, twice, credential = value, credential, true
		case "Signature":
			c.signature, twice, signature = value, signature, true
		case "SignedHeaders":
			c.signedHeaders, twice, signed = value, signed, true
		}
		if twice {
			// AWS's text is not known. Which of the two counts must never be a
			// question, for whoever stands in front of us may answer it differently.
			return incomplete("Authorization header has the parameter '"+key+"' more than once. Authorization="+text,
				"the Authorization header has "+key+" twice")
		}
	}
	c.token = c.first(headerToken)
	c.regionSet = c.first(headerRegionSet)
	if c.dateText = c.first(headerDate); c.dateText == "" {
		c.dateText = c.first("Date")
	}
	var missing strings.Builder
	if c.credential == "" {
		missing.WriteString("Authorization header requires 'Credential' parameter. ")
	}
	if c.signature == "" {
		missing.WriteString("Authorization header requires 'Signature' parameter. ")
	}
	if !signed {
		missing.WriteString("Authorization header requires 'SignedHeaders' parameter. ")
	}
	if c.dateText == "" {
		missing.WriteString("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
	}
	if missing.Len() > 0 {
		return incomplete(missing.String()+"Authorization="+text, strings.TrimSpace(missing.String()))
	}
	return nil
}

// readQuery reads the parameters of a presigned request. Values that stand
// unencoded in the query, which is usual, are not copied.
func (c *claim) readQuery() *Error {
	params := [...]struct {
		name string
		into *string
		seen bool
	}{
		{name: queryAlgorithm, into: &c.algorithm},
		{name: queryCredential, into: &c.credential},
		{name: querySignature, into: &c.signature},
		{name: querySignedHeaders, into: &c.signedHeaders},
		{name: headerDate, into: &c.dateText},
		{name: headerToken, into: &c.token},
		{name: headerRegionSet, into: &c.regionSet},
		{name: queryExpires, into: &c.expiresText},
	}
	for rest, more := c.query, true; more; {
		var pair string
		pair, rest, more = strings.Cut(rest, "&")
		name, value, _ := strings.Cut(pair, "=")
		for i := range params {
			p := &params[i]
			if p.name != name {
				continue
			}
			if p.seen {
				return incomplete("The query-string parameter '"+name+"' is there more than once. Re-examine the query-string parameters.", "")
			}
			p.seen = true
			if strings.ContainsAny(value, "%+") {
				decoded, err := url.QueryUnescape(value)
				if err != nil {
					return incomplete("The query-string parameter '"+name+"' is not URL-encoded. Re-examine the query-string parameters.", "")
				}
				value = decoded
			}
			*p.into = value
			break
		}
	}
	var missing strings.Builder
	for i := range params[:5] {
		if *params[i].into == "" {
			missing.WriteString("AWS query-string parameters must include '" + params[i].name + "'. ")
		}
	}
	if missing.Len() > 0 {
		return incomplete(missing.String()+"Re-examine the query-string parameters.", "")
	}
	if c.token == "" {
		c.token = c.first(headerToken)
	}
	return nil
}

func hasParam(query, name string) bool {
	for rest, more := query, true; more; {
		var pair string
		pair, rest, more = strings.Cut(rest, "&")
		if key, _, _ := strings.Cut(pair, "="); key == name {
			return true
		}
	}
	return false
}

// readDate reads the time of signing.
func (c *claim) readDate() *Error {
	if t, ok := parseBasic(c.dateText); ok {
		c.at, c.date = t, c.dateText
		return nil
	}
	if !c.presigned && c.first(headerDate) == "" {
		if t, err := http.ParseTime(c.dateText); err == nil {
			c.at = t.UTC()
			c.date = basic(t)
			return nil
		}
	}
	return incomplete("Date must be in ISO-8601 'basic format'. Got '"+c.dateText+"'. See http://en.wikipedia.org/wiki/ISO_8601",
		"the date is not in ISO-8601 basic format")
}

// parseBasic reads YYYYMMDDTHHMMSSZ. It is time.Parse for the one layout that
// every request has, several times as fast.
func parseBasic(s string) (time.Time, bool) {
	if len(s) != len(basicISO) || s[8] != 'T' || s[15] != 'Z' {
		return time.Time{}, false
	}
	number := func(from, to int) int {
		n := 0
		for i := from; i < to; i++ {
			d := s[i] - '0'
			if d > 9 {
				return -1 << 20
			}
			n = 10*n + int(d)
		}
		return n
	}
	y, mo, d := number(0, 4), number(4, 6), number(6, 8)
	h, mi, sec := number(9, 11), number(11, 13), number(13, 15)
	if y < 0 || mo < 1 || mo > 12 || d < 1 || h < 0 || h > 23 || mi < 0 || mi > 59 || sec < 0 || sec > 59 {
		return time.Time{}, false
	}
	t := time.Date(y, time.Month(mo), d, h, mi, sec, 0, time.UTC)
	return t, t.Day() == d // the 31st of June becomes the 1st of July
}

// readCredential takes the scope apart.
func (c *claim) readCredential() *Error {
	parts, want, form := c.credential, 5, "keyid/date/region/service/term"
	if c.method == ECDSA {
		want, form = 4, "keyid/date/service/term"
	}
	if strings.Count(parts, "/") != want-1 {
		return incomplete("Credential must have exactly "+string('0'+rune(want))+" slash-delimited elements, e.g. "+form+", got '"+parts+"'",
			"the Credential does not have the form "+form)
	}
	c.accessKeyID, parts, _ = strings.Cut(parts, "/")
	c.day, parts, _ = strings.Cut(parts, "/")
	if c.method == HMAC {
		c.region, parts, _ = strings.Cut(parts, "/")
	}
	c.service, c.end, _ = strings.Cut(parts, "/")
	return nil
}

// scope is the credential without the access key's id.
func (c *claim) scope() string { return c.credential[len(c.accessKeyID)+1:] }

// signs reports whether the request claims to have signed a header.
func (c *claim) signs(name string) bool {
	for rest, more := c.signedHeaders, true; more; {
		var n string
		n, rest, more = strings.Cut(rest, ";")
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}
