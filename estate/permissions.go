package estate

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/iam"
)

// Permissions are what IAM says of the principals of one account: who they are,
// and every policy that has a say in what they may do, compiled.
type Permissions struct {
	Account string
	// Principals are the roles and users, sorted by ARN.
	Principals []Principal
	// Unseen is what could not be read, or not be understood.
	Unseen []Unseen
}

// Principal is a role or a user with its policies.
type Principal struct {
	ARN  string // with the path
	Kind iam.PrincipalKind
	Name string
	// ID is AROA… of a role and AIDA… of a user: the beginning of aws:userid.
	ID   string
	Tags map[string]string
	// Deleted says that there is no such role or user any more. Sessions of a deleted
	// role may do nothing.
	Deleted bool
	// Identity are the inline and managed policies of the principal and, of a user,
	// of its groups. Managed policies are there in their default version.
	Identity []Policy
	// Boundary is the permissions boundary; nil: none.
	Boundary *Policy
	// Trust is the trust policy of a role; nil for a user.
	Trust *Policy
	// Unseen is what could not be read of it. With a layer among them that has a
	// say, Policies is not all that decides.
	Unseen []Unseen
}

// Policies are the principal's own policies, ready to be evaluated: identity-based
// ones and the boundary.
func (p *Principal) Policies() iam.Policies {
	out := iam.Policies{Identity: make([]iam.Attached, 0, len(p.Identity))}
	for i := range p.Identity {
		out.Identity = append(out.Identity, p.Identity[i].Attached())
	}
	if p.Boundary != nil {
		out.Boundary = p.Boundary.Attached()
	}
	return out
}

// Policy is a policy document and where it stands.
type Policy struct {
	// Title says which policy it is, for people: "inline policy invoke of role app",
	// "managed policy arn:… (v2)". Reasons of a decision name the policy so.
	Title string
	// ARN of a managed policy; empty for others.
	ARN string
	// Document is the parsed text, and Compiled what is evaluated.
	Document *iam.Document
	Compiled *iam.Policy
}

// Attached is the policy under its title.
func (p *Policy) Attached() iam.Attached { return iam.Attached{Name: p.Title, Policy: p.Compiled} }

// StatementJSON is a statement of the policy as one line of JSON, counted from 0.
func (p *Policy) StatementJSON(i int) string {
	if i < 0 || i >= len(p.Document.Statements) {
		return ""
	}
	return statementJSON(&p.Document.Statements[i])
}

func statementJSON(s *iam.Statement) string {
	b := new(strings.Builder)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if e.Encode(s) != nil {
		return ""
	}
	return strings.TrimSpace(b.String())
}

// parsePolicy reads a document as AWS holds it. What does not parse is no policy
// without a say: the caller must tell it as unseen.
func parsePolicy(kind iam.Kind, title, arn, text string) (Policy, error) {
	d, err := iam.Parse(kind, []byte(text))
	if err != nil {
		return Policy{}, fmt.Errorf("reading the %s: %w", title, err)
	}
	c, err := d.Compile()
	if err != nil {
		return Policy{}, fmt.Errorf("reading the %s: %w", title, err)
	}
	return Policy{Title: title, ARN: arn, Document: d, Compiled: c}, nil
}

// Unseen is something that may have a say in a decision and could not be read.
type Unseen struct {
	// What it is: "the policies of role app".
	What string `json:"what"`
	// Layers are the layers that the decision lacks; empty for what only helps to
	// understand.
	Layers []iam.Layer `json:"layers,omitempty"`
	// Actions and Resources are the permission that would show it; empty where no
	// permission would.
	Actions   []string `json:"actions,omitempty"`
	Resources []string `json:"resources,omitempty"`
	// Why it was not read.
	Why string `json:"why"`
}

// Statement is the statement that would show it, as JSON, or nothing.
func (u *Unseen) Statement() string {
	if len(u.Actions) == 0 {
		return ""
	}
	return AllowStatement(u.Resources, u.Actions...)
}

// AllowStatement is a statement that allows actions on resources, as one line of
// JSON.
func AllowStatement(resources []string, actions ...string) string {
	return statementJSON(&iam.Statement{Effect: iam.Allow, Action: actions, Resource: resources})
}

func sees(unseen []Unseen, l iam.Layer) bool {
	for i := range unseen {
		if slices.Contains(unseen[i].Layers, l) {
			return false
		}
	}
	return true
}

// unread makes an Unseen of a read that failed. The permission is named where the
// lack of it is why.
func unread(l iam.Layer, what string, err error, resource string, actions ...string) Unseen {
	u := Unseen{What: what, Layers: []iam.Layer{l}, Why: account.Text(err)}
	if account.Classify(err) == account.Denied && !hopeless(err) {
		u.Actions, u.Resources = actions, []string{resource}
	}
	return u
}

// decodeDocument undoes the percent-encoding in which IAM answers documents.
func decodeDocument(text *string) (string, error) {
	decoded, err := url.PathUnescape(aws.ToString(text))
	if err != nil {
		return "", fmt.Errorf("a policy document is not encoded as IAM does: %w", err)
	}
	return decoded, nil
}

// unescapePolicy undoes what API Gateway does to a resource policy: it answers it
// with its quotes escaped once more than JSON needs.
func unescapePolicy(text string) string {
	if !strings.HasPrefix(strings.TrimSpace(text), `{\`) {
		return text
	}
	var plain string
	if json.Unmarshal([]byte(`"`+text+`"`), &plain) != nil {
		return text
	}
	return plain
}
