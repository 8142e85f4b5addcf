package finding

import (
	"slices"
	"strings"
)

// Severity is how much a finding matters.
type Severity string

// The severities, the worst first.
const (
	Critical Severity = "critical"
	High     Severity = "high"
	Medium   Severity = "medium"
	Low      Severity = "low"
	Info     Severity = "info"
)

// Severities are all severities, the worst first.
func Severities() []Severity { return []Severity{Critical, High, Medium, Low, Info} }

// Rank is 0 for the worst severity and grows; an unknown one comes last.
func (s Severity) Rank() int {
	if i := slices.Index(Severities(), s); i >= 0 {
		return i
	}
	return len(Severities())
}

// Area is the chapter of the catalogue that a rule stands in.
type Area string

// The areas.
const (
	Logging  Area = "logging"
	Auth     Area = "auth"
	Exposure Area = "exposure"
	Limits   Area = "limits"
	Data     Area = "data"
	Hygiene  Area = "hygiene"
	Clusters Area = "clusters"
	Roles    Area = "roles"
)

// Areas are all areas, in the order of the catalogue.
func Areas() []Area {
	return []Area{Logging, Auth, Exposure, Limits, Data, Hygiene, Clusters, Roles}
}

// Kind is what a finding is about.
type Kind string

// The kinds of subject.
const (
	OfRegion    Kind = "region"
	OfAPI       Kind = "api"
	OfStage     Kind = "stage"
	OfRoute     Kind = "route"
	OfDomain    Kind = "domain"
	OfLogGroup  Kind = "log_group"
	OfUsagePlan Kind = "usage_plan"
	OfWebACL    Kind = "web_acl"
	// OfFunction is a Lambda function that an API calls.
	OfFunction Kind = "function"
	OfCluster  Kind = "cluster"
	// OfPrincipal is an IAM role or user, which is of no region.
	OfPrincipal Kind = "principal"
	// OfAccount is never what a rule is about: it stands where an account could not
	// be read.
	OfAccount Kind = "account"
)

// Rule is one rule of the catalogue.
type Rule struct {
	// ID is stable: it is part of the identity of findings.
	ID       string   `json:"id"`
	Title    string   `json:"title"`
	Severity Severity `json:"severity"`
	Area     Area     `json:"area"`
	// Of is what a finding of the rule is about.
	Of Kind `json:"of"`
	// Types are the types of API that the rule applies to; empty: it does not matter.
	Types []APIType `json:"api_types,omitempty"`
	// Looks is what the rule looks at.
	Looks string `json:"looks_at"`
	Why   string `json:"why"`
	Mend  Mend   `json:"mend"`
	Peers Peers  `json:"peers"`

	// needs are the parts without which the rule gives no verdict.
	needs []Part
	check func(s *scene) Outcome
}

// Mend is how to mend what a rule finds, as text with placeholders such as {api}.
// The texts of V2 are for HTTP and WebSocket APIs where they differ.
type Mend struct {
	CLI         string `json:"cli"`
	CLIV2       string `json:"cli_v2,omitempty"`
	Terraform   string `json:"terraform"`
	TerraformV2 string `json:"terraform_v2,omitempty"`
}

// Peers names the same question in the catalogues of others. A rule need not give
// the same answer.
type Peers struct {
	SecurityHub []string `json:"security_hub,omitempty"`
	Prowler     []string `json:"prowler,omitempty"`
	Checkov     []string `json:"checkov,omitempty"`
	KICS        []string `json:"kics,omitempty"`
	CloudSploit []string `json:"cloudsploit,omitempty"`
}

// Applies reports whether the rule applies to a type of API.
func (r *Rule) Applies(t APIType) bool { return len(r.Types) == 0 || slices.Contains(r.Types, t) }

// For returns how to mend a finding, with the subject's names in the place of the
// placeholders. What a name could do to a shell or to HCL is quoted away.
func (r *Rule) For(s Subject) Mend {
	cli, hcl := r.Mend.CLI, r.Mend.Terraform
	if s.APIType == HTTP || s.APIType == WebSocket {
		if r.Mend.CLIV2 != "" {
			cli = r.Mend.CLIV2
		}
		if r.Mend.TerraformV2 != "" {
			hcl = r.Mend.TerraformV2
		}
	}
	method, path, ok := strings.Cut(s.Name, " ")
	if !ok {
		method, path = "", s.Name
	}
	values := [][2]string{
		{"{account}", s.Account},
		{"{region}", s.Region},
		{"{api}", s.API},
		{"{stage}", s.Stage},
		{"{name}", s.Name},
		{"{role}", s.Name[strings.LastIndexByte(s.Name, '/')+1:]},
		{"{route_id}", s.RouteID},
		{"{method}", method},
		{"{path}", path},
		{"{method_key}", strings.ReplaceAll(strings.ReplaceAll(path, "~", "~0"), "/", "~1") + "/" + method},
	}
	fill := func(text string, quote func(string) string) string {
		pairs := make([]string, 0, 2*len(values))
		for _, v := range values {
			// What a subject has not stays for the reader to fill in.
			if v[1] != "" {
				pairs = append(pairs, v[0], quote(v[1]))
			}
		}
		return strings.NewReplacer(pairs...).Replace(text)
	}
	return Mend{CLI: fill(cli, shellQuote), Terraform: fill(hcl, hclQuote)}
}

// shellQuote makes one word of a POSIX shell of s.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+=,~", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// hclQuote makes s safe within the quotes of an HCL string.
func hclQuote(s string) string {
	s = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`).Replace(s)
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(s)
}
