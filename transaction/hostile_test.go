package transaction

import (
	"strings"
	"testing"
)

// TestHostileMegabytes runs a megabyte of what is worst for each scanner. If one
// of them cost the square of its input, this would take hours.
func TestHostileMegabytes(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	of := func(s string) string { return strings.Repeat(s, size/len(s)) }
	for _, body := range []string{
		of(`"name":{`), of(`"password":{`), of(`"name":"`), of(`\"name\":\"`), of(`name="password"`), of(`name="password"` + "\n\n"), of("<password"), of("<password>"),
		of("://a:b@"), of("xox_"), of("_"), of("eyJ"), of("-----BEGIN PRIVATE KEY "), of("AKIAABCDEFGHIJKLMNOP" + strings.Repeat("a", 20)), of("password="), of("="), of("Bearer "),
		of(":"), of(`"`), of(`\`), of("{"), of(`":`),
	} {
		check(t, restGroup(), "("+rid+") Method request body before transformations: "+body)
	}
	for _, headers := range []string{of("Accept=q=1, q=1, "), of("Set-Cookie=a=b, c-d=e, "), of("A=(, b=c"), of(", "), of("a=, "), of("WWW-Authenticate=a=\", b=c, ")} {
		check(t, restGroup(), "("+rid+") Method request headers: {"+headers, "("+rid+") Method request query string: {"+headers)
	}
	for _, record := range []string{
		of(`"a":"b",`), of(`"userAgent":"",`), `"userAgent":"` + of(`","status":"200`), `"userAgent":"` + of(`","a":"b`), of(`{"a":`), of(`"a":{`), of(`[`), of(`"}`), of(`\"`), of(`-,`),
	} {
		check(t, Group{Name: "access"}, `{"requestId":"`+rid+`","httpMethod":"GET",`+record)
		check(t, Group{Name: "access", AccessFormat: jsonFormat}, `{"requestId":"`+rid+`","httpMethod":"GET",`+record)
	}
	for _, line := range []string{of(`" `), of("- "), of("a,"), of("<a>"), of("01/Jan/2026:00:00:00 +0000 ")} {
		check(t, Group{Name: "access", AccessFormat: clfFormat}, line, line[:60<<10])
	}
}
