package awssim

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The authentication modes of a cluster, in the order in which it may go through
// them.
const (
	modeConfigMap    = "CONFIG_MAP"
	modeAPIConfigMap = "API_AND_CONFIG_MAP"
	modeAPI          = "API"
)

// accessEntry is what lets a principal into a cluster.
type accessEntry struct {
	principal string // ARN
	// principalID is the unique id of the role or user that the entry was made for.
	// EKS does not show it; one that is made anew under the same name has another,
	// and the entry is of no use to it. Empty: never known.
	principalID string
	fields      Object // as DescribeAccessEntry answers them
	policies    []Object
	token       string // of the call that created it
}

// entriesOf are the entries that readers see. A cluster that knows the ConfigMap
// alone has none, and says so.
func (x *exchange) entriesOf() ([]*accessEntry, error) {
	var entries []*accessEntry
	err := x.atCluster(func(_ *Region, c *cluster) error {
		entries = c.visible(x.sim.clock())
		return c.knowsEntries(x.sim.clock())
	})
	return entries, err
}

func (c *cluster) knowsEntries(now time.Time) error {
	config, _ := c.fieldsAt(now)["accessConfig"].(Object)
	if config == nil || config["authenticationMode"] == modeConfigMap {
		return &Error{Code: "InvalidRequestException", Message: "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation."}
	}
	return nil
}

func noEntry() *Error {
	return eksNotFound("The specified principalArn could not be found. You can view your available access entries with 'list-access-entries'.")
}

func entryOf(entries []*accessEntry, principal string) int {
	return slices.IndexFunc(entries, func(e *accessEntry) bool { return e.principal == principal })
}

func (x *exchange) theEntry() (*accessEntry, error) {
	entries, err := x.entriesOf()
	if err != nil {
		return nil, err
	}
	if i := entryOf(entries, x.args["entry"]); i >= 0 {
		return entries[i], nil
	}
	return nil, noEntry()
}

// AccessEntries are the access entries by which a cluster lets principals in now, as
// its authenticator knows them: what was written within ClusterDelays.Entries is not
// there yet, and an entry whose role or user was deleted is not there, even if there
// is one of that name again. Each is as DescribeAccessEntry answers it, with the
// associated access policies in "policies" and the unique id of the role or user in
// "principalId". A cluster that knows the ConfigMap alone has none.
func (r *Region) AccessEntries(cluster string) []Object {
	now := r.account.sim.clock()
	r.mu.RLock()
	c := r.cluster(cluster)
	var entries []*accessEntry
	if c != nil && c.knowsEntries(now) == nil {
		entries = c.visible(now)
	}
	r.mu.RUnlock()
	all := []Object{}
	for _, e := range entries {
		id, _ := r.account.sim.principalID(e.principal)
		if e.principalID != "" && id != e.principalID {
			continue
		}
		shown := e.shown(cluster)
		shown["policies"], shown["principalId"] = e.policies, id
		all = append(all, shown)
	}
	return all
}

// AuthenticationMode is how a cluster knows principals now: CONFIG_MAP,
// API_AND_CONFIG_MAP or API; empty where there is no such cluster.
func (r *Region) AuthenticationMode(cluster string) string {
	now := r.account.sim.clock()
	r.mu.RLock()
	defer r.mu.RUnlock()
	c := r.cluster(cluster)
	if c == nil {
		return ""
	}
	config, _ := c.fieldsAt(now)["accessConfig"].(Object)
	mode, _ := config["authenticationMode"].(string)
	return orString(mode, modeConfigMap)
}

func (e *accessEntry) shown(cluster string) Object {
	shown := maps.Clone(e.fields)
	shown["clusterName"] = cluster
	return shown
}

// principalID is the unique id of a role, user or account by its ARN; ok is false
// where there is none.
func (s *Sim) principalID(arn string) (id string, ok bool) {
	part := strings.SplitN(arn, ":", 6)
	if len(part) < 6 || part[1] != s.partition || part[2] != "iam" {
		return "", false
	}
	a := s.account(part[4])
	if a == nil {
		return "", false
	}
	kind, path, _ := strings.Cut(part[5], "/")
	name := path[strings.LastIndexByte(path, '/')+1:]
	switch kind {
	case "role":
		if r := a.role(name); r != nil && r.arn == arn {
			return r.id, true
		}
	case "user":
		if u := a.user(name); u != nil && u.arn == arn {
			return u.id, true
		}
	case "root":
		return a.id, path == ""
	}
	return "", false
}

// parsePrincipal takes the ARN of an entry's principal apart. Sessions, whose ARN is
// one of STS, cannot have entries.
func parsePrincipal(arn string) (account, kind, name string, err error) {
	part := strings.SplitN(arn, ":", 6)
	if len(part) < 6 || part[0] != "arn" || part[2] != "iam" {
		return "", "", "", &Error{Code: "InvalidParameterException", Message: "The principalArn parameter format is not valid"}
	}
	kind, name, _ = strings.Cut(part[5], "/")
	return part[4], kind, name, nil
}

// aboutEntry names an entry as its ARN does. One that does not exist has no id, so
// policies must leave the id open.
func aboutEntry(x *exchange) error {
	account, kind, name, err := parsePrincipal(x.args["entry"])
	if err != nil {
		return err
	}
	x.call.Resource = x.entryARN(account, kind, name, "00000000-0000-0000-0000-000000000000")
	x.condition("eks:clusterName", x.args["cluster"])
	x.condition("eks:principalArn", x.args["entry"])
	r, err := x.reached()
	if err != nil {
		return err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	c := r.cluster(x.args["cluster"])
	if c == nil {
		return nil
	}
	if i := entryOf(c.entries, x.args["entry"]); i >= 0 {
		fields := c.entries[i].fields
		if arn, ok := fields["accessEntryArn"].(string); ok {
			x.call.Resource = arn
		}
		kind, _ := fields["type"].(string)
		x.condition("eks:accessEntryType", kind)
		user, _ := fields["username"].(string)
		x.condition("eks:username", user)
		groups, _ := fields["kubernetesGroups"].([]string)
		x.condition("eks:kubernetesGroups", groups...)
		tagConditions(x.call.Context, "aws:ResourceTag/", eksTagsOf(fields))
	}
	return nil
}

func (x *exchange) entryARN(account, kind, name, id string) string {
	return "arn:" + x.sim.partition + ":eks:" + x.region + ":" + x.account.id + ":access-entry/" + x.args["cluster"] +
		"/" + kind + "/" + account + "/" + name + "/" + id
}

func listAccessEntries(x *exchange) error {
	entries, err := x.entriesOf()
	if err != nil {
		return err
	}
	policy := x.r.URL.Query().Get("associatedPolicyArn")
	principals := make([]string, 0, len(entries))
	for _, e := range entries {
		if policy == "" || associationOf(e.policies, policy) >= 0 {
			principals = append(principals, e.principal)
		}
	}
	return answerEKS(x, "accessEntries", principals)
}

func describeAccessEntry(x *exchange) error {
	e, err := x.theEntry()
	if err != nil {
		return err
	}
	return x.answerJSON(item{"accessEntry": e.shown(x.args["cluster"])})
}

type accessEntryInput struct {
	PrincipalArn       string            `json:"principalArn"`
	KubernetesGroups   *[]string         `json:"kubernetesGroups"`
	Tags               map[string]string `json:"tags"`
	ClientRequestToken string            `json:"clientRequestToken"`
	Username           *string           `json:"username"`
	Type               string            `json:"type"`
}

// aboutNewEntry reads what entry is to be created. The permission is one on the
// cluster.
func aboutNewEntry(x *exchange) error {
	if err := aboutCluster(x); err != nil {
		return err
	}
	in, err := eksInput[accessEntryInput](x)
	if err != nil {
		return err
	}
	x.condition("eks:principalArn", in.PrincipalArn)
	x.condition("eks:accessEntryType", orString(in.Type, "STANDARD"))
	in.conditions(x)
	tagConditions(x.call.Context, "aws:RequestTag/", in.Tags)
	x.condition("aws:TagKeys", slices.Sorted(maps.Keys(in.Tags))...)
	return nil
}

func (in *accessEntryInput) conditions(x *exchange) {
	if in.Username != nil {
		x.condition("eks:username", *in.Username)
	}
	if in.KubernetesGroups != nil {
		x.condition("eks:kubernetesGroups", *in.KubernetesGroups...)
	}
}

func aboutChangedEntry(x *exchange) error {
	if err := aboutEntry(x); err != nil {
		return err
	}
	in, err := eksInput[accessEntryInput](x)
	if err != nil {
		return err
	}
	in.conditions(x)
	return nil
}

// reservedNames are how names of users and groups in Kubernetes must not begin.
var reservedNames = []string{"system:", "eks:", "aws:", "amazon:", "iam:"}

// check refuses names that EKS keeps to itself, and those that a session could make
// equal to another's. The texts for system: are AWS's own; the one about the colon
// says what AWS documents.
func (in *accessEntryInput) check() error {
	if in.KubernetesGroups != nil {
		for _, g := range *in.KubernetesGroups {
			for _, taken := range reservedNames {
				if strings.HasPrefix(g, taken) {
					return invalid("The kubernetes group name %s is invalid, it cannot start with %s", g, taken)
				}
			}
			if g == "" {
				return invalid("The kubernetes group name must not be empty")
			}
		}
	}
	if in.Username == nil {
		return nil
	}
	for _, taken := range reservedNames {
		if strings.HasPrefix(*in.Username, taken) {
			return invalid("The username must not begin with %s", taken)
		}
	}
	for _, variable := range []string{"{{SessionName}}", "{{SessionNameRaw}}"} {
		if before, _, found := strings.Cut(*in.Username, variable); found && !strings.Contains(before, ":") {
			return invalid("The username must have a colon before %s", variable)
		}
	}
	return nil
}

// nodeTypes are the types of entries for nodes, whose names EKS gives itself.
var nodeTypes = []string{"EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "EC2", "HYBRID_LINUX", "HYPERPOD_LINUX"}

func createAccessEntry(x *exchange) error {
	in := input[accessEntryInput](x)
	account, kind, name, err := parsePrincipal(in.PrincipalArn)
	if err != nil {
		return err
	}
	if kind == "role" && strings.HasPrefix(name, "aws-service-role/") {
		return invalid("The caller is not allowed to modify access entries with a principalArn value of a Service Linked Role")
	}
	id, ok := x.sim.principalID(in.PrincipalArn)
	if !ok {
		return invalid("The specified principalArn is invalid: invalid principal.")
	}
	entryType := orString(in.Type, "STANDARD")
	node := slices.Contains(nodeTypes, entryType)
	switch {
	case entryType != "STANDARD" && !node:
		return invalid("The type %s is not valid", entryType)
	case node && (kind != "role" || account != x.account.id):
		return invalid("The specified principalArn is invalid: an access entry of type %s takes a role of the cluster's account.", entryType)
	case node && (in.Username != nil || in.KubernetesGroups != nil && len(*in.KubernetesGroups) > 0):
		return invalid("The username and kubernetesGroups of an access entry of type %s cannot be set", entryType)
	}
	if in.Username != nil && *in.Username == "" {
		in.Username = nil
	}
	if err := in.check(); err != nil {
		return err
	}
	e := x.newEntry(in, account, kind, name, entryType)
	e.principalID = id
	err = x.changeCluster(func(r *Region, c *cluster) error {
		if err := c.knowsEntries(x.sim.clock()); err != nil {
			return err
		}
		if i := entryOf(c.entries, in.PrincipalArn); i >= 0 {
			if have := c.entries[i]; in.ClientRequestToken != "" && have.token == in.ClientRequestToken {
				e = have // the same call once more
				return nil
			}
			return &Error{Status: http.StatusConflict, Code: "ResourceInUseException", Message: "The specified access entry resource is already in use on this cluster."}
		}
		c.write(append(slices.Clip(c.entries), e), x.sim.clock(), r.clusterDelays.Entries)
		return nil
	})
	if err != nil {
		return err
	}
	return x.answerJSON(item{"accessEntry": e.shown(x.args["cluster"])})
}

func (x *exchange) newEntry(in *accessEntryInput, account, kind, name, entryType string) *accessEntry {
	// An id of its own would do; that of a request is of the same form.
	now := float64(x.sim.clock().UnixMilli()) / 1000
	e := &accessEntry{principal: in.PrincipalArn, token: in.ClientRequestToken, fields: Object{
		"principalArn": in.PrincipalArn, "type": entryType, "createdAt": now, "modifiedAt": now,
		"accessEntryArn": x.entryARN(account, kind, name, x.sim.requestID()),
		"tags":           orEmpty(maps.Clone(in.Tags)), "kubernetesGroups": []string{}, "username": x.defaultUsername(in.PrincipalArn, account, kind, name, entryType),
	}}
	switch {
	case entryType == "STANDARD" && in.KubernetesGroups != nil:
		e.fields["kubernetesGroups"] = slices.Clone(*in.KubernetesGroups)
	case entryType == "EC2_LINUX", entryType == "EC2_WINDOWS":
		e.fields["kubernetesGroups"] = []string{"system:nodes"}
	}
	if in.Username != nil {
		e.fields["username"] = *in.Username
	}
	return e
}

// defaultUsername is what EKS calls a principal whose entry does not say.
func (x *exchange) defaultUsername(arn, account, kind, name, entryType string) string {
	switch {
	case entryType != "STANDARD":
		return "system:node:{{EC2PrivateDNSName}}"
	case kind == "role":
		return "arn:" + x.sim.partition + ":sts::" + account + ":assumed-role/" + name[strings.LastIndexByte(name, '/')+1:] + "/{{SessionName}}"
	}
	return arn
}

// changeEntry replaces the entry of the call by a changed copy; one that is nil is
// deleted.
func (x *exchange) changeEntry(change func(e *accessEntry) (*accessEntry, error)) error {
	return x.changeCluster(func(r *Region, c *cluster) error {
		now := x.sim.clock()
		if err := c.knowsEntries(now); err != nil {
			return err
		}
		i := entryOf(c.entries, x.args["entry"])
		if i < 0 {
			return noEntry()
		}
		have := *c.entries[i]
		have.fields, have.policies = maps.Clone(have.fields), slices.Clone(have.policies)
		next, err := change(&have)
		if err != nil {
			return err
		}
		entries := slices.Clone(c.entries)
		if next == nil {
			entries = slices.Delete(entries, i, i+1)
		} else {
			entries[i] = next
		}
		c.write(entries, now, r.clusterDelays.Entries)
		return nil
	})
}

func updateAccessEntry(x *exchange) error {
	in := input[accessEntryInput](x)
	if err := in.check(); err != nil {
		return err
	}
	var shown Object
	err := x.changeEntry(func(e *accessEntry) (*accessEntry, error) {
		if e.fields["type"] != nil && e.fields["type"] != "STANDARD" {
			return nil, &Error{Code: "InvalidRequestException", Message: "An access entry of this type cannot be updated."}
		}
		if in.KubernetesGroups != nil {
			e.fields["kubernetesGroups"] = slices.Clone(*in.KubernetesGroups)
		}
		if in.Username != nil && *in.Username != "" {
			e.fields["username"] = *in.Username
		}
		e.fields["modifiedAt"] = float64(x.sim.clock().UnixMilli()) / 1000
		shown = e.shown(x.args["cluster"])
		return e, nil
	})
	if err != nil {
		return err
	}
	return x.answerJSON(item{"accessEntry": shown})
}

func deleteAccessEntry(x *exchange) error {
	err := x.changeEntry(func(*accessEntry) (*accessEntry, error) { return nil, nil }) //nolint:nilnil // nil deletes it
	if err != nil {
		return err
	}
	return x.answerJSON(item{})
}
