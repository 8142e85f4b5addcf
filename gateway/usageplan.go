package gateway

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// bucket is a token bucket.
type bucket struct {
	*rate.Limiter
	rate  float64
	burst int
}

func newBucket(t *Throttle) *bucket {
	return &bucket{rate.NewLimiter(rate.Limit(t.Rate), t.Burst), t.Rate, t.Burst}
}

func (t *Throttle) check(path string) error {
	if t.Rate < 0 || math.IsNaN(t.Rate) || math.IsInf(t.Rate, 0) || t.Burst < 0 {
		return at(path, "rate and burst must not be negative")
	}
	return nil
}

// allows takes a token at a time. No bucket has no limit.
func (b *bucket) allows(now time.Time) bool { return b == nil || b.AllowN(now, 1) }

// apiKey is an API key and what its plans say of each stage.
type apiKey struct {
	id, name, value string
	disabled        bool
	plans           map[string]*keyPlan // by API/STAGE
}

// keyPlan is one key's share of one usage plan, over all of the plan's stages.
type keyPlan struct {
	plan   *UsagePlan
	keyID  string
	bucket *bucket

	mu   sync.Mutex
	used int
	from time.Time // start of the period that used is of
}

func (p *UsagePlan) compile(path string, into *prepared) error {
	if p.Throttle != nil {
		if err := p.Throttle.check(path + ".throttle"); err != nil {
			return err
		}
	}
	if q := p.Quota; q != nil {
		if q.Limit < 0 {
			return at(path+".quota.limit", "must not be negative")
		}
		if q.Period != "DAY" && q.Period != "WEEK" && q.Period != "MONTH" {
			return at(path+".quota.period", "%q is none of DAY, WEEK, MONTH", clip(q.Period))
		}
	}
	for i, s := range p.Stages {
		api, stage, ok := strings.Cut(s, "/")
		if a := into.apis[api]; !ok || a == nil || a.stages[stage] == nil {
			return at(indexed(path+".stages", i), "%q is not API/STAGE of a stage that is configured here", clip(s))
		}
	}
	for i := range p.Keys {
		k := &p.Keys[i]
		at0 := indexed(path+".keys", i)
		if len(k.Value) < 20 {
			return at(at0+".value", "an API key has at least 20 characters")
		}
		key := into.keys[k.Value]
		if key == nil {
			key = &apiKey{id: k.ID, name: k.Name, value: k.Value, plans: map[string]*keyPlan{}}
			into.keys[k.Value] = key
		}
		key.disabled = key.disabled || k.Disabled
		share := &keyPlan{plan: p, keyID: k.ID}
		into.shares = append(into.shares, share)
		if p.Throttle != nil {
			share.bucket = newBucket(p.Throttle)
		}
		for _, s := range p.Stages {
			if key.plans[s] != nil {
				return at(at0, "the key is in two usage plans of %s", s)
			}
			key.plans[s] = share
		}
	}
	return nil
}

// take counts a call against the quota; false if it is used up.
func (p *keyPlan) take(now time.Time) bool {
	q := p.plan.Quota
	if q == nil {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if start := periodStart(q.Period, now); start.After(p.from) {
		p.from, p.used = start, 0
	}
	if p.used >= q.Limit {
		return false
	}
	p.used++
	return true
}

// periodStart is when the quota's period began: midnight, Monday or the first of
// the month, UTC.
func periodStart(period string, now time.Time) time.Time {
	y, m, d := now.UTC().Date()
	switch period {
	case "MONTH":
		d = 1
	case "WEEK":
		d -= (int(now.UTC().Weekday()) + 6) % 7
	}
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// checkUsage asks for the API key, then the throttles, then the quota.
func (c *call) checkUsage() *refusal {
	now := c.start
	target := c.stage.target
	presented := ""
	if c.route.APIKeyRequired {
		presented = c.presentedKey()
	}
	masked := ""
	if presented != "" {
		masked = maskKey(presented)
	}
	c.info("Verifying Usage Plan for request: ", c.id, ". API Key: ", masked, " API Stage: ", target)
	if !c.route.APIKeyRequired {
		if !c.stage.bucket.allows(now) {
			return c.throttled(c.stage.bucket, "Request throttled for RestApi")
		}
		c.info("API Key  authorized because method '", c.r.Method, " ", c.route.path, "' does not require API Key. Request will not contribute to throttle or quota limits")
		c.info("Usage Plan check succeeded for API Key  and API Stage ", target)
		return nil
	}
	if f := c.checkKey(masked); f != nil {
		return f
	}
	method := c.r.Method + " " + c.route.path
	c.info("API Key ", masked, " authorized because method '", method, "' requires API Key and API Key is associated with a Usage Plan. Request will contribute to throttle or quota limits")
	c.info("Usage Plan check succeeded for API Key ", masked, " and API Stage ", target)
	return nil
}

// checkKey asks for the API key that the method needs, then the throttles, then the
// quota. masked is the key as the log has it.
func (c *call) checkKey(masked string) *refusal {
	now, target := c.start, c.stage.target
	key := c.g.keys[c.presentedKey()]
	var share *keyPlan
	if key != nil && !key.disabled {
		share = key.plans[target]
	}
	if share == nil {
		return refuse("INVALID_API_KEY").because(fmt.Sprintf(
			"API Key %s not authorized because method '%s' requires API Key and API Key is not associated with a Usage Plan for API Stage %s: No API Key", masked, c.method(), target))
	}
	c.apiKey = key
	c.secrets = nil // the key of an authorizer's answer is one more to hide
	if !share.bucket.allows(now) {
		return c.throttled(share.bucket, "Key throttle limit exceeded for RestApi")
	}
	if !c.stage.bucket.allows(now) {
		return c.throttled(c.stage.bucket, "Request throttled for RestApi")
	}
	if !share.take(now) {
		f := refuse("QUOTA_EXCEEDED").because(fmt.Sprintf("Key quota limit exceeded for RestApi %s, Stage %s, Resource %s, HttpMethod %s. Limit: %d Period: %s",
			c.api.ID, c.stage.Name, c.route.resourceID, c.r.Method, share.plan.Quota.Limit, share.plan.Quota.Period))
		f.silent = true
		return f
	}
	return nil
}

// method names the method as the log has it: the route key, of a WebSocket API.
func (c *call) method() string {
	if c.socket != nil {
		return c.route.key
	}
	return c.r.Method + " " + c.route.path
}

func (c *call) throttled(b *bucket, what string) *refusal {
	f := refuse("THROTTLED").because(fmt.Sprintf("%s %s, Stage %s, Resource %s, HttpMethod %s. Limit: %.2f Burst: %d",
		what, c.api.ID, c.stage.Name, c.route.resourceID, c.r.Method, b.rate, b.burst))
	f.silent = true
	return f
}

// presentedKey is the API key that the call brings: its X-API-Key header, or what
// the Lambda authorizer answered.
func (c *call) presentedKey() string {
	if c.api.APIKeySource == "AUTHORIZER" {
		if c.lambda != nil {
			return c.lambda.usageKey
		}
		return ""
	}
	return c.r.Header.Get("X-Api-Key")
}
