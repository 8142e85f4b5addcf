// Package invoke lends Amazon API Gateway APIs whose methods ask for IAM
// authorization. Nothing stands in AWS while access is lent: people get temporary
// credentials of an invoker role in the API's account, named after them and limited by
// a session policy to the routes that they hold, until the first of those ends.
//
// # Exactly what was lent
//
// Whatever is not lent is denied, for a resource policy that lets in everybody is not
// limited by what a session policy is silent about.
//
// A wildcard in an ARN crosses slashes, so GET/pets/* is more than GET /pets/{id}. The
// session policy therefore denies what the wildcard catches beyond the route, and
// every other route that is asked for IAM and that the wildcard would let in. What
// cannot be said exactly, or does not fit into AWS's 2,048 characters, is refused and
// never widened. Before it is used, each policy is evaluated against all routes of the
// stage that are known.
//
// # Taking it back early
//
// Session policies carry the end of what was lent, so credentials die on time by
// themselves. What ends before its time is taken back by an inline policy of the
// invoker role that denies a person's sessions that began before now: by aws:userid,
// which ends in the session's name, and aws:TokenIssueTime. Both are among the keys
// that API Gateway gives to policies with IAM authorization; sts:RoleSessionName is
// not, for it is known while a role is assumed alone.
//
// IAM has no compare-and-set for inline policies. Each process therefore writes a
// policy of its own, whose name begins with GatehouseRevokedSessions, and a policy that
// was silent for long is never written again, so that anybody may delete it.
package invoke
