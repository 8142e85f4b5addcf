package api

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gatehouse-project/gatehouse/inventory"
)

// maxSpan bounds what one answer of the traffic holds.
const maxSpan = 31 * 24 * time.Hour

// Traffic is the calls of each minute in [From, To). A minute that is missing
// was not observed; it is not a zero.
type Traffic struct {
	From    time.Time          `json:"from"`
	To      time.Time          `json:"to"`
	Minutes []inventory.Minute `json:"minutes"`
}

func (s *server) registerTraffic(a huma.API) {
	huma.Register(a, operation("get-traffic", "/api/v1/traffic", "Inventory", "Calls by the minute"),
		func(ctx context.Context, in *struct {
			API  string    `query:"api" maxLength:"400" doc:"account/region/api_id/stage; empty for all."`
			From time.Time `query:"from" doc:"RFC 3339; default an hour before to."`
			To   time.Time `query:"to" doc:"RFC 3339; default now."`
		},
		) (*struct{ Body Traffic }, error) {
			if in.To.IsZero() {
				in.To = s.Clock()
			}
			if in.From.IsZero() {
				in.From = in.To.Add(-time.Hour)
			}
			if span := in.To.Sub(in.From); span <= 0 || span > maxSpan {
				return nil, huma.Error422UnprocessableEntity("from must be before to, and at most 31 days before it")
			}
			minutes, err := s.Inventory.Traffic(ctx, in.API, in.From, in.To)
			if err != nil {
				return nil, s.unavailable(ctx, "the traffic", err)
			}
			if minutes == nil {
				minutes = []inventory.Minute{}
			}
			return &struct{ Body Traffic }{Traffic{From: in.From.UTC(), To: in.To.UTC(), Minutes: minutes}}, nil
		})
}
