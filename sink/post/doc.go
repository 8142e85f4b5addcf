// Package post delivers batches of transactions to an HTTP endpoint, at least
// once. It is what the sinks that speak HTTP have in common; a Form makes one
// of them.
//
// # What becomes of an answer
//
// Accepted calls are done. An answer that asks for patience (429, most of 5xx, a
// connection that breaks) makes Deliver return an error at once, so that the
// health page has it, and the next Deliver wait for as long as the endpoint
// asked for, or for a time that grows with the failures in a row. What of the
// batch was accepted until then is remembered and not sent again. An answer that
// only a person can change (a wrong token, path or certificate) is handled the
// same way.
//
// A batch that is too large, or that is refused for something in it, is halved
// until the calls stand alone that the endpoint does not take, unless its answer
// names them. Those go to the dead letters. Deliver returns nil only when every
// call was accepted or is safe there.
//
// # Secrets
//
// Tokens, client secrets, headers and the query of the URL are in no error, log
// line, metric or name. Redirects are not followed: they would take the token to
// another place.
package post
