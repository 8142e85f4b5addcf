package finding

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// Verdict is what a rule says of a subject. Its zero value is NotSeen, so that what
// was never judged is never clean.
type Verdict uint8

// The verdicts.
const (
	// NotSeen means that something that the rule looks at was not read.
	NotSeen Verdict = iota
	// NotApplicable means that the question makes no sense for the subject.
	NotApplicable
	// Pass means that all was read and is well.
	Pass
	// Fail means that it is not.
	Fail
)

// String returns "not_seen", "not_applicable", "pass" or "fail".
func (v Verdict) String() string {
	return [...]string{"not_seen", "not_applicable", "pass", "fail"}[v]
}

// MarshalText returns the verdict's name.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Evidence is one fact that a verdict rests on.
type Evidence struct {
	What  string `json:"what"`
	Value string `json:"value"`
}

const (
	// evidenceAtMost and evidenceBytes bound what a finding keeps: names and policies
	// come from whoever made the API.
	evidenceAtMost = 20
	evidenceBytes  = 300
)

// Outcome is a verdict and what it rests on.
type Outcome struct {
	Verdict  Verdict
	Evidence []Evidence
}

// passed tells, with evidence, that all is well.
func passed(evidence ...Evidence) Outcome { return Outcome{Pass, evidence} }

// failed tells what is not well; without evidence all is well, so that a rule can
// gather evidence and hand over what it has.
func failed(evidence ...Evidence) Outcome {
	if len(evidence) == 0 {
		return passed()
	}
	return Outcome{Fail, evidence}
}

func skipped(why string) Outcome { return Outcome{NotApplicable, []Evidence{{"not applicable", why}}} }
func unseen(what string) Outcome { return Outcome{NotSeen, []Evidence{{"not seen", what}}} }

func fact(what, value string) Evidence { return Evidence{what, value} }

// bounded returns evidence within the bounds.
func bounded(evidence []Evidence) []Evidence {
	more := len(evidence) - evidenceAtMost
	if more > 0 {
		evidence = evidence[:evidenceAtMost]
	}
	out := make([]Evidence, 0, len(evidence)+1)
	for _, e := range evidence {
		out = append(out, Evidence{clip(e.What), clip(e.Value)})
	}
	if more > 0 {
		out = append(out, Evidence{"more", plural(more, "fact") + " like these"})
	}
	return out
}

// clip bounds a text without breaking a character.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= evidenceBytes {
		return s
	}
	end := evidenceBytes
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// Subject is what a finding is about.
type Subject struct {
	Kind        Kind    `json:"kind"`
	Account     string  `json:"account"`
	AccountName string  `json:"account_name,omitempty"`
	Region      string  `json:"region,omitempty"`
	API         string  `json:"api,omitempty"`
	APIName     string  `json:"api_name,omitempty"`
	APIType     APIType `json:"api_type,omitempty"`
	Stage       string  `json:"stage,omitempty"`
	// Name is the route ("GET /pets"), domain, log group or usage plan.
	Name string `json:"name,omitempty"`
	// RouteID is how AWS calls the route: the id of the resource for a REST API.
	RouteID string `json:"route_id,omitempty"`
}

// IDOf is the id of what a rule finds at a subject: a digest of what does not change
// while the thing is the same one. Names of accounts and APIs may change, and a
// route keeps its findings when its API is deployed anew.
func IDOf(rule string, s Subject) string {
	h := sha256.New()
	for _, part := range []string{rule, string(s.Kind), s.Account, s.Region, s.API, s.Stage, s.Name} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
