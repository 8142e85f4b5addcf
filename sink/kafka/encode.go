package kafka

import (
	"unicode/utf8"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// appendKey appends the record key, account/region/api/stage: all calls of one
// stage of an API go to one partition.
func appendKey(dst []byte, t *transaction.Transaction) []byte {
	dst = append(dst, t.Account...)
	dst = append(dst, '/')
	dst = append(dst, t.Region...)
	dst = append(dst, '/')
	dst = append(dst, t.APIID...)
	dst = append(dst, '/')
	return append(dst, t.Stage...)
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. Bytes that are not UTF-8 become
// U+FFFD, as in encoding/json.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	dst = appendEscaped(dst, s)
	return append(dst, '"')
}

func appendEscaped(dst []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= 0x20 && c != '"' && c != '\\' {
				i++
				continue
			}
			dst = append(dst, s[start:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, s[start:i]...)
			dst = append(dst, "\ufffd"...)
			i++
			start = i
			continue
		}
		i += size
	}
	return append(dst, s[start:]...)
}

// urlByte says how a byte may stand in a URL: 1 in a path and in a query
// value, 2 in a path only, 0 nowhere unescaped.
var urlByte = func() (table [256]byte) {
	for c := range 128 {
		switch b := byte(c); {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9',
			b == '-', b == '.', b == '_', b == '~':
			table[c] = 1
		case b == '/', b == ':', b == '@', b == '!', b == '$', b == '&', b == '\'',
			b == '(', b == ')', b == '*', b == '+', b == ',', b == ';', b == '=':
			table[c] = 2
		}
	}
	return table
}()

func appendPercent(dst []byte, c byte) []byte {
	const upper = "0123456789ABCDEF"
	return append(dst, '%', upper[c>>4], upper[c&15])
}

// appendPath appends p as the path of a URL. Escapes that p already has stay;
// a ? or # in it is escaped, because a reader would take it for the end.
func appendPath(dst []byte, p string) []byte {
	if p == "" || p[0] != '/' {
		dst = append(dst, '/')
	}
	for i := range len(p) {
		switch c := p[i]; {
		case urlByte[c] != 0,
			c == '%' && i+2 < len(p) && isHex(p[i+1]) && isHex(p[i+2]):
			dst = append(dst, c)
		default:
			dst = appendPercent(dst, c)
		}
	}
	return dst
}

// appendQueryValue appends a key or value of a query string.
func appendQueryValue(dst []byte, s string) []byte {
	for i := range len(s) {
		if urlByte[s[i]] == 1 {
			dst = append(dst, s[i])
		} else {
			dst = appendPercent(dst, s[i])
		}
	}
	return dst
}
