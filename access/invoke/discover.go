package invoke

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// tagARN is the tag that holds what a resource is in IAM policies. It is Gatehouse's
// own, and nothing in AWS.
const tagARN = "gatehouse.dev/arn"

var errUndiscovered = errors.New("the estate was not discovered yet; let gatehouse read the account, or wait for the next discovery")

// Discover returns the APIs with their stages and routes as the estate was discovered
// last. What IAM has no say in cannot be limited, and is left out: routes without
// AWS_IAM, and APIs without a single route that has it.
func (l *Lender) Discover(ctx context.Context, i *access.Integration) ([]flow.Resource, error) {
	c, err := l.connect(i)
	if err != nil {
		return nil, err
	}
	s, err := l.opts.Estate(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the estate: %w", err)
	}
	if s == nil {
		return nil, errUndiscovered
	}
	var out []flow.Resource
	for _, id := range c.apis {
		a := c.api(s, id)
		if a == nil {
			return nil, fmt.Errorf("API %s is not among those that were discovered in region %s of account %s; see that gatehouse reads that account and region", id, c.region, c.account)
		}
		out = append(out, c.resources(a)...)
	}
	return out, nil
}

// resources are what can be lent of one API.
func (c *connection) resources(a *estate.API) []flow.Resource {
	routes := lendableRoutes(a)
	if len(routes) == 0 && !a.RoutesPartial {
		return nil
	}
	w := &writer{settings: c.settings, partition: c.partition}
	name := a.Name
	if name == "" {
		name = a.ID
	}
	whole := []string{permissionInvoke}
	if a.Type == transaction.WebSocket {
		whole = []string{permissionInvoke, permissionManage}
	}
	var out []flow.Resource
	add := func(kind, id, title, path string, tags map[string]string, permissions []string) {
		item := flow.Item{Resource: flow.Resource{Type: kind, ID: id}, Permission: permissions[0]}
		r, err := c.rightOf(item)
		if err != nil {
			return // it cannot be said in an ARN
		}
		tags = maps.Clone(tags)
		if tags == nil {
			tags = map[string]string{}
		}
		tags[tagARN] = w.arn(r.api, r.resource())
		out = append(out, flow.Resource{Integration: c.integration, Type: kind, ID: id, Name: title, Path: path, Tags: tags, Permissions: permissions})
	}
	if len(c.stages) == 0 {
		add(resourceAPI, apiID(a.ID), name, name, a.Tags, whole)
	}
	for n := range a.Stages {
		st := &a.Stages[n]
		if !c.lends(st.Name) {
			continue
		}
		tags := maps.Clone(a.Tags)
		if tags == nil {
			tags = map[string]string{}
		}
		maps.Copy(tags, st.Tags)
		add(resourceStage, stageID(a.ID, st.Name), st.Name, name+" / "+st.Name, tags, whole)
		if a.Type == transaction.WebSocket {
			path := name + " / " + st.Name + " / "
			add(resourceRoute, routeID(a.ID, st.Name, routeConnect), routeConnect, path+routeConnect, tags, []string{permissionInvoke})
			add(resourceRoute, routeID(a.ID, st.Name, routeConnections), routeConnections, path+routeConnections, tags, []string{permissionManage})
			continue
		}
		for _, t := range routes {
			if t.lendable() {
				add(resourceRoute, routeID(a.ID, st.Name, t.method+t.path()), t.String(), name+" / "+st.Name+" / "+t.String(), tags, []string{permissionInvoke})
			}
		}
	}
	return out
}

// lendableRoutes are the routes that IAM guards. Of a WebSocket API only $connect is
// authorized.
func lendableRoutes(a *estate.API) []template {
	var out []template
	for n := range a.Routes {
		r := &a.Routes[n]
		if r.Authorization != authIAM || a.Type == transaction.WebSocket && r.Path != routeConnect {
			continue
		}
		t := newTemplate(a.Type, r.Method, r.Path)
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b template) int { return strings.Compare(a.path()+" "+a.method, b.path()+" "+b.method) })
	return out
}

// flowItem is the first permission on a resource.
func flowItem(r *flow.Resource) flow.Item {
	return flow.Item{Resource: *r, Permission: r.Permissions[0]}
}
