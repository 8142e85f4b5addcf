package gateway

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// proxyToFunction posts the Lambda event to a function endpoint and answers its
// result.
func (c *call) proxyToFunction() *refusal {
	v2 := c.api.kind == transaction.HTTP && c.route.Integration.PayloadVersion != "1.0"
	if hit := c.cached; hit != nil {
		c.hit(hit)
		return c.answerFunction(hit.body, v2)
	}
	uri := c.route.uri.expand(c.value)
	var event []byte
	if v2 {
		event = encode(c.eventV2())
	} else {
		event = encode(c.eventV1())
	}
	result, f := c.callFunction(uri, event)
	if f != nil {
		return f
	}
	c.keep(result.status, http.Header{"Content-Type": {"application/json"}}, result.body)
	return c.answerFunction(result.body, v2)
}

// answerFunction answers the proxy response that a function gave.
func (c *call) answerFunction(result []byte, v2 bool) *refusal {
	out, err := readFunctionResult(result, v2)
	if err != nil {
		c.integration.err = "Malformed Lambda proxy response"
		return c.misconfigured(http.StatusBadGateway, "Execution failed due to configuration error: Malformed Lambda proxy response")
	}
	body := []byte(out.body)
	if out.isBase64 && c.decodes(out.headers.Get("Content-Type")) {
		if body, err = base64.StdEncoding.DecodeString(out.body); err != nil {
			c.integration.err = "Malformed Lambda proxy response"
			return c.misconfigured(http.StatusBadGateway, "Execution failed due to configuration error: Malformed Lambda proxy response")
		}
	}
	h := c.w.Header()
	for name, values := range out.headers {
		if hopByHop[name] || name == "Content-Length" || name == "Host" {
			continue
		}
		if to, ok := remapped[name]; ok && c.api.kind == transaction.REST {
			name = to
		}
		h[name] = values
	}
	for _, cookie := range out.cookies {
		h.Add("Set-Cookie", cookie)
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
		if c.api.kind == transaction.HTTP && !out.inferred {
			h.Set("Content-Type", "text/plain;charset=UTF-8")
		}
	}
	if c.api.kind == transaction.REST {
		h.Set("X-Amzn-Trace-Id", c.traceID)
	}
	return c.answer(out.status, body)
}

// decodes reports whether a body in base64 is given as bytes: by HTTP APIs always,
// by REST APIs where the caller accepts or the answer is a binary media type.
func (c *call) decodes(contentType string) bool {
	if c.api.kind == transaction.HTTP {
		return true
	}
	accept, _, _ := strings.Cut(c.r.Header.Get("Accept"), ",")
	return c.api.isBinary(mediaType(accept)) || c.api.isBinary(mediaType(contentType))
}

// callFunction posts an event to a function endpoint. A function that failed is a
// refusal.
func (c *call) callFunction(uri string, event []byte) (*answer, *refusal) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		c.integration.err = "Invalid endpoint address"
		return nil, c.misconfigured(http.StatusInternalServerError, "Execution failed due to configuration error: Invalid endpoint address")
	}
	if c.logs() {
		h := http.Header{
			"Content-Type": {"application/json"}, "User-Agent": {"AmazonAPIGateway_" + c.api.ID}, "X-Amzn-Apigateway-Api-Id": {c.api.ID},
			"X-Amz-Source-Arn": {c.sourceARN()}, "X-Amzn-Trace-Id": {c.traceID},
		}
		c.traceRequest(uri, h, event)
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), c.route.timeout)
	defer cancel()
	began := c.g.now()
	c.integration.called = true
	result, err := c.g.invoke(ctx, uri, event, maxFunctionResult)
	c.integration.latency = c.g.now().Sub(began)
	if err != nil {
		return nil, c.failure(err)
	}
	c.integration.status, c.integration.requestID = result.status, result.requestID
	if c.integration.requestID == "" {
		c.integration.requestID = uuid.NewString()
	}
	c.traceResponse(result.status, http.Header{"Content-Type": {"application/json"}, "X-Amzn-Requestid": {c.integration.requestID}}, result.body)
	switch {
	case result.functionError:
		c.integration.err = "The Lambda function returned an error"
		return nil, c.misconfigured(http.StatusBadGateway, fmt.Sprintf("Lambda execution failed with status 200 due to customer function error: %s. Lambda request id: %s",
			functionMessage(result.body), c.integration.requestID))
	case result.status != http.StatusOK:
		c.integration.err = "The Lambda function could not be invoked"
		f := c.misconfigured(http.StatusInternalServerError, fmt.Sprintf("Lambda invocation failed with status: %d. Lambda request id: %s", result.status, c.integration.requestID))
		return nil, f
	}
	return result, nil
}

// maxFunctionResult is the largest answer of a Lambda function.
const maxFunctionResult = 6 << 20

// sourceARN names the method that a function is called for.
func (c *call) sourceARN() string {
	if c.api.kind == transaction.REST {
		return c.api.arn + c.stage.Name + "/" + c.r.Method + c.route.path
	}
	return c.api.arn + c.stage.Name + "/" + c.route.key
}

func functionMessage(body []byte) string {
	var failure struct {
		Message string `json:"errorMessage"`
	}
	if json.Unmarshal(body, &failure) != nil || failure.Message == "" {
		return "unknown"
	}
	return clip(failure.Message)
}

// functionResult is what a function answered.
type functionResult struct {
	status   int
	headers  http.Header
	cookies  []string
	body     string
	isBase64 bool
	// inferred: in payload version 2.0 a result that is not a response is the body.
	inferred bool
}

// readFunctionResult reads a proxy response.
func readFunctionResult(body []byte, v2 bool) (*functionResult, error) {
	var in map[string]json.RawMessage
	err := json.Unmarshal(body, &in)
	_, hasStatus := in["statusCode"]
	if v2 && !hasStatus {
		if !json.Valid(body) {
			return nil, errors.New("the result is not JSON")
		}
		out := &functionResult{status: http.StatusOK, headers: http.Header{}, body: string(body), inferred: true}
		var text string
		if json.Unmarshal(body, &text) == nil {
			out.body = text
		}
		return out, nil
	}
	if err != nil || in == nil {
		return nil, errors.New("the result is not an object")
	}
	out := &functionResult{headers: http.Header{}, status: http.StatusOK}
	var single map[string]any
	var multi map[string][]any
	for name, raw := range in {
		var err error
		switch name {
		case "statusCode":
			out.status, err = readStatus(raw)
		case "headers":
			err = decode(raw, &single)
		case "multiValueHeaders":
			err = decode(raw, &multi)
		case "body":
			var b *string
			if err = decode(raw, &b); err == nil && b != nil {
				out.body = *b
			}
		case "isBase64Encoded":
			err = decode(raw, &out.isBase64)
		case "cookies":
			err = errors.New("cookies are of payload version 2.0")
			if v2 {
				err = decode(raw, &out.cookies)
			}
		default:
			// API Gateway refuses a response of version 1.0 with any other key.
			if !v2 {
				err = fmt.Errorf("unknown key %q", name)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	add := func(name string, v any) error {
		switch v.(type) {
		case string, bool, json.Number, nil:
		default:
			return fmt.Errorf("the header %q is not a text", name)
		}
		value := text(v)
		if !validHeader(name, value) {
			return fmt.Errorf("the header %q cannot be sent", clip(name))
		}
		key := http.CanonicalHeaderKey(name)
		out.headers[key] = append(out.headers[key], value)
		return nil
	}
	for name, values := range multi {
		for _, v := range values {
			if err := add(name, v); err != nil {
				return nil, err
			}
		}
	}
	for name, v := range single {
		if _, both := multi[name]; both {
			continue
		}
		if err := add(name, v); err != nil {
			return nil, err
		}
	}
	for _, cookie := range out.cookies {
		if !validHeader("Set-Cookie", cookie) {
			return nil, errors.New("a cookie cannot be sent")
		}
	}
	return out, nil
}

func decode(raw json.RawMessage, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode(v)
}

// readStatus reads a status, which may be a text.
func readStatus(raw json.RawMessage) (int, error) {
	var n json.Number
	if err := json.Unmarshal(raw, &n); err != nil {
		return 0, err
	}
	status, err := n.Int64()
	if err != nil || status < 200 || status > 599 {
		return 0, errors.New("statusCode is not a status")
	}
	return int(status), nil
}

// validHeader reports whether a header can stand in an answer: a token, and a value
// without anything that would end its line.
func validHeader(name, value string) bool {
	if name == "" || strings.ContainsAny(name, " \t\r\n:,;()<>@\\\"/[]?={}") {
		return false
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] >= 0x7f {
			return false
		}
	}
	return !strings.ContainsAny(value, "\r\n\x00")
}
