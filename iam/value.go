package iam

import (
	"cmp"
	"encoding/base64"
	"net/netip"
	"strings"
	"time"
)

// decimal is a decimal number as text, compared exactly: a float would call
// 9007199254740993 and 9007199254740992 equal.
type decimal struct {
	negative bool
	whole    string // without leading zeros
	fraction string // without trailing zeros
}

func parseDecimal(text string) (decimal, bool) {
	var d decimal
	if text != "" && (text[0] == '-' || text[0] == '+') {
		d.negative = text[0] == '-'
		text = text[1:]
	}
	whole, fraction, _ := strings.Cut(text, ".")
	if whole == "" && fraction == "" || !isDigits(whole) || !isDigits(fraction) {
		return decimal{}, false
	}
	d.whole = strings.TrimLeft(whole, "0")
	d.fraction = strings.TrimRight(fraction, "0")
	if d.whole == "" && d.fraction == "" {
		d.negative = false
	}
	return d, true
}

func isDigits(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return true
}

// compare returns -1, 0 or +1.
func (d *decimal) compare(o *decimal) int {
	if d.negative != o.negative {
		if d.negative {
			return -1
		}
		return 1
	}
	c := cmp.Or(
		cmp.Compare(len(d.whole), len(o.whole)),
		strings.Compare(d.whole, o.whole),
		// "5" < "51": without trailing zeros the order of texts is that of values.
		strings.Compare(d.fraction, o.fraction),
	)
	if d.negative {
		return -c
	}
	return c
}

// moment is a point in time.
type moment struct {
	seconds int64
	nanos   int64
}

func (m moment) compare(o moment) int {
	return cmp.Or(cmp.Compare(m.seconds, o.seconds), cmp.Compare(m.nanos, o.nanos))
}

// parseMoment reads the W3C profile of ISO 8601, from a year alone to fractions
// of a second, or seconds since 1970. Four digits are a year. A time without an
// offset is UTC (best evidence).
func parseMoment(text string) (moment, bool) {
	if len(text) != 4 && text != "" && isDigits(strings.TrimPrefix(text, "-")) {
		d, _ := parseDecimal(text)
		if len(d.whole) > 15 {
			return moment{}, false
		}
		var s int64
		for _, c := range []byte(d.whole) {
			s = s*10 + int64(c-'0')
		}
		if d.negative {
			s = -s
		}
		return moment{seconds: s}, len(d.whole) > 0 || strings.HasSuffix(text, "0")
	}
	c := clock{text: text, ok: true}
	year, month, day := c.number(4), 1, 1
	var hour, minute, second, offset int
	var nanos int64
	if c.next('-') {
		month = c.number(2)
		if c.next('-') {
			day = c.number(2)
			if c.next('T') || c.next('t') || c.next(' ') {
				hour = c.number(2)
				c.need(':')
				minute = c.number(2)
				if c.next(':') {
					second = c.number(2)
					if c.next('.') {
						nanos = c.fraction()
					}
				}
				offset = c.offset()
			}
		}
	}
	if !c.ok || c.text != "" || month < 1 || month > 12 || day < 1 || hour > 24 || minute > 59 || second > 59 {
		return moment{}, false
	}
	if hour == 24 && (minute > 0 || second > 0 || nanos > 0) {
		return moment{}, false
	}
	date := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if date.Day() != day { // the 31st of February
		return moment{}, false
	}
	return moment{date.Unix() + int64(hour*3600+minute*60+second-offset), nanos}, true
}

// clock reads the parts of a time one by one.
type clock struct {
	text string
	ok   bool
}

func (c *clock) next(b byte) bool {
	if c.text == "" || c.text[0] != b {
		return false
	}
	c.text = c.text[1:]
	return true
}

func (c *clock) need(b byte) { c.ok = c.next(b) && c.ok }

func (c *clock) number(digits int) int {
	if len(c.text) < digits || !isDigits(c.text[:digits]) {
		c.ok = false
		return 0
	}
	n := 0
	for _, b := range []byte(c.text[:digits]) {
		n = n*10 + int(b-'0')
	}
	c.text = c.text[digits:]
	return n
}

func (c *clock) fraction() int64 {
	var n int64
	unit := int64(time.Second)
	from := c.text
	for c.text != "" && c.text[0] >= '0' && c.text[0] <= '9' {
		unit /= 10
		n += unit * int64(c.text[0]-'0')
		c.text = c.text[1:]
	}
	c.ok = c.ok && len(from) > len(c.text)
	return n
}

// offset reads Z, +hh:mm, -hhmm or nothing, as seconds east of UTC.
func (c *clock) offset() int {
	if c.text == "" || c.next('Z') || c.next('z') {
		return 0
	}
	sign := 1
	if c.next('-') {
		sign = -1
	} else {
		c.need('+')
	}
	hours := c.number(2)
	c.next(':')
	return sign * (hours*3600 + c.number(2)*60)
}

// parseBool reads true or false in any case.
func parseBool(text string) (value, ok bool) {
	return strings.EqualFold(text, "true"), strings.EqualFold(text, "true") || strings.EqualFold(text, "false")
}

// parseRange reads an address or a CIDR range; a bare address is a range of one.
// Bits after the prefix do not matter.
func parseRange(text string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p, true
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, a.BitLen()), true
}

// isBase64 reports whether text is canonical base64, for which equal texts are
// equal bytes.
func isBase64(text string) bool {
	if len(text)%4 != 0 {
		return false
	}
	// Strict decoding of the last group also checks the bits after the data.
	var buf [3]byte
	for i := 0; i < len(text); i += 4 {
		n, err := strictBase64.Decode(buf[:], []byte(text[i:i+4]))
		if err != nil || n < 3 && i+4 < len(text) {
			return false
		}
	}
	return true
}

var strictBase64 = base64.StdEncoding.Strict()
