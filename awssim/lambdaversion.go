package awssim

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// publishedFunction is a version or alias of a function.
type publishedFunction struct {
	fields Object // of GetFunctionConfiguration where they differ from the function's
	policy string // JSON; empty: none
}

// functionURL is an address of a function, or of an alias of it.
type functionURL struct {
	alias    string // empty: the function itself
	authType string
	cors     Object // nil: none
}

// ownFunction is a copy of a function that may be changed. The region is locked.
func (r *Region) ownFunction(name string) *function {
	old := r.functions[name]
	if old == nil {
		panic("awssim: there is no function " + name + " in " + r.name)
	}
	next := *old
	r.functions[name] = &next
	return &next
}

// SetFunctionPolicy sets the resource policy of a function, a JSON document whose
// statements are a list; empty: none. It panics where that is not one, or where there
// is no such function: both are mistakes of whoever sets up the world.
func (r *Region) SetFunctionPolicy(name, document string) {
	var policy struct{ Statement []Object }
	if document != "" {
		if err := json.Unmarshal([]byte(document), &policy); err != nil {
			panic(fmt.Sprintf("awssim: the policy of function %s: %v", name, err))
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.ownFunction(name)
	f.statements = nil
	for i, statement := range policy.Statement {
		sid, _ := statement["Sid"].(string)
		if sid == "" {
			sid = fmt.Sprintf("statement-%d", i+1)
		}
		f.statements = append(f.statements, permission{sid, statement})
	}
}

// PublishFunction gives a function a version or alias with a resource policy of its
// own, as JSON; empty: none. The fields are those of its configuration that differ
// from the function's.
func (r *Region) PublishFunction(name, version, policy string, fields Object) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.ownFunction(name)
	f.published = maps.Clone(f.published)
	if f.published == nil {
		f.published = map[string]publishedFunction{}
	}
	f.published[version] = publishedFunction{maps.Clone(fields), policy}
}

// AddFunctionURL gives a function, or an alias of it, an address under which it is
// called without API Gateway. The authentication is NONE or AWS_IAM.
func (r *Region) AddFunctionURL(name, alias, authType string, cors Object) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.ownFunction(name)
	f.urls = append(slices.Clone(f.urls), functionURL{alias, authType, maps.Clone(cors)})
}

// called is the version or alias that the call names; empty: none, or the latest.
func (x *exchange) calledVersion() string {
	if q := x.r.URL.Query().Get("Qualifier"); q != "$LATEST" {
		return q
	}
	return ""
}

// ofVersion answers for a version or alias where the call names one, and else as run
// does.
func ofVersion(run func(*exchange) error, answer func(x *exchange, f *function, p publishedFunction) error) func(*exchange) error {
	return func(x *exchange) error {
		version := x.calledVersion()
		if version == "" {
			return run(x)
		}
		return x.readFunction(func(f *function) error {
			p, ok := f.published[version]
			if !ok {
				return functionNotFound(x.call.Resource)
			}
			return answer(x, f, p)
		})
	}
}

func answerVersionConfiguration(x *exchange, f *function, p publishedFunction) error {
	it := item(maps.Clone(f.fields)).with(p.fields)
	it["FunctionArn"], it["Version"] = x.functionARN(x.args["function"])+":"+x.calledVersion(), x.calledVersion()
	return x.answerJSON(it)
}

func answerVersionPolicy(x *exchange, f *function, p publishedFunction) error {
	if p.policy == "" {
		return noPolicy()
	}
	return x.answerJSON(item{"Policy": p.policy}.set("RevisionId", f.fields["RevisionId"]))
}

func listFunctionURLs(x *exchange) error {
	return x.readFunction(func(f *function) error {
		list := make([]item, 0, len(f.urls))
		for _, u := range f.urls {
			arn, host := x.functionARN(x.args["function"]), x.args["function"]
			if u.alias != "" {
				arn, host = arn+":"+u.alias, host+"-"+u.alias
			}
			const at = "2026-03-01T10:00:00.000Z"
			it := item{
				"FunctionArn": arn, "FunctionUrl": "https://" + host + ".lambda-url." + x.region + ".on.aws/", "AuthType": u.authType,
				"InvokeMode": "BUFFERED", "CreationTime": at, "LastModifiedTime": at,
			}
			if u.cors != nil {
				it["Cors"] = u.cors
			}
			list = append(list, it)
		}
		part, next, ok := page(x.r.URL.Path, x.r.URL.Query().Get("Marker"), 50, list)
		if !ok {
			return invalidFunction("The Marker is invalid")
		}
		return x.answerJSON(item{"FunctionUrlConfigs": part}.set("NextMarker", next))
	})
}
