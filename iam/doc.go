// Package iam decides who may do what, as AWS decides it: it parses policy
// documents, compiles them once and evaluates them as often as is asked, over
// every layer that AWS knows and for every kind of principal. On top of that
// stands the way in which Amazon API Gateway authorizes a call.
//
// # From text to decision
//
//	doc, err := iam.Parse(iam.KindIdentity, text)   // strict; errors carry their place
//	policy, err := doc.Compile()                    // immutable, shared by goroutines
//	query, err := iam.Request{…}.Prepare()          // derives context keys
//	decision := (&iam.Policies{…}).Decide(query)    // no allocation
//
// Evaluate does what Decide does and also tells why: which statements decided,
// what is missing on which side, the text that AWS would show, and a sentence
// that a person can act on.
//
// # What holds always
//
// The package is pure: it does no I/O, asks no clock, and imports nothing of
// this module. A decision denies by default, the zero Decision is a denial, and
// no error allows. Nothing on the way of a decision uses regular expressions,
// recursion over input, or memory that grows with it.
//
// Where AWS documents a behaviour only in part, the comment at the place says
// "best evidence" and what was chosen.
//
// # Around the decision
//
// Lint finds mistakes that parse but do not do what their author meant. The
// Generate functions write least-privilege policies from plain parameters, and
// Describe tells a policy in prose.
package iam
