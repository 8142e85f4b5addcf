package gateway

import (
	"net/http"
	"strconv"

	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// Quotas of API Gateway on what a call brings beside its body.
const (
	// maxHeaders is the total size of a call's headers, names and values; of an HTTP
	// API also of its request line.
	maxHeaders = 10240
	// maxURL is the length of the URL of a regional REST API.
	maxURL = 10240
	// maxMethodARN is the length of the ARN of a method that is authorized, with the
	// path of the call.
	maxMethodARN = 1600
	// readHeaders is how much the server reads before it gives up on its own, without
	// an answer in API Gateway's form.
	readHeaders = 64 << 10
)

// checkSize refuses a call whose URL or headers are too large. The statuses are
// documented for the URL; that of the headers is best evidence, its text is that
// of captures.
func (c *call) checkSize() *refusal {
	target := len(c.r.RequestURI)
	size := len("Host") + len(c.r.Host)
	for name, values := range c.r.Header {
		for _, v := range values {
			size += len(name) + len(v)
		}
	}
	if c.api.kind == transaction.HTTP {
		size += target
	}
	switch {
	case target > maxURL:
		return tooLong()
	case size > maxHeaders:
		f := &refusal{
			kind: "REQUEST_TOO_LARGE", status: http.StatusRequestHeaderFieldsTooLarge, errorType: "RequestTooLongException",
			message: "HTTP header is larger than " + strconv.Itoa(maxHeaders) + " bytes.", plain: "Request Header Fields Too Large", unlogged: true,
		}
		return f
	}
	return nil
}

func tooLong() *refusal {
	return &refusal{
		kind: "REQUEST_TOO_LARGE", status: http.StatusRequestURITooLong, errorType: "RequestTooLongException",
		message: "Request URI too long", plain: "URI Too Long", unlogged: true,
	}
}

// checkARN refuses a call whose method's ARN is too long to be authorized.
func (c *call) checkARN(resource string) *refusal {
	if len(resource) > maxMethodARN && (c.route.auth != iam.AuthNone || c.api.policy.Policy != nil) {
		return tooLong()
	}
	return nil
}
