package gateway

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/gatehouse-project/gatehouse/iam"
)

// gone is the answer for a connection that has ended, or that never was: the error
// type and no body, by which the SDKs know GoneException.
func gone() *refusal {
	return &refusal{kind: "RESOURCE_NOT_FOUND", status: http.StatusGone, errorType: "GoneException", empty: true}
}

// manageConnection answers POST, GET and DELETE of @connections/ID, which always
// ask for IAM and execute-api:ManageConnections.
func (c *call) manageConnection() *refusal {
	c.route = &route{key: "@connections", path: "/@connections", auth: iam.AuthIAM}
	c.connection = unescape(strings.TrimPrefix(c.raw, "/@connections/"))
	c.info("Extended Request Id: ", c.extended)
	if f := c.authenticate(); f != nil {
		return f
	}
	if f := c.decide("execute-api:ManageConnections", c.resource(), &c.who.Policies); f != nil {
		return f
	}
	k := c.g.sockets.get(c.connection, c.api, c.stage)
	if k == nil {
		return gone()
	}
	h := c.w.Header()
	switch c.r.Method {
	case http.MethodPost:
		if len(c.body) > maxMessage {
			return refuse("REQUEST_TOO_LARGE").saying("Request entity too large").asType("PayloadTooLargeException")
		}
		ctx, cancel := context.WithTimeout(c.r.Context(), 10*time.Second)
		defer cancel()
		if err := k.write(ctx, c.body); err != nil {
			return gone()
		}
		k.touch(c.g.now())
		c.identify(h)
		c.respond(http.StatusOK, nil)
	case http.MethodGet:
		c.identify(h)
		h.Set("Content-Type", "application/json")
		c.respond(http.StatusOK, encode(map[string]any{
			"connectedAt":  k.connected.UTC().Format("2006-01-02T15:04:05.000Z"),
			"identity":     map[string]any{"sourceIp": k.sourceIP, "userAgent": k.agent},
			"lastActiveAt": k.lastActive().UTC().Format("2006-01-02T15:04:05.000Z"),
		}))
	case http.MethodDelete:
		_ = k.conn.Close(websocket.StatusNormalClosure, "Connection Closed Normally")
		c.identify(h)
		c.respond(http.StatusNoContent, nil)
	default:
		return c.miss()
	}
	c.info("Connection API request completed with status: ", strconv.Itoa(c.status))
	return nil
}
