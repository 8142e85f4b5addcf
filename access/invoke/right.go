package invoke

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// The resource types and permissions. They are Gatehouse's own words.
const (
	resourceAPI   = "apigw-api"
	resourceStage = "apigw-stage"
	resourceRoute = "apigw-route"

	permissionInvoke = "invoke"
	permissionManage = "manage"

	actionInvoke = "execute-api:Invoke"
	actionManage = "execute-api:ManageConnections"

	routeConnect     = "$connect"
	routeConnections = "@connections"
)

// right is one thing that can be lent: an action on an API, a stage or a route.
type right struct {
	action string
	api    string
	stage  string // empty: all
	// route is METHOD/template, routeConnect or routeConnections; empty: all.
	route   string
	expires time.Time
	grants  []string
}

// The IDs of resources: api/ID, stage/ID/STAGE, route/ID/STAGE/METHOD/path and, of a
// WebSocket API, route/ID/STAGE/$connect and route/ID/STAGE/@connections.
func apiID(api string) string                 { return "api/" + api }
func stageID(api, stage string) string        { return "stage/" + api + "/" + stage }
func routeID(api, stage, route string) string { return "route/" + api + "/" + stage + "/" + route }

// rightOf reads an item, and refuses what is not of the integration.
func (s *settings) rightOf(item flow.Item) (right, error) {
	r := right{}
	id := item.Resource.ID
	fail := func(what string) (right, error) {
		return right{}, fmt.Errorf("%q is not the id of %s of integration %s", id, what, s.integration)
	}
	switch item.Permission {
	case permissionInvoke:
		r.action = actionInvoke
	case permissionManage:
		r.action = actionManage
	default:
		return right{}, fmt.Errorf("%q is neither %s nor %s", item.Permission, permissionInvoke, permissionManage)
	}
	kind, rest, _ := strings.Cut(id, "/")
	switch item.Resource.Type {
	case resourceAPI:
		if r.api = rest; kind != "api" || len(s.stages) > 0 {
			return fail("an API that is lent whole")
		}
	case resourceStage:
		r.api, r.stage, _ = strings.Cut(rest, "/")
		if kind != "stage" || r.stage == "" {
			return fail("a stage")
		}
	case resourceRoute:
		r.api, rest, _ = strings.Cut(rest, "/")
		r.stage, r.route, _ = strings.Cut(rest, "/")
		if kind != "route" || r.stage == "" || r.route == "" {
			return fail("a route")
		}
		if r.route == routeConnect || r.route == routeConnections {
			if (r.route == routeConnections) != (r.action == actionManage) {
				return right{}, fmt.Errorf("%s is not a permission on %s", item.Permission, r.route)
			}
			break
		}
		t := r.template(transaction.REST)
		if !strings.Contains(r.route, "/") || !t.lendable() || r.action != actionInvoke {
			return fail("a route")
		}
	default:
		return right{}, fmt.Errorf("%q is no resource type of %s", item.Resource.Type, Type)
	}
	if !slices.Contains(s.apis, r.api) || r.stage != "" && (!stageShape.MatchString(r.stage) || len(s.stages) > 0 && !slices.Contains(s.stages, r.stage)) {
		return fail("something that is lent")
	}
	return r, nil
}

// template is the route of a right that has one of a REST or HTTP API.
func (r *right) template(kind transaction.APIType) template {
	method, path, _ := strings.Cut(r.route, "/")
	return newTemplate(kind, method, "/"+path)
}

// resource is what stands after the API's ARN.
func (r *right) resource() string {
	stage := r.stage
	if stage == "" {
		stage = "*"
	}
	switch {
	case r.action == actionManage && r.stage == "":
		return "*/@connections/*"
	case r.action == actionManage:
		return stage + "/*/@connections/*"
	case r.stage == "":
		return "*"
	case r.route == "":
		return stage + "/*"
	case r.route == routeConnect:
		return stage + "/" + routeConnect
	default:
		t := r.template(transaction.REST)
		return stage + "/" + t.glob()
	}
}

// rightsOf are the rights of holdings that have not ended, each once with its latest
// end, in a stable order.
func (s *settings) rightsOf(holdings []access.Holding, now time.Time) ([]right, error) {
	byKey := map[string]*right{}
	for n := range holdings {
		h := &holdings[n]
		if !h.Expires.After(now) {
			continue
		}
		r, err := s.rightOf(h.Item)
		if err != nil {
			return nil, fmt.Errorf("grant %s: %w", h.Grant, err)
		}
		key := r.key()
		have := byKey[key]
		if have == nil {
			have = &r
			byKey[key] = have
		}
		if h.Expires.After(have.expires) {
			have.expires = h.Expires
		}
		if !slices.Contains(have.grants, h.Grant) {
			have.grants = append(have.grants, h.Grant)
		}
	}
	out := make([]right, 0, len(byKey))
	for _, r := range byKey {
		slices.Sort(r.grants)
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b right) int { return strings.Compare(a.key(), b.key()) })
	return out, nil
}

func (r *right) key() string { return r.action + " " + r.api + " " + r.stage + " " + r.route }

// within reports whether o gives all that r gives.
func (r *right) within(o *right) bool {
	if r.action != o.action || r.api != o.api || r.key() == o.key() {
		return false
	}
	return o.stage == "" || o.stage == r.stage && o.route == ""
}

// effective leaves out what another right gives as well, and finds when the first of the
// rest ends. What was left out may last longer; it is back once new credentials are made.
func effective(rights []right) (out []right, end time.Time) {
	out = slices.DeleteFunc(slices.Clone(rights), func(r right) bool {
		return slices.ContainsFunc(rights, func(o right) bool { return r.within(&o) })
	})
	for i := range out {
		if end.IsZero() || out[i].expires.Before(end) {
			end = out[i].expires
		}
	}
	return out, end
}
