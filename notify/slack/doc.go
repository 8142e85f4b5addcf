// Package slack sends notices as Slack messages with buttons, brings them up to
// date in place, and takes the decisions that people make with them.
//
// Nothing that Slack shows of a person is trusted but the e-mail address that its
// API gives for a user id: names can be chosen freely. Whether that person may
// decide is for the Decider alone.
package slack
