package transaction

import (
	"strings"
	"time"
)

// parseXML reads an access record in XML: the text of each element, and the id
// attribute of the outermost one, which the console's format uses for the
// request id. It reports whether the record tells a request id.
func (r *record) parseXML(s string) bool {
	if len(s) > maxPreset {
		return false
	}
	for range 256 {
		open := strings.IndexByte(s, '<')
		if open < 0 {
			break
		}
		s = s[open+1:]
		end := strings.IndexByte(s, '>')
		if end < 0 {
			break
		}
		tag := s[:end]
		s = s[end+1:]
		if tag == "" || tag[0] == '/' || tag[0] == '?' || tag[0] == '!' {
			continue
		}
		name, attributes, _ := strings.Cut(tag, " ")
		if _, id, ok := strings.Cut(attributes, `id="`); ok && strings.EqualFold(name, "request") {
			if id, _, ok = strings.Cut(id, `"`); ok {
				r.put(fieldRequestID, id)
			}
		}
		closing := "</" + name + ">"
		if n := strings.Index(s, closing); n >= 0 {
			value := strings.TrimSpace(s[:n])
			if strings.HasPrefix(value, "<") {
				continue // holds elements
			}
			r.put(fieldOfKey(name), value)
			s = s[n+len(closing):]
		}
	}
	return r.identified() && r.seen&tells != 0
}

const requestTimeLayout = "02/Jan/2006:15:04:05 -0700"

// parseRequestTime reads $context.requestTime, "09/Apr/2019:12:34:56 +0000", as
// milliseconds; RFC 3339 and epochs too, because formats give other times under
// the same names.
func parseRequestTime(s string) (int64, bool) {
	if len(s) == len(requestTimeLayout) && s[2] == '/' && s[6] == '/' && s[11] == ':' && s[14] == ':' && s[17] == ':' && s[20] == ' ' {
		day, ok1 := twoDigits(s[0:])
		month := monthOf(s[3:6])
		century, ok2 := twoDigits(s[7:])
		year, ok3 := twoDigits(s[9:])
		hour, ok4 := twoDigits(s[12:])
		minute, ok5 := twoDigits(s[15:])
		second, ok6 := twoDigits(s[18:])
		zoneHour, ok7 := twoDigits(s[22:])
		zoneMinute, ok8 := twoDigits(s[24:])
		if ok1 && ok2 && ok3 && ok4 && ok5 && ok6 && ok7 && ok8 && month > 0 && (s[21] == '+' || s[21] == '-') {
			zone := zoneHour*60 + zoneMinute
			if s[21] == '-' {
				zone = -zone
			}
			days := daysBefore(century*100+year, month) + day - 1
			minutes := (days*24+hour)*60 + minute - zone
			return int64(minutes*60+second) * 1000, true
		}
		return 0, false
	}
	if len(s) >= len("2006-01-02T15:04:05Z") && s[4] == '-' {
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
			return t.UnixMilli(), true
		}
	}
	return parseEpoch(s)
}

// parseEpoch reads seconds or milliseconds since the epoch as milliseconds.
func parseEpoch(s string) (int64, bool) {
	whole, _, _ := strings.Cut(s, ".")
	n, ok := parseInt(whole)
	if !ok || len(whole) < 9 || len(whole) > 14 {
		return 0, false
	}
	if len(whole) <= 11 {
		n *= 1000
	}
	return n, true
}

func twoDigits(s string) (int, bool) {
	if len(s) < 2 || s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9' {
		return 0, false
	}
	return int(s[0]-'0')*10 + int(s[1]-'0'), true
}

func monthOf(s string) int {
	switch s {
	case "Jan":
		return 1
	case "Feb":
		return 2
	case "Mar":
		return 3
	case "Apr":
		return 4
	case "May":
		return 5
	case "Jun":
		return 6
	case "Jul":
		return 7
	case "Aug":
		return 8
	case "Sep":
		return 9
	case "Oct":
		return 10
	case "Nov":
		return 11
	case "Dec":
		return 12
	default:
		return 0
	}
}

// daysBefore counts the days from the epoch to the first of a month of the
// Gregorian calendar. Years begin in March here, so that the leap day is the last.
func daysBefore(year, month int) int {
	const toEpoch = 719_468 // days from 0000-03-01
	if month < 3 {
		year--
		month += 12
	}
	// Year 0 begins in the January before: one cycle of 400 years keeps the
	// divisions from going below zero.
	year += 400
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 - toEpoch - 146_097
}

// parseInt reads the decimal digits that s consists of.
func parseInt(s string) (int64, bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	var n int64
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// leadingInt reads the digits that s begins with.
func leadingInt(s string) (int64, bool) {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return parseInt(s[:n])
}
