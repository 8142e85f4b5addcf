package eks

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

// Caller is what a person's own machine and cluster say of who they are, and what
// Gatehouse knows. What is empty was not looked at.
type Caller struct {
	// Person is the ID in the directory, in the identity provider's own case.
	Person string
	// ARN is what sts:GetCallerIdentity answered with the person's profile.
	ARN string
	// Username and Groups are what a SelfSubjectReview in the cluster answered.
	Username string
	Groups   []string
	// Role is the ARN or the name of the shared role.
	Role string
	// Templates are the username templates of the role that are live in the cluster.
	Templates []string
	// Trust is the role's trust policy.
	Trust string
	// Bound are the users that the person's live bindings name.
	Bound []string
}

// Caller is what Gatehouse's side tells of a person for Whoami: the shared role, its trust
// policy, the live username templates, and the users that bindings for the person name.
// What cannot be read stays empty. It returns an error only if ctx is done or the settings
// cannot be right.
func (p *RBAC) Caller(ctx context.Context, i *access.Integration, person flow.Person) (Caller, error) {
	c, err := p.connect(i)
	if err != nil {
		return Caller{}, err
	}
	w := Caller{Person: person.ID, Role: orElse(c.sharedARN(), c.accessRole)}
	if n, err := c.names(ctx, false); err == nil {
		w.Role = orElse(n.arn, w.Role)
		for _, t := range n.templates {
			w.Templates = append(w.Templates, t.text)
		}
	}
	if arn, _, document, err := c.roleOf(ctx); err == nil {
		w.Role = arn
		if text, err := url.QueryUnescape(document); err == nil {
			w.Trust = text
		}
	}
	if names, err := c.subjects(ctx, person.ID); err == nil {
		w.Bound = names
	}
	return w, ctx.Err()
}

// The names of the findings of Whoami, beside those of Check.
const (
	whoamiSession = "session"
	whoamiRole    = "role"
	whoamiCase    = "session-name-case"
	whoamiUser    = "username"
	whoamiBinding = "binding"
)

// Whoami compares who a person is to AWS and to the cluster with who they have to be for
// what is lent to them. It finds names in another case, sessions that aws eks get-token
// --role-arn named, roles that are not the shared one, trust policies that let people
// name themselves, and bindings that name somebody else.
func Whoami(c Caller) []access.Check {
	w := &whoami{Caller: c}
	w.session()
	w.trust()
	w.username()
	w.bindings()
	return w.found
}

type whoami struct {
	Caller
	name  string // of the session
	found []access.Check
}

func (w *whoami) add(name, result, mend, format string, args ...any) {
	w.found = append(w.found, access.Check{Name: name, Result: result, Detail: fmt.Sprintf(format, args...), Mend: mend})
}

// cliSession is how aws eks get-token and update-kubeconfig name a session with
// --role-arn, whoever calls.
const cliSession = "EKSGetTokenAuth"

func (w *whoami) session() {
	if w.ARN == "" {
		w.add(whoamiSession, resultUnseen, "run aws sts get-caller-identity with the profile that gatehouse printed", "who you are to AWS was not seen")
		return
	}
	part := strings.SplitN(w.ARN, ":", 6)
	if len(part) != 6 || part[2] != "sts" || !strings.HasPrefix(part[5], "assumed-role/") {
		w.add(whoamiSession, resultFailed, "use the profile that gatehouse printed, with role_arn and role_session_name", "%s is no session of a role", w.ARN)
		return
	}
	role, name, _ := strings.Cut(strings.TrimPrefix(part[5], "assumed-role/"), "/")
	w.name = name
	if w.Role != "" && role != roleName(w.Role) {
		w.add(whoamiRole, resultFailed, "use the profile of "+roleName(w.Role), "the session is of the role %s and not of %s", role, roleName(w.Role))
	} else if w.Role != "" {
		w.add(whoamiRole, resultOK, "", "the session is of the role %s", role)
	}
	mend := "put role_session_name = " + w.Person + " into the profile"
	switch {
	case name == w.Person:
		w.add(whoamiSession, resultOK, "", "the session is named %s", name)
	case name == cliSession:
		w.add(whoamiSession, resultFailed, "take --role-arn and --role out of the kubeconfig's arguments and put --profile "+roleName(orElse(w.Role, role))+" in", "the session is named %s, as aws eks get-token --role-arn names everybody's", name)
	case strings.EqualFold(name, w.Person):
		w.add(whoamiCase, resultFailed, mend, "the session is named %s and you are %s: STS ignores case here and Kubernetes does not, so what is lent to you does not reach you", name, w.Person)
	case strings.HasPrefix(name, "botocore-session-") || strings.HasPrefix(name, "aws-go-sdk-"):
		w.add(whoamiSession, resultFailed, mend, "the session is named %s, which the SDK made up because the profile has no role_session_name", name)
	default:
		w.add(whoamiSession, resultFailed, mend, "the session is named %s and you are %s", name, w.Person)
	}
}

func (w *whoami) trust() {
	if w.Trust == "" {
		return
	}
	v := judgeTrust(w.Trust)
	w.add(checkTrust, v.result, v.mend, "%s", strings.Join(v.detail, "; "))
}

// names are how the cluster knows a session of the name.
func (w *whoami) names(session string) []string {
	account := ""
	if part := strings.SplitN(w.ARN, ":", 6); len(part) == 6 {
		account = part[4]
	}
	var all []string
	for _, t := range w.Templates {
		if name, err := render(t, session, account); err == nil {
			all = append(all, name)
		}
	}
	return all
}

func (w *whoami) username() {
	if w.Username == "" {
		return
	}
	want := w.names(w.Person)
	switch {
	case len(w.Templates) == 0:
		w.add(whoamiUser, resultUnseen, "", "the cluster knows you as %s; the username template was not seen", w.Username)
	case slices.Contains(want, w.Username):
		w.add(whoamiUser, resultOK, "", "the cluster knows you as %s", w.Username)
	case slices.ContainsFunc(want, func(n string) bool { return strings.EqualFold(n, w.Username) }):
		w.add(whoamiCase, resultFailed, "put role_session_name = "+w.Person+" into the profile", "the cluster knows you as %s, and what is lent to you is bound to %s: the case differs", w.Username, strings.Join(want, " or "))
	default:
		w.add(whoamiUser, resultFailed, "see that the kubeconfig uses the profile that gatehouse printed", "the cluster knows you as %s, and what is lent to you is bound to %s", w.Username, strings.Join(want, " or "))
	}
	if slices.Contains(w.Groups, "system:masters") {
		w.add(whoamiUser, resultWarning, "take system:masters away from the mapping of the role", "you are in system:masters and may do everything, whatever is lent to you")
	}
}

func (w *whoami) bindings() {
	if len(w.Bound) == 0 {
		return
	}
	name := w.Username
	if name == "" && w.name != "" {
		if all := w.names(w.name); len(all) > 0 {
			name = all[0]
		}
	}
	switch {
	case name == "":
		return
	case slices.Contains(w.Bound, name):
		w.add(whoamiBinding, resultOK, "", "what is lent to you is bound to %s", name)
	default:
		w.add(whoamiBinding, resultFailed, "use the profile that gatehouse printed; if its name is right, ask for a check of the integration: the username template was changed", "what is lent to you is bound to %s, and you are %s", strings.Join(w.Bound, ", "), name)
	}
}
