package finding

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/iam"
)

// trust is the trust policy of a role, to be asked whom it lets in.
type trust struct {
	scene  *scene
	doc    *iam.Document
	policy *iam.Policy
	tries  int
}

const (
	assumeRole  = "sts:AssumeRole"
	assumeByWeb = "sts:AssumeRoleWithWebIdentity"
)

// errTrustTooLong is given for a trust policy that cannot be tried within bounds.
var errTrustTooLong = errors.New("the trust policy has more conditions than can be tried")

// trustOf returns the role's trust policy, or why it is not judged.
func (s *scene) trustOf() (*trust, Outcome, bool) {
	p := s.principal
	switch {
	case !p.role():
		return nil, skipped("a user is not assumed"), false
	case p.serviceLinked():
		return nil, skipped("the role is AWS's own, and nobody can change it"), false
	case p.Trust == "":
		return nil, unseen("the trust policy could not be read"), false
	}
	read := s.census.trust(p.Trust)
	if read.err != nil {
		return nil, unseen("the trust policy cannot be understood: " + read.err.Error()), false
	}
	return &trust{scene: s, doc: read.doc, policy: read.policy}, Outcome{}, true
}

// readTrust is a trust policy that was parsed and compiled.
type readTrust struct {
	doc    *iam.Document
	policy *iam.Policy
	err    error
}

// trust reads a trust policy once for all rules, and for all roles that have the same.
func (c *census) trust(text string) readTrust {
	read, ok := c.trusts[text]
	if !ok {
		if read.doc, read.err = iam.Parse(iam.KindTrust, []byte(text)); read.err == nil {
			read.policy, read.err = read.doc.Compile()
		}
		c.trusts[text] = read
	}
	return read
}

// lets asks whether somebody may assume the role, with a context whose keys are in
// lower case, and by which statements.
func (t *trust) lets(who iam.Principal, action string, given iam.Context) (bool, string, error) {
	if t.tries++; t.tries > triesAtMost {
		return false, "", errTrustTooLong
	}
	policies := iam.Policies{Resource: iam.Attached{Name: "trust policy", Policy: t.policy}}
	if who.Account != "" && who.Kind != iam.PrincipalProvider {
		policies.Identity = []iam.Attached{{Name: "the caller's own", Policy: everything}}
	}
	context := iam.Context{
		"aws:securetransport": {"true"}, "aws:currenttime": {t.scene.now.UTC().Format(time.RFC3339)}, "aws:sourceip": {strangerAddresses[0]},
	}
	maps.Copy(context, given)
	q, err := iam.Request{Principal: who, Action: action, Resource: t.scene.principal.ARN, ResourceAccount: t.scene.place.Account, Context: context}.Prepare()
	if err != nil {
		return false, "", fmt.Errorf("asking who may assume the role: %w", err)
	}
	var result iam.Result
	if policies.Evaluate(q, &result); result.Decision != iam.Allowed {
		return false, "", nil
	}
	return true, strings.Join(statements(result.Reasons), ", "), nil
}

// callersChoice reports whether who assumes a role chooses the value of a key, in
// lower case, or whoever administers his account does.
func callersChoice(key string) bool {
	for _, prefix := range []string{"aws:principaltag/", "aws:requesttag/", "sts:transitivetagkeys", "aws:tagkeys"} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return slices.Contains([]string{"aws:useragent", "aws:referer", "sts:rolesessionname", "sts:sourceidentity", "aws:multifactorauthpresent", "aws:multifactorauthage"}, key)
}

// concrete is a value that a pattern matches.
func concrete(pattern string) string {
	return strings.NewReplacer("*", "stranger", "?", "x").Replace(pattern)
}

// contexts are the contexts worth trying: none of the keys that a caller chooses, for
// each statement those that its conditions ask for, and all of those together. Keys of
// also are chosen too. An external id is only ever guessed.
func (t *trust) contexts(also func(key string) bool) []iam.Context {
	all := iam.Context{}
	chosen := []iam.Context{{}}
	for i := range t.doc.Statements {
		c := iam.Context{}
		for _, cond := range t.doc.Statements[i].Condition {
			key := strings.ToLower(cond.Key)
			if len(cond.Values) == 0 || !callersChoice(key) && (also == nil || !also(key)) {
				continue
			}
			v := concrete(cond.Values[0])
			switch op := strings.ToLower(cond.Operator); {
			case strings.HasPrefix(op, "null") && strings.EqualFold(v, "true"):
				continue
			case strings.HasPrefix(op, "null"):
				v = "stranger"
			case strings.HasPrefix(op, "numericless") && key == "aws:multifactorauthage":
				v = "1"
			}
			c[key], all[key] = []string{v}, []string{v}
		}
		if len(c) > 0 {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) > 2 {
		chosen = append(chosen, all)
	}
	guessed := []iam.Context{{}}
	if t.speaksOf("sts:ExternalId") {
		guessed = append(guessed, iam.Context{"sts:externalid": {"a-stranger-guesses"}})
	}
	out := make([]iam.Context, 0, len(chosen)*len(guessed))
	for _, c := range chosen {
		for _, guess := range guessed {
			context := iam.Context{"aws:principalorgid": {"o-strangers0"}, "sts:rolesessionname": {"stranger"}}
			maps.Copy(context, guess)
			maps.Copy(context, c)
			out = append(out, context)
		}
	}
	return out
}

// letsIn asks whether any of some callers may assume the role.
func (t *trust) letsIn(callers []iam.Principal, also func(string) bool) (bool, string, error) {
	for _, c := range t.contexts(also) {
		for _, who := range callers {
			for _, from := range strangerAddresses {
				c["aws:sourceip"] = []string{from}
				if ok, by, err := t.lets(who, assumeRole, c); ok || err != nil {
					return ok, by, err
				}
				if !t.speaksOf("aws:SourceIp") {
					break
				}
			}
		}
	}
	return false, "", nil
}

func (t *trust) speaksOf(key string) bool {
	return slices.ContainsFunc(t.doc.Statements, func(s iam.Statement) bool {
		return slices.ContainsFunc(s.Condition, func(c iam.Condition) bool { return strings.EqualFold(c.Key, key) })
	})
}

// strangers are principals of an account who are no one in particular: a role that
// nobody thought of, and, where the policy asks for a pattern of names, one that
// whoever administers the account could make to fit it.
func (t *trust) strangers(account string, mayName bool) []iam.Principal {
	partition := t.scene.place.Partition
	if partition == "" {
		partition = "aws"
	}
	names := []string{"arn:" + partition + ":iam::" + account + ":role/stranger"}
	for i := range t.doc.Statements {
		for _, c := range t.doc.Statements[i].Condition {
			if !mayName || !strings.EqualFold(c.Key, "aws:PrincipalArn") {
				continue
			}
			for _, v := range c.Values {
				parts := strings.SplitN(concrete(v), ":", 6)
				if len(parts) == 6 && strings.HasPrefix(parts[5], "role/") && !strings.HasPrefix(parts[5], "role/aws-reserved/") && len(names) < 4 {
					names = append(names, "arn:"+partition+":iam::"+account+":"+parts[5])
				}
			}
		}
	}
	var out []iam.Principal
	for _, n := range names {
		if who, err := iam.ParsePrincipal(n); err == nil {
			out = append(out, who)
		}
	}
	return out
}

// accounts are the other accounts that the policy speaks of, in order.
func (t *trust) accounts() []string {
	found := map[string]bool{}
	for _, word := range strings.FieldsFunc(t.scene.principal.Trust, func(r rune) bool { return r < '0' || r > '9' }) {
		if len(word) == 12 && word != t.scene.place.Account {
			found[word] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// stranger is an account that the policy does not name.
func (t *trust) stranger() string {
	for _, a := range strangerAccounts {
		if !strings.Contains(t.scene.principal.Trust, a) {
			return a
		}
	}
	return strangerAccounts[0]
}

// organizations are the organizations that the policy asks callers to be of.
func (t *trust) organizations() []string {
	found := map[string]bool{}
	for i := range t.doc.Statements {
		for _, c := range t.doc.Statements[i].Condition {
			if !strings.EqualFold(c.Key, "aws:PrincipalOrgID") {
				continue
			}
			for _, v := range c.Values {
				found[v] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// anybody reports whether a stranger of an account that nobody named may assume the
// role.
func (t *trust) anybody() (bool, string, error) {
	return t.letsIn(t.strangers(t.stranger(), true), nil)
}
