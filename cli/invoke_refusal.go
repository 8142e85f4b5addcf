package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// refusal is what an answer of 400 or above means, in plain words.
type refusal struct {
	// lines say more, one a line, before the error itself.
	lines []string
	what  string
	mend  string
}

// explain reads the error of an answer: x-amzn-ErrorType, and the message of the
// body, whose key API Gateway writes in either case.
func (v *invocation) explain(a *answer) refusal {
	kind, _, _ := strings.Cut(a.header.Get("X-Amzn-Errortype"), ":")
	message := messageOf(a.body)
	switch {
	case a.code == http.StatusForbidden && kind == "" && message == "":
		return refusal{
			what: "it does not say why, so the refusal does not come from API Gateway's own authorization",
			mend: "look at the backend, at a web ACL, and at gateway responses that were customized",
		}
	case a.code == http.StatusForbidden:
		return v.explainForbidden(kind, message)
	case a.code == http.StatusUnauthorized:
		return refusal{
			what: clipText(message, "Unauthorized") + ": the method wants a token (Lambda authorizer, Cognito or JWT), not a signature",
			mend: "send the token with --unsigned -H 'Authorization: Bearer …', or let the method's authorization be AWS_IAM",
		}
	case a.code == http.StatusNotFound && message == "Not Found":
		return refusal{
			what: "no route of the HTTP API matches " + v.request.Method + " " + v.request.URL.EscapedPath(),
			mend: "see 'gatehouse estate list' for the routes and stages; only a $default stage has no name in the path",
		}
	case a.code == http.StatusTooManyRequests && message == "Limit Exceeded":
		return refusal{what: "the quota of the API key's usage plan is used up", mend: "wait for the next period, or raise the quota of the usage plan"}
	case a.code == http.StatusTooManyRequests:
		return refusal{what: "the call was throttled", mend: "call again more slowly, or raise the rate of the stage, the method or the usage plan"}
	case a.code == http.StatusGone && strings.Contains(v.request.URL.Path, "/@connections/"):
		return refusal{what: "the connection is closed"}
	}
	return refusal{what: clipText(message, "it does not say why")}
}

// messageOf is the message of an error's body.
func messageOf(body []byte) string {
	var fields map[string]any
	if json.Unmarshal(body, &fields) != nil {
		return ""
	}
	for _, key := range []string{"message", "Message", "errorMessage"} {
		if text, ok := fields[key].(string); ok && text != "" {
			return text
		}
	}
	return ""
}

// clipText is the first paragraph of a text, not longer than a few lines.
func clipText(text, otherwise string) string {
	text, _, _ = strings.Cut(text, "\n")
	text = strings.TrimSpace(text)
	if text == "" {
		return otherwise
	}
	if r := []rune(text); len(r) > 600 {
		text = string(r[:600]) + "…"
	}
	return text
}

func (v *invocation) explainForbidden(kind, message string) refusal {
	first := clipText(message, kind)
	switch {
	case kind == "MissingAuthenticationTokenException" || message == "Missing Authentication Token":
		if v.options.unsigned {
			return refusal{what: "the request is not signed, and the method wants IAM (or there is no such method)", mend: "leave out --unsigned"}
		}
		return refusal{
			what: "the API has nothing at " + v.request.Method + " " + v.request.URL.EscapedPath() + " (of a signed request, Missing Authentication Token means that)",
			mend: "check the stage, the path and the method; a stage must be deployed again after a method was added",
		}
	case strings.HasPrefix(message, "Signature expired:"), strings.HasPrefix(message, "Signature not yet current:"):
		return v.explainClock(first)
	case strings.HasPrefix(message, "Credential should be scoped"):
		return refusal{
			what: fmt.Sprintf("%s The request was signed for region %s and service %s", first, v.region, v.service),
			mend: "give --region (and --service) of the API that is behind " + v.request.Host,
		}
	case kind == "InvalidSignatureException" || strings.HasPrefix(message, "The request signature we calculated"):
		return v.explainMismatch(message)
	case kind == "ExpiredTokenException" || strings.HasPrefix(message, "The security token included in the request is expired"):
		return refusal{what: "the session has ended", mend: "get new credentials; with --role-arn every call assumes the role anew"}
	case kind == "UnrecognizedClientException" || strings.HasPrefix(message, "The security token included in the request is invalid"):
		return refusal{
			what: "AWS does not know " + v.credentials.String() + ", or its session token is not the one that was issued with it",
			mend: "check AWS_ACCESS_KEY_ID and AWS_SESSION_TOKEN, or --profile: they must be of one session, and of the API's partition",
		}
	case kind == "IncompleteSignatureException":
		return refusal{what: first, mend: "the signature did not arrive as it was sent: look for a proxy that changes the Authorization header"}
	case message == "Forbidden":
		return refusal{
			what: "Forbidden: of an HTTP API any failure of IAM; of a REST API a missing or wrong API key, a web ACL, mutual TLS, or a custom domain without a mapping",
			mend: "for an HTTP API let the caller's own policy allow execute-api:Invoke in the API's account; for a REST API send -H 'x-api-key: …' where the method asks for one",
		}
	case strings.HasPrefix(message, "User is not authorized to access this resource"):
		return refusal{
			what: first + ": the policy that the Lambda authorizer answered does not allow this call",
			mend: "look at the authorizer's answer for this method and path; a cached one may be for another path",
		}
	}
	if d, ok := parseDenial(message); ok {
		return v.explainDenial(d)
	}
	return refusal{what: first}
}

// explainClock says which clock is wrong.
func (v *invocation) explainClock(message string) refusal {
	r := refusal{what: message, mend: "set this machine's clock (NTP)"}
	i := strings.LastIndexByte(message, '(')
	if i < 0 {
		return r
	}
	stamp, _, _ := strings.Cut(message[i+1:], " ")
	theirs, err := time.Parse("20060102T150405Z", stamp)
	if err != nil {
		return r
	}
	off := v.at.UTC().Sub(theirs).Round(time.Second)
	side := "ahead of"
	if off < 0 {
		side, off = "behind", -off
	}
	r.what = fmt.Sprintf("the request's time is %v %s AWS's clock, and five minutes are the most", off, side)
	return r
}

// explainMismatch compares the canonical request that API Gateway shows with the
// one that was signed, line by line.
func (v *invocation) explainMismatch(message string) refusal {
	r := refusal{what: "the signature does not match"}
	_, rest, ok := strings.Cut(message, "should have been\n'")
	theirs, _, ended := strings.Cut(rest, "'\n\nThe String-to-Sign")
	if !ok || !ended {
		r.mend = "check the secret access key; if it is right, something between here and the API changes the request"
		return r
	}
	if theirs == v.signature.CanonicalRequest {
		r.what += ", although both sides signed the same request"
		r.mend = "the secret access key is not the one that belongs to " + v.credentials.String()
		return r
	}
	r.what += ": the request that arrived is not the one that was signed"
	r.mend = "look for a proxy, a load balancer or a custom domain that changes what differs; what is signed must arrive as it was sent"
	ours := strings.Split(v.signature.CanonicalRequest, "\n")
	for i, line := range strings.Split(theirs, "\n") {
		mine := ""
		if i < len(ours) {
			mine = ours[i]
		}
		if mine == line {
			continue
		}
		r.lines = append(r.lines,
			fmt.Sprintf("%s differs:", partOfCanonical(i, len(ours), mine)),
			"  signed:  "+maskToken(mine), "  arrived: "+maskToken(line))
		if len(r.lines) >= 30 {
			break
		}
	}
	return r
}

// partOfCanonical names a line of a canonical request.
func partOfCanonical(i, n int, line string) string {
	switch i {
	case 0:
		return "the method"
	case 1:
		return "the path"
	case 2:
		return "the query"
	case n - 1:
		return "the digest of the body"
	case n - 2:
		return "the list of signed headers"
	}
	name, _, _ := strings.Cut(line, ":")
	return "the header " + name
}

// maskToken hides the session token of a line of a canonical request.
func maskToken(line string) string {
	if strings.HasPrefix(line, "x-amz-security-token:") {
		return "x-amz-security-token:" + redacted
	}
	before, after, ok := strings.Cut(line, "X-Amz-Security-Token=")
	if !ok {
		return line
	}
	_, rest, more := strings.Cut(after, "&")
	if more {
		rest = "&" + rest
	}
	return before + "X-Amz-Security-Token=" + redacted + rest
}

// denial is AWS's text of a refusal by policy, taken apart.
type denial struct {
	who, action, resource string
	// layer is the type of policy that the text names; empty: none.
	layer    string
	explicit bool
}

// parseDenial reads "User: … is not authorized to perform: … on resource: …", with
// or without what follows.
func parseDenial(message string) (denial, bool) {
	var d denial
	rest, ok := strings.CutPrefix(clipText(message, ""), "User: ")
	if !ok {
		return d, false
	}
	if d.who, rest, ok = strings.Cut(rest, " is not authorized to perform: "); !ok {
		return d, false
	}
	if d.action, rest, ok = strings.Cut(rest, " on resource: "); !ok {
		return d, false
	}
	var why string
	d.resource, why, _ = strings.Cut(rest, " ")
	if layer, ok := strings.CutPrefix(why, "with an explicit deny"); ok {
		d.explicit = true
		layer = strings.TrimPrefix(layer, " in ")
		for _, article := range []string{"an ", "a ", "the "} {
			layer = strings.TrimPrefix(layer, article)
		}
		d.layer = layer
		return d, true
	}
	if layer, ok := strings.CutPrefix(why, "because no "); ok {
		d.layer, _, _ = strings.Cut(layer, " allows ")
	}
	return d, true
}

// accountOf is the account of an ARN, of which the text masks all but the end.
func accountOf(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 {
		return ""
	}
	return parts[4]
}

// sameAccount compares an account with a masked one by its last four digits, which
// is all that AWS shows.
func sameAccount(caller, owner string) bool {
	return len(caller) == 12 && len(owner) == 12 && caller[8:] == owner[8:]
}

func (v *invocation) explainDenial(d denial) refusal {
	caller, owner := accountOf(d.who), accountOf(d.resource)
	cross := caller != "" && owner != "" && !sameAccount(caller, owner)
	resource := d.resource
	if !cross && len(caller) == 12 {
		resource = strings.Replace(resource, owner, caller, 1)
	}
	var r refusal
	if d.who == "anonymous" {
		r.lines = append(r.lines, "caller: anonymous, as API Gateway sees every call of a method whose authorization is not AWS_IAM")
	} else {
		r.lines = append(r.lines, "caller: "+d.who)
	}
	r.lines = append(r.lines, "wanted: "+d.action+" on "+resource)
	if cross {
		r.lines = append(r.lines, fmt.Sprintf("accounts: the caller is of %s, the API of one that ends in %s; across accounts both sides must allow: the caller's own policy, and the API's resource policy", caller, owner[8:]))
	}
	ours := fmt.Sprintf("attach a policy to %s that allows %s on %s", principalOf(d.who), d.action, resource)
	theirs := fmt.Sprintf("let the API's resource policy allow %s for %s, and deploy the stage again", d.action, principalOf(d.who))
	if d.who == "anonymous" {
		theirs = fmt.Sprintf(`let the API's resource policy allow %s for "Principal": "*", and deploy the stage again`, d.action)
	}
	if d.action == "execute-api:InvalidateCache" {
		theirs += "; or leave out --refresh-cache"
	}
	switch {
	case d.explicit:
		where := d.layer
		if where == "" {
			where = "policy"
		}
		r.what = "a statement of a " + where + " denies it (explicit deny), and no Allow outweighs a Deny"
		if strings.HasPrefix(where, "identity") {
			r.what = strings.Replace(r.what, "of a ", "of an ", 1)
		}
		r.mend = "take out or narrow the statement with \"Effect\": \"Deny\" in the " + whoseIs(where, d.who) + "; 'gatehouse policy explain' finds it"
	case d.layer == "resource-based policy" && cross:
		// The text names one side alone, and this side whenever the other lacks too.
		r.what = "the API's side does not allow it (implicit deny); the caller's side may lack it too, for AWS names one side alone"
		r.mend = theirs + "; and " + ours
	case d.layer == "resource-based policy":
		r.what = "the API's resource policy does not allow it (implicit deny)"
		r.mend = theirs
	case d.layer == "identity-based policy" && cross:
		r.what = "the caller's side does not allow it (implicit deny), while the API's resource policy names the caller"
		r.mend = ours
	case d.layer == "identity-based policy":
		r.what = "neither side allows it (implicit deny); in one account either is enough"
		r.mend = ours + ", or " + theirs
	case d.layer != "":
		r.what = "no " + d.layer + " allows it (implicit deny), and every type that applies must"
		r.mend = "allow " + d.action + " in the " + whoseIs(d.layer, d.who)
	case cross:
		r.what = "a side does not allow it, and the text does not say which"
		r.mend = ours + "; and " + theirs
	default:
		r.what = "no policy allows it (implicit deny)"
		r.mend = ours + ", or " + theirs
	}
	return r
}

// whoseIs says where to look for a policy of that type.
func whoseIs(layer, who string) string {
	switch layer {
	case "identity-based policy", "permissions boundary":
		return layer + " of " + principalOf(who)
	case "session policy":
		return "session policy that was passed when " + principalOf(who) + " was assumed"
	case "resource-based policy":
		return "API's resource policy"
	case "VPC endpoint policy":
		return "policy of the VPC endpoint that the call came through"
	case "service control policy", "resource control policy":
		return layer + " of the organization"
	}
	return layer
}

// principalOf is the role of a session, which is what policies are attached to,
// or the principal itself.
func principalOf(who string) string {
	prefix, name, ok := strings.Cut(who, ":assumed-role/")
	if !ok {
		return who
	}
	role, _, _ := strings.Cut(name, "/")
	return strings.Replace(prefix, ":sts:", ":iam:", 1) + ":role/" + role
}
