// Package kafka delivers transactions to a Kafka topic, at least once.
//
// A batch is cut into chunks by count, bytes and time. One chunk is in flight
// at a time, and to one partition it is one record batch, so that of the
// records of one API either a chunk's all stand in the log or none, and a
// retry cannot put an older call behind a newer one. The producer is
// idempotent and waits for all in-sync replicas.
//
// A broker that does not answer leaves a chunk in doubt: it may stand in the
// log or not. Such a chunk is left with the client, which goes on trying under
// the same sequence numbers, and Deliver returns an error. The next Deliver
// first waits for that chunk, then sends only what was not acknowledged. Taking
// the records back instead and producing them anew would double them whenever
// it was only the answer that got lost. Memory stays bounded by one chunk,
// because nothing new is given to the client while a chunk is in doubt.
//
// Two forms go over the wire: native, the transaction's JSON, and akto, the
// form that Akto's mini-runtime consumes. In both the record key is
// account/region/api/stage: the calls of one API keep their order and one
// consumer of a group sees them all. (Akto's own eBPF producer takes the client
// address and its API Gateway connector no key at all; its consumer reads
// neither.) The record's timestamp is the time of sending, not of the call: a
// back-fill of old calls must not fall under the topic's retention at once.
package kafka
