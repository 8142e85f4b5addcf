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

// manageConnection answers POST, GET and DELETE of @connections/ID, which always
// ask for IAM and execute-api:ManageConnections.
func (c *call) manageConnection() *refusal {
	c.route = &route{key: "@connections", path: "/@connections", auth: iam.AuthIAM}
	c.info("Extended Request Id: ", c.extended)
	if f := c.authenticate(); f != nil {
		return f
	}
	if f := c.decide("execute-api:ManageConnections", c.resource(), &c.who.Policies); f != nil {
		return f
	}
	id := unescape(strings.TrimPrefix(c.raw, "/@connections/"))
	k := c.g.sockets.get(id, c.api, c.stage)
	if k == nil {
		return &refusal{kind: "RESOURCE_NOT_FOUND", status: http.StatusGone, errorType: "GoneException"}
	}
	h := c.w.Header()
	switch c.r.Method {
	case http.MethodPost:
		if len(c.body) > maxMessage {
			return refuse("REQUEST_TOO_LARGE").saying("Request entity too large").asType("PayloadTooLargeException")
		}
		ctx, cancel := context.WithTimeout(c.r.Context(), 10*time.Second)
		defer cancel()
		if err := k.conn.Write(ctx, websocket.MessageText, c.body); err != nil {
			return &refusal{kind: "RESOURCE_NOT_FOUND", status: http.StatusGone, errorType: "GoneException"}
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
