package stdout_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/sink/sinktest"
	"github.com/gatehouse-project/gatehouse/sink/stdout"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// pipe takes half of what it is given while broken.
type pipe struct {
	bytes.Buffer
	broken bool
}

func (p *pipe) Write(b []byte) (int, error) {
	if p.broken {
		n, _ := p.Buffer.Write(b[:len(b)/2])
		return n, errors.New("no space left on device")
	}
	return p.Buffer.Write(b)
}

func ids(out string) (ids []string, torn int) {
	for line := range strings.Lines(out) {
		var t transaction.Transaction
		if err := json.Unmarshal([]byte(line), &t); err != nil {
			torn++
			continue
		}
		ids = append(ids, t.ID)
	}
	return ids, torn
}

func TestContract(t *testing.T) {
	t.Parallel()
	sinktest.Exercise(t, func(*testing.T) sinktest.World {
		p := &pipe{}
		return sinktest.World{
			Open:      func(*testing.T) collect.Sink { return stdout.New(p) },
			Delivered: func(*testing.T) []string { ids, _ := ids(p.String()); return ids },
			Break: func(*testing.T) func() {
				p.broken = true
				return func() { p.broken = false }
			},
		}
	})
}

func TestTornLineIsEnded(t *testing.T) {
	t.Parallel()
	p := &pipe{broken: true}
	s := stdout.New(p)
	batch := sinktest.Calls(0, 1)
	if err := s.Deliver(t.Context(), batch); err == nil {
		t.Fatal("no error")
	}
	p.broken = false
	if err := s.Deliver(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if got, torn := ids(p.String()); len(got) != 1 || torn != 1 {
		t.Errorf("%d whole lines and %d torn, want one of each: %q", len(got), torn, p.String())
	}
}
