// Package ingest takes log events that others push: an HTTPS endpoint that speaks
// Firehose's HTTP endpoint delivery protocol, and a Lambda handler for CloudWatch
// Logs subscriptions, Kinesis streams and a schedule. Both put the events into a
// spool before they acknowledge them; reading them on is the collector's work.
package ingest
