// Package gateway is a local Amazon API Gateway: REST, HTTP and WebSocket APIs
// from a YAML file or an OpenAPI export, which authorize, answer, refuse and log
// as API Gateway does.
//
// A call goes through the same steps in the same order as in AWS: host and stage,
// route, the policy of the VPC endpoint, an explicit Deny of the resource policy
// before a Lambda authorizer is asked, authentication, policies, API key, throttle,
// quota, validation of the request, the stage's cache, mapping templates,
// integration. What stops it answers with the status, the body and the headers that
// API Gateway would send.
//
// Every decision is made by package iam over signatures that package sigv4 has
// verified. Nothing is allowed by default, and an error on the way to a decision
// is a denial.
//
// # Logs
//
// Execution logs and access logs are written in API Gateway's own form to a
// LogWriter, so that what reads the logs of the real service reads these. Writing
// never holds up a call: a LogQueue takes events into a bounded buffer, and counts
// what it had to drop.
package gateway
