package awssim

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// cluster is an EKS cluster with the principals that it lets in.
type cluster struct {
	name    string
	fields  Object
	entries []Object // with "policies", the associated access policies
}

// AddCluster adds an EKS cluster, or replaces the one of that name: its fields as
// DescribeCluster answers them, name among them, and its access entries as
// DescribeAccessEntry does, each with the associated access policies in "policies".
func (r *Region) AddCluster(fields Object, entries ...Object) {
	c := &cluster{fields: maps.Clone(fields), entries: slices.Clone(entries)}
	c.name, _ = fields["name"].(string)
	if c.fields["arn"] == nil {
		c.fields["arn"] = r.arn("eks", "cluster/"+c.name)
	}
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

var eksRoutes = []route{
	{http.MethodGet, "/clusters", operation{name: "ListClusters", run: listClusters}},
	{http.MethodGet, "/clusters/{cluster}", operation{name: "DescribeCluster", prepare: aboutCluster, run: describeCluster}},
	{http.MethodGet, "/clusters/{cluster}/access-entries", operation{name: "ListAccessEntries", prepare: aboutCluster, run: listAccessEntries}},
	{http.MethodGet, "/clusters/{cluster}/access-entries/{entry}", operation{name: "DescribeAccessEntry", prepare: aboutEntry, run: describeAccessEntry}},
	{http.MethodGet, "/clusters/{cluster}/access-entries/{entry}/access-policies", operation{name: "ListAssociatedAccessPolicies", prepare: aboutEntry, run: listAssociatedPolicies}},
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

func aboutCluster(x *exchange) error {
	x.call.Resource = "arn:" + x.sim.partition + ":eks:" + x.region + ":" + x.account.id + ":cluster/" + x.args["cluster"]
	return nil
}

// aboutEntry names an entry as its ARN does, up to the id that AWS gives it.
func aboutEntry(x *exchange) error {
	part := strings.SplitN(x.args["entry"], ":", 6)
	if len(part) < 6 {
		return &Error{Code: "InvalidParameterException", Message: "The principalArn parameter format is not valid"}
	}
	kind, name, _ := strings.Cut(part[5], "/")
	x.call.Resource = "arn:" + x.sim.partition + ":eks:" + x.region + ":" + x.account.id + ":access-entry/" + x.args["cluster"] +
		"/" + kind + "/" + part[4] + "/" + name + "/00000000-0000-0000-0000-000000000000"
	return nil
}

func (x *exchange) theCluster() (*cluster, error) {
	r, err := x.reached()
	if err != nil {
		return nil, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, c := range r.clusters {
		if c.name == x.args["cluster"] {
			return c, nil
		}
	}
	return nil, &Error{Status: http.StatusNotFound, Code: "ResourceNotFoundException", Message: "No cluster found for name: " + x.args["cluster"] + "."}
}

// entriesOf are the access entries of the cluster of the call. One that knows the
// ConfigMap alone has none, and says so.
func (x *exchange) entriesOf() ([]Object, error) {
	c, err := x.theCluster()
	if err != nil {
		return nil, err
	}
	if config, ok := c.fields["accessConfig"].(Object); !ok || config["authenticationMode"] == "CONFIG_MAP" {
		return nil, &Error{Code: "InvalidRequestException", Message: "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation."}
	}
	return c.entries, nil
}

func (x *exchange) theEntry() (Object, error) {
	entries, err := x.entriesOf()
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e["principalArn"] == x.args["entry"] {
			return e, nil
		}
	}
	return nil, &Error{
		Status: http.StatusNotFound, Code: "ResourceNotFoundException",
		Message: "The specified principalArn could not be found. You can view your available access entries with 'list-access-entries'.",
	}
}

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
	c, err := x.theCluster()
	if err != nil {
		return err
	}
	return x.answerJSON(item{"cluster": c.fields})
}

func listAccessEntries(x *exchange) error {
	entries, err := x.entriesOf()
	if err != nil {
		return err
	}
	principals := make([]any, 0, len(entries))
	for _, e := range entries {
		principals = append(principals, e["principalArn"])
	}
	return answerEKS(x, "accessEntries", principals)
}

func describeAccessEntry(x *exchange) error {
	e, err := x.theEntry()
	if err != nil {
		return err
	}
	shown := maps.Clone(e)
	delete(shown, "policies")
	shown["clusterName"] = x.args["cluster"]
	return x.answerJSON(item{"accessEntry": shown})
}

func listAssociatedPolicies(x *exchange) error {
	e, err := x.theEntry()
	if err != nil {
		return err
	}
	list, _ := e["policies"].([]Object)
	return answerEKS(x, "associatedAccessPolicies", list)
}
