package kafka

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	tests := []struct {
		err  error
		want class
		mend string
	}{
		{kerr.MessageTooLarge, classPoisoned, "max.message.bytes"},
		{fmt.Errorf("%w (uncompressed_bytes=%d)", kerr.MessageTooLarge, 9), classPoisoned, "max.message.bytes"},
		{kerr.InvalidRecord, classPoisoned, "log"},
		{kerr.UnknownTopicOrPartition, classConfig, "create topic calls"},
		{kerr.TopicAuthorizationFailed, classConfig, "grant Write"},
		{kerr.SaslAuthenticationFailed, classConfig, "password"},
		{kerr.InvalidTimestamp, classConfig, "clock"},
		{&kgo.ErrFirstReadEOF{}, classConfig, "tls="},
		{&net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}, classConfig, "name of the broker"},
		{fmt.Errorf("%w: %w", errNoAnswer, &net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}), classConfig, "name of the broker"},
		{x509.UnknownAuthorityError{}, classConfig, "certificate"},
		{fmt.Errorf("%w: %w", errNoAnswer, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), classRetriable, "brokers are up"},
		{kerr.NotLeaderForPartition, classRetriable, ""},
		{kerr.NotEnoughReplicas, classRetriable, "min.insync.replicas"},
		{kerr.CorruptMessage, classRetriable, ""},
		{kgo.ErrRecordTimeout, classRetriable, ""},
		{io.ErrUnexpectedEOF, classRetriable, ""},
		{errors.New("never seen"), classRetriable, ""},
		{context.DeadlineExceeded, classRetriable, "brokers are up"},
		{context.Canceled, classStopped, ""},
		{kgo.ErrClientClosed, classStopped, ""},
	}
	for _, test := range tests {
		c, mend := classify(test.err, "calls")
		if c != test.want || !strings.Contains(mend, test.mend) || test.mend == "" && mend != "" {
			t.Errorf("classify(%v) = %s, %q, want %s, %q", test.err, c, mend, test.want, test.mend)
		}
	}
}
