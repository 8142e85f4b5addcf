package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/ascode"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/api"
)

// integrationChange is what applying a file does to one integration.
type integrationChange struct {
	Name   string             `json:"name"`
	Action flow.Action        `json:"action"`
	Fields []flow.FieldChange `json:"fields,omitempty"`
	// Done is set once it was made; Checks are what the server then looked at.
	Done   bool           `json:"done"`
	Checks []access.Check `json:"checks,omitempty"`
	Error  string         `json:"error,omitempty"`

	settings *api.IntegrationSettings
	tag      string // of what was looked at; empty: it is new
}

func newIntegrationApply(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply FILE",
		Short: "Make integrations as a file says, after showing what changes; each is checked",
		Long: `Make integrations as the file says: the YAML that 'gatehouse integration export' writes.
The plan is shown first. Each one that is changed is checked at once; a failed check does
not undo the change, but nothing is lent until it is mended, and the exit status is 1.
Integrations that are not in the file stay. An integration's type never changes.`,
		Example: `  gatehouse integration apply integrations.yaml --dry-run
  gatehouse integration apply integrations.yaml --yes`,
		Args: named("a file (\"-\" is standard input)", 1, 1),
	}
	connect := addServer(cmd)
	dryRun, yes := addConsent(cmd)
	output := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := output()
		if err != nil {
			return err
		}
		if !*dryRun && !*yes && (asJSON || fromInput(s, args[0]) || !asks(s)) {
			return withHint(usagef("nobody can be asked here whether to make the changes"), "give --yes, or --dry-run to see the plan")
		}
		text, err := readText(s, args[0])
		if err != nil {
			return err
		}
		code, err := ascode.ParseYAML(text)
		if err != nil {
			return wrongFlows(args[0], err)
		}
		if len(code.Integrations) == 0 {
			return withHint(fmt.Errorf("%s names no integrations", args[0]), "they stand in a list under the key integrations; flows are for 'gatehouse flow apply'")
		}
		c, err := connect()
		if err != nil {
			return err
		}
		plan, err := c.planIntegrations(cmd.Context(), code.Integrations)
		if err != nil {
			return err
		}
		todo := len(slices.DeleteFunc(slices.Clone(plan), func(p *integrationChange) bool { return p.Action == flow.Unchanged }))
		if !asJSON {
			printIntegrationPlan(s.Out, plan, todo)
		}
		if todo > 0 && !*dryRun {
			if err := consent(cmd.Context(), s, *yes, "Make these changes?"); err != nil {
				return err
			}
			err = c.applyIntegrations(cmd.Context(), s, plan, asJSON)
		}
		if asJSON {
			err = errors.Join(err, printJSON(s.Out, plan))
		}
		return err
	}
	return cmd
}

func settingsOf(i *access.Integration) *api.IntegrationSettings {
	return &api.IntegrationSettings{
		Type: i.Type, ResourceTypes: i.ResourceTypes, Config: i.Config, Secret: i.Secret, AccessDetails: i.AccessDetails,
		Owner: i.Owner, OwnerTag: i.OwnerTag, OwnerKind: i.OwnerKind, RotationDays: i.RotationDays, CleanupDays: i.CleanupDays,
		DeleteOrphans: i.DeleteOrphans,
	}
}

// planIntegrations compares what is wanted with what is there.
func (c *client) planIntegrations(ctx context.Context, wanted []access.Integration) ([]*integrationChange, error) {
	plan := make([]*integrationChange, 0, len(wanted))
	for i := range wanted {
		w := &wanted[i]
		change := &integrationChange{Name: w.Name, Action: flow.Create, settings: settingsOf(w)}
		have, tag, err := c.integration(ctx, w.Name)
		switch {
		case isRefused(err, http.StatusNotFound):
		case err != nil:
			return nil, err
		case len(have.Config) == 0 && len(w.Config) > 0:
			return nil, fmt.Errorf("you do not see how %s is reached: changing integrations is for who administers", w.Name)
		default:
			change.tag, change.Action = tag, flow.Unchanged
			if change.Fields, err = settingChanges(settingsOf(&have.Integration), change.settings); err != nil {
				return nil, err
			}
			if len(change.Fields) > 0 {
				change.Action = flow.Update
			}
		}
		plan = append(plan, change)
	}
	return plan, nil
}

// settingChanges are the settings that differ, by the names that they have in the file.
func settingChanges(have, want *api.IntegrationSettings) ([]flow.FieldChange, error) {
	old, err := flatSettings(have)
	if err != nil {
		return nil, err
	}
	now, err := flatSettings(want)
	if err != nil {
		return nil, err
	}
	var out []flow.FieldChange
	for _, key := range keysOf(old) {
		if old[key] != now[key] {
			out = append(out, flow.FieldChange{Path: key, Old: old[key], New: now[key]})
		}
	}
	for _, key := range keysOf(now) {
		if _, ok := old[key]; !ok {
			out = append(out, flow.FieldChange{Path: key, New: now[key]})
		}
	}
	return out, nil
}

// flatSettings are settings as text: those of the type as "config.KEY", the others as
// JSON.
func flatSettings(in *api.IntegrationSettings) (map[string]string, error) {
	out := map[string]string{}
	rest := *in
	rest.Config = nil
	b, err := json.Marshal(rest)
	if err != nil {
		return nil, fmt.Errorf("comparing settings: %w", err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		return nil, fmt.Errorf("comparing settings: %w", err)
	}
	for key, value := range fields {
		text := string(value)
		var plain string
		if json.Unmarshal(value, &plain) == nil {
			text = plain
		}
		if key == "secret" {
			key = "secret_store"
		}
		out[key] = text
	}
	for key, value := range in.Config {
		out["config."+key] = value
	}
	return out, nil
}

func printIntegrationPlan(w io.Writer, plan []*integrationChange, todo int) {
	for _, p := range plan {
		switch p.Action {
		case flow.Create:
			fmt.Fprintf(w, "+ integration %s, of type %s\n", printable(p.Name), printable(p.settings.Type))
		case flow.Update:
			fmt.Fprintf(w, "~ integration %s\n", printable(p.Name))
			short := slices.Clone(p.Fields)
			for i := range short {
				short[i].Old, short[i].New = firstLine(short[i].Old), firstLine(short[i].New)
			}
			printChanges(w, short)
		}
	}
	if todo == 0 {
		fmt.Fprintf(w, "nothing to change: %s as the file says\n", counted(len(plan), "integration"))
	}
}

// applyIntegrations makes the changes, and says what the checks found. One that fails
// does not keep the others from it.
func (c *client) applyIntegrations(ctx context.Context, s *Streams, plan []*integrationChange, quiet bool) error {
	var failed []error
	for _, p := range plan {
		if p.Action == flow.Unchanged {
			continue
		}
		headers := []string{"If-Match", p.tag}
		if p.Action == flow.Create {
			headers = []string{"If-None-Match", "*"}
		}
		v := new(access.IntegrationView)
		if _, err := c.patient().do(ctx, http.MethodPut, at("integrations", p.Name), p.settings, v, headers...); err != nil {
			p.Error = err.Error()
			failed = append(failed, fmt.Errorf("%s: %w", p.Name, err))
			continue
		}
		p.Done, p.Checks = true, v.Health.Checks
		if !quiet {
			fmt.Fprintf(s.Out, "\n%s is saved\n", printable(p.Name))
			if err := printChecks(s.Out, p.Checks); err != nil {
				return err
			}
		}
		if err := failedChecks(p.Name, p.Checks); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}
