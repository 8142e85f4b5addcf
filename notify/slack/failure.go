package slack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	api "github.com/slack-go/slack"

	"github.com/gatehouse-project/gatehouse/notify"
)

// hints say how to mend what Slack complains of. An error code that is listed
// here is a matter for a person; the notice waits for it.
var hints = map[string]string{
	"invalid_auth":            "check notify_slack_token: Slack does not know it",
	"not_authed":              "check notify_slack_token: it is empty",
	"account_inactive":        "install the app in the workspace again: its user is gone",
	"token_revoked":           "install the app in the workspace again and give its new token",
	"token_expired":           "give a token that does not expire, or a new one in notify_slack_token_file",
	"no_permission":           "give the app the scopes of docs/notices.md and install it again",
	"missing_scope":           "give the app the scopes of docs/notices.md and install it again",
	"not_allowed_token_type":  "give the bot token, which begins with xoxb-",
	"ekm_access_denied":       "the workspace's administrators have suspended the app",
	"access_denied":           "the workspace's administrators do not let the app do this",
	"org_login_required":      "the workspace is being moved to an enterprise organization",
	"team_access_not_granted": "let the app into this workspace of the organization",
	"not_in_channel":          "invite the app into the channel: /invite @gatehouse",
	"restricted_action":       "let the app write in the channel",
}

// passing are the codes that go away by themselves.
var passing = map[string]bool{
	"ratelimited": true, "rate_limited": true, "internal_error": true, "fatal_error": true,
	"service_unavailable": true, "request_timeout": true, "team_added_to_org": true,
	"message_limit_exceeded": true, "accesslimited": true,
}

// failure classifies an error of Slack's client. This is the one place where it
// is decided whether a retry can help.
func failure(doing string, err error, token string) *notify.Error {
	e := &notify.Error{Channel: notify.Slack, Class: notify.Temporary, Err: fmt.Errorf("%s: %w", doing, bare(err, token))}
	var limited *api.RateLimitedError
	var status api.StatusCodeError
	var said api.SlackErrorResponse
	switch {
	case errors.As(err, &limited):
		// The wait of the notice's channel; Slack says at least a second.
		e.After = min(max(limited.RetryAfter, time.Second), time.Hour)
	case errors.As(err, &said):
		switch hint, known := hints[said.Err]; {
		case known:
			e.Class, e.Hint = notify.Misconfigured, hint
		case !passing[said.Err]:
			// channel_not_found, is_archived, users_not_found, invalid_blocks, …: this
			// message to this address will never be taken.
			e.Class = notify.Permanent
		}
	case errors.As(err, &status) && status.Code < 500 && status.Code != 429 && status.Code != 408:
		e.Class, e.Hint = notify.Misconfigured, "check notify_slack_api, and any proxy on the way to it"
	}
	return e
}

// bare frees an error of URLs and of the token.
func bare(err error, token string) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	text := err.Error()
	if token != "" {
		text = strings.ReplaceAll(text, token, "[redacted]")
	}
	return errors.New(notify.Cut(notify.Clean(text, false), 300))
}

// code is Slack's word for a failure; empty if Slack gave none.
func code(err error) string {
	var e *notify.Error
	if !errors.As(err, &e) {
		return ""
	}
	_, word, _ := strings.Cut(e.Err.Error(), ": ")
	return word
}
