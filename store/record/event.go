package record

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/finding"
	"github.com/gatehouse-project/gatehouse/logging"
)

// A store writes these events itself, in the transaction of the change: a process
// that dies between the two would leave a decision that nobody made, or one that was
// never taken. Who decides comes with the context (audit.WithActor).

// lettersAnEvent bounds the dead letters that one event names, so that their ids stay
// within audit.MaxState.
const lettersAnEvent = 500

// actorNamed is the actor of a change that says by whom it is. A change that came
// without an actor in its context is by a person of that name, unless it is by
// Gatehouse itself.
func actorNamed(ctx context.Context, by, gatehouse string) audit.Actor {
	a := audit.ActorFrom(ctx)
	if a.Kind == audit.Gatehouse && by != "" && by != gatehouse {
		return audit.Actor{Kind: audit.Person, Name: by}
	}
	return a
}

// stateJSON is a value as an event's Before or After.
func stateJSON(v any) (json.RawMessage, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding an audit event: %w", err)
	}
	return b, nil
}

// decision is the state of a finding as the audit log tells it.
type decision struct {
	State finding.State `json:"state"`
	Until string        `json:"until,omitempty"`
}

// FindingEvents tells of the decisions among changes of findings: those of people, and
// the end of an acceptance. What the rules see come and go is in the findings' own
// history; nobody decided it.
func FindingEvents(ctx context.Context, edits []finding.Edit) ([]audit.Event, error) {
	var out []audit.Event
	for i := range edits {
		f := &edits[i].Finding
		for _, c := range edits[i].Changes {
			action := "finding.decided"
			if c.By == finding.Engine {
				if c.From != finding.Accepted || c.To != finding.Open {
					continue
				}
				action = "finding.reopened"
			}
			before, err := stateJSON(decision{State: c.From})
			if err != nil {
				return nil, err
			}
			after := decision{State: c.To}
			if !c.Until.IsZero() {
				after.Until = audit.TimeText(c.Until)
			}
			e := audit.Event{
				Actor: actorNamed(ctx, c.By, finding.Engine), Action: action, Reason: c.Reason, Before: before,
				Subject: audit.Subject{Kind: "finding", ID: f.ID, Name: f.Rule + " at " + f.Subject.Name},
				Detail:  map[string]string{"rule": f.Rule, "account": f.Subject.Account, "region": f.Subject.Region, "api": f.Subject.API},
			}
			if e.After, err = stateJSON(after); err != nil {
				return nil, err
			}
			// On the command line a person may decide in the name of somebody else.
			if c.By != e.Actor.Name {
				e.Detail["by"] = c.By
			}
			out = append(out, e)
		}
	}
	return out, nil
}

// LetterEvents tells what somebody had done with dead letters.
func LetterEvents(ctx context.Context, action string, ids []string) ([]audit.Event, error) {
	var out []audit.Event
	for len(ids) > 0 {
		n := min(len(ids), lettersAnEvent)
		e := audit.Event{
			Actor: audit.ActorFrom(ctx), Action: action, Subject: audit.Subject{Kind: "dead-letter", ID: ids[0]},
			Detail: map[string]string{"letters": strconv.Itoa(n)},
		}
		if n > 1 {
			e.Subject = audit.Subject{Kind: "dead-letter", Name: strconv.Itoa(n) + " dead letters"}
			var err error
			if e.Before, err = stateJSON(map[string][]string{"ids": ids[:n]}); err != nil {
				return nil, err
			}
		}
		out, ids = append(out, e), ids[n:]
	}
	return out, nil
}

// LoggingEvents tells of the runs that switch logging: that one is about to begin,
// before anything is changed, and what came of it. The single settings are in the
// journal of switching.
func LoggingEvents(ctx context.Context, lines []logging.Entry) ([]audit.Event, error) {
	var out []audit.Event
	for i := range lines {
		l := &lines[i]
		if l.Summary == nil {
			continue
		}
		after, err := stateJSON(l.Summary)
		if err != nil {
			return nil, err
		}
		e := audit.Event{
			Actor: actorNamed(ctx, l.Who, ""), Action: "logging." + loggingVerb(l), After: after,
			Subject: audit.Subject{Kind: "logging-run", ID: l.Run}, Detail: map[string]string{"command": l.Command},
		}
		if l.Error != "" {
			e.Detail["error"] = l.Error
		}
		if l.Who != e.Actor.Name {
			e.Detail["by"] = l.Who
		}
		out = append(out, e)
	}
	return out, nil
}

func loggingVerb(l *logging.Entry) string {
	switch l.Outcome {
	case logging.Intended:
		return "begun"
	case logging.Done:
		switch logging.Command(l.Command) {
		case logging.Enable:
			return "enabled"
		case logging.Disable:
			return "disabled"
		case logging.Destroy:
			return "destroyed"
		}
		return "ended"
	case logging.Failed:
		return "failed"
	default:
		return "stopped"
	}
}
