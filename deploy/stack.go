package deploy

import (
	"slices"

	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/logging"
)

var stacks = []*Stack{
	collectorHub, collectorSpoke, organization, collectorLambda, loggingStack, switcher,
	protectedAPI, apiClient, apiInvoker, apiLending, eksAccess, kubernetes,
}

// Parameters that several stacks have.
var (
	account = Parameter{
		Name: "account", Summary: "account that the stack is deployed in", Example: "111122223333",
		Required: true, check: checkAccount,
	}
	regionOf = Parameter{
		Name: "region", Summary: "region that the stack is deployed in", Example: "eu-west-1",
		Required: true, check: checkRegion,
	}
	partition = Parameter{
		Name: "partition", Summary: "partition of all ARNs: aws, aws-cn or aws-us-gov", Example: "aws", Default: "aws", check: checkPartition,
	}
	hubRoles = Parameter{
		Name: "hub-role", Summary: "ARN of a role that may assume this one: Gatehouse's own", Example: "arn:aws:iam::111122223333:role/GatehouseHub",
		Required: true, List: true, check: checkRoleARN,
	}
	externalID = Parameter{
		Name: "external-id", Summary: "what Gatehouse gives as external_id when it assumes the role", Example: "5f0c2c1e-example",
		Required: true, check: checkExternal,
	}
	regions = Parameter{
		Name: "regions", Summary: "regions whose APIs and logs the role may reach (default: all)", Example: "eu-west-1", List: true, check: checkRegion,
	}
	logGroups = Parameter{
		Name: "log-groups", Summary: "names of the access-log groups beside API Gateway's own", Example: "my-access-logs", List: true, check: checkGroup,
	}
	retention = Parameter{
		Name: "retention-days", Summary: "days for which log groups keep events", Example: "30", Default: "30", check: checkRetention,
	}
	kmsKey = Parameter{
		Name: "kms-key", Summary: "ARN of a KMS key that encrypts log groups; its policy must let CloudWatch Logs use it",
		Example: "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", check: checkKMS,
	}
	callerAccounts = Parameter{
		Name: "caller-accounts", Summary: "accounts that are let in as far as their own policies allow", Example: "444455556666", List: true, check: checkAccount,
	}
	callerRoles = Parameter{
		Name: "caller-roles", Summary: "ARNs of roles that are let in", Example: "arn:aws:iam::444455556666:role/storefront", List: true, check: checkRoleARN,
	}
	callerUsers = Parameter{
		Name: "caller-users", Summary: "ARNs of users that are let in", Example: "arn:aws:iam::444455556666:user/build", List: true, check: checkUserARN,
	}
	callerPrefixes = Parameter{
		Name: "caller-role-prefixes", Summary: "roles whose name begins so are let in, as ACCOUNT:PREFIX", Example: "444455556666:ecs-app-", List: true, check: checkPrefix,
	}
)

// as gives a parameter another name, summary or default for one stack.
func (p Parameter) as(name, summary, byDefault string) Parameter {
	if name != "" {
		p.Name = name
	}
	if summary != "" {
		p.Summary = summary
	}
	p.Default = byDefault
	p.Required = p.Required && byDefault == ""
	return p
}

func (p Parameter) optional() Parameter {
	p.Required = false
	return p
}

func flag(name, summary string, byDefault bool) Parameter {
	p := Parameter{Name: name, Summary: summary, Example: "true", Default: "false", check: checkFlag}
	if byDefault {
		p.Default = "true"
	}
	return p
}

func roleName(byDefault string) Parameter {
	return Parameter{Name: "role-name", Summary: "name of the role", Example: byDefault, Default: byDefault, check: checkRole}
}

func (in *input) callers() iam.Callers {
	return iam.Callers{
		Accounts: in.list("caller-accounts"), Roles: in.list("caller-roles"),
		Users: in.list("caller-users"), RolePrefixes: in.list("caller-role-prefixes"),
	}
}

func (in *input) arn(service, region, account, rest string) string {
	return "arn:" + in.text("partition") + ":" + service + ":" + region + ":" + account + ":" + rest
}

// regionsOrAll are the regions of ARNs: those named, or any.
func (in *input) regionsOrAll() []string {
	if r := in.list("regions"); len(r) > 0 {
		return r
	}
	return []string{"*"}
}

// everywhere are ARNs in every region that is meant.
func (in *input) everywhere(service, account string, rests ...string) []string {
	places := in.regionsOrAll()
	out := make([]string, 0, len(places)*len(rests))
	for _, region := range places {
		for _, rest := range rests {
			out = append(out, in.arn(service, region, account, rest))
		}
	}
	return out
}

// gatewayGroups are the ARNs of API Gateway's own log groups, of those that logging
// enable makes, and of those named.
func (in *input) gatewayGroups(account string) []string {
	own := logging.GroupPrefixes()
	for i, prefix := range own {
		own[i] = "log-group:" + prefix + "*"
	}
	all := in.everywhere("logs", account, own...)
	for _, name := range in.list("log-groups") {
		all = append(all, in.everywhere("logs", account, "log-group:"+name, "log-group:"+name+":*")...)
	}
	return all
}

// anyRegion is the remark on a statement whose ARNs hold no region.
func (in *input) anyRegion() string {
	if len(in.list("regions")) > 0 {
		return ""
	}
	return " The * in the place of the region: no regions were named, so APIs are found wherever they are."
}

// writer collects the statements of a policy with their remarks.
type writer struct {
	statements []iam.Statement
	remarks    map[string]string
}

func (w *writer) allow(sid, remark string, actions, resources []string, conditions ...iam.Condition) {
	w.statements = append(w.statements, iam.Statement{
		Sid: sid, Effect: iam.Allow, Action: slices.Clone(actions), Resource: slices.Clone(resources), Condition: conditions,
	})
	if w.remarks == nil {
		w.remarks = map[string]string{}
	}
	w.remarks[sid] = remark
}

// document reads the statements back, so that what is written passes the checks of
// a policy that a person wrote.
func (w *writer) document() (document, error) {
	d := &iam.Document{Kind: iam.KindIdentity, Version: iam.Version2012, Statements: w.statements}
	parsed, err := iam.Parse(iam.KindIdentity, d.Pretty())
	return document{Document: parsed, remarks: w.remarks}, err
}

// trusted is a trust policy, with remarks.
func trusted(p iam.TrustPolicy, remarks map[string]string) (document, error) {
	d, err := iam.GenerateTrust(p)
	return document{Document: d, remarks: remarks}, err
}
