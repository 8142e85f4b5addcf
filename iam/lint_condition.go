package iam

import (
	"slices"
	"strings"
)

func (l *linter) conditions() {
	s := l.statement
	for _, c := range s.Condition {
		o, _ := parseOperator(c.Operator) // Parse has checked it
		key := strings.ToLower(c.Key)
		place := at("Condition", c.Operator, c.Key)
		l.conditionKey(c.Key, key, place)
		for i, v := range c.Values {
			l.conditionValue(o, key, v, append(slices.Clone(place), i))
		}
		l.conditionSense(o, key, place)
	}
}

// globalKeys are the condition keys that AWS offers for every service.
var globalKeys = strings.Fields(`
aws:calledvia aws:calledviafirst aws:calledvialast aws:chatbotsourcearn aws:currenttime aws:ec2instancesourceprivateipv4
aws:ec2instancesourcevpc aws:epochtime aws:federatedprovider aws:ismcpserviceaction aws:multifactorauthage
aws:multifactorauthpresent aws:principalaccount aws:principalarn aws:principalisawsservice aws:principalorgid
aws:principalorgpaths aws:principalservicename aws:principalservicenameslist aws:principaltag aws:principaltype
aws:referer aws:requestedregion aws:requesttag aws:resourceaccount aws:resourceorgid aws:resourceorgpaths
aws:resourcetag aws:securetransport aws:signintype aws:sourceaccount aws:sourcearn aws:sourceidentity aws:sourceip
aws:sourceorgid aws:sourceorgpaths aws:sourceowner aws:sourcevpc aws:sourcevpcarn aws:sourcevpce aws:tagkeys
aws:tokenissuetime aws:useragent aws:userid aws:username aws:viaawsmcpservice aws:viaawsservice aws:viavpce
aws:vpceaccount aws:vpceorgid aws:vpceorgpaths aws:vpcsourceip aws:assumedroot`)

func (l *linter) conditionKey(text, key string, place []any) {
	prefix, _, ok := strings.Cut(key, ":")
	name, _, _ := strings.Cut(key, "/")
	switch {
	case !ok:
		l.report("condition-key", SeverityError, place, "write it with its prefix, as in aws:username", "%q is not a condition key", clip(text))
	case prefix == "aws" && !slices.Contains(globalKeys, name):
		l.report("condition-key", SeverityError, place, "see AWS's list of global condition keys", "AWS has no key %q, so the request never has it", clip(text))
	}
}

// conditionValue looks at one value of a condition.
func (l *linter) conditionValue(o operator, key, text string, place []any) {
	takesVariables := o.family == familyString || o.family == familyIgnoreCase || o.family == familyLike || o.family == familyARN || o.family == familyBool
	switch {
	case strings.Contains(text, "${") && takesVariables:
		l.variablesIn(text, place, false)
	case strings.Contains(text, "${"):
		l.report("variable-place", SeverityError, place, "write the value out", "%s takes no policy variables", o.name)
	case (o.family == familyString || o.family == familyIgnoreCase) && strings.ContainsAny(text, "*?"):
		effect := "never matches"
		if o.negated {
			effect = "is always true"
		}
		mend := "StringLike"
		if o.negated {
			mend = "StringNotLike"
		}
		l.report("equals-with-wildcard", SeverityError, place, "use "+mend, "%s takes wildcards as they are: %q %s", o.name, clip(text), effect)
	case o.family == familyBool:
		if _, ok := parseBool(text); !ok {
			l.wrongType(o, text, place, "true or false")
		}
	default:
		if v := compileOperand(o.family, text, l.variables); !v.valid {
			l.wrongType(o, text, place, typeNames[o.family])
		}
	}
	if (o.family == familyLike) && strings.HasSuffix(key, "arn") && strings.ContainsAny(text, "*?") {
		mend := "use ArnLike"
		if o.negated {
			mend = "use ArnNotLike"
		}
		l.report("string-on-arn", SeverityInfo, place, mend, "here a wildcard crosses colons, into other accounts and services; in an Arn operator it does not")
	}
}

var typeNames = map[family]string{
	familyNumeric: "a number", familyDate: "a date such as 2026-01-02T15:04:05Z, or seconds since 1970",
	familyIP: "an address or a range such as 203.0.113.0/24", familyARN: "an ARN of six parts",
	familyBinary: "base64", familyNull: "true or false",
}

func (l *linter) wrongType(o operator, text string, place []any, want string) {
	l.report("value-type", SeverityError, place, "write "+want, "%s compares %s; %q never matches, negated or not", o.name, want, clip(text))
}

// conditionSense looks at what a condition means for the statement's effect.
func (l *linter) conditionSense(o operator, key string, place []any) {
	s := l.statement
	present := slices.ContainsFunc(s.Condition, func(c Condition) bool {
		p, _ := parseOperator(c.Operator)
		return p.family == familyNull && strings.EqualFold(c.Key, key)
	})
	switch {
	case o.quantifier == quantifierAll && s.Effect == Allow && !present:
		l.report("for-all-values", SeverityWarning, place, `add "Null": {"`+key+`": "false"}`, "ForAllValues is true where the request does not have the key")
	case o.family == familyBool && key == "aws:multifactorauthpresent" && s.Effect == Deny && !o.ifExists:
		l.report("mfa", SeverityWarning, place, "use BoolIfExists", "requests with long-term keys do not have the key, and are not denied")
	case o.ifExists && !o.negated && s.Effect == Allow && !present:
		l.report("if-exists", SeverityInfo, place, "leave IfExists out, or require the key with Null", "a request without the key is allowed")
	case o.negated && s.Effect == Deny && !o.ifExists && l.doc.Kind == KindResource && strings.HasPrefix(key, "aws:principal"):
		l.report("negated-principal-key", SeverityInfo, place, "keep it to methods with IAM authorization",
			"methods without IAM authorization, and anonymous callers, do not have the key and are denied")
	case o.negated && s.Effect == Deny && !o.ifExists && l.doc.Kind == KindResource && key == "aws:sourceip":
		l.report("source-ip", SeverityInfo, place, "use NotIpAddressIfExists, or aws:VpcSourceIp for a private API",
			"calls through a VPC endpoint do not have the key and are denied")
	}
}

// servicesOfOwnAccount are services that only ever act for the account that a
// role is in, for what it configured there.
var servicesOfOwnAccount = []string{
	"ec2.amazonaws.com", "lambda.amazonaws.com", "ecs-tasks.amazonaws.com", "pods.eks.amazonaws.com", "eks.amazonaws.com",
}

// trust finds a deputy that others could confuse.
func (l *linter) trust() {
	s := l.statement
	if s.Effect != Allow || s.Principal == nil || l.doc.Kind != KindTrust && l.doc.Kind != KindResource {
		return
	}
	has := func(match func(key string) bool) bool {
		return slices.ContainsFunc(s.Condition, func(c Condition) bool {
			o, _ := parseOperator(c.Operator)
			return !o.negated && o.family != familyNull && match(strings.ToLower(c.Key))
		})
	}
	source := has(func(key string) bool {
		return key == "aws:sourcearn" || key == "aws:sourceaccount" || key == "aws:sourceorgid" || key == "aws:sourceorgpaths"
	})
	for i, service := range s.Principal.Service {
		if !source && isServiceName(service) && (l.doc.Kind != KindTrust || !slices.Contains(servicesOfOwnAccount, service)) {
			l.report("confused-deputy", SeverityWarning, at("Principal", "Service", i), `add "StringEquals": {"aws:SourceAccount": "ACCOUNT"} or ArnLike on aws:SourceArn`,
				"%s could be made to act for another account", service)
		}
	}
	if l.doc.Kind != KindTrust {
		return
	}
	for i, provider := range s.Principal.Federated {
		issuer, isOIDC := strings.CutPrefix(lastPart(provider), "oidc-provider/")
		if !isOIDC {
			continue
		}
		for _, claim := range []string{":sub", ":aud"} {
			if !has(func(key string) bool { return key == strings.ToLower(issuer)+claim }) {
				l.report("oidc-claims", SeverityError, at("Principal", "Federated", i), `add "StringEquals": {"`+issuer+claim+`": "…"}`,
					"tokens with any %s are accepted", claim[1:])
			}
		}
	}
	if len(s.Principal.AWS) > 0 && !slices.Contains(s.Principal.AWS, "*") && len(s.Condition) == 0 {
		l.report("external-id", SeverityInfo, at("Principal", "AWS"), `if the account is another's, add "StringEquals": {"sts:ExternalId": "…"}`,
			"whoever may act for the principal may assume the role: a third party that serves several customers could be made to")
	}
}
