package estate

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// regionReader reads one region of one account.
type regionReader struct {
	place
	rest   *apigateway.Client
	v2     *apigatewayv2.Client
	logs   *cloudwatchlogs.Client
	eks    *eks.Client
	waf    *wafv2.Client
	lambda *lambda.Client
	// before is the region at the last discovery, which may stand for what shows no
	// sign of change; nil: everything is read.
	before *Region
	now    time.Time

	// asked counts the log groups whose details were read, and refused are the parts
	// that no group's details can be read of; of groupDetails alone.
	asked   int
	refused map[Part]bool

	mu     sync.Mutex
	faults []Fault
	notes  []Fault
	unseen []Part
}

// region reads everything in one region. Its errors are in the result. What shows no
// sign of change since before is taken from it; nil: everything is read.
func (d *Discoverer) region(ctx context.Context, t account.Target, name string, before *Region) Region {
	cfg := d.accounts.Config(t, name)
	r := &regionReader{
		place:  place{target: t, region: name},
		rest:   apigateway.NewFromConfig(cfg),
		v2:     apigatewayv2.NewFromConfig(cfg),
		logs:   cloudwatchlogs.NewFromConfig(cfg),
		eks:    eks.NewFromConfig(cfg),
		waf:    wafv2.NewFromConfig(cfg),
		lambda: lambda.NewFromConfig(cfg),
		before: before,
		now:    d.clock().UTC(),
	}
	result := Region{Name: name}

	var rest, v2 []API
	var wg sync.WaitGroup
	wg.Go(func() { rest = r.listREST(ctx) })
	wg.Go(func() { v2 = r.listV2(ctx) })
	wg.Go(func() { result.Clusters = r.readClusters(ctx) })
	wg.Wait()
	apis := slices.Concat(rest, v2)

	groups := groupListing{known: true}
	if len(apis) > 0 {
		wg.Go(func() { r.shared(ctx, &result) })
		wg.Go(func() { r.details(ctx, apis, len(rest)) })
	}
	if !stillEmpty(apis, before) {
		wg.Go(func() {
			groups = r.ownGroups(ctx)
			r.groupDetails(ctx, groups.groups)
		})
	}
	wg.Wait()

	// What APIs call, and what stands before them, is known only now.
	wg.Go(func() { result.Functions = r.functions(ctx, apis) })
	wg.Go(func() { result.WebACLs = r.webACLs(ctx, apis) })
	if len(apis) > 0 {
		r.deliveries(ctx, apis)
	}
	own := len(groups.groups)
	r.namedGroups(ctx, apis, &groups)
	r.groupDetails(ctx, groups.groups[own:])
	wg.Wait()
	slices.SortFunc(groups.groups, func(a, b LogGroup) int { return cmp.Compare(a.Name, b.Name) })
	result.LogGroups = groups.groups
	for i := range apis {
		finish(&apis[i], result.LogGroups, groups.known)
	}
	slices.SortFunc(apis, func(a, b API) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	result.APIs = apis
	sortFaults(r.faults)
	sortFaults(r.notes)
	slices.Sort(r.unseen)
	result.Errors, result.Notes, result.Unseen = r.faults, r.notes, r.unseen
	return result
}

// stillEmpty reports whether a region had neither APIs nor log groups, and has no API
// now: API Gateway makes log groups for APIs alone, so none has come.
func stillEmpty(apis []API, before *Region) bool {
	return len(apis) == 0 && before != nil && len(before.APIs) == 0 && len(before.LogGroups) == 0 && before.Seen(PartLogGroups)
}

// details reads the APIs, of which the first so many are REST APIs, a few at once.
func (r *regionReader) details(ctx context.Context, apis []API, rest int) {
	slots := make(chan struct{}, apisAtOnce)
	var wg sync.WaitGroup
	for i := range apis {
		api := &apis[i]
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if i < rest {
				r.discoverREST(ctx, api)
			} else {
				r.discoverV2(ctx, api)
			}
		})
	}
	wg.Wait()
}

// shared reads what the APIs of a region share.
func (r *regionReader) shared(ctx context.Context, result *Region) {
	var wg sync.WaitGroup
	wg.Go(func() {
		result.LogRole, result.Throttle = r.account(ctx)
		result.UsagePlans = r.usagePlans(ctx)
	})
	wg.Go(func() {
		result.VPCLinks = r.vpcLinks(ctx)
		result.Certificates = r.clientCertificates(ctx)
		result.Domains = r.domains(ctx)
	})
	wg.Go(func() { result.LogPolicies = r.logPolicies(ctx) })
	wg.Wait()
}

func (r *regionReader) failed(what read, subject string, err error) {
	f := r.fault(what, subject, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = addFault(r.faults, f)
}

// missed tells of a read that Gatehouse can do without. Older policies do not allow
// it and some partitions do not know it: what is refused is a note and not a fault.
// The part, unless it is empty, is one of the region's.
func (r *regionReader) missed(what read, err error, p Part) {
	if p != "" {
		r.unsaw(p)
	}
	switch account.Classify(err) {
	case account.Throttled, account.Transient, account.Expired, account.Cut, account.Canceled:
		r.failed(what, "", err)
		return
	case account.ClassNone, account.Denied, account.Gone, account.Invalid:
	}
	r.noted(r.fault(what, "", err))
}

func (r *regionReader) noted(f Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes = addFault(r.notes, f)
}

func (r *regionReader) unsaw(p Part) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unseen = mark(r.unseen, p)
}

func (r *regionReader) account(ctx context.Context) (logRole string, limit *Throttle) {
	out, err := r.rest.GetAccount(ctx, &apigateway.GetAccountInput{})
	if err != nil {
		r.unsaw(PartAccount)
		r.failed(readAccount, "", err)
		return "", nil
	}
	return aws.ToString(out.CloudwatchRoleArn), restThrottle(out.ThrottleSettings)
}

// utc is a time as the snapshot keeps it; zero for none.
func utc(t *time.Time) time.Time {
	if t == nil || t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

// finish puts an API in order and decides which execution-log group each stage
// has: one that is told to write, or that exists from earlier. Where the log
// groups could not be listed, only the settings tell.
func finish(api *API, groups []LogGroup, known bool) {
	exists := func(name string) bool {
		return known && slices.ContainsFunc(groups, func(g LogGroup) bool { return g.Name == name })
	}
	for i := range api.Stages {
		s := &api.Stages[i]
		name := executionGroup(api.Type, api.ID, s.Name)
		if name != "" && (s.logs() || exists(name)) {
			s.ExecutionGroup = name
		}
		slices.SortFunc(s.Overrides, func(a, b MethodLogging) int {
			return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
		})
	}
	slices.SortFunc(api.Stages, func(a, b Stage) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(api.Secrets, func(a, b Secret) int { return cmp.Or(cmp.Compare(a.Where, b.Where), cmp.Compare(a.Kind, b.Kind)) })
	slices.Sort(api.Unseen)
}

// sortDetails puts what only a deployment changes in order. Details that are taken
// from the last discovery are in order already, and others may be reading them.
func sortDetails(api *API) {
	slices.SortFunc(api.Routes, func(a, b Route) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
	})
	slices.SortFunc(api.Authorizers, func(a, b Authorizer) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(api.Models, func(a, b Model) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(api.GatewayResponses, func(a, b GatewayResponse) int { return cmp.Compare(a.Type, b.Type) })
}

// logs reports whether any method of the stage writes execution logs.
func (s *Stage) logs() bool {
	return writes(s.LoggingLevel) ||
		slices.ContainsFunc(s.Overrides, func(o MethodLogging) bool { return writes(o.LoggingLevel) })
}

func writes(level string) bool { return level == "INFO" || level == "ERROR" }

// executionGroup returns the name that API Gateway itself gives to a stage's
// execution-log group; HTTP APIs have none.
func executionGroup(kind transaction.APIType, id, stage string) string {
	switch kind {
	case transaction.REST:
		return restGroupPrefix + "_" + id + "/" + stage
	case transaction.WebSocket:
		return v2GroupPrefix + id + "/" + stage
	case transaction.HTTP:
	}
	return ""
}

// level turns a logging level as AWS gives it, which is absent where it was
// never set, into OFF, ERROR or INFO.
func level(s string) string {
	if s == "" {
		return "OFF"
	}
	return s
}

// integrationText names a backend for people. What follows a question mark and
// a user's name in a URL may be secrets and are left out.
func integrationText(kind, uri string) string {
	if _, rest, ok := strings.Cut(uri, "/functions/"); ok {
		uri = strings.TrimSuffix(rest, "/invocations")
	}
	uri = cleanURI(uri)
	return strings.TrimSpace(kind + " " + uri)
}
