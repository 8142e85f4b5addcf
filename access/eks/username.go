package eks

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// sessionShape is what STS takes for the name of a session.
var sessionShape = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

// checkSession returns an error that tells why a person cannot have a session of their
// own name. The name is never changed to fit: another name is another person.
func checkSession(id string) error {
	switch {
	case len(id) > 64:
		return fmt.Errorf("%s has %d characters and the name of a role session at most 64; this person needs a shorter address in the identity provider, or a role of their own", id, len(id))
	case len(id) < 2:
		return fmt.Errorf("%q is too short for the name of a role session, which has at least 2 characters", id)
	case !sessionShape.MatchString(id):
		bad := strings.IndexFunc(id, func(r rune) bool { return r > 127 || !sessionShape.MatchString("aa"+string(r)) })
		return fmt.Errorf("%q has the character %q, and the name of a role session letters, digits and _+=,.@- alone", id, []rune(id[bad:])[0])
	}
	return nil
}

// The variables of username templates.
const (
	variableSession = "{{SessionName}}"
	variableRaw     = "{{SessionNameRaw}}"
	variableAccount = "{{AccountID}}"
)

// namesSession reports whether a template tells sessions apart.
func namesSession(template string) bool {
	return strings.Contains(template, variableSession) || strings.Contains(template, variableRaw)
}

// render makes of a template the name by which the cluster knows a session, in the
// order in which the authenticator replaces the variables.
func render(template, session, account string) (string, error) {
	if !namesSession(template) {
		return "", fmt.Errorf("the username template %q has neither %s nor %s, so everybody has one name in the cluster", template, variableRaw, variableSession)
	}
	if strings.Contains(template, variableAccount) && account == "" {
		return "", fmt.Errorf("the username template %q needs the account of the role, which is not known; set config.%s", template, keyAccount)
	}
	name := strings.NewReplacer(
		variableAccount, account,
		variableSession, strings.ReplaceAll(session, "@", "-"),
		variableRaw, session,
	).Replace(template)
	if strings.Contains(name, "{{") {
		return "", fmt.Errorf("the username template %q has a variable that cannot be known beforehand; use %s", template, variableRaw)
	}
	return name, nil
}

// reservedPrefixes are how names must not begin in access entries.
var reservedPrefixes = []string{"system:", "eks:", "aws:", "amazon:", "iam:"}

// checkEntryTemplate returns why EKS would refuse a template in an access entry.
func checkEntryTemplate(template string) error {
	for _, p := range reservedPrefixes {
		if strings.HasPrefix(template, p) {
			return fmt.Errorf("the username template %q begins with %s, which EKS keeps to itself", template, p)
		}
	}
	for _, v := range []string{variableSession, variableRaw} {
		if before, _, ok := strings.Cut(template, v); ok && !strings.Contains(before, ":") {
			return fmt.Errorf("the username template %q has no colon before %s; write it as %s", template, v, DefaultTemplate)
		}
	}
	return nil
}

// bare reports whether a session could have the name of a user who is no session: the
// template puts nothing in front that a session's name cannot hold.
func bare(template string) bool {
	before, _, _ := strings.Cut(template, "{{Session")
	return !strings.Contains(before, ":")
}

// collisions are the groups of people who would be one user in the cluster.
func collisions(template string, people []string) [][]string {
	by := map[string][]string{}
	for _, id := range people {
		name, err := render(template, id, "000000000000")
		if err == nil && !slices.Contains(by[name], id) {
			by[name] = append(by[name], id)
		}
	}
	var all [][]string
	for _, ids := range by {
		if len(ids) > 1 {
			slices.Sort(ids)
			all = append(all, ids)
		}
	}
	slices.SortFunc(all, slices.Compare)
	return all
}
