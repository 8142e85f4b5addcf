package eks

import (
	"cmp"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/account"
)

// The keys of an integration's Config.
const (
	keyCluster       = "cluster_name"
	keyServer        = "server_url"
	keyAuthority     = "certificate_authority"
	keyRole          = "aws_role_name"
	keyRegion        = "region"
	keyAccount       = "account"
	keyAccessRole    = "access_role_name"
	keyTemplate      = "username_template"
	keyMapping       = "mapping"
	keySourceProfile = "source_profile"
	keyAllowed       = "allow_cluster_roles"
	keyDenied        = "deny_cluster_roles"
	keyPrincipal     = "principal_arn"
	keyPrincipals    = "principals"
	keyShared        = "shared_principal"
	keyNamespaces    = "namespaces"
)

// The mappings of the shared role.
const (
	mappingConfigMap = "aws-auth"
	mappingEntry     = "access-entry"
)

var (
	clusterShape   = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$`)
	accountShape   = regexp.MustCompile(`^\d{12}$`)
	regionShape    = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$`)
	roleShape      = regexp.MustCompile(`^([\w+=,.@-]+/)*[\w+=,.@-]{1,64}$`)
	roleARNShape   = regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:role/([\w+=,.@-]+/)*[\w+=,.@-]{1,64}$`)
	variableShape  = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)
	profileShape   = regexp.MustCompile(`^[\w+=,.@-]{1,128}$`)
	namespaceShape = regexp.MustCompile(`^[a-z0-9*]([a-z0-9*-]{0,61}[a-z0-9*])?$`)
)

// settings are an integration's Config, read.
type settings struct {
	integration string
	cluster     string
	server      string // https://…, without a slash at the end; empty: found out
	authority   []byte // PEM
	role        string // ARN or name of the role that Gatehouse assumes
	region      string
	account     string
	accessRole  string // ARN, or name with its path, of the role that people share
	template    string
	mapping     string
	source      string // profile that people begin from
	allowed     []string
	denied      []string
	principals  principals
	namespaces  []string
	secret      *access.SecretRef
}

// field is the error for a setting: which, why, and what to write.
func field(i *access.Integration, key, mend, format string, args ...any) error {
	return fmt.Errorf("integration %s: config.%s: %s; %s", i.Name, key, fmt.Sprintf(format, args...), mend)
}

// readSettings reads and checks the settings that both provisioners have.
func readSettings(i *access.Integration, own ...string) (*settings, error) {
	known := append([]string{keyCluster, keyServer, keyAuthority, keyRole, keyRegion, keyAccount}, own...)
	for key := range i.Config {
		if !slices.Contains(known, key) {
			return nil, field(i, key, "the settings are "+strings.Join(known, ", "), "it is no setting of the type %s", i.Type)
		}
	}
	get := func(key string) string { return strings.TrimSpace(i.Config[key]) }
	s := &settings{
		integration: i.Name, cluster: get(keyCluster), server: strings.TrimRight(get(keyServer), "/"), role: get(keyRole),
		region: get(keyRegion), account: get(keyAccount), accessRole: cmp.Or(get(keyAccessRole), DefaultAccessRole),
		template: get(keyTemplate), mapping: get(keyMapping), source: cmp.Or(get(keySourceProfile), "default"),
		allowed: list(get(keyAllowed)), denied: list(get(keyDenied)), namespaces: list(get(keyNamespaces)), secret: i.Secret,
	}
	switch {
	case s.cluster == "":
		return nil, field(i, keyCluster, "write the cluster's name, as aws eks list-clusters shows it", "it is missing")
	case !clusterShape.MatchString(s.cluster):
		return nil, field(i, keyCluster, "write it as aws eks list-clusters shows it", "%q is not the name of a cluster", s.cluster)
	case s.account != "" && !accountShape.MatchString(s.account):
		return nil, field(i, keyAccount, "write the account's 12 digits", "%q is not an account id", s.account)
	case s.region != "" && !regionShape.MatchString(s.region):
		return nil, field(i, keyRegion, "write it as eu-west-1", "%q is not a region", s.region)
	case s.role != "" && !roleShape.MatchString(s.role) && !roleARNShape.MatchString(s.role):
		return nil, field(i, keyRole, "write the role's name or its ARN, never that of a session", "%q is not an IAM role", s.role)
	case !roleShape.MatchString(s.accessRole) && !roleARNShape.MatchString(s.accessRole):
		return nil, field(i, keyAccessRole, "write the role's name or its ARN, never that of a session", "%q is not an IAM role", s.accessRole)
	case !profileShape.MatchString(s.source):
		return nil, field(i, keySourceProfile, "write the name of a profile in ~/.aws/config", "%q is not the name of a profile", s.source)
	case !slices.Contains([]string{"", mappingConfigMap, mappingEntry}, s.mapping):
		return nil, field(i, keyMapping, "write aws-auth or access-entry, or leave it out", "%q is no way to map a role", s.mapping)
	}
	if s.server != "" {
		u, err := url.Parse(s.server)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			// The text is not repeated: somebody may have put a password into it.
			return nil, field(i, keyServer, "write it as https://HOST", "it is not the https URL of an API server")
		}
	}
	if text := get(keyAuthority); text != "" {
		authority, err := readAuthority(text)
		if err != nil {
			return nil, field(i, keyAuthority, "paste the cluster's certificateAuthority.data, or the PEM text", "%v", err)
		}
		s.authority = authority
	}
	if err := checkPatterns(i, s); err != nil {
		return nil, err
	}
	if err := checkSecret(i); err != nil {
		return nil, err
	}
	return s, nil
}

func checkPatterns(i *access.Integration, s *settings) error {
	for key, patterns := range map[string][]string{keyAllowed: s.allowed, keyDenied: s.denied} {
		for _, p := range patterns {
			if _, err := path.Match(p, ""); err != nil || strings.ContainsAny(p, "/%") {
				return field(i, key, "write names of cluster roles, with * where you want", "%q is not a pattern", p)
			}
		}
	}
	for _, n := range s.namespaces {
		if !namespaceShape.MatchString(n) {
			return field(i, keyNamespaces, "write names of namespaces, with * where you want", "%q is not the name of a namespace", n)
		}
	}
	return nil
}

func checkSecret(i *access.Integration) error {
	if i.Secret == nil {
		return nil
	}
	given := 0
	bad := func(what string) error {
		return fmt.Errorf("integration %s: secret_store: %s", i.Name, what)
	}
	if k := i.Secret.Kubernetes; k != nil {
		given++
		if k.Namespace == "" || k.Name == "" {
			return bad("kubernetes needs namespace and name")
		}
		if !objectName(k.Namespace) || !objectName(k.Name) {
			return bad("namespace and name of a Kubernetes secret have lower-case letters, digits, - and . alone")
		}
	}
	if a := i.Secret.AWS; a != nil {
		given++
		if a.SecretID == "" || !regionShape.MatchString(a.Region) {
			return bad("aws needs region and secret_id")
		}
	}
	if e := i.Secret.Environment; e != "" {
		given++
		if !variableShape.MatchString(e) {
			return bad("environment is the prefix of variables, such as PROD_CLUSTER for PROD_CLUSTER_TOKEN")
		}
	}
	if given != 1 {
		return bad("name exactly one of kubernetes, aws and environment")
	}
	return nil
}

// readAuthority reads certificates: PEM, or PEM in base64 as EKS shows it.
func readAuthority(text string) ([]byte, error) {
	data := []byte(text)
	if !strings.Contains(text, "-----BEGIN") {
		decoded, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
		if err != nil {
			return nil, errors.New("it is neither PEM nor base64")
		}
		data = decoded
	}
	rest, n := data, 0
	for {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, errors.New("it holds something that is not a certificate")
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return nil, fmt.Errorf("certificate %d in it cannot be read", n+1)
		}
		n++
	}
	if n == 0 {
		return nil, errors.New("there is no certificate in it")
	}
	return data, nil
}

// list reads names between commas or white space.
func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
}

// roleName is the name of a role without path, of an ARN or of a name.
func roleName(role string) string { return role[strings.LastIndexByte(role, '/')+1:] }

// roleARN is the ARN of a role that is named by ARN or by name and path. It is empty
// where the account is not known.
func roleARN(role, partition, account string) string {
	if strings.HasPrefix(role, "arn:") {
		return role
	}
	if account == "" {
		return ""
	}
	return "arn:" + partition + ":iam::" + account + ":role/" + role
}

// mappedARN is a role's ARN as aws-auth has to name it: without the path, which the
// ARN of a session does not show.
func mappedARN(arn string) string {
	head, tail, ok := strings.Cut(arn, ":role/")
	if !ok {
		return arn
	}
	return head + ":role/" + roleName(tail)
}

func accountOf(arn string) string {
	if part := strings.SplitN(arn, ":", 6); len(part) == 6 {
		return part[4]
	}
	return ""
}

func partitionOf(region string) string { return account.PartitionOf(region) }

// dangerous are the roles that nobody gets unless the integration allows them
// by name: those that Kubernetes and EKS keep for their own parts, all power over the
// cluster, and Gatehouse's own, whose holder could bind any other.
var dangerous = []string{"system:*", "eks:*", "cluster-admin", "gatehouse*"}

// lendable reports whether a role or cluster role may be lent.
func (s *settings) lendable(role string) bool {
	switch {
	case matchAny(s.denied, role):
		return false
	case matchAny(s.allowed, role):
		return true
	default:
		return !matchAny(dangerous, role)
	}
}

func matchAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, name)
		return err == nil && ok
	})
}
