package transaction

import "strings"

// tchar holds the bytes that a header name may consist of (RFC 9110).
var tchar = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

// maxHeaderName is the longest header name that is believed.
const maxHeaderName = 128

// knownHeader is what is known of a header: its name in lower case, and how its
// value can go on after a comma.
type knownHeader struct {
	name   string
	params params
	// open means that by the default rules the header is no secret.
	open bool
}

// params says which "name=value" may follow a comma in a header's value.
type params uint8

const (
	paramsFew     params = iota // only those that no header is called
	paramsListed                // directives with names from the list
	paramsAny                   // anything that is not a header's name
	paramsCookies               // cookies
)

// headerNames are the headers that are met often, in the case in which they are
// met most. Knowing them tells where a value ends, and saves their lower-case
// copies.
const headerNames = `Accept Accept-CH Accept-Charset Accept-Datetime Accept-Encoding Accept-Language Accept-Patch Accept-Ranges
Access-Control-Allow-Credentials Access-Control-Allow-Headers Access-Control-Allow-Methods Access-Control-Allow-Origin
Access-Control-Expose-Headers Access-Control-Max-Age Access-Control-Request-Headers Access-Control-Request-Method
Age Allow Alt-Svc Alt-Used Authentication-Info Authorization Baggage Cache-Control CDN-Cache-Control CDN-Loop CF-Cache-Status
CF-Connecting-IP CF-IPCountry CF-RAY CF-Visitor Clear-Site-Data CloudFront-Forwarded-Proto CloudFront-Is-Android-Viewer
CloudFront-Is-Desktop-Viewer CloudFront-Is-IOS-Viewer CloudFront-Is-Mobile-Viewer CloudFront-Is-SmartTV-Viewer
CloudFront-Is-Tablet-Viewer CloudFront-Viewer-Address CloudFront-Viewer-ASN CloudFront-Viewer-City CloudFront-Viewer-Country
CloudFront-Viewer-Country-Name CloudFront-Viewer-Country-Region CloudFront-Viewer-Http-Version CloudFront-Viewer-TLS
Connection Content-Digest Content-Disposition Content-Encoding Content-Language Content-Length Content-Location Content-MD5
Content-Range Content-Security-Policy Content-Security-Policy-Report-Only Content-Type Cookie
Cross-Origin-Embedder-Policy Cross-Origin-Opener-Policy Cross-Origin-Resource-Policy Date Deprecation Device-Memory Digest DNT
Early-Data ETag Expect Expect-CT Expires Feature-Policy Forwarded From Host If-Match If-Modified-Since If-None-Match If-Range
If-Unmodified-Since Keep-Alive Last-Modified Link Location Max-Forwards NEL Origin Origin-Agent-Cluster Permissions-Policy
Postman-Token Pragma Prefer Preference-Applied Priority Proxy-Authenticate Proxy-Authorization Proxy-Connection Purpose Range
RateLimit-Limit RateLimit-Remaining RateLimit-Reset Referer Referrer-Policy Repr-Digest Report-To Reporting-Endpoints Retry-After
Save-Data Sec-CH-UA Sec-CH-UA-Arch Sec-CH-UA-Full-Version-List Sec-CH-UA-Mobile Sec-CH-UA-Model Sec-CH-UA-Platform
Sec-CH-UA-Platform-Version Sec-Fetch-Dest Sec-Fetch-Mode Sec-Fetch-Site Sec-Fetch-User Sec-GPC Sec-WebSocket-Accept
Sec-WebSocket-Extensions Sec-WebSocket-Key Sec-WebSocket-Protocol Sec-WebSocket-Version Server Server-Timing Set-Cookie Signature
Signature-Input SOAPAction SourceMap Strict-Transport-Security Sunset Surrogate-Control TE Timing-Allow-Origin Trace-Id Traceparent
Tracestate Trailer Transfer-Encoding True-Client-IP Upgrade Upgrade-Insecure-Requests User-Agent Vary Via Want-Digest Warning
WWW-Authenticate X-Amz-Apigw-Id X-Amz-Cf-Id X-Amz-Cf-Pop X-Amz-Content-Sha256 X-Amz-Date X-Amz-Date-Expires X-Amz-Invocation-Type
X-Amz-Request-Id X-Amz-Security-Token X-Amz-Source-Account X-Amz-Source-Arn X-Amz-Target X-Amz-User-Agent X-Amz-Log-Type
X-Amz-Executed-Version X-Amz-Function-Error X-Amzn-ApiGateway-Api-Id X-Amzn-Cipher-Suite X-Amzn-Errortype X-Amzn-Lambda-Integration-Tag
X-Amzn-Oidc-Accesstoken X-Amzn-Oidc-Data X-Amzn-Oidc-Identity X-Amzn-Remapped-Connection X-Amzn-Remapped-Content-Length
X-Amzn-Remapped-Date X-Amzn-Remapped-Host X-Amzn-Remapped-Server X-Amzn-Remapped-WWW-Authenticate X-Amzn-RequestId X-Amzn-Tls-Version
X-Amzn-Trace-Id X-Amzn-Vpc-Id X-Amzn-Vpce-Config X-Amzn-Vpce-Id X-Amzn-Vpce-Policy-Url X-Api-Key X-Api-Version X-B3-ParentSpanId
X-B3-Sampled X-B3-SpanId X-B3-TraceId X-Cache X-Cache-Hits X-Client-IP X-Client-Id X-Content-Type-Options X-Correlation-Id
X-CSRF-Token X-Datadog-Parent-Id X-Datadog-Sampling-Priority X-Datadog-Trace-Id X-DNS-Prefetch-Control X-Download-Options
X-Forwarded-For X-Forwarded-Host X-Forwarded-Port X-Forwarded-Prefix X-Forwarded-Proto X-Forwarded-Server X-Frame-Options
X-Hub-Signature X-Hub-Signature-256 X-HTTP-Method-Override X-Newrelic-Id X-Permitted-Cross-Domain-Policies X-Powered-By
X-RateLimit-Limit X-RateLimit-Remaining X-RateLimit-Reset X-Real-IP X-Request-Id X-Requested-With X-Robots-Tag X-Runtime
X-Served-By X-Slack-Signature X-Tenant-Id X-Total-Count X-UA-Compatible X-User-Id X-Varnish X-XSRF-Token X-XSS-Protection`

// valueParams are the headers whose values may go on with "name=value" after a
// comma. The last is not a header: it is what may follow in any.
var valueParams = map[string]params{
	"accept": paramsListed, "accept-charset": paramsListed, "accept-encoding": paramsListed, "accept-language": paramsListed,
	"cache-control": paramsListed, "cdn-cache-control": paramsListed, "surrogate-control": paramsListed, "pragma": paramsListed,
	"keep-alive": paramsListed, "expect-ct": paramsListed, "te": paramsListed, "strict-transport-security": paramsListed,
	"forwarded": paramsListed, "prefer": paramsListed, "priority": paramsListed, "link": paramsListed,
	"www-authenticate": paramsAny, "x-amzn-remapped-www-authenticate": paramsAny, "proxy-authenticate": paramsAny,
	"authorization": paramsAny, "proxy-authorization": paramsAny, "authentication-info": paramsAny,
	"tracestate": paramsAny, "baggage": paramsAny, "digest": paramsAny, "content-digest": paramsAny, "repr-digest": paramsAny,
	"want-digest": paramsAny, "signature": paramsAny, "signature-input": paramsAny, "permissions-policy": paramsAny,
	"feature-policy": paramsAny, "alt-svc": paramsAny, "server-timing": paramsAny, "reporting-endpoints": paramsAny,
	"preference-applied": paramsAny, "cookie": paramsAny, "correlation-context": paramsAny, "x-forwarded-client-cert": paramsAny,
	"set-cookie": paramsCookies,
}

// directives are names that stay in the value of headers that are lists of
// directives; those that are true stay in any value, because no header is
// called so.
var directives = map[string]bool{
	"q": true, "max-age": true, "s-maxage": true, "stale-while-revalidate": true, "stale-if-error": true, "max-stale": true,
	"min-fresh": true, "charset": true, "boundary": true, "error_description": true, "error_uri": true, "level": true,
	"qop": true, "cnonce": true, "nc": true, "permessage-deflate": true, "samesite": true, "httponly": true,
	"no-cache": false, "private": false, "timeout": false, "max": false, "realm": true, "error": false, "scope": false,
	"for": false, "by": false, "proto": false, "host": false, "report-uri": false, "wait": false, "return": false,
	"handling": false, "respond-async": false, "u": false, "i": false, "rel": true, "title": false, "type": false, "as": false,
	"v": false, "version": false, "profile": false, "text": false, "nonce": false, "ma": false, "includesubdomains": true,
}

// headerSlots is the size of the table of known headers, a power of two well above
// their number.
const headerSlots = 1024

// headerEntry is a known header under the name by which it is usually written.
type headerEntry struct {
	usual string
	knownHeader
}

// knownHeaders finds headers by their name in any case, by open addressing.
var knownHeaders = func() (table [headerSlots]headerEntry) {
	for name := range strings.FieldsSeq(headerNames) {
		lower := strings.ToLower(name)
		slot := headerHash(name)
		for table[slot].usual != "" {
			slot = (slot + 1) % headerSlots
		}
		table[slot] = headerEntry{name, knownHeader{lower, valueParams[lower], !(*Redactor)(nil).isSecret(lower, placeHeader)}}
	}
	return table
}()

// headerHash is where the search for a header's name begins; case makes no
// difference.
func headerHash(name string) uint {
	const lower, spread = 0x2020202020202020, 0x9e3779b97f4a7c15
	n := len(name)
	var head, tail uint64
	switch {
	case n >= 8:
		head, tail = load64(name), load64(name[n-8:])
	case n >= 4:
		head, tail = uint64(load32(name)), uint64(load32(name[n-4:]))
	case n > 0:
		head, tail = uint64(name[0]), uint64(name[n-1])|uint64(name[n/2])<<8
	}
	h := ((head|lower)*spread ^ (tail | lower)) * spread
	return uint((h^uint64(n)*spread)>>32) % headerSlots
}

// load64 and load32 read the first bytes of s; the compiler makes one load of
// each.
func load64(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func load32(s string) uint32 {
	_ = s[3]
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

// findHeader finds a known header by its name in any case, or nil.
func findHeader(name string) *headerEntry {
	for slot := headerHash(name); ; slot = (slot + 1) % headerSlots {
		e := &knownHeaders[slot]
		switch {
		case e.usual == name || e.name == name:
			return e
		case e.usual == "":
			return nil
		case len(e.usual) == len(name) && strings.EqualFold(e.usual, name):
			return e
		}
	}
}

// headerCalled tells what is known of a header, and its name in lower case.
func headerCalled(name string) (h knownHeader, known bool) {
	if e := findHeader(name); e != nil {
		return e.knownHeader, true
	}
	lower := strings.ToLower(name)
	return knownHeader{name: lower, params: valueParams[lower]}, false
}

// headerOrder remembers which known headers stood where in the last map. Clients
// of one kind send the same headers in the same order.
type headerOrder [24]*headerEntry

// expect returns the header that stood at place n, if its name and an equals sign
// stand at the start of text again.
func (o *headerOrder) expect(n int, text string) *headerEntry {
	if n >= len(o) || o[n] == nil {
		return nil
	}
	name := o[n].usual
	if len(text) > len(name) && text[len(name)] == '=' && text[:len(name)] == name {
		return o[n]
	}
	return nil
}

func (o *headerOrder) set(n int, e *headerEntry) {
	if n < len(o) && o[n] != e {
		o[n] = e
	}
}

// hasHeaderPrefix reports whether a name begins as only headers do.
func hasHeaderPrefix(lower string) bool {
	for _, prefix := range [...]string{"x-", "sec-", "access-control-", "cloudfront-", "content-", "cf-", "if-", "proxy-"} {
		if strings.HasPrefix(lower, prefix) {
			return true
		}
	}
	return false
}
