package awssim

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-project/gatehouse/iam"
)

// maxChained is the longest session of a role that another role's session
// assumes.
const maxChained = time.Hour

// assumeInput is the checked input of AssumeRole and its kin.
type assumeInput struct {
	arn, session, account, role string
	duration                    time.Duration
	source                      string
	policies                    []string
	compiled                    []iam.Attached
	tags                        map[string]string
	transitive                  []string
	provider                    string // ARN of the identity provider that vouches
	web                         webIdentity
	saml                        samlSubject
}

func validation(format string, args ...any) *Error {
	return &Error{Code: "ValidationError", Message: fmt.Sprintf(format, args...)}
}

// prepareAssumeRole reads the input of AssumeRole.
func prepareAssumeRole(x *exchange) error {
	f := x.form
	in := &assumeInput{session: f.Get("RoleSessionName"), source: f.Get("SourceIdentity"), tags: map[string]string{}}
	if err := in.readRole(x); err != nil {
		return err
	}
	if err := in.checkSessionName(); err != nil {
		return err
	}
	if err := in.readSession(x); err != nil {
		return err
	}
	if err := in.readTags(x); err != nil {
		return err
	}
	x.call.ExternalID = f.Get("ExternalId")
	if err := in.inherit(x); err != nil {
		return err
	}
	in.addContext(x)
	return nil
}

// readRole reads the role and finds it.
func (in *assumeInput) readRole(x *exchange) error {
	in.arn = x.form.Get("RoleArn")
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
	x.call.Owner = in.account
	if a := x.sim.account(in.account); a != nil && a.Status() == statusActive {
		if r := a.role(in.role); r != nil && r.arn == in.arn {
			x.call.Role = r
			x.call.Policies.Resource = r.policies.trust
		}
	}
	return nil
}

func (in *assumeInput) checkSessionName() error {
	if !validSessionName(in.session) {
		return validation("1 validation error detected: Value '%s' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*, with a length from 2 to 64", in.session)
	}
	return nil
}

// maxSessionPolicy is the longest inline session policy, in characters.
const maxSessionPolicy = 2048

// readSession reads the duration and the session policies.
func (in *assumeInput) readSession(x *exchange) error {
	f := x.form
	in.duration = time.Hour
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
	if text := f.Get("Policy"); text != "" {
		if utf8.RuneCountInString(text) > maxSessionPolicy {
			return validation("1 validation error detected: Value at 'policy' failed to satisfy constraint: Member must have length less than or equal to 2048")
		}
		policy, err := iam.ParseAndCompile(iam.KindSession, []byte(text))
		switch {
		case err != nil && !json.Valid([]byte(text)):
			return &Error{Code: "MalformedPolicyDocument", Message: "This policy contains invalid Json"}
		case err != nil:
			return &Error{Code: "MalformedPolicyDocument", Message: "Syntax errors in policy."}
		}
		in.policies = append(in.policies, text)
		in.compiled = append(in.compiled, iam.Attached{Name: "session policy", Policy: policy})
	}
	for i := 1; ; i++ {
		arn := f.Get(fmt.Sprintf("PolicyArns.member.%d.arn", i))
		if arn == "" {
			return nil
		}
		if i > 10 {
			return validation("1 validation error detected: Value at 'policyArns' failed to satisfy constraint: Member must have length less than or equal to 10")
		}
		var policy iam.Attached
		ok := false
		if a := x.sim.account(in.account); a != nil {
			policy, ok = a.policy(arn)
		}
		if !ok {
			return validation("PolicyArns: %s does not exist or is not attachable.", arn)
		}
		in.policies = append(in.policies, arn)
		in.compiled = append(in.compiled, policy)
	}
}

// maxTags is how many tags a session can have.
const maxTags = 50

// readTags reads the session tags of AssumeRole.
func (in *assumeInput) readTags(x *exchange) error {
	for i := 1; ; i++ {
		k := x.form.Get(fmt.Sprintf("Tags.member.%d.Key", i))
		if k == "" {
			break
		}
		if err := in.addTag(k, x.form.Get(fmt.Sprintf("Tags.member.%d.Value", i))); err != nil {
			return err
		}
	}
	for i := 1; i <= maxTags; i++ {
		k := x.form.Get(fmt.Sprintf("TransitiveTagKeys.member.%d", i))
		if k == "" {
			break
		}
		if _, ok := in.tags[k]; !ok {
			return validation("One of the specified transitive tag keys was not passed as a session tag: %s", k)
		}
		in.transitive = append(in.transitive, k)
	}
	return nil
}

// addTag adds a session tag. Keys are one whatever their case.
func (in *assumeInput) addTag(key, value string) error {
	if len(in.tags) == maxTags {
		return validation("1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50")
	}
	for k := range in.tags {
		if strings.EqualFold(k, key) {
			return &Error{Code: "InvalidParameterValue", Message: "Duplicate tag keys found. Please note that Tag keys are case insensitive."}
		}
	}
	in.tags[key] = value
	return nil
}

// inherit takes on what the calling session passes on: transitive tags, and the
// source identity, which cannot be changed once it is set.
func (in *assumeInput) inherit(x *exchange) error {
	for _, key := range x.cred.Transitive {
		for k := range in.tags {
			if strings.EqualFold(k, key) {
				return &Error{Code: "InvalidParameterValue", Message: "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session."}
			}
		}
		in.tags[key] = x.cred.Tags[key]
		in.transitive = append(in.transitive, key)
	}
	if was := x.cred.SourceIdentity; was != "" {
		if in.source != "" && in.source != was {
			x.call.Action = "sts:SetSourceIdentity"
			return ErrAccessDenied
		}
		in.source = was
	}
	return nil
}

// addContext adds the condition keys that the input gives.
func (in *assumeInput) addContext(x *exchange) {
	c := x.call.Context
	c["sts:RoleSessionName"] = []string{in.session}
	if x.call.ExternalID != "" {
		c["sts:ExternalId"] = []string{x.call.ExternalID}
	}
	if in.source != "" {
		c["sts:SourceIdentity"] = []string{in.source}
	}
	for k, v := range in.tags {
		c["aws:RequestTag/"+k] = []string{v}
	}
	if len(in.tags) > 0 {
		c["aws:TagKeys"] = slices.Sorted(maps.Keys(in.tags))
	}
	if len(in.transitive) > 0 {
		c["sts:TransitiveTagKeys"] = slices.Clone(in.transitive)
	}
	if x.call.Role != nil {
		for k, v := range x.call.Role.Tags {
			c["aws:ResourceTag/"+k] = []string{v}
		}
	}
}

// furtherActions are what else the session needs to be allowed.
func furtherActions(x *exchange) []string {
	in, ok := x.input.(*assumeInput)
	if !ok {
		return nil
	}
	var actions []string
	if len(in.tags) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	if in.source != "" {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	return actions
}

// assume makes the session that the input asks for.
func (x *exchange) assume() (*assumeInput, *Credential, error) {
	in, ok := x.input.(*assumeInput)
	role := x.call.Role
	if !ok || role == nil {
		return nil, nil, ErrAccessDenied // an Authority that allows what does not exist
	}
	chained := x.cred.Principal.Kind == KindSession
	if chained && in.duration > maxChained {
		return nil, nil, validation("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
	}
	longest := role.MaxSession
	if longest == 0 {
		longest = time.Hour
	}
	if in.duration > longest {
		return nil, nil, validation("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	c := x.sim.newSession(x.sim.Account(in.account), role, in.session, in.duration)
	c.Chained, c.Policies, c.session, c.SourceIdentity, c.Provider = chained, in.policies, in.compiled, in.source, in.provider
	c.Tags, c.Transitive, c.Keys = in.tags, in.transitive, in.saml.keys()
	x.sim.addKey(c)
	return in, c, nil
}

// assumedUser and wireCredentials are parts of the answers.
type assumedUser struct {
	AssumedRoleId string //nolint:revive // AWS's name on the wire
	Arn           string
}

type wireCredentials struct {
	AccessKeyId     string //nolint:revive // AWS's name on the wire
	SecretAccessKey string
	SessionToken    string
	Expiration      string
}

func onWire(c *Credential) (assumedUser, wireCredentials) {
	return assumedUser{c.Principal.ID, c.Principal.ARN},
		wireCredentials{c.AccessKeyID, c.SecretAccessKey, c.SessionToken, c.Expires.Format(time.RFC3339)}
}

func assumeRole(x *exchange) error {
	in, c, err := x.assume()
	if err != nil {
		return err
	}
	user, creds := onWire(c)
	return x.answerXML("AssumeRole", struct {
		XMLName         xml.Name `xml:"AssumeRoleResult"`
		SourceIdentity  string   `xml:",omitempty"`
		AssumedRoleUser assumedUser
		Credentials     wireCredentials
	}{SourceIdentity: in.source, AssumedRoleUser: user, Credentials: creds})
}
