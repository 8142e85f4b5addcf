package deploy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/logging"
	"github.com/gatehouse-project/gatehouse/transaction"
)

var protectedAPI = &Stack{
	Name:    "protected-api",
	Summary: "a REST API with IAM authorization that lets in the callers who are named",
	About: "Deploy it in the account that owns the API. Callers sign their requests (gatehouse invoke does). Those of other accounts need " +
		"a policy of their own too: stack api-client. The resource policy names this API's stage, method and path without its id, so it is not opened to the account's other APIs.",
	Parameters: []Parameter{
		account, regionOf,
		{Name: "name", Summary: "name of the API, and of its function", Example: "orders", Required: true, check: checkName},
		{Name: "stage", Summary: "its stage", Example: "prod", Default: "prod", check: pattern("a stage", stageName)},
		{Name: "path", Summary: "path of the one resource that it has", Example: "/orders/{id}", Default: "/", check: checkPath},
		{Name: "methods", Summary: "HTTP methods of the resource", Example: "GET", Default: "GET", List: true, check: oneOf("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")},
		callerAccounts, callerRoles, callerUsers, callerPrefixes,
		{Name: "function-arn", Summary: "ARN of a function that is there already and answers (else give package-bucket and package-key)", Example: "arn:aws:lambda:eu-west-1:111122223333:function:orders", check: checkFunction},
		{Name: "package-bucket", Summary: "bucket that holds the zip of the function to make", Example: "my-artifacts", check: checkBucket},
		{Name: "package-key", Summary: "key of the zip", Example: "orders/function.zip", check: checkObject},
		{Name: "runtime", Summary: "runtime of the function", Example: "python3.13", Default: "provided.al2023", check: pattern("a runtime", `[a-z0-9.]{1,32}`)},
		{Name: "handler", Summary: "handler of the function", Example: "app.handler", Default: "bootstrap", check: checkHandler},
		{Name: "allowed-origin", Summary: "origin whose pages may call the API; adds OPTIONS for CORS", Example: "https://shop.example.com", check: checkOrigin},
		accessGroup.as("", "name of the log group for access logs; the account must have a CloudWatch role (stack logging)", ""),
		retention, partition,
	},
	build: buildProtected,
}

func buildProtected(in *input) (*model, error) {
	m := &model{account: in.text("account"), region: in.text("region")}
	if err := in.checkResource(); err != nil {
		return nil, err
	}
	policy, err := protection(in, m)
	if err != nil {
		return nil, err
	}
	function, permitted, err := m.backend(in)
	if err != nil {
		return nil, err
	}
	api := m.add(&resource{
		label: "api", comment: "The API.", tf: "aws_api_gateway_rest_api", cfn: "AWS::ApiGateway::RestApi", replaceFirst: true,
		attrs: []attr{
			{tf: "name", cfn: "Name", value: in.text("name")},
			{tf: "endpoint_configuration", cfn: "EndpointConfiguration", block: true, value: object{{tf: "types", cfn: "Types", value: list{"REGIONAL"}}}},
			{cfn: "Policy", value: policy},
		},
	})
	before := []*resource{m.add(&resource{
		label: "api", comment: "Who may call it. Everybody else is refused.", tf: "aws_api_gateway_rest_api_policy",
		attrs: []attr{{tf: "rest_api_id", value: ref{api, "id", ""}}, {tf: "policy", value: apiDocument{policy, api}}},
	})}
	parent := any(ref{api, "root_resource_id", "RootResourceId"})
	depth := 0
	for part := range strings.SplitSeq(strings.Trim(in.text("path"), "/"), "/") {
		if part == "" {
			continue
		}
		r := m.add(&resource{
			label: numbered("path", depth), tf: "aws_api_gateway_resource", cfn: "AWS::ApiGateway::Resource",
			attrs: []attr{
				{tf: "rest_api_id", cfn: "RestApiId", value: ref{api, "id", ""}},
				{tf: "parent_id", cfn: "ParentId", value: parent},
				{tf: "path_part", cfn: "PathPart", value: part},
			},
		})
		parent = ref{r, "id", ""}
		depth++
	}
	// A deployment is a picture of the API, so it comes after all of that and is made
	// again when any of it changes.
	for _, method := range in.list("methods") {
		before = append(before, m.method(in, api, parent, method, function)...)
	}
	if origin := in.text("allowed-origin"); origin != "" {
		before = append(before, m.preflight(in, api, parent, origin)...)
	}
	m.stage(in, api, append(before, permitted))
	return m, nil
}

// maxAPIResources are the resources of an API, the root among them.
const maxAPIResources = 300

// checkResource refuses paths that a request may have and a resource may not, and what
// would be made twice.
func (in *input) checkResource() error {
	parts := strings.Split(strings.Trim(in.text("path"), "/"), "/")
	seen := map[string]bool{}
	for i, part := range parts {
		switch {
		case strings.ContainsAny(part, "~+") && !strings.HasSuffix(part, "+}"):
			return in.fail("path", "use letters, digits and ._-:", "API Gateway lets no resource have ~ or + in its path")
		case strings.HasSuffix(part, "+}") && i < len(parts)-1:
			return in.fail("path", "let "+part+" be the last", "%s takes the rest of the path, and %s comes after it", part, parts[i+1])
		case strings.HasPrefix(part, "{") && seen[part]:
			return in.fail("path", "give each parameter a name of its own", "%s is there twice", part)
		}
		seen[part] = true
	}
	if len(parts) >= maxAPIResources {
		return in.fail("path", "shorten it", "it has %d segments, each a resource, and an API has %d", len(parts), maxAPIResources)
	}
	if in.text("access-log-group") == "/aws/lambda/"+in.text("name") {
		return in.fail("access-log-group", "name another group", "%s is the group of the function's own log", in.text("access-log-group"))
	}
	if arn := strings.Split(in.text("function-arn"), ":"); len(arn) > 4 && arn[4] != in.text("account") {
		return in.fail("function-arn", "name a function of the account "+in.text("account"),
			"it is of the account %s, and only that account can let the API call it", arn[4])
	}
	return in.checkHere("function-arn")
}

// protection is the resource policy in the form without the API's id.
func protection(in *input, m *model) (document, error) {
	const anyID = "a1b2c3d4e5"
	scope := iam.Scope{
		Partition: in.text("partition"), Region: m.region, Account: m.account, API: anyID,
		Stages: []string{in.text("stage")}, Methods: in.list("methods"), Paths: []string{in.text("path")},
	}
	d, err := iam.GenerateResource(iam.ResourcePolicy{Scope: scope, Callers: in.callers(), Preflight: in.text("allowed-origin") != ""})
	if err != nil {
		return document{}, in.fail("", "name caller-accounts, caller-roles, caller-users or caller-role-prefixes", "%w", err)
	}
	// Best evidence: the size counts once API Gateway has filled in the rest of the ARNs.
	if n := len(d.JSON()); n > maxResourcePolicy {
		return document{}, in.tooLong("the resource policy has %d bytes, and API Gateway takes %d", n, maxResourcePolicy)
	}
	d, err = shortForm(d, in.arn("execute-api", m.region, m.account, anyID))
	remark := wide(in)
	if strings.Contains(in.text("path"), "{") {
		remark = "In the path a * stands where the template has a parameter; it also matches further segments."
	}
	return document{Document: d, remarks: map[string]string{
		"Callers":      strings.TrimSpace("Accounts here let in their roles and users as far as their own policies allow. " + remark),
		"RolePrefixes": strings.TrimSpace("Principal cannot hold a part of a name, so the account stands there and the condition limits it. " + remark),
		"Preflight":    "Browsers do not sign OPTIONS, so everybody may send it; it is answered without the function.",
	}}, err
}

// backend adds the function, or takes the one that is there, and lets the API call
// it.
func (m *model) backend(in *input) (arn any, permitted *resource, err error) {
	var name any
	switch {
	case in.text("function-arn") != "":
		if in.text("package-bucket")+in.text("package-key") != "" {
			return nil, nil, in.fail("function-arn", "leave out package-bucket and package-key", "a function is there already and another one is to be made")
		}
		arn, name = in.text("function-arn"), in.text("function-arn")
	case in.text("package-bucket") == "" || in.text("package-key") == "":
		return nil, nil, in.fail("function-arn", "give function-arn, or package-bucket and package-key", "there is no function that could answer")
	default:
		function, err := m.function(in)
		if err != nil {
			return nil, nil, err
		}
		arn, name = ref{function, "arn", "Arn"}, ref{function, "function_name", ""}
	}
	return arn, m.add(&resource{
		label: "invoke", comment: "This stage of this API may call the function, and nothing else may by this.", tf: "aws_lambda_permission", cfn: "AWS::Lambda::Permission",
		attrs: []attr{
			{tf: "action", cfn: "Action", value: "lambda:InvokeFunction"},
			{tf: "function_name", cfn: "FunctionName", value: name},
			{tf: "principal", cfn: "Principal", value: "apigateway.amazonaws.com"},
			{tf: "source_arn", cfn: "SourceArn", value: expr{
				tf:  `"${aws_api_gateway_rest_api.api.execution_arn}/` + in.text("stage") + `/*"`,
				cfn: taggedText("!Sub", "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/"+in.text("stage")+"/*"),
			}},
		},
	}), nil
}

func (m *model) function(in *input) (*resource, error) {
	name, roleEnd := in.text("name"), "-function"
	if len(name)+len(roleEnd) > maxRoleName {
		return nil, in.fail("name", fmt.Sprintf("shorten it to %d characters, or give function-arn", maxRoleName-len(roleEnd)),
			"the function's role would be named %s, and the name of a role has %d characters at most", name+roleEnd, maxRoleName)
	}
	group := m.logGroup("log", "The function's own log.", "/aws/lambda/"+name, in.number("retention-days"), "")
	w := &writer{}
	w.allow("WriteOwnLog", "The streams of the function's own group, whose names Lambda makes.", []string{"logs:CreateLogStream", "logs:PutLogEvents"},
		[]string{in.arn("logs", m.region, m.account, "log-group:/aws/lambda/"+name+":*")})
	d, err := w.document()
	if err != nil {
		return nil, err
	}
	trust, err := serviceTrust(in, "lambda.amazonaws.com", "")
	if err != nil {
		return nil, err
	}
	role := m.role("function_role", "The function's role.", name+roleEnd, "The function behind an API runs with it", trust)
	rights := m.policy(role, "function_log", "", "WriteOwnLog", d)
	const timeout = 29 // seconds: API Gateway waits no longer
	return m.add(&resource{
		label: "function", comment: "Answers the calls.", tf: "aws_lambda_function", cfn: "AWS::Lambda::Function",
		attrs: []attr{
			{tf: "function_name", cfn: "FunctionName", value: name},
			{tf: "role", cfn: "Role", value: ref{role, "arn", "Arn"}},
			{tf: "runtime", cfn: "Runtime", value: in.text("runtime")},
			{tf: "handler", cfn: "Handler", value: in.text("handler")},
			{tf: "architectures", cfn: "Architectures", value: list{"arm64"}},
			{tf: "timeout", cfn: "Timeout", value: timeout},
			{tf: "s3_bucket", value: in.text("package-bucket")},
			{tf: "s3_key", value: in.text("package-key")},
			{cfn: "Code", value: object{{cfn: "S3Bucket", value: in.text("package-bucket")}, {cfn: "S3Key", value: in.text("package-key")}}},
		},
		dependsOn: []*resource{group, rights},
	}), nil
}

// method adds a method that IAM authorizes and the function answers.
func (m *model) method(in *input, api *resource, at any, method string, function any) []*resource {
	label := strings.ToLower(method)
	invocations := "arn:" + in.text("partition") + ":apigateway:" + m.region + ":lambda:path/2015-03-31/functions/"
	var uri any = invocations + in.text("function-arn") + "/invocations"
	if r, ok := function.(ref); ok {
		uri = expr{tf: r.to.tf + "." + r.to.label + ".invoke_arn", cfn: taggedText("!Sub", invocations+"${"+r.to.id()+".Arn}/invocations")}
	}
	integration := object{
		{cfn: "Type", value: "AWS_PROXY"}, {cfn: "IntegrationHttpMethod", value: "POST"}, {cfn: "Uri", value: uri},
	}
	callee := m.add(&resource{
		label: label, comment: "Callers must sign.", tf: "aws_api_gateway_method", cfn: "AWS::ApiGateway::Method",
		attrs: []attr{
			{tf: "rest_api_id", cfn: "RestApiId", value: ref{api, "id", ""}},
			{tf: "resource_id", cfn: "ResourceId", value: at},
			{tf: "http_method", cfn: "HttpMethod", value: method},
			{tf: "authorization", cfn: "AuthorizationType", value: "AWS_IAM"},
			{cfn: "Integration", value: integration},
		},
	})
	return []*resource{callee, m.add(&resource{
		label: label, tf: "aws_api_gateway_integration",
		attrs: []attr{
			{tf: "rest_api_id", value: ref{api, "id", ""}},
			{tf: "resource_id", value: at},
			{tf: "http_method", value: ref{callee, "http_method", ""}},
			{tf: "type", value: "AWS_PROXY"},
			{tf: "integration_http_method", value: "POST"},
			{tf: "uri", value: uri},
		},
	})}
}

// preflight adds OPTIONS, which API Gateway answers itself.
func (m *model) preflight(in *input, api *resource, at any, origin string) []*resource {
	const (
		headers = "method.response.header.Access-Control-Allow-Headers"
		methods = "method.response.header.Access-Control-Allow-Methods"
		origins = "method.response.header.Access-Control-Allow-Origin"
		signed  = "'Authorization,Content-Type,X-Amz-Content-Sha256,X-Amz-Date,X-Amz-Security-Token'"
	)
	answers := object{
		{tf: headers, cfn: headers, value: signed},
		{tf: methods, cfn: methods, value: "'" + strings.Join(append(in.list("methods"), "OPTIONS"), ",") + "'"},
		{tf: origins, cfn: origins, value: "'" + origin + "'"},
	}
	declared := object{{tf: headers, cfn: headers, value: true}, {tf: methods, cfn: methods, value: true}, {tf: origins, cfn: origins, value: true}}
	templates := object{{tf: "application/json", cfn: "application/json", value: `{"statusCode": 200}`}}
	method := m.add(&resource{
		label: "options", comment: "Browsers ask before they call, and cannot sign that.", tf: "aws_api_gateway_method", cfn: "AWS::ApiGateway::Method",
		attrs: []attr{
			{tf: "rest_api_id", cfn: "RestApiId", value: ref{api, "id", ""}},
			{tf: "resource_id", cfn: "ResourceId", value: at},
			{tf: "http_method", cfn: "HttpMethod", value: "OPTIONS"},
			{tf: "authorization", cfn: "AuthorizationType", value: "NONE"},
			{cfn: "Integration", value: object{
				{cfn: "Type", value: "MOCK"},
				{cfn: "RequestTemplates", value: templates},
				{cfn: "IntegrationResponses", value: list{object{{cfn: "StatusCode", value: "200"}, {cfn: "ResponseParameters", value: answers}}}},
			}},
			{cfn: "MethodResponses", value: list{object{{cfn: "StatusCode", value: "200"}, {cfn: "ResponseParameters", value: declared}}}},
		},
	})
	common := func(more ...attr) []attr {
		return append([]attr{
			{tf: "rest_api_id", value: ref{api, "id", ""}}, {tf: "resource_id", value: at}, {tf: "http_method", value: ref{method, "http_method", ""}},
		}, more...)
	}
	integration := m.add(&resource{label: "options", tf: "aws_api_gateway_integration", attrs: common(
		attr{tf: "type", value: "MOCK"}, attr{tf: "request_templates", value: templates})})
	response := m.add(&resource{label: "options", tf: "aws_api_gateway_method_response", attrs: common(
		attr{tf: "status_code", value: "200"}, attr{tf: "response_parameters", value: declared})})
	answer := m.add(&resource{
		label: "options", tf: "aws_api_gateway_integration_response", attrs: common(
			attr{tf: "status_code", value: ref{response, "status_code", ""}}, attr{tf: "response_parameters", value: answers}),
		dependsOn: []*resource{integration},
	})
	return []*resource{method, integration, response, answer}
}

// digest tells what a stack is written for, in letters and digits.
func (in *input) digest() string {
	h := sha256.New()
	for _, name := range sortedKeys(in.values) {
		fmt.Fprintf(h, "%s=%q\n", name, in.values[name])
	}
	return hex.EncodeToString(h.Sum(nil))[:8]
}

// stage deploys what is there.
func (m *model) stage(in *input, api *resource, before []*resource) {
	// CloudFormation makes a deployment once; another name for it makes it again. So
	// its name tells what is deployed.
	digest := in.digest()
	deployment := m.add(&resource{
		label: "deployment_" + digest, comment: "A picture of the API. Its name changes with what it shows, so a change is deployed.",
		tf: "aws_api_gateway_deployment", cfn: "AWS::ApiGateway::Deployment", replaceFirst: true,
		attrs:     []attr{{tf: "rest_api_id", cfn: "RestApiId", value: ref{api, "id", ""}}},
		dependsOn: before,
	})
	attrs := []attr{
		{tf: "rest_api_id", cfn: "RestApiId", value: ref{api, "id", ""}},
		{tf: "deployment_id", cfn: "DeploymentId", value: ref{deployment, "id", ""}},
		{tf: "stage_name", cfn: "StageName", value: in.text("stage")},
	}
	var depends []*resource
	if group := in.text("access-log-group"); group != "" {
		depends = append(depends, m.logGroup("access", "Access logs of the stage.", group, in.number("retention-days"), ""))
		to, shape := in.arn("logs", m.region, m.account, "log-group:"+group), logging.Format(transaction.REST)
		attrs = append(attrs,
			attr{tf: "access_log_settings", block: true, value: object{{tf: "destination_arn", value: to}, {tf: "format", value: shape}}},
			attr{cfn: "AccessLogSetting", value: object{{cfn: "DestinationArn", value: to}, {cfn: "Format", value: shape}}})
	}
	stage := m.add(&resource{label: "stage", comment: "The stage.", tf: "aws_api_gateway_stage", cfn: "AWS::ApiGateway::Stage", attrs: attrs, dependsOn: depends})
	m.output("api_id", "Id of the API: the parameter api of stack api-client.", ref{api, "id", ""})
	host := ".execute-api." + m.region + ".amazonaws.com"
	if in.text("partition") == "aws-cn" {
		host += ".cn"
	}
	// A checked path holds neither a quotation mark nor the beginning of a template.
	m.output("url", "Address of the resource.", expr{
		tf:  `"https://${aws_api_gateway_rest_api.api.id}` + host + `/${aws_api_gateway_stage.` + stage.label + `.stage_name}` + in.text("path") + `"`,
		cfn: taggedText("!Sub", "https://${Api}"+host+"/${"+stage.id()+"}"+in.text("path")),
	})
}

func numbered(label string, i int) string { return label + "_" + strconv.Itoa(i+1) }
