package logging

import (
	"fmt"
	"slices"

	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// UndoOptions say what is put back.
type UndoOptions struct {
	Choice
	// Force puts back also what somebody changed since.
	Force bool
}

// planUndo decides what to put back: for Disable settings alone, for Destroy also
// what was made. It begins with the records, so that what Gatehouse did not change
// is never among it.
func planUndo(command Command, s *estate.Snapshot, records map[Key]*Record, o *UndoOptions) *Plan {
	p := newPlanner(command, records)
	p.unread(s, &o.Choice)
	stages := map[Key]*position{} // by the key of their access logging
	each(s, func(at *position) { stages[at.key(KindAccess, "")] = at })
	o.stages(s, func(at *position) { p.mean(at) })
	for _, r := range records {
		at := stages[Key{Account: r.Account, Region: r.Region, Kind: KindAccess, Subject: r.Subject}]
		if (r.Kind == KindGroup || r.Kind == KindRole) && command != Destroy || !o.records(r, stages) {
			continue
		}
		p.changes[r.Key] = &Change{
			Key: r.Key, APIType: r.APIType, API: r.API, APIName: r.APIName, Stage: r.Stage,
			Now: now(s, at, r), Then: r.Before, State: Planned, force: o.Force,
		}
	}
	for _, c := range p.changes {
		if r := records[c.Key]; !r.ours(c.Now) && !same(c.Kind, c.Now, r.Before) && protected(o.Force, c.Kind, c.Now) {
			c.State, c.Why = Left, changedSince(r, c.Now)
		}
	}
	// What others need is decided last, the role after the accounts that use it.
	for _, kind := range []Kind{KindGroup, KindAccount, KindRole} {
		for _, c := range p.changes {
			if c.Kind == kind && c.State == Planned {
				p.stillNeeded(s, c)
			}
		}
	}
	p.lostLogs(s)
	p.keep("Gatehouse changed nothing of it")
	return p.finish()
}

// lostLogs tells how much is deleted with the log groups that go.
func (p *planner) lostLogs(s *estate.Snapshot) {
	for i := range s.Accounts {
		for j := range s.Accounts[i].Regions {
			region := &s.Accounts[i].Regions[j]
			for l := range region.LogGroups {
				g := &region.LogGroups[l]
				k := Key{Account: s.Accounts[i].ID, Region: region.Name, Kind: KindGroup, Subject: g.Name}
				if c := p.changes[k]; c != nil && c.State == Planned && g.Bytes > 0 {
					p.note(k, c.APIName, "its logs, %d bytes, are deleted with it", g.Bytes)
				}
			}
		}
	}
}

func changedSince(r *Record, now string) string {
	return fmt.Sprintf("somebody changed it since: Gatehouse set %q, now it is %q; --force puts %q back",
		Describe(r.Kind, r.After), Describe(r.Kind, now), Describe(r.Kind, r.Before))
}

// records reports whether a record is of what is meant.
func (c *Choice) records(r *Record, stages map[Key]*position) bool {
	if !c.place(r.Account, r.Region) {
		return false
	}
	if r.Kind == KindAccount || r.Kind == KindRole {
		// Whether anything else needs them is asked for each.
		return c.kind(transaction.REST) || c.kind(transaction.WebSocket)
	}
	if r.API == "" {
		return c.kind(r.APIType) && c.all()
	}
	var tags []map[string]string
	if at := stages[Key{Account: r.Account, Region: r.Region, Kind: KindAccess, Subject: r.API + "/" + r.Stage}]; at != nil {
		tags = []map[string]string{at.api.Tags, at.stage.Tags}
	}
	return c.among(r.Account, r.Region, r.API, r.Stage) && c.stage(r.APIType, r.API, r.APIName, r.Stage, tags...)
}

// now is the value of a recorded setting in a snapshot. What a snapshot does not
// tell is taken to be what was written: it is read before anything is changed.
func now(s *estate.Snapshot, at *position, r *Record) string {
	switch r.Kind {
	case KindExecution:
		if at != nil {
			keys, values := at.executions()
			if i := slices.Index(keys, r.Key); i >= 0 {
				return values[i]
			}
		}
	case KindAccess:
		if at != nil {
			return at.access()
		}
	case KindAccount:
		for i := range s.Accounts {
			for j := range s.Accounts[i].Regions {
				if region := &s.Accounts[i].Regions[j]; s.Accounts[i].ID == r.Account && region.Name == r.Region && region.Seen(estate.PartAccount) && len(region.APIs) > 0 {
					return region.LogRole
				}
			}
		}
	case KindGroup, KindRole, KindDelivery:
	}
	return r.After
}

// stillNeeded leaves what something needs that the plan does not put back, and
// makes the rest wait for what needs it.
func (p *planner) stillNeeded(s *estate.Snapshot, c *Change) {
	leave := func(why string) { c.State, c.Why = Left, why }
	// goes reports whether a record's setting is put back by this plan.
	goes := func(k Key) bool { g := p.changes[k]; return g != nil && g.State == Planned }
	for _, r := range p.records {
		if !needs(r, c) {
			continue
		}
		switch {
		case goes(r.Key):
			c.needs = append(c.needs, r.Key)
		case !seen(s, &r.Key):
			// What is seen is asked below: somebody may have changed it since, so that it
			// needs nothing of Gatehouse's any more.
			leave("it is still needed by " + nameOf(r))
			return
		}
	}
	// restored reports whether a setting is, or will be, as it was before Gatehouse
	// came, in a stage that then had no role to log with.
	restored := func(at *position, k Key) bool {
		r := p.records[c.Key]
		return c.Kind == KindAccount && slices.Contains(r.LoggedBefore, at.api.ID+"/"+at.stage.Name) && (p.records[k] == nil || goes(k))
	}
	if c.Kind == KindRole {
		for i := range s.Accounts {
			for j := range s.Accounts[i].Regions {
				region := &s.Accounts[i].Regions[j]
				k := Key{Account: s.Accounts[i].ID, Region: region.Name, Kind: KindAccount}
				if k.Account == c.Account && roleName(region.LogRole) == c.Subject && !goes(k) {
					leave("API Gateway writes logs with it in " + region.Name)
				}
			}
		}
		return
	}
	each(s, func(at *position) {
		if at.account.ID != c.Account || at.region.Name != c.Region || c.State != Planned {
			return
		}
		keys, values := at.executions()
		for i, k := range keys {
			level, _ := splitExecution(values[i])
			if level != off && (c.Kind == KindAccount || at.executionGroup() == c.Subject) && !p.endsLogging(k, goes) && !restored(at, k) {
				leave("stage " + at.api.Name + "/" + at.stage.Name + " writes execution logs with it")
			}
		}
		uses := c.Kind == KindAccount && at.api.Type != transaction.HTTP && at.stage.AccessLogARN != "" ||
			c.Kind == KindGroup && groupOrARN(at.stage.AccessLogARN) == c.Subject
		k := at.key(KindAccess, "")
		ends := goes(k) && p.changes[k].Then == ""
		if uses && !ends && !restored(at, k) {
			leave("stage " + at.api.Name + "/" + at.stage.Name + " writes access logs with it")
		}
		for _, d := range at.stage.Deliveries {
			if c.Kind == KindGroup && groupOrARN(d.Destination) == c.Subject && !goes(at.key(KindDelivery, "")) {
				leave("a delivery of stage " + at.api.Name + "/" + at.stage.Name + " goes to it")
			}
		}
	})
}

// seen reports whether a snapshot has the region, and the stage, of a setting.
func seen(s *estate.Snapshot, k *Key) bool {
	for i := range s.Accounts {
		for j := range s.Accounts[i].Regions {
			region := &s.Accounts[i].Regions[j]
			if s.Accounts[i].ID != k.Account || region.Name != k.Region {
				continue
			}
			if k.Kind == KindAccount {
				return region.Seen(estate.PartAccount)
			}
			api, stage := k.stage()
			return slices.ContainsFunc(region.APIs, func(a estate.API) bool {
				return a.ID == api && slices.ContainsFunc(a.Stages, func(st estate.Stage) bool { return st.Name == stage })
			})
		}
	}
	return false
}

// endsLogging reports whether the plan puts a setting back to one that logs nothing.
func (p *planner) endsLogging(k Key, goes func(Key) bool) bool {
	if !goes(k) {
		return false
	}
	level, _ := splitExecution(p.changes[k].Then)
	return level == off
}

// needs reports whether a recorded setting works only as long as what c made is there.
func needs(r *Record, c *Change) bool {
	if r.Account != c.Account || r.Key == c.Key {
		return false
	}
	stage := r.Region == c.Region && (r.Kind == KindExecution || r.Kind == KindAccess || r.Kind == KindDelivery)
	switch c.Kind {
	case KindRole:
		return r.Kind == KindAccount && roleName(r.After) == c.Subject
	case KindAccount:
		return stage && r.APIType != transaction.HTTP
	case KindGroup:
		switch r.Kind {
		case KindAccess:
			return stage && groupOrARN(parseAccess(r.After).Destination) == c.Subject
		case KindDelivery:
			return stage && groupOrARN(r.After) == c.Subject
		case KindExecution:
			at := position{api: &estate.API{ID: r.API, Type: r.APIType}, stage: &estate.Stage{Name: r.Stage}}
			return stage && at.executionGroup() == c.Subject
		case KindRole, KindAccount, KindGroup:
		}
	case KindExecution, KindAccess, KindDelivery:
	}
	return false
}

func nameOf(r *Record) string {
	if r.API == "" {
		return string(r.Kind) + " " + r.Account + "/" + r.Region
	}
	return string(r.Kind) + " of " + r.APIName + "/" + r.Stage
}

func roleName(arn string) string {
	for i := len(arn) - 1; i >= 0; i-- {
		if arn[i] == '/' {
			return arn[i+1:]
		}
	}
	return arn
}
