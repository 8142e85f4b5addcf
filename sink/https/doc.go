// Package https delivers transactions in batches to an HTTPS endpoint, with an
// OAuth 2.0 token where the endpoint asks for one. Package post says how it
// delivers.
//
// Two forms go over the wire. native is a JSON array of transactions. cequence
// is a JSON array with the fields and markers that Cequence documents for its
// API Gateway integration. That documentation has no schema of the whole
// message; the layout here is the best evidence, and docs/sinks.md describes it.
//
// An endpoint may take a part of a batch. It then answers 200, 202 or 207 with a
// JSON object that has a list under rejected, errors or failed. Each entry names
// a call by id (the transaction's id) or index (its place in the batch, from 0),
// and may have retry (true: it may be sent again), status (429 and 5xx mean the
// same), and reason, message or error.
package https
