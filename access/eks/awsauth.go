package eks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

const (
	configMapName = "aws-auth"
	configMapPath = coreAPI + "/namespaces/kube-system/configmaps"
	keyMapRoles   = "mapRoles"
)

// configMap is the ConfigMap aws-auth, as far as it matters.
type configMap struct {
	APIVersion string            `json:"apiVersion,omitempty"`
	Kind       string            `json:"kind,omitempty"`
	Metadata   metadata          `json:"metadata"`
	Data       map[string]string `json:"data,omitempty"`
	Immutable  bool              `json:"immutable,omitempty"`
}

func readConfigMap(ctx context.Context, k *kube) (*configMap, error) {
	cm := &configMap{}
	if err := k.get(ctx, configMapPath+"/"+configMapName, cm); err != nil {
		return nil, fmt.Errorf("reading %s: %w", configMapName, err)
	}
	return cm, nil
}

// roleMapping and userMapping are lines of aws-auth, with the fields and the decoding
// of the authenticator: field names are taken in any case, as encoding/json does.
type roleMapping struct {
	RoleARN  string      `json:"rolearn,omitempty"`
	SSO      *ssoMatcher `json:"sso,omitempty"`
	Username string      `json:"username"`
	Groups   []string    `json:"groups"`
	UserID   string      `json:"userid,omitempty"`
}

type ssoMatcher struct {
	PermissionSetName string `json:"permissionSetName"`
	AccountID         string `json:"accountID"`
	Partition         string `json:"partition,omitempty"`
}

type userMapping struct {
	UserARN  string   `json:"userarn"`
	Username string   `json:"username"`
	Groups   []string `json:"groups"`
	UserID   string   `json:"userid,omitempty"`
}

// authMap is aws-auth as the authenticator understands it.
type authMap struct {
	roles    []roleMapping // the valid ones, in order
	users    []userMapping
	accounts []string
	// problems are what the authenticator says about it, in order.
	problems []string
	// lost are the sections that do not parse as YAML: the authenticator takes them
	// for empty, and everybody in them is locked out.
	lost map[string]error
}

var (
	authSections  = []string{"mapUsers", keyMapRoles, "mapAccounts"}
	setShape      = regexp.MustCompile(`^[\w+=,.@-]{1,32}$`)
	ssoPartitions = []string{"aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"}
)

// skippable is what the authenticator takes for nothing.
func skippable(text string) bool {
	switch strings.TrimSpace(text) {
	case "", "``", `""`, "''":
		return true
	}
	return false
}

// parseAuth reads aws-auth with the authenticator's own rules and its own YAML parser:
// a section that does not parse is empty, and one entry that is wrong is left out.
func parseAuth(data map[string]string) *authMap {
	m := &authMap{lost: map[string]error{}}
	section(m, data, "mapUsers", &m.users, func(u *userMapping) error {
		if u.UserARN == "" {
			return errors.New("userarn is missing")
		}
		return nil
	})
	section(m, data, keyMapRoles, &m.roles, (*roleMapping).validate)
	if text, ok := data["mapAccounts"]; ok && !skippable(text) {
		if err := yaml.Unmarshal([]byte(text), &m.accounts); err != nil {
			m.lose("mapAccounts", err)
		}
	}
	return m
}

// section reads mapUsers or mapRoles into valid.
func section[T any](m *authMap, data map[string]string, name string, valid *[]T, validate func(*T) error) {
	text, ok := data[name]
	if !ok || skippable(text) {
		return
	}
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		m.lose(name, err)
		return
	}
	var entries []T
	if err := json.Unmarshal(raw, &entries); err != nil {
		// A field of the wrong type is left out and the rest of the entry stays, which
		// is what the authenticator goes on with.
		m.problems = append(m.problems, fmt.Sprintf("%s: %v", name, err))
	}
	for n := range entries {
		if err := validate(&entries[n]); err != nil {
			m.problems = append(m.problems, fmt.Sprintf("%s: entry %d: %v", name, n+1, err))
			continue
		}
		*valid = append(*valid, entries[n])
	}
}

func (m *authMap) lose(name string, err error) {
	m.lost[name] = err
	m.problems = append(m.problems, fmt.Sprintf("%s: %v", name, err))
}

// validate has the authenticator's rules for one entry.
func (r *roleMapping) validate() error {
	switch {
	case r.RoleARN == "" && r.SSO == nil:
		return errors.New("it has neither rolearn nor sso")
	case r.RoleARN != "" && r.SSO != nil:
		return errors.New("it has both rolearn and sso")
	case r.SSO == nil:
		return nil
	case !accountShape.MatchString(r.SSO.AccountID):
		return fmt.Errorf("sso.accountID %q is not an account id", r.SSO.AccountID)
	case !setShape.MatchString(r.SSO.PermissionSetName):
		return fmt.Errorf("sso.permissionSetName %q is not the name of a permission set", r.SSO.PermissionSetName)
	case r.SSO.Partition != "" && !slices.Contains(ssoPartitions, r.SSO.Partition):
		return fmt.Errorf("sso.partition %q is not a partition", r.SSO.Partition)
	}
	return nil
}

// key is what the authenticator keeps an entry under: of two with one key the last
// counts.
func (r *roleMapping) key() string {
	if r.RoleARN != "" {
		return strings.ToLower(r.RoleARN)
	}
	partition := ""
	if r.SSO.Partition == "" {
		partition = "aws"
	}
	return strings.ToLower("arn:" + partition + ":iam::" + r.SSO.AccountID + ":role/AWSReservedSSO_" + r.SSO.PermissionSetName + "_*")
}

// role is the entry that maps a role: the last with its exact ARN.
func (m *authMap) role(arn string) (roleMapping, bool) {
	for _, r := range slices.Backward(m.roles) {
		if r.RoleARN != "" && strings.EqualFold(r.RoleARN, arn) {
			return r, true
		}
	}
	return roleMapping{}, false
}

// wildcards are the entries with wildcards that match a role beside an exact one. The
// authenticator asks its entries in no order, so such a role has now this name and now
// that.
func (m *authMap) wildcards(arn string) []string {
	var found []string
	for _, r := range m.roles {
		if strings.ContainsAny(r.RoleARN, "*?") && likeARN(strings.ToLower(r.RoleARN), strings.ToLower(arn)) {
			found = append(found, r.RoleARN)
		}
	}
	return found
}

// likeARN matches part by part, with * and ? inside the parts.
func likeARN(pattern, arn string) bool {
	p, a := strings.SplitN(pattern, ":", 6), strings.SplitN(arn, ":", 6)
	if len(p) != 6 || len(a) != 6 {
		return false
	}
	for i := range p {
		if !like(p[i], a[i]) {
			return false
		}
	}
	return true
}

// like matches a text with * and ?, in linear space and without going back further than
// to the last star.
func like(pattern, text string) bool {
	p, t, star, mark := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// duplicates are the ARNs that come more than once.
func (m *authMap) duplicates() []string {
	count := map[string]int{}
	for _, r := range m.roles {
		count[r.key()]++
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(count)), func(k string) bool { return count[k] < 2 })
}
