package slack

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	api "github.com/slack-go/slack"

	"github.com/gatehouse-project/gatehouse/notify"
)

const (
	// A user id found by an e-mail address is good for knownFor; that there is none
	// is believed for unknownFor.
	knownFor   = time.Hour
	unknownFor = 5 * time.Minute
	maxPeople  = 10_000
)

// people remembers which Slack user has which e-mail address. It is used to find
// those who are told, never to decide who somebody is.
type people struct {
	now func() time.Time

	mu   sync.Mutex
	byIt map[string]person // by e-mail address, lower case
}

type person struct {
	id    string // empty: Slack knows none
	until time.Time
}

func (p *people) get(email string) (id string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	found, ok := p.byIt[strings.ToLower(email)]
	return found.id, ok && p.now().Before(found.until)
}

func (p *people) put(email, id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byIt == nil || len(p.byIt) >= maxPeople {
		p.byIt = map[string]person{}
	}
	good := knownFor
	if id == "" {
		good = unknownFor
	}
	p.byIt[strings.ToLower(email)] = person{id, p.now().Add(good)}
}

// errNobody is a permanent failure: the outbox has other channels for the person.
func errNobody() error {
	return &notify.Error{
		Channel: notify.Slack, Class: notify.Permanent, Err: errors.New("no member of the workspace has this e-mail address"),
		Hint: "invite the person to the workspace, or switch e-mail on",
	}
}

// find gives the id of the member with an e-mail address.
func (a *App) find(ctx context.Context, email string) (string, error) {
	if id, ok := a.people.get(email); ok {
		if id == "" {
			return "", errNobody()
		}
		return id, nil
	}
	home, err := a.workspace(ctx)
	if err != nil {
		return "", err
	}
	var user *api.User
	err = a.call(ctx, "looking a person up by e-mail", func(ctx context.Context, c *api.Client) error {
		user, err = c.GetUserByEmailContext(ctx, email)
		return err
	})
	switch {
	case code(err) == "users_not_found":
		a.people.put(email, "")
		return "", errNobody()
	case err != nil:
		return "", err
	case user.ID == "" || home.refuses(user) != "":
		a.people.put(email, "")
		return "", errNobody()
	}
	a.people.put(email, user.ID)
	return user.ID, nil
}

// refuses says why a user is not one of this workspace who may decide; empty if
// nothing speaks against it.
func (w workspace) refuses(u *api.User) string {
	sameTeam := u.TeamID != "" && u.TeamID == w.team
	sameOrganization := w.enterprise != "" && u.Enterprise.EnterpriseID == w.enterprise
	switch {
	case u.Deleted:
		return "the account is deactivated"
	case u.IsBot || u.IsWorkflowBot || u.IsConnectorBot || u.IsAppUser:
		return "it is not a person"
	case u.IsRestricted || u.IsUltraRestricted:
		return "guests cannot do this"
	case u.IsStranger || !sameTeam && !sameOrganization:
		return "people of other workspaces cannot do this"
	case u.IsInvitedUser:
		return "the invitation to the workspace is not accepted yet"
	default:
		return ""
	}
}

// refusal is a person who is turned away, with what to tell them.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

// identify gives the e-mail address of the user who clicked. It asks Slack each
// time: an account may have been deactivated a minute ago, and a profile's address
// counts only once it is confirmed, or a member could take that of an approver.
func (a *App) identify(ctx context.Context, userID string) (email string, err error) {
	home, err := a.workspace(ctx)
	if err != nil {
		return "", err
	}
	var user *api.User
	err = a.call(ctx, "asking who clicked", func(ctx context.Context, c *api.Client) error {
		user, err = c.GetUserInfoContext(ctx, userID)
		return err
	})
	switch {
	case code(err) == "user_not_found", code(err) == "user_not_visible":
		return "", &refusal{"people of other workspaces cannot do this"}
	case err != nil:
		return "", err
	case user.ID != userID:
		return "", &refusal{"Slack does not say who this is"}
	}
	if why := home.refuses(user); why != "" {
		return "", &refusal{why}
	}
	if !user.IsEmailConfirmed || !strings.Contains(user.Profile.Email, "@") {
		return "", &refusal{"the Slack account has no confirmed e-mail address that the app can see"}
	}
	return user.Profile.Email, nil
}
