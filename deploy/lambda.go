package deploy

import (
	"cmp"
	"strings"
)

var collectorLambda = &Stack{
	Name:    "collector-lambda",
	Summary: "Gatehouse as a Lambda function that a schedule starts each minute",
	About: "Deploy it where no container runs. The function reads its own account, or the spokes that are named, keeps its cursor in a bucket or a table, " +
		"and what fails again and again ends in a queue. The code is a zip with the program as bootstrap, for linux/arm64.",
	Parameters: []Parameter{
		account, regionOf,
		{Name: "package-bucket", Summary: "bucket that holds the zip", Example: "my-artifacts", Required: true, check: checkBucket},
		{Name: "package-key", Summary: "key of the zip", Example: "gatehouse/gatehouse-linux-arm64.zip", Required: true, check: checkObject},
		{Name: "sink", Summary: "address of the sink, without a password in it", Example: "kafka://broker.example.com:9092/calls?format=native", Required: true, check: checkSink},
		{Name: "state", Summary: "where the cursor is kept: s3 or dynamodb", Example: "s3", Default: "s3", check: oneOf("s3", "dynamodb")},
		{Name: "state-bucket", Summary: "name of the bucket to make (default: NAME-ACCOUNT-REGION)", Example: "gatehouse-state-111122223333", check: checkBucket},
		{Name: "spoke-roles", Summary: "ARNs of the roles to read with (default: the own account is read)", Example: "arn:aws:iam::222233334444:role/GatehouseCollector", List: true, check: checkRoleARN},
		externalID.optional(),
		regions.as("", "regions that are read (default: that of the stack)", ""), logGroups,
		estateFlag,
		{
			Name: "environment", Summary: "further settings as NAME=VALUE, no secrets", Example: "GATEHOUSE_LOG_LEVEL=info", List: true, check: checkEnvironment,
		},
		{Name: "memory", Summary: "memory of the function in MB", Example: "512", Default: "512", check: number(128, 10240)},
		{Name: "name", Summary: "name of the function, which all else is named by", Example: "gatehouse-collector", Default: "gatehouse-collector", check: pattern("a name: lower-case letters, digits and -, 32 at most", `[a-z][a-z0-9-]{0,31}`)},
		retention, partition,
	},
	build: buildLambda,
}

func buildLambda(in *input) (*model, error) {
	m := &model{account: in.text("account"), region: in.text("region")}
	if len(in.list("regions")) == 0 {
		in.values["regions"] = []string{m.region}
	}
	if err := in.checkLambda(); err != nil {
		return nil, err
	}
	name := in.text("name")
	group := m.logGroup("log", "The function's own log.", "/aws/lambda/"+name, in.number("retention-days"), "")
	queueARN := in.arn("sqs", m.region, m.account, name+"-failed")
	const fortnight = 14 * 24 * 3600 // the longest that SQS keeps a message, in seconds
	queue := m.add(&resource{
		label: "failed", comment: "Ticks that failed again and again. Nothing is lost with them: the next one goes on at the cursor.",
		tf: "aws_sqs_queue", cfn: "AWS::SQS::Queue", attrs: []attr{
			{tf: "name", cfn: "QueueName", value: name + "-failed"},
			{tf: "message_retention_seconds", cfn: "MessageRetentionPeriod", value: fortnight},
			{tf: "sqs_managed_sse_enabled", cfn: "SqsManagedSseEnabled", value: true},
		},
	})
	w := &writer{}
	if roles := in.list("spoke-roles"); len(roles) > 0 {
		w.allow("AssumeSpokes", "These roles and no others.", []string{"sts:AssumeRole"}, roles)
	} else {
		readStatements(w, in, m.account)
		if in.flag("estate") {
			estateStatements(w, in, m.account)
		}
	}
	w.allow("WriteOwnLog", "The streams of the function's own group, whose names Lambda makes.", []string{"logs:CreateLogStream", "logs:PutLogEvents"},
		[]string{in.arn("logs", m.region, m.account, "log-group:/aws/lambda/"+name+":*")})
	state, kept := m.state(in, w)
	w.allow("KeepFailedTicks", "", []string{"sqs:SendMessage"}, []string{queueARN})
	d, err := w.document()
	if err != nil {
		return nil, err
	}
	// A function assumes its role before the function's name is known to the trust
	// policy, so Lambda gives no source to compare with: best evidence, none is asked.
	trust, err := serviceTrust(in, "lambda.amazonaws.com", "")
	if err != nil {
		return nil, err
	}
	role := m.role("function_role", "The function's role.", name, "Gatehouse's collector runs with it", trust)
	rights := m.policy(role, "function_work", "What the function calls.", "Collect", d)
	variables := lambdaEnvironment(in, state)
	if err := in.checkEnvironmentSize(variables); err != nil {
		return nil, err
	}
	const timeout = 55 // seconds: over before the next tick
	function := m.add(&resource{
		label: "collector", comment: "The program is its own bootstrap. A lease in the state lets one invocation collect at a time.",
		tf: "aws_lambda_function", cfn: "AWS::Lambda::Function",
		attrs: []attr{
			{tf: "function_name", cfn: "FunctionName", value: name},
			{tf: "role", cfn: "Role", value: ref{role, "arn", "Arn"}},
			{tf: "runtime", cfn: "Runtime", value: "provided.al2023"},
			{tf: "handler", cfn: "Handler", value: "bootstrap"},
			{tf: "architectures", cfn: "Architectures", value: list{"arm64"}},
			{tf: "memory_size", cfn: "MemorySize", value: in.number("memory")},
			{tf: "timeout", cfn: "Timeout", value: timeout},
			{tf: "s3_bucket", value: in.text("package-bucket")},
			{tf: "s3_key", value: in.text("package-key")},
			{cfn: "Code", value: object{{cfn: "S3Bucket", value: in.text("package-bucket")}, {cfn: "S3Key", value: in.text("package-key")}}},
			{tf: "environment", cfn: "Environment", block: true, value: object{{tf: "variables", cfn: "Variables", value: variables}}},
			{tf: "dead_letter_config", cfn: "DeadLetterConfig", block: true, value: object{{tf: "target_arn", cfn: "TargetArn", value: ref{queue, "arn", "Arn"}}}},
		},
		dependsOn: []*resource{group, rights, kept},
	})
	return m, m.schedule(in, function, queue)
}

// maxEnvironment is what a function's variables may have in bytes, all together.
const maxEnvironment = 4_096

// parameterOf are the variables that parameters set.
var parameterOf = map[string]string{
	"GATEHOUSE_STATE": "state", "GATEHOUSE_SINKS": "sink", "GATEHOUSE_REGIONS": "regions", "GATEHOUSE_ROLE_ARNS": "spoke-roles",
	"GATEHOUSE_EXTERNAL_ID": "external-id", "GATEHOUSE_ACCESS_LOG_GROUPS": "log-groups",
}

// checkLambda refuses settings that would be lost.
func (in *input) checkLambda() error {
	seen := map[string]bool{}
	for _, e := range in.list("environment") {
		name, _, _ := strings.Cut(e, "=")
		if p := parameterOf[name]; p != "" {
			return in.fail("environment", "give it as the parameter "+p, "%s is set by the parameter %s, which the policy is written for", name, p)
		}
		if seen[name] {
			return in.fail("environment", "name it once", "%s is there twice", name)
		}
		seen[name] = true
	}
	if bucket := in.stateBucket(); in.text("state") == "s3" && checkBucket(bucket) != nil {
		return in.fail("state-bucket", "name a bucket", "%s, which it would be named, is no name for a bucket", bucket)
	}
	if strings.HasPrefix(in.text("sink"), "file:") {
		return in.fail("sink", "name a sink that is somewhere else, such as kafka://broker.example.com:9092/calls", "the files of a function go with it")
	}
	return nil
}

// stateBucket is the name of the bucket of the state.
func (in *input) stateBucket() string {
	return cmp.Or(in.text("state-bucket"), in.text("name")+"-"+in.text("account")+"-"+in.text("region"))
}

// checkEnvironmentSize refuses more variables than Lambda takes.
func (in *input) checkEnvironmentSize(variables object) error {
	n := 0
	for _, v := range variables {
		text, _ := v.value.(string)
		n += len(v.tf) + len(text)
	}
	if n > maxEnvironment {
		return in.tooLong("the variables of the function have %d bytes, and Lambda takes %d", n, maxEnvironment)
	}
	return nil
}

// state adds where the cursor is kept, with the rights to it, and returns its
// address.
func (m *model) state(in *input, w *writer) (address string, kept *resource) {
	name := in.text("name")
	if in.text("state") == "dynamodb" {
		w.allow("KeepState", "", []string{"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"}, []string{in.arn("dynamodb", m.region, m.account, "table/"+name)})
		kept = m.add(&resource{
			label: "state", comment: "The cursor. Deleting it means reading again from the start.", tf: "aws_dynamodb_table", cfn: "AWS::DynamoDB::Table", retain: true,
			attrs: []attr{
				{tf: "name", cfn: "TableName", value: name},
				{tf: "billing_mode", cfn: "BillingMode", value: "PAY_PER_REQUEST"},
				{tf: "hash_key", value: "id"},
				{cfn: "KeySchema", value: list{object{{cfn: "AttributeName", value: "id"}, {cfn: "KeyType", value: "HASH"}}}},
				{tf: "attribute", block: true, value: object{{tf: "name", value: "id"}, {tf: "type", value: "S"}}},
				{cfn: "AttributeDefinitions", value: list{object{{cfn: "AttributeName", value: "id"}, {cfn: "AttributeType", value: "S"}}}},
				{tf: "point_in_time_recovery", block: true, value: object{{tf: "enabled", value: true}}},
				{cfn: "PointInTimeRecoverySpecification", value: object{{cfn: "PointInTimeRecoveryEnabled", value: true}}},
			},
		})
		return "dynamodb://" + name + "/gatehouse", kept
	}
	bucket := in.stateBucket()
	arn := "arn:" + in.text("partition") + ":s3:::" + bucket
	w.allow("KeepState", "The objects of the state, whose names the program chooses.", []string{"s3:GetObject", "s3:PutObject"}, []string{arn + "/gatehouse/*"})
	w.allow("KnowAbsence", "Without it S3 answers 403, not 404, where there is no object yet.", []string{"s3:ListBucket"}, []string{arn})
	kept = m.add(&resource{
		label: "state", comment: "The cursor. Deleting it means reading again from the start.", tf: "aws_s3_bucket", cfn: "AWS::S3::Bucket", retain: true,
		attrs: []attr{
			{tf: "bucket", cfn: "BucketName", value: bucket},
			{cfn: "PublicAccessBlockConfiguration", value: object{
				{cfn: "BlockPublicAcls", value: true},
				{cfn: "BlockPublicPolicy", value: true},
				{cfn: "IgnorePublicAcls", value: true},
				{cfn: "RestrictPublicBuckets", value: true},
			}},
		},
	})
	m.add(&resource{
		label: "state", tf: "aws_s3_bucket_public_access_block", attrs: []attr{
			{tf: "bucket", value: ref{kept, "id", ""}},
			{tf: "block_public_acls", value: true},
			{tf: "block_public_policy", value: true},
			{tf: "ignore_public_acls", value: true},
			{tf: "restrict_public_buckets", value: true},
		},
	})
	return "s3://" + bucket + "/gatehouse", kept
}

// lambdaEnvironment are the function's settings.
func lambdaEnvironment(in *input, state string) object {
	values := map[string]string{}
	for _, e := range in.list("environment") {
		name, value, _ := strings.Cut(e, "=")
		values[name] = value
	}
	values["GATEHOUSE_STATE"] = state
	values["GATEHOUSE_SINKS"] = in.text("sink")
	values["GATEHOUSE_REGIONS"] = strings.Join(in.list("regions"), ",")
	if roles := in.list("spoke-roles"); len(roles) > 0 {
		values["GATEHOUSE_ROLE_ARNS"] = strings.Join(roles, ",")
	}
	if id := in.text("external-id"); id != "" {
		values["GATEHOUSE_EXTERNAL_ID"] = id
	}
	if groups := in.list("log-groups"); len(groups) > 0 {
		values["GATEHOUSE_ACCESS_LOG_GROUPS"] = strings.Join(groups, ",")
	}
	out := make(object, 0, len(values))
	for _, name := range sortedKeys(values) {
		out = append(out, attr{tf: name, cfn: name, value: values[name]})
	}
	return out
}

// schedule starts the function each minute.
func (m *model) schedule(in *input, function, queue *resource) error {
	name := in.text("name")
	// EventBridge Scheduler tells the account whose schedule it is.
	trust, err := serviceTrust(in, "scheduler.amazonaws.com", m.account)
	if err != nil {
		return err
	}
	w := &writer{}
	w.allow("StartCollector", "", []string{"lambda:InvokeFunction"}, []string{in.arn("lambda", m.region, m.account, "function:"+name)})
	w.allow("KeepFailedTicks", "", []string{"sqs:SendMessage"}, []string{in.arn("sqs", m.region, m.account, name+"-failed")})
	d, err := w.document()
	if err != nil {
		return err
	}
	role := m.role("schedule", "The schedule's role. Another account's schedule cannot use it.", name+"-schedule", "Starts Gatehouse's collector", trust)
	rights := m.policy(role, "schedule_start", "", "StartCollector", d)
	const eventAge, retries = 60, 0 // a tick that is a minute old has been followed by another
	m.add(&resource{
		label: "every_minute", comment: "Each minute, and no tick is tried again: the next one does its work too.",
		tf: "aws_scheduler_schedule", cfn: "AWS::Scheduler::Schedule",
		attrs: []attr{
			{tf: "name", cfn: "Name", value: name},
			{tf: "schedule_expression", cfn: "ScheduleExpression", value: "rate(1 minute)"},
			{tf: "flexible_time_window", cfn: "FlexibleTimeWindow", block: true, value: object{{tf: "mode", cfn: "Mode", value: "OFF"}}},
			{tf: "target", cfn: "Target", block: true, value: object{
				{tf: "arn", cfn: "Arn", value: ref{function, "arn", "Arn"}},
				{tf: "role_arn", cfn: "RoleArn", value: ref{role, "arn", "Arn"}},
				{tf: "input", cfn: "Input", value: `{"action":"collect"}`},
				{tf: "retry_policy", cfn: "RetryPolicy", block: true, value: object{
					{tf: "maximum_event_age_in_seconds", cfn: "MaximumEventAgeInSeconds", value: eventAge},
					{tf: "maximum_retry_attempts", cfn: "MaximumRetryAttempts", value: retries},
				}},
				{tf: "dead_letter_config", cfn: "DeadLetterConfig", block: true, value: object{{tf: "arn", cfn: "Arn", value: ref{queue, "arn", "Arn"}}}},
			}},
		},
		dependsOn: []*resource{rights},
	})
	m.output("function_arn", "ARN of the function.", ref{function, "arn", "Arn"})
	m.output("failed_queue", "URL of the queue of failed ticks. It should be empty: put an alarm on it.", ref{queue, "url", ""})
	return nil
}
