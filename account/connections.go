package account

import (
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// Connections returns a client whose pool of connections all clients of the SDK
// can share. The SDK would give each client of each account and region a
// transport of its own, and an organization thousands of idle connections to the
// same few hosts. It is c with a larger pool; nil stands for the SDK's own client,
// and of a client that is not the SDK's the pool is as it is.
func Connections(c aws.HTTPClient) aws.HTTPClient {
	if c == nil {
		c = awshttp.NewBuildableClient()
	}
	if buildable, ok := c.(*awshttp.BuildableClient); ok {
		c = buildable.WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns = maxIdle
			t.MaxIdleConnsPerHost = maxIdlePerHost
		}).Freeze()
	}
	return readOnlyBodies{c}
}

// readOnlyBodies sends bodies that can only be read. The SDK closes the body of a
// request as soon as the answer has begun. A closed body of the SDK that is asked
// to write itself out says io.EOF, which net/http, looking for more than the
// length it was told, takes for a failed write: if the answer began before that
// look, it closes the connection and the rest of the answer is lost. A closed
// body that is read says io.EOF as well, and there it is what is looked for.
type readOnlyBodies struct{ client aws.HTTPClient }

// Do sends the request and returns the answer.
func (c readOnlyBodies) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return c.client.Do(r)
}
