package eks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/gatehouse-project/gatehouse/access"
)

// The names of the checks. They are stable.
const (
	checkReach       = "reach"
	checkClock       = "clock"
	checkMode        = "authentication-mode"
	checkRole        = "access-role"
	checkTrust       = "trust-policy-session-name"
	checkCase        = "session-name-case"
	checkTemplate    = "username-template"
	checkPermissions = "permissions"
	checkIAM         = "iam-permissions"
	checkAuth        = "aws-auth-health"
	checkPrincipals  = "principals"
)

// maxSkew is how far clocks may be apart: STS takes signatures that are some minutes
// old, tokens hold 15, and people see a grant end at a time that they can read.
const maxSkew = time.Minute

// examination gathers the checks of one integration.
type examination struct {
	conn   *connection
	kube   *kube
	checks []access.Check
	role   struct {
		arn, id, trust string
		err            error
		missing        bool
	}
	live    *liveNames
	liveErr error
}

func (e *examination) add(name, result, mend, format string, args ...any) {
	e.checks = append(e.checks, access.Check{Name: name, Result: result, Detail: fmt.Sprintf(format, args...), Mend: mend})
}

// Check looks at everything that lending rests on.
func (p *RBAC) Check(ctx context.Context, i *access.Integration) ([]access.Check, error) {
	c, err := p.connect(i)
	if err != nil {
		// Settings that cannot be right are a check that failed, not an error.
		return []access.Check{{Name: checkReach, Result: resultFailed, Detail: err.Error(), Mend: "mend the integration's settings"}}, ctx.Err()
	}
	e := &examination{conn: c}
	looks := []func(context.Context){e.reach, e.mode, e.accessRole, e.trust, e.templates, e.permissions, e.iamPermissions, e.authMap, e.others}
	for n, look := range looks {
		access.Report(ctx, n, len(looks), "")
		look(ctx)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return e.checks, nil
}

// reach asks for the server's version, which anybody may, and reads its clock.
func (e *examination) reach(ctx context.Context) {
	k, err := e.conn.api(ctx)
	if err != nil {
		e.add(checkReach, resultFailed, "set config.server_url and config.certificate_authority, or let gatehouse call eks:DescribeCluster", "%v", err)
		e.add(checkClock, resultUnseen, "", "the cluster was not reached")
		return
	}
	e.kube = k
	var version struct {
		GitVersion string `json:"gitVersion"`
	}
	before := e.conn.all.opts.Clock()
	got, err := k.do(ctx, request{method: http.MethodGet, path: "/version"}, &version)
	after := e.conn.all.opts.Clock()
	server, _ := e.conn.endpoint()
	switch {
	case err == nil:
		e.add(checkReach, resultOK, "", "%s is Kubernetes %s", server, version.GitVersion)
	case answered(err, http.StatusUnauthorized):
		e.add(checkReach, resultFailed, "map gatehouse's own role to a user of the cluster with an access entry, or renew the token in the secret store", "%v", err)
		e.kube = nil
	default:
		e.add(checkReach, resultFailed, "see that gatehouse reaches the endpoint (security group, private endpoint), and that the certificate authority is the cluster's", "%v", err)
		e.kube = nil
	}
	if e.conn.inCluster && err == nil {
		e.sameCluster(ctx)
	}
	date, err := http.ParseTime(got.header.Get("Date"))
	if err != nil {
		e.add(checkClock, resultUnseen, "", "the cluster did not tell its time")
		return
	}
	// The header has whole seconds, and was written between the two readings.
	skew := max(date.Sub(after), before.Sub(date.Add(time.Second)), 0)
	if skew > maxSkew {
		e.add(checkClock, resultFailed, "set the clock of gatehouse's machine by NTP (chronyc tracking shows how far it is off)", "the clocks of gatehouse and the cluster are %s apart", skew.Round(time.Second))
		return
	}
	e.add(checkClock, resultOK, "", "the clocks are less than %s apart", (skew + time.Second).Round(time.Second))
}

// sameCluster says what is known of the cluster that Gatehouse runs in, for a name alone
// leads there and could be meant for another.
func (e *examination) sameCluster(ctx context.Context) {
	found, err := e.conn.describe(ctx, 0)
	last := &e.checks[len(e.checks)-1]
	if err != nil || found.Identity == nil || found.Identity.Oidc == nil {
		last.Result = resultWarning
		last.Detail += "; it is the cluster that gatehouse runs in, and that its name is " + e.conn.settings.cluster + " could not be seen"
		last.Mend = "set config.region if another cluster is meant"
		return
	}
	var review struct {
		Issuer string `json:"issuer"`
	}
	if err := e.kube.get(ctx, "/.well-known/openid-configuration", &review); err != nil || review.Issuer == "" {
		last.Result, last.Mend = resultWarning, "set config.region if another cluster is meant"
		last.Detail += "; it is the cluster that gatehouse runs in, and its issuer could not be compared"
		return
	}
	if review.Issuer != aws.ToString(found.Identity.Oidc.Issuer) {
		last.Result, last.Mend = resultFailed, "set config.region, so that gatehouse reaches the cluster by what EKS says"
		last.Detail = "gatehouse runs in another cluster than " + e.conn.settings.cluster + ": their issuers differ"
	}
}

func (e *examination) mode(ctx context.Context) {
	e.live, e.liveErr = e.conn.names(ctx, true)
	found, err := e.conn.describe(ctx, clusterFor)
	if err != nil {
		e.add(checkMode, resultUnseen, allow("eks:DescribeCluster"), "%v", err)
		return
	}
	switch mode := modeOf(found); {
	case found.Status != types.ClusterStatusActive && found.Status != types.ClusterStatusUpdating && found.Status != "":
		e.add(checkMode, resultWarning, "wait until the cluster is ACTIVE", "%s; the cluster is %s", mode, found.Status)
	case mode == types.AuthenticationModeConfigMap && e.conn.mapping == mappingEntry:
		e.add(checkMode, resultFailed, "aws eks update-cluster-config --name "+e.conn.settings.cluster+" --access-config authenticationMode=API_AND_CONFIG_MAP (there is no way back), or set config.mapping to aws-auth",
			"the cluster knows aws-auth alone, and config.mapping asks for an access entry")
	case mode == types.AuthenticationModeApi && e.conn.mapping == mappingConfigMap:
		e.add(checkMode, resultFailed, "set config.mapping to access-entry", "the cluster does not read aws-auth any more")
	default:
		e.add(checkMode, resultOK, "", "%s", mode)
	}
}

// accessRole looks at the role that people share, and whether the access entry is for
// this very role and not for one of that name that was deleted since.
func (e *examination) accessRole(ctx context.Context) {
	r := &e.role
	r.arn, r.id, r.trust, r.err = e.conn.roleOf(ctx)
	switch {
	case awsCode(r.err) == "NoSuchEntity":
		r.missing = true
		e.add(checkRole, resultFailed, "create it (gatehouse deploy terraform eks-access writes it), or set config."+keyAccessRole, "the role %s does not exist%s", e.conn.accessRole, e.candidates(ctx))
		return
	case r.err != nil:
		e.add(checkRole, resultUnseen, allow("iam:GetRole"), "%v", r.err)
		return
	case strings.HasPrefix(e.conn.accessRole, "arn:") && r.arn != e.conn.accessRole:
		e.add(checkRole, resultFailed, "set config."+keyAccessRole+" to "+r.arn+", or reach the account of the role that is meant", "the role is %s and not %s", r.arn, e.conn.accessRole)
		return
	}
	if trust, err := url.QueryUnescape(r.trust); err == nil {
		r.trust = trust
	}
	if e.live == nil || e.live.entry == nil {
		e.add(checkRole, resultOK, "", "%s exists", r.arn)
		return
	}
	e.entryRole(r.arn, r.id)
}

// entryRole compares the role with what its access entry was made for. EKS keeps the
// role's unique id and does not show it. Best evidence: an entry that is older than its
// role was made for another, and where the id was tagged at connecting, it tells.
func (e *examination) entryRole(arn, id string) {
	mend := "aws eks delete-access-entry and create-access-entry for " + arn + "; connecting the integration again does the latter"
	if was := e.live.entry.Tags[tagRoleID]; was != "" && was != id {
		e.add(checkRole, resultFailed, mend, "the access entry was made for a role of this name that was deleted (its id was %s, now it is %s), so nobody gets in", was, id)
		return
	}
	e.add(checkRole, resultOK, "", "%s exists (%s) and has an access entry", arn, id)
}

// candidates names roles of the cluster that look like the one that is meant.
func (e *examination) candidates(ctx context.Context) string {
	if e.kube == nil {
		return ""
	}
	cm, err := readConfigMap(ctx, e.kube)
	if err != nil {
		return ""
	}
	var found []string
	for _, r := range parseAuth(cm.Data).roles {
		if namesSession(r.Username) && r.RoleARN != "" {
			found = append(found, r.RoleARN)
		}
	}
	if len(found) == 0 {
		return ""
	}
	return "; aws-auth maps sessions of " + strings.Join(found, ", ")
}

// sameButCase names people whose names differ in the case of letters alone.
func (e *examination) sameButCase(ctx context.Context) string {
	if e.conn.all.opts.People == nil {
		return ""
	}
	by := map[string][]string{}
	for _, id := range e.conn.all.opts.People(ctx) {
		if key := strings.ToLower(id); !slices.Contains(by[key], id) {
			by[key] = append(by[key], id)
		}
	}
	var clashes []string
	for _, key := range sortedKeys(by) {
		if len(by[key]) > 1 {
			slices.Sort(by[key])
			clashes = append(clashes, strings.Join(by[key], " and "))
		}
	}
	return strings.Join(clashes[:min(len(clashes), 20)], ", ")
}

func (e *examination) trust(ctx context.Context) {
	switch {
	case e.role.missing:
		e.add(checkTrust, resultUnseen, "", "there is no role")
	case e.role.err != nil:
		e.add(checkTrust, resultUnseen, allow("iam:GetRole"), "the trust policy was not seen, and everything rests on it: %v", e.role.err)
	default:
		v := judgeTrust(e.role.trust)
		e.add(checkTrust, v.result, v.mend, "%s", strings.Join(v.detail, "; "))
		if v.ignoresCase {
			if clash := e.sameButCase(ctx); clash != "" {
				e.add(checkCase, resultFailed, "give one of them another address in the identity provider, or compare with StringEquals in the trust policy", "STS ignores case in session names, so each of %s may have a session as the other and what is lent to them", clash)
				return
			}
			e.add(checkCase, resultOK, "", "STS ignores case in session names and Kubernetes does not: people must use the case of the identity provider, which the profiles that gatehouse prints have")
			return
		}
		e.add(checkCase, resultOK, "", "session names are compared with case, or come from the identity provider")
	}
}

func (e *examination) templates(ctx context.Context) {
	if e.liveErr != nil {
		e.add(checkTemplate, resultUnseen, "", "%v", e.liveErr)
		return
	}
	if e.live == nil || len(e.live.templates) == 0 {
		switch {
		case e.live != nil && len(e.live.notes) > 0:
			e.add(checkTemplate, resultUnseen, "let gatehouse get the ConfigMap aws-auth and call eks:DescribeAccessEntry", "%s", strings.Join(e.live.notes, "; "))
		default:
			e.add(checkTemplate, resultFailed, "connect the integration, which maps the role once", "neither aws-auth nor an access entry maps %s", orElse(e.live.arn, e.conn.accessRole))
		}
		return
	}
	v := trustVerdict{}
	for _, t := range e.live.templates {
		e.template(ctx, &v, t)
	}
	if e.conn.template != "" && !slices.ContainsFunc(e.live.templates, func(t liveTemplate) bool { return t.text == e.conn.template }) {
		v.say(resultFailed, "config.%s is %q, and the cluster has another", keyTemplate, e.conn.template)
		v.mend = orElse(v.mend, "make both the same; the cluster's is what counts")
	}
	if len(e.live.templates) > 1 {
		v.say(resultWarning, "aws-auth and the access entry name people differently; both names are bound until aws-auth is no longer read")
	}
	e.sharedPolicies(ctx, &v)
	e.probe(ctx, &v)
	e.add(checkTemplate, v.result, v.mend, "%s", strings.Join(v.detail, "; "))
}

// sharedPolicies looks for access policies on the shared role's entry: like a group there
// they belong to everybody who may assume the role, whatever is lent.
func (e *examination) sharedPolicies(ctx context.Context, v *trustVerdict) {
	if e.live.entry == nil {
		return
	}
	client, err := e.conn.eksClient()
	if err != nil {
		return
	}
	have, err := (&association{conn: e.conn, eks: client, key: entryKey{principal: e.live.arn}}).policies(ctx)
	if err != nil {
		v.detail = append(v.detail, fmt.Sprintf("whether access policies are associated with the entry was not seen: %v", err))
		v.mend = orElse(v.mend, allow("eks:ListAssociatedAccessPolicies"))
		return
	}
	for _, policy := range sortedKeys(have) {
		name := roleName(policy)
		v.say(resultWarning, "everybody with the role has the access policy %s (%s), whatever is lent to them", name, strings.ReplaceAll(have[policy].String(), "@", "*"))
		if name == PowerPolicy {
			v.say(resultFailed, "the access policy %s may do everything", name)
		}
		v.mend = orElse(v.mend, "aws eks disassociate-access-policy --cluster-name "+e.conn.settings.cluster+" --principal-arn "+e.live.arn+" --policy-arn "+policy)
	}
}

// template judges one template that is live.
func (e *examination) template(ctx context.Context, v *trustVerdict, t liveTemplate) {
	if _, err := render(t.text, "session@example.com", orElse(e.conn.accountID(), "000000000000")); err != nil {
		v.say(resultFailed, "%s: %v", t.source, err)
		v.mend = "map the role to " + DefaultTemplate
		return
	}
	v.say(resultOK, "%s has %q", t.source, t.text)
	for _, p := range reservedPrefixes {
		if strings.HasPrefix(t.text, p) {
			v.say(resultFailed, "names that begin with %s are kept for Kubernetes and EKS", p)
			v.mend = "map the role to " + DefaultTemplate
		}
	}
	if len(t.groups) > 0 {
		v.say(resultWarning, "everybody with the role is in the groups %s, whatever is lent to them", strings.Join(t.groups, ", "))
		v.mend = orElse(v.mend, "take the groups away from the mapping of the role")
		if slices.Contains(t.groups, "system:masters") {
			v.say(resultFailed, "the group system:masters may do everything")
		}
	}
	if bare(t.text) {
		v.say(resultWarning, "nothing stands before the session's name, so a session can have the name of any plain user of the cluster")
		v.mend = orElse(v.mend, "use a prefix with a colon, such as "+DefaultTemplate)
	}
	if !strings.Contains(t.text, variableRaw) {
		text := variableSession + " writes - for @, so alice@example.com and alice-example.com are one user"
		var clashes []string
		if e.conn.all.opts.People != nil {
			for _, group := range collisions(t.text, e.conn.all.opts.People(ctx)) {
				clashes = append(clashes, strings.Join(group, " and "))
			}
		}
		if len(clashes) > 0 {
			v.say(resultFailed, "%s; here these are: %s", text, strings.Join(clashes, "; "))
		} else {
			v.say(resultWarning, "%s", text)
		}
		v.mend = orElse(v.mend, "use "+variableRaw+" where the cluster takes it")
	}
}

// probeSession is the name of the session by which a template is tried out. It is no
// address that anybody has.
const probeSession = "gatehouse-probe@gatehouse.invalid"

// probe asks the cluster by what name it knows a session of the shared role, where
// Gatehouse may have one. Where it may not, which is as it should be with the trust
// policies of the documentation, that was not seen, and what was read stands.
func (e *examination) probe(ctx context.Context, v *trustVerdict) {
	name, err := e.probed(ctx)
	if err != nil {
		v.detail = append(v.detail, fmt.Sprintf("not tried out with a session, since %v", err))
		return
	}
	for _, t := range e.live.templates {
		if want, err := render(t.text, probeSession, e.conn.accountID()); err == nil && want == name {
			v.detail = append(v.detail, fmt.Sprintf("tried out: the cluster knows a session %s as %s", probeSession, name))
			return
		}
	}
	v.say(resultFailed, "the cluster knows a session %s as %s, which is not what was read", probeSession, name)
	v.mend = orElse(v.mend, "an access entry takes some seconds to be known: check again; else look for another mapping of the role")
}

func (e *examination) probed(ctx context.Context) (string, error) {
	if e.kube == nil {
		return "", errors.New("the cluster was not reached")
	}
	client, err := e.conn.stsClient()
	if err != nil {
		return "", err
	}
	arn := orElse(e.role.arn, e.live.arn)
	out, err := client.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: aws.String(arn), RoleSessionName: aws.String(probeSession), DurationSeconds: aws.Int32(900)})
	if err != nil {
		if awsCode(err) == "AccessDenied" {
			return "", errors.New("gatehouse may not assume the role")
		}
		return "", err
	}
	now := e.conn.all.opts.Clock()
	token, err := clusterToken(ctx, aws.Credentials{
		AccessKeyID: aws.ToString(out.Credentials.AccessKeyId), SecretAccessKey: aws.ToString(out.Credentials.SecretAccessKey), SessionToken: aws.ToString(out.Credentials.SessionToken),
	}, e.conn.regionName(), e.conn.settings.cluster, now)
	if err != nil {
		return "", err
	}
	var review selfSubjectReview
	_, err = e.kube.do(ctx, request{
		method: http.MethodPost, path: authenticationAPI + "/selfsubjectreviews", token: token,
		body: map[string]string{"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
	}, &review)
	return review.Status.UserInfo.Username, err
}

type selfSubjectReview struct {
	Status struct {
		UserInfo struct {
			Username string   `json:"username"`
			Groups   []string `json:"groups"`
		} `json:"userInfo"`
	} `json:"status"`
}

// authMap looks at aws-auth as a whole: one line that does not parse locks everybody out.
func (e *examination) authMap(ctx context.Context) {
	switch {
	case e.live != nil && e.live.mode == types.AuthenticationModeApi:
		e.add(checkAuth, resultOK, "", "the cluster does not read aws-auth")
		return
	case e.kube == nil:
		e.add(checkAuth, resultUnseen, "", "the cluster was not reached")
		return
	}
	cm, err := readConfigMap(ctx, e.kube)
	switch {
	case answered(err, http.StatusNotFound):
		result := resultOK
		if e.live == nil || e.live.mode == types.AuthenticationModeConfigMap {
			result = resultWarning
		}
		e.add(checkAuth, result, "", "there is no ConfigMap aws-auth in kube-system")
		return
	case err != nil:
		e.add(checkAuth, resultUnseen, "allow gatehouse to get the ConfigMap aws-auth in kube-system", "%v", err)
		return
	}
	v := judgeAuth(cm.Data, mappedARN(orElse(e.role.arn, e.conn.sharedARN())))
	e.add(checkAuth, v.result, v.mend, "%s", strings.Join(v.detail, "; "))
}

// judgeAuth judges the data of aws-auth, with the shared role's ARN without its path.
func judgeAuth(data map[string]string, arn string) trustVerdict {
	m := parseAuth(data)
	var v trustVerdict
	v.say(resultOK, "%d roles, %d users and %d accounts are mapped", len(m.roles), len(m.users), len(m.accounts))
	for _, name := range authSections {
		if err := m.lost[name]; err != nil {
			v.say(resultFailed, "%s does not parse, so the cluster takes it for empty and everybody in it is locked out: %v", name, err)
			v.mend = "kubectl -n kube-system edit configmap aws-auth, and mend the line; gatehouse does not write over it"
		}
	}
	for _, p := range m.problems {
		name, _, _ := strings.Cut(p, ":")
		if m.lost[name] == nil {
			v.say(resultWarning, "%s", p)
			v.mend = orElse(v.mend, "mend or delete the entry: the cluster leaves it out")
		}
	}
	for _, key := range m.duplicates() {
		result := resultWarning
		if arn != "" && strings.EqualFold(key, arn) {
			result = resultFailed
		}
		v.say(result, "%s is mapped more than once, and the last entry counts", key)
		v.mend = orElse(v.mend, "keep one entry a role")
	}
	for _, r := range m.roles {
		if r.RoleARN != "" && mappedARN(r.RoleARN) != r.RoleARN {
			v.say(resultWarning, "%s has a path, which the ARN of a session does not show, so the entry matches nobody", r.RoleARN)
			v.mend = orElse(v.mend, "write the ARN without the path: "+mappedARN(r.RoleARN))
		}
	}
	if arn != "" {
		if wild := m.wildcards(arn); len(wild) > 0 {
			v.say(resultFailed, "the shared role is also matched by %s, and which entry counts is chance", strings.Join(wild, ", "))
			v.mend = orElse(v.mend, "make the wildcard narrower")
		}
	}
	return v
}
