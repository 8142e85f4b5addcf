package deploy

import (
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/logging"
	"github.com/gatehouse-project/gatehouse/transaction"
)

var (
	logRole = Parameter{
		Name: "log-role-name", Summary: "name of the role that API Gateway writes logs with",
		Example: logging.DefaultRole, Default: logging.DefaultRole, check: checkRole,
	}
	accessGroup = Parameter{
		Name: "access-log-group", Summary: "name of the log group for access logs", Example: "/aws/vendedlogs/apigateway/access-logs", check: checkGroup,
	}
)

// serviceTrust lets a service assume a role; with an account, for its work alone.
func serviceTrust(in *input, service, account string) (document, error) {
	d, err := iam.GenerateTrust(iam.TrustPolicy{Services: []string{service}, Partition: in.text("partition")})
	if err != nil {
		return document{}, err
	}
	if account != "" {
		d.Statements[0].Condition = iam.Conditions{{Operator: "StringEquals", Key: "aws:SourceAccount", Values: iam.Strings{account}}}
		if d, err = iam.Parse(iam.KindTrust, d.Pretty()); err != nil {
			return document{}, err
		}
	}
	return document{Document: d}, nil
}

// logWriter adds the role that API Gateway writes logs with, and the choice of it
// for the account and region.
func (m *model) logWriter(in *input) (*resource, error) {
	if !in.flag("make-log-role") {
		return m.logChoice(in.arn("iam", "", m.account, "role/"+in.text("log-role-name"))), nil
	}
	// API Gateway's documentation has no condition in this trust policy, and
	// UpdateAccount tries the role at once: best evidence is to leave it without.
	trust, err := serviceTrust(in, "apigateway.amazonaws.com", "")
	if err != nil {
		return nil, err
	}
	role := m.role("log_writer", "API Gateway writes logs to CloudWatch Logs with it.", in.text("log-role-name"), "API Gateway writes logs to CloudWatch Logs with it", trust)
	managed := "arn:" + in.text("partition") + ":iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
	role.attrs = append(role.attrs, attr{cfn: "ManagedPolicyArns", value: list{managed}})
	attachment := m.add(&resource{
		label: "log_writer_push", comment: "AWS's own policy for this: API Gateway checks for its permissions when it is given the role.",
		tf: "aws_iam_role_policy_attachment", attrs: []attr{{tf: "role", value: ref{role, "name", ""}}, {tf: "policy_arn", value: managed}},
	})
	return m.logChoice(ref{role, "arn", "Arn"}, attachment), nil
}

// logChoice adds the choice of the role for the account and region.
func (m *model) logChoice(role any, before ...*resource) *resource {
	return m.add(&resource{
		label: "api_gateway", comment: "One role for all APIs of the account in this region. It replaces one that was chosen before.",
		tf: "aws_api_gateway_account", cfn: "AWS::ApiGateway::Account",
		attrs:     []attr{{tf: "cloudwatch_role_arn", cfn: "CloudWatchRoleArn", value: role}},
		dependsOn: before,
	})
}

var loggingStack = &Stack{
	Name:    "logging",
	Summary: "what gatehouse logging enable sets, as code: role, log groups, stage settings",
	About: "Deploy it in each account and region with APIs, in all regions of an account but the first with make-log-role=false. Settings that belong to a stage belong to the code that owns the stage; " +
		"what can be set from outside is set here, the rest is printed as outputs to be taken over there.",
	Parameters: []Parameter{
		account, regionOf,
		{Name: "stages", Summary: "stages of REST APIs, as API/STAGE; in Terraform their execution logs are switched on", Example: "a1b2c3d4e5/prod", List: true, check: checkAPIStage},
		accessGroup.as("", "", "/aws/vendedlogs/apigateway/access-logs"),
		flag("data-trace", "execution logs hold headers and bodies of calls", true),
		retention, kmsKey, logRole,
		flag("make-log-role", "make the role log-role-name; false where the stack of another region has made it: a role belongs to the account, and this stack to a region", true),
		partition,
	},
	build: buildLogging,
}

func buildLogging(in *input) (*model, error) {
	m := &model{account: in.text("account"), region: in.text("region")}
	if err := in.checkHere("kms-key"); err != nil {
		return nil, err
	}
	for _, stage := range in.list("stages") {
		if in.text("access-log-group") == executionGroup(stage) {
			return nil, in.fail("access-log-group", "name another group", "%s is where API Gateway writes the execution logs of %s", executionGroup(stage), stage)
		}
	}
	choice, err := m.logWriter(in)
	if err != nil {
		return nil, err
	}
	group := m.logGroup("access", "Access logs of all stages that name it.", in.text("access-log-group"), in.number("retention-days"), in.text("kms-key"))
	group.retain = true
	var snippets strings.Builder
	for i, stage := range in.list("stages") {
		api, name, _ := strings.Cut(stage, "/")
		m.logGroup(numbered("execution", i), "Made before API Gateway makes it, which would keep events for ever.",
			executionGroup(stage), in.number("retention-days"), in.text("kms-key")).retain = true
		m.add(&resource{
			label: numbered("execution", i), comment: "Execution logs of " + stage + ".", tf: "aws_api_gateway_method_settings",
			attrs: []attr{
				{tf: "rest_api_id", value: api},
				{tf: "stage_name", value: name},
				{tf: "method_path", value: "*/*"},
				{tf: "settings", block: true, value: object{
					{tf: "logging_level", value: "INFO"}, {tf: "data_trace_enabled", value: in.flag("data-trace")}, {tf: "metrics_enabled", value: true},
				}},
			},
			dependsOn: []*resource{choice},
		})
	}
	m.output("access_log_destination", "destination_arn of a stage's access log settings.", in.arn("logs", m.region, m.account, "log-group:"+in.text("access-log-group")))
	for _, t := range []transaction.APIType{transaction.REST, transaction.HTTP, transaction.WebSocket} {
		m.output("access_log_format_"+strings.ToLower(string(t)), "Format of a "+string(t)+" API's access log settings.", logging.Format(t))
	}
	snippets.WriteString("Terraform, in the resource of the stage (`aws_api_gateway_stage`, `aws_apigatewayv2_stage`):\n\n" +
		"    access_log_settings {\n      destination_arn = \"" + in.arn("logs", m.region, m.account, "log-group:"+in.text("access-log-group")) +
		"\"\n      format          = \"…\" # the output access_log_format_rest, _http or _websocket\n    }\n\n" +
		"CloudFormation, in `AWS::ApiGateway::Stage` (AccessLogSetting in `AWS::ApiGatewayV2::Stage` is AccessLogSettings):\n\n" +
		"    AccessLogSetting:\n      DestinationArn: " + in.arn("logs", m.region, m.account, "log-group:"+in.text("access-log-group")) +
		"\n      Format: \"…\"\n    MethodSettings:\n      - {HttpMethod: \"*\", ResourcePath: \"/*\", LoggingLevel: INFO, DataTraceEnabled: " + in.text("data-trace") + ", MetricsEnabled: true}\n\n" +
		"For stages that no code owns, `gatehouse logging enable` does this, and can undo it.")
	m.notes = append(m.notes, note{"In the code of each stage", snippets.String()})
	if len(in.list("stages")) > 0 {
		m.notes = append(m.notes, note{"Groups that are there already", "API Gateway makes the group of a stage when it first writes to it. Import one that is there:\n\n" +
			"    terraform import aws_cloudwatch_log_group.execution_1 '" + executionGroup(in.list("stages")[0]) + "'"})
	}
	return m, nil
}

// executionGroup is the group that API Gateway writes the execution logs of a stage to.
func executionGroup(stage string) string { return "API-Gateway-Execution-Logs_" + stage }

var switcher = &Stack{
	Name:    "switcher",
	Summary: "the role that gatehouse logging enable, disable and destroy need, and no more",
	About:   "Deploy it in each account whose stages Gatehouse may switch. It cannot read logs, and cannot make, delete or call an API.",
	Parameters: []Parameter{
		account, hubRoles, externalID, regions,
		logGroups.as("", "names of the log groups that logging enable is told to make or use, beside API Gateway's own", ""),
		logRole,
		estateFlag.as("", "allow what discovering the estate reads beside stages; false: logging is switched all the same, and that is shown as not readable", "true"),
		flag("kms", "allow log groups to be encrypted with a key", false),
		flag("list-regions", "allow account:ListRegions, which regions: [all] needs", false),
		roleName("GatehouseSwitcher"), partition,
	},
	build: buildSwitcher,
}

func buildSwitcher(in *input) (*model, error) {
	m := &model{account: in.text("account")}
	trust, err := hubTrust(in)
	if err != nil {
		return nil, err
	}
	w := &writer{}
	switchStatements(w, in, m.account)
	if in.flag("estate") {
		estateStatements(w, in, m.account)
	}
	d, err := w.document()
	if err != nil {
		return nil, err
	}
	role := m.role("switcher", "The role that Gatehouse assumes to switch logging.", in.text("role-name"), "Gatehouse switches API Gateway's logging with it", trust)
	m.policy(role, "switcher_switch", "Stage settings and log groups.", "SwitchLogging", d)
	m.output("role_arn", "ARN of the role, for role_arns in the settings of gatehouse logging.", ref{role, "arn", "Arn"})
	return m, nil
}

// switchStatements are what package logging calls, and what discovering stages
// calls before it.
func switchStatements(w *writer, in *input, account string) {
	at := func(paths ...string) []string { return in.everywhere("apigateway", "", paths...) }
	groups := in.gatewayGroups(account)
	ids := " The * stand for the ids of APIs, of which new ones come." + in.anyRegion()
	w.allow("FindStages", "GET alone."+ids, []string{"apigateway:GET"}, at("/restapis", "/restapis/*", "/apis", "/apis/*", "/account"))
	w.allow("SwitchStages", "Settings of stages. PATCH can change other settings of a stage too: API Gateway has no finer action."+in.anyRegion(),
		[]string{"apigateway:PATCH"}, at("/restapis/*/stages/*", "/apis/*/stages/*"))
	w.allow("RemoveSettings", "Puts a stage back that had no access logs, or a route that had no settings of its own."+in.anyRegion(),
		[]string{"apigateway:DELETE"}, at("/apis/*/stages/*/accesslogsettings", "/apis/*/stages/*/routesettings/*"))
	w.allow("ChooseLogRole", "The account's CloudWatch role."+in.anyRegion(), []string{"apigateway:PATCH"}, at("/account"))
	role := in.arn("iam", "", account, "role/"+in.text("log-role-name"))
	w.allow("MakeLogRole", "", []string{
		"iam:CreateRole", "iam:DeleteRole", "iam:GetRole", "iam:ListAttachedRolePolicies", "iam:TagRole",
	}, []string{role})
	w.allow("AttachPushPolicy", "AWS's policy for writing logs and no other one.", []string{"iam:AttachRolePolicy", "iam:DetachRolePolicy"}, []string{role}, iam.Condition{
		Operator: "ArnEquals", Key: "iam:PolicyARN",
		Values: iam.Strings{"arn:" + in.text("partition") + ":iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"},
	})
	// Best evidence: UpdateAccount passes the role without naming its service in
	// every partition, so the role is named and the service is not.
	w.allow("PassLogRole", "To API Gateway, as the account's CloudWatch role.", []string{"iam:PassRole"}, []string{role})
	w.allow("FindLogGroups", "These calls list what is there and take no resource.",
		[]string{"logs:DescribeLogGroups", "logs:DescribeDeliveries", "logs:DescribeDeliveryDestinations", "logs:DescribeDeliverySources"}, []string{"*"})
	w.allow("MakeLogGroups", "API Gateway's own groups and those that are named."+in.anyRegion(), []string{
		"logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:ListTagsForResource", "logs:PutRetentionPolicy", "logs:TagResource",
	}, groups)
	if in.flag("kms") {
		w.allow("EncryptLogGroups", "The same groups."+in.anyRegion(), []string{"logs:AssociateKmsKey"}, groups)
	}
	w.allow("DeliverLongLines", "Deliveries of execution logs that Gatehouse makes have names that begin with gatehouse-; the id of a delivery itself is AWS's."+in.anyRegion(), []string{
		"logs:CreateDelivery", "logs:DeleteDelivery", "logs:DeleteDeliveryDestination", "logs:DeleteDeliverySource",
		"logs:GetDeliveryDestination", "logs:GetDeliverySource", "logs:PutDeliveryDestination", "logs:PutDeliverySource", "logs:TagResource",
	}, in.everywhere("logs", account, "delivery:*", "delivery-source:gatehouse-*", "delivery-destination:gatehouse-*"))
	// The documentation of log delivery writes a stage's ARN with the account, that of
	// IAM without.
	w.allow("LetStagesDeliver", "CloudWatch Logs asks for it when a stage becomes the source of a delivery."+in.anyRegion(),
		[]string{"apigateway:AllowVendedLogDeliveryForResource"}, append(at("/restapis/*/stages/*"), in.everywhere("apigateway", account, "/restapis/*/stages/*")...))
	// API Gateway's documentation asks for these of whoever sets access logs of HTTP
	// and WebSocket APIs; they take no resource.
	w.allow("LetApiGatewayWrite", "CloudWatch Logs asks for these when access logs of an HTTP API are set; they take no resource.", []string{
		"logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeResourcePolicies", "logs:GetLogDelivery",
		"logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
	}, []string{"*"})
	if in.flag("list-regions") {
		w.allow("ListRegions", "ListRegions of the own account takes no resource that could be named.", []string{"account:ListRegions"}, []string{"*"})
	}
}
