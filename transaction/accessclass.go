package transaction

import "strings"

// class says what the values of a variable can look like. It is wide rather than
// narrow: a value that its class does not allow would be taken for another one's.
type class struct {
	bytes  [256]bool
	any    bool // all bytes, and nothing at all
	length int  // exactly so many bytes; 0 for any number but none
	narrow bool // few texts are of the class, so that it tells lines of other formats
	check  func(string) bool
}

// excludes reports whether no value of the class has the byte in it. An unset
// variable is a hyphen, whatever its class.
func (c *class) excludes(b byte) bool { return !c.any && !c.bytes[b] && b != '-' }

// accepts reports whether value can be one of the class. An empty one is allowed
// where nothing else fits the line.
func (c *class) accepts(value string, empty bool) bool {
	switch {
	case c.any || value == "-":
		return true
	case value == "":
		return empty
	case c.length > 0 && len(value) != c.length && !empty:
		return false
	case c.check != nil:
		return c.check(value)
	}
	for i := range len(value) {
		if !c.bytes[value[i]] {
			return false
		}
	}
	return true
}

const (
	digits  = "0123456789"
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

func classOf(bytes string) *class {
	c := &class{}
	for i := range len(bytes) {
		c.bytes[bytes[i]] = true
	}
	return c
}

func (c *class) of(length int) *class { c.length, c.narrow = length, true; return c }

func (c *class) alone() *class { c.narrow = true; return c }

func (c *class) checked(check func(string) bool) *class { c.check, c.narrow = check, true; return c }

var (
	anyText  = &class{any: true}
	count    = classOf(digits).alone()
	duration = classOf(digits + ".").alone()
	status   = classOf(digits).of(3)
	word     = classOf(digits + letters + "_")
	hostName = classOf(digits + letters + "_.-:*")
	// visible is all text without spaces.
	visible = func() *class {
		c := &class{}
		for b := '!'; b <= '~'; b++ {
			c.bytes[b] = true
		}
		return c
	}()
	// requestID is more than API Gateway's own ids, because callers may choose
	// theirs.
	requestID = classOf(digits + letters + "+/=_-.:@#%*!?~^`$")
	// template is what paths of resources may consist of.
	template    = classOf(digits + letters + "._~-{}+/:,$%@*")
	requestTime = classOf(digits + letters + "/: +-").of(len(requestTimeLayout)).checked(func(s string) bool {
		_, ok := parseRequestTime(s)
		return ok
	})
	protocol = classOf(digits + letters + "/.").checked(func(s string) bool {
		return strings.HasPrefix(s, "HTTP/") && strings.IndexByte(s, ' ') < 0
	})
)

// classes are those of the variables whose values have a form of their own. All
// others may be any text: callers write it, or backends, or the API's owner.
var classes = map[string]*class{
	"requestId": requestID, "extendedRequestId": requestID, "connectionId": requestID, "messageId": requestID,
	"apiId": word, "accountId": word, "resourceId": word, "stage": classOf(digits + letters + "_$-"),
	"identity.sourceIp": classOf(digits + "abcdefABCDEF:.%").alone(), "identity.accountId": word, "identity.apiKeyId": word,
	"identity.caller": visible, "identity.user": visible, "identity.userArn": visible, "identity.apiKey": visible,
	"identity.principalOrgId": hostName, "identity.cognitoIdentityId": hostName, "identity.cognitoIdentityPoolId": hostName,
	"identity.cognitoAuthenticationType": word,
	"requestTime":                        requestTime, "requestTimeEpoch": count, "connectedAt": count,
	"httpMethod": classOf(letters + "_-").alone(), "eventType": word, "protocol": protocol,
	"resourcePath": template, "domainName": hostName, "domainPrefix": hostName,
	"status": status, "integration.status": status, "integration.integrationStatus": status, "integrationStatus": status,
	"authorizer.status": status, "authorizer.integrationStatus": status, "authorize.status": status, "authenticate.status": status, "waf.status": status,
	"responseLength": count, "dataProcessed": count,
	"responseLatency": duration, "integrationLatency": duration, "integration.latency": duration,
	"authorizer.latency": duration, "authorizer.integrationLatency": duration, "authorize.latency": duration,
	"authenticate.latency": duration, "waf.latency": duration,
	"error.responseType": word, "wafResponseCode": word, "webaclArn": visible, "xrayTraceId": visible,
}

// classOfVariable tells what the values of a $context variable can look like.
func classOfVariable(name string) *class {
	if c := classes[name]; c != nil {
		return c
	}
	return anyText
}
