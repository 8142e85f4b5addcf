package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/eks"
	"github.com/gatehouse-project/gatehouse/access/invoke"
	"github.com/gatehouse-project/gatehouse/cli"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/notify/slack"
)

// estateAtMost is how long the files of lending wait for the first discovery of the
// estate, by which APIs are known. What comes later is found by itself.
const estateAtMost = 5 * time.Second

// lending is the parts that lend access.
type lending struct {
	desk  *access.Desk
	runs  *access.TargetRuns
	facts *facts
	files *lendingFiles
	slack *slack.Interactions // nil: nothing is decided in Slack
}

// lendingOptions are what the demo says beside the settings.
type lendingOptions struct {
	// flows and integrations are texts in the place of files.
	flows, integrations []byte
}

// openLending puts the desk together over the directory of people, which has to be there
// already. Without a state that keeps what is lent it returns an error that is
// access.ErrNotKept.
func (p *product) openLending(o lendingOptions) error {
	c := p.config
	s, err := p.store.Lending()
	if err != nil {
		return fmt.Errorf("lending access: %w", err)
	}
	tell, err := openNotices(c, p.log, p.registry)
	if err != nil {
		return err
	}
	l := &lending{}
	var on onCall
	if tell.onCall != nil {
		on = tell.onCall
	}
	l.facts = newFacts(p.people, on, p.log)
	provisioners, err := p.provisioners(l.facts)
	if err != nil {
		return err
	}
	base := strings.TrimRight(c.Identity.PublicURL, "/")
	a := &c.Access
	l.desk, err = access.NewDesk(access.Options{
		Store: s, Provisioners: provisioners, Facts: l.facts, Mailer: &mailer{tell.router, base}, Logger: p.log, Metrics: p.registry,
		Limits: access.Limits{
			PerIntegration: a.PerIntegration, Objective: a.Objective, Provision: a.ProvisionTimeout,
			Reconcile: a.ReconcileInterval, Discover: a.DiscoveryInterval, EndingNotice: a.EndingNotice,
		},
	})
	if err != nil {
		return err
	}
	l.runs = access.NewTargetRuns(l.desk)
	if tell.slack != nil && c.Notify.Slack.HasSecret() {
		request := ""
		if base != "" {
			request = base + "/access"
		}
		d := &slackDesk{l.desk, p.people, base}
		l.slack, err = slack.NewInteractions(slack.InteractionOptions{
			App: tell.slack, Secret: c.Notify.Slack.Secret, Decider: d, Catalog: d, RequestURL: request, Logger: p.log,
		})
		if err != nil {
			return err
		}
	}
	l.files = newLendingFiles(l.desk, p.store, p.log)
	l.files.ready = func(ctx context.Context) error { return p.estate.wait(ctx, estateAtMost) }
	// Integrations first: flows are checked against what they name.
	l.files.addIf("integrations_file", a.IntegrationsFile, o.integrations)
	l.files.addIf("flows_file", a.FlowsFile, o.flows)
	p.onDisabled = append(p.onDisabled, l.personLeft)
	p.lending = l
	return nil
}

// openLendingFor opens lending for serve. A state that cannot keep what is lent is an
// error to those who asked for lending, and to nobody else.
func (p *product) openLendingFor(ctx context.Context, o cli.ServeOptions) error {
	if err := p.newRoster(ctx, nil); err != nil {
		return err
	}
	err := p.openLending(lendingOptions{})
	a := &p.config.Access
	asked := o.RolesGiven && slices.Contains(o.Roles, "access") || a.FlowsFile != "" || a.IntegrationsFile != ""
	if errors.Is(err, access.ErrNotKept) && !asked {
		p.log.WarnContext(ctx, "nothing can be lent with this state", "reason", err)
		return nil
	}
	return errNothingKept(err)
}

// addIf adds a file of the settings, or a text in its place, if there is one.
func (l *lendingFiles) addIf(setting, path string, text []byte) {
	switch {
	case text != nil:
		l.add(setting, setting+" of the demo", func() ([]byte, error) { return text, nil })
	case path != "":
		l.add(setting, path, nil)
	}
}

// provisioners are one for each type of integration.
func (p *product) provisioners(f *facts) ([]access.Provisioner, error) {
	o := eks.Options{People: f.everybody, Installation: p.installation, Logger: p.log, Registerer: p.registry}
	if p.store != nil {
		if s, err := p.store.Lending(); err == nil {
			o.Ledger = s
		}
	}
	if p.accounts != nil {
		o.AWS = p.accounts
	}
	clusters, err := eks.New(o)
	if err != nil {
		return nil, fmt.Errorf("lending access to clusters: %w", err)
	}
	apis := invoke.Options{Estate: p.estate.snapshot, Logger: p.log, Registerer: p.registry}
	if p.accounts != nil {
		apis.AWS = p.accounts
	}
	lender, err := invoke.New(apis)
	if err != nil {
		return nil, fmt.Errorf("lending access to APIs: %w", err)
	}
	return []access.Provisioner{eks.NewRBAC(clusters), eks.NewAccessEntry(clusters), lender}, nil
}

// personLeft takes back what was lent to somebody who was disabled.
func (l *lending) personLeft(ctx context.Context, e identity.Entry) error {
	// What was known a moment ago must not let them vote or ask.
	l.facts.forget()
	if e.ID == identity.AdminID {
		return nil
	}
	id := access.PersonOf(e.Person).ID
	if id == "" {
		return nil
	}
	reason := "the person was disabled"
	if e.Disabled != nil && e.Disabled.Reason != "" {
		reason += ": " + e.Disabled.Reason
	}
	return l.desk.PersonLeft(ctx, id, reason)
}

// services are what lending does by itself, where this process has the role.
func (l *lending) services() []service {
	return []service{{"lending access", l.desk.Run}, {"reading the files of lending", l.files.run}}
}

// interacting are the services of what people begin on pages, over the API and in Slack,
// where this process serves those.
func (l *lending) interacting() []service {
	if l == nil {
		return nil
	}
	out := []service{{"asking targets", l.runs.Run}}
	if l.slack != nil {
		out = append(out, service{"deciding in Slack", l.slack.Run})
	}
	return out
}

// mount adds what lending answers without a session. Nothing else below that path is
// there, for the guard asks nobody there who they are.
func (l *lending) mount(mux *http.ServeMux) {
	mux.Handle("/slack/", http.NotFoundHandler())
	if l == nil || l.slack == nil {
		return
	}
	mux.Handle("POST "+slack.InteractionsPath, l.slack)
	mux.Handle("POST "+slack.CommandsPath, l.slack)
}

// errNothingKept tells those who asked for lending what to do about a state without it.
func errNothingKept(err error) error {
	if !errors.Is(err, access.ErrNotKept) {
		return err
	}
	return fmt.Errorf("%w; set state to sqlite:PATH or postgres://USER@HOST/DATABASE, or leave access out of --roles and flows_file and integrations_file out of the settings", err)
}
