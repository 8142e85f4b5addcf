package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/identity"
)

const accessClockPath = accessPath + "/clock"

func (s *server) registerAccessClock(a huma.API) {
	huma.Register(a, operation("show-access-clock", accessClockPath, accessTag, "The wall clock, the time that is lent by, and how far they are apart"),
		func(ctx context.Context, _ *struct{}) (*struct{ Body *access.ClockState }, error) {
			who, _, err := borrower(ctx, identity.Admin)
			if err != nil {
				return nil, err
			}
			clock, err := s.Access.Clock(ctx, who)
			return &struct{ Body *access.ClockState }{clock}, s.accessError(ctx, err)
		})
	huma.Register(a, accessChange("reset-access-clock", http.MethodPost, accessClockPath+"/reset", "Set the time of lending back to the wall clock; nothing ends sooner or later for it"),
		func(ctx context.Context, in *struct {
			Body struct {
				Reason string `json:"reason,omitempty" maxLength:"4000"`
			}
		},
		) (*struct{ Body *access.ClockState }, error) {
			who, via, err := borrower(ctx, identity.Admin)
			if err != nil {
				return nil, err
			}
			clock, err := s.Access.ResetClock(ctx, who, in.Body.Reason, via)
			return &struct{ Body *access.ClockState }{clock}, s.accessError(ctx, err)
		})
}
