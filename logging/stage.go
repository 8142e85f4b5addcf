package logging

import (
	"context"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	v2types "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"github.com/gatehouse-project/gatehouse/transaction"
)

func (p *place) restStage(ctx context.Context, k Key) (*apigateway.GetStageOutput, error) {
	api, stage := k.stage()
	out, err := p.rest.GetStage(ctx, &apigateway.GetStageInput{RestApiId: &api, StageName: &stage})
	if gone(err) {
		return nil, errGone
	}
	return out, err
}

func (p *place) readREST(ctx context.Context, s *step) ([]string, error) {
	out, err := p.restStage(ctx, s.changes[0].Key)
	if err != nil {
		return nil, err
	}
	values := make([]string, len(s.changes))
	for i, c := range s.changes {
		if c.Kind == KindAccess {
			if a := out.AccessLogSettings; a != nil {
				values[i] = accessLog{trimGroup(a.DestinationArn), aws.ToString(a.Format)}.value()
			}
			continue
		}
		if m, ok := out.MethodSettings[c.Part]; ok {
			values[i] = executionValue(aws.ToString(m.LoggingLevel), m.DataTraceEnabled)
		}
	}
	return values, nil
}

// trimGroup is the ARN of a log group without the ":*" that some services add.
func trimGroup(arn *string) string { return strings.TrimSuffix(aws.ToString(arn), ":*") }

func patch(op types.Op, path, value string) types.PatchOperation {
	p := types.PatchOperation{Op: op, Path: &path}
	if op != types.OpRemove {
		p.Value = &value
	}
	return p
}

// writeREST changes a stage in one call, so that it is never half changed.
func (p *place) writeREST(ctx context.Context, s *step, values []string) error {
	api, stage := s.changes[0].stage()
	var ops []types.PatchOperation
	for i, c := range s.changes {
		if c.Kind == KindAccess {
			if values[i] == "" {
				ops = append(ops, patch(types.OpRemove, "/accessLogSettings", ""))
				continue
			}
			a := parseAccess(values[i])
			ops = append(ops, patch(types.OpReplace, "/accessLogSettings/destinationArn", a.Destination),
				patch(types.OpReplace, "/accessLogSettings/format", a.Format))
			continue
		}
		if c.Part == defaultREST && values[i] == "" {
			alone, err := p.onlyLogs(ctx, c.Key)
			if err != nil {
				return err
			}
			if alone {
				ops = append(ops, patch(types.OpRemove, "/"+defaultREST, ""))
				continue
			}
		}
		level, trace := splitExecution(values[i])
		ops = append(ops, patch(types.OpReplace, "/"+c.Part+"/logging/loglevel", level),
			patch(types.OpReplace, "/"+c.Part+"/logging/dataTrace", strconv.FormatBool(trace)))
	}
	_, err := p.rest.UpdateStage(ctx, &apigateway.UpdateStageInput{RestApiId: &api, StageName: &stage, PatchOperations: ops})
	if gone(err) {
		return errGone
	}
	return err
}

// onlyLogs reports whether the settings of all methods of a stage, which came with the
// first change of their logging, hold nothing else. Then they can go as a whole, and
// whoever compares with what was there before sees no difference.
func (p *place) onlyLogs(ctx context.Context, k Key) (bool, error) {
	out, err := p.restStage(ctx, k)
	if err != nil {
		return false, err
	}
	m, ok := out.MethodSettings[defaultREST]
	if !ok || m.MetricsEnabled || m.CachingEnabled || m.CacheDataEncrypted {
		return false, nil
	}
	if m.ThrottlingRateLimit < 0 || m.ThrottlingBurstLimit < 0 {
		return true, nil
	}
	// API Gateway writes the account's own limit where somebody set anything.
	acc, err := p.rest.GetAccount(ctx, &apigateway.GetAccountInput{})
	if err != nil {
		return false, err
	}
	t := acc.ThrottleSettings
	return t != nil && t.RateLimit == m.ThrottlingRateLimit && t.BurstLimit == m.ThrottlingBurstLimit, nil
}

func (p *place) v2Stage(ctx context.Context, k Key) (*apigatewayv2.GetStageOutput, error) {
	api, stage := k.stage()
	out, err := p.v2.GetStage(ctx, &apigatewayv2.GetStageInput{ApiId: &api, StageName: &stage})
	if gone(err) {
		return nil, errGone
	}
	return out, err
}

func (p *place) readV2(ctx context.Context, s *step) ([]string, error) {
	out, err := p.v2Stage(ctx, s.changes[0].Key)
	if err != nil {
		return nil, err
	}
	values := make([]string, len(s.changes))
	for i, c := range s.changes {
		if c.Kind == KindAccess {
			if a := out.AccessLogSettings; a != nil {
				values[i] = accessLog{trimGroup(a.DestinationArn), aws.ToString(a.Format)}.value()
			}
			continue
		}
		if set := routeSettings(out, c.Part); set != nil {
			values[i] = executionValue(string(set.LoggingLevel), aws.ToBool(set.DataTraceEnabled))
		}
	}
	return values, nil
}

func routeSettings(out *apigatewayv2.GetStageOutput, part string) *v2types.RouteSettings {
	if part == defaultV2 {
		return out.DefaultRouteSettings
	}
	if set, ok := out.RouteSettings[part]; ok {
		return &set
	}
	return nil
}

// writeV2 changes a stage. Settings are sent whole, as they were read with the
// logging changed in them: AWS does not say whether what is left out stays. Taking
// access logs away is a call of its own.
func (p *place) writeV2(ctx context.Context, s *step, values []string) error {
	k := s.changes[0].Key
	have, err := p.v2Stage(ctx, k)
	if err != nil {
		return err
	}
	api, stage := k.stage()
	in := &apigatewayv2.UpdateStageInput{ApiId: &api, StageName: &stage}
	update, remove := false, false
	for i, c := range s.changes {
		if c.Kind == KindAccess {
			if values[i] == "" {
				remove = have.AccessLogSettings != nil
				continue
			}
			a := parseAccess(values[i])
			in.AccessLogSettings, update = &v2types.AccessLogSettings{DestinationArn: &a.Destination, Format: &a.Format}, true
			continue
		}
		level, trace := splitExecution(values[i])
		set := routeSettings(have, c.Part)
		if set == nil {
			if same(KindExecution, values[i], "") {
				continue // a route's own settings that are gone
			}
			set = &v2types.RouteSettings{}
		}
		changed := *set
		changed.LoggingLevel, changed.DataTraceEnabled = v2types.LoggingLevel(level), &trace
		update = true
		if c.Part == defaultV2 {
			in.DefaultRouteSettings = &changed
			continue
		}
		if in.RouteSettings == nil {
			in.RouteSettings = map[string]v2types.RouteSettings{}
		}
		in.RouteSettings[c.Part] = changed
	}
	if update {
		if _, err := p.v2.UpdateStage(ctx, in); err != nil {
			if gone(err) {
				return errGone
			}
			return err
		}
	}
	if !remove {
		return nil
	}
	_, err = p.v2.DeleteAccessLogSettings(ctx, &apigatewayv2.DeleteAccessLogSettingsInput{ApiId: &api, StageName: &stage})
	if gone(err) {
		return nil
	}
	return err
}

// stageOf is the type of the stage that a change is of.
func stageOf(c *Change) transaction.APIType {
	if c.Kind == KindExecution || c.Kind == KindAccess {
		return c.APIType
	}
	return ""
}
