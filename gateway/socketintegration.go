package gateway

import (
	"bytes"
	"context"
	"io"
	"net/http"
)

// callSocketIntegration calls the route's integration and reads its answer.
func (c *call) callSocketIntegration(message []byte) (status int, header http.Header, body []byte, f *refusal) {
	switch c.route.Integration.Type {
	case "MOCK":
		return c.route.mock.status, http.Header{}, []byte(c.route.mock.body.expand(c.value)), nil
	case "AWS_PROXY":
		result, f := c.callFunction(c.route.uri.expand(c.value), encode(c.socketEventJSON(message)))
		if f != nil {
			return 0, nil, nil, f
		}
		// A function that answers nothing has taken the event.
		if text := bytes.TrimSpace(result.body); len(text) == 0 || string(text) == "null" {
			return http.StatusOK, http.Header{}, nil, nil
		}
		out, err := readFunctionResult(result.body, true)
		if err != nil || out.inferred {
			return 0, nil, nil, c.misconfigured(http.StatusInternalServerError, "Execution failed due to configuration error: Malformed Lambda proxy response")
		}
		return out.status, out.headers, []byte(out.body), nil
	default:
		return c.postSocketMessage(message)
	}
}

// postSocketMessage gives the message to an HTTP endpoint, with headers that name
// the connection.
func (c *call) postSocketMessage(message []byte) (int, http.Header, []byte, *refusal) {
	ctx, cancel := context.WithTimeout(c.r.Context(), c.route.timeout)
	defer cancel()
	uri := c.route.uri.expand(c.value)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, uri, bytes.NewReader(message))
	if err != nil {
		return 0, nil, nil, c.misconfigured(http.StatusInternalServerError, "Execution failed due to configuration error: Invalid endpoint address")
	}
	k := c.socket.socket
	r.Header = http.Header{
		"Content-Type": {"application/json"}, "User-Agent": {"AmazonAPIGateway_" + c.api.ID}, "X-Amzn-Apigateway-Api-Id": {c.api.ID},
		"Connectionid": {k.id}, "X-Amzn-Trace-Id": {c.traceID}, "X-Forwarded-For": {k.sourceIP},
	}
	for _, m := range c.route.mappings {
		if m.place == "header" {
			r.Header.Set(m.name, m.value.expand(c.value))
		}
	}
	c.traceRequest(uri, r.Header, message)
	began := c.g.now()
	c.integration.called = true
	resp, err := c.g.transport.RoundTrip(r)
	if err != nil {
		c.integration.latency = c.g.now().Sub(began)
		return 0, nil, nil, c.failure(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxMessage+1))
	c.integration.latency = c.g.now().Sub(began)
	if err == nil && len(body) > maxMessage {
		err = errTooLarge
	}
	if err != nil {
		return 0, nil, nil, c.failure(err)
	}
	c.integration.status = resp.StatusCode
	c.traceResponse(resp.StatusCode, resp.Header, body)
	return resp.StatusCode, resp.Header, body, nil
}

// socketEventJSON is the event that a function of a WebSocket API is given.
func (c *call) socketEventJSON(message []byte) map[string]any {
	k, s := c.socket.socket, c.socket
	context := map[string]any{
		"routeKey": c.route.key, "eventType": s.kind, "extendedRequestId": c.extended, "requestTime": c.plainVariable("requestTime"),
		"messageDirection": "IN", "stage": c.stage.Name, "connectedAt": k.connected.UnixMilli(), "requestTimeEpoch": c.start.UnixMilli(),
		"identity":  map[string]any{"sourceIp": k.sourceIP, "userAgent": nullable(k.agent)},
		"requestId": c.id, "domainName": c.r.Host, "connectionId": k.id, "apiId": c.api.ID,
	}
	if k.lambda == nil {
		k.lambda = c.lambda
	}
	if k.lambda != nil {
		z := map[string]any{"principalId": k.lambda.principal}
		for name, v := range k.lambda.context {
			z[name] = text(v)
		}
		context["authorizer"] = z
	}
	event := map[string]any{"requestContext": context, "isBase64Encoded": false}
	switch s.kind {
	case "MESSAGE":
		context["messageId"] = c.id
		event["body"] = string(message)
	case "CONNECT":
		h := c.forwardedHeader()
		single := make(map[string]string, len(h))
		for name, v := range h {
			single[name] = v[len(v)-1]
		}
		event["headers"], event["multiValueHeaders"] = single, h
		if q := c.query(); len(q) > 0 {
			query := make(map[string]string, len(q))
			for name, v := range q {
				query[name] = v[len(v)-1]
			}
			event["queryStringParameters"], event["multiValueQueryStringParameters"] = query, q
		}
	case "DISCONNECT":
		context["disconnectStatusCode"], context["disconnectReason"] = s.code, s.reason
	}
	return event
}
