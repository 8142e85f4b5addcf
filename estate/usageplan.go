package estate

import (
	"cmp"
	"context"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

// UsagePlan limits what the holders of its keys may call.
type UsagePlan struct {
	ID          string            `json:"id"`
	Name        string            `json:"name,omitempty"`
	Description string            `json:"description,omitempty"`
	Stages      []PlanStage       `json:"stages,omitempty"`
	Quota       *Quota            `json:"quota,omitempty"`    // nil: none
	Throttle    *Throttle         `json:"throttle,omitempty"` // of each key; nil: none
	Keys        []APIKey          `json:"keys,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	// Unseen has PartKeys where the plan's keys were not read.
	Unseen []Part `json:"unseen,omitempty"`
}

// PlanStage is a stage that a usage plan is for.
type PlanStage struct {
	APIID string `json:"api_id"`
	Stage string `json:"stage"`
	// Methods are the limits of single methods, by "/pets/GET".
	Methods map[string]Throttle `json:"methods,omitempty"`
}

// Quota is how many calls a key may make in a period.
type Quota struct {
	Limit  int32  `json:"limit"`
	Period string `json:"period"` // DAY, WEEK, MONTH
	Offset int32  `json:"offset,omitempty"`
}

// APIKey is a key of a usage plan. Its value is never read into the estate.
type APIKey struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// usagePlans reads the region's usage plans and the names of their keys. AWS tells
// no time at which a plan's keys changed: between two full discoveries the keys of
// a plan that is otherwise the same are those of the last one.
func (r *regionReader) usagePlans(ctx context.Context) []UsagePlan {
	items, err := all(ctx, func(ctx context.Context, token *string) ([]types.UsagePlan, *string, error) {
		out, err := r.rest.GetUsagePlans(ctx, &apigateway.GetUsagePlansInput{Limit: aws.Int32(restPage), Position: token})
		if err != nil {
			return nil, nil, err
		}
		return out.Items, out.Position, nil
	})
	if err != nil {
		r.missed(readUsagePlans, err, PartUsagePlans)
	}
	plans := make([]UsagePlan, 0, len(items))
	for i := range items {
		plan := usagePlan(&items[i])
		if keys, ok := r.sameKeys(&plan); ok {
			plan.Keys = keys
		} else {
			r.planKeys(ctx, &plan)
		}
		plans = append(plans, plan)
	}
	slices.SortFunc(plans, func(a, b UsagePlan) int { return cmp.Compare(a.ID, b.ID) })
	return plans
}

// sameKeys returns the keys that a plan had at the last discovery, where nothing
// says that they are others now.
func (r *regionReader) sameKeys(plan *UsagePlan) ([]APIKey, bool) {
	if r.before == nil {
		return nil, false
	}
	i := slices.IndexFunc(r.before.UsagePlans, func(p UsagePlan) bool { return p.ID == plan.ID })
	if i < 0 || len(r.before.UsagePlans[i].Unseen) > 0 {
		return nil, false
	}
	was := r.before.UsagePlans[i]
	keys := was.Keys
	was.Keys = nil
	return keys, reflect.DeepEqual(was, *plan)
}

// planKeys reads which keys a plan has. API Gateway answers their values too; they
// go no further.
func (r *regionReader) planKeys(ctx context.Context, plan *UsagePlan) {
	keys, err := all(ctx, func(ctx context.Context, token *string) ([]APIKey, *string, error) {
		out, err := r.rest.GetUsagePlanKeys(ctx, &apigateway.GetUsagePlanKeysInput{
			UsagePlanId: aws.String(plan.ID), Limit: aws.Int32(restPage), Position: token,
		})
		if err != nil {
			return nil, nil, err
		}
		keys := make([]APIKey, 0, len(out.Items))
		for i := range out.Items {
			keys = append(keys, APIKey{ID: aws.ToString(out.Items[i].Id), Name: aws.ToString(out.Items[i].Name)})
		}
		return keys, out.Position, nil
	})
	if err != nil {
		plan.Unseen = mark(plan.Unseen, PartKeys)
		r.missed(readUsagePlanKeys, err, "")
	}
	slices.SortFunc(keys, func(a, b APIKey) int { return cmp.Compare(a.ID, b.ID) })
	plan.Keys = keys
}

func usagePlan(p *types.UsagePlan) UsagePlan {
	plan := UsagePlan{
		ID: aws.ToString(p.Id), Name: aws.ToString(p.Name), Description: plainText(aws.ToString(p.Description)),
		Throttle: restThrottle(p.Throttle), Tags: p.Tags,
	}
	if p.Quota != nil {
		plan.Quota = &Quota{Limit: p.Quota.Limit, Period: string(p.Quota.Period), Offset: p.Quota.Offset}
	}
	for _, s := range p.ApiStages {
		stage := PlanStage{APIID: aws.ToString(s.ApiId), Stage: aws.ToString(s.Stage)}
		for key, t := range s.Throttle {
			if stage.Methods == nil {
				stage.Methods = map[string]Throttle{}
			}
			stage.Methods[key] = *restThrottle(&t)
		}
		plan.Stages = append(plan.Stages, stage)
	}
	slices.SortFunc(plan.Stages, func(a, b PlanStage) int {
		return cmp.Or(cmp.Compare(a.APIID, b.APIID), cmp.Compare(a.Stage, b.Stage))
	})
	return plan
}

func restThrottle(t *types.ThrottleSettings) *Throttle {
	if t == nil {
		return nil
	}
	return &Throttle{Rate: t.RateLimit, Burst: t.BurstLimit}
}
