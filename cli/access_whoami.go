package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/eks"
	"github.com/gatehouse-project/gatehouse/api"
)

// identityReport is who a person is to each part.
type identityReport struct {
	Server string `json:"server"`
	Person string `json:"person"` // to Gatehouse
	Role   string `json:"role"`   // in Gatehouse
	// Profile is the AWS profile that was looked at, and ARN what STS says of it.
	Profile string `json:"profile,omitempty"`
	ARN     string `json:"arn,omitempty"`
	// Context is the kubeconfig's context that was looked at, and Username and Groups
	// what the cluster says.
	Context  string         `json:"context,omitempty"`
	Username string         `json:"username,omitempty"`
	Groups   []string       `json:"groups,omitempty"`
	Checks   []access.Check `json:"checks"`
}

func newAccessWhoami(rt accessRuntime, s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "whoami [INTEGRATION]",
		Short: "Find out why access that was lent to you does not work",
		Long: `Ask Gatehouse, AWS and the cluster who you are, compare the answers, and say how to mend
what does not fit: a session that is named otherwise or in another case, a profile without
role_session_name, a kubeconfig with --role-arn, a trust policy without its condition.

AWS is asked with the profile that Gatehouse printed, the cluster through kubectl with the
context that 'gatehouse access kubeconfig' wrote. The exit status is 1 if something has to
be mended.`,
		Example: `  gatehouse access whoami
  gatehouse access whoami prod-1
  gatehouse access whoami prod-1 --profile prod-1-access --context prod-1`,
		Args: named("at most one integration", 0, 1),
	}
	connect := addServer(cmd)
	profile := cmd.Flags().String("profile", "", "the AWS profile to look at (default the one that Gatehouse printed)")
	kubeContext := cmd.Flags().String("context", "", "the kubeconfig's context to look at (default the one that Gatehouse printed)")
	noCluster := cmd.Flags().Bool("no-cluster", false, "do not ask the cluster")
	output := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		c, err := connect()
		if err != nil {
			return err
		}
		var me api.Me
		if _, err := c.do(cmd.Context(), http.MethodGet, "/api/v1/me", nil, &me); err != nil {
			return err
		}
		l := &look{
			c: c, rt: rt, report: &identityReport{Server: c.server, Person: cmp.Or(me.Person.Email, me.Person.ID), Role: me.Person.Role.String(), Checks: []access.Check{}},
			profile: *profile, context: *kubeContext, noCluster: *noCluster,
		}
		if !me.SignedIn {
			return withHint(errors.New("the server does not know you"), "run 'gatehouse login --server "+c.server+"'")
		}
		if len(args) == 1 {
			l.integration = args[0]
		}
		if err := l.compare(cmd.Context(), &me); err != nil {
			return err
		}
		if asJSON {
			err = printJSON(s.Out, l.report)
		} else {
			err = l.report.show(s)
		}
		return errors.Join(err, unwell(l.report.Checks))
	}
	return cmd
}

// look compares who a person is.
type look struct {
	c           *client
	rt          accessRuntime
	report      *identityReport
	integration string
	profile     string
	context     string
	noCluster   bool
}

// The results of a check.
const (
	wentWell = "ok"
	isDoubt  = "warning"
	isWrong  = "failed"
	isUnseen = "not seen"
)

func (l *look) add(name, result, detail, mend string) {
	l.report.Checks = append(l.report.Checks, access.Check{Name: name, Result: result, Detail: detail, Mend: mend})
}

func (l *look) compare(ctx context.Context, me *api.Me) error {
	l.me(me)
	way, err := l.way(ctx)
	if err != nil {
		return err
	}
	l.profile = cmp.Or(l.profile, way.profile)
	named := l.context != ""
	l.context = cmp.Or(l.context, way.name)
	if l.profile == "" {
		if l.integration != "" {
			l.add("access", isUnseen, "nothing on a cluster is lent to you there now, so there is no profile to look at", "ask for it with 'gatehouse access request -i "+l.integration+"', or name a profile with --profile")
		}
		return nil
	}
	who := eks.Caller{Person: l.report.Person, Role: way.role}
	l.report.Profile = l.profile
	if who.ARN, err = l.rt.CallerIdentity(ctx, l.profile); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		l.add("profile", isWrong, "the AWS profile "+l.profile+" does not work: "+err.Error(), l.mendProfile(way))
	}
	l.report.ARN = who.ARN
	// Where the profile does not work, its context cannot either.
	if l.context != "" && !l.noCluster && (who.ARN != "" || named) {
		l.cluster(ctx, &who)
	}
	l.onServer(ctx, cmp.Or(way.integration, l.integration), &who)
	if way.process {
		l.api(who.ARN)
		return nil
	}
	if who.ARN != "" || who.Username != "" {
		l.report.Checks = append(l.report.Checks, eks.Whoami(who)...)
		l.caseOf(&who)
	}
	return nil
}

// api looks at a session that Gatehouse vended for an API.
func (l *look) api(arn string) {
	switch {
	case arn == "":
	case strings.HasSuffix(arn, "/"+l.report.Person):
		l.add("session", wentWell, "the session is named "+l.report.Person+"; the API decides by what was lent to you", "")
	default:
		l.add("session", isDoubt, "the profile "+l.profile+" gives a session of "+arn+", which is not named after you",
			"put the profile that 'gatehouse access show' prints into ~/.aws/config")
	}
}

// me looks at what Gatehouse knows of the person.
func (l *look) me(me *api.Me) {
	switch {
	case me.Person.Email == "":
		l.add("person", isDoubt, "Gatehouse knows no e-mail address of you ("+me.Person.Name+"), so no flow names you and nothing can be lent to you", "sign in as yourself with 'gatehouse login'; the admin token is nobody's")
	case len(me.Person.Email) > 64:
		l.add("person", isWrong, "your address has more than the 64 characters that the name of a session may have", "have the identity provider send a shorter one")
	default:
		l.add("person", wentWell, "Gatehouse knows you as "+me.Person.Email, "")
	}
}

// way finds how the person reaches the cluster, empty if nothing is lent to them.
func (l *look) way(ctx context.Context) (*clusterWay, error) {
	grants, err := l.c.live(ctx, l.integration)
	if err != nil {
		if isRefused(err, http.StatusForbidden) {
			return &clusterWay{}, nil // no role: nothing can be lent
		}
		return nil, err
	}
	// A cluster goes before an API, of which there is less to go wrong.
	otherwise := &clusterWay{}
	for i := range grants {
		d, err := l.c.details(ctx, grants[i].ID)
		if err != nil {
			return nil, err
		}
		ways, err := waysIn(d, &grants[i])
		if err != nil {
			l.add("details", isWrong, err.Error(), hintOf(err))
		}
		for _, w := range ways {
			if l.integration == "" || w.integration == l.integration {
				return w, nil
			}
		}
		// Without the cluster's address there is still a profile.
		for _, sn := range d.Snippets {
			if p := readProfile(sn.Text); sn.Language == "ini" && p != nil && err == nil && otherwise.profile == "" {
				otherwise = &clusterWay{integration: cmp.Or(l.integration, firstIntegration(&grants[i])), profile: p[""], role: p["role_arn"], session: p["role_session_name"], source: p["source_profile"], process: p["credential_process"] != ""}
			}
		}
	}
	return otherwise, nil
}

// firstIntegration is the integration of a grant's first item.
func firstIntegration(g *api.AccessGrant) string {
	if len(g.Items) == 0 {
		return ""
	}
	return g.Items[0].Integration
}

func (l *look) mendProfile(way *clusterWay) string {
	if way.role == "" {
		return "if it is not there, put the profile that 'gatehouse access show' prints into ~/.aws/config"
	}
	return "if it is not there, run 'gatehouse access kubeconfig " + cmp.Or(way.integration, l.integration) + "', which adds it; sign in to AWS with its source_profile, " + way.source
}

// askClusterWithin bounds kubectl, and what it runs.
const askClusterWithin = 30 * time.Second

// cluster asks the cluster through kubectl, which signs in as the person does.
func (l *look) cluster(ctx context.Context, who *eks.Caller) {
	if _, err := exec.LookPath("kubectl"); err != nil {
		l.add("cluster", isUnseen, "kubectl is not here, so the cluster was not asked", "")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askClusterWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, "kubectl", "--context", l.context, "auth", "whoami", "-o", "json") //nolint:gosec // the context is the person's own word, or one that waysIn has looked at.
	cmd.WaitDelay = time.Second
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		text := strings.TrimSpace(complaint.String())
		if strings.Contains(text, "context \""+l.context+"\" does not exist") || strings.Contains(text, "context was not found") {
			l.add("cluster", isUnseen, "the kubeconfig has no context "+l.context, "write it with 'gatehouse access kubeconfig', or name yours with --context")
			return
		}
		l.add("cluster", isWrong, "kubectl auth whoami failed: "+lastLines(cmp.Or(text, err.Error())), "")
		return
	}
	l.report.Context = l.context
	var review struct {
		Status struct {
			UserInfo struct {
				Username string   `json:"username"`
				Groups   []string `json:"groups"`
			} `json:"userInfo"`
		} `json:"status"`
	}
	if err := json.Unmarshal(out.Bytes(), &review); err != nil || review.Status.UserInfo.Username == "" {
		l.add("cluster", isUnseen, "what kubectl auth whoami answers cannot be read", "use a kubectl of version 1.28 or later")
		return
	}
	who.Username, who.Groups = review.Status.UserInfo.Username, review.Status.UserInfo.Groups
	l.report.Username, l.report.Groups = who.Username, who.Groups
}

// lastLines are the last lines of what a program complained of, as one.
func lastLines(text string) string {
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return strings.TrimSpace(l) == "" })
	lines = slices.Compact(lines)
	text = strings.Join(lines[max(0, len(lines)-3):], "; ")
	if r := []rune(text); len(r) > 400 {
		text = string(r[:397]) + "..."
	}
	return text
}

// onServer takes over what Gatehouse's own check of the integration saw of how people
// are named there.
func (l *look) onServer(ctx context.Context, name string, who *eks.Caller) {
	if name == "" {
		return
	}
	v, _, err := l.c.integration(ctx, name)
	if err != nil {
		l.add("integration", isUnseen, err.Error(), hintOf(err))
		return
	}
	if t := v.Config["username_template"]; t != "" {
		who.Templates = []string{t}
	}
	if v.Trouble != "" {
		l.add("integration", isWrong, v.Trouble, "who administers finds how to mend it with 'gatehouse integration check "+name+"'")
	}
	for _, c := range v.Health.Checks {
		if slices.Contains([]string{"trust-policy-session-name", "username-template", "authentication-mode", "clock"}, c.Name) && c.Result != wentWell {
			l.report.Checks = append(l.report.Checks, c)
		}
	}
}

// caseOf finds a name in another case where the username template is not known, which
// is for who administers alone.
func (l *look) caseOf(who *eks.Caller) {
	name := strings.ToLower(l.report.Person)
	if who.Username == "" || len(who.Templates) > 0 || !strings.Contains(strings.ToLower(who.Username), name) || strings.Contains(who.Username, l.report.Person) {
		return
	}
	l.add("session-name-case", isWrong, "the cluster knows you as "+who.Username+", and what is lent to you is bound to a name with "+l.report.Person+": Kubernetes compares with case",
		"put role_session_name = "+l.report.Person+" into the profile "+l.profile)
}

// unwell is an error if a check failed.
func unwell(checks []access.Check) error {
	var failed []string
	for _, c := range checks {
		if c.Result == isWrong && !slices.Contains(failed, c.Name) {
			failed = append(failed, c.Name)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("to be mended: %s", strings.Join(failed, ", "))
}

func (r *identityReport) show(s *Streams) error {
	facts := [][]string{{"Gatehouse", r.Person + " (" + r.Role + ")"}}
	if r.Profile != "" {
		facts = append(facts, []string{"AWS profile " + r.Profile, orDash(r.ARN)})
	}
	if r.Context != "" {
		facts = append(facts, []string{"context " + r.Context, orDash(r.Username)})
	}
	if err := printTable(s.Out, []string{"WHERE", "WHO YOU ARE"}, facts); err != nil {
		return err
	}
	fmt.Fprintln(s.Out)
	return printChecks(s.Out, r.Checks)
}
