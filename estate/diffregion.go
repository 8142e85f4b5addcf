package estate

import (
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

func (d *differ) region(was, is *Region) {
	seen := func(p Part) bool { return was.Seen(p) && is.Seen(p) }
	// What APIs share is read only where there is one.
	shared := func(p Part) bool { return len(was.APIs) > 0 && len(is.APIs) > 0 && seen(p) }
	if shared(PartAccount) {
		c := d.place
		c.Type, c.Subject = SubjectRegion, was.Name
		d.fields(c, regionFields{was.LogRole, was.Throttle}, regionFields{is.LogRole, is.Throttle})
	}
	d.deliveries = seen(PartDeliveries)
	d.apis(was, is)
	if shared(PartUsagePlans) {
		things(d, SubjectUsagePlan, was.UsagePlans, is.UsagePlans,
			func(p *UsagePlan) string { return p.ID }, func(p *UsagePlan) string { return p.Name },
			func(p, other *UsagePlan) UsagePlan {
				out := *p
				if len(p.Unseen)+len(other.Unseen) > 0 {
					out.Keys = nil
				}
				out.Unseen = nil
				return out
			})
	}
	if shared(PartDomains) {
		things(d, SubjectDomain, was.Domains, is.Domains,
			func(o *Domain) string { return strings.TrimSpace(o.Name + " " + o.ID) }, func(o *Domain) string { return o.Name },
			func(o, other *Domain) Domain {
				out := *o
				if len(o.Unseen)+len(other.Unseen) > 0 {
					out.Mappings = nil
				}
				out.Unseen = nil
				return out
			})
	}
	if shared(PartVPCLinks) {
		things(d, SubjectVPCLink, was.VPCLinks, is.VPCLinks,
			func(l *VPCLink) string { return l.ID }, func(l *VPCLink) string { return l.Name }, whole)
	}
	if shared(PartClientCertificates) {
		things(d, SubjectClientCertificate, was.Certificates, is.Certificates,
			func(c *ClientCertificate) string { return c.ID }, func(c *ClientCertificate) string { return c.Description }, whole)
	}
	if shared(PartLogPolicies) {
		things(d, SubjectLogPolicy, was.LogPolicies, is.LogPolicies,
			func(p *LogPolicy) string { return strings.TrimSpace(p.Name + " " + p.Resource) }, func(p *LogPolicy) string { return p.Name }, whole)
	}
	if seen(PartLogGroups) {
		d.logGroups(was, is)
	}
	if seen(PartClusters) {
		d.clusters(was.Clusters, is.Clusters)
	}
	d.calledByAPIs(was, is)
}

// calledByAPIs compares web ACLs and functions. They are looked for where a stage or a
// route names them: one that no stage or route names any more, or whose API was not
// seen, has not gone for that, and the stage or the route says so.
func (d *differ) calledByAPIs(was, is *Region) {
	inBoth := func(arns []string, arn string) bool {
		_, ok := slices.BinarySearch(arns, arn)
		return ok
	}
	arnOf := func(w *WebACL) string { return w.ARN }
	wasACLs, isACLs := keys(was.WebACLs, arnOf), keys(is.WebACLs, arnOf)
	kept := func(acls []WebACL, other []string) []WebACL {
		return slices.DeleteFunc(slices.Clone(acls), func(w WebACL) bool { return !inBoth(other, w.ARN) })
	}
	things(d, SubjectWebACL, kept(was.WebACLs, isACLs), kept(is.WebACLs, wasACLs), arnOf, func(w *WebACL) string { return w.Name },
		func(w, other *WebACL) WebACL {
			out := *w
			out.Unseen = nil
			if !w.Seen(PartWebACL) || !other.Seen(PartWebACL) {
				out = WebACL{ARN: w.ARN, Logs: w.Logs, LogScope: w.LogScope, LogFilter: w.LogFilter}
			}
			if !w.Seen(PartWebACLLogging) || !other.Seen(PartWebACLLogging) {
				out.Logs, out.LogScope, out.LogFilter = nil, "", ""
			}
			return out
		})
	functionARN := func(f *Function) string { return f.ARN }
	wasFunctions, isFunctions := keys(was.Functions, functionARN), keys(is.Functions, functionARN)
	keptFunctions := func(list []Function, other []string) []Function {
		return slices.DeleteFunc(slices.Clone(list), func(f Function) bool { return !inBoth(other, f.ARN) })
	}
	things(d, SubjectFunction, keptFunctions(was.Functions, isFunctions), keptFunctions(is.Functions, wasFunctions), functionARN, functionARN,
		func(f, other *Function) Function { return f.comparable(other) })
}

// keys are the keys of a list that is in their order.
func keys[T any](list []T, key func(*T) string) []string {
	out := make([]string, len(list))
	for i := range list {
		out[i] = key(&list[i])
	}
	return out
}

// comparable is what both discoveries saw of a function, and of the versions that both
// of them looked at.
func (f *Function) comparable(other *Function) Function {
	seen := func(p Part) bool { return f.Seen(p) && other.Seen(p) }
	out := Function{ARN: f.ARN}
	if seen(PartFunctionConfiguration) {
		out.Missing = f.Missing
	}
	for _, v := range f.Versions {
		i := slices.IndexFunc(other.Versions, func(o FunctionVersion) bool { return o.Name == v.Name })
		if i < 0 && v.URL == nil {
			continue
		}
		if !seen(PartFunctionConfiguration) || i < 0 || !other.Versions[i].Called || !v.Called {
			v.Runtime, v.Package = "", ""
		}
		if !seen(PartFunctionPolicy) || i < 0 {
			v.Policy = ""
		}
		if !seen(PartFunctionURLs) {
			v.URL = nil
		}
		// Who calls what is told by the routes.
		v.Called = false
		out.Versions = append(out.Versions, v)
	}
	return out
}

// logGroups compares log groups. One that no stage names any more is no longer
// looked for, and has not gone for that.
func (d *differ) logGroups(was, is *Region) {
	looked := func(groups []LogGroup) []LogGroup {
		return slices.DeleteFunc(slices.Clone(groups), func(g LogGroup) bool {
			own := strings.HasPrefix(g.Name, restGroupPrefix) || strings.HasPrefix(g.Name, v2GroupPrefix)
			return !own && (!was.names(g.Name) || !is.names(g.Name))
		})
	}
	name := func(g *LogGroup) string { return g.Name }
	things(d, SubjectLogGroup, looked(was.LogGroups), looked(is.LogGroups), name, name, func(g, other *LogGroup) LogGroup {
		out := *g
		out.Bytes, out.Unseen = 0, nil
		seen := func(p Part) bool { return g.Seen(p) && other.Seen(p) }
		if !seen(PartSubscriptions) {
			out.Subscriptions = nil
		}
		if !seen(PartMetricFilters) {
			out.Metrics = nil
		}
		if !seen(PartDataProtection) {
			out.DataProtectionPolicy = ""
		}
		return out
	})
}

// names reports whether a stage of the region names the log group.
func (r *Region) names(group string) bool {
	for i := range r.APIs {
		for j := range r.APIs[i].Stages {
			s := &r.APIs[i].Stages[j]
			delivers := func(d Delivery) bool { return strings.HasSuffix(d.Destination, ":log-group:"+group) }
			if s.AccessGroup == group || slices.ContainsFunc(s.Deliveries, delivers) {
				return true
			}
		}
	}
	return false
}

func (d *differ) clusters(before, after []Cluster) {
	both(d, before, after, func(c *Cluster) string { return c.Name }, func(c Change, was, is *Cluster) {
		c.Type = SubjectCluster
		switch {
		case was == nil:
			d.add(c, Appeared)
		case is == nil:
			d.add(c, Went)
		default:
			if was.Seen(PartCluster) && is.Seen(PartCluster) {
				d.fields(c, was.itself(), is.itself())
			}
			if was.Seen(PartAccessEntries) && is.Seen(PartAccessEntries) {
				things(d, SubjectAccessEntry, was.AccessEntries, is.AccessEntries,
					func(e *AccessEntry) string { return e.Principal }, func(*AccessEntry) string { return was.Name }, whole)
			}
		}
	})
}

// itself is the cluster without what is compared apart, and without its status,
// which says what AWS is doing at the moment.
func (c *Cluster) itself() Cluster {
	out := *c
	out.AccessEntries, out.Unseen, out.Status = nil, nil, ""
	return out
}

func (d *differ) apis(was, is *Region) {
	place := d.place
	both(d, was.APIs, is.APIs, func(a *API) string { return a.ID }, func(c Change, before, after *API) {
		c.Type, c.API = SubjectAPI, c.Subject
		c.Name = nameOf(before, after, func(a *API) string { return a.Name })
		switch {
		case before == nil:
			if was.Seen(after.listing()) {
				d.add(c, Appeared)
			}
		case after == nil:
			if is.Seen(before.listing()) {
				d.add(c, Went)
			}
		default:
			d.place = place
			d.place.API = c.API
			d.api(c, before, after)
			d.place = place
		}
	})
}

// listing is the part of a region that the API is found in.
func (a *API) listing() Part {
	if a.Type == transaction.REST {
		return PartREST
	}
	return PartV2
}

func (d *differ) api(c Change, was, is *API) {
	seen := func(p Part) bool { return was.Seen(p) && is.Seen(p) }
	itself := func(a *API) API {
		out := *a
		out.Stages, out.Routes, out.Authorizers, out.Deployments, out.Secrets = nil, nil, nil, nil, nil
		out.Unseen, out.RoutesPartial, out.Digest, out.DetailsRead = nil, false, "", time.Time{}
		if !seen(PartModels) {
			out.Models = nil
		}
		if !seen(PartGatewayResponses) {
			out.GatewayResponses = nil
		}
		return out
	}
	d.fields(c, itself(was), itself(is))
	name := is.Name
	if seen(PartStages) {
		things(d, SubjectStage, was.Stages, is.Stages, func(s *Stage) string { return s.Name }, func(*Stage) string { return name },
			func(s, _ *Stage) Stage {
				out := *s
				// What comes with another field, and would be told twice.
				out.Updated, out.Deployed, out.Overrides, out.ExecutionGroup, out.AccessGroup = time.Time{}, time.Time{}, nil, "", ""
				if !d.deliveries {
					out.Deliveries = nil
				}
				if len(s.Settings) > 0 {
					out.LoggingLevel, out.DataTrace = "", false
				}
				return out
			})
	}
	if seen(PartRoutes) {
		things(d, SubjectRoute, was.Routes, is.Routes,
			func(r *Route) string { return strings.TrimSpace(r.Method + " " + r.Path) }, func(*Route) string { return name },
			func(r, _ *Route) Route {
				out := *r
				// A route that is made again is the same route, and Backend says more
				// than the text for people.
				out.ID, out.Integration = "", ""
				if !seen(PartIntegrations) {
					out.Backend = nil
				}
				if !seen(PartValidators) {
					out.Validator = nil
				}
				return out
			})
	}
	if seen(PartAuthorizers) {
		things(d, SubjectAuthorizer, was.Authorizers, is.Authorizers,
			func(a *Authorizer) string { return a.ID }, func(a *Authorizer) string { return a.Name }, whole)
	}
}
