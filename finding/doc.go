// Package finding judges the configuration of APIs: a catalogue of rules, what they
// say of an estate, and the life of what they find.
//
// Rules and states are pure: no I/O and no clock. Book alone speaks to a store,
// through an interface that this package declares. The package declares the small model of an estate that
// its rules look at, and whoever knows the estate fills it in. The model is a copy
// and not the estate's own, because the estate's grows with what discovery, history
// and switching need, and a rule must not change its verdict because of that: what a
// rule can look at is what stands in model.go, and nothing else.
//
// A rule gives one of four verdicts. Pass and Fail need everything that the rule
// looks at; where a part of that was not read, the verdict is NotSeen and never
// Pass. NotApplicable means that the question makes no sense: an HTTP API has no
// execution logs, so it cannot lack them.
//
// Who may call is decided with package iam: a resource policy is judged by whether
// it lets a stranger in, and not by how it is written.
package finding
