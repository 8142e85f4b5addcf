package app

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/cli"
	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/finding"
)

// Findings opens the findings of a state.
func (*runtime) Findings(ctx context.Context, c *config.Config) (cli.Findings, func() error, error) {
	s, err := openStore(ctx, c, newLogger(nil, c))
	if err != nil {
		return nil, nil, err
	}
	return finding.NewBook(s, nil), s.Close, nil
}

// judge has the rules look at what a discovery found. A failure is logged and takes
// nothing away from the discovery: the next one judges again.
func (p *product) judge(ctx context.Context, s *estate.Snapshot) {
	e := judged(s)
	if t := p.seenTraffic(); t != nil {
		e.Observe(t)
	}
	posture, err := p.findings.Evaluate(ctx, e)
	switch {
	case ctx.Err() != nil, errors.Is(err, finding.ErrNotKept):
	case err != nil:
		p.log.WarnContext(ctx, "the estate could not be judged", "error", err)
	default:
		failing, unseen := 0, 0
		for _, t := range posture.Rules {
			failing += t.Fail
			unseen += t.NotSeen
		}
		p.log.DebugContext(ctx, "the estate was judged", "failing", failing, "not_seen", unseen)
	}
}

// judged is the estate as the rules look at it.
func judged(s *estate.Snapshot) *finding.Estate {
	out := &finding.Estate{Time: s.Finished}
	for i := range s.Accounts {
		a := &s.Accounts[i]
		if a.Error != "" {
			out.Unread = append(out.Unread, finding.Unread{Account: a.ID, AccountName: a.Name, Why: a.Error})
		} else if len(a.Regions) > 0 {
			out.Accounts = append(out.Accounts, judgedAccount(a))
		}
		for j := range a.Regions {
			out.Places = append(out.Places, judgedPlace(a, &a.Regions[j]))
		}
	}
	return out
}

func judgedPlace(a *estate.Account, r *estate.Region) finding.Place {
	p := finding.Place{
		Account: a.ID, AccountName: a.Name, Region: r.Name, Partition: account.PartitionOf(r.Name),
		LogRole: r.LogRole, Throttle: judgedThrottle(r.Throttle), Unseen: judgedParts(r.Unseen),
	}
	for i := range r.APIs {
		p.APIs = append(p.APIs, judgedAPI(&r.APIs[i]))
	}
	for i := range r.Domains {
		p.Domains = append(p.Domains, judgedDomain(&r.Domains[i]))
	}
	for i := range r.LogGroups {
		g := &r.LogGroups[i]
		out := finding.LogGroup{
			Name: g.Name, RetentionDays: g.RetentionDays, KMSKey: g.KMSKey, Protected: g.DataProtection == "ACTIVATED", Unseen: judgedParts(g.Unseen),
		}
		for _, f := range g.Subscriptions {
			out.Subscriptions = append(out.Subscriptions, f.Destination)
		}
		p.LogGroups = append(p.LogGroups, out)
	}
	for i := range r.Clusters {
		p.Clusters = append(p.Clusters, judgedCluster(&r.Clusters[i]))
	}
	for i := range r.UsagePlans {
		u := &r.UsagePlans[i]
		out := finding.UsagePlan{ID: u.ID, Name: u.Name, Quota: u.Quota != nil, Throttle: judgedThrottle(u.Throttle)}
		for _, s := range u.Stages {
			out.Stages = append(out.Stages, finding.Mapping{API: s.APIID, Stage: s.Stage})
			out.MethodThrottle = out.MethodThrottle || len(s.Methods) > 0
		}
		p.UsagePlans = append(p.UsagePlans, out)
	}
	for i := range r.Certificates {
		p.Certificates = append(p.Certificates, finding.Certificate{ID: r.Certificates[i].ID, Expires: r.Certificates[i].Expires})
	}
	p.WebACLs, p.Functions = judgedWebACLs(r), judgedFunctions(r)
	for i := range r.LogPolicies {
		p.LogPolicies = append(p.LogPolicies, finding.LogPolicy{Name: r.LogPolicies[i].Name, Document: r.LogPolicies[i].Document})
	}
	return p
}

func judgedAPI(a *estate.API) finding.API {
	out := finding.API{
		ID: a.ID, Name: a.Name, Type: finding.APIType(a.Type), EndpointType: a.EndpointType, DefaultDisabled: a.DefaultDisabled,
		Description: a.Description, Version: a.Version,
		Policy: a.Policy, APIKeySource: a.APIKeySource, MinimumCompression: a.MinimumCompression, Tags: a.Tags, Unseen: judgedParts(a.Unseen),
	}
	if a.RoutesPartial && !slices.Contains(out.Unseen, finding.PartRoutes) {
		out.Unseen = append(out.Unseen, finding.PartRoutes)
	}
	if a.CORS != nil {
		out.CORS = &finding.CORS{Origins: a.CORS.Origins, Headers: a.CORS.Headers, Credentials: a.CORS.Credentials}
	}
	for i := range a.Stages {
		out.Stages = append(out.Stages, judgedStage(&a.Stages[i]))
	}
	for i := range a.Routes {
		out.Routes = append(out.Routes, judgedRoute(&a.Routes[i]))
	}
	for i := range a.Authorizers {
		x := &a.Authorizers[i]
		out.Authorizers = append(out.Authorizers, finding.Authorizer{
			ID: x.ID, Name: x.Name, Type: x.Type, IdentitySource: x.IdentitySource, Validation: x.IdentityValidation,
			TTL: x.TTL, Audience: x.Audience, Simple: x.Simple,
		})
	}
	for _, g := range a.GatewayResponses {
		out.Responses = append(out.Responses, finding.GatewayResponse{Type: g.Type, Headers: g.Headers})
	}
	for _, d := range a.Deployments {
		out.Deployments = append(out.Deployments, finding.Deployment{ID: d.ID, Created: d.Created})
	}
	for _, s := range a.Secrets {
		out.Secrets = append(out.Secrets, finding.Secret{Where: s.Where, Kind: s.Kind})
	}
	return out
}

func judgedStage(s *estate.Stage) finding.Stage {
	out := finding.Stage{
		Name: s.Name, LoggingLevel: s.LoggingLevel, DataTrace: s.DataTrace, AccessLog: s.AccessLogARN, AccessFormat: s.AccessFormat,
		ExecutionGroup: s.ExecutionGroup, Cache: s.Cache, Tracing: s.Tracing, WebACL: s.WebACL, ClientCertificate: s.ClientCertificate,
		Documentation: s.DocumentationVersion,
		AutoDeploy:    s.AutoDeploy, DeploymentID: s.DeploymentID, Updated: s.Updated,
	}
	if s.Canary != nil {
		out.CanaryPercent = s.Canary.Percent
	}
	for _, d := range s.Deliveries {
		out.Deliveries = append(out.Deliveries, d.LogType)
	}
	for i := range s.Settings {
		m := &s.Settings[i]
		out.Settings = append(out.Settings, finding.Settings{
			Method: m.Method, Path: m.Path, LoggingLevel: m.LoggingLevel, DataTrace: m.DataTrace, Metrics: m.Metrics, Throttle: judgedThrottle(m.Throttle),
			Caching: m.Caching, CacheEncrypted: m.CacheEncrypted, CacheInvalidationGuarded: m.CacheAuthorized,
		})
	}
	return out
}

func judgedRoute(r *estate.Route) finding.Route {
	out := finding.Route{
		ID: r.ID, Method: r.Method, Path: r.Path, Authorization: r.Authorization, AuthorizerID: r.AuthorizerID, KeyRequired: r.APIKeyRequired,
		Scopes: r.Scopes, RequestParameters: r.RequestParameters, RequestModels: r.RequestModels, CORSHeaders: r.CORSHeaders,
	}
	if r.Validator != nil {
		out.ValidatesBody, out.ValidatesParams = r.Validator.Body, r.Validator.Parameters
	}
	for _, t := range r.CORSTemplates {
		out.CORSTemplates = append(out.CORSTemplates, finding.CORSTemplate{Where: t.Where, Guards: t.Guards, Opaque: t.Opaque})
	}
	if b := r.Backend; b != nil {
		out.Backend = &finding.Backend{
			Type: b.Type, URI: b.URI, VPCLink: b.ConnectionType == "VPC_LINK", TLS: b.TLS != nil && b.TLS.ServerName != "",
			SkipVerify: b.TLS != nil && b.TLS.SkipVerify, TimeoutMillis: b.TimeoutMillis, CacheKeys: b.CacheKeys, RequestParameters: maps.Clone(b.RequestParameters),
		}
	}
	return out
}

func judgedDomain(d *estate.Domain) finding.Domain {
	out := finding.Domain{Name: d.Name, TLSPolicy: d.TLSPolicy, Unseen: judgedParts(d.Unseen)}
	if d.MutualTLS != nil {
		out.MutualTLS, out.TruststoreVersion, out.TruststoreWarning = true, d.MutualTLS.Version, d.MutualTLS.Warnings
	}
	for _, m := range d.Mappings {
		out.Mappings = append(out.Mappings, finding.Mapping{API: m.APIID, Stage: m.Stage})
	}
	return out
}

func judgedThrottle(t *estate.Throttle) *finding.Throttle {
	if t == nil {
		return nil
	}
	return &finding.Throttle{Rate: t.Rate, Burst: t.Burst}
}

func judgedParts(parts []estate.Part) []finding.Part {
	out := make([]finding.Part, 0, len(parts))
	for _, p := range parts {
		out = append(out, finding.Part(p))
	}
	return out
}
