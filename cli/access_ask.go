package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/api"
)

// questions ask a person for what their flags leave out.
type questions struct {
	*asker
	c        *client
	flags    *askFlags
	question *api.AccessAsk
	terms    []api.AccessTerms // of what was chosen
}

// complete fills in the question, and shows what would become of it. It returns nil
// once the person has said to send it, and for a dry run at once.
func (q *questions) complete(ctx context.Context, dryRun bool) error {
	if !q.flags.whole() {
		if err := q.what(ctx); err != nil {
			return err
		}
	}
	if q.flags.duration == "" {
		if err := q.duration(ctx); err != nil {
			return err
		}
	}
	if q.flags.justification == "" {
		var err error
		if q.question.Justification, err = q.ask(ctx, "\nWhy do you need it? "); err != nil {
			return err
		}
	}
	if dryRun {
		return nil
	}
	e := new(api.AccessExplanation)
	if _, err := q.c.do(ctx, http.MethodPost, at("requests", "explain"), q.question, e); err != nil {
		return err
	}
	fmt.Fprintln(q.s.Err)
	printExplanation(q.s.Err, e)
	if err := wouldBeGiven(e); err != nil {
		return err
	}
	ok, err := q.yes(ctx, "\nAsk for it?", true)
	if err == nil && !ok {
		err = errors.New("nothing was asked for")
	}
	return err
}

// query chooses from the catalog for whom it is.
func (q *questions) query() url.Values {
	v := url.Values{}
	if q.flags.person != "" {
		v.Set("for", q.flags.person)
	}
	return v
}

// what asks for a bundle, or for an integration, resources and permissions.
func (q *questions) what(ctx context.Context) error {
	if q.flags.integration == "" {
		if err := q.where(ctx); err != nil || q.question.Bundle != "" {
			return err
		}
	}
	v := q.query()
	v.Set("integration", q.flags.integration)
	if q.flags.kind != "" {
		v.Set("type", q.flags.kind)
	}
	offers, err := allPages(ctx, q.c, at("catalog"), v, 0, func(p *api.AccessCatalog) ([]api.AccessOffer, string) { return p.Offers, p.Next })
	if err != nil {
		return err
	}
	resources := byResource(offers)
	if len(resources) == 0 {
		return withHint(fmt.Errorf("%w on %s", access.ErrNotGiven, q.flags.integration), "'gatehouse access catalog' lists what you may ask for")
	}
	chosen, err := q.which(ctx, resources)
	if err != nil {
		return err
	}
	return q.permissions(ctx, chosen)
}

// where asks for a bundle or an integration.
func (q *questions) where(ctx context.Context) error {
	v := q.query()
	v.Set("limit", "1")
	first := new(api.AccessCatalog)
	if _, err := q.c.do(ctx, http.MethodGet, with(at("catalog"), v), nil, first); err != nil {
		return err
	}
	var integrations []*access.IntegrationView
	if _, err := q.c.do(ctx, http.MethodGet, at("integrations"), nil, &integrations); err != nil {
		return err
	}
	var choices []choice
	for i := range first.Bundles {
		choices = append(choices, choice{text: "bundle " + first.Bundles[i].Bundle})
	}
	if len(first.Offers) > 0 {
		for _, i := range integrations {
			choices = append(choices, choice{text: i.Name + "  " + i.Type, note: i.Trouble})
		}
	}
	if len(choices) == 0 {
		return withHint(errors.New("there is nothing that you may ask for"), "who administers Gatehouse writes the flows that give access")
	}
	picked, err := q.choose(ctx, "What do you need?", choices, false)
	if err != nil {
		return err
	}
	if n := picked[0]; n < len(first.Bundles) {
		b := &first.Bundles[n]
		q.question.Bundle, q.terms = b.Bundle, []api.AccessTerms{b.Terms}
	} else {
		q.flags.integration = integrations[n-len(first.Bundles)].Name
	}
	return nil
}

// offered is a resource with what is offered on it.
type offered struct {
	item   *api.AccessItem
	offers []*api.AccessOffer
}

func byResource(offers []api.AccessOffer) []*offered {
	var all []*offered
	have := map[[2]string]*offered{}
	for i := range offers {
		item := offers[i].Item
		if item == nil {
			continue
		}
		key := [2]string{item.Type, item.Resource}
		if have[key] == nil {
			have[key] = &offered{item: item}
			all = append(all, have[key])
		}
		have[key].offers = append(have[key].offers, &offers[i])
	}
	return all
}

func (o *offered) permissions() []string {
	out := make([]string, len(o.offers))
	for i := range o.offers {
		out[i] = o.offers[i].Item.Permission
	}
	return out
}

// which asks for resources, unless flags name them.
func (q *questions) which(ctx context.Context, all []*offered) ([]*offered, error) {
	var chosen []*offered
	for _, name := range q.flags.resources {
		n := slices.IndexFunc(all, func(o *offered) bool { return o.item.Resource == name })
		if n < 0 {
			n = slices.IndexFunc(all, func(o *offered) bool { return o.item.Name == name })
		}
		if n < 0 {
			return nil, withHint(fmt.Errorf("%w on %s of %s", access.ErrNotGiven, name, q.flags.integration), "leave --resource out to see what there is")
		}
		chosen = append(chosen, all[n])
	}
	if len(chosen) > 0 {
		return chosen, nil
	}
	choices := make([]choice, len(all))
	for i, o := range all {
		choices[i].text = o.item.Resource + "  " + fewOf(o.permissions(), 6)
		if o.item.Name != "" && !strings.Contains(o.item.Resource, o.item.Name) {
			choices[i].text = o.item.Name + "  " + choices[i].text
		}
	}
	picked, err := q.choose(ctx, "Which resource?", choices, true)
	if err != nil {
		return nil, err
	}
	for _, n := range picked {
		chosen = append(chosen, all[n])
	}
	return chosen, nil
}

// permissions asks for permissions that each chosen resource has.
func (q *questions) permissions(ctx context.Context, chosen []*offered) error {
	common := chosen[0].permissions()
	for _, o := range chosen[1:] {
		have := o.permissions()
		common = slices.DeleteFunc(common, func(p string) bool { return !slices.Contains(have, p) })
	}
	wanted := q.flags.permissions
	switch {
	case len(wanted) > 0:
		for _, p := range wanted {
			if !slices.Contains(common, p) {
				return withHint(fmt.Errorf("%w: %s on all of that", access.ErrNotGiven, p), "you may ask for "+orNone(common))
			}
		}
	case len(common) == 0:
		return withHint(errors.New("these resources have no permission in common that you may ask for"), "ask for them one by one")
	case len(common) == 1:
		wanted = common
	default:
		choices := make([]choice, len(common))
		for i, p := range common {
			choices[i].text = p
		}
		picked, err := q.choose(ctx, "Which permission?", choices, true)
		if err != nil {
			return err
		}
		for _, n := range picked {
			wanted = append(wanted, common[n])
		}
	}
	q.question.Items = nil
	for _, o := range chosen {
		for i, offer := range o.offers {
			if slices.Contains(wanted, offer.Item.Permission) {
				item := o.offers[i].Item
				q.question.Items = append(q.question.Items, access.ItemRef{Integration: item.Integration, Type: item.Type, Resource: item.Resource, Permission: item.Permission})
				q.terms = append(q.terms, offer.Terms)
			}
		}
	}
	return nil
}

// duration asks for how long, where the terms leave a choice.
func (q *questions) duration(ctx context.Context) error {
	prompt := "\nFor how long? (30m, 8h, 1d; empty: as the flow says) "
	var most, usual int64
	for i := range q.terms {
		if m := q.terms[i].MaxSeconds; most == 0 || m < most {
			most, usual = m, cmp.Or(q.terms[i].DurationSeconds, m)
		}
	}
	if most > 0 {
		prompt = fmt.Sprintf("\nFor how long? (at most %s; empty: %s) ", span(most), span(usual))
	}
	for {
		line, err := q.ask(ctx, prompt)
		if err != nil {
			return err
		}
		n, err := spanFlag("duration", line)
		switch {
		case err != nil:
			fmt.Fprintln(q.s.Err, "Write it as 30m, 8h or 1d12h.")
		case most > 0 && n > most:
			fmt.Fprintf(q.s.Err, "It is lent for at most %s.\n", span(most))
		default:
			q.question.DurationSeconds = n
			return nil
		}
	}
}
