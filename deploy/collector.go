package deploy

import (
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
)

// spokeTemplate is the file that a StackSet deploys.
const spokeTemplate = "collector-spoke.yaml"

var collectorHub = &Stack{
	Name:    "collector-hub",
	Summary: "the role of Gatehouse's service account in EKS, which may assume the named spokes",
	About:   "Deploy it in the account of the EKS cluster that Gatehouse runs in. The cluster's OIDC provider must be there already.",
	Parameters: []Parameter{
		account,
		{
			Name: "oidc-issuer", Summary: "issuer of the cluster: aws eks describe-cluster --query cluster.identity.oidc.issuer",
			Example: "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF", Required: true, check: checkIssuer,
		},
		{Name: "namespace", Summary: "namespace of the service account", Example: "gatehouse", Default: "gatehouse", check: checkDNSLabel},
		{Name: "service-account", Summary: "name of the service account", Example: "gatehouse", Default: "gatehouse", check: checkDNSLabel},
		{Name: "spoke-accounts", Summary: "accounts that Gatehouse reads", Example: "222233334444", List: true, check: checkAccount},
		{Name: "spoke-role-name", Summary: "name of the role in each of them", Example: "GatehouseCollector", Default: "GatehouseCollector", check: checkRole},
		{Name: "spoke-roles", Summary: "ARNs of further roles that Gatehouse assumes", Example: "arn:aws:iam::222233334444:role/GatehouseSwitcher", List: true, check: checkRoleARN},
		flag("organization", "also list the accounts of the organization; deploy in its management account or a delegated administrator", false),
		roleName("GatehouseHub"), partition,
	},
	build: buildHub,
}

func buildHub(in *input) (*model, error) {
	roles := make([]string, 0, len(in.list("spoke-accounts"))+len(in.list("spoke-roles")))
	for _, a := range in.list("spoke-accounts") {
		roles = append(roles, in.arn("iam", "", a, "role/"+in.text("spoke-role-name")))
	}
	roles = append(roles, in.list("spoke-roles")...)
	if len(roles) == 0 {
		return nil, in.fail("spoke-accounts", "name accounts, or roles with spoke-roles", "the hub has nothing to assume")
	}
	m := &model{account: in.text("account")}
	issuer := strings.TrimSuffix(strings.TrimPrefix(in.text("oidc-issuer"), "https://"), "/")
	subject := "system:serviceaccount:" + in.text("namespace") + ":" + in.text("service-account")
	trust, err := trusted(iam.TrustPolicy{
		OIDCProvider: in.arn("iam", "", m.account, "oidc-provider/"+issuer), Subjects: []string{subject},
		Partition: in.text("partition"),
	}, map[string]string{"WebIdentity": "One service account of one cluster, and only tokens that were issued for STS."})
	if err != nil {
		return nil, err
	}
	assume, err := iam.GenerateAssume(iam.AssumePolicy{Roles: roles})
	if err != nil {
		return nil, err
	}
	hub := m.role("hub", "The role of Gatehouse's pods.", in.text("role-name"), "Gatehouse's own role, which assumes the roles that it reads accounts with", trust)
	m.policy(hub, "hub_assume", "It may assume these roles and no others.", "AssumeSpokes", document{Document: assume})
	if in.flag("organization") {
		var w writer
		w.allow("ListAccounts", "The accounts of an organization cannot be named one by one: ListAccounts takes no resource.",
			[]string{"organizations:ListAccounts"}, []string{"*"})
		d, err := w.document()
		if err != nil {
			return nil, err
		}
		m.policy(hub, "hub_organization", "", "ListAccounts", d)
	}
	m.output("role_arn", "ARN of the hub role: the annotation eks.amazonaws.com/role-arn of the service account.", ref{hub, "arn", "Arn"})
	m.notes = append(m.notes, note{"Afterwards", "Annotate the service account " + in.text("service-account") + " in " + in.text("namespace") +
		":\n\n    eks.amazonaws.com/role-arn: " + in.arn("iam", "", m.account, "role/"+in.text("role-name")) +
		"\n\nand deploy `collector-spoke` in each account with hub-role set to this ARN."})
	return m, nil
}

var (
	estateFlag = flag("estate", "allow what discovering the estate reads beside APIs: domains, usage plans, VPC links, certificates, settings of log groups, EKS clusters, web ACLs, the functions that APIs call; "+
		"false: calls are collected all the same, and that is shown as not readable", true)
	principalsFlag = flag("principals", "allow reading all roles, users and policies of the account, which estate_principals needs", false)
)

var collectorSpoke = &Stack{
	Name:    "collector-spoke",
	Summary: "the role that Gatehouse reads one account's API Gateway logs with",
	About:   "Deploy it in each account whose APIs Gatehouse reads. It allows reading alone, of API Gateway's log groups and of those that are named.",
	Parameters: []Parameter{
		account, hubRoles, externalID, regions, logGroups,
		flag("list-regions", "allow account:ListRegions, which regions: [all] needs", false),
		estateFlag, principalsFlag, roleName("GatehouseCollector"), partition,
	},
	build: func(in *input) (*model, error) { return buildSpoke(in, in.text("account")) },
}

func buildSpoke(in *input, account string) (*model, error) {
	m := &model{account: account}
	trust, err := hubTrust(in)
	if err != nil {
		return nil, err
	}
	w := &writer{}
	readStatements(w, in, account)
	if in.flag("list-regions") {
		w.allow("ListRegions", "ListRegions of the own account takes no resource that could be named.", []string{"account:ListRegions"}, []string{"*"})
	}
	if in.flag("estate") {
		estateStatements(w, in, account)
	}
	if in.flag("principals") {
		w.allow("KnowThePolicies", "One call answers every role, user and policy of the account; it takes no resource.", []string{"iam:GetAccountAuthorizationDetails"}, []string{"*"})
	}
	d, err := w.document()
	if err != nil {
		return nil, err
	}
	spoke := m.role("collector", "The role that Gatehouse assumes to read this account.", in.text("role-name"), "Gatehouse reads API Gateway's logs with it", trust)
	m.policy(spoke, "collector_read", "Reading alone.", "ReadApiGatewayLogs", d)
	m.output("role_arn", "ARN of the role, for role_arns in Gatehouse's settings.", ref{spoke, "arn", "Arn"})
	return m, nil
}

// hubTrust lets the hub's roles assume a role with the external id.
func hubTrust(in *input) (document, error) {
	return trusted(iam.TrustPolicy{
		Callers: iam.Callers{Roles: in.list("hub-role")}, ExternalID: in.text("external-id"), Partition: in.text("partition"),
	}, map[string]string{"Callers": "The external id keeps another customer of a shared service from using the role."})
}

// readStatements are what collecting and the doctor call, and no more.
func readStatements(w *writer, in *input, account string) {
	w.allow("FindLogGroups", "These calls list what is there; they cannot be limited to some log groups or deliveries.",
		[]string{"logs:DescribeLogGroups", "logs:DescribeDeliveries", "logs:DescribeDeliveryDestinations", "logs:DescribeDeliverySources"}, []string{"*"})
	w.allow("ReadApiGatewayLogs", "API Gateway and logging enable name groups by the ids of APIs and stages, so new APIs are read without a change here."+in.anyRegion(),
		[]string{"logs:FilterLogEvents"}, in.gatewayGroups(account))
	w.allow("CompareWithCloudWatchsCount", "Metrics have no ARNs.", []string{"cloudwatch:GetMetricData"}, []string{"*"})
	w.allow("KnowTheApis", "GET alone. API Gateway's ARNs have no account; a role reaches those of its own account only. The * stand for the ids of APIs, of which new ones come."+in.anyRegion(),
		[]string{"apigateway:GET"}, in.everywhere("apigateway", "", "/restapis", "/restapis/*", "/apis", "/apis/*", "/account"))
}

// estateStatements are what discovering the whole estate calls beside that.
func estateStatements(w *writer, in *input, account string) {
	w.allow("KnowTheEstate", "Not /apikeys, whose answers can hold the values of keys."+in.anyRegion(), []string{"apigateway:GET"}, in.everywhere("apigateway", "",
		"/domainnames", "/domainnames/*", "/usageplans", "/usageplans/*/keys", "/vpclinks", "/clientcertificates"))
	w.allow("LogGroupSettings", "Settings of log groups, to find those that keep too little or that others read.", []string{
		"logs:DescribeMetricFilters", "logs:DescribeResourcePolicies", "logs:DescribeSubscriptionFilters", "logs:GetDataProtectionPolicy",
	}, []string{"*"})
	w.allow("ListClusters", "ListClusters takes no resource.", []string{"eks:ListClusters"}, []string{"*"})
	w.allow("KnowTheClusters", "Clusters are found by listing, so their names are not known here."+in.anyRegion(), []string{
		"eks:DescribeAccessEntry", "eks:DescribeCluster", "eks:ListAccessEntries", "eks:ListAssociatedAccessPolicies",
	}, in.everywhere("eks", account, "cluster/*", "access-entry/*"))
	w.allow("KnowTheWebACLs", "Those that stages name, which are not known here."+in.anyRegion(), []string{
		"wafv2:GetLoggingConfiguration", "wafv2:GetWebACL",
	}, in.everywhere("wafv2", account, "regional/webacl/*"))
	w.allow("KnowTheFunctions", "Those that routes and authorizers name, which are not known here. Lambda answers the environment of a function with its runtime; Gatehouse keeps the runtime alone."+in.anyRegion(), []string{
		"lambda:GetFunctionConfiguration", "lambda:GetPolicy", "lambda:ListFunctionUrlConfigs",
	}, in.everywhere("lambda", account, "function:*"))
}

var organization = &Stack{
	Name:    "organization",
	Summary: "the collector's role in every account of an organization, by StackSet",
	About: "Deploy it in the organization's management account, or a delegated administrator for StackSets (call-as: DELEGATED_ADMIN). " +
		"Accounts that join a named organizational unit get the role by themselves. A StackSet of this kind leaves out the management account: deploy collector-spoke there.",
	Parameters: []Parameter{
		account, regionOf,
		{Name: "organizational-units", Summary: "units, or the root, whose accounts get the role", Example: "ou-ab12-cdefgh34", Required: true, List: true, check: checkOU},
		{Name: "call-as", Summary: "SELF, or DELEGATED_ADMIN for a delegated administrator", Example: "SELF", Default: "SELF", check: oneOf("SELF", "DELEGATED_ADMIN")},
		{Name: "stack-set-name", Summary: "name of the StackSet", Example: "GatehouseCollector", Default: "GatehouseCollector", check: pattern("a name of a StackSet", `[A-Za-z][A-Za-z0-9-]{0,127}`)},
		hubRoles, externalID, regions, logGroups,
		flag("list-regions", "allow account:ListRegions, which regions: [all] needs", false),
		estateFlag, principalsFlag, roleName("GatehouseCollector"), partition,
	},
	build: buildOrganization,
}

func buildOrganization(in *input) (*model, error) {
	if err := in.checkAnyAccount(); err != nil {
		return nil, err
	}
	spoke, err := buildSpoke(in, anyAccount)
	if err == nil {
		err = spoke.fit(in)
	}
	if err != nil {
		return nil, err
	}
	template, err := spoke.cloudFormation(collectorSpoke)
	if err != nil {
		return nil, err
	}
	m := &model{
		account: in.text("account"), region: in.text("region"),
		policies: spoke.policies, files: []File{{spokeTemplate, template}}, cautions: spoke.cautions,
	}
	if len(template) > maxTemplateBody {
		return nil, in.tooLong("the template of the role has %d bytes, and a StackSet takes %d", len(template), maxTemplateBody)
	}
	var units list
	for _, u := range in.list("organizational-units") {
		units = append(units, u)
	}
	const failures = 100 // percent: an account that cannot have the role keeps none of the others from it
	set := m.add(&resource{
		label: "collectors", comment: "One stack with the role in each account. IAM is global, so one region is enough.",
		tf: "aws_cloudformation_stack_set", cfn: "AWS::CloudFormation::StackSet",
		attrs: []attr{
			{tf: "name", cfn: "StackSetName", value: in.text("stack-set-name")},
			{tf: "description", cfn: "Description", value: "Gatehouse " + collectorSpoke.Name},
			{tf: "permission_model", cfn: "PermissionModel", value: "SERVICE_MANAGED"},
			{tf: "call_as", cfn: "CallAs", value: in.text("call-as")},
			{tf: "capabilities", cfn: "Capabilities", value: list{"CAPABILITY_NAMED_IAM"}},
			{tf: "template_body", value: expr{tf: `file("${path.module}/` + spokeTemplate + `")`}},
			{tf: "auto_deployment", cfn: "AutoDeployment", block: true, value: object{
				{tf: "enabled", cfn: "Enabled", value: true},
				{tf: "retain_stacks_on_account_removal", cfn: "RetainStacksOnAccountRemoval", value: false},
			}},
			{tf: "operation_preferences", cfn: "OperationPreferences", block: true, value: object{
				{tf: "failure_tolerance_percentage", cfn: "FailureTolerancePercentage", value: failures},
				{tf: "max_concurrent_percentage", cfn: "MaxConcurrentPercentage", value: failures},
			}},
			{cfn: "StackInstancesGroup", value: list{object{
				{cfn: "DeploymentTargets", value: object{{cfn: "OrganizationalUnitIds", value: units}}},
				{cfn: "Regions", value: list{m.region}},
			}}},
			{cfn: "TemplateBody", value: expr{cfn: scalar(string(template))}},
		},
	})
	m.add(&resource{
		label: "collectors", tf: "aws_cloudformation_stack_set_instance",
		attrs: []attr{
			{tf: "stack_set_name", value: ref{set, "name", ""}},
			{tf: "call_as", value: in.text("call-as")},
			{tf: "region", value: m.region},
			{tf: "deployment_targets", block: true, value: object{{tf: "organizational_unit_ids", value: units}}},
		},
	})
	m.output("stack_set", "Id of the StackSet.", ref{set, "stack_set_id", ""})
	return m, nil
}
