package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// class is what a failure asks for. It is a label of the metrics.
type class string

const (
	// classRetriable: the same records may be taken later. Everything that is
	// not known to be something else is retriable, because giving a record up
	// loses a call and trying again loses only time.
	classRetriable class = "retriable"
	// classConfig: somebody must mend the configuration of the sink, the topic
	// or the brokers first. It is tried again all the same, since the mending
	// may be done on their side.
	classConfig class = "config"
	// classPoisoned: these records, in this form, are never taken.
	classPoisoned class = "poisoned"
	// classStopped: nobody waits any more.
	classStopped class = "stopped"
)

var classes = [...]class{classRetriable, classConfig, classPoisoned, classStopped}

// errNoAnswer is the cause of a Deliver that gave up waiting.
var errNoAnswer = errors.New("no acknowledgement from the brokers")

// classify is the one place that decides what becomes of a failure, and what
// an operator can do about it.
func classify(err error, topic string) (c class, mend string) {
	var (
		firstRead *kgo.ErrFirstReadEOF
		dns       *net.DNSError
		unknownCA x509.UnknownAuthorityError
		hostname  x509.HostnameError
		record    tls.RecordHeaderError
		verify    *tls.CertificateVerificationError
		alert     *net.OpError
		letters   interface{ Mend() string }
	)
	switch {
	// The record itself. A batch fails as a whole for one such record, and
	// Deliver finds out which it is.
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge):
		return classPoisoned, "raise max.message.bytes of topic " + topic
	case errors.Is(err, kerr.InvalidRecord):
		return classPoisoned, "look in the broker's log for why it refuses the record"

	// A caller that went away, or a client that was closed under its records.
	case errors.Is(err, context.Canceled), errors.Is(err, kgo.ErrClientClosed), errors.Is(err, kgo.ErrAborting):
		return classStopped, ""

	// Answers of a broker that stay the same until somebody changes something.
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID):
		return classConfig, fmt.Sprintf("create topic %s, or grant Describe on it: a broker hides what it may not show", topic)
	case errors.Is(err, kerr.InvalidTopicException):
		return classConfig, "choose another topic name: letters, digits, dot, underscore and hyphen, at most 249"
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return classConfig, "grant Write and Describe on topic " + topic
	case errors.Is(err, kerr.ClusterAuthorizationFailed):
		return classConfig, "grant IdempotentWrite on the cluster (brokers before 2.8 ask for it)"
	case errors.Is(err, kerr.SaslAuthenticationFailed), errors.Is(err, kerr.UnsupportedSaslMechanism), errors.Is(err, kerr.IllegalSaslState):
		return classConfig, "check sasl=, the user and the password (username= and password_file=, or the settings)"
	case errors.Is(err, kerr.InvalidTimestamp):
		return classConfig, "set this machine's clock: the broker refuses its time"
	case errors.Is(err, kerr.UnsupportedCompressionType):
		return classConfig, "choose another compression="
	case errors.Is(err, kerr.UnsupportedForMessageFormat), errors.Is(err, kerr.UnsupportedVersion):
		return classConfig, "brokers of Kafka 0.11 or later are needed"
	case errors.Is(err, kerr.InvalidRequiredAcks), errors.Is(err, kerr.PolicyViolation):
		return classConfig, "look in the broker's log for the policy that refuses the records"

	// The store of dead letters: full, locked, or not there.
	case errors.As(err, &letters):
		return classConfig, letters.Mend()

	// What the network says when it is not the network's fault.
	case errors.As(err, &alert) && alert.Op == "remote error": // a TLS alert
		return classConfig, "the broker refuses this client's TLS: it may ask for a certificate, cert_file= and key_file="
	case errors.As(err, &firstRead):
		return classConfig, "check tls= and sasl=: the broker hung up as one does that expects the other"
	case errors.As(err, &record):
		return classConfig, "set tls=false or name the broker's TLS listener"
	case errors.As(err, &unknownCA), errors.As(err, &hostname), errors.As(err, &verify):
		return classConfig, "give the brokers' certificate authority with ca_file=, or use the name in their certificate (server_name=)"
	case errors.As(err, &dns) && dns.IsNotFound:
		return classConfig, "check the name of the broker"

	// A broker that restarts does the same, so it is not called a mistake.
	case errors.Is(err, errNoAnswer) && errors.Is(err, io.EOF):
		return classRetriable, "the brokers hang up while a connection is made: check tls= and sasl=, the user and the password"
	case errors.Is(err, errNoAnswer), errors.Is(err, context.DeadlineExceeded):
		return classRetriable, "check that the brokers are up and can be reached"
	case errors.Is(err, kerr.NotEnoughReplicas), errors.Is(err, kerr.NotEnoughReplicasAfterAppend):
		return classRetriable, "bring back the replicas that min.insync.replicas asks for"
	}
	return classRetriable, ""
}

// DeliveryError says how much of a batch was not acknowledged and why.
type DeliveryError struct {
	Topic   string
	Failed  int // transactions of the batch that are not acknowledged
	Total   int // transactions in the batch
	InDoubt int // of Failed: sent, and the client is still trying
	Err     error

	mend string
}

// Error names the topic, the count and the cause.
func (e *DeliveryError) Error() string {
	doubt := ""
	if e.InDoubt > 0 {
		doubt = fmt.Sprintf(" (%d in doubt)", e.InDoubt)
	}
	return fmt.Sprintf("delivering to kafka topic %s: %d of %d transactions not acknowledged%s: %v",
		e.Topic, e.Failed, e.Total, doubt, e.Err)
}

// Unwrap returns the cause.
func (e *DeliveryError) Unwrap() error { return e.Err }

// Mend says what an operator can do; empty if waiting is all.
func (e *DeliveryError) Mend() string { return e.mend }
