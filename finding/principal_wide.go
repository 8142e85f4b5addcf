package finding

// narrowPolicy says how to put a narrower policy in the place of one.
const narrowPolicy = "aws iam put-role-policy --role-name {role} --policy-name POLICY --policy-document file://policy.json   # of a user: put-user-policy; of a managed policy: create-policy-version --set-as-default"

var principalAdministrator = Rule{
	ID: "principal-administrator", Title: "The role or user may do everything in the account", Severity: Info, Area: Roles, Of: OfPrincipal,
	Looks: "What the principal's own policies and boundary allow, asked for actions of several services on resources that nobody named. Service control policies may still take it away.",
	Why:   "Somebody has to administer an account. Each principal more that may is one more whose session opens everything.",
	Mend: Mend{
		CLI:       "aws iam detach-role-policy --role-name {role} --policy-arn arn:aws:iam::aws:policy/AdministratorAccess   # of a user: detach-user-policy",
		Terraform: "# remove the aws_iam_role_policy_attachment of AdministratorAccess, or accept the finding with the reason",
	},
	Peers: Peers{
		SecurityHub: []string{"IAM.1"}, Prowler: []string{"iam_role_administratoraccess_policy", "iam_user_administrator_access_policy", "iam_inline_policy_no_administrative_privileges"},
		Checkov: []string{"CKV_AWS_62", "CKV_AWS_63"},
	},
	needs: []Part{PartPrincipals},
	check: func(s *scene) Outcome {
		switch p := s.principal; {
		case p.serviceLinked():
			return skipped("the role is AWS's own, and nobody can change it")
		case p.Partial:
			return unseen("a policy of the principal could not be read")
		default:
			return failed(p.wide(WideEverything)...)
		}
	},
}

var invokesEveryAPI = Rule{
	ID: "principal-invokes-every-api", Title: "The role or user may call every API of the account", Severity: Medium, Area: Roles, Of: OfPrincipal,
	Looks: "Whether the principal's own policies and boundary allow execute-api:Invoke on an API that nobody named. Administrators are told by principal-administrator. Service control policies may still take it away.",
	Why:   "IAM authorization of a route then keeps it out of nothing: not of the APIs that it was never meant for, nor of those that are made tomorrow.",
	Mend: Mend{
		CLI:       narrowPolicy,
		Terraform: "# in the aws_iam_policy_document\nstatement {\n  actions   = [\"execute-api:Invoke\"]\n  resources = [\"arn:aws:execute-api:REGION:{account}:API/STAGE/METHOD/PATH\"]\n}",
	},
	needs: []Part{PartPrincipals},
	check: func(s *scene) Outcome { return s.judgeWide(WideInvoke) },
}

var managesEveryAPI = Rule{
	ID: "principal-manages-every-api", Title: "The role or user may change or delete every API of the account", Severity: Medium, Area: Roles, Of: OfPrincipal,
	Looks: "Whether the principal's own policies and boundary allow apigateway:PATCH or apigateway:DELETE on an API that nobody named. Administrators are told by principal-administrator. Service control policies may still take it away.",
	Why:   "Who may change an API may take its authorization away, point it at another backend, and switch its logs off.",
	Mend: Mend{
		CLI:       narrowPolicy,
		Terraform: "# in the aws_iam_policy_document\nstatement {\n  actions   = [\"apigateway:GET\", \"apigateway:PATCH\"]\n  resources = [\"arn:aws:apigateway:REGION::/restapis/API/*\"]\n}",
	},
	needs: []Part{PartPrincipals},
	check: func(s *scene) Outcome { return s.judgeWide(WideChangeAPI, WideDeleteAPI) },
}

var readsEveryLog = Rule{
	ID: "principal-reads-every-log", Title: "The role or user may read every log of the account", Severity: Low, Area: Roles, Of: OfPrincipal,
	Looks: "Whether the principal's own policies and boundary allow logs:GetLogEvents or logs:FilterLogEvents on a log group that nobody named. Administrators are told by principal-administrator. Service control policies may still take it away.",
	Why:   "Collectors ask for log-group:* and need the groups of API Gateway. The rest of the account's logs hold what every other service writes down: tokens, queries, people.",
	Mend: Mend{
		CLI:       "gatehouse deploy terraform collector-spoke --out spoke --param account={account}   # a collector's rights, on API Gateway's groups alone\n" + narrowPolicy,
		Terraform: "# in the aws_iam_policy_document\nstatement {\n  actions   = [\"logs:FilterLogEvents\"]\n  resources = [\"arn:aws:logs:REGION:{account}:log-group:API-Gateway-Execution-Logs_*:*\"]\n}",
	},
	needs: []Part{PartPrincipals},
	check: func(s *scene) Outcome { return s.judgeWide(WideReadLog, WideSearchLog) },
}

var changesEveryLog = Rule{
	ID: "principal-changes-every-log", Title: "The role or user may delete or divert every log of the account", Severity: Medium, Area: Roles, Of: OfPrincipal,
	Looks: "Whether the principal's own policies and boundary allow logs:DeleteLogGroup, logs:PutRetentionPolicy or logs:PutSubscriptionFilter on a log group that nobody named. Administrators are told by principal-administrator. Service control policies may still take it away.",
	Why:   "Whoever comes in by it can take away the record of what he did, or have every log sent to himself.",
	Mend: Mend{
		CLI:       narrowPolicy,
		Terraform: "# in the aws_iam_policy_document\nstatement {\n  actions   = [\"logs:CreateLogStream\", \"logs:PutLogEvents\"]\n  resources = [\"arn:aws:logs:REGION:{account}:log-group:GROUP:*\"]\n}",
	},
	needs: []Part{PartPrincipals},
	check: func(s *scene) Outcome { return s.judgeWide(WideDeleteLog, WideRetainLog, WideSubscribeLog) },
}
