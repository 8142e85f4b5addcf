package finding

import "github.com/gatehouse-project/gatehouse/iam"

const mendTrust = "aws iam update-assume-role-policy --role-name {role} --policy-document file://trust.json"

var roleTrustAnybody = Rule{
	ID: "role-trust-anybody", Title: "Every AWS account may assume the role", Severity: Critical, Area: Roles, Of: OfPrincipal,
	Looks: "Whether the trust policy lets a role of a stranger's account in, whatever its name, tags and session name. An external id that only the trusted know keeps strangers out.",
	Why:   "Anybody with an AWS account has what the role has. Lists of role names are guessed and tried all the time.",
	Mend: Mend{
		CLI:       mendTrust + "   # name the roles that need it",
		Terraform: "# in the aws_iam_policy_document of assume_role_policy\nprincipals {\n  type        = \"AWS\"\n  identifiers = [\"ROLE_ARN\"]\n}",
	},
	Peers: Peers{Checkov: []string{"CKV_AWS_60"}},
	needs: []Part{PartPrincipals},
	check: func(s *scene) Outcome {
		t, o, ok := s.trustOf()
		if !ok {
			return o
		}
		open, by, err := t.anybody()
		switch {
		case err != nil:
			return unseen(err.Error())
		case open:
			return failed(fact("trust policy", "lets a stranger in by "+by))
		}
		return passed(fact("trust policy", "lets no stranger in"))
	},
}

var roleTrustOutside = Rule{
	ID: "role-trust-outside", Title: "Any principal of an account outside may assume the role, without an external id", Severity: Medium, Area: Roles, Of: OfPrincipal,
	Looks: "Accounts that the trust policy speaks of and discovery does not know: whether a role that nobody named there gets in without sts:ExternalId.",
	Why:   "A provider that serves many customers can be talked into using your role for another one. An external id prevents that; an exact principal keeps the rest of the provider out.",
	Mend: Mend{
		CLI:       mendTrust + "   # Condition: StringEquals sts:ExternalId, and the provider's role in the place of its account",
		Terraform: "# in the aws_iam_policy_document of assume_role_policy\ncondition {\n  test     = \"StringEquals\"\n  variable = \"sts:ExternalId\"\n  values   = [var.external_id]\n}",
	},
	Peers: Peers{KICS: []string{"cross_account_iam_assume_role_policy_without_external_id_or_mfa"}},
	needs: []Part{PartPrincipals},
	check: func(s *scene) Outcome { return s.judgeAccounts(false) },
}

var roleTrustInside = Rule{
	ID: "role-trust-inside", Title: "Any principal of another of your accounts may assume the role", Severity: Low, Area: Roles, Of: OfPrincipal,
	Looks: "Other accounts of the estate, and organizations, that the trust policy speaks of: whether a role that nobody named there gets in without sts:ExternalId.",
	Why:   "Who administers that account has what the role has, and so has everybody whom he lets in. Naming the one role that needs it costs nothing.",
	Mend: Mend{
		CLI:       mendTrust + "   # name the role that needs it in the place of its account",
		Terraform: "# in the aws_iam_policy_document of assume_role_policy\nprincipals {\n  type        = \"AWS\"\n  identifiers = [\"ROLE_ARN\"]\n}",
	},
	needs: []Part{PartPrincipals},
	check: func(s *scene) Outcome { return s.judgeAccounts(true) },
}

// judgeAccounts judges a trust policy by the accounts that it names: those of the
// estate and its organizations, or those outside.
func (s *scene) judgeAccounts(inside bool) Outcome {
	t, o, ok := s.trustOf()
	if !ok {
		return o
	}
	open, _, err := t.anybody()
	switch {
	case err != nil:
		return unseen(err.Error())
	case open:
		return skipped("everybody may assume it, which role-trust-anybody tells")
	}
	var facts []Evidence
	asked := false
	for _, account := range t.accounts() {
		if s.census.accounts[account] != inside {
			continue
		}
		asked = true
		var also func(string) bool
		if inside { // which organization it is of is ours to know
			also = func(key string) bool { return key == "aws:principalorgid" }
		}
		lets, by, err := t.letsIn(t.strangers(account, false), also)
		if err != nil {
			return unseen(err.Error())
		}
		if lets {
			facts = append(facts, fact("account "+account, "any of its principals, by "+by))
		}
	}
	if inside {
		for _, org := range t.organizations() {
			asked = true
			lets, by, err := t.ofOrganization(org)
			if err != nil {
				return unseen(err.Error())
			}
			if lets {
				facts = append(facts, fact("organization "+org, "any principal of its accounts, by "+by))
			}
		}
	}
	if !asked {
		return skipped("the trust policy names no such account")
	}
	return failed(facts...)
}

// ofOrganization asks whether a role that nobody named, of an account that nobody
// named, gets in because the account is of an organization.
func (t *trust) ofOrganization(org string) (bool, string, error) {
	for _, c := range t.contexts(nil) {
		c["aws:principalorgid"] = []string{org}
		for _, who := range t.strangers(t.stranger(), false) {
			if ok, by, err := t.lets(who, assumeRole, c); ok || err != nil {
				return ok, by, err
			}
		}
	}
	return false, "", nil
}

// confusable are the services that assume roles for whoever asks them, and that tell
// whom they do it for by aws:SourceArn and aws:SourceAccount. AWS documents that for
// each of them.
var confusable = []string{"apigateway", "events", "scheduler", "pipes", "logs", "delivery.logs", "firehose"}

var roleServiceConfused = Rule{
	ID: "role-service-confused", Title: "A service may assume the role for anybody", Severity: Low, Area: Roles, Of: OfPrincipal,
	Looks: "Trust in API Gateway, EventBridge, its Scheduler and Pipes, CloudWatch Logs and Firehose: whether the service gets in for a resource of a stranger's account, for want of a condition on aws:SourceArn or aws:SourceAccount.",
	Why:   "The service is a deputy: it acts for whoever configures it. Without such a condition the role relies on the service alone to tell your requests from another customer's.",
	Mend: Mend{
		CLI:       mendTrust + "   # Condition: StringEquals aws:SourceAccount {account}",
		Terraform: "# in the aws_iam_policy_document of assume_role_policy\ncondition {\n  test     = \"StringEquals\"\n  variable = \"aws:SourceAccount\"\n  values   = [\"{account}\"]\n}",
	},
	Peers: Peers{Prowler: []string{"iam_role_cross_service_confused_deputy_prevention"}},
	needs: []Part{PartPrincipals},
	check: func(s *scene) Outcome {
		t, o, ok := s.trustOf()
		if !ok {
			return o
		}
		var facts []Evidence
		asked := false
		for _, name := range t.services() {
			who, err := iam.ParsePrincipal(name)
			if err != nil {
				continue // no service of that name makes requests
			}
			asked = true
			lets, by, err := t.letsService(who)
			if err != nil {
				return unseen(err.Error())
			}
			if lets {
				facts = append(facts, fact(name, "for any account, by "+by))
			}
		}
		if !asked {
			return skipped("the trust policy names no such service")
		}
		return failed(facts...)
	},
}
