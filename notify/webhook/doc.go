// Package webhook sends notices as signed HTTP requests in the form of the
// Standard Webhooks specification, and asks an address who is on call.
//
// Both connect only where a mistake in the settings, or a name that somebody else
// resolves, cannot turn Gatehouse against its own machine: no metadata services,
// no link-local addresses, no redirects, no proxies.
package webhook
