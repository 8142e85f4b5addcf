// Package api is Gatehouse's HTTP API: JSON under /api/v1 with its OpenAPI 3.1
// description, server-sent events, CSV, and the probes and meters that run
// beside it.
package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/klauspost/compress/gzhttp"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/tail"
)

const (
	// maxRequestBody is more than any operation reads but that of policy cases.
	maxRequestBody = 64 << 10
	// maxFlows is the largest text of access flows, as JSON writes it.
	maxFlows = 2 << 20
	// readTimeout bounds an ordinary answer, exportTimeout one that holds
	// everything.
	readTimeout   = 15 * time.Second
	exportTimeout = 2 * time.Minute
	// targetTimeout bounds an answer for which a cluster or an API is asked first.
	targetTimeout = 5 * time.Minute
)

// asksTargets are the operations that ask clusters and APIs, which may be slow or down.
var asksTargets = []string{
	"save-integration", "connect-integration", "vend-access-credentials",
}

// Options are what the API reads from. Inventory is needed; whatever else is
// nil is left out of the answers.
type Options struct {
	Inventory inventory.Reader
	// Health is the running collector's; nil where this process collects nothing.
	Health func() collect.Health
	// Estate returns the last discovery, or nil if there was none yet.
	Estate func(ctx context.Context) (*estate.Snapshot, error)
	// Tail is the running collector's; nil where this process collects nothing.
	Tail *tail.Hub
	// DeadLetters are the calls that sinks refused; nil: no such paths.
	DeadLetters DeadLetters
	// Findings are what the rules found in the estate; nil: no such paths.
	Findings Findings
	// Logging switches the logging of stages; nil: no such paths.
	Logging Logging
	// History is what changed in the estate; nil: no such path.
	History estate.History
	// Audit is who changed what; nil: no such paths.
	Audit Audit
	// Identity is the guard before this API; nil: no paths about people.
	Identity Identity
	// Access lends access; nil: no such paths.
	Access Access
	// AccessRuns has targets asked in the background; it is there where Access is.
	AccessRuns AccessRuns
	// Metrics answers /metrics; nil: 404.
	Metrics http.Handler
	Clock   func() time.Time // nil: time.Now
	Version string
	Logger  *slog.Logger // nil: silent
	// Tick is how often the events look for news; 0: one second.
	Tick time.Duration
}

type server struct {
	Options
	hub *hub
}

// New returns the handler of /api/, /healthz, /readyz and /metrics. It starts
// no goroutine. Its event streams end with their request's context, so a server
// that shuts down cancels its BaseContext first.
func New(o Options) http.Handler {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Tick <= 0 {
		o.Tick = time.Second
	}
	s := &server{Options: o}
	s.hub = newHub(s)

	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	if o.Metrics != nil {
		mux.Handle("GET /metrics", o.Metrics)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, http.StatusNotFound, "there is no "+r.Method+" "+r.URL.Path+"; /api/openapi.json lists what there is")
	})
	s.register(humago.New(mux, config(o.Version)))

	zip, err := gzhttp.NewWrapper(gzhttp.MinSize(1024))
	if err != nil {
		panic("api: gzip options: " + err.Error()) // constant options: a mistake in this file
	}
	whole := zip(withETag(mux))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit := int64(maxRequestBody)
		switch {
		case r.URL.Path == policyPath:
			limit = maxPolicyCase
		case strings.HasPrefix(r.URL.Path, flowsPath):
			limit = maxFlows
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		w.Header().Set("Cache-Control", "no-store")
		if isStream(r.URL.Path) {
			mux.ServeHTTP(w, r)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/api/") {
			w.Header().Set("Cache-Control", "private, no-cache")
		}
		whole.ServeHTTP(w, r)
	})
}

// isStream reports whether the path answers a stream, which must be neither
// gathered for an ETag nor held back by a compressor.
func isStream(path string) bool {
	return path == eventsPath || path == tailPath || path == accessEventsPath || path == auditCSVPath || path == auditNDJSONPath
}

func config(version string) huma.Config {
	c := huma.DefaultConfig("Gatehouse", version)
	c.Info.Description = "What API Gateway's logs say of every API in every account: endpoints, traffic, the estate, and how complete all of it is."
	c.OpenAPIPath = "/api/openapi"
	c.DocsPath = "" // its page would load scripts from elsewhere
	c.SchemasPath = ""
	c.CreateHooks = nil
	c.RejectUnknownQueryParameters = true
	c.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token":   {Type: "http", Scheme: "bearer", Description: "The token of gatehouse login, or the admin token."},
		"session": {Type: "apiKey", In: "cookie", Name: "gatehouse_session", Description: "A browser's sign-in; the name ends in the port."},
	}
	c.Security = []map[string][]string{{"token": {}}, {"session": {}}}
	return c
}

// schemaName puts the package's name before the type's where two packages have
// a type of one name: a transaction has an authorizer, and so has an API.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name := huma.DefaultSchemaNamer(t, hint)
	path := t.PkgPath()
	switch pkg := path[strings.LastIndexByte(path, '/')+1:]; pkg {
	case "estate", "transaction", "collect", "iam", "deadletter", "finding", "logging", "audit", "flow", "access":
		return strings.ToUpper(pkg[:1]) + pkg[1:] + name
	default:
		return name
	}
}

func (s *server) register(a huma.API) {
	a.UseMiddleware(func(ctx huma.Context, next func(huma.Context)) {
		limit := readTimeout
		switch id := ctx.Operation().OperationID; {
		case id == eventsID || id == tailID || id == accessEventsID:
			next(ctx)
			return
		case strings.HasPrefix(id, "export-"):
			limit = exportTimeout
		case slices.Contains(asksTargets, id):
			limit = targetTimeout
		}
		c, cancel := context.WithTimeout(ctx.Context(), limit)
		defer cancel()
		next(huma.WithContext(ctx, c))
	})
	s.registerOverview(a)
	s.registerEndpoints(a)
	s.registerTraffic(a)
	s.registerEstate(a)
	s.registerSources(a)
	s.registerEvents(a)
	s.registerTail(a)
	s.registerPolicy(a)
	s.registerDeadLetters(a)
	s.registerFindings(a)
	s.registerIdentity(a)
	s.registerAudit(a)
	s.registerLogging(a)
	s.registerAccess(a)
}

// operation describes a read.
func operation(id, path, tag, summary string) huma.Operation {
	return huma.Operation{OperationID: id, Method: http.MethodGet, Path: path, Tags: []string{tag}, Summary: summary}
}

// unavailable logs err and returns what the caller may know of it.
func (s *server) unavailable(ctx context.Context, what string, err error) error {
	s.Logger.ErrorContext(ctx, "api read failed", "what", what, "error", err)
	return huma.Error503ServiceUnavailable(what + " could not be read; Gatehouse's log says why")
}

func writeProblem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(huma.ErrorModel{Title: http.StatusText(status), Status: status, Detail: detail})
}
