package estate

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// Function is a Lambda function that APIs of a region call, as a backend or an
// authorizer. It may be of another account or region. Its environment and its code are
// never kept.
type Function struct {
	// ARN is without version or alias.
	ARN string `json:"arn"`
	// Missing is set where an API calls a function, or an alias, that does not exist.
	Missing bool `json:"missing,omitempty"`
	// Versions are those by which an API calls the function or that have an address of
	// their own, and the function itself.
	Versions []FunctionVersion `json:"versions,omitempty"`
	// Unseen has PartFunctionConfiguration, PartFunctionPolicy and PartFunctionURLs.
	Unseen []Part `json:"unseen,omitempty"`
}

// FunctionVersion is a version or alias of a function, or the function itself.
type FunctionVersion struct {
	Name string `json:"name"` // $LATEST: the function itself
	// Called is set where an API calls this version.
	Called bool `json:"called,omitempty"`
	// Runtime is such as "python3.13", and Package is Zip or Image. They are known of
	// versions that are called.
	Runtime string `json:"runtime,omitempty"`
	Package string `json:"package,omitempty"`
	// Policy is the resource policy as JSON; empty: none.
	Policy string `json:"policy,omitempty"`
	// URL is the address under which it is called without API Gateway; nil: none.
	URL *FunctionURL `json:"url,omitempty"`
}

// FunctionURL is an address of a Lambda function.
type FunctionURL struct {
	URL      string `json:"url"`
	AuthType string `json:"auth_type"` // NONE, AWS_IAM
	CORS     *CORS  `json:"cors,omitempty"`
}

// Seen reports whether a part of the function was read whole.
func (f *Function) Seen(p Part) bool { return !slices.Contains(f.Unseen, p) }

// version returns the version of a name, and adds it if it is not there.
func (f *Function) version(name string) *FunctionVersion {
	i := slices.IndexFunc(f.Versions, func(v FunctionVersion) bool { return v.Name == name })
	if i < 0 {
		f.Versions = append(f.Versions, FunctionVersion{Name: name})
		i = len(f.Versions) - 1
	}
	return &f.Versions[i]
}

// called are the names of the versions that APIs call, in order.
func (f *Function) called() []string {
	var names []string
	for i := range f.Versions {
		if f.Versions[i].Called {
			names = append(names, f.Versions[i].Name)
		}
	}
	slices.Sort(names)
	return names
}

// place is the account and region in the function's ARN.
func (f *Function) place() (account, region string) {
	m := functionARN.FindStringSubmatch(f.ARN)
	if m == nil {
		return "", ""
	}
	return m[2], m[1]
}

// FunctionCall is a place in an API that calls a Lambda function.
type FunctionCall struct {
	API string // the id
	// Where is "route GET /pets" or "authorizer tokens".
	Where string
	// Function is the ARN without version or alias, and Version its version or alias, or
	// $LATEST where none is named.
	Function, Version string
}

// FunctionCalls are the calls of Lambda functions that the region's APIs make, in the
// order of the APIs. A call whose function is told by a stage variable is one for each
// function that the variable names in a stage.
func (r *Region) FunctionCalls() []FunctionCall { return functionCalls(r.APIs) }

func functionCalls(apis []API) []FunctionCall {
	var calls []FunctionCall
	for i := range apis {
		a := &apis[i]
		add := func(where, uri string) {
			for _, text := range a.resolved(uri) {
				if arn, version, ok := parseFunction(text); ok {
					calls = append(calls, FunctionCall{a.ID, where, arn, version})
				}
			}
		}
		for j := range a.Routes {
			if b := a.Routes[j].Backend; b != nil {
				add("route "+strings.TrimSpace(a.Routes[j].Method+" "+a.Routes[j].Path), b.URI)
			}
		}
		for j := range a.Authorizers {
			add("authorizer "+cmp.Or(a.Authorizers[j].Name, a.Authorizers[j].ID), a.Authorizers[j].URI)
		}
	}
	return calls
}

const stageVariable = "${stageVariables."

// resolved is a URI with the stage variables of each stage in it. A stage that lacks
// one of them cannot make the call.
func (a *API) resolved(uri string) []string {
	if !strings.Contains(uri, stageVariable) {
		return []string{uri}
	}
	var out []string
	for i := range a.Stages {
		text, ok := fillVariables(uri, a.Stages[i].Variables)
		if ok && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

func fillVariables(uri string, variables map[string]string) (string, bool) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(uri, stageVariable)
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		name, after, closed := strings.Cut(rest, "}")
		value, ok := variables[name]
		if !closed || !ok {
			return "", false
		}
		b.WriteString(value)
		uri = after
	}
}

// functionARN is an ARN of a function with its region, account, name, and version or
// alias. Region and account say where calls go, and come from whoever made the API.
var functionARN = regexp.MustCompile(`^arn:aws[a-z-]*:lambda:([a-z]{2}(?:-[a-z]+)+-\d{1,2}):(\d{12}):function:([A-Za-z0-9_-]{1,140})(?::([A-Za-z0-9_$-]{1,128}))?$`)

// latest is the version of a function that a call without version or alias means.
const latest = "$LATEST"

// parseFunction returns the function that a URI of an integration or an authorizer
// names, and its version or alias; false where it names none.
func parseFunction(uri string) (arn, version string, ok bool) {
	if _, rest, found := strings.Cut(uri, "/functions/"); found {
		uri, _, _ = strings.Cut(rest, "/")
	}
	m := functionARN.FindStringSubmatch(uri)
	if m == nil {
		return "", "", false
	}
	if m[4] == "" {
		return uri, latest, true
	}
	return strings.TrimSuffix(uri, ":"+m[4]), m[4], true
}

// calledFunctions are the functions that APIs call, in the order of their ARNs, of
// which nothing else is known yet.
func calledFunctions(apis []API) []Function {
	index := map[string]int{}
	var out []Function
	for _, c := range functionCalls(apis) {
		i, ok := index[c.Function]
		if !ok {
			i = len(out)
			index[c.Function] = i
			out = append(out, Function{ARN: c.Function})
		}
		out[i].version(c.Version).Called = true
	}
	slices.SortFunc(out, func(a, b Function) int { return cmp.Compare(a.ARN, b.ARN) })
	return out
}
