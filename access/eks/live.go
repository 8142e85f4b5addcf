package eks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// liveNames are how the cluster maps the shared role now.
type liveNames struct {
	mode types.AuthenticationMode // empty: not known
	// templates are those by which sessions may be known: one, or while a cluster goes
	// from aws-auth to access entries both, so that nobody loses access in between.
	templates []liveTemplate
	entry     *types.AccessEntry // of the shared role
	arn       string             // of the shared role
	notes     []string           // what could not be read, and why
	// trust is what the shared role's trust policy is worth; without a result where it
	// could not be read.
	trust trustVerdict
}

type liveTemplate struct {
	text   string
	source string
	groups []string
}

// roleOf is the ARN of the shared role with its path, which only IAM knows where the
// settings give a name.
func (c *connection) roleOf(ctx context.Context) (arn, id, document string, err error) {
	client, err := c.iamClient()
	if err != nil {
		return "", "", "", err
	}
	name := roleName(c.accessRole)
	out, err := client.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
	if err != nil {
		return "", "", "", fmt.Errorf("iam:GetRole of %s: %w", name, refused(err))
	}
	return aws.ToString(out.Role.Arn), aws.ToString(out.Role.RoleId), aws.ToString(out.Role.AssumeRolePolicyDocument), nil
}

// sharedARN is the shared role's ARN from what is known without IAM.
func (c *connection) sharedARN() string { return roleARN(c.accessRole, c.partition(), c.accountID()) }

// names reads how the cluster maps the shared role, at most templatesFor old.
func (c *connection) names(ctx context.Context, fresh bool) (*liveNames, error) {
	now := c.all.opts.Clock()
	c.mu.Lock()
	have, at := c.live, c.liveAt
	c.mu.Unlock()
	if have != nil && !fresh && now.Sub(at) < templatesFor {
		return have, nil
	}
	n, err := c.readNames(ctx, fresh)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live, c.liveAt = n, now
	return n, nil
}

func (c *connection) readNames(ctx context.Context, fresh bool) (*liveNames, error) {
	n := &liveNames{}
	// The mode says which mapping counts, so it may be no older than the mapping.
	age := templatesFor
	if fresh {
		age = 0
	}
	found, err := c.describe(ctx, age)
	switch {
	case err == nil:
		n.mode = modeOf(found)
	case knownRefusal(err):
		n.notes = append(n.notes, err.Error())
	default:
		// An outage says nothing of the mode, and a guess could bind another's name.
		return nil, err
	}
	n.arn = c.sharedARN()
	if err := c.readTrust(ctx, n); err != nil {
		return nil, err
	}
	if n.mode != types.AuthenticationModeConfigMap && n.mode != "" {
		if err := c.readEntry(ctx, n); err != nil {
			return nil, err
		}
	}
	if n.mode != types.AuthenticationModeApi {
		if err := c.readMapped(ctx, n); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// modeOf is the authentication mode; a cluster from before there were modes has the
// ConfigMap.
func modeOf(c *types.Cluster) types.AuthenticationMode {
	if c.AccessConfig == nil || c.AccessConfig.AuthenticationMode == "" {
		return types.AuthenticationModeConfigMap
	}
	return c.AccessConfig.AuthenticationMode
}

// readTrust reads what the shared role's trust policy is worth, and its whole ARN: an
// entry's principal has the role's path, so the name alone is a guess. Where Gatehouse may
// not ask IAM the check says so.
func (c *connection) readTrust(ctx context.Context, n *liveNames) error {
	bound, cancel := context.WithTimeout(ctx, describeWithin)
	defer cancel()
	arn, _, document, err := c.roleOf(bound)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return nil
	}
	if strings.HasPrefix(c.accessRole, "arn:") && arn != c.accessRole {
		return nil // a role of that name in another account; the check says so
	}
	n.arn = arn
	if text, err := url.QueryUnescape(document); err == nil {
		document = text
	}
	n.trust = judgeTrust(document)
	return nil
}

// readEntry reads the shared role's access entry. Entries win over aws-auth for the
// same principal, so its template comes first.
func (c *connection) readEntry(ctx context.Context, n *liveNames) error {
	client, err := c.eksClient()
	if err != nil {
		return err
	}
	if n.arn == "" {
		n.notes = append(n.notes, "the account of the role is not known; set config."+keyAccount)
		return nil
	}
	out, err := client.DescribeAccessEntry(ctx, &eks.DescribeAccessEntryInput{ClusterName: &c.settings.cluster, PrincipalArn: &n.arn})
	switch {
	case isNotFound(err):
		return nil
	case err != nil && knownRefusal(refused(err)):
		n.notes = append(n.notes, fmt.Sprintf("eks:DescribeAccessEntry: %v", err))
		return nil
	case err != nil:
		return fmt.Errorf("eks:DescribeAccessEntry of %s: %w", n.arn, err)
	}
	if n.entry = out.AccessEntry; n.entry != nil {
		n.templates = append(n.templates, liveTemplate{text: aws.ToString(n.entry.Username), source: "the access entry", groups: n.entry.KubernetesGroups})
	}
	return nil
}

// readMapped reads the shared role's line in aws-auth.
func (c *connection) readMapped(ctx context.Context, n *liveNames) error {
	k, err := c.api(ctx)
	if err != nil {
		return err
	}
	cm, err := readConfigMap(ctx, k)
	switch {
	case answered(err, http.StatusNotFound):
		return nil
	case answered(err, http.StatusForbidden):
		n.notes = append(n.notes, err.Error()+"; allow gatehouse to get the ConfigMap aws-auth in kube-system")
		return nil
	case err != nil:
		return err
	}
	arn := n.arn
	if arn == "" {
		n.notes = append(n.notes, "the account of the role is not known; set config."+keyAccount)
		return nil
	}
	m := parseAuth(cm.Data)
	if role, ok := m.role(mappedARN(arn)); ok && !slices.ContainsFunc(n.templates, func(t liveTemplate) bool { return t.text == role.Username }) {
		n.templates = append(n.templates, liveTemplate{text: role.Username, source: configMapName, groups: role.Groups})
	}
	return nil
}

// errUnmapped is why nobody can be bound.
var errUnmapped = errors.New("the cluster does not map the shared role to a user")

// subjects are the names of users, sorted.
func (c *connection) subjects(ctx context.Context, person string) ([]string, error) {
	users, err := c.users(ctx, person)
	names := make([]string, 0, len(users))
	for _, u := range users {
		names = append(names, u.name)
	}
	return names, err
}

// liveUser is somebody as the cluster knows them.
type liveUser struct {
	name   string
	groups []string
}

// users are what the cluster takes a session of the person for. The live templates say;
// a setting stands in only where none could be read.
func (c *connection) users(ctx context.Context, person string) ([]liveUser, error) {
	if err := checkSession(person); err != nil {
		return nil, err
	}
	n, err := c.names(ctx, false)
	if err != nil {
		return nil, err
	}
	return c.usersBy(n, person)
}

// usersBy are what the cluster takes a session of the person for, by names that were read.
func (c *connection) usersBy(n *liveNames, person string) ([]liveUser, error) {
	templates := n.templates
	if len(templates) == 0 {
		switch {
		case len(n.notes) > 0 && c.template != "":
			templates = []liveTemplate{{text: c.template, source: "the setting " + keyTemplate}}
		case len(n.notes) > 0:
			return nil, fmt.Errorf("%w as far as can be seen (%s); let gatehouse read it, or set config.%s", errUnmapped, strings.Join(n.notes, "; "), keyTemplate)
		default:
			return nil, fmt.Errorf("%w: %s is in neither aws-auth nor an access entry of %s; connect the integration, or map it", errUnmapped, orElse(n.arn, c.accessRole), c.settings.cluster)
		}
	}
	var users []liveUser
	for _, t := range templates {
		name, err := render(t.text, person, c.accountID())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.source, err)
		}
		for _, p := range reservedPrefixes {
			// Nobody is bound under a name that Kubernetes or EKS gives its own parts.
			if strings.HasPrefix(name, p) {
				return nil, fmt.Errorf("%s: the username template %q makes %q, a name that is kept for Kubernetes or EKS", t.source, t.text, name)
			}
		}
		if !slices.ContainsFunc(users, func(u liveUser) bool { return u.name == name }) {
			users = append(users, liveUser{name, t.groups})
		}
	}
	slices.SortFunc(users, func(a, b liveUser) int { return strings.Compare(a.name, b.name) })
	return users, nil
}
