package transaction

import (
	"math/bits"
	"strings"
)

// redactClasses takes out data of the classes in set. In JSON, a number that is
// taken out leaves a string.
func redactClasses(s string, set classSet) string {
	if len(s) < 7 {
		return s
	}
	if set&hasCard != 0 && len(s) >= 13 {
		s = replaceFound(s, findCard)
	}
	if set&hasEmail != 0 && strings.IndexByte(s, '@') >= 0 {
		s = replaceFound(s, findEmail)
	}
	if set&hasIBAN != 0 && len(s) >= 15 {
		s = replaceFound(s, findIBAN)
	}
	if set&hasSSN != 0 && len(s) >= 11 {
		s = replaceFound(s, findSSN)
	}
	if set&hasPhone != 0 {
		s = replaceFound(s, findPhone)
	}
	return s
}

// replaceFound takes out all that find finds. It is asked again from where it
// ended, and returns a negative from when there is no more.
func replaceFound(s string, find func(s string, i int) (from, to int)) string {
	var out []byte
	done, strings := 0, inStrings{text: s}
	for i := 0; ; {
		from, to := find(s, i)
		if from < 0 {
			break
		}
		out = append(out, s[done:from]...)
		if strings.outside(from) {
			out = append(out, `"`+Redacted+`"`...)
		} else {
			out = append(out, Redacted...)
		}
		done, i = to, to
	}
	if out == nil {
		return s
	}
	return string(append(out, s[done:]...))
}

// inStrings tells which places of a JSON text are outside its strings. It is
// asked for places in order, and reads the text once.
type inStrings struct {
	text string
	at   int
	open bool
}

func (x *inStrings) outside(i int) bool {
	if x.at == 0 {
		if x.at = skipSpace(x.text, 0); x.at >= len(x.text) || x.text[x.at] != '{' && x.text[x.at] != '[' {
			x.at = len(x.text)
			x.open = true
		}
	}
	for ; x.at < i; x.at++ {
		switch x.text[x.at] {
		case '"':
			x.open = !x.open
		case '\\':
			if x.open {
				x.at++
			}
		}
	}
	return !x.open
}

func isDigit(c byte) bool { return c-'0' < 10 }

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// findCard finds a card's number: 13 to 19 digits, alone or in groups with one
// space or hyphen between them. Words of eight bytes with few digits in them are
// passed over: no number is without a word that has six.
func findCard(s string, i int) (from, to int) {
	for at := i &^ 7; at+8 <= len(s); at += 8 {
		if notDigits(load64(s[at:])) > 2 {
			continue
		}
		// All of the digits around it.
		from := at
		for from > i && isCardByte(s[from-1]) {
			from--
		}
		end := at
		for end < len(s) && isCardByte(s[end]) {
			end++
		}
		if end-from >= 13 {
			if a, b := cardIn(s, from, end); a >= 0 {
				return a, b
			}
		}
		at = max(at, (end-1)&^7)
	}
	if rest := len(s) - 13; rest >= i && len(s)&7 != 0 {
		// The last few bytes are no word of their own.
		from := len(s)
		for from > i && isCardByte(s[from-1]) {
			from--
		}
		return cardIn(s, from, len(s))
	}
	return -1, -1
}

// notDigits counts the bytes of a word that are no digits. A digit differs from
// '0' by nine at most: adding the rest to 127 does not reach its high bit.
func notDigits(word uint64) int {
	x := word ^ ones*'0'
	return bits.OnesCount64(((x &^ highs) + ones*(127-9) | x) & highs)
}

// hasManyDigits reports whether a text may have as many digits together as a
// card's number.
func hasManyDigits(s string) bool {
	for ; len(s) >= 8; s = s[8:] {
		if notDigits(load64(s)) <= 2 {
			return true
		}
	}
	return false
}

func isCardByte(c byte) bool { return isDigit(c) || c == ' ' || c == '-' || c == '+' }

// maxCardText is how long a card's number with its separators can be.
const maxCardText = 40

// cardIn finds a card's number among digits, spaces and hyphens.
func cardIn(s string, from, end int) (a, b int) {
	for from < end {
		for from < end && !isDigit(s[from]) {
			from++
		}
		if end-from < 13 {
			break
		}
		// A run of digits with single separators.
		stop := from
		for stop < min(end, from+maxCardText) && (isDigit(s[stop]) || stop+1 < end && isDigit(s[stop+1]) && isDigit(s[stop-1])) {
			stop++
		}
		if to := cardAt(s, from, stop); to > 0 {
			return from, to
		}
		// It may begin with a later group.
		for from < stop && isDigit(s[from]) {
			from++
		}
		if from == stop {
			from++
		}
	}
	return -1, -1
}

// cardAt returns where the card's number that begins at from ends, or 0. It does
// not begin or end within a longer word or number, and its groups are those in
// which cards are written.
func cardAt(s string, from, stop int) int {
	switch first := s[from]; {
	case first < '2' || first > '6', first == '2' && (from+1 == stop || s[from+1] < '2' || s[from+1] > '7'), stop-from < 13:
		return 0 // no network's
	case from > 0 && joins(s[from-1]):
		return 0
	}
	var digit [19]byte
	var groups [20]uint8 // how many digits each has
	n, group := 0, 0
	for k := from; k < stop && n < len(digit); k++ {
		if !isDigit(s[k]) {
			group++
			continue
		}
		digit[n] = s[k] - '0'
		n++
		groups[group]++
		next := k + 1
		if n < 13 || next < len(s) && (joins(s[next]) && s[next] != '.' || s[next] == '.' && next+1 < len(s) && isDigit(s[next+1])) {
			continue
		}
		if group > 0 && (!isGrouped(groups[:group+1]) || from > 1 && s[from-1] == '-' && joins(s[from-2]) ||
			next+1 < len(s) && s[next] == '-' && joins(s[next+1])) {
			continue // a part of a UUID, for example
		}
		if isCardNumber(digit[:n]) {
			return next
		}
	}
	return 0
}

// joins reports whether a byte beside a number makes it part of something longer.
func joins(c byte) bool { return isLetter(c) || isDigit(c) || c == '_' || c == '.' }

// isGrouped reports whether groups of digits are those of a card: fours, or four,
// six and the rest.
func isGrouped(groups []uint8) bool {
	if len(groups) == 3 && groups[0] == 4 && groups[1] == 6 {
		return groups[2] == 4 || groups[2] == 5
	}
	for i, n := range groups {
		if n != 4 && (i < len(groups)-1 || n > 4) {
			return false
		}
	}
	return len(groups) >= 4
}

// isCardNumber reports whether digits are the number of a card: of the length
// that its network has, with a check digit by Luhn's formula.
func isCardNumber(d []byte) bool {
	n := len(d)
	two := int(d[0])*10 + int(d[1])
	four := two*100 + int(d[2])*10 + int(d[3])
	switch {
	case d[0] == 4: // Visa
		if n != 13 && n != 16 && n != 19 {
			return false
		}
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720: // Mastercard
		if n != 16 {
			return false
		}
	case two == 34 || two == 37: // American Express
		if n != 15 {
			return false
		}
	case two == 36 || two == 38 || two == 39 || four/10 >= 300 && four/10 <= 305: // Diners Club
		if n != 14 && n != 16 {
			return false
		}
	case four == 6011 || two == 65 || four/10 >= 644 && four/10 <= 649, four >= 3528 && four <= 3589, two == 62: // Discover, JCB, UnionPay
		if n < 16 {
			return false
		}
	case two == 50 || two >= 56 && two <= 69: // Maestro
	default:
		return false
	}
	sum := 0
	for i := range n {
		v := int(d[n-1-i])
		if i%2 == 1 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0
}

// findEmail finds an e-mail address.
func findEmail(s string, i int) (from, to int) {
	for at := i; ; {
		n := strings.IndexByte(s[at:], '@')
		if n < 0 {
			return -1, -1
		}
		at += n
		from, to := at, at+1
		for from > i && isLocalByte(s[from-1]) {
			from--
		}
		dot := -1
		for to < len(s) && (isDigit(s[to]) || isLetter(s[to]) || s[to] == '-' || s[to] == '.' && to+1 < len(s) && (isDigit(s[to+1]) || isLetter(s[to+1]))) {
			if s[to] == '.' {
				dot = to
			}
			to++
		}
		if from < at && dot > 0 && to-dot > 2 && isLetter(s[dot+1]) {
			return from, to
		}
		at++
	}
}

func isLocalByte(c byte) bool {
	return isDigit(c) || isLetter(c) || c == '.' || c == '_' || c == '%' || c == '+' || c == '-' || c >= 0x80
}

// findIBAN finds a bank account's number: two letters, two check digits and up to
// thirty letters and digits, alone or in groups of four.
func findIBAN(s string, i int) (from, to int) {
	for k := i; k+15 <= len(s); k++ {
		if s[k] < 'A' || s[k] > 'Z' || s[k+1] < 'A' || s[k+1] > 'Z' || !isDigit(s[k+2]) || !isDigit(s[k+3]) ||
			k > 0 && (isLetter(s[k-1]) || isDigit(s[k-1])) {
			continue
		}
		var text [34]byte
		n, end := 0, k
		for ; end < len(s) && n < len(text); end++ {
			if c := s[end]; isDigit(c) || c >= 'A' && c <= 'Z' {
				text[n] = c
				n++
			} else if c != ' ' || n%4 != 0 {
				break
			}
		}
		if end < len(s) && (isLetter(s[end]) || isDigit(s[end])) {
			continue
		}
		for end > k && s[end-1] == ' ' {
			end--
		}
		if n < 15 {
			continue
		}
		mod := 0
		for m := range n {
			switch c := text[(m+4)%n]; {
			case isDigit(c):
				mod = (mod*10 + int(c-'0')) % 97
			default:
				mod = (mod*100 + int(c-'A') + 10) % 97
			}
		}
		if mod == 1 {
			return k, end
		}
	}
	return -1, -1
}

// findSSN finds a social security number: 123-45-6789, of an area, group and
// serial that are given out.
func findSSN(s string, i int) (from, to int) {
	for k := i; k+11 <= len(s); k++ {
		t := s[k : k+11]
		if t[3] != '-' || t[6] != '-' || k > 0 && (isDigit(s[k-1]) || isLetter(s[k-1]) || s[k-1] == '-') ||
			k+11 < len(s) && (isDigit(s[k+11]) || isLetter(s[k+11]) || s[k+11] == '-') {
			continue
		}
		area, ok := leadingInt(t[:3])
		group, ok2 := leadingInt(t[4:6])
		serial, ok3 := leadingInt(t[7:])
		if ok && ok2 && ok3 && isDigit(t[2]) && isDigit(t[5]) && isDigit(t[10]) && isDigit(t[8]) && isDigit(t[9]) && isDigit(t[1]) &&
			area > 0 && area != 666 && area < 900 && group > 0 && serial > 0 {
			return k, k + 11
		}
	}
	return -1, -1
}

// findPhone finds a telephone number: +49 30 1234567, or (212) 555-0100 and
// 212-555-0100.
func findPhone(s string, i int) (from, to int) {
	for k := i; k+8 <= len(s); k++ {
		if k > 0 && (isDigit(s[k-1]) || isLetter(s[k-1]) || s[k-1] == '-' || s[k-1] == '.') {
			continue
		}
		switch c := s[k]; {
		case c == '+':
			if to := phoneEnd(s, k+1, 8, 15); to > 0 && s[k+1] != '0' {
				return k, to
			}
		case c == '(' || c >= '2' && c <= '9':
			if to := northAmerican(s, k); to > 0 {
				return k, to
			}
		}
	}
	return -1, -1
}

// phoneEnd is where least to most digits with single separators end, or 0.
func phoneEnd(s string, i, least, most int) int {
	n, end := 0, 0
	for ; i < len(s) && n <= most; i++ {
		switch c := s[i]; {
		case isDigit(c):
			n++
			end = i + 1
			continue
		case (c == ' ' || c == '-' || c == '.' || c == '/' || c == '(' || c == ')') && i+1 < len(s) && (isDigit(s[i+1]) || s[i+1] == '(' || s[i+1] == ' ' || c == ')'):
			continue
		}
		break
	}
	if n < least || n > most || end < len(s) && (isDigit(s[end]) || isLetter(s[end])) {
		return 0
	}
	return end
}

func northAmerican(s string, i int) int {
	open := s[i] == '('
	if open {
		i++
	}
	three := func(n int) bool {
		for range n {
			if i >= len(s) || !isDigit(s[i]) {
				return false
			}
			i++
		}
		return true
	}
	if !three(3) {
		return 0
	}
	if open {
		if i >= len(s) || s[i] != ')' {
			return 0
		}
		i++
		if i < len(s) && s[i] == ' ' {
			i++
		}
	} else {
		if i >= len(s) || s[i] != '-' && s[i] != '.' {
			return 0
		}
		i++
	}
	if !three(3) || i >= len(s) || s[i] != '-' && s[i] != '.' && s[i] != ' ' {
		return 0
	}
	i++
	if !three(4) || i < len(s) && (isDigit(s[i]) || isLetter(s[i]) || s[i] == '-') {
		return 0
	}
	return i
}
