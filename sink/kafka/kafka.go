package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// Sink delivers transactions to one topic. See the package's documentation for
// what it promises. Deliver and Close must not run at the same time.
type Sink struct {
	config      Config
	name        string
	client      *kgo.Client
	connections *connections
	metrics     *metrics
	akto        *aktoEncoder // nil for the native form
	headers     []kgo.RecordHeader
	batchBytes  int // Config.BatchBytes, or less if the brokers take less

	next    *chunk // being filled
	flight  *chunk // with the client, not answered yet
	settled *chunk // answered last

	// acked counts, by transaction id, what of the batch at hand needs no
	// sending. It is filled when a Deliver fails and emptied by the next one.
	acked map[string]int

	closed    atomic.Bool
	closeOnce sync.Once
	closeErr  error
}

var _ collect.Sink = (*Sink)(nil)

// chunk is what is sent and acknowledged together.
type chunk struct {
	transactions []*transaction.Transaction
	records      []*kgo.Record
	errs         []error // by record, right once done is closed
	bytes        int
	began        time.Time
	left         atomic.Int64
	done         chan struct{}
}

// Open makes a Sink. It opens no connection: brokers that are down now may be
// up when there is something to deliver. Check finds out.
func Open(_ context.Context, config Config) (*Sink, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	s := &Sink{
		config:      config,
		name:        config.Name(),
		connections: &connections{},
		batchBytes:  config.BatchBytes,
		acked:       map[string]int{},
	}
	if config.Format == AktoTraffic {
		s.akto = &aktoEncoder{config: config.Akto, now: config.Now}
	} else {
		s.headers = []kgo.RecordHeader{{Key: "content-type", Value: []byte("application/json")}}
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(config.Brokers...),
		kgo.ClientID(config.ClientID),
		kgo.DefaultProduceTopic(config.Topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		// A topic that is missing is made where the brokers make topics on demand, as
		// they do by default; elsewhere the error says that it is missing.
		kgo.AllowAutoTopicCreation(),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.ProducerBatchCompression(codecs[config.Compression], kgo.NoCompression()),
		// One flush sends one chunk, and a chunk is one record batch at each
		// partition: the batch's own limits must not cut it.
		kgo.ManualFlushing(),
		kgo.ProducerBatchMaxBytes(2 * maxRecordBytes),
		kgo.MaxBufferedRecords(config.BatchCount + 1),
		// Metadata is asked for again at most this often; it decides how soon a
		// missing topic is told of, and found when it is made.
		kgo.MetadataMinAge(500 * time.Millisecond),
		kgo.WithLogger(clientLog{config.Logger}),
		kgo.WithHooks(s.connections),
	}
	encryption, err := config.Auth.tls()
	if err != nil {
		return nil, fmt.Errorf("opening kafka sink %s: %w", s.name, err)
	}
	if encryption != nil {
		options = append(options, kgo.DialTLSConfig(encryption))
	}
	mechanism, err := config.Auth.mechanism(config.Brokers, encryption != nil)
	if err != nil {
		return nil, fmt.Errorf("opening kafka sink %s: %w", s.name, err)
	}
	if mechanism != nil {
		options = append(options, kgo.SASL(mechanism))
	}
	if config.dialer != nil {
		options = append(options, config.dialer)
	}
	if s.client, err = kgo.NewClient(options...); err != nil {
		return nil, fmt.Errorf("opening kafka sink %s: %w", s.name, err)
	}
	if s.metrics, err = newMetrics(config.Metrics, s.name); err != nil {
		s.client.Close()
		return nil, fmt.Errorf("opening kafka sink %s: registering its metrics (is it named twice?): %w", s.name, err)
	}
	return s, nil
}

// Name is the brokers and the topic as a URL.
func (s *Sink) Name() string { return s.name }

// Position is empty: what the brokers acknowledged cannot be taken back.
func (s *Sink) Position() string { return "" }

// Restore does nothing.
func (s *Sink) Restore(context.Context, string) error { return nil }

// Check reports whether the brokers answer and the topic exists.
func (s *Sink) Check(ctx context.Context) error {
	topics, err := kadm.NewClient(s.client).ListTopics(ctx, s.config.Topic)
	if err == nil {
		err = topics[s.config.Topic].Err
	}
	if err != nil {
		_, mend := classify(err, s.config.Topic)
		return &checkError{fmt.Errorf("checking kafka topic %s: %w", s.config.Topic, err), mend}
	}
	return nil
}

// checkError is an error of Check.
type checkError struct {
	error
	mend string
}

// Unwrap returns the cause.
func (e *checkError) Unwrap() error { return e.error }

// Mend says what an operator can do; empty if waiting is all.
func (e *checkError) Mend() string { return e.mend }

// Deliver returns nil when every transaction that has a form on this topic was
// acknowledged by all in-sync replicas. It returns a *DeliveryError when one of
// them was not, at the latest DeliveryTimeout after the last acknowledgement,
// and when ctx is done.
func (s *Sink) Deliver(ctx context.Context, batch []*transaction.Transaction) error {
	if s.closed.Load() {
		return errors.New("kafka sink: deliver after close")
	}
	if err := s.settle(ctx); err != nil {
		return s.failed(batch, nil, err)
	}
	// open is what of the batch still has to go, in order.
	open := make([]bool, len(batch))
	index := make(map[*transaction.Transaction]int, min(len(batch), s.config.BatchCount))
	for i, t := range batch {
		if n := s.acked[t.ID]; n > 0 {
			s.acked[t.ID] = n - 1
			continue
		}
		open[i] = true
	}
	clear(s.acked)

	for from := 0; from < len(batch); {
		if err := ctx.Err(); err != nil {
			return s.failed(batch, open, err)
		}
		s.begin()
		clear(index)
		for ; from < len(batch) && !s.full(); from++ {
			if !open[from] {
				continue
			}
			t := batch[from]
			if !s.add(t, t) {
				open[from] = false
				continue
			}
			if s.overflows() {
				s.next.pop()
				break // t begins the next chunk
			}
			index[t] = from
		}
		done := func(t *transaction.Transaction) { open[index[t]] = false }
		if err := s.sendChunk(ctx, done); err != nil {
			return s.failed(batch, open, err)
		}
	}
	return nil
}

// sendChunk sends the chunk that was filled, rescues what is refused for what
// it is, and tells done of each transaction that is through.
func (s *Sink) sendChunk(ctx context.Context, done func(*transaction.Transaction)) error {
	if len(s.next.records) == 0 {
		return nil
	}
	if err := s.send(ctx); err != nil {
		return err
	}
	answered := s.settled
	var refused []*transaction.Transaction
	var failure, refusal error
	for i, err := range answered.errs {
		switch c, _ := classify(err, s.config.Topic); {
		case err == nil:
			done(answered.transactions[i])
		case c == classPoisoned:
			refused, refusal = append(refused, answered.transactions[i]), err
			s.metrics.failures.WithLabelValues(string(c)).Inc()
		default:
			failure = err
		}
	}
	// Other failures first: they hold the calls of their own APIs back, and the
	// next Deliver comes to the refused ones again.
	if failure != nil || refused == nil {
		return failure
	}
	return s.rescue(ctx, refused, refusal, done)
}

// begin starts a new chunk.
func (s *Sink) begin() {
	s.next = &chunk{began: s.config.Now(), done: make(chan struct{})}
}

// full reports whether the chunk has all that it may have by count or time.
func (s *Sink) full() bool {
	n := len(s.next.records)
	return n > 0 && (n >= s.config.BatchCount || s.next.bytes >= s.batchBytes ||
		s.config.Now().Sub(s.next.began) >= s.config.BatchTime)
}

// overflows reports whether the last record has taken the chunk over its size.
// A chunk of one record has whatever size it has.
func (s *Sink) overflows() bool {
	return len(s.next.records) > 1 && s.next.bytes > s.batchBytes
}

// pop takes the last record out again.
func (c *chunk) pop() {
	last := len(c.records) - 1
	c.bytes -= len(c.records[last].Key) + len(c.records[last].Value)
	c.records = c.records[:last]
	c.transactions = c.transactions[:last]
}

// add encodes form into the chunk in the name of t. It returns false, and
// counts why, if form has no place on this topic.
func (s *Sink) add(t, form *transaction.Transaction) bool {
	buffer := appendKey(make([]byte, 0, sizeHint(form)), form)
	keyEnd := len(buffer)
	if s.akto != nil {
		var why skip
		if buffer, why = s.akto.encode(buffer, form); why != "" {
			s.metrics.skipped.WithLabelValues(string(why)).Inc()
			return false
		}
	} else {
		buffer = form.AppendJSON(buffer)
	}
	c := s.next
	c.transactions = append(c.transactions, t)
	c.records = append(c.records, &kgo.Record{
		Key:     buffer[:keyEnd:keyEnd],
		Value:   buffer[keyEnd:],
		Headers: s.headers,
	})
	c.bytes += len(buffer)
	return true
}

// sizeHint guesses the size of a record from above, so that encoding it seldom
// needs a second allocation.
func sizeHint(t *transaction.Transaction) int {
	n := 1024
	if t.Request != nil {
		n += len(t.Request.Body) + 64*len(t.Request.Headers)
	}
	if t.Response != nil {
		n += len(t.Response.Body) + 64*len(t.Response.Headers)
	}
	return n + n/4
}

// send gives the chunk to the client and waits for its answers, which are then
// in s.settled.
func (s *Sink) send(ctx context.Context) error {
	c := s.next
	s.next = nil
	c.errs = make([]error, len(c.records))
	c.left.Store(int64(len(c.records)))
	s.flight = c
	// Not ctx: the records of a Deliver that was given up stay with the client.
	produce := context.WithoutCancel(ctx)
	for i, r := range c.records {
		s.client.Produce(produce, r, func(_ *kgo.Record, err error) {
			c.errs[i] = err
			if c.left.Add(-1) == 0 {
				close(c.done)
			}
		})
	}
	return s.wait(ctx)
}

// settle waits for a chunk that an earlier Deliver left in doubt, remembers what
// of it was acknowledged and returns why the rest was not.
func (s *Sink) settle(ctx context.Context) error {
	if s.flight == nil {
		return nil
	}
	if err := s.wait(ctx); err != nil {
		return err
	}
	var failure error
	for i, err := range s.settled.errs {
		switch c, _ := classify(err, s.config.Topic); {
		case err == nil:
			s.acked[s.settled.transactions[i].ID]++
		case c != classPoisoned: // those are met again, and rescued, by this Deliver
			failure = err
		}
	}
	// Where the client needs longer than DeliveryTimeout to find out why, as
	// with a topic that is missing, this is the only place to hear of it: to
	// send again at once would be in doubt again, and so on for ever.
	return failure
}

// wait waits until the chunk in flight is answered. An error means that it
// stays in flight.
func (s *Sink) wait(ctx context.Context) error {
	c := s.flight
	limited, cancel := context.WithTimeout(ctx, s.config.DeliveryTimeout)
	defer cancel()
	// Flush makes the client send what it holds; the answers come through the
	// records' own promises.
	_ = s.client.Flush(limited)
	select {
	case <-c.done:
	case <-limited.Done():
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.connections.err(); err != nil {
			return fmt.Errorf("%w within %s: %w", errNoAnswer, s.config.DeliveryTimeout, err)
		}
		return fmt.Errorf("%w within %s", errNoAnswer, s.config.DeliveryTimeout)
	}
	s.flight, s.settled = nil, c
	s.metrics.batches.Inc()
	for i, err := range c.errs {
		if err == nil {
			s.metrics.records.Inc()
			s.metrics.bytes.Add(float64(len(c.records[i].Key) + len(c.records[i].Value)))
		}
	}
	return nil
}

// failed counts err, remembers what of the batch is through (all that is not
// open; nothing new if open is nil), and returns the error for the collector.
func (s *Sink) failed(batch []*transaction.Transaction, open []bool, err error) error {
	c, mend := classify(err, s.config.Topic)
	s.metrics.failures.WithLabelValues(string(c)).Inc()
	e := &DeliveryError{Topic: s.config.Topic, Failed: len(batch), Total: len(batch), Err: err, mend: mend}
	for i, t := range batch {
		switch {
		case open == nil && s.acked[t.ID] > 0:
			e.Failed--
		case open != nil && !open[i]:
			s.acked[t.ID]++
			e.Failed--
		}
	}
	if s.flight != nil {
		e.InDoubt = len(s.flight.records)
	}
	return e
}

// Close waits, until ctx is done, for records that are still with the client,
// then frees everything.
func (s *Sink) Close(ctx context.Context) error {
	s.closeOnce.Do(func() {
		s.closed.Store(true)
		if s.flight != nil {
			if err := s.wait(ctx); err != nil {
				s.closeErr = fmt.Errorf("closing kafka sink %s: %d records in doubt: %w", s.name, len(s.flight.records), err)
			}
		}
		s.client.Close()
		s.metrics.unregister()
	})
	return s.closeErr
}
