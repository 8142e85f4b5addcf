package awssim

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/iam"
)

// cluster is an EKS cluster with the principals that it lets in. The lock of its
// region guards it. Lists of entries, and entries, are replaced and never changed,
// so that readers keep what they have.
type cluster struct {
	name    string
	fields  Object
	entries []*accessEntry // as the last write left them
	seen    []entriesSince // what readers see, oldest first
	updates []*clusterUpdate
}

// entriesSince are the access entries that readers see from a time on.
type entriesSince struct {
	from    time.Time
	entries []*accessEntry
}

// ClusterDelays are how long EKS takes. The zero value is an EKS that is done at
// once.
type ClusterDelays struct {
	// Entries is how long what is written of access entries stays unseen by
	// DescribeAccessEntry, the listings and AccessEntries. Writes see each other at
	// once: an entry that was just created conflicts with another of its principal,
	// and can be deleted. That is best evidence: AWS says no more than that entries
	// are eventually consistent, after several seconds.
	Entries time.Duration
	// Update is how long a cluster is UPDATING after UpdateClusterConfig.
	Update time.Duration
}

// SetClusterDelays sets how long EKS takes in this account and region from now on.
func (r *Region) SetClusterDelays(d ClusterDelays) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clusterDelays = d
}

// AddCluster adds an EKS cluster, or replaces the one of that name: its fields as
// DescribeCluster answers them, name among them, and its access entries as
// DescribeAccessEntry does, each with the associated access policies in "policies".
func (r *Region) AddCluster(fields Object, entries ...Object) {
	c := &cluster{fields: maps.Clone(fields)}
	c.name, _ = fields["name"].(string)
	if c.fields["arn"] == nil {
		c.fields["arn"] = r.arn("eks", "cluster/"+c.name)
	}
	for _, given := range entries {
		e := &accessEntry{fields: maps.Clone(given)}
		e.principal, _ = given["principalArn"].(string)
		e.principalID, _ = r.account.sim.principalID(e.principal)
		e.policies, _ = given["policies"].([]Object)
		delete(e.fields, "policies")
		c.entries = append(c.entries, e)
	}
	c.seen = []entriesSince{{entries: c.entries}}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clusters = slices.DeleteFunc(slices.Clone(r.clusters), func(o *cluster) bool { return o.name == c.name })
	r.clusters = append(r.clusters, c)
	slices.SortFunc(r.clusters, func(a, b *cluster) int { return strings.Compare(a.name, b.name) })
}

// RemoveCluster deletes a cluster.
func (r *Region) RemoveCluster(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clusters = slices.DeleteFunc(slices.Clone(r.clusters), func(o *cluster) bool { return o.name == name })
}

// cluster finds a cluster; nil: there is none. The region is locked.
func (r *Region) cluster(name string) *cluster {
	for _, c := range r.clusters {
		if c.name == name {
			return c
		}
	}
	return nil
}

// visible are the entries that readers see at a time.
func (c *cluster) visible(now time.Time) []*accessEntry {
	var all []*accessEntry
	for _, s := range c.seen {
		if s.from.After(now) {
			break
		}
		all = s.entries
	}
	return all
}

// write replaces the entries, and lets readers see that after the delay.
func (c *cluster) write(entries []*accessEntry, now time.Time, delay time.Duration) {
	c.entries = entries
	// What nobody will see any more is forgotten.
	for len(c.seen) > 1 && !c.seen[1].from.After(now) {
		c.seen = c.seen[1:]
	}
	c.seen = append(slices.Clip(c.seen), entriesSince{from: now.Add(delay), entries: entries})
}

// mode is the cluster's authentication mode. One without an access configuration
// is as those were that EKS made before there were access entries.
func (c *cluster) mode() string {
	config, _ := c.fields["accessConfig"].(Object)
	mode, _ := config["authenticationMode"].(string)
	return orString(mode, modeConfigMap)
}

var eksRoutes = []route{
	{http.MethodGet, "/clusters", operation{name: "ListClusters", run: listClusters}},
	{http.MethodGet, "/clusters/{cluster}", operation{name: "DescribeCluster", prepare: aboutCluster, run: describeCluster}},
	{http.MethodGet, "/clusters/{cluster}/access-entries", operation{name: "ListAccessEntries", prepare: aboutCluster, run: listAccessEntries}},
	{http.MethodPost, "/clusters/{cluster}/access-entries", operation{name: "CreateAccessEntry", prepare: aboutNewEntry, run: createAccessEntry}},
	{http.MethodGet, "/clusters/{cluster}/access-entries/{entry}", operation{name: "DescribeAccessEntry", prepare: aboutEntry, run: describeAccessEntry}},
	{http.MethodPost, "/clusters/{cluster}/access-entries/{entry}", operation{name: "UpdateAccessEntry", prepare: aboutChangedEntry, run: updateAccessEntry}},
	{http.MethodDelete, "/clusters/{cluster}/access-entries/{entry}", operation{name: "DeleteAccessEntry", prepare: aboutEntry, run: deleteAccessEntry}},
	{http.MethodGet, "/clusters/{cluster}/access-entries/{entry}/access-policies", operation{name: "ListAssociatedAccessPolicies", prepare: aboutEntry, run: listAssociatedPolicies}},
	{http.MethodPost, "/clusters/{cluster}/access-entries/{entry}/access-policies", operation{name: "AssociateAccessPolicy", prepare: aboutAssociation, run: associateAccessPolicy}},
	{http.MethodDelete, "/clusters/{cluster}/access-entries/{entry}/access-policies/{policy}", operation{name: "DisassociateAccessPolicy", prepare: aboutEndOfAssociation, run: disassociateAccessPolicy}},
	{http.MethodGet, "/access-policies", operation{name: "ListAccessPolicies", run: listAccessPolicies}},
	{http.MethodPost, "/clusters/{cluster}/update-config", operation{name: "UpdateClusterConfig", prepare: aboutClusterConfig, run: updateClusterConfig}},
	{http.MethodGet, "/clusters/{cluster}/updates", operation{name: "ListUpdates", prepare: aboutCluster, run: listUpdates}},
	{http.MethodGet, "/clusters/{cluster}/updates/{update}", operation{name: "DescribeUpdate", prepare: aboutCluster, run: describeUpdate}},
	{http.MethodGet, "/tags/{arn}", operation{name: "ListTagsForResource", prepare: aboutTags, run: listEKSTags}},
	{http.MethodPost, "/tags/{arn}", operation{name: "TagResource", prepare: aboutTags, run: tagEKS}},
	{http.MethodDelete, "/tags/{arn}", operation{name: "UntagResource", prepare: aboutTags, run: untagEKS}},
}

func findEKS(x *exchange) (operation, error) {
	given := strings.Split(strings.Trim(x.r.URL.EscapedPath(), "/"), "/")
	for i := range eksRoutes {
		rt := &eksRoutes[i]
		if rt.method != x.r.Method {
			continue
		}
		if args, ok := matchPath(strings.Split(rt.path[1:], "/"), given); ok {
			x.args = args
			return rt.operation, nil
		}
	}
	return operation{}, unknownOperation("eks " + x.r.Method + " " + x.r.URL.Path)
}

// eksInput reads the body of a call into a T.
func eksInput[T any](x *exchange) (*T, error) {
	in := new(T)
	if len(x.body) > 0 {
		if err := json.Unmarshal(x.body, in); err != nil {
			return nil, &Error{Code: "SerializationException", Message: "the request body is not what the operation takes: " + err.Error()}
		}
	}
	x.input = in
	return in, nil
}

// condition sets a condition key of the call, unless it has no values.
func (x *exchange) condition(key string, values ...string) {
	if len(values) > 0 && values[0] != "" {
		x.call.Context[key] = values
	}
}

// tagConditions sets the condition keys of tags that a resource has, or that a call
// brings.
func tagConditions(c iam.Context, prefix string, tags map[string]string) {
	for key, value := range tags {
		c[prefix+key] = []string{value}
	}
}

func aboutCluster(x *exchange) error {
	x.call.Resource = "arn:" + x.sim.partition + ":eks:" + x.region + ":" + x.account.id + ":cluster/" + x.args["cluster"]
	r, err := x.reached()
	if err != nil {
		return err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if c := r.cluster(x.args["cluster"]); c != nil {
		tagConditions(x.call.Context, "aws:ResourceTag/", eksTagsOf(c.fields))
	}
	return nil
}

// atCluster reads the cluster of the call; the region is locked meanwhile.
func (x *exchange) atCluster(read func(r *Region, c *cluster) error) error {
	r, err := x.reached()
	if err != nil {
		return err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	c := r.cluster(x.args["cluster"])
	if c == nil {
		return noCluster(x.args["cluster"])
	}
	return read(r, c)
}

// changeCluster changes the cluster of the call; the region is locked meanwhile.
func (x *exchange) changeCluster(change func(r *Region, c *cluster) error) error {
	r, err := x.reached()
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.cluster(x.args["cluster"])
	if c == nil {
		return noCluster(x.args["cluster"])
	}
	c.finishUpdates(x.sim.clock())
	return change(r, c)
}

func eksNotFound(text string) *Error {
	return &Error{Status: http.StatusNotFound, Code: "ResourceNotFoundException", Message: text}
}

func noCluster(name string) *Error { return eksNotFound("No cluster found for name: " + name + ".") }

// answerEKS answers one page of a listing.
func answerEKS[T any](x *exchange, field string, list []T) error {
	q := x.r.URL.Query()
	limit := 100
	if text := q.Get("maxResults"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 100 {
			return &Error{Code: "InvalidParameterException", Message: "maxResults must be between 1 and 100"}
		}
		limit = n
	}
	part, next, ok := page(x.r.URL.Path, q.Get("nextToken"), limit, list)
	if !ok {
		return &Error{Code: "InvalidParameterException", Message: "The nextToken is invalid"}
	}
	if part == nil {
		part = []T{}
	}
	return x.answerJSON(item{field: part}.set("nextToken", next))
}

func listClusters(x *exchange) error {
	r, err := x.reached()
	if err != nil {
		return err
	}
	r.mu.RLock()
	names := make([]string, 0, len(r.clusters))
	for _, c := range r.clusters {
		names = append(names, c.name)
	}
	r.mu.RUnlock()
	return answerEKS(x, "clusters", names)
}

func describeCluster(x *exchange) error {
	var shown Object
	err := x.atCluster(func(_ *Region, c *cluster) error {
		shown = c.fieldsAt(x.sim.clock())
		return nil
	})
	if err != nil {
		return err
	}
	return x.answerJSON(item{"cluster": shown})
}
