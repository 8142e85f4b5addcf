package iam

import "strings"

// IsCase reports whether text looks like a policy case and not like a policy
// document.
func IsCase(text []byte) bool {
	src, err := readJSON(string(text), 1, MaxCaseSize)
	return err == nil && src.root.member("request") != nil
}

// GuessKind tells from its elements what kind of policy a document is: one that
// names principals is a trust policy if it names no resource and speaks of sts,
// else a resource policy; all others count as identity-based.
func GuessKind(text []byte) Kind {
	src, err := readJSON(string(text), 1, MaxDocumentSize)
	if err != nil {
		return KindIdentity
	}
	statements := src.root.member("Statement")
	if statements == nil {
		return KindIdentity
	}
	list := []*node{statements}
	if statements.kind == nodeList {
		list = statements.items
	}
	kind := KindIdentity
	for _, s := range list {
		if s.member("Principal") == nil && s.member("NotPrincipal") == nil {
			continue
		}
		kind = KindResource
		if s.member("Resource") == nil && s.member("NotResource") == nil && speaksOfSTS(s.member("Action")) {
			return KindTrust
		}
	}
	return kind
}

func speaksOfSTS(action *node) bool {
	if action == nil {
		return false
	}
	if len(action.items) > 0 {
		action = action.items[0]
	}
	return len(action.text) >= 4 && strings.EqualFold(action.text[:4], "sts:")
}
