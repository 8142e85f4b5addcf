package logging

import (
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// StageStatus is how one stage logs.
type StageStatus struct {
	Account   string              `json:"account"`
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
		Account: at.account.ID, Region: at.region.Name, API: at.api.ID, APIName: at.api.Name, APIType: at.api.Type, Stage: at.stage.Name,
		AccessLog: groupOrARN(at.stage.AccessLogARN), Joins: identifies(at.stage.AccessFormat),
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
	for _, k := range append(keys, at.key(KindAccess, ""), at.key(KindDelivery, "")) {
		if r := records[k]; r != nil {
			st.Switched = true
			st.Unfinished = st.Unfinished || !r.Done
		}
	}
	return st
}
