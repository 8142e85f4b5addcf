package otlp

import (
	"net/url"
)

// query is a query string with its names in order.
func query(q map[string][]string) string { return url.Values(q).Encode() }
