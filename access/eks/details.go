package eks

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

// way is how a person reaches a cluster: a role, a name for the session, and the cluster.
type way struct {
	person            string
	role              string // ARN
	profile, source   string
	cluster, region   string
	server, authority string // empty: not known yet
	// alone is set where the role is the person's own. The session's name then decides
	// nothing; it is given all the same, for those who read CloudTrail.
	alone bool
}

// unknownAccount stands where the account is not known yet, as in the documentation.
const unknownAccount = "<ACCOUNT_ID>"

// wayOf is how the person of a grant reaches the cluster. What the settings do not say
// comes from the grant's own resources, and else from what was found out.
func (c *connection) wayOf(person, role string, items []access.GrantItem) way {
	w := way{person: person, role: role, source: c.source, cluster: c.settings.cluster, region: c.regionName()}
	acct, partition := c.accountID(), ""
	for _, item := range items {
		if part := strings.SplitN(item.Resource.Tags[tagCluster], ":", 6); len(part) == 6 {
			if c.region == "" {
				w.region = part[3]
			}
			partition = part[1]
			acct = orElse(acct, part[4])
		}
	}
	if w.role == "" {
		w.role = roleARN(c.accessRole, orElse(partition, partitionOf(w.region)), orElse(acct, unknownAccount))
	}
	w.profile = roleName(w.role)
	w.server, w.authority = c.endpoint()
	return w
}

// assume is the command that assumes the role under the person's name.
func (w way) assume() string {
	return "aws sts assume-role \\\n  --role-arn " + w.role + " \\\n  --role-session-name " + w.person + " \\\n  --duration-seconds 3600\n"
}

// profileText is the profile for ~/.aws/config.
func (w way) profileText() string {
	return "[profile " + w.profile + "]\nrole_arn = " + w.role + "\nrole_session_name = " + w.person + "\nsource_profile = " + w.source + "\n"
}

// context is the kubeconfig's name for the cluster.
func (w way) context() string { return "gatehouse-" + w.cluster }

// updateKubeconfig lets the AWS CLI write the kubeconfig.
func (w way) updateKubeconfig() string {
	return "aws eks update-kubeconfig --name " + w.cluster + w.regionFlag() + " --profile " + w.profile + " --alias " + w.context() + "\n"
}

func (w way) regionFlag() string {
	if w.region == "" {
		return ""
	}
	return " --region " + w.region
}

// kubeconfig is a file for kubectl. Its token comes from the profile: with --role-arn the
// AWS CLI would name every session EKSGetTokenAuth, and everybody would be one user.
func (w way) kubeconfig() string {
	var b strings.Builder
	name := w.context()
	b.WriteString("apiVersion: v1\nkind: Config\nclusters:\n  - name: " + name + "\n    cluster:\n      server: " + quoted(w.server) + "\n")
	if w.authority != "" {
		b.WriteString("      certificate-authority-data: " + base64.StdEncoding.EncodeToString([]byte(w.authority)) + "\n")
	}
	b.WriteString("users:\n  - name: " + name + "\n    user:\n      exec:\n        apiVersion: client.authentication.k8s.io/v1beta1\n        command: aws\n        interactiveMode: IfAvailable\n        args:\n")
	args := []string{"eks", "get-token", "--cluster-name", w.cluster}
	if w.region != "" {
		args = append(args, "--region", w.region)
	}
	for _, a := range append(args, "--output", "json", "--profile", w.profile) {
		b.WriteString("          - " + quoted(a) + "\n")
	}
	b.WriteString("contexts:\n  - name: " + name + "\n    context:\n      cluster: " + name + "\n      user: " + name + "\ncurrent-context: " + name + "\n")
	return b.String()
}

func (w way) details(i *access.Integration) access.Details {
	var text []string
	if i.AccessDetails != "" {
		text = append(text, i.AccessDetails)
	}
	if w.alone {
		text = append(text, fmt.Sprintf("Assume the role %s and use the cluster %s.", w.role, w.cluster))
	} else {
		text = append(text, fmt.Sprintf("Assume the role %s with the session name %s, in exactly this case: the cluster %s knows you by it. Never give --role-arn to aws eks commands; it names every session alike.", w.role, w.person, w.cluster))
	}
	if strings.Contains(w.role, unknownAccount) {
		text = append(text, "The account is not known before the cluster was reached once; put it in the place of "+unknownAccount+".")
	}
	d := access.Details{Text: strings.Join(text, "\n\n")}
	add := func(title, language, text string) {
		d.Snippets = append(d.Snippets, access.Snippet{Title: title, Language: language, Text: text})
	}
	add("AWS CLI", "sh", w.assume())
	add("~/.aws/config", "ini", w.profileText())
	add("Write the kubeconfig", "sh", "gatehouse access kubeconfig "+shellWord(i.Name)+"\nkubectl --context "+w.context()+" auth whoami\n")
	if w.server != "" {
		add("kubeconfig", "yaml", w.kubeconfig())
	} else {
		add("kubeconfig by the AWS CLI", "sh", w.updateKubeconfig())
	}
	return d
}

// shellWord is a text as a shell reads it as one word.
func shellWord(s string) string {
	if profileShape.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Details are the command and the profile of the documentation, under the person's name
// in the identity provider's own case, and how kubectl uses them.
func (p *RBAC) Details(i *access.Integration, g *access.Grant) (access.Details, error) {
	c, err := p.connect(i)
	if err != nil {
		return access.Details{}, err
	}
	if err := checkSession(g.Person.ID); err != nil {
		return access.Details{}, fmt.Errorf("integration %s: %w", i.Name, err)
	}
	return c.wayOf(g.Person.ID, "", g.Items).details(i), nil
}

// Kubeconfig is a whole kubeconfig for a person. It asks for the cluster's endpoint where
// that is not known yet.
func (p *RBAC) Kubeconfig(ctx context.Context, i *access.Integration, person flow.Person) (string, error) {
	c, err := p.connect(i)
	if err != nil {
		return "", err
	}
	if err := checkSession(person.ID); err != nil {
		return "", fmt.Errorf("integration %s: %w", i.Name, err)
	}
	return c.kubeconfig(ctx, person.ID, "")
}

func (c *connection) kubeconfig(ctx context.Context, person, role string) (string, error) {
	// In a pod the address is the cluster's own; people need that of EKS.
	if c.besideUs() || c.server == "" {
		if found, err := c.describe(ctx, clusterFor); err == nil && found.Endpoint != nil && found.CertificateAuthority != nil && found.CertificateAuthority.Data != nil {
			authority, err := readAuthority(*found.CertificateAuthority.Data)
			if err != nil {
				return "", fmt.Errorf("integration %s: the certificate authority that EKS answered: %w", c.integration, err)
			}
			w := c.wayOf(person, role, nil)
			w.server, w.authority = *found.Endpoint, string(authority)
			return w.kubeconfig(), nil
		}
	}
	if _, err := c.api(ctx); err != nil {
		return "", err
	}
	w := c.wayOf(person, role, nil)
	if w.server == "" {
		return "", fmt.Errorf("integration %s: the address by which people reach the cluster is not known; set config.%s and config.%s", c.integration, keyServer, keyAuthority)
	}
	if strings.Contains(w.role, unknownAccount) {
		return "", fmt.Errorf("integration %s: the account of the role %s is not known; set config.%s", c.integration, c.accessRole, keyAccount)
	}
	return w.kubeconfig(), nil
}

// Details are how the person uses their own role.
func (p *AccessEntry) Details(i *access.Integration, g *access.Grant) (access.Details, error) {
	c, err := p.connect(i)
	if err != nil {
		return access.Details{}, err
	}
	policy := ""
	for _, item := range g.Items {
		if name, _, err := policyOf(item.Item); err == nil {
			policy = name
			break
		}
	}
	role, err := c.principals.of(g.Person.ID, policy)
	if err != nil {
		return access.Details{}, fmt.Errorf("integration %s: %w", i.Name, err)
	}
	w := c.wayOf(g.Person.ID, role, g.Items)
	w.alone = true
	return w.details(i), nil
}
