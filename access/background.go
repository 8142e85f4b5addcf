package access

import (
	"context"
	"fmt"

	"github.com/gatehouse-project/gatehouse/access/flow"
)

// Background is what there is to know of a person before agreeing to a request for
// them.
type Background struct {
	// Live is what they hold, or are about to; the newest first.
	Live []*Grant `json:"live"`
	// LiveTotal counts it all, where Live has a part.
	LiveTotal int `json:"live_total"`
	// Earlier are the latest requests for them beside this one, the newest first.
	Earlier []*Request `json:"earlier"`
	// EarlierTotal counts it all, where Earlier has a part.
	EarlierTotal int `json:"earlier_total"`
}

// backgroundAtMost bounds the parts of a Background.
const backgroundAtMost = 10

// Background returns what whoever decides on a request should know of the person
// whom it is for. Only who may vote on it now, and who administers, gets it: others
// have no business with what somebody holds.
func (d *Desk) Background(ctx context.Context, who flow.Person, request string) (*Background, error) {
	v, err := d.RequestByID(ctx, who, request)
	if err != nil {
		return nil, err
	}
	if !v.MayVote && !who.Admin {
		return nil, fmt.Errorf("%w: only who decides on a request sees what else the person holds", ErrForbidden)
	}
	live, err := d.store.Grants(ctx, GrantQuery{Person: v.For.ID, States: []GrantState{Provisioning, Active}, Limit: backgroundAtMost})
	if err != nil {
		return nil, err
	}
	earlier, err := d.store.Requests(ctx, RequestQuery{For: v.For.ID, Limit: backgroundAtMost + 1})
	if err != nil {
		return nil, err
	}
	b := &Background{Live: live.Grants, LiveTotal: live.Total, EarlierTotal: max(earlier.Total-1, 0)}
	for _, r := range earlier.Requests {
		if r.ID != request && len(b.Earlier) < backgroundAtMost {
			b.Earlier = append(b.Earlier, r)
		}
	}
	return b, nil
}
