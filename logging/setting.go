// Package logging switches API Gateway's logging on, and back to what was there.
//
// Everything that it may change is a setting: a register with a value, such as the
// execution logging of a stage or the CloudWatch role of an account. Before a
// setting is changed, what was there is recorded in the journal as an intent; once
// it was changed and read back, the record says so. Whatever ends the process in
// between, the next run finds the record, reads the setting and knows whether the
// change was made, so it can go on or undo. A setting without a record is never
// changed back and nothing without a record is ever deleted.
package logging

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// Kind says what a setting is of.
type Kind string

// The kinds of settings, in the order in which they are switched on.
const (
	// KindRole is the IAM role that API Gateway writes logs with.
	KindRole Kind = "role"
	// KindAccount is the choice of such a role for an account and region.
	KindAccount Kind = "account"
	// KindGroup is a log group that Gatehouse makes.
	KindGroup Kind = "group"
	// KindExecution is the execution logging of a stage, or of one of its methods or
	// routes that has settings of its own.
	KindExecution Kind = "execution"
	// KindAccess is where a stage writes access logs, and in which format.
	KindAccess Kind = "access"
	// KindDelivery is the delivery of a stage's execution logs with lines of up to 1 MB.
	KindDelivery Kind = "delivery"
)

// KindRun is no setting: it is the kind of the journal's lines that say that a run
// began or ended.
const KindRun Kind = "run"

var kinds = []Kind{KindRole, KindAccount, KindGroup, KindExecution, KindAccess, KindDelivery}

// Key names a setting.
type Key struct {
	Account string `json:"account"`
	Region  string `json:"region,omitempty"` // empty for a role, which all regions share
	Kind    Kind   `json:"kind"`
	// Subject is the name of the role or the log group, or API/STAGE; empty for an
	// account.
	Subject string `json:"subject,omitempty"`
	// Part is the method of execution logging as API Gateway writes it ("*/*" for all,
	// "~1pets/GET"), or the route key ("*" for all).
	Part string `json:"part,omitempty"`
}

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region),
		cmp.Compare(slices.Index(kinds, a.Kind), slices.Index(kinds, b.Kind)),
		cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Part, b.Part))
}

// stage splits the subject of a stage's setting.
func (k Key) stage() (api, name string) {
	api, name, _ = strings.Cut(k.Subject, "/")
	return api, name
}

// Record is what Gatehouse knows of a setting that it changed, or was about to.
type Record struct {
	Key
	// APIType, API, APIName and Stage tell whose setting it is; empty where it is
	// shared.
	APIType transaction.APIType `json:"api_type,omitempty"`
	API     string              `json:"api,omitempty"`
	APIName string              `json:"api_name,omitempty"`
	Stage   string              `json:"stage,omitempty"`
	// Before is the value that was there; empty: there was none.
	Before string `json:"before"`
	// After is the value that Gatehouse wrote, or was about to write.
	After string `json:"after"`
	// Written are other values that Gatehouse wrote and that an attempt to write
	// After, which was not finished, may have left there.
	Written []string `json:"written,omitempty"`
	// LoggedBefore are, for an account, the stages (API/STAGE) whose settings said to
	// log when there was no role yet, so that they logged nothing. They do not keep
	// the role when everything is put back.
	LoggedBefore []string `json:"logged_before,omitempty"`
	// Done means that the value was read back after it was written.
	Done bool      `json:"done"`
	Who  string    `json:"who"`
	At   time.Time `json:"at"`
}

// ours reports whether a value that is there is Gatehouse's own work.
func (r *Record) ours(now string) bool {
	return same(r.Kind, now, r.After) || slices.ContainsFunc(r.Written, func(w string) bool { return same(r.Kind, now, w) }) ||
		!r.Done && incomplete(r.Kind, now)
}

// protected reports whether a value that somebody changed since must stay: always,
// unless people force it; and even then a log group or a role without Gatehouse's
// mark, which is somebody else's now, is never deleted.
func protected(force bool, k Kind, now string) bool {
	return !force || (k == KindGroup || k == KindRole) && !incomplete(k, now)
}

// Entry is one line of the journal: something that was tried, and what came of it.
type Entry struct {
	At      time.Time `json:"at"`
	Who     string    `json:"who"`
	Command string    `json:"command"`
	Key     Key       `json:"key"`
	From    string    `json:"from"`
	To      string    `json:"to"`
	Outcome State     `json:"outcome"`
	Error   string    `json:"error,omitempty"`
	// Run names the run that the line belongs to; empty in lines of earlier versions.
	Run string `json:"run,omitempty"`
	// Summary is of a run whole, in the lines that begin and end one.
	Summary *Summary `json:"summary,omitempty"`
}

// Changes are saved in one commit: records to put in place of those of their keys,
// records to drop, and lines to add to the journal.
type Changes struct {
	Put  []Record
	Drop []Key
	Log  []Entry
}

// Journal keeps the records and the journal. It must be on a disk once SaveLogging
// returns.
type Journal interface {
	// LoggingRecords returns all records, in no order.
	LoggingRecords(ctx context.Context) ([]Record, error)
	// SaveLogging saves changes, all or none.
	SaveLogging(ctx context.Context, c *Changes) error
	// LoggingHistory returns at most limit lines of the journal, the newest first.
	LoggingHistory(ctx context.Context, limit int) ([]Entry, error)
	// LoggingRuns returns at most limit lines of those that begin and end runs, the
	// newest first; LoggingRun those of one run, the oldest first.
	LoggingRuns(ctx context.Context, limit int) ([]Entry, error)
	LoggingRun(ctx context.Context, run string, limit int) ([]Entry, error)
}

// Values of a setting are text in one form for each kind, so that two are the same
// if their texts are; the empty text means that there is nothing.
//
//	role       gatehouse | gatehouse (incomplete) | other
//	account    the role's ARN
//	group      gatehouse;DAYS;KMS KEY | other;DAYS;KMS KEY    (0 days: for ever)
//	execution  OFF | ERROR | INFO, with +trace
//	access     {"destination":ARN,"format":…}
//	delivery   the log group's ARN | (incomplete)
const (
	off         = "OFF"
	full        = "INFO+trace"
	made        = "gatehouse"
	unfinished  = "(incomplete)"
	others      = "other"
	defaultREST = "*/*"
	defaultV2   = "*"
)

// same reports whether two values of a setting mean the same. No settings for
// execution logs means that there are none.
func same(k Kind, a, b string) bool {
	if k == KindExecution {
		a, b = cmp.Or(a, off), cmp.Or(b, off)
	}
	return a == b
}

// incomplete reports whether a value is what an attempt of Gatehouse leaves behind
// that takes several calls and was interrupted.
func incomplete(k Kind, now string) bool {
	switch k {
	case KindRole, KindGroup:
		return strings.HasPrefix(now, made)
	case KindDelivery:
		return now == unfinished
	case KindAccount, KindExecution, KindAccess:
	}
	return false
}

func executionValue(level string, trace bool) string {
	level = cmp.Or(level, off)
	if trace {
		return level + "+trace"
	}
	return level
}

func splitExecution(v string) (level string, trace bool) {
	level, _, trace = strings.Cut(cmp.Or(v, off), "+")
	return level, trace
}

// accessLog is the value of KindAccess.
type accessLog struct {
	Destination string `json:"destination"`
	Format      string `json:"format"`
}

func (a accessLog) value() string {
	if a == (accessLog{}) {
		return ""
	}
	b, err := json.Marshal(a)
	if err != nil {
		return "" // two strings always encode
	}
	return string(b)
}

func parseAccess(v string) (a accessLog) {
	_ = json.Unmarshal([]byte(v), &a) // a value is one that accessLog.value made
	return a
}

// Describe is a value for people: short, without the text of a format.
func Describe(k Kind, v string) string {
	switch {
	case v == "" && k == KindExecution:
		return "none (OFF)"
	case v == "":
		return "none"
	case k == KindAccess:
		a := parseAccess(v)
		kind := "own format"
		for _, f := range formats {
			if a.Format == f {
				kind = "Gatehouse's format"
			}
		}
		return groupOrARN(a.Destination) + ", " + kind
	case k == KindGroup:
		p := strings.SplitN(v, ";", 3)
		if len(p) < 3 {
			return v
		}
		text := "kept for ever"
		if p[1] != "0" {
			text = "kept " + p[1] + " days"
		}
		if p[2] != "" {
			text += ", key " + p[2]
		}
		return text
	case k == KindDelivery:
		return groupOrARN(v)
	case k == KindRole && v == made:
		return "role for API Gateway"
	case k == KindRole && strings.HasPrefix(v, made):
		return "role for API Gateway, incomplete"
	case k == KindRole && v == others:
		return "role of somebody else"
	}
	return v
}

// groupOrARN is the name of a log group, or an ARN of something else.
func groupOrARN(arn string) string {
	p := strings.SplitN(arn, ":", 7)
	if len(p) == 7 && p[5] == "log-group" {
		return p[6]
	}
	return arn
}
