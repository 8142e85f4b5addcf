package awssim

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
)

// function is a function of Lambda, which is kept and never runs. The lock of its
// region guards it; fields and statements are replaced and never changed.
type function struct {
	fields     Object // as GetFunctionConfiguration answers them
	tags       map[string]string
	statements []permission // of the resource policy
	published  map[string]publishedFunction
	urls       []functionURL
}

// permission is a statement of a function's resource policy.
type permission struct {
	sid      string
	document Object
}

const functionPath = "/2015-03-31/functions/{function}"

var lambdaRoutes = []route{
	{http.MethodPost, "/2015-03-31/functions", operation{name: "CreateFunction", prepare: aboutNewFunction, run: createFunction}},
	{http.MethodGet, "/2015-03-31/functions", operation{name: "ListFunctions", run: listFunctions}},
	{http.MethodGet, functionPath, operation{name: "GetFunction", prepare: aboutFunction, run: getFunction}},
	{http.MethodGet, functionPath + "/configuration", operation{name: "GetFunctionConfiguration", prepare: aboutFunction, run: ofVersion(getFunctionConfiguration, answerVersionConfiguration)}},
	{http.MethodPut, functionPath + "/configuration", operation{name: "UpdateFunctionConfiguration", prepare: aboutFunction, run: updateFunctionConfiguration}},
	{http.MethodPut, functionPath + "/code", operation{name: "UpdateFunctionCode", prepare: aboutFunction, run: updateFunctionCode}},
	{http.MethodDelete, functionPath, operation{name: "DeleteFunction", prepare: aboutFunction, run: deleteFunction}},
	{http.MethodGet, functionPath + "/versions", operation{name: "ListVersionsByFunction", prepare: aboutFunction, run: listFunctionVersions}},
	{http.MethodGet, "/2020-06-30/functions/{function}/code-signing-config", operation{name: "GetFunctionCodeSigningConfig", prepare: aboutFunction, run: getCodeSigning}},
	{http.MethodGet, functionPath + "/policy", operation{name: "GetPolicy", prepare: aboutFunction, run: ofVersion(getFunctionPolicy, answerVersionPolicy)}},
	{http.MethodPost, functionPath + "/policy", operation{name: "AddPermission", prepare: aboutFunction, run: addPermission}},
	{http.MethodDelete, functionPath + "/policy/{sid}", operation{name: "RemovePermission", prepare: aboutFunction, run: removePermission}},
	{http.MethodGet, "/2021-10-31/functions/{function}/urls", operation{name: "ListFunctionUrlConfigs", prepare: aboutFunction, run: listFunctionURLs}},
	{http.MethodGet, "/2017-03-31/tags/{arn}", operation{name: "ListTags", prepare: aboutFunctionTags, run: listFunctionTags}},
	{http.MethodPost, "/2017-03-31/tags/{arn}", operation{name: "TagResource", prepare: aboutFunctionTags, run: tagFunction}},
	{http.MethodDelete, "/2017-03-31/tags/{arn}", operation{name: "UntagResource", prepare: aboutFunctionTags, run: untagFunction}},
}

func findLambda(x *exchange) (operation, error) {
	given := strings.Split(strings.Trim(x.r.URL.EscapedPath(), "/"), "/")
	for i := range lambdaRoutes {
		rt := &lambdaRoutes[i]
		if rt.method != x.r.Method {
			continue
		}
		if args, ok := matchPath(strings.Split(rt.path[1:], "/"), given); ok {
			x.args = args
			return rt.operation, nil
		}
	}
	return operation{}, unknownOperation("lambda " + x.r.Method + " " + x.r.URL.Path)
}

func (x *exchange) functionARN(name string) string {
	return "arn:" + x.sim.partition + ":lambda:" + x.region + ":" + x.account.id + ":function:" + name
}

// aboutFunction takes a function by its name, or by its ARN, whole or in part.
func aboutFunction(x *exchange) error {
	name := x.args["function"]
	if i := strings.LastIndex(name, ":function:"); i >= 0 {
		if whole := x.functionARN(name[i+len(":function:"):]); strings.HasPrefix(name, "arn:") && name != whole {
			x.call.Resource = name
			return functionNotFound(name)
		}
		name = name[i+len(":function:"):]
	}
	x.args["function"] = name
	x.call.Resource = x.functionARN(name)
	// Best evidence: with a version or alias the policy is asked for the qualified ARN.
	if version := x.calledVersion(); version != "" {
		x.call.Resource += ":" + version
	}
	return nil
}

func aboutNewFunction(x *exchange) error {
	in, err := gatewayInput[functionInput](x)
	if err != nil {
		return err
	}
	x.args["function"] = in.FunctionName
	return aboutFunction(x)
}

func aboutFunctionTags(x *exchange) error {
	x.args["function"] = x.args["arn"]
	return aboutFunction(x)
}

func functionNotFound(arn string) *Error {
	return &Error{Status: http.StatusNotFound, Code: "ResourceNotFoundException", Message: "Function not found: " + arn}
}

func invalidFunction(text string) *Error {
	return &Error{Code: "InvalidParameterValueException", Message: text}
}

// readFunction reads the function of the call; the region is locked meanwhile.
func (x *exchange) readFunction(read func(f *function) error) error {
	r, err := x.reached()
	if err != nil {
		return err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	f := r.functions[x.args["function"]]
	if f == nil {
		return functionNotFound(x.call.Resource)
	}
	return read(f)
}

// changeFunction replaces the function of the call by a changed copy; the region is
// locked meanwhile.
func (x *exchange) changeFunction(change func(f *function) error) error {
	r, err := x.reached()
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.functions[x.args["function"]]
	if old == nil {
		return functionNotFound(x.call.Resource)
	}
	next := &function{fields: maps.Clone(old.fields), tags: maps.Clone(old.tags), statements: slices.Clone(old.statements), published: old.published, urls: old.urls}
	if err := change(next); err != nil {
		return err
	}
	next.fields["RevisionId"] = x.sim.requestID()
	r.functions[x.args["function"]] = next
	return nil
}

// functionInput are the fields of CreateFunction, UpdateFunctionConfiguration and
// UpdateFunctionCode that have a say in what is answered. What is nil stays.
type functionInput struct {
	FunctionName     string
	Role             *string
	Runtime          *string
	Handler          *string
	Description      *string
	Timeout          *int
	MemorySize       *int
	Environment      *struct{ Variables map[string]string }
	DeadLetterConfig *struct{ TargetArn string }
	Architectures    []string
	Tags             map[string]string
	Code             functionCode
}

type functionCode struct {
	S3Bucket, S3Key string
	ZipFile         string
}

// hash stands for the digest of the package, which is in a bucket that the Sim cannot
// read: another place has another one.
func (c functionCode) hash() string {
	sum := sha256.Sum256([]byte(c.S3Bucket + "/" + c.S3Key + "/" + c.ZipFile))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (c functionCode) check() error {
	if c.ZipFile == "" && (c.S3Bucket == "" || c.S3Key == "") {
		return invalidFunction("Please provide a source for function code.")
	}
	return nil
}

const lambdaTime = "2006-01-02T15:04:05.000-0700"

func createFunction(x *exchange) error {
	in := input[functionInput](x)
	if in.FunctionName == "" || in.Role == nil {
		return invalidFunction("1 validation error detected: Value null at 'role' failed to satisfy constraint: Member must not be null")
	}
	if err := in.Code.check(); err != nil {
		return err
	}
	name := x.args["function"]
	f := &function{tags: maps.Clone(in.Tags), fields: Object{
		"FunctionName": name, "FunctionArn": x.functionARN(name), "CodeSize": 1024, "CodeSha256": in.Code.hash(),
		"Version": "$LATEST", "State": "Active", "LastUpdateStatus": "Successful", "PackageType": "Zip", "RevisionId": x.sim.requestID(),
		"TracingConfig": Object{"Mode": "PassThrough"}, "EphemeralStorage": Object{"Size": 512},
		"SnapStart":     Object{"ApplyOn": "None", "OptimizationStatus": "Off"},
		"LoggingConfig": Object{"LogFormat": "Text", "LogGroup": "/aws/lambda/" + name},
		"Timeout":       3, "MemorySize": 128, "Description": "", "Architectures": []string{"x86_64"},
	}}
	if err := in.apply(x, f); err != nil {
		return err
	}
	r, err := x.reached()
	if err != nil {
		return err
	}
	r.mu.Lock()
	_, exists := r.functions[name]
	if !exists {
		r.functions[name] = f
	}
	r.mu.Unlock()
	if exists {
		return &Error{Status: http.StatusConflict, Code: "ResourceConflictException", Message: "Function already exist: " + name}
	}
	return x.answerJSON(f.fields)
}

// apply puts what was given into a function's fields.
func (in *functionInput) apply(x *exchange, f *function) error {
	set := func(name string, value *string) {
		if value != nil {
			f.fields[name] = *value
		}
	}
	set("Role", in.Role)
	set("Runtime", in.Runtime)
	set("Handler", in.Handler)
	set("Description", in.Description)
	if in.Timeout != nil {
		if *in.Timeout < 1 || *in.Timeout > 900 {
			return invalidFunction("1 validation error detected: Value at 'timeout' failed to satisfy constraint: Member must have value less than or equal to 900")
		}
		f.fields["Timeout"] = *in.Timeout
	}
	if in.MemorySize != nil {
		f.fields["MemorySize"] = *in.MemorySize
	}
	if len(in.Architectures) > 0 {
		f.fields["Architectures"] = in.Architectures
	}
	if in.Environment != nil {
		if delete(f.fields, "Environment"); len(in.Environment.Variables) > 0 {
			f.fields["Environment"] = Object{"Variables": in.Environment.Variables}
		}
	}
	if in.DeadLetterConfig != nil {
		if delete(f.fields, "DeadLetterConfig"); in.DeadLetterConfig.TargetArn != "" {
			f.fields["DeadLetterConfig"] = Object{"TargetArn": in.DeadLetterConfig.TargetArn}
		}
	}
	f.fields["LastModified"] = x.sim.clock().UTC().Format(lambdaTime)
	return x.checkExecution(f)
}

// checkExecution refuses a function whose role Lambda cannot assume, and one whose role
// may not send to the queue for failed events, as Lambda does when it is given them.
func (x *exchange) checkExecution(f *function) error {
	arn, _ := f.fields["Role"].(string)
	r := x.account.role(arn[strings.LastIndexByte(arn, '/')+1:])
	if r == nil || r.arn != arn {
		return invalidFunction("The role defined for the function cannot be assumed by Lambda.")
	}
	trust := iam.Policies{Resource: r.policies.trust}
	if !allowed(&trust, "lambda.amazonaws.com", "sts:AssumeRole", arn, x.account.id) {
		return invalidFunction("The role defined for the function cannot be assumed by Lambda.")
	}
	dead, _ := f.fields["DeadLetterConfig"].(Object)
	target, _ := dead["TargetArn"].(string)
	if !strings.Contains(target, ":sqs:") {
		return nil
	}
	rights := iam.Policies{Identity: x.account.identityOf(r.policies.identity, r.ManagedPolicies, nil), Boundary: x.account.boundary(r.boundary)}
	session := "arn:" + x.sim.partition + ":sts::" + x.account.id + ":assumed-role/" + r.Name + "/" + x.args["function"]
	if !allowed(&rights, session, "sqs:SendMessage", target, x.account.id) {
		return invalidFunction("The provided execution role does not have permissions to call SendMessage on SQS")
	}
	return nil
}

// allowed reports whether policies allow an action without any condition's context.
func allowed(p *iam.Policies, who, action, resource, owner string) bool {
	principal, err := iam.ParsePrincipal(who)
	if err != nil {
		return false
	}
	query, err := iam.Request{Principal: principal, Action: action, Resource: resource, ResourceAccount: owner}.Prepare()
	return err == nil && p.Decide(query) == iam.Allowed
}

func listFunctions(x *exchange) error {
	r, err := x.reached()
	if err != nil {
		return err
	}
	r.mu.RLock()
	list := []Object{}
	for _, f := range sortedValues(r.functions) {
		list = append(list, f.fields)
	}
	r.mu.RUnlock()
	part, next, ok := page("ListFunctions", x.r.URL.Query().Get("Marker"), 50, list)
	if !ok {
		return invalidFunction("Invalid Marker")
	}
	return x.answerJSON(item{"Functions": part}.set("NextMarker", next))
}

func getFunction(x *exchange) error {
	return x.readFunction(func(f *function) error {
		at := "https://awslambda-" + x.region + "-tasks.s3." + x.region + ".amazonaws.com/snapshots/" + x.account.id + "/" + url.PathEscape(x.args["function"])
		return x.answerJSON(item{
			"Configuration": f.fields, "Code": item{"RepositoryType": "S3", "Location": at},
		}.set("Tags", f.tags))
	})
}

func getFunctionConfiguration(x *exchange) error {
	return x.readFunction(func(f *function) error { return x.answerJSON(f.fields) })
}

func updateFunctionConfiguration(x *exchange) error {
	in, err := gatewayInput[functionInput](x)
	if err != nil {
		return err
	}
	return x.answerFunction(func(f *function) error { return in.apply(x, f) })
}

func updateFunctionCode(x *exchange) error {
	in, err := gatewayInput[struct {
		functionCode
		Architectures []string
	}](x)
	if err != nil {
		return err
	}
	if err := in.check(); err != nil {
		return err
	}
	return x.answerFunction(func(f *function) error {
		f.fields["CodeSha256"] = in.hash()
		if len(in.Architectures) > 0 {
			f.fields["Architectures"] = in.Architectures
		}
		f.fields["LastModified"] = x.sim.clock().UTC().Format(lambdaTime)
		return nil
	})
}

// answerFunction changes the function of the call and answers its configuration.
func (x *exchange) answerFunction(change func(f *function) error) error {
	var shown Object
	err := x.changeFunction(func(f *function) error {
		shown = f.fields
		return change(f)
	})
	if err != nil {
		return err
	}
	return x.answerJSON(shown)
}

func deleteFunction(x *exchange) error {
	r, err := x.reached()
	if err != nil {
		return err
	}
	r.mu.Lock()
	_, ok := r.functions[x.args["function"]]
	delete(r.functions, x.args["function"])
	r.mu.Unlock()
	if !ok {
		return functionNotFound(x.call.Resource)
	}
	return x.noContent(nil)
}

func listFunctionVersions(x *exchange) error {
	return x.readFunction(func(f *function) error {
		latest := maps.Clone(f.fields)
		latest["FunctionArn"] = x.functionARN(x.args["function"]) + ":$LATEST"
		return x.answerJSON(item{"Versions": []Object{latest}})
	})
}

func getCodeSigning(x *exchange) error {
	return x.readFunction(func(*function) error {
		return x.answerJSON(item{"FunctionName": x.args["function"]})
	})
}

// policy is the resource policy of a function; empty: none.
func (f *function) policy() string {
	if len(f.statements) == 0 {
		return ""
	}
	list := make([]Object, 0, len(f.statements))
	for _, s := range f.statements {
		list = append(list, s.document)
	}
	text, err := json.Marshal(Object{"Version": iam.Version2012, "Id": "default", "Statement": list})
	if err != nil {
		panic("awssim: a permission of Lambda: " + err.Error()) // it came out of JSON
	}
	return string(text)
}

func noPolicy() *Error {
	return &Error{Status: http.StatusNotFound, Code: "ResourceNotFoundException", Message: "The resource you requested does not exist."}
}

func getFunctionPolicy(x *exchange) error {
	return x.readFunction(func(f *function) error {
		if text := f.policy(); text != "" {
			return x.answerJSON(item{"Policy": text, "RevisionId": f.fields["RevisionId"]})
		}
		return noPolicy()
	})
}

type permissionInput struct {
	StatementID   string `json:"StatementId"`
	Action        string
	Principal     string
	SourceArn     string
	SourceAccount string
}

func addPermission(x *exchange) error {
	in, err := gatewayInput[permissionInput](x)
	if err != nil {
		return err
	}
	if in.StatementID == "" || !strings.HasPrefix(in.Action, "lambda:") {
		return &Error{Code: "ValidationException", Message: "1 validation error detected: Value '" + in.Action + "' at 'action' failed to satisfy constraint: Member must satisfy regular expression pattern: (lambda:[*]|lambda:[a-zA-Z]+|[*])"}
	}
	principal := Object{"AWS": in.Principal}
	switch account := strings.Trim(in.Principal, "0123456789") == ""; {
	case strings.HasSuffix(in.Principal, ".amazonaws.com"):
		principal = Object{"Service": in.Principal}
	case account:
		principal = Object{"AWS": "arn:" + x.sim.partition + ":iam::" + in.Principal + ":root"}
	}
	statement := Object{
		"Sid": in.StatementID, "Effect": "Allow", "Principal": principal, "Action": in.Action, "Resource": x.call.Resource,
	}
	condition := Object{}
	if in.SourceArn != "" {
		condition["ArnLike"] = Object{"AWS:SourceArn": in.SourceArn}
	}
	if in.SourceAccount != "" {
		condition["StringEquals"] = Object{"AWS:SourceAccount": in.SourceAccount}
	}
	if len(condition) > 0 {
		statement["Condition"] = condition
	}
	err = x.changeFunction(func(f *function) error {
		if slices.ContainsFunc(f.statements, func(p permission) bool { return p.sid == in.StatementID }) {
			return &Error{Status: http.StatusConflict, Code: "ResourceConflictException", Message: "The statement id (" + in.StatementID + ") provided already exists. Please provide a new statement id, or remove the existing statement."}
		}
		f.statements = append(f.statements, permission{in.StatementID, statement})
		if _, err := iam.ParseAndCompile(iam.KindResource, []byte(f.policy())); err != nil {
			return invalidFunction("The provided principal was invalid. Please check the principal and try again.")
		}
		return nil
	})
	if err != nil {
		return err
	}
	text, err := json.Marshal(statement)
	if err != nil {
		return err
	}
	return x.answerJSON(item{"Statement": string(text)})
}

func removePermission(x *exchange) error {
	return x.noContent(x.changeFunction(func(f *function) error {
		i := slices.IndexFunc(f.statements, func(p permission) bool { return p.sid == x.args["sid"] })
		if i < 0 {
			return &Error{Status: http.StatusNotFound, Code: "ResourceNotFoundException", Message: "Statement " + x.args["sid"] + " is not found in resource policy."}
		}
		f.statements = slices.Delete(f.statements, i, i+1)
		return nil
	}))
}

func listFunctionTags(x *exchange) error {
	return x.readFunction(func(f *function) error { return x.answerJSON(item{"Tags": orEmpty(f.tags)}) })
}

func tagFunction(x *exchange) error {
	in, err := gatewayInput[struct{ Tags map[string]string }](x)
	if err != nil {
		return err
	}
	return x.noContent(x.changeFunction(func(f *function) error {
		f.tags = orEmpty(f.tags)
		maps.Copy(f.tags, in.Tags)
		return nil
	}))
}

func untagFunction(x *exchange) error {
	return x.noContent(x.changeFunction(func(f *function) error {
		for _, key := range x.r.URL.Query()["tagKeys"] {
			delete(f.tags, key)
		}
		return nil
	}))
}

// FunctionPolicy is the resource policy of a function of Lambda as GetPolicy answers it;
// empty: the function has none, or there is no such function.
func (r *Region) FunctionPolicy(name string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if f := r.functions[name]; f != nil {
		return f.policy()
	}
	return ""
}

// Functions are the names of the functions of Lambda, sorted.
func (r *Region) Functions() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Sorted(maps.Keys(r.functions))
}

// AddFunction adds a function of Lambda that is there already, or replaces the one of
// that name: its fields as GetFunctionConfiguration answers them. It returns the ARN.
func (r *Region) AddFunction(name string, fields Object) string {
	arn := r.arn("lambda", "function:"+name)
	f := &function{fields: Object{"FunctionName": name, "FunctionArn": arn, "Version": "$LATEST", "State": "Active"}}
	maps.Copy(f.fields, fields)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.functions[name] = f
	return arn
}
