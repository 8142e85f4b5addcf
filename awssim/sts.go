package awssim

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxChained is the longest session of a role that another role's session
// assumes.
const maxChained = time.Hour

func findSTS(x *exchange) (operation, error) {
	form, err := url.ParseQuery(string(x.body))
	if err != nil {
		return operation{}, &Error{Code: "MalformedQueryString", Message: "the request body is not a query string: " + err.Error()}
	}
	if form.Get("Action") == "" {
		form = x.r.URL.Query()
	}
	x.form = form
	switch name := form.Get("Action"); name {
	case "GetCallerIdentity":
		return operation{name: name, run: getCallerIdentity, free: true}, nil
	case "AssumeRole":
		return operation{name: name, prepare: prepareAssumeRole, run: assumeRole}, nil
	default:
		return operation{}, unknownOperation("sts:" + name)
	}
}

func (x *exchange) answerXML(name string, result any) error {
	type metadata struct {
		ID string `xml:"RequestId"`
	}
	body, err := xml.Marshal(struct {
		XMLName  xml.Name
		Result   any
		Metadata metadata `xml:"ResponseMetadata"`
	}{
		XMLName:  xml.Name{Space: "https://sts.amazonaws.com/doc/2011-06-15/", Local: name + "Response"},
		Result:   result,
		Metadata: metadata{x.requestID},
	})
	if err != nil {
		return fmt.Errorf("encoding the answer of %s: %w", name, err)
	}
	x.w.Header().Set("Content-Type", "text/xml")
	x.answer(http.StatusOK, body)
	return nil
}

func getCallerIdentity(x *exchange) error {
	p := x.cred.Principal
	return x.answerXML("GetCallerIdentity", struct {
		XMLName xml.Name `xml:"GetCallerIdentityResult"`
		Arn     string
		UserId  string //nolint:revive // AWS's name on the wire
		Account string
	}{Arn: p.ARN, UserId: p.ID, Account: p.Account})
}

// assumeInput is the checked input of AssumeRole.
type assumeInput struct {
	arn, session, account, role string
	duration                    time.Duration
	source                      string
	policies                    []string
	tags                        map[string]string
}

func validation(format string, args ...any) *Error {
	return &Error{Code: "ValidationError", Message: fmt.Sprintf(format, args...)}
}

func prepareAssumeRole(x *exchange) error {
	f := x.form
	in := &assumeInput{
		arn:     f.Get("RoleArn"),
		session: f.Get("RoleSessionName"), source: f.Get("SourceIdentity"),
		duration: time.Hour,
	}
	x.input = in
	x.call.Resource = in.arn
	if in.arn == "" {
		return validation("1 validation error detected: Value null at 'roleArn' failed to satisfy constraint: Member must not be null")
	}
	if len(in.arn) < 20 {
		return validation("1 validation error detected: Value '%s' at 'roleArn' failed to satisfy constraint: Member must have length greater than or equal to 20", in.arn)
	}
	part := strings.SplitN(in.arn, ":", 6)
	if len(part) != 6 || part[0] != "arn" || part[2] != "iam" || !strings.HasPrefix(part[5], "role/") {
		return validation("%s is invalid", in.arn)
	}
	in.account = part[4]
	in.role = part[5][strings.LastIndexByte(part[5], '/')+1:]
	if !validSessionName(in.session) {
		return validation("1 validation error detected: Value '%s' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*, with a length from 2 to 64", in.session)
	}
	if text := f.Get("DurationSeconds"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return &Error{Code: "MalformedInput", Message: "DurationSeconds is not a number"}
		}
		if n < 900 {
			return validation("1 validation error detected: Value '%d' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900", n)
		}
		if n > 43200 {
			return validation("1 validation error detected: Value '%d' at 'durationSeconds' failed to satisfy constraint: Member must have value less than or equal to 43200", n)
		}
		in.duration = time.Duration(n) * time.Second
	}
	if p := f.Get("Policy"); p != "" {
		in.policies = append(in.policies, p)
	}
	in.tags = map[string]string{}
	for i := 1; i <= 50; i++ {
		k := f.Get(fmt.Sprintf("Tags.member.%d.Key", i))
		if k == "" {
			break
		}
		in.tags[k] = f.Get(fmt.Sprintf("Tags.member.%d.Value", i))
	}
	x.call.ExternalID = f.Get("ExternalId")
	x.call.RoleAcct = in.account
	if a := x.sim.account(in.account); a != nil && a.Status() == statusActive {
		if r := a.role(in.role); r != nil && r.arn == in.arn {
			x.call.Role = r
		}
	}
	return nil
}

func assumeRole(x *exchange) error {
	in, ok := x.input.(*assumeInput)
	role := x.call.Role
	if !ok || role == nil {
		return ErrAccessDenied // an Authority that allows what does not exist
	}
	chained := x.cred.Principal.Kind == KindSession
	if chained && in.duration > maxChained {
		return validation("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
	}
	longest := role.MaxSession
	if longest == 0 {
		longest = time.Hour
	}
	if in.duration > longest {
		return validation("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	c := x.sim.newSession(x.sim.Account(in.account), role, in.session, in.duration)
	c.Chained, c.Policies, c.Tags, c.SourceIdentity = chained, in.policies, in.tags, in.source
	x.sim.addKey(c)
	type user struct {
		AssumedRoleId string //nolint:revive // AWS's name on the wire
		Arn           string
	}
	type creds struct {
		AccessKeyId     string //nolint:revive // AWS's name on the wire
		SecretAccessKey string
		SessionToken    string
		Expiration      string
	}
	return x.answerXML("AssumeRole", struct {
		XMLName         xml.Name `xml:"AssumeRoleResult"`
		SourceIdentity  string   `xml:",omitempty"`
		AssumedRoleUser user
		Credentials     creds
	}{
		SourceIdentity:  in.source,
		AssumedRoleUser: user{c.Principal.ID, c.Principal.ARN},
		Credentials:     creds{c.AccessKeyID, c.SecretAccessKey, c.SessionToken, c.Expires.Format(time.RFC3339)},
	})
}

// validSessionName reports whether s is [\w+=,.@-]{2,64}.
func validSessionName(s string) bool {
	if len(s) < 2 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_+=,.@-", c) >= 0 {
			continue
		}
		return false
	}
	return true
}
