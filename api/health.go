package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/gatehouse-project/gatehouse/inventory"
)

// discoveryPatience is how long a collector without any log group counts as
// still looking for them. After it, an estate without logs must be shown, not
// kept out of reach.
const discoveryPatience = time.Minute

// Readiness is the answer of /readyz.
type Readiness struct {
	Ready  bool    `json:"ready"`
	Checks []Check `json:"checks"`
}

// Check is one thing that must hold; Detail says what is missing.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

func (s *server) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok\n")
}

// readyz names what is not ready and nothing of the estate, for probes come
// without credentials.
func (s *server) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	out := Readiness{Ready: true}
	add := func(name, missing string) {
		out.Checks = append(out.Checks, Check{Name: name, OK: missing == "", Detail: missing})
		out.Ready = out.Ready && missing == ""
	}
	store := ""
	if _, err := s.Inventory.Endpoints(ctx, inventory.Query{Limit: 1}); err != nil {
		s.Logger.WarnContext(r.Context(), "not ready: the store does not answer", "error", err)
		store = "the store does not answer"
	}
	add("store", store)
	if s.Health != nil {
		add("collector", s.collecting())
	}
	w.Header().Set("Content-Type", "application/json")
	if !out.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(out)
}

// collecting says what keeps the collector from having read; empty once every
// group was tried. A group that is denied was tried: it is a problem to show,
// and it would be hidden by a server that never gets ready.
func (s *server) collecting() string {
	h := s.health()
	switch {
	case h.Started.IsZero():
		return "the collector has not started"
	case len(h.Groups) == 0 && len(h.Problems) == 0 && s.Clock().Sub(h.Started) < discoveryPatience:
		return "no log group has been found yet"
	}
	for i := range h.Groups {
		if g := &h.Groups[i]; !g.LastRead.IsZero() || g.Error != "" {
			return ""
		}
	}
	if len(h.Groups) > 0 {
		return "no log group has been read yet"
	}
	return ""
}
