package invoke

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// The names of the checks. They are stable.
const (
	checkAssume     = "role-assumable"
	checkClock      = "clock"
	checkAPI        = "api"
	checkAuth       = "authorization-type"
	checkTrust      = "role-trust"
	checkSession    = "max-session"
	checkBoundary   = "role-boundary"
	checkAllows     = "role-allows"
	checkRevocation = "revocation"

	resultOK      = "ok"
	resultWarning = "warning"
	resultFailed  = "failed"
	resultUnseen  = "not seen"
)

// examination gathers the checks of one integration.
type examination struct {
	conn   *connection
	checks []access.Check
	us     iam.Principal // who Gatehouse is
	known  bool
	apis   []*estate.API
	role   *estate.Principal // nil: not read
}

func (e *examination) add(name, result, mend, format string, args ...any) {
	e.checks = append(e.checks, access.Check{Name: name, Result: result, Detail: fmt.Sprintf(format, args...), Mend: mend})
}

// Check looks at everything that lending rests on. To see that sessions can be taken
// back it writes an inline policy that denies nobody on the invoker role, and deletes it.
func (l *Lender) Check(ctx context.Context, i *access.Integration) ([]access.Check, error) {
	c, err := l.connect(i)
	if err != nil {
		// Settings that cannot be right are a check that failed, not an error.
		return []access.Check{{Name: checkAssume, Result: resultFailed, Detail: err.Error(), Mend: "mend the integration's settings"}}, ctx.Err()
	}
	e := &examination{conn: c}
	looks := []func(context.Context){e.assumable, e.api, e.readRole, e.allows, e.revocation}
	for n, look := range looks {
		access.Report(ctx, n, len(looks), "")
		look(ctx)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return e.checks, nil
}

// assumable begins a session that may do nothing, and asks STS who it is.
func (e *examination) assumable(ctx context.Context) {
	c := e.conn
	client, err := c.sts()
	if err != nil {
		e.add(checkAssume, resultFailed, "give gatehouse an AWS role", "%v", err)
		e.add(checkClock, resultUnseen, "", "STS was not reached")
		return
	}
	if me, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); err == nil {
		e.us, err = iam.ParsePrincipal(aws.ToString(me.Arn))
		e.known = err == nil
	}
	if c.role == "" {
		e.add(checkAssume, resultUnseen, "", "each person has a role of their own under %s; it is assumed when they ask for credentials", c.personPath)
		e.add(checkClock, resultUnseen, "", "no role was assumed")
		return
	}
	before := c.lender.opts.Clock()
	s, err := c.assume(ctx, c.role, probeSession, nothing, minSession)
	after := c.lender.opts.Clock()
	if err != nil {
		e.add(checkAssume, resultFailed, e.trustMend(), "%v", err)
		e.add(checkClock, resultUnseen, "", "no role was assumed")
		return
	}
	cfg, err := c.base()
	if err == nil {
		cfg = cfg.Copy()
		cfg.Credentials = credentials.NewStaticCredentialsProvider(s.keys.AccessKeyID, s.keys.SecretAccessKey, s.keys.SessionToken)
		var who *sts.GetCallerIdentityOutput
		if who, err = sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); err == nil && aws.ToString(who.Account) != c.account {
			err = fmt.Errorf("the session is of account %s and not of %s", aws.ToString(who.Account), c.account)
		}
	}
	if err != nil {
		e.add(checkAssume, resultFailed, "see that sts.amazonaws.com of the region is reached by gatehouse", "the role was assumed, and its session does not work: %v", refused(err))
	} else {
		e.add(checkAssume, resultOK, "", "gatehouse assumes %s", c.role)
	}
	// STS tells whole seconds, and read its clock between our two readings.
	apart := max(s.issued.Sub(after), before.Sub(s.issued.Add(time.Second)), 0)
	if apart > maxSkew {
		e.add(checkClock, resultFailed, "set the clock of gatehouse's machine by NTP (chronyc tracking shows how far it is off)", "the clocks of gatehouse and STS are %s apart", apart.Round(time.Second))
	} else {
		e.add(checkClock, resultOK, "", "the clocks are less than %s apart", (apart + time.Second).Round(time.Second))
	}
}

// trustMend is the trust policy that lets Gatehouse in and nobody else.
func (e *examination) trustMend() string {
	who := "arn:" + e.conn.partition + ":iam::ACCOUNT:role/GATEHOUSE"
	if e.known {
		who = roleOfSession(&e.us)
	}
	d, err := iam.GenerateTrust(iam.TrustPolicy{Callers: iam.Callers{Roles: []string{who}}, ExternalID: e.conn.externalID, Partition: e.conn.partition})
	if err != nil {
		return "let gatehouse's own role assume it in its trust policy, and allow gatehouse sts:AssumeRole on it; gatehouse deploy terraform api-lending writes both"
	}
	return "trust policy: " + string(d.JSON()) + "; and allow gatehouse sts:AssumeRole on the role; gatehouse deploy terraform api-lending writes both"
}

// roleOfSession is the ARN of a session's role, whose path cannot be known, or of who
// else it is.
func roleOfSession(p *iam.Principal) string {
	if p.Kind == iam.PrincipalRoleSession {
		return "arn:" + p.Partition + ":iam::" + p.Account + ":role/" + p.Name
	}
	return p.ARN
}

// api looks whether the APIs are known and which of their routes IAM guards.
func (e *examination) api(ctx context.Context) {
	c := e.conn
	s, err := c.lender.opts.Estate(ctx)
	if err != nil || s == nil {
		if err == nil {
			err = errUndiscovered
		}
		e.add(checkAPI, resultUnseen, "wait for the next discovery of the estate", "%v", err)
		return
	}
	for _, id := range c.apis {
		a := c.api(s, id)
		if a == nil {
			e.add(checkAPI, resultFailed, "let gatehouse's collector read the account and the region (roles and regions in its configuration), and see that the id is right", "API %s is not among those discovered in %s of account %s", id, c.region, c.account)
			continue
		}
		e.apis = append(e.apis, a)
		var missing []string
		for _, stage := range c.stages {
			if !slices.ContainsFunc(a.Stages, func(st estate.Stage) bool { return st.Name == stage }) {
				missing = append(missing, stage)
			}
		}
		switch {
		case len(missing) > 0:
			e.add(checkAPI, resultWarning, "correct config.stages", "API %s (%s) has no stage %s", id, a.Name, strings.Join(missing, ", "))
		case a.EndpointType == "PRIVATE":
			e.add(checkAPI, resultWarning, "see that people call from a network with the API's VPC endpoint", "API %s (%s) is private", id, a.Name)
		default:
			e.add(checkAPI, resultOK, "", "%s API %s (%s) with %d stages", a.Type, id, a.Name, len(a.Stages))
		}
		e.authorization(a)
	}
}

func (e *examination) authorization(a *estate.API) {
	var open []string
	guarded := 0
	for n := range a.Routes {
		r := &a.Routes[n]
		switch {
		case a.Type == transaction.WebSocket && r.Path != routeConnect:
		case r.Authorization == authIAM:
			guarded++
		default:
			t := newTemplate(a.Type, r.Method, r.Path)
			auth := r.Authorization
			if auth == "" {
				auth = "unknown"
			}
			open = append(open, t.String()+" ("+auth+")")
		}
	}
	most := open[:min(len(open), 10)]
	switch {
	case guarded == 0 && a.RoutesPartial:
		e.add(checkAuth, resultUnseen, "let gatehouse's collector read the API's routes", "the routes of API %s could not all be read", a.ID)
	case guarded == 0:
		e.add(checkAuth, resultFailed, "set the authorization of the methods to AWS_IAM and deploy the stage", "no route of API %s asks for IAM authorization, so none can be lent", a.ID)
	case len(open) > 0:
		e.add(checkAuth, resultWarning, "set the authorization of the methods to AWS_IAM and deploy the stage, where they should be lent", "%d routes of API %s ask for IAM authorization; %d do not, so they cannot be limited and are not offered: %s", guarded, a.ID, len(open), strings.Join(most, ", "))
	default:
		e.add(checkAuth, resultOK, "", "all %d routes of API %s ask for IAM authorization", guarded, a.ID)
	}
}

// readRole reads the invoker role and judges who else gets in.
func (e *examination) readRole(ctx context.Context) {
	c := e.conn
	if c.role == "" {
		for _, name := range []string{checkTrust, checkSession, checkBoundary} {
			e.add(name, resultUnseen, "", "each person has a role of their own under %s", c.personPath)
		}
		return
	}
	unseen := func(err error) {
		for _, name := range []string{checkTrust, checkSession, checkBoundary} {
			e.add(name, resultUnseen, e.readMend(), "%v", err)
		}
	}
	client, err := c.iam()
	if err != nil {
		unseen(err)
		return
	}
	out, err := client.GetRole(ctx, &awsiam.GetRoleInput{RoleName: aws.String(roleName(c.role))})
	switch {
	case awsCode(err) == "NoSuchEntity":
		e.add(checkTrust, resultFailed, "create it: gatehouse deploy terraform api-lending", "the role %s does not exist", c.role)
		return
	case err != nil:
		unseen(fmt.Errorf("iam:GetRole of %s: %w", c.role, c.refused(err)))
		return
	case out.Role == nil || aws.ToString(out.Role.Arn) != c.role:
		e.add(checkTrust, resultFailed, "set config."+keyRole+" to the role's ARN with its path", "the role is %s and not %s", aws.ToString(out.Role.Arn), c.role)
		return
	}
	who, err := iam.ParsePrincipal(c.role)
	cfg, cfgErr := c.control()
	if err != nil || cfgErr != nil {
		unseen(err)
		return
	}
	e.role = estate.ReadPrincipal(ctx, cfg, who)
	e.trust()
	longest := time.Duration(aws.ToInt32(out.Role.MaxSessionDuration)) * time.Second
	if longest != 0 && longest < maxSession {
		e.add(checkSession, resultFailed, "aws iam update-role --role-name "+roleName(c.role)+" --max-session-duration 3600", "the role's sessions last at most %s", longest)
	} else {
		e.add(checkSession, resultOK, "", "sessions last at most %s, the longest that AWS lets a session begin", maxSession)
	}
	if out.Role.PermissionsBoundary == nil {
		e.add(checkBoundary, resultWarning, "put a boundary on it that allows execute-api alone; gatehouse deploy terraform api-lending does", "the role has no permissions boundary, and gatehouse may write its policies, so gatehouse could give it any right in the account")
	} else {
		e.add(checkBoundary, resultOK, "", "the role is bounded by %s", aws.ToString(out.Role.PermissionsBoundary.PermissionsBoundaryArn))
	}
}

func (e *examination) readMend() string {
	role := e.conn.role
	if role == "" {
		role = "arn:" + e.conn.partition + ":iam::" + e.conn.account + ":role" + e.conn.personPath + "*"
	}
	return "allow gatehouse: " + estate.AllowStatement([]string{role}, "iam:GetRole", "iam:ListRolePolicies", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:PutRolePolicy", "iam:DeleteRolePolicy") +
		"; set config." + keyControl + " to a role of the API's account that may"
}

// trust judges whether others than Gatehouse get into the role. They would not be limited
// to what was lent.
func (e *examination) trust() {
	if e.role.Trust == nil {
		e.add(checkTrust, resultUnseen, e.readMend(), "the trust policy could not be read%s", whyUnseen(e.role.Unseen))
		return
	}
	var others []string
	everybody := false
	for n := range e.role.Trust.Document.Statements {
		s := &e.role.Trust.Document.Statements[n]
		if s.Effect != iam.Allow {
			continue
		}
		switch {
		case s.Principal == nil || s.Principal.Everyone || slices.Contains(s.Principal.AWS, "*"):
			everybody = everybody || len(s.Condition) == 0
			others = append(others, "everybody")
		default:
			for _, p := range s.Principal.AWS {
				if !e.known || p != roleOfSession(&e.us) && !e.sameRole(p) {
					others = append(others, p)
				}
			}
			others = append(others, s.Principal.Service...)
			others = append(others, s.Principal.Federated...)
		}
	}
	slices.Sort(others)
	others = slices.Compact(others)
	switch {
	case everybody:
		e.add(checkTrust, resultFailed, e.trustMend(), "the trust policy lets everybody in, and nothing limits them to what was lent")
	case len(others) > 0:
		e.add(checkTrust, resultWarning, e.trustMend(), "the trust policy lets in others than gatehouse's own role, whom nothing limits to what was lent: %s", strings.Join(others[:min(len(others), 10)], ", "))
	case e.conn.externalID == "" && e.us.Account != e.conn.account:
		e.add(checkTrust, resultOK, "set config."+keyExternalID+" and the condition sts:ExternalId if others run gatehouse for you", "the trust policy lets in gatehouse alone")
	default:
		e.add(checkTrust, resultOK, "", "the trust policy lets in gatehouse alone")
	}
}

// sameRole reports whether an ARN is that of Gatehouse's own role: a session's ARN holds
// no path.
func (e *examination) sameRole(arn string) bool {
	p, err := iam.ParsePrincipal(arn)
	return err == nil && e.us.Kind == iam.PrincipalRoleSession && p.Kind == iam.PrincipalRole && p.Account == e.us.Account && roleName(arn) == e.us.Name
}

func whyUnseen(unseen []estate.Unseen) string {
	if len(unseen) == 0 {
		return ""
	}
	return ": " + unseen[0].Why
}

// allows evaluates the role's policies together with the resource policy for everything
// that could be lent.
func (e *examination) allows(context.Context) {
	if e.role == nil || len(e.apis) == 0 {
		e.add(checkAllows, resultUnseen, "", "the role or the API was not seen")
		return
	}
	c := e.conn
	w := &writer{settings: c.settings, partition: c.partition}
	who, err := iam.ParsePrincipal("arn:" + c.partition + ":sts::" + c.account + ":assumed-role/" + roleName(c.role) + "/someone@example.com")
	if err != nil {
		e.add(checkAllows, resultUnseen, "", "%v", err)
		return
	}
	asked, advice := 0, ""
	var denied []string
	for _, a := range e.apis {
		policies := e.role.Policies()
		if a.Policy != "" && a.Type == transaction.REST {
			p, err := iam.ParseAndCompile(iam.KindResource, []byte(a.Policy))
			if err != nil {
				e.add(checkAllows, resultUnseen, "", "the resource policy of API %s cannot be read: %v", a.ID, err)
				return
			}
			policies.Resource = iam.Attached{Name: "resource policy of API " + a.ID, Policy: p}
		}
		for _, r := range c.resources(a) {
			if r.Type != resourceRoute {
				continue
			}
			right, err := c.rightOf(flowItem(&r))
			if err != nil {
				continue
			}
			rest := []string{strings.ReplaceAll(right.resource(), "*", "x")}
			if t := right.template(a.Type); strings.Contains(right.route, "/") {
				rest = t.samples()[:1]
				rest[0] = right.stage + "/" + rest[0]
			}
			asked++
			q, err := iam.Request{
				Principal: who, Action: right.action, Resource: w.arn(a.ID, rest[0]), API: iam.API(a.Type), Private: a.EndpointType == "PRIVATE",
				Context: iam.Context{
					"aws:CurrentTime": {stamp(c.lender.opts.Clock())}, "aws:PrincipalArn": {c.role},
					keyIssued: {stamp(c.lender.opts.Clock())}, keyUserID: {e.role.ID + ":someone@example.com"},
				},
			}.Prepare()
			if err != nil {
				continue
			}
			if result := iam.Evaluate(&policies, q); result.Decision != iam.Allowed {
				denied = append(denied, r.Name+" of "+right.stage)
				if advice == "" {
					advice = result.Advice()
				}
			}
		}
	}
	unseen := ""
	if len(e.role.Unseen) > 0 {
		unseen = " (not all of its policies were seen" + whyUnseen(e.role.Unseen) + ")"
	}
	switch {
	case len(denied) == 0:
		e.add(checkAllows, resultOK, "", "the role may call all %d routes that can be lent%s", asked, unseen)
	case unseen != "":
		e.add(checkAllows, resultUnseen, e.readMend(), "as far as can be seen the role may not call %d of %d routes%s", len(denied), asked, unseen)
	case len(denied) == asked:
		e.add(checkAllows, resultFailed, advice, "the role may call none of the %d routes that can be lent", asked)
	default:
		e.add(checkAllows, resultWarning, advice, "the role may not call %d of %d routes, so lending them gives nothing: %s", len(denied), asked, strings.Join(denied[:min(len(denied), 10)], ", "))
	}
}

// revocation sees whether sessions can be taken back before their end.
func (e *examination) revocation(ctx context.Context) {
	c := e.conn
	if c.role == "" {
		e.add(checkRevocation, resultUnseen, e.readMend(), "each person has a role of their own under %s", c.personPath)
		return
	}
	if err := c.switchOf(c.role).try(ctx); err != nil {
		e.add(checkRevocation, resultFailed, e.readMend(), "access that ends early could not be taken back before the credentials end by themselves: %v", err)
		return
	}
	e.add(checkRevocation, resultOK, "", "gatehouse may deny older sessions of the role")
}
