package iam

import (
	"fmt"
	"slices"
	"strings"
)

// Scope is the part of one API that a generated policy speaks of. Empty lists
// mean all of that dimension.
type Scope struct {
	Partition string // empty: aws
	Region    string
	Account   string // the API's owner
	API       string // its id
	Stages    []string
	// Methods are HTTP methods; for a WebSocket API leave them and Paths empty.
	Methods []string
	// Paths are request paths or templates: "/pets/{id}" stands for "/pets/*".
	Paths []string
}

// InvokePolicy is what GenerateInvoke writes a policy for.
type InvokePolicy struct {
	Scope
	// InvalidateCache also allows callers to refresh the API's cache.
	InvalidateCache bool
	// ManageConnections allows posting to the connections of a WebSocket API in
	// place of Invoke.
	ManageConnections bool
}

// AssumePolicy is what GenerateAssume writes a policy for.
type AssumePolicy struct {
	Roles []string // ARNs
	// SessionTags also allows passing session tags.
	SessionTags bool
}

// Callers are those whom a trust policy or a resource policy lets in.
type Callers struct {
	// Accounts are let in as far as their own policies allow.
	Accounts []string
	// Roles and Users are ARNs.
	Roles []string
	Users []string
	// RolePrefixes are the beginnings of role names, paths included, each with its
	// account: "111122223333:app-" lets in every role of that account whose name
	// begins with "app-".
	RolePrefixes []string
}

// TrustPolicy is what GenerateTrust writes a policy for.
type TrustPolicy struct {
	Callers
	Services []string
	// ExternalID must be given by accounts, roles and users when they assume.
	ExternalID string
	// OIDCProvider is the ARN of a provider; Subjects and Audience are what its
	// tokens must say. An EKS service account's subject is
	// "system:serviceaccount:NAMESPACE:NAME".
	OIDCProvider string
	Subjects     []string
	Audience     string // empty: sts.amazonaws.com
	SessionTags  bool
	Partition    string // empty: aws
}

// ResourcePolicy is what GenerateResource writes a policy for.
type ResourcePolicy struct {
	Scope
	Callers
	// VPCEndpoints are the ids of the endpoints that calls must come through; for
	// a private API.
	VPCEndpoints []string
	// SourceIPs are the ranges that calls must come from.
	SourceIPs []string
	// Preflight lets everyone call OPTIONS, without which browsers' preflight
	// requests fail: they are not signed.
	Preflight bool
}

// GenerateInvoke writes an identity-based policy that lets its principal call one
// API, and nothing else.
func GenerateInvoke(p InvokePolicy) (*Document, error) {
	resources, err := p.resources()
	if err != nil {
		return nil, err
	}
	s := Statement{Sid: "InvokeAPI", Effect: Allow, Action: Strings{"execute-api:Invoke"}, Resource: resources}
	switch {
	case p.ManageConnections && (len(p.Methods) > 0 || len(p.Paths) > 0 || p.InvalidateCache):
		return nil, mistake("leave them out", "ManageConnections goes with neither methods, paths nor InvalidateCache")
	case p.ManageConnections:
		s.Action = Strings{"execute-api:ManageConnections"}
		for i := range resources {
			stage := strings.TrimSuffix(resources[i], "/*")
			if len(p.Stages) == 0 {
				stage += "/*"
			}
			resources[i] = stage + "/*/@connections/*"
		}
	case p.InvalidateCache:
		s.Action = Strings{"execute-api:Invoke", "execute-api:InvalidateCache"}
	}
	return finish(KindIdentity, s)
}

// GenerateAssume writes an identity-based policy that lets its principal assume
// the roles, and nothing else.
func GenerateAssume(p AssumePolicy) (*Document, error) {
	if len(p.Roles) == 0 {
		return nil, mistake("", "no role to assume")
	}
	for _, role := range p.Roles {
		if err := checkPrincipal(role, PrincipalRole, "a role"); err != nil {
			return nil, err
		}
	}
	actions := Strings{"sts:AssumeRole"}
	if p.SessionTags {
		actions = append(actions, "sts:TagSession")
	}
	return finish(KindIdentity, Statement{Sid: "AssumeRoles", Effect: Allow, Action: actions, Resource: slices.Clone(p.Roles)})
}

// GenerateTrust writes a role's trust policy.
func GenerateTrust(p TrustPolicy) (*Document, error) {
	actions := Strings{"sts:AssumeRole"}
	if p.SessionTags {
		actions = append(actions, "sts:TagSession")
	}
	var external Conditions
	if p.ExternalID != "" {
		if err := checkLiteral("the external id", p.ExternalID, 2, 1224); err != nil {
			return nil, err
		}
		external = Conditions{{"StringEquals", "sts:ExternalId", Strings{p.ExternalID}}}
	}
	statements, err := p.statements(partition(p.Partition), Statement{Action: actions, Condition: external})
	if err != nil {
		return nil, err
	}
	for _, service := range p.Services {
		if !isServiceName(service) {
			return nil, mistake("write it as apigateway.amazonaws.com", "%q is not a service", clip(service))
		}
	}
	if len(p.Services) > 0 {
		statements = append(statements, Statement{
			Sid: "Services", Effect: Allow, Principal: &Principals{Service: slices.Clone(p.Services)}, Action: Strings{"sts:AssumeRole"},
		})
	}
	if p.OIDCProvider != "" {
		s, err := p.webIdentity()
		if err != nil {
			return nil, err
		}
		statements = append(statements, s)
	}
	if len(statements) == 0 {
		return nil, mistake("name accounts, roles, role prefixes, services or an OIDC provider", "no one is trusted")
	}
	return finish(KindTrust, statements...)
}

func (p *TrustPolicy) webIdentity() (Statement, error) {
	if err := checkPrincipal(p.OIDCProvider, PrincipalProvider, "an OIDC provider"); err != nil {
		return Statement{}, err
	}
	issuer, ok := strings.CutPrefix(lastPart(p.OIDCProvider), "oidc-provider/")
	if !ok {
		return Statement{}, mistake("", "%q is not an OIDC provider", clip(p.OIDCProvider))
	}
	if len(p.Subjects) == 0 {
		return Statement{}, mistake("name the subjects of the tokens", "without a subject every token of %s would do", issuer)
	}
	operator := "StringEquals"
	for _, subject := range p.Subjects {
		if subject == "" || strings.Trim(subject, "*") == "" || strings.Contains(subject, "${") {
			return Statement{}, mistake("name the subjects of the tokens", "the subject %q would let in every token of %s", clip(subject), issuer)
		}
		if strings.ContainsAny(subject, "*?") {
			operator = "StringLike"
		}
	}
	audience := p.Audience
	if audience == "" {
		audience = "sts.amazonaws.com"
	}
	if err := checkLiteral("the audience", audience, 1, 255); err != nil {
		return Statement{}, err
	}
	return Statement{
		Sid: "WebIdentity", Effect: Allow, Principal: &Principals{Federated: Strings{p.OIDCProvider}},
		Action: Strings{"sts:AssumeRoleWithWebIdentity"},
		Condition: Conditions{
			{"StringEquals", issuer + ":aud", Strings{audience}},
			{operator, issuer + ":sub", slices.Clone(p.Subjects)},
		},
	}, nil
}

// GenerateResource writes the resource policy of a REST API that lets the callers
// in, and no one else.
func GenerateResource(p ResourcePolicy) (*Document, error) {
	options := p.Scope
	options.Methods = []string{"OPTIONS"}
	preflight, err := options.resources()
	if err != nil {
		return nil, err
	}
	resources, err := p.resources()
	if err != nil {
		return nil, err
	}
	var conditions Conditions
	for _, id := range p.VPCEndpoints {
		if !strings.HasPrefix(id, "vpce-") || !isAlphanumeric(id[5:]) || len(id) == 5 {
			return nil, mistake("write it as vpce-0123456789abcdef0", "%q is not a VPC endpoint", clip(id))
		}
	}
	if len(p.VPCEndpoints) > 0 {
		conditions = append(conditions, Condition{"StringEquals", "aws:SourceVpce", slices.Clone(p.VPCEndpoints)})
	}
	for _, ip := range p.SourceIPs {
		if _, ok := parseRange(ip); !ok {
			return nil, mistake("write it as 203.0.113.0/24", "%q is not a range of addresses", clip(ip))
		}
	}
	if len(p.SourceIPs) > 0 {
		conditions = append(conditions, Condition{"IpAddress", "aws:SourceIp", slices.Clone(p.SourceIPs)})
	}
	statements, err := p.statements(partition(p.Partition), Statement{
		Action: Strings{"execute-api:Invoke"}, Resource: resources, Condition: conditions,
	})
	if err != nil {
		return nil, err
	}
	if len(statements) == 0 {
		if len(conditions) == 0 {
			return nil, mistake("name accounts, roles, role prefixes, VPC endpoints or ranges of addresses", "no one is let in")
		}
		statements = []Statement{{
			Sid: "Network", Effect: Allow, Principal: &Principals{Everyone: true},
			Action: Strings{"execute-api:Invoke"}, Resource: resources, Condition: conditions,
		}}
	}
	if p.Preflight {
		statements = append(statements, Statement{
			Sid: "Preflight", Effect: Allow, Principal: &Principals{Everyone: true}, Action: Strings{"execute-api:Invoke"}, Resource: preflight,
		})
	}
	return finish(KindResource, statements...)
}

// statements writes one statement for those whom Principal can name, and one for
// role prefixes, which need a condition: a wildcard in Principal matches no one.
func (c *Callers) statements(partition string, like Statement) ([]Statement, error) {
	var direct Strings
	for _, account := range c.Accounts {
		if !isAccountID(account) {
			return nil, mistake("write its 12 digits", "%q is not an account", clip(account))
		}
		direct = append(direct, fmt.Sprintf("arn:%s:iam::%s:root", partition, account))
	}
	for _, role := range c.Roles {
		if err := checkPrincipal(role, PrincipalRole, "a role"); err != nil {
			return nil, err
		}
		direct = append(direct, role)
	}
	for _, user := range c.Users {
		if err := checkPrincipal(user, PrincipalUser, "a user"); err != nil {
			return nil, err
		}
		direct = append(direct, user)
	}
	var prefixAccounts, prefixes Strings
	for _, p := range c.RolePrefixes {
		account, prefix, ok := strings.Cut(p, ":")
		if !ok || !isAccountID(account) || !isRolePath(prefix) {
			return nil, mistake("write it as 111122223333:app-", "%q is not an account and the beginning of a role's name", clip(p))
		}
		root := fmt.Sprintf("arn:%s:iam::%s:root", partition, account)
		if !slices.Contains(prefixAccounts, root) {
			prefixAccounts = append(prefixAccounts, root)
		}
		prefixes = append(prefixes, fmt.Sprintf("arn:%s:iam::%s:role/%s*", partition, account, prefix))
	}
	var out []Statement
	add := func(sid string, principals Strings, conditions Conditions) {
		s := like
		s.Sid, s.Effect, s.Principal, s.Condition = sid, Allow, &Principals{AWS: principals}, conditions
		out = append(out, s)
	}
	if len(direct) > 0 {
		add("Callers", direct, like.Condition)
	}
	if len(prefixes) > 0 {
		add("RolePrefixes", prefixAccounts, append(slices.Clone(like.Condition), Condition{"ArnLike", "aws:PrincipalArn", prefixes}))
	}
	return out, nil
}

// resources are the ARNs of the scope.
func (s *Scope) resources() (Strings, error) {
	if !isAccountID(s.Account) {
		return nil, mistake("write its 12 digits", "%q is not the account of an API", clip(s.Account))
	}
	for _, part := range [...]struct{ what, text string }{{"a region", s.Region}, {"the id of an API", s.API}} {
		if part.text == "" || !isAlphanumeric(strings.ReplaceAll(part.text, "-", "")) {
			return nil, mistake("", "%q is not %s", clip(part.text), part.what)
		}
	}
	base := fmt.Sprintf("arn:%s:execute-api:%s:%s:%s", partition(s.Partition), s.Region, s.Account, s.API)
	stages, err := each(s.Stages, cleanStage)
	if err != nil {
		return nil, err
	}
	methods, err := each(s.Methods, cleanMethod)
	if err != nil {
		return nil, err
	}
	paths, err := each(s.Paths, cleanPath)
	if err != nil {
		return nil, err
	}
	var out Strings
	for _, stage := range stages {
		if len(s.Methods) == 0 && len(s.Paths) == 0 {
			if len(s.Stages) == 0 {
				return Strings{base + "/*"}, nil
			}
			out = append(out, base+"/"+stage+"/*")
			continue
		}
		for _, method := range methods {
			for _, path := range paths {
				out = append(out, base+"/"+stage+"/"+method+"/"+path)
			}
		}
	}
	return out, nil
}

func partition(text string) string {
	if text == "" {
		return "aws"
	}
	return text
}

// each cleans every member of a list, or stands "*" for an empty one.
func each(list []string, clean func(string) (string, error)) ([]string, error) {
	if len(list) == 0 {
		return []string{"*"}, nil
	}
	out := make([]string, len(list))
	for i, text := range list {
		var err error
		if out[i], err = clean(text); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func cleanStage(text string) (string, error) {
	name := strings.NewReplacer("-", "", "_", "").Replace(text)
	if text == "*" || text == "$default" || name != "" && isAlphanumeric(name) {
		return text, nil
	}
	return "", mistake("", "%q is not a stage", clip(text))
}

// httpMethods are the methods that API Gateway knows, ANY left out: an ARN holds
// the method of the request.
var httpMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

func cleanMethod(text string) (string, error) {
	upper := strings.ToUpper(text)
	switch {
	case upper == "ANY" || upper == "*":
		return "*", nil
	case slices.Contains(httpMethods, upper):
		return upper, nil
	}
	return "", mistake("", "%q is not an HTTP method", clip(text))
}

// cleanPath turns a path or a template into what stands in an ARN: no slash in
// front, and a star in the place of a parameter.
func cleanPath(text string) (string, error) {
	path := strings.TrimPrefix(text, "/")
	var out strings.Builder
	for path != "" {
		before, rest, found := strings.Cut(path, "{")
		out.WriteString(before)
		if !found {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || name == "" || strings.HasSuffix(before, "$") {
			return "", mistake("write it as /pets/{id}", "%q is not a path", clip(text))
		}
		out.WriteByte('*')
		path = after
	}
	cleaned := out.String()
	if strings.HasPrefix(cleaned, "/") || strings.ContainsAny(cleaned, " \t\r\n\"\\?#{}") {
		return "", mistake("write it as /pets/{id}", "%q is not a path", clip(text))
	}
	return cleaned, nil
}

func isRolePath(text string) bool {
	for i := range len(text) {
		if !isAlphanumeric(text[i:i+1]) && !strings.ContainsRune("+=,.@_-/", rune(text[i])) {
			return false
		}
	}
	return text != "" && len(text) <= 512 && text[0] != '/'
}

func checkPrincipal(text string, kind PrincipalKind, what string) error {
	p, err := ParsePrincipal(text)
	if err != nil || p.Kind != kind || strings.Contains(text, "${") {
		return mistake("write its ARN", "%q is not %s", clip(text), what)
	}
	return nil
}

// checkLiteral refuses text that would mean more than itself in a policy.
func checkLiteral(what, text string, least, most int) error {
	if len(text) < least || len(text) > most || strings.ContainsAny(text, "*?$ \t\r\n") {
		return mistake("", "%s %q needs %d to %d characters, none of them a blank, *, ? or $", what, clip(text), least, most)
	}
	return nil
}

// finish makes a document and reads it back, so that what is generated passes
// the same checks as what people write, and has places for Lint.
func finish(kind Kind, statements ...Statement) (*Document, error) {
	d := &Document{Kind: kind, Version: Version2012, Statements: statements}
	return Parse(kind, d.Pretty())
}
