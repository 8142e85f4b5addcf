package iam

import "strings"

// arn is an Amazon Resource Name in its six parts, the first of which is "arn".
// Only the last part may hold colons.
type arn struct {
	partition, service, region, account, resource string
}

// cutARN splits text without copying. It reports false for what has fewer than
// six parts or does not start with "arn:".
func cutARN(text string) (arn, bool) {
	var a arn
	rest, ok := strings.CutPrefix(text, "arn:")
	if !ok {
		return arn{}, false
	}
	for _, part := range [...]*string{&a.partition, &a.service, &a.region, &a.account} {
		if *part, rest, ok = strings.Cut(rest, ":"); !ok {
			return arn{}, false
		}
	}
	a.resource = rest
	return a, true
}

// isAccountID reports whether text is the 12 digits of an AWS account.
func isAccountID(text string) bool {
	if len(text) != 12 {
		return false
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return true
}

// lastSegment returns what follows the last slash: the name of a user or role
// without its path.
func lastSegment(text string) string {
	return text[strings.LastIndexByte(text, '/')+1:]
}

// lastPart returns the sixth part of an ARN.
func lastPart(text string) string {
	a, _ := cutARN(text)
	return a.resource
}
