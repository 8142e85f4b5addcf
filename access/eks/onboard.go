package eks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/gatehouse-project/gatehouse/access"
)

// Tags of what Gatehouse makes in EKS.
const (
	tagManaged     = TagManaged
	tagIntegration = "gatehouse.dev/integration"
	// tagRoleID is the unique id of the role that an entry was made for. EKS keeps it
	// too, and lets nobody in when it is another; it does not show it.
	tagRoleID = "gatehouse.dev/role-id"
)

// Mode says whether connecting only plans or also changes the cluster.
type Mode string

// The modes.
const (
	PlanOnly Mode = "plan"
	Apply    Mode = "apply"
)

// Plan is what connecting an integration changes in its cluster: the mapping of the role
// that people share, once.
type Plan struct {
	Integration string `json:"integration"`
	Cluster     string `json:"cluster"`
	// Mapping is "aws-auth" or "access-entry".
	Mapping string `json:"mapping"`
	Role    string `json:"role"`
	// Template is the username template that holds after it.
	Template string `json:"template"`
	// Steps are what is changed, for people; empty: nothing has to be.
	Steps []string `json:"steps,omitempty"`
	// Before and After are mapRoles of aws-auth as they were and as they will be; empty
	// for an access entry. Neither holds a secret. Before is the pre-image, to be kept.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Done is set after the change was made and read back.
	Done bool `json:"done"`
}

// connectTries bounds the rounds of read, merge and write when others write aws-auth. The
// waits between them grow from connectWait, or two who write at once would keep meeting.
const (
	connectTries = 12
	connectWait  = 10 * time.Millisecond
)

// Connect maps the shared role to its users, once. Planning and applying look at the same
// things: what is applied is what a plan at that moment shows. Nothing that stands in
// aws-auth is changed or left out, an aws-auth that does not parse is not written, and an
// access entry that Gatehouse did not make is not changed.
func (p *RBAC) Connect(ctx context.Context, i *access.Integration, mode Mode) (*Plan, error) {
	c, err := p.connect(i)
	if err != nil {
		return nil, err
	}
	n, err := c.names(ctx, true)
	if err != nil {
		return nil, fmt.Errorf("connecting %s: %w", i.Name, err)
	}
	arn, id := n.arn, ""
	if found, roleID, _, err := c.roleOf(ctx); err == nil {
		arn, id = found, roleID
	}
	if arn == "" {
		return nil, fmt.Errorf("connecting %s: the account of the role %s is not known; set config.%s", i.Name, c.accessRole, keyAccount)
	}
	plan := &Plan{Integration: i.Name, Cluster: c.settings.cluster, Role: arn, Template: orElse(c.template, DefaultTemplate)}
	if plan.Mapping = c.mapping; plan.Mapping == "" {
		plan.Mapping = mappingEntry
		if n.mode == types.AuthenticationModeConfigMap || n.mode == "" {
			plan.Mapping = mappingConfigMap
		}
	}
	switch {
	case plan.Mapping == mappingEntry && n.mode == types.AuthenticationModeConfigMap:
		return nil, fmt.Errorf("connecting %s: the cluster knows aws-auth alone; set its authentication mode to API_AND_CONFIG_MAP, from which there is no way back, or config.%s to aws-auth", i.Name, keyMapping)
	case plan.Mapping == mappingConfigMap && n.mode == types.AuthenticationModeApi:
		return nil, fmt.Errorf("connecting %s: the cluster does not read aws-auth; set config.%s to access-entry", i.Name, keyMapping)
	case plan.Mapping == mappingEntry:
		err = c.connectEntry(ctx, plan, id, mode)
	default:
		err = c.connectAuth(ctx, plan, mode)
	}
	if err != nil {
		return nil, fmt.Errorf("connecting %s: %w", i.Name, err)
	}
	c.mu.Lock()
	c.live = nil // it is another now
	c.mu.Unlock()
	return plan, nil
}

// connectAuth adds the role to aws-auth: parse, compare what it means, write with the
// resourceVersion that was read, and read back.
func (c *connection) connectAuth(ctx context.Context, plan *Plan, mode Mode) error {
	k, err := c.api(ctx)
	if err != nil {
		return err
	}
	var last error
	for try := range connectTries {
		cm, err := readConfigMap(ctx, k)
		if answered(err, http.StatusNotFound) {
			cm, err = nil, nil
		}
		if err != nil {
			return err
		}
		change, err := planAuth(cm, plan)
		if err != nil {
			return err
		}
		if !change || mode != Apply {
			plan.Done = !change
			return nil
		}
		last = c.writeAuth(ctx, k, cm, plan)
		switch {
		case last == nil:
			plan.Done = true
			return c.readBack(ctx, k, plan)
		case answered(last, http.StatusConflict):
			// Somebody wrote in between. What they wrote is read and merged with.
			wait := connectWait << min(try, 6)
			if err := sleep(ctx, wait/2+time.Duration(rand.Int64N(int64(wait)))); err != nil { //nolint:gosec // it spreads waits, nothing rests on it
				return err
			}
		default:
			return last
		}
	}
	return fmt.Errorf("others keep writing aws-auth: %w", last)
}

// planAuth fills in the plan for aws-auth as it is; nil: there is none. It reports whether
// anything has to be changed.
func planAuth(cm *configMap, plan *Plan) (bool, error) {
	arn := mappedARN(plan.Role)
	plan.Steps, plan.Before, plan.After = nil, "", ""
	var data map[string]string
	if cm != nil {
		if cm.Immutable {
			return false, errors.New("the ConfigMap aws-auth is immutable")
		}
		data = cm.Data
	}
	m := parseAuth(data)
	if err := m.lost[keyMapRoles]; err != nil {
		return false, fmt.Errorf("mapRoles of aws-auth does not parse, and gatehouse does not write over it: %w; mend that line first", err)
	}
	plan.Before = data[keyMapRoles]
	if have, ok := m.role(arn); ok {
		if _, err := render(have.Username, "session@example.com", "000000000000"); err != nil {
			return false, fmt.Errorf("aws-auth maps %s already, and %w; change that entry by hand, gatehouse changes no entry of others", arn, err)
		}
		plan.Template, plan.After = have.Username, plan.Before
		return false, nil
	}
	if wild := m.wildcards(arn); len(wild) > 0 {
		return false, fmt.Errorf("aws-auth maps %s by the wildcard %s, and which of two entries counts would be chance; make that one narrower first", arn, strings.Join(wild, ", "))
	}
	after, err := addMapping(plan.Before, roleMapping{RoleARN: arn, Username: plan.Template})
	if err != nil {
		return false, err
	}
	plan.After = after
	if cm == nil {
		plan.Steps = append(plan.Steps, "create the ConfigMap aws-auth in kube-system")
	}
	plan.Steps = append(plan.Steps, fmt.Sprintf("add to mapRoles of aws-auth: %s as %s", arn, plan.Template))
	return true, nil
}

func (c *connection) writeAuth(ctx context.Context, k *kube, cm *configMap, plan *Plan) error {
	if cm == nil {
		return k.create(ctx, configMapPath, &configMap{
			APIVersion: "v1", Kind: "ConfigMap", Metadata: metadata{Name: configMapName, Namespace: "kube-system"},
			Data: map[string]string{keyMapRoles: plan.After},
		}, nil)
	}
	return k.patch(ctx, configMapPath+"/"+configMapName, map[string]any{
		"metadata": map[string]string{"resourceVersion": cm.Metadata.ResourceVersion},
		"data":     map[string]string{keyMapRoles: plan.After},
	}, nil)
}

// readBack reads aws-auth as the authenticator does, and says so loudly if the entry is
// not in it or another went.
func (c *connection) readBack(ctx context.Context, k *kube, plan *Plan) error {
	cm, err := readConfigMap(ctx, k)
	if err != nil {
		return fmt.Errorf("aws-auth was written and could not be read back: %w", err)
	}
	after := parseAuth(cm.Data)
	if have, ok := after.role(mappedARN(plan.Role)); !ok || have.Username != plan.Template {
		return errors.New("aws-auth was written and does not have the entry; somebody took it away again")
	}
	for _, was := range parseAuth(map[string]string{keyMapRoles: plan.Before}).roles {
		if was.RoleARN != "" && !slices.ContainsFunc(after.roles, func(r roleMapping) bool { return r.key() == was.key() }) {
			return fmt.Errorf("aws-auth was written and %s is not in it any more; gatehouse left it in: somebody took it away at the same moment", was.RoleARN)
		}
	}
	return nil
}

// connectEntry creates the shared role's access entry. One that stands is read and
// compared; it is changed only where Gatehouse made it.
func (c *connection) connectEntry(ctx context.Context, plan *Plan, roleID string, mode Mode) error {
	client, err := c.eksClient()
	if err != nil {
		return err
	}
	describe := func() (*types.AccessEntry, error) {
		out, err := client.DescribeAccessEntry(ctx, &eks.DescribeAccessEntryInput{ClusterName: &c.settings.cluster, PrincipalArn: &plan.Role})
		switch {
		case isNotFound(err):
			return nil, nil //nolint:nilnil // nil is an answer here
		case err != nil:
			return nil, fmt.Errorf("eks:DescribeAccessEntry of %s: %w", plan.Role, refused(err))
		}
		return out.AccessEntry, nil
	}
	have, err := describe()
	if err != nil {
		return err
	}
	if have == nil {
		if err := checkEntryTemplate(plan.Template); err != nil {
			return err
		}
		plan.Steps = []string{fmt.Sprintf("create an access entry for %s as %s", plan.Role, plan.Template)}
		if mode != Apply {
			return nil
		}
		tags, err := c.entryTags(ctx)
		if err != nil {
			return err
		}
		if roleID != "" {
			tags[tagRoleID] = roleID
		}
		_, err = client.CreateAccessEntry(ctx, &eks.CreateAccessEntryInput{
			ClusterName: &c.settings.cluster, PrincipalArn: &plan.Role, Username: &plan.Template, Tags: tags,
		})
		switch {
		case awsCode(err) == "ResourceInUseException":
			// Somebody was faster; or it was there and is not shown yet.
		case awsCode(err) == "InvalidParameterException" && strings.Contains(err.Error(), "principalArn"):
			return fmt.Errorf("eks:CreateAccessEntry: %w; there is no role %s: make it, or name another in config.%s", err, plan.Role, keyAccessRole)
		case awsCode(err) == "InvalidParameterException" && strings.Contains(plan.Template, variableRaw):
			return fmt.Errorf("eks:CreateAccessEntry of %s: %w; if this cluster does not know %s, set config.%s to gatehouse:%s", plan.Role, err, variableRaw, keyTemplate, variableSession)
		case err != nil:
			return fmt.Errorf("eks:CreateAccessEntry of %s: %w", plan.Role, refused(err))
		}
		if have, err = describe(); err != nil {
			return err
		}
		if have == nil {
			// EKS shows it some seconds later. Connecting again, or the check, sees it.
			plan.Steps = append(plan.Steps, "EKS took the entry and does not show it yet; check the integration in some seconds")
			return nil
		}
	}
	return c.compareEntry(ctx, client, plan, have, mode)
}

// compareEntry takes an entry that stands: as it is where it can be used, and changed
// where it is ours and not as the settings say.
func (c *connection) compareEntry(ctx context.Context, client *eks.Client, plan *Plan, have *types.AccessEntry, mode Mode) error {
	template := aws.ToString(have.Username)
	who, err := c.entryOwner(ctx, plan.Role, have.Tags, false)
	if err != nil {
		return err
	}
	mine := who == ours
	_, err = render(template, "session@example.com", "000000000000")
	switch {
	case err == nil && (template == plan.Template || c.template == "" || !mine):
		if c.template != "" && template != c.template {
			return fmt.Errorf("the access entry of %s names people %q and config.%s says %q: %w; change one of them", plan.Role, template, keyTemplate, c.template, access.ErrForeign)
		}
		plan.Template, plan.Done = template, true
		return nil
	case !mine:
		return fmt.Errorf("the access entry of %s stands already, and %w; %w: change its username to %s, or delete it", plan.Role, err, access.ErrForeign, DefaultTemplate)
	}
	if err := checkEntryTemplate(plan.Template); err != nil {
		return err
	}
	plan.Steps = append(plan.Steps, fmt.Sprintf("change the username of the access entry of %s from %s to %s", plan.Role, template, plan.Template))
	if mode != Apply {
		return nil
	}
	if _, err := client.UpdateAccessEntry(ctx, &eks.UpdateAccessEntryInput{
		ClusterName: &c.settings.cluster, PrincipalArn: &plan.Role, Username: &plan.Template, KubernetesGroups: have.KubernetesGroups,
	}); err != nil {
		return fmt.Errorf("eks:UpdateAccessEntry of %s: %w", plan.Role, refused(err))
	}
	plan.Done = true
	return nil
}

// entryTags are the tags of an access entry that this installation makes.
func (c *connection) entryTags(ctx context.Context) (map[string]string, error) {
	tags := map[string]string{tagManaged: managedBy, tagIntegration: integrationLabel(c.integration)}
	installation, err := c.all.installation(ctx)
	if installation != "" {
		tags[tagInstallation] = installation
	}
	return tags, err
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
