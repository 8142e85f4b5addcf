// Package deploy writes stacks: the roles, policies, functions and settings that
// Gatehouse and the APIs that it watches need, as Terraform and as CloudFormation.
//
// A stack is described once, as a list of resources that both languages know, and
// rendered to either. Its policies are documents of package iam with every name
// filled in, so what is written is what was evaluated: neither language computes a
// part of a policy. Parameters are therefore given when the text is written, are
// checked there, and only what changes no policy is left to variables.
package deploy
