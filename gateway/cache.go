package gateway

import (
	"container/list"
	"crypto/sha256"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// Quotas of API Gateway's caches, and what one of them takes in memory here.
const (
	maxCached        = 1 << 20 // bytes of one response
	maxCacheTTL      = time.Hour
	defaultCacheTTL  = 5 * time.Minute
	defaultCacheSize = 64 << 20
	maxCacheSize     = 4 << 30
	// cacheOverhead is what an entry takes beside its header and body.
	cacheOverhead = 512
)

// stageCache holds what the endpoints of a stage answered, the least lately used
// of it leaving first. What it is asked for is known by a digest, so that no
// parameter of a caller's stays in memory.
type stageCache struct {
	settings map[string]methodCache // by route key
	fallback methodCache            // of GET methods

	mu      sync.Mutex
	entries map[[sha256.Size]byte]*list.Element
	order   *list.List // of *cacheEntry, the latest first
	size    int64
	limit   int64
}

// methodCache are the settings of a method.
type methodCache struct {
	ttl          time.Duration // zero: not cached
	require      bool
	unauthorized string
}

// cacheEntry is what an endpoint answered.
type cacheEntry struct {
	key     [sha256.Size]byte
	status  int
	header  http.Header
	body    []byte
	size    int64
	expires time.Time
}

// cacheParameter is a part of the key of a response.
type cacheParameter struct {
	integration bool // of the integration's request, and not of the method's
	place, name string
}

// compile makes the cache of a stage ready.
func (k *Cache) compile(path string, a *api) (*stageCache, error) {
	if a.kind != transaction.REST {
		return nil, at(path, "only REST APIs have a cache")
	}
	if k.Size < 0 || k.Size > maxCacheSize {
		return nil, at(path+".size", "must be from 0 to %d bytes", int64(maxCacheSize))
	}
	c := &stageCache{
		settings: map[string]methodCache{}, entries: map[[sha256.Size]byte]*list.Element{}, order: list.New(), limit: orDefault(k.Size, int64(defaultCacheSize)),
	}
	var err error
	if c.fallback, err = k.method(path, methodCache{defaultCacheTTL, true, "SUCCEED_WITH_RESPONSE_HEADER"}); err != nil {
		return nil, err
	}
	base := c.fallback
	if base.ttl == 0 {
		base.ttl = defaultCacheTTL
		if k.TTL != nil && *k.TTL > 0 {
			base.ttl = *k.TTL
		}
	}
	for _, key := range sortedKeys(k.Methods) {
		if !slices.ContainsFunc(a.Routes, func(r Route) bool { return r.Method+" "+r.Path == key }) {
			return nil, at(path+".methods", "the API has no route %q", clip(key))
		}
		m := k.Methods[key]
		if c.settings[key], err = m.method(path+".methods", base); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// method are the settings of a method over those of its stage.
func (s *CacheSettings) method(path string, over methodCache) (methodCache, error) {
	if s.TTL != nil {
		if over.ttl = *s.TTL; over.ttl < 0 || over.ttl > maxCacheTTL {
			return over, at(path+".ttl", "must be from 0 to 1h")
		}
	}
	if s.Enabled != nil && !*s.Enabled {
		over.ttl = 0
	}
	if s.RequireAuthorization != nil {
		over.require = *s.RequireAuthorization
	}
	switch s.Unauthorized {
	case "":
	case "FAIL_WITH_403", "SUCCEED_WITH_RESPONSE_HEADER", "SUCCEED_WITHOUT_RESPONSE_HEADER":
		over.unauthorized = s.Unauthorized
	default:
		return over, at(path+".unauthorized", "%q is none of FAIL_WITH_403, SUCCEED_WITH_RESPONSE_HEADER, SUCCEED_WITHOUT_RESPONSE_HEADER", clip(s.Unauthorized))
	}
	return over, nil
}

// compileCacheKeys reads the parameters by which responses are kept apart.
func (rt *route) compileCacheKeys(path string) error {
	for i, text := range rt.Integration.CacheKeyParameters {
		p := cacheParameter{}
		rest, ok := strings.CutPrefix(text, "method.request.")
		if !ok {
			rest, p.integration = strings.CutPrefix(text, "integration.request.")
		}
		place, name, named := strings.Cut(rest, ".")
		p.place, p.name = strings.TrimPrefix(place, "multivalue"), name
		if !ok && !p.integration || !named || name == "" || kindOfPlace(p.place) == noVariable {
			return at(indexed(path+".cache_key_parameters", i), "%q is not method.request.{path,querystring,header}.NAME or integration.request.{path,querystring,header}.NAME", clip(text))
		}
		rt.cacheKeys = append(rt.cacheKeys, p)
	}
	return nil
}

// of are the settings of a call's method. Without its own only GET is cached.
func (k *stageCache) of(rt *route) methodCache {
	if k == nil {
		return methodCache{}
	}
	if m, ok := k.settings[rt.key]; ok {
		return m
	}
	if rt.method == http.MethodGet {
		return k.fallback
	}
	return methodCache{}
}

func (k *stageCache) get(key [sha256.Size]byte, now time.Time) *cacheEntry {
	k.mu.Lock()
	defer k.mu.Unlock()
	found := k.entries[key]
	if found == nil {
		return nil
	}
	e := found.Value.(*cacheEntry)
	if !now.Before(e.expires) {
		k.drop(found)
		return nil
	}
	k.order.MoveToFront(found)
	return e
}

func (k *stageCache) put(e *cacheEntry) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if old := k.entries[e.key]; old != nil {
		k.drop(old)
	}
	if e.size > k.limit {
		return
	}
	for k.size+e.size > k.limit {
		k.drop(k.order.Back())
	}
	k.entries[e.key] = k.order.PushFront(e)
	k.size += e.size
}

// drop takes an entry out; the lock is held.
func (k *stageCache) drop(found *list.Element) {
	e := k.order.Remove(found).(*cacheEntry)
	delete(k.entries, e.key)
	k.size -= e.size
}

// lookUp finds a cached answer for the call, after it was authorized and
// validated. The key holds nothing of who calls, as in API Gateway: callers who
// are all authorized share what is cached, unless a cache key parameter keeps them
// apart.
func (c *call) lookUp() *refusal {
	k := c.stage.cache
	settings := k.of(c.route)
	if settings.ttl == 0 || c.route.Integration.Type == "MOCK" {
		return nil
	}
	c.cacheFor = settings.ttl
	c.cacheKey = c.keyOfCache()
	if renews(c.r.Header) {
		allowed := !settings.require
		why := ""
		if !allowed {
			allowed, why = c.mayInvalidate()
		}
		switch {
		case allowed:
			return nil // the answer takes the entry's place
		case settings.unauthorized == "FAIL_WITH_403":
			c.cacheFor = 0
			return c.accessDenied(why)
		case settings.unauthorized == "SUCCEED_WITH_RESPONSE_HEADER":
			c.w.Header().Set("Warning", "199 Cache-control headers were ignored because the caller was unauthorized.")
		}
	}
	c.cached = k.get(c.cacheKey, c.start)
	return nil
}

// renews reports whether a call asks for a new answer: Cache-Control: max-age=0.
func renews(h http.Header) bool {
	for _, v := range h["Cache-Control"] {
		for d := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(d), "max-age=0") {
				return true
			}
		}
	}
	return false
}

// mayInvalidate decides execute-api:InvalidateCache on the method. A caller of a
// method without authorization by IAM may sign the call all the same (best
// evidence); nobody may invalidate without a policy that says so.
func (c *call) mayInvalidate() (bool, string) {
	const action = "execute-api:InvalidateCache"
	const refused = "User is not authorized to access this resource"
	resource := c.resource()
	switch c.route.auth {
	case iam.AuthIAM:
		return c.allows(action, resource, c.route.auth, &c.who.Policies)
	case iam.AuthLambda:
		if c.lambda == nil || c.lambda.simple {
			return false, refused
		}
		return c.allows(action, resource, c.route.auth, &c.lambda.policies)
	default:
		if c.route.auth == iam.AuthNone && strings.HasPrefix(c.r.Header.Get("Authorization"), "AWS4-") {
			// The signature counts for the cache alone: the method knows no caller.
			defer func() { c.who, c.denied = nil, "" }()
			if c.authenticate() != nil {
				return false, refused
			}
			return c.allows(action, resource, iam.AuthIAM, &c.who.Policies)
		}
		if c.api.policy.Policy == nil {
			return false, refused
		}
		return c.allows(action, resource, c.route.auth, nil)
	}
}

// keyOfCache is a digest of what the answer is kept under.
func (c *call) keyOfCache() [sha256.Size]byte {
	namespace := c.route.Integration.CacheNamespace
	if namespace == "" {
		namespace = c.route.path // API Gateway takes the resource's id
	}
	values := make([]string, 0, 2+2*len(c.route.cacheKeys))
	values = append(values, namespace, c.r.Method)
	for _, p := range c.route.cacheKeys {
		values = append(values, p.name, c.cacheValue(p))
	}
	return cacheKey(c.stage.target, values)
}

func (c *call) cacheValue(p cacheParameter) string {
	if p.integration {
		for _, m := range c.route.mappings {
			if m.place == p.place && m.name == p.name {
				return m.value.expand(c.value)
			}
		}
		return ""
	}
	if p.place == "querystring" {
		return strings.Join(c.query()[p.name], "\x00")
	}
	return c.value(part{kind: kindOfPlace(p.place), name: p.name})
}

// keep puts what the endpoint answered into the cache, if the method has one.
func (c *call) keep(status int, header http.Header, body []byte) {
	if c.cacheFor == 0 || len(body) > maxCached {
		return
	}
	e := &cacheEntry{key: c.cacheKey, status: status, header: header.Clone(), body: slices.Clone(body), expires: c.g.now().Add(c.cacheFor)}
	e.size = int64(len(body)) + cacheOverhead
	for name, values := range header {
		for _, v := range values {
			e.size += int64(len(name) + len(v))
		}
	}
	c.stage.cache.put(e)
}

// hit tells of an answer from the cache: an integration latency of zero is what
// API Gateway's own queries know one by.
func (c *call) hit(e *cacheEntry) {
	c.integration.called, c.integration.status = true, e.status
	c.info("Received response. Status: ", strconv.Itoa(e.status), ", Integration latency: 0 ms")
	if c.traces() {
		c.info("Endpoint response headers: ", logHeader(e.header))
		c.info("Endpoint response body before transformations: ", c.logBody(e.body))
	}
}
