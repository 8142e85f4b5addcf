package finding

import (
	"maps"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
)

// Function is a Lambda function that APIs call, as a backend or an authorizer.
type Function struct {
	ARN string // without version or alias
	// Missing is set where the function does not exist.
	Missing  bool
	Versions []FunctionVersion
	Calls    []FunctionCall
	Unseen   []Part

	// compiled are the policies of the versions, once they were asked for, and public
	// and anyGateway what those rules found: several rules ask for them.
	compiled           map[string]compiledPolicy
	public, anyGateway *Verdict
}

// compiledPolicy is a resource policy, or why it is none.
type compiledPolicy struct {
	policy *iam.Policy
	err    error
}

// policyOf is the compiled policy of a version.
func (f *Function) policyOf(v *FunctionVersion) (*iam.Policy, error) {
	c, ok := f.compiled[v.Name]
	if !ok {
		c.policy, c.err = iam.ParseAndCompile(iam.KindResource, []byte(v.Policy))
		if f.compiled == nil {
			f.compiled = map[string]compiledPolicy{}
		}
		f.compiled[v.Name] = c
	}
	return c.policy, c.err
}

// known is a verdict on the function, which is asked for once.
func (s *scene) known(at **Verdict, check func(*scene) Outcome) Verdict {
	if *at == nil {
		*at = new(check(s).Verdict)
	}
	return **at
}

// FunctionVersion is a version or alias of a function, or the function itself, which
// is $LATEST.
type FunctionVersion struct {
	Name             string
	Called           bool // by an API
	Runtime, Package string
	Policy           string // JSON; empty: none
	URL              *FunctionURL
}

// FunctionURL is an address under which a function is called without API Gateway.
type FunctionURL struct {
	URL, AuthType string
	Origins       []string // of CORS
	Credentials   bool
}

// FunctionCall is a place in an API that calls a function.
type FunctionCall struct{ API, Where string }

// account is the account in a function's ARN.
func (f *Function) account() string {
	if part := strings.Split(f.ARN, ":"); len(part) == 7 {
		return part[4]
	}
	return ""
}

// title is the function's name where it is of the place, or else its ARN.
func (f *Function) title(p *Place) string {
	part := strings.Split(f.ARN, ":")
	if len(part) == 7 && part[3] == p.Region && part[4] == p.Account {
		return part[6]
	}
	return f.ARN
}

// qualified is the ARN of a version.
func (f *Function) qualified(v *FunctionVersion) string {
	if v.Name == "$LATEST" {
		return f.ARN
	}
	return f.ARN + ":" + v.Name
}

// calledBy tells which APIs call the function.
func (f *Function) calledBy() []Evidence {
	out := make([]Evidence, 0, len(f.Calls))
	for _, c := range f.Calls {
		out = append(out, fact("called by API "+c.API, c.Where))
	}
	slices.SortFunc(out, func(a, b Evidence) int { return strings.Compare(a.What+a.Value, b.What+b.Value) })
	return slices.Compact(out)
}

// invocation is a call that is tried against the resource policy of a function.
type invocation struct {
	who     iam.Principal
	action  string
	context iam.Context
	// own are policies of the caller's own; nil: he has none.
	own []iam.Attached
}

// allowed tries invocations against the policy of a version and returns the first one
// that is allowed, with the statements that allow it.
func (f *Function) allowed(v *FunctionVersion, tries []invocation) (*invocation, []string, error) {
	policy, err := f.policyOf(v)
	if err != nil {
		return nil, nil, err
	}
	var result iam.Result
	for i := range tries {
		t := &tries[i]
		q, err := iam.Request{Principal: t.who, Action: t.action, Resource: f.qualified(v), ResourceAccount: f.account(), Context: t.context}.Prepare()
		if err != nil {
			return nil, nil, err
		}
		policies := iam.Policies{Identity: t.own, Resource: iam.Attached{Name: "resource policy", Policy: policy}}
		if policies.Evaluate(q, &result); result.Decision == iam.Allowed {
			return t, statements(result.Reasons), nil
		}
	}
	return nil, nil, nil
}

// judgeVersions asks a question of every version's resource policy; tries makes the
// invocations to try. Evidence says by which statements who gets in.
func (s *scene) judgeVersions(tries func(v *FunctionVersion) ([]invocation, error), tell func(v *FunctionVersion, t *invocation, by []string) Evidence) Outcome {
	f := s.function
	if f.Missing {
		return skipped("the function does not exist")
	}
	var open []Evidence
	for i := range f.Versions {
		v := &f.Versions[i]
		if v.Policy == "" {
			continue // which lets nobody in but by a role of his own
		}
		list, err := tries(v)
		if err != nil {
			return unseen(err.Error())
		}
		t, by, err := f.allowed(v, list)
		switch {
		case err != nil:
			return unseen("the resource policy of " + v.Name + " cannot be understood: " + err.Error())
		case t != nil:
			open = append(open, tell(v, t, by))
		}
	}
	if len(open) == 0 {
		return passed(append(f.calledBy(), fact("resource policy", "lets no stranger in"))...)
	}
	return failed(append(f.calledBy(), open...)...)
}

// strangerOf is a role of an account that no policy of the function names.
func (f *Function) strangerOf(partition string) (account string, who iam.Principal, err error) {
	account = strangerAccounts[0]
	for _, a := range strangerAccounts {
		if !slices.ContainsFunc(f.Versions, func(v FunctionVersion) bool { return strings.Contains(v.Policy, a) }) {
			account = a
			break
		}
	}
	if partition == "" {
		partition = "aws"
	}
	who, err = iam.ParsePrincipal("arn:" + partition + ":iam::" + account + ":role/stranger")
	return account, who, err
}

// strangers are invocations by somebody with credentials of his own account, and where
// anonymous is set by somebody with none, from addresses all over the internet.
func (s *scene) strangers(action string, anonymous bool, keys iam.Context) ([]invocation, error) {
	_, who, err := s.function.strangerOf(s.place.Partition)
	if err != nil {
		return nil, err
	}
	addresses := strangerAddresses
	if !slices.ContainsFunc(s.function.Versions, func(v FunctionVersion) bool { return strings.Contains(strings.ToLower(v.Policy), "sourceip") }) {
		addresses = addresses[:1] // where no policy asks for it, one is as good as the others
	}
	out := make([]invocation, 0, len(addresses))
	for _, address := range addresses {
		context := func(more iam.Context) iam.Context {
			c := iam.Context{"aws:SourceIp": {address}, "aws:SecureTransport": {"true"}, "aws:CurrentTime": {s.now.UTC().Format("2006-01-02T15:04:05Z")}}
			maps.Copy(c, keys)
			maps.Copy(c, more)
			return c
		}
		if anonymous {
			out = append(out, invocation{iam.Principal{}, action, context(nil), nil})
		} else {
			own := []iam.Attached{{Name: "the stranger's own", Policy: everything}}
			out = append(out, invocation{who, action, context(iam.Context{"aws:PrincipalOrgID": {"o-strangers0"}}), own})
		}
	}
	return out, nil
}
