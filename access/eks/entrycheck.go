package eks

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/gatehouse-project/gatehouse/access"
)

// maxPrincipalChecks bounds the roles that one check looks at.
const maxPrincipalChecks = 50

// Check looks at everything that lending rests on. The Kubernetes API is not needed.
func (p *AccessEntry) Check(ctx context.Context, i *access.Integration) ([]access.Check, error) {
	c, err := p.connect(i)
	if err != nil {
		return []access.Check{{Name: checkReach, Result: resultFailed, Detail: err.Error(), Mend: "mend the integration's settings"}}, ctx.Err()
	}
	e := &examination{conn: c}
	looks := []func(context.Context){e.entryReach, e.principals, e.entryIAM, e.entryOthers}
	for n, look := range looks {
		access.Report(ctx, n, len(looks), "")
		look(ctx)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return e.checks, nil
}

func (e *examination) entryReach(ctx context.Context) {
	found, err := e.conn.describe(ctx, 0)
	if err != nil {
		e.add(checkReach, resultFailed, allow("eks:DescribeCluster"), "%v", err)
		e.add(checkMode, resultUnseen, "", "the cluster was not seen")
		e.add(checkClock, resultUnseen, "", "AWS was not reached")
		return
	}
	e.add(checkReach, resultOK, "", "EKS knows the cluster %s (%s)", aws.ToString(found.Arn), found.Status)
	// AWS refuses requests of clocks that are some minutes off, so an answer tells.
	e.add(checkClock, resultOK, "", "AWS takes requests that are signed by gatehouse's clock")
	if modeOf(found) == types.AuthenticationModeConfigMap {
		e.add(checkMode, resultFailed, "aws eks update-cluster-config --name "+e.conn.settings.cluster+" --access-config authenticationMode=API_AND_CONFIG_MAP (there is no way back)",
			"the cluster knows aws-auth alone, and access entries need API or API_AND_CONFIG_MAP")
		return
	}
	e.add(checkMode, resultOK, "", "%s", modeOf(found))
}

// principals looks at the roles that the settings name. Those of a template are known
// when somebody asks.
func (e *examination) principals(ctx context.Context) {
	p := e.conn.principals
	v := trustVerdict{}
	if p.template != "" && !strings.Contains(p.template, principalPerson) {
		v.say(resultWarning, "everybody who may assume %s has what is lent to anybody", p.template)
		v.mend = "put {{person}} into config." + keyPrincipal
	}
	client, err := e.conn.iamClient()
	if err != nil {
		e.add(checkPrincipals, resultUnseen, "", "%v", err)
		return
	}
	n := 0
	for _, person := range sortedKeys(p.byPerson) {
		if n++; n > maxPrincipalChecks {
			v.say(resultUnseen, "%d more roles were not looked at", len(p.byPerson)-maxPrincipalChecks)
			break
		}
		arn := p.byPerson[person]
		if accountOf(arn) != e.conn.accountID() {
			v.say(resultUnseen, "%s is of another account", arn)
			continue
		}
		name := roleName(arn)
		out, err := client.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
		switch {
		case awsCode(err) == "NoSuchEntity":
			v.say(resultFailed, "the role %s of %s does not exist", arn, person)
			v.mend = orElse(v.mend, "create the role")
		case err != nil:
			v.say(resultUnseen, "iam:GetRole of %s: %v", arn, err)
			v.mend = orElse(v.mend, allow("iam:GetRole"))
		case aws.ToString(out.Role.Arn) != arn:
			v.say(resultFailed, "the role of %s is %s and not %s: an access entry needs the path", person, aws.ToString(out.Role.Arn), arn)
			v.mend = orElse(v.mend, "write the role's whole ARN")
		}
	}
	if len(v.detail) == 0 {
		v.say(resultOK, "%s", describePrincipals(p))
	}
	e.add(checkPrincipals, v.result, v.mend, "%s", strings.Join(v.detail, "; "))
}

func describePrincipals(p principals) string {
	if p.template == "" {
		return fmt.Sprintf("%d people have roles of their own", len(p.byPerson))
	}
	return "people's roles are " + p.template
}

// ProbeRole is the name of a role that nobody has. The check tries out on it what
// Gatehouse may change, where people's roles are a list.
const ProbeRole = "gatehouse-probe-of-no-role"

// probePolicy is the access policy that it is tried out with.
const probePolicy = "AmazonEKSViewPolicy"

// probePrincipal is a role that does not exist. Changing its entry is refused as unknown
// to those who may, and as denied to those who may not: nothing is changed either way.
// Where people's roles are named by a template it is named so too, since Gatehouse's own
// role may be limited to such names.
func (e *examination) probePrincipal() string {
	p := e.conn.principals
	if strings.Contains(p.template, principalPerson) {
		if arn, err := p.of(ProbeRole, probePolicy); err == nil {
			return arn
		}
	}
	return "arn:" + e.conn.partition() + ":iam::" + orElse(e.conn.accountID(), "000000000000") + ":role/" + ProbeRole
}

// entryIAM looks at what Gatehouse may call.
func (e *examination) entryIAM(ctx context.Context) {
	client, err := e.conn.eksClient()
	if err != nil {
		e.add(checkIAM, resultUnseen, "", "%v", err)
		return
	}
	cluster, principal := &e.conn.settings.cluster, aws.String(e.probePrincipal())
	policy := aws.String("arn:" + e.conn.partition() + ":eks::aws:cluster-access-policy/" + probePolicy)
	var missing []string
	for _, probe := range []struct {
		action string
		call   func() error
	}{
		{"eks:ListAccessEntries", func() error {
			_, err := client.ListAccessEntries(ctx, &eks.ListAccessEntriesInput{ClusterName: cluster, MaxResults: aws.Int32(1)})
			return err
		}},
		{"eks:ListAccessPolicies", func() error {
			_, err := client.ListAccessPolicies(ctx, &eks.ListAccessPoliciesInput{MaxResults: aws.Int32(1)})
			return err
		}},
		{"eks:DescribeAccessEntry", func() error {
			_, err := client.DescribeAccessEntry(ctx, &eks.DescribeAccessEntryInput{ClusterName: cluster, PrincipalArn: principal})
			return err
		}},
		{"eks:ListAssociatedAccessPolicies", func() error {
			_, err := client.ListAssociatedAccessPolicies(ctx, &eks.ListAssociatedAccessPoliciesInput{ClusterName: cluster, PrincipalArn: principal})
			return err
		}},
		{"eks:AssociateAccessPolicy", func() error {
			_, err := client.AssociateAccessPolicy(ctx, &eks.AssociateAccessPolicyInput{
				ClusterName: cluster, PrincipalArn: principal, PolicyArn: policy,
				AccessScope: &types.AccessScope{Type: types.AccessScopeTypeNamespace, Namespaces: []string{"gatehouse-probe"}},
			})
			return err
		}},
		{"eks:DisassociateAccessPolicy", func() error {
			_, err := client.DisassociateAccessPolicy(ctx, &eks.DisassociateAccessPolicyInput{ClusterName: cluster, PrincipalArn: principal, PolicyArn: policy})
			return err
		}},
	} {
		if knownRefusal(refused(probe.call())) {
			missing = append(missing, probe.action)
		}
		if ctx.Err() != nil {
			return
		}
	}
	unseen := "eks:CreateAccessEntry, eks:DeleteAccessEntry, eks:TagResource and eks:UntagResource cannot be tried out without changing something"
	if len(missing) > 0 {
		e.add(checkIAM, resultFailed, allow(EntryActions()...), "gatehouse may not call %s; %s", strings.Join(missing, ", "), unseen)
		return
	}
	e.add(checkIAM, resultOK, "", "gatehouse may call what was tried; %s", unseen)
}

// BindingActions are the IAM actions of EKS that lending bindings needs, sorted:
// connecting by an access entry among them. iam:GetRole of the shared role comes beside.
func BindingActions() []string {
	return []string{"eks:CreateAccessEntry", "eks:DescribeAccessEntry", "eks:DescribeCluster", "eks:ListAssociatedAccessPolicies", "eks:TagResource", "eks:UpdateAccessEntry"}
}

// EntryActions are the IAM actions that lending access policies needs, sorted.
func EntryActions() []string {
	return []string{
		"eks:AssociateAccessPolicy", "eks:CreateAccessEntry", "eks:DeleteAccessEntry", "eks:DescribeAccessEntry", "eks:DescribeCluster",
		"eks:DisassociateAccessPolicy", "eks:ListAccessEntries", "eks:ListAccessPolicies", "eks:ListAssociatedAccessPolicies", "eks:TagResource", "eks:UntagResource",
	}
}
