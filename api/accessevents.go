package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/identity"
)

func (s *server) registerAccessEvents(a huma.API) {
	op := operation(accessEventsID, accessEventsPath, accessTag, "What changes in lending, as server-sent events")
	op.Description = "Each event is named change and says what to read again: {\"kind\": \"grant\", \"id\": …, \"at\": …}. Ids of other people's requests and grants are left out."
	op.Responses = map[string]*huma.Response{"200": {
		Description: "The stream.",
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}},
	}}
	huma.Register(a, op, func(ctx context.Context, _ *struct{}) (*huma.StreamResponse, error) {
		who, _, err := borrower(ctx, identity.Requester)
		if err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			r, w := humago.Unwrap(ctx)
			streamChanges(r.Context(), w, s.Access.Subscribe(r.Context(), who))
		}}, nil
	})
}

// streamChanges writes events until the client or the server goes away.
func streamChanges(ctx context.Context, w http.ResponseWriter, events <-chan access.Event) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold the events back
	w.WriteHeader(http.StatusOK)
	control := http.NewResponseController(w)
	write := func(text []byte) bool {
		// A server's WriteTimeout would end every stream; each write gets its own.
		_ = control.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := w.Write(text); err != nil {
			return false
		}
		return control.Flush() == nil
	}
	if !write([]byte(": following\n\n")) {
		return
	}
	idle := time.NewTicker(heartbeat)
	defer idle.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-idle.C:
			if !write([]byte(": still here\n\n")) {
				return
			}
		case e, ok := <-events:
			if !ok {
				return
			}
			data, err := json.Marshal(e)
			if err != nil {
				return
			}
			if !write(append(append([]byte("event: change\ndata: "), data...), "\n\n"...)) {
				return
			}
		}
	}
}
