package estate

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// regionReader reads one region of one account.
type regionReader struct {
	place
	rest *apigateway.Client
	v2   *apigatewayv2.Client
	logs *cloudwatchlogs.Client

	mu     sync.Mutex
	faults []Fault
}

// region reads everything in one region. Its errors are in the result.
func (d *Discoverer) region(ctx context.Context, t account.Target, name string) Region {
	cfg := d.accounts.Config(t, name)
	r := &regionReader{
		place: place{target: t, region: name},
		rest:  apigateway.NewFromConfig(cfg),
		v2:    apigatewayv2.NewFromConfig(cfg),
		logs:  cloudwatchlogs.NewFromConfig(cfg),
	}
	result := Region{Name: name}

	var details []func()
	apis := r.listREST(ctx)
	rest := len(apis)
	apis = append(apis, r.listV2(ctx)...)
	for i := range apis {
		api := &apis[i]
		if i < rest {
			details = append(details, func() { r.readREST(ctx, api) })
		} else {
			details = append(details, func() { r.readV2(ctx, api) })
		}
	}
	slots := make(chan struct{}, apisAtOnce)
	var wg sync.WaitGroup
	for _, detail := range details {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			detail()
		})
	}
	wg.Wait()

	if len(apis) > 0 {
		result.LogRole = r.logRole(ctx)
	}
	var known bool
	result.LogGroups, known = r.logGroups(ctx, apis)
	for i := range apis {
		finish(&apis[i], result.LogGroups, known)
	}
	slices.SortFunc(apis, func(a, b API) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	result.APIs = apis
	slices.SortStableFunc(r.faults, func(a, b Fault) int { return cmp.Compare(a.What, b.What) })
	result.Errors = r.faults
	return result
}

func (r *regionReader) failed(what read, subject string, err error) {
	f := r.fault(what, subject, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = addFault(r.faults, f)
}

func (r *regionReader) logRole(ctx context.Context) string {
	out, err := r.rest.GetAccount(ctx, &apigateway.GetAccountInput{})
	if err != nil {
		r.failed(readAccount, "", err)
		return ""
	}
	return aws.ToString(out.CloudwatchRoleArn)
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
	slices.SortFunc(api.Routes, func(a, b Route) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
	})
	slices.SortFunc(api.Authorizers, func(a, b Authorizer) int { return cmp.Compare(a.ID, b.ID) })
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
	uri, _, _ = strings.Cut(uri, "?")
	if scheme, rest, ok := strings.Cut(uri, "://"); ok {
		host, path, slash := strings.Cut(rest, "/")
		if i := strings.LastIndexByte(host, '@'); i >= 0 {
			host = host[i+1:]
		}
		uri = scheme + "://" + host
		if slash {
			uri += "/" + path
		}
	}
	return strings.TrimSpace(kind + " " + uri)
}
