package eks

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
)

// Verdicts on a trust policy and on other things that are checked.
const (
	resultOK      = "ok"
	resultWarning = "warning"
	resultFailed  = "failed"
	resultUnseen  = "not seen"
)

// ownNames are the policy variables that hold a caller's own name, which the caller
// cannot choose.
var ownNames = []string{"${saml:sub}", "${aws:username}"}

// trustVerdict is what a trust policy is worth for names of sessions.
type trustVerdict struct {
	result string
	detail []string
	mend   string
	// ignoresCase is set where STS lets a session be named as its user in another
	// case of letters.
	ignoresCase bool
}

func (v *trustVerdict) say(result, format string, args ...any) {
	v.result = worse(v.result, result)
	v.detail = append(v.detail, fmt.Sprintf(format, args...))
}

var rank = map[string]int{resultOK: 0, resultUnseen: 1, resultWarning: 2, resultFailed: 3}

func worse(a, b string) string {
	if a == "" || rank[b] > rank[a] {
		return b
	}
	return a
}

// trustMend is the statement that makes session names worth something.
const trustMend = `in the role's trust policy, give each statement that allows sts:AssumeRole the condition "StringEqualsIgnoreCase": {"sts:RoleSessionName": "${SAML:sub}"} ` +
	`and "ArnLike": {"aws:PrincipalArn": "arn:aws:iam::ACCOUNT:role/aws-reserved/sso.amazonaws.com/*AWSReservedSSO_*"}; gatehouse deploy terraform eks-access writes it whole`

// judgeTrust reads a role's trust policy and says whether somebody could have a session
// under another's name. Each statement that allows a way in has to forbid that by
// itself; what other statements deny is not counted on.
func judgeTrust(document string) trustVerdict {
	var v trustVerdict
	d, err := iam.Parse(iam.KindTrust, []byte(document))
	if err != nil {
		v.say(resultFailed, "the trust policy cannot be read: %v", err)
		v.mend = trustMend
		return v
	}
	ways := 0
	for n := range d.Statements {
		s := &d.Statements[n]
		if s.Effect != iam.Allow {
			continue
		}
		name := s.Sid
		if name == "" {
			name = fmt.Sprintf("number %d", n+1)
		}
		if allowsAction(s, "sts:AssumeRole") {
			ways++
			v.judgeAssume(s, name, d.Version)
		}
		if allowsAction(s, "sts:AssumeRoleWithSAML") && mayBeFederated(s) {
			ways++
			v.judgeSAML(s, name, d.Version)
		}
		if allowsAction(s, "sts:AssumeRoleWithWebIdentity") && mayBeFederated(s) {
			ways++
			if own, _ := ownName(s, d.Version); !own {
				v.say(resultFailed, "statement %s lets in web identities, who name their sessions as they like", name)
			}
		}
	}
	if ways == 0 {
		v.say(resultFailed, "the trust policy lets nobody in")
	}
	if v.result == resultFailed {
		v.mend = trustMend
	}
	return v
}

// judgeAssume judges a statement that allows sts:AssumeRole.
func (v *trustVerdict) judgeAssume(s *iam.Statement, name, version string) {
	if s.Principal != nil && !s.Principal.Everyone && len(s.Principal.AWS) == 0 && len(s.Principal.Federated)+len(s.Principal.Service) > 0 {
		if len(s.Principal.Service) > 0 {
			v.say(resultWarning, "statement %s lets in the services %s, which name sessions themselves; the role is meant for people alone", name, strings.Join(s.Principal.Service, ", "))
		}
		return // Federated principals come in by operations of their own.
	}
	own, ignoresCase := ownName(s, version)
	switch {
	case !own && onlyFixedNames(s):
		v.say(resultOK, "statement %s allows sessions of fixed names alone", name)
	case !own && version != iam.Version2012 && mentionsSessionName(s):
		v.say(resultFailed, `statement %s compares the session's name with a variable, but the policy has no "Version": "2012-10-17", without which a variable is plain text`, name)
	case !own:
		v.say(resultFailed, "statement %s has no condition on sts:RoleSessionName, so whom it lets in may name the session as anybody", name)
	case !boundToAccount(s):
		v.say(resultFailed, "statement %s takes the name from ${SAML:sub} but lets in every AWS account, and an account of somebody else can have an identity provider that says anything; limit aws:PrincipalArn to your account", name)
	default:
		v.ignoresCase = v.ignoresCase || ignoresCase
		v.say(resultOK, "statement %s makes the session's name the caller's own", name)
	}
}

// judgeSAML judges a statement that allows sts:AssumeRoleWithSAML. There the session's
// name is what the identity provider's assertion says.
func (v *trustVerdict) judgeSAML(s *iam.Statement, name, version string) {
	if own, ignoresCase := ownName(s, version); own {
		v.ignoresCase = v.ignoresCase || ignoresCase
		v.say(resultOK, "statement %s makes the session's name that of the assertion's subject", name)
		return
	}
	if !hasKey(s, "saml:aud") {
		v.say(resultFailed, "statement %s takes SAML assertions that were made for another audience: it has no condition on SAML:aud", name)
		return
	}
	v.say(resultWarning, "statement %s takes the session's name from the assertion's attribute RoleSessionName: see that the identity provider maps it to the user's e-mail address, and lets no user edit it", name)
	if v.mend == "" {
		v.mend = "in the identity provider, map https://aws.amazon.com/SAML/Attributes/RoleSessionName to the user's e-mail address"
	}
}

// allowsAction reports whether a statement's actions hold one.
func allowsAction(s *iam.Statement, action string) bool {
	matches := func(patterns iam.Strings) bool {
		for _, p := range patterns {
			if like(strings.ToLower(p), strings.ToLower(action)) {
				return true
			}
		}
		return false
	}
	if len(s.NotAction) > 0 {
		return !matches(s.NotAction)
	}
	return matches(s.Action)
}

func mayBeFederated(s *iam.Statement) bool {
	return s.Principal == nil || s.Principal.Everyone || len(s.Principal.Federated) > 0
}

// equality are the operators, in lower case, that make a name equal to a value. A session
// always has a name, so IfExists changes nothing.
var equality = map[string]bool{
	"stringequals": true, "stringequalsifexists": true, "stringlike": true, "stringlikeifexists": true,
	"stringequalsignorecase": true, "stringequalsignorecaseifexists": true,
}

const sessionNameKey = "sts:rolesessionname"

// ownName reports whether a condition makes the session's name the caller's own name,
// and whether that comparison ignores case.
func ownName(s *iam.Statement, version string) (own, ignoresCase bool) {
	if version != iam.Version2012 {
		return false, false
	}
	for _, c := range s.Condition {
		operator := strings.ToLower(c.Operator)
		if strings.ToLower(c.Key) != sessionNameKey || !equality[operator] || len(c.Values) == 0 {
			continue
		}
		all := true
		for _, value := range c.Values {
			all = all && isOwnName(value)
		}
		if all {
			return true, strings.Contains(operator, "ignorecase")
		}
	}
	return false, false
}

// isOwnName takes the variable alone. Something around it, or a default for when it is
// absent, is another's name to somebody.
func isOwnName(value string) bool {
	for _, v := range ownNames {
		if strings.EqualFold(value, v) {
			return true
		}
	}
	return false
}

func mentionsSessionName(s *iam.Statement) bool { return hasKey(s, sessionNameKey) }

func hasKey(s *iam.Statement, key string) bool {
	for _, c := range s.Condition {
		o := strings.ToLower(c.Operator)
		if strings.EqualFold(c.Key, key) && !strings.Contains(o, "not") && !strings.HasSuffix(o, "ifexists") && o != "null" && !strings.HasPrefix(o, "forallvalues:") {
			return true
		}
	}
	return false
}

// onlyFixedNames reports whether a statement allows sessions of certain names alone, none
// of which can be a person's.
func onlyFixedNames(s *iam.Statement) bool {
	for _, c := range s.Condition {
		if strings.ToLower(c.Key) != sessionNameKey || !equality[strings.ToLower(c.Operator)] || len(c.Values) == 0 {
			continue
		}
		fixed := true
		for _, value := range c.Values {
			fixed = fixed && !strings.ContainsAny(value, "*?${}@")
		}
		if fixed {
			return true
		}
	}
	return false
}

var accountInARN = regexp.MustCompile(`^arn:[^:*?$]+:(iam|sts)::\d{12}:`)

// boundToAccount reports whether a statement lets in principals of certain accounts or
// of one organization alone.
func boundToAccount(s *iam.Statement) bool {
	if s.Principal != nil && !s.Principal.Everyone {
		named := len(s.Principal.AWS) > 0
		for _, p := range s.Principal.AWS {
			named = named && p != "*" && !strings.ContainsAny(p, "*?")
		}
		if named {
			return true
		}
	}
	for _, c := range s.Condition {
		operator, key := strings.ToLower(c.Operator), strings.ToLower(c.Key)
		bound := len(c.Values) > 0
		for _, value := range c.Values {
			switch key {
			case "aws:principalarn":
				bound = bound && accountInARN.MatchString(value) && (operator == "arnlike" || operator == "arnequals" || operator == "stringlike" || operator == "stringequals")
			case "aws:principalaccount", "aws:principalorgid":
				bound = bound && !strings.ContainsAny(value, "*?$") && (operator == "stringequals" || operator == "stringlike" || operator == "stringequalsignorecase")
			default:
				bound = false
			}
		}
		if bound {
			return true
		}
	}
	return false
}
