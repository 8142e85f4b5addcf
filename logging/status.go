package logging

import (
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// StageStatus is how one stage logs.
type StageStatus struct {
	Account   string              `json:"account"`
	Name      string              `json:"account_name,omitempty"`
	Region    string              `json:"region"`
	API       string              `json:"api"`
	APIName   string              `json:"api_name,omitempty"`
	APIType   transaction.APIType `json:"api_type"`
	Stage     string              `json:"stage"`
	Execution string              `json:"execution,omitempty"` // OFF, ERROR, INFO, INFO+trace; empty for HTTP APIs
	// Methods are those with execution logging of their own, and how many of them log
	// less than INFO with data trace.
	Methods     int    `json:"methods,omitempty"`
	MethodsLess int    `json:"methods_less,omitempty"`
	AccessLog   string `json:"access_log,omitempty"` // log group, or ARN of a stream
	// Format is "Gatehouse's" or the form of the lines of access logs: JSON, XML, text.
	Format string `json:"access_format,omitempty"`
	// ExecutionGroup is where execution logs go, or would. The days are how long the
	// groups keep events, 0 for ever; absent where the group was not found.
	ExecutionGroup string `json:"execution_group,omitempty"`
	ExecutionDays  *int32 `json:"execution_days,omitempty"`
	AccessDays     *int32 `json:"access_days,omitempty"`
	DeliveryDays   *int32 `json:"delivery_days,omitempty"`
	// Coverage is what the logs cover, in the estate's words.
	Coverage estate.Coverage `json:"coverage"`
	// Joins is false where access-log lines name no request.
	Joins    bool   `json:"joins"`
	Delivery string `json:"delivery,omitempty"` // log group of 1 MB lines
	LogRole  string `json:"log_role,omitempty"`
	// Switched is true where Gatehouse changed any of it, and Unfinished where it was
	// interrupted in that.
	Switched   bool `json:"switched"`
	Unfinished bool `json:"unfinished,omitempty"`
}

// Status is how all stages that are meant log.
type Status struct {
	Read     time.Time     `json:"read"`
	Stages   []StageStatus `json:"stages"`
	Failures []Failure     `json:"failures"`
}

// Status tells how the stages that are meant log.
func (s *Switch) Status(c *Choice) (*Status, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	p := newPlanner(Enable, nil)
	p.unread(s.snapshot, c)
	out := &Status{Read: s.snapshot.Finished, Stages: []StageStatus{}, Failures: p.plan.Failures}
	records := s.all()
	c.stages(s.snapshot, func(at *position) {
		out.Stages = append(out.Stages, statusOf(at, records))
	})
	return out, nil
}

func statusOf(at *position, records map[Key]*Record) StageStatus {
	st := StageStatus{
		Account: at.account.ID, Name: at.account.Name, Region: at.region.Name, API: at.api.ID, APIName: at.api.Name, APIType: at.api.Type, Stage: at.stage.Name,
		AccessLog: groupOrARN(at.stage.AccessLogARN), Joins: identifies(at.stage.AccessFormat),
		ExecutionGroup: at.executionGroup(), Coverage: at.stage.Coverage(),
	}
	if st.AccessLog != "" {
		st.Format = formOf(at.stage.AccessFormat)
	}
	if at.api.Type != transaction.HTTP {
		st.LogRole = at.region.LogRole
	}
	keys, values := at.executions()
	for i, v := range values {
		if i == 0 {
			level, trace := splitExecution(v)
			st.Execution = executionValue(level, trace)
			continue
		}
		st.Methods++
		if v != full {
			st.MethodsLess++
		}
	}
	for _, d := range at.stage.Deliveries {
		if d.LogType == executionLogs {
			st.Delivery = groupOrARN(d.Destination)
		}
	}
	st.ExecutionDays, st.AccessDays, st.DeliveryDays = at.days(st.ExecutionGroup), at.days(st.AccessLog), at.days(st.Delivery)
	for _, k := range append(keys, at.key(KindAccess, ""), at.key(KindDelivery, "")) {
		if r := records[k]; r != nil {
			st.Switched = true
			st.Unfinished = st.Unfinished || !r.Done
		}
	}
	return st
}

// days is how long a log group of the region keeps events; nil: there is none of the
// name.
func (p *position) days(group string) *int32 {
	if group == "" {
		return nil
	}
	i := slices.IndexFunc(p.region.LogGroups, func(g estate.LogGroup) bool { return g.Name == group })
	if i < 0 {
		return nil
	}
	days := p.region.LogGroups[i].RetentionDays
	return &days
}

// formOf names the format of access logs.
func formOf(format string) string {
	for _, f := range formats {
		if f == format {
			return "Gatehouse's"
		}
	}
	switch format = strings.TrimSpace(format); {
	case strings.HasPrefix(format, "{"):
		return "JSON"
	case strings.HasPrefix(format, "<"):
		return "XML"
	default:
		return "text"
	}
}
