package finding

import "strings"

// concreteLogARN is an ARN that a pattern of a policy matches, or "" for one that
// names no log group.
func concreteLogARN(pattern string) string {
	r := strings.NewReplacer("*", "any", "?", "x").Replace(pattern)
	if !strings.HasPrefix(r, "arn:") || strings.Count(r, ":") < 5 || strings.Contains(r, "${") {
		return ""
	}
	return r
}
