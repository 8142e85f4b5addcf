package awssim

import (
	"maps"
	"strings"
)

const (
	serviceWAFV2 = "wafv2"
	wafv2Target  = "AWSWAF_20190729."
)

// webACL is a web ACL of AWS WAF and where its logs go. The lock of its region guards
// it.
type webACL struct {
	fields Object // as GetWebACL answers them
	// logging are logging configurations as GetLoggingConfiguration answers them, by
	// their scope.
	logging map[string]Object
}

// AddWebACL adds a regional web ACL, or replaces the one of its name, and returns its
// ARN. The fields are those of GetWebACL's answer; what is left out of Name, Id, ARN,
// DefaultAction and Capacity is made up.
func (r *Region) AddWebACL(fields Object) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	name, _ := fields["Name"].(string)
	shown := Object{"DefaultAction": Object{"Allow": Object{}}, "Capacity": 1, "Id": "11111111-2222-4333-8444-555555555555"}
	maps.Copy(shown, fields)
	arn, _ := shown["ARN"].(string)
	if arn == "" {
		id, _ := shown["Id"].(string)
		arn = r.arn(serviceWAFV2, "regional/webacl/"+name+"/"+id)
		shown["ARN"] = arn
	}
	if r.webACLs == nil {
		r.webACLs = map[string]*webACL{}
	}
	r.webACLs[arn] = &webACL{fields: shown, logging: map[string]Object{}}
	return arn
}

// SetWebACLLogging sets where a web ACL's logs go, as GetLoggingConfiguration answers
// it; nil: nowhere. An owner other than the customer is named by LogScope.
func (r *Region) SetWebACLLogging(arn string, configuration Object) {
	r.mu.Lock()
	defer r.mu.Unlock()
	acl := r.webACLs[arn]
	if acl == nil {
		return
	}
	scope, _ := configuration["LogScope"].(string)
	scope = orString(scope, logScopeCustomer)
	logging := maps.Clone(acl.logging)
	if configuration == nil {
		clear(logging)
	} else {
		shown := maps.Clone(configuration)
		shown["ResourceArn"] = arn
		logging[scope] = shown
	}
	acl.logging = logging
}

const logScopeCustomer = "CUSTOMER"

type webACLInput struct {
	ARN         string
	ResourceArn string
	LogScope    string
}

func findWAFV2(x *exchange) (operation, error) {
	name := strings.TrimPrefix(x.r.Header.Get("X-Amz-Target"), wafv2Target)
	switch name {
	case "GetWebACL":
		return operation{name: name, prepare: aboutWebACL, run: getWebACL}, nil
	case "GetLoggingConfiguration":
		return operation{name: name, prepare: aboutWebACL, run: getWebACLLogging}, nil
	}
	return operation{}, unknownOperation("wafv2:" + name)
}

func aboutWebACL(x *exchange) error {
	if err := decodeInto[webACLInput](x); err != nil {
		return err
	}
	in := input[webACLInput](x)
	x.call.Resource = in.ARN + in.ResourceArn
	return nil
}

// theWebACL finds the web ACL of the call.
func (x *exchange) theWebACL() (fields Object, logging map[string]Object, err error) {
	r, err := x.reached()
	if err != nil {
		return nil, nil, err
	}
	in := input[webACLInput](x)
	r.mu.RLock()
	defer r.mu.RUnlock()
	acl := r.webACLs[in.ARN+in.ResourceArn]
	if acl == nil {
		return nil, nil, errNoWebACL
	}
	return acl.fields, acl.logging, nil
}

var errNoWebACL = &Error{
	Code:    "WAFNonexistentItemException",
	Message: "AWS WAF couldn’t perform the operation because your resource doesn’t exist.",
}

func getWebACL(x *exchange) error {
	fields, _, err := x.theWebACL()
	if err != nil {
		return err
	}
	return x.answerJSON(item{"WebACL": fields, "LockToken": "00000000-0000-4000-8000-000000000001"})
}

func getWebACLLogging(x *exchange) error {
	_, logging, err := x.theWebACL()
	if err != nil {
		return err
	}
	c := logging[orString(input[webACLInput](x).LogScope, logScopeCustomer)]
	if c == nil {
		return errNoWebACL
	}
	return x.answerJSON(item{"LoggingConfiguration": c})
}
