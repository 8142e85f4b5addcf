package finding

import (
	"maps"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
)

// strangerSubjects are subjects of tokens as the providers that people trust most make
// them, of somebody whom nobody thought of: a service account of Kubernetes, a
// repository of GitHub, a project of GitLab, a workspace of HCP Terraform, and a plain
// name.
var strangerSubjects = []string{
	"system:serviceaccount:stranger:stranger", "repo:stranger/stranger:ref:refs/heads/main",
	"project_path:stranger/stranger:ref_type:branch:ref:main",
	"organization:stranger:project:stranger:workspace:stranger:run_phase:apply", "stranger",
}

const strangerAudience = "stranger.example"

// issuer is an OpenID Connect provider that a trust policy names.
type issuer struct {
	who  iam.Principal
	name string // as it begins the condition keys: "oidc.eks.eu-west-1.amazonaws.com/id/…"
	// ofPeople is set for those that AWS knows by name and that vouch for the people who
	// use an app: the audience is the app, and there is no workload to name.
	ofPeople bool
}

// issuers are the OpenID Connect providers that the policy names, in order.
func (t *trust) issuers() []issuer {
	found := map[string]issuer{}
	for i := range t.doc.Statements {
		p := t.doc.Statements[i].Principal
		if p == nil {
			continue
		}
		for _, text := range p.Federated {
			who, err := iam.ParsePrincipal(text)
			if err != nil || who.Kind != iam.PrincipalProvider || strings.Contains(text, ":saml-provider/") {
				continue
			}
			_, name, ok := strings.Cut(text, ":oidc-provider/")
			switch {
			case ok:
				found[text] = issuer{who, name, false}
			case text == "cognito-identity.amazonaws.com" || text == "accounts.google.com":
				found[text] = issuer{who, text, true}
			default: // Facebook and Login with Amazon have app_id in the place of aud
			}
		}
	}
	out := make([]issuer, 0, len(found))
	for _, text := range slices.Sorted(maps.Keys(found)) {
		out = append(out, found[text])
	}
	return out
}

// asked are the values that the policy's conditions ask of a claim.
func (t *trust) asked(claim string) []string {
	found := map[string]bool{}
	for i := range t.doc.Statements {
		for _, c := range t.doc.Statements[i].Condition {
			if strings.EqualFold(c.Key, claim) {
				for _, v := range c.Values {
					found[v] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// letsToken asks whether the bearer of a token with one of some subjects and one of
// some audiences gets in, and with which.
func (t *trust) letsToken(by issuer, subjects, audiences []string) (subject, statement string, err error) {
	for _, sub := range subjects {
		for _, aud := range audiences {
			claims := strings.ToLower(by.name)
			ok, sid, err := t.lets(by.who, assumeByWeb, iam.Context{
				claims + ":sub": {sub}, claims + ":aud": {aud}, claims + ":amr": {"authenticated", "unauthenticated"}, "sts:rolesessionname": {"stranger"},
			})
			if ok || err != nil {
				return sub, sid, err
			}
		}
	}
	return "", "", nil
}

// goodAudiences are audiences that the right token may have.
func (t *trust) goodAudiences(by issuer) []string {
	asked := t.asked(by.name + ":aud")
	out := append(make([]string, 0, 1+len(asked)), "sts.amazonaws.com")
	for _, v := range asked {
		out = append(out, concrete(v))
	}
	return out
}

// goodSubjects are subjects that the right token may have: those that the policy asks
// for, then anybody's.
func (t *trust) goodSubjects(by issuer) []string {
	var out []string
	for _, v := range t.asked(by.name + ":sub") {
		out = append(out, concrete(v))
	}
	return append(out, strangerSubjects...)
}

// judgeIssuers judges a role by each OpenID Connect provider that it trusts; those of
// people are left out where the question is about workloads.
func (s *scene) judgeIssuers(people bool, judge func(*trust, issuer) ([]Evidence, error)) Outcome {
	t, o, ok := s.trustOf()
	if !ok {
		return o
	}
	issuers := slices.DeleteFunc(t.issuers(), func(by issuer) bool { return by.ofPeople && !people })
	if len(issuers) == 0 {
		return skipped("the trust policy names no such OpenID Connect provider")
	}
	var facts []Evidence
	for _, by := range issuers {
		more, err := judge(t, by)
		if err != nil {
			return unseen(err.Error())
		}
		facts = append(facts, more...)
	}
	return failed(facts...)
}

var oidcSubjectOpen = Rule{
	ID: "oidc-subject-open", Title: "Every workload that the provider vouches for may assume the role", Severity: High, Area: Roles, Of: OfPrincipal,
	Looks: "Trust in OpenID Connect providers (a cluster's for IRSA, GitHub, GitLab and others): whether a token gets in whose subject nobody thought of, for want of a condition on sub that keeps it out.",
	Why:   "Without it each pod of the cluster, or each repository of GitHub, can become the role. The provider says who somebody is and not that he may.",
	Mend: Mend{
		CLI:       mendTrust + "   # Condition: StringEquals ISSUER:sub system:serviceaccount:NAMESPACE:NAME, ISSUER:aud sts.amazonaws.com",
		Terraform: "# in the aws_iam_policy_document of assume_role_policy\ncondition {\n  test     = \"StringEquals\"\n  variable = \"ISSUER:sub\"\n  values   = [\"system:serviceaccount:NAMESPACE:NAME\"]\n}",
	},
	Peers: Peers{Checkov: []string{"CKV_AWS_358"}},
	needs: []Part{PartPrincipals},
	check: func(s *scene) Outcome {
		return s.judgeIssuers(false, func(t *trust, by issuer) ([]Evidence, error) {
			sub, statement, err := t.letsToken(by, strangerSubjects, t.goodAudiences(by))
			if err != nil || sub == "" {
				return nil, err
			}
			return []Evidence{fact(by.name, "lets the subject "+sub+" in, by "+statement)}, nil
		})
	},
}

var oidcSubjectWide = Rule{
	ID: "oidc-subject-wide", Title: "A pattern says which workloads may assume the role", Severity: Medium, Area: Roles, Of: OfPrincipal,
	Looks: "Trust in OpenID Connect providers: whether a token gets in whose subject fits a pattern such as system:serviceaccount:shop:* in a way that nobody thought of.",
	Why:   "Who may make a service account in that namespace, or a branch in that repository, can become the role.",
	Mend: Mend{
		CLI:       mendTrust + "   # Condition: StringEquals ISSUER:sub, with each subject by name",
		Terraform: "# in the aws_iam_policy_document of assume_role_policy\ncondition {\n  test     = \"StringEquals\"\n  variable = \"ISSUER:sub\"\n  values   = [\"system:serviceaccount:NAMESPACE:NAME\"]\n}",
	},
	needs: []Part{PartPrincipals},
	check: func(s *scene) Outcome {
		return s.judgeIssuers(false, func(t *trust, by issuer) ([]Evidence, error) {
			if sub, _, err := t.letsToken(by, strangerSubjects, t.goodAudiences(by)); err != nil || sub != "" {
				return nil, err // oidc-subject-open tells that
			}
			var facts []Evidence
			for _, pattern := range t.asked(by.name + ":sub") {
				if !strings.ContainsAny(pattern, "*?") {
					continue
				}
				sub, statement, err := t.letsToken(by, []string{concrete(pattern)}, t.goodAudiences(by))
				if err != nil {
					return nil, err
				}
				if sub != "" {
					facts = append(facts, fact(by.name, "lets every subject in that fits "+pattern+", by "+statement))
				}
			}
			return facts, nil
		})
	},
}

var oidcAudienceOpen = Rule{
	ID: "oidc-audience-open", Title: "A token that was made for somebody else may assume the role", Severity: Medium, Area: Roles, Of: OfPrincipal,
	Looks: "Trust in OpenID Connect providers: whether a token of the right subject gets in whatever its audience, for want of a condition on aud. IAM checks the provider's list of client ids first.",
	Why:   "A token that a workload gave to another service for another purpose can then be used here by that service.",
	Mend: Mend{
		CLI:       mendTrust + "   # Condition: StringEquals ISSUER:aud sts.amazonaws.com",
		Terraform: "# in the aws_iam_policy_document of assume_role_policy\ncondition {\n  test     = \"StringEquals\"\n  variable = \"ISSUER:aud\"\n  values   = [\"sts.amazonaws.com\"]\n}",
	},
	needs: []Part{PartPrincipals},
	check: func(s *scene) Outcome {
		return s.judgeIssuers(true, func(t *trust, by issuer) ([]Evidence, error) {
			sub, statement, err := t.letsToken(by, t.goodSubjects(by), []string{strangerAudience})
			if err != nil || sub == "" {
				return nil, err
			}
			return []Evidence{fact(by.name, "lets a token for "+strangerAudience+" in, by "+statement)}, nil
		})
	},
}
