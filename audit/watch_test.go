package audit_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-project/gatehouse/audit"
)

func TestWatchNotesAndVerifies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t, 3)
		var log bytes.Buffer
		metrics := prometheus.NewRegistry()
		w, err := audit.NewWatch(audit.WatchOptions{Reader: c, Logger: slog.New(slog.NewTextHandler(&log, nil)), Metrics: metrics})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = w.Run(ctx) })
		synctest.Wait()
		first := c.head
		if s := w.State(); s.Running || s.Verified != first || s.Broken != "" || !s.Time.Equal(time.Now()) {
			t.Errorf("after the start: %+v", s)
		}
		if !strings.Contains(log.String(), first.String()) {
			t.Errorf("the log names no head:\n%s", log.String())
		}

		// The head is noted every hour, and the newest event is verified when asked.
		c.add(t, event(3))
		time.Sleep(time.Hour + time.Second)
		synctest.Wait()
		if !strings.Contains(log.String(), c.head.String()) {
			t.Errorf("the log does not name the new head:\n%s", log.String())
		}
		families, err := metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		values := map[string]float64{}
		for _, f := range families {
			values[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
		}
		if values["gatehouse_audit_head_seq"] != 4 || values["gatehouse_audit_broken"] != 0 {
			t.Errorf("metrics are %v", values)
		}
		w.Verify()
		if !w.State().Running {
			t.Error("a verification that was asked for does not show as running")
		}
		synctest.Wait()
		if s := w.State(); s.Verified != c.head || s.Running {
			t.Errorf("after asking: %+v", s)
		}

		// A log that is cut off is found, although what is left is a whole chain.
		c.mu.Lock()
		c.lines = c.lines[:2]
		e, err := audit.Decode(c.lines[1])
		if err != nil {
			t.Fatal(err)
		}
		c.head = audit.Head{Seq: e.Seq, Hash: e.Hash}
		c.mu.Unlock()
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if s := w.State(); !strings.Contains(s.Broken, "truncated") || s.Verified.Seq != 2 {
			t.Errorf("after cutting the log off: %+v", s)
		}
		if !strings.Contains(log.String(), "was cut off") {
			t.Errorf("the log does not tell of it:\n%s", log.String())
		}
		stop()
		wg.Wait()
	})
}

// notKept is a store without an audit log.
type notKept struct{ chain }

func (*notKept) AuditHead(context.Context) (audit.Head, error) {
	return audit.Head{}, audit.ErrNotKept
}

func TestWatchOfAStoreWithoutLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w, err := audit.NewWatch(audit.WatchOptions{Reader: &notKept{}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer stop()
	if err := w.Run(ctx); !errors.Is(err, context.DeadlineExceeded) || log.Len() > 0 {
		t.Errorf("it returns %v and logs %q", err, log.String())
	}
}
