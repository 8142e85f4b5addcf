package audit_test

import (
	"testing"

	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/identity"
)

func TestWhoMayRead(t *testing.T) {
	t.Parallel()
	ann := identity.Person{ID: "p-1", Name: "ann", Via: identity.ViaWeb}
	by := func(kind audit.ActorKind, id, name string) audit.Event {
		return audit.Event{Action: "a.b", Actor: audit.Actor{Kind: kind, ID: id, Name: name}}
	}
	own, namesake := by(audit.Person, "p-1", "ann, renamed"), by(audit.Person, "p-2", "ann")
	commandLine, server := by(audit.Person, "", "ann"), by(audit.Gatehouse, "", "gatehouse")
	refused := by(audit.Unknown, "", "")
	all := []audit.Event{own, namesake, commandLine, server, refused}
	for name, tc := range map[string]struct {
		person identity.Person
		want   []bool
	}{
		"viewer":       {withRole(ann, identity.Viewer), []bool{true, false, false, false, false}},
		"requester":    {withRole(ann, identity.Requester), []bool{true, false, false, false, false}},
		"approver":     {withRole(ann, identity.Approver), []bool{true, true, true, true, true}},
		"admin":        {withRole(ann, identity.Admin), []bool{true, true, true, true, true}},
		"unknown role": {withRole(ann, identity.Admin+1), []bool{true, false, false, false, false}},
		"nobody":       {identity.Person{Role: identity.Viewer}, []bool{false, false, false, false, false}},
	} {
		q := audit.Readable(audit.Query{}, tc.person)
		for i := range all {
			if got := q.Matches(&all[i]); got != tc.want[i] {
				t.Errorf("%s reads the event of %+v: %v", name, all[i].Actor, got)
			}
		}
	}
}

func withRole(p identity.Person, r identity.Role) identity.Person {
	p.Role = r
	return p
}

func TestActorOf(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		person identity.Person
		want   audit.Actor
	}{
		"browser":     {identity.Person{ID: "p-1", Name: "ann", Via: identity.ViaWeb}, audit.Actor{Kind: audit.Person, ID: "p-1", Name: "ann", Address: "192.0.2.7", Via: audit.ViaWeb}},
		"admin token": {identity.Person{ID: identity.AdminID, Name: "admin", Via: identity.ViaToken}, audit.Actor{Kind: audit.Token, ID: identity.AdminID, Name: "admin", Address: "192.0.2.7", Via: audit.ViaAPI}},
		"nobody":      {identity.Person{}, audit.Actor{Kind: audit.Unknown, Address: "192.0.2.7"}},
	} {
		if got := audit.ActorOf(tc.person, "192.0.2.7"); got != tc.want {
			t.Errorf("%s is %+v, want %+v", name, got, tc.want)
		}
	}
}
