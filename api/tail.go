package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/gatehouse-project/gatehouse/tail"
)

const (
	tailPath = "/api/v1/tail"
	tailID   = "stream-tail"
)

// TailQuery are the filters of the live tail.
type TailQuery struct {
	Account string `query:"account"`
	Region  string `query:"region"`
	API     string `query:"api" doc:"API id."`
	Stage   string `query:"stage"`
	Method  string `query:"method"`
	Route   string `query:"route" doc:"The beginning of the route template, or of the path where no template is known."`
	Status  string `query:"status" doc:"A code (404), a class (4xx), error (400 and above) or none."`
	Caller  string `query:"caller" doc:"A kind of caller (iam), or a part of an ARN, account, principal or API key id."`
	Search  string `query:"q" doc:"Part of method, path, host, ids, address, agent, caller or error; not of headers and bodies."`
	Format  string `query:"format" enum:"sse,ndjson" doc:"Without it, the Accept header decides."`
	Kept    bool   `query:"kept" doc:"Begin with the calls that are kept in memory, not only with new ones."`
	Accept  string `header:"Accept"`
}

func (s *server) registerTail(a huma.API) {
	op := operation(tailID, tailPath, "Tail", "Calls as they are delivered, redacted")
	op.Description = "As server-sent events: call (a transaction), skipped ({\"skipped\": N}: calls that came faster than they were read), and a comment when nothing came for 15 seconds. " +
		"As NDJSON (format=ndjson, or Accept: application/x-ndjson): a transaction or {\"skipped\": N} a line, and an empty line when nothing came for 15 seconds."
	op.Responses = map[string]*huma.Response{"200": {
		Description: "The stream.",
		Content: map[string]*huma.MediaType{
			"text/event-stream":    {Schema: &huma.Schema{Type: huma.TypeString}},
			"application/x-ndjson": {Schema: &huma.Schema{Type: huma.TypeString}},
		},
	}}
	op.Errors = []int{http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusServiceUnavailable}
	huma.Register(a, op, func(_ context.Context, in *TailQuery) (*huma.StreamResponse, error) {
		if s.Tail == nil {
			return nil, huma.Error404NotFound("this process collects nothing; ask one that does")
		}
		match, err := tail.Filter{
			Account: in.Account, Region: in.Region, APIID: in.API, Stage: in.Stage, Method: in.Method,
			Route: in.Route, Status: in.Status, Caller: in.Caller, Text: in.Search,
		}.Compile()
		if err != nil {
			return nil, huma.Error422UnprocessableEntity(err.Error())
		}
		reader, err := s.Tail.Subscribe(match)
		if errors.Is(err, tail.ErrTooManyReaders) {
			return nil, huma.ErrorWithHeaders(huma.Error503ServiceUnavailable(err.Error()), http.Header{"Retry-After": {"10"}})
		}
		if err != nil {
			return nil, err
		}
		if in.Kept {
			reader.Rewind()
		}
		lines := in.Format == "ndjson" || in.Format == "" && strings.Contains(in.Accept, "ndjson")
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			defer reader.Close()
			r, w := humago.Unwrap(ctx)
			streamTail(r.Context(), w, reader, lines)
		}}, nil
	})
}

// streamTail writes calls until the client or the server goes away.
func streamTail(ctx context.Context, w http.ResponseWriter, reader *tail.Reader, lines bool) {
	before, between, after, idle := "event: call\ndata: ", "event: skipped\ndata: ", "\n\n", ": still here\n\n"
	w.Header().Set("Content-Type", "text/event-stream")
	if lines {
		before, between, after, idle = "", "", "\n", "\n"
		w.Header().Set("Content-Type", "application/x-ndjson")
	}
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold the calls back
	w.WriteHeader(http.StatusOK)
	control := http.NewResponseController(w)
	if control.Flush() != nil {
		return
	}
	var b []byte
	// The only error is that of a client that is gone; nobody is left to tell.
	_ = tail.Follow(ctx, reader, tail.Pace{Every: 50 * time.Millisecond, Idle: heartbeat}, func(batch tail.Batch) error {
		b = b[:0]
		if batch.Skipped > 0 {
			data, err := json.Marshal(map[string]uint64{"skipped": batch.Skipped})
			if err != nil {
				return err
			}
			b = append(append(append(b, between...), data...), after...)
		}
		for _, t := range batch.Calls {
			data, err := json.Marshal(t)
			if err != nil {
				return err
			}
			b = append(append(append(b, before...), data...), after...)
		}
		if len(b) == 0 {
			b = append(b, idle...)
		}
		// A server's WriteTimeout would end every stream; each write gets its
		// own, so that a client that stopped reading does not stay.
		_ = control.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := w.Write(b); err != nil {
			return err
		}
		return control.Flush()
	})
}
