package gateway

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// preflight answers a CORS preflight call to an HTTP API that is configured for
// it, whether or not a route takes OPTIONS. It reports whether it did.
func (c *call) preflight() bool {
	cors := c.api.CORS
	if cors == nil || c.r.Method != http.MethodOptions || c.r.Header.Get("Origin") == "" || c.r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h := c.w.Header()
	c.identify(h)
	if h.Get("Access-Control-Allow-Origin") != "" {
		set := func(name string, values []string) {
			if len(values) > 0 {
				h.Set(name, strings.Join(values, ","))
			}
		}
		set("Access-Control-Allow-Methods", cors.AllowMethods)
		set("Access-Control-Allow-Headers", cors.AllowHeaders)
		if cors.MaxAge > 0 {
			h.Set("Access-Control-Max-Age", strconv.Itoa(cors.MaxAge))
		}
	}
	c.respond(http.StatusNoContent, nil)
	return true
}

// corsHeaders sets the headers of an HTTP API's CORS configuration, which replace
// whatever the integration answered.
func (c *call) corsHeaders(h http.Header) {
	cors := c.api.CORS
	if cors == nil {
		return
	}
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-") {
			delete(h, name)
		}
	}
	origin := c.r.Header.Get("Origin")
	if origin == "" || !cors.allows(origin) {
		return
	}
	if slices.Contains(cors.AllowOrigins, "*") && !cors.AllowCredentials {
		origin = "*"
	} else {
		h.Add("Vary", "Origin")
	}
	h.Set("Access-Control-Allow-Origin", origin)
	if cors.AllowCredentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if len(cors.ExposeHeaders) > 0 {
		h.Set("Access-Control-Expose-Headers", strings.Join(cors.ExposeHeaders, ","))
	}
}

// check refuses what API Gateway refuses: an origin with a wildcard in it that is
// none of *, http:// and https:// with a *, and credentials for everyone.
func (k *CORS) check(path string) error {
	if k == nil {
		return nil
	}
	for i, o := range k.AllowOrigins {
		wild := o == "*" || o == "http://*" || o == "https://*"
		if strings.Contains(o, "*") && !wild {
			return at(indexed(path+".allow_origins", i), "%q: only *, http://* and https://* hold a wildcard", clip(o))
		}
		if wild && k.AllowCredentials {
			return at(path+".allow_credentials", "does not go with the origin %s: every page on the web could call with its visitors' credentials", o)
		}
	}
	return nil
}

// allows reports whether an origin is one of the list: itself, *, http://*, or
// https://*.
func (k *CORS) allows(origin string) bool {
	for _, o := range k.AllowOrigins {
		prefix, wild := strings.CutSuffix(o, "*")
		if wild && strings.HasPrefix(origin, prefix) || strings.EqualFold(o, origin) {
			return true
		}
	}
	return false
}
