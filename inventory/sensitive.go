package inventory

import (
	"math"
	"slices"
	"strings"
)

// class is a class of sensitive data. The smaller number wins where the values
// of one field are of several: those that chance gives least often come first.
// The saved form has these numbers.
type class uint8

const (
	classNone class = iota
	classEmail
	classIBAN
	classCard
	classSSN
	classNationalID
	classPhone
	classBirthDate
	classLocation
	classIP
	classSecret // only named by a field whose values were taken out
	classPerson // only a name that keeps a field's values from being listed
	numClasses
)

var classNames = [numClasses]string{
	classEmail: "email", classIBAN: "iban", classCard: "card", classSSN: "ssn", classNationalID: "national_id",
	classPhone: "phone", classBirthDate: "birth_date", classLocation: "location", classIP: "ip", classSecret: "secret",
}

// hintOf tells what a field's name says of its values, or classNone. Case and
// separators do not matter.
func hintOf(name string) class {
	var room [maxFieldName]byte
	b := room[:0]
	for i := 0; i < len(name) && len(b) < len(room); i++ {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if isLetter(c) || isDigit(c) {
			b = append(b, c)
		}
	}
	n := string(b)
	for _, h := range nameHints {
		if slices.Contains(h.whole, n) {
			return h.class
		}
		for _, word := range h.within {
			if strings.Contains(n, word) {
				return h.class
			}
		}
	}
	return classNone
}

var nameHints = [...]struct {
	class         class
	whole, within []string
}{
	{classEmail, nil, []string{"email", "mailaddress"}},
	{classIBAN, nil, []string{"iban"}},
	{classCard, []string{"pan", "card"}, []string{"cardnumber", "creditcard", "cardno", "ccnumber", "debitcard"}},
	{classSSN, []string{"ssn"}, []string{"socialsecurity", "ssnumber"}},
	{classNationalID, []string{"cpf", "dni", "nie", "nif", "nhs", "bsn"}, []string{"nationalid", "aadhaar", "aadhar", "nhsnumber", "cpfnumber", "burgerservice", "personalid", "identitynumber"}},
	{classPhone, []string{"tel", "fax", "msisdn", "cell"}, []string{"phone", "mobile", "telefon"}},
	{classBirthDate, []string{"dob", "born"}, []string{"birthdate", "birthday", "dateofbirth", "geburtsdatum"}},
	{classLocation, []string{"lat", "lng", "lon", "long"}, []string{"latitude", "longitude"}},
	{classIP, []string{"ip", "sourceip", "clientip", "remoteaddr"}, []string{"ipaddress", "ipaddr"}},
	{classSecret, []string{"pin", "otp", "token", "jwt"}, []string{"password", "secret", "apikey", "accesstoken", "credential", "privatekey"}},
	{classPerson, []string{"name", "user", "owner", "city", "street", "author"}, []string{"firstname", "lastname", "fullname", "surname", "givenname", "familyname", "username", "address", "gender", "religion", "nationality"}},
}

// classOfText returns the class whose rules the whole of a value obeys. A form
// that many other things have counts only under a name that says so.
func classOfText(s string, form format, hint class) class {
	if len(s) > 254 {
		return classNone
	}
	switch form {
	case formatEmail:
		return classEmail
	case formatIPv4, formatIPv6:
		if hint == classNone || hint == classIP {
			return classIP
		}
		return classNone
	case formatDate, formatDateTime:
		if hint == classBirthDate && s[:4] >= "1900" && s[:4] <= "2100" {
			return classBirthDate
		}
		return classNone
	case formatUUID, formatURI, formatEmpty:
		return classNone
	case formatDecimal:
		if hint == classLocation {
			return classLocation
		}
		return classNone
	}
	return classOfDigits(s, hint)
}

// classOfNumber is classOfText for a JSON number.
func classOfNumber(s string, at float64, hint class) class {
	switch {
	case hint == classLocation && math.Abs(at) <= 180 && strings.IndexByte(s, '.') >= 0:
		return classLocation
	case hint == classLocation || len(s) < 9 || len(s) > 19 || s[0] == '-':
		return classNone
	}
	return classOfDigits(s, hint)
}

// classOfDigits looks at what is made of digits, letters and separators.
func classOfDigits(s string, hint class) class {
	if len(s) < 9 || len(s) > 42 {
		return classNone
	}
	var room [42]byte
	plain := room[:0]
	numbers, separators := 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c):
			numbers++
			plain = append(plain, c)
		case isLetter(c):
			plain = append(plain, c&^0x20)
		case c == ' ' || c == '-' || c == '.' || c == '(' || c == ')' || c == '/':
			separators++
		case c == '+' && i == 0:
		default:
			return classNone
		}
	}
	all := len(plain) == numbers
	switch {
	case numbers < 7:
		return classNone
	case isIBAN(plain):
		return classIBAN
	case all && s[0] != '+' && isCard(plain):
		return classCard
	case isSSN(s, plain, all, hint):
		return classSSN
	case isNationalID(s, plain, all, hint):
		return classNationalID
	case all && isPhone(s, plain, separators, hint):
		return classPhone
	}
	return classNone
}

// isPhone accepts E.164: a plus, a country code, at most 15 digits. Without the
// plus, a number is a phone's only under a name that says so.
func isPhone(s string, plain []byte, separators int, hint class) bool {
	switch {
	case s[0] == '+':
		return len(plain) >= 8 && len(plain) <= 15 && plain[0] != '0'
	case hint == classPhone:
		return len(plain) >= 9 && len(plain) <= 15 && separators <= 6
	}
	return false
}

// isCard wants a network's first digits and length, and Luhn's check digit.
func isCard(d []byte) bool {
	n := len(d)
	if n < 13 || n > 19 {
		return false
	}
	two := int(d[0]-'0')*10 + int(d[1]-'0')
	four := two*100 + int(d[2]-'0')*10 + int(d[3]-'0')
	switch {
	case d[0] == '4' && (n == 13 || n == 16 || n == 19): // Visa
	case (two >= 51 && two <= 55 || four >= 2221 && four <= 2720) && n == 16: // Mastercard
	case (two == 34 || two == 37) && n == 15: // American Express
	case (four == 6011 || two == 65 || four >= 6440 && four <= 6499) && n >= 16: // Discover
	case four >= 3528 && four <= 3589 && n >= 16: // JCB
	case (two == 36 || two == 38 || two == 39 || four >= 3000 && four <= 3059) && n == 14: // Diners Club
	case two == 62 && n >= 16: // UnionPay
	default:
		return false
	}
	return luhn(d)
}

func luhn(d []byte) bool {
	sum, same := 0, true
	for i, c := range slices.Backward(d) {
		v := int(c - '0')
		if same = same && c == d[0]; (len(d)-i)%2 == 0 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0 && !same
}

// ibanLengths are by country, two letters and a number.
const ibanLengths = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FO18FR27GB22GE22" +
	"GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MR27MT31MU30" +
	"NL18NO15PK24PL28PS29PT25QA29RO24RS22SA24SC31SE24SI19SK24SM27ST25SV28TL23TN24TR26UA29VA22VG24XK20"

func isIBAN(b []byte) bool {
	if len(b) < 15 || !isLetter(b[0]) || !isLetter(b[1]) || !isDigit(b[2]) || !isDigit(b[3]) {
		return false
	}
	known := false
	for i := 0; i < len(ibanLengths); i += 4 {
		if ibanLengths[i] == b[0] && ibanLengths[i+1] == b[1] {
			known = len(b) == int(ibanLengths[i+2]-'0')*10+int(ibanLengths[i+3]-'0')
			break
		}
	}
	if !known {
		return false
	}
	rest := 0
	for i := range b {
		c := b[(i+4)%len(b)]
		if isDigit(c) {
			rest = (rest*10 + int(c-'0')) % 97
		} else {
			rest = (rest*100 + int(c-'A') + 10) % 97
		}
	}
	return rest == 1
}

// isSSN wants the hyphens, or a name that says so.
func isSSN(s string, d []byte, all bool, hint class) bool {
	if !all || len(d) != 9 || hint != classSSN && (len(s) != 11 || s[3] != '-' || s[6] != '-') {
		return false
	}
	area, group, serial := string(d[:3]), string(d[3:5]), string(d[5:])
	return area != "000" && area != "666" && area < "900" && group != "00" && serial != "0000"
}

// isNationalID checks the numbers of persons that have check digits: Brazil's CPF
// in its own punctuation, and under a name that says so also India's Aadhaar,
// Britain's NHS number, the Dutch BSN, and Spain's DNI and NIE.
func isNationalID(s string, b []byte, all bool, hint class) bool {
	if all && len(b) == 11 && (hint == classNationalID || len(s) == 14 && s[3] == '.' && s[7] == '.' && s[11] == '-') {
		return isCPF(b)
	}
	if hint != classNationalID {
		return false
	}
	switch {
	case all && len(b) == 12:
		return b[0] >= '2' && verhoeff(b)
	case all && len(b) == 10:
		return weighted(b[:9], 10) == int(b[9]-'0')
	case all && len(b) == 9:
		sum := -int(b[8] - '0')
		for i := range 8 {
			sum += (9 - i) * int(b[i]-'0')
		}
		return sum%11 == 0
	case len(b) == 9:
		return isDNI(b)
	}
	return false
}

// weighted is 11 less the sum of digits by falling weights modulo 11, with 11
// as 0, which the check digits of CPF and NHS numbers are.
func weighted(d []byte, from int) int {
	sum := 0
	for i, c := range d {
		sum += (from - i) * int(c-'0')
	}
	return (11 - sum%11) % 11
}

func isCPF(d []byte) bool {
	same := true
	for _, c := range d {
		same = same && c == d[0]
	}
	return !same && weighted(d[:9], 10)%10 == int(d[9]-'0') && weighted(d[:10], 11)%10 == int(d[10]-'0')
}

func isDNI(b []byte) bool {
	n := 0
	for i := range 8 {
		c := b[i]
		if i == 0 && c >= 'X' && c <= 'Z' {
			c = c - 'X' + '0'
		}
		if !isDigit(c) {
			return false
		}
		n = n*10 + int(c-'0')
	}
	return b[8] == "TRWAGMYFPDXBNJZSQVHLCKE"[n%23]
}

var (
	verhoeffProduct = [10]string{
		"0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
		"5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
	}
	verhoeffPlace = [8]string{
		"0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
	}
)

func verhoeff(d []byte) bool {
	c := byte('0')
	for i := range d {
		c = verhoeffProduct[c-'0'][verhoeffPlace[i%8][d[len(d)-1-i]-'0']-'0']
	}
	return c == '0'
}
