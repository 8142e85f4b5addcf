package dashboard

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

// flowRow is a flow in short.
type flowRow struct {
	*flow.Flow
	Gives  []string
	Agrees string
	Code   string
	Broken string // who may break the glass
}

type bundleRow struct {
	*flow.Bundle
	Gives []string
}

type flowsData struct {
	access.FlowVersion
	Flows   []flowRow
	Bundles []bundleRow
	Fault   string
	Admin   bool
	JSON    string
}

// targetText says what a target lends.
func targetText(t *flow.Target) string {
	if t.Bundle != "" {
		return "bundle " + t.Bundle
	}
	text := strings.Join(t.Permissions, ", ") + " on " + t.Integration + " / " + t.ResourceType
	if len(t.Include) > 0 {
		text += " with " + filterTexts(t.Include)
	}
	if len(t.Exclude) > 0 {
		text += " without " + filterTexts(t.Exclude)
	}
	return text
}

func filterTexts(filters []flow.Filter) string {
	parts := make([]string, len(filters))
	for i := range filters {
		parts[i] = filterText(&filters[i])
	}
	return strings.Join(parts, " or ")
}

func filterText(f *flow.Filter) string {
	name := f.Type
	if f.Type == flow.FilterTag {
		name = "tag " + f.Key
	}
	return name + " " + strings.Join(f.Values, ", ")
}

// agrees says who has to agree to what a flow gives.
func agrees(f *flow.Flow) string {
	var parts []string
	if a := f.AutoApprove; a != nil {
		if a.Always {
			return "nobody: it grants at once"
		}
		text := "nobody where"
		var when []string
		if a.When != nil {
			when = append(when, "who asks is "+a.When.String())
		}
		for i := range a.Tags {
			when = append(when, filterText(&a.Tags[i]))
		}
		if a.DurationAtMost > 0 {
			when = append(when, "it is for at most "+flow.FormatDuration(a.DurationAtMost))
		}
		if a.Timeframe != nil {
			when = append(when, "it is "+a.Timeframe.String())
		}
		parts = append(parts, text+" "+strings.Join(when, " and "))
	}
	if f.Approval != nil {
		parts = append(parts, approvalText(*f.Approval))
	}
	if len(parts) == 0 {
		return "nobody can"
	}
	return strings.Join(parts, "; else ")
}

// setOf reads a version of the flows; the fault is of a text that cannot be read.
func (s *server) setOf(ctx context.Context, who flow.Person, version int) (v *access.FlowVersion, set *flow.Set, fault string, err error) {
	if v, err = s.Access.Flows(ctx, who, version); err != nil {
		return nil, nil, "", err
	}
	set, parseErr := flow.Parse([]byte(v.Text))
	if parseErr != nil {
		return v, &flow.Set{}, sentence(parseErr.Error()), nil
	}
	return v, set, "", nil
}

func (s *server) flowsPage(w http.ResponseWriter, r *http.Request, who flow.Person) {
	v, set, fault, err := s.setOf(r.Context(), who, 0)
	if err != nil {
		s.lendFailed(w, r, "The flows", err)
		return
	}
	d := &flowsData{FlowVersion: *v, Fault: fault, Admin: who.Admin, JSON: s.BasePath + "/api/v1/access/flows"}
	for i := range set.Flows {
		f := &set.Flows[i]
		row := flowRow{Flow: f, Agrees: agrees(f), Code: with(s.BasePath+codePath, nil, "flow", f.Name)}
		for j := range f.Targets {
			row.Gives = append(row.Gives, targetText(&f.Targets[j]))
		}
		if f.BreakGlass != nil {
			row.Broken = f.BreakGlass.Who.String() + ", for at most " + flow.FormatDuration(f.BreakGlass.MaxDuration)
		}
		d.Flows = append(d.Flows, row)
	}
	for i := range set.Bundles {
		b := &set.Bundles[i]
		row := bundleRow{Bundle: b}
		for j := range b.Targets {
			row.Gives = append(row.Gives, targetText(&b.Targets[j]))
		}
		d.Bundles = append(d.Bundles, row)
	}
	s.render(w, r, 0, "accessflows", s.shell(r, "Flows", flowsPath, d))
}

type flowEditData struct {
	Text   string
	Prune  bool
	Base   int // the version that the text was taken from
	From   int // an older one that it was taken from; 0: the newest
	Plan   *access.FlowPlan
	Digest string // of the text that the plan is of
	Lines  []faultLine
	Fault  *fault
	Back   string
}

// faultLine is a problem with the line that it is of.
type faultLine struct {
	access.FlowProblem
	Text  string
	Caret string
}

func (s *server) flowEditPage(w http.ResponseWriter, r *http.Request, who flow.Person) {
	newest, err := s.Access.Flows(r.Context(), who, 0)
	if err != nil {
		s.lendFailed(w, r, "The flows", err)
		return
	}
	// The whole text stands there, so what is taken out of it is meant to go.
	d := &flowEditData{Text: newest.Text, Base: newest.Version, Prune: true}
	if n, err := strconv.Atoi(r.URL.Query().Get("version")); err == nil && n > 0 {
		old, err := s.Access.Flows(r.Context(), who, n)
		if err != nil {
			s.lendFailed(w, r, "This version of the flows", err)
			return
		}
		d.Text, d.From = old.Text, n
	}
	s.showFlowEdit(w, r, 0, d)
}

func (s *server) showFlowEdit(w http.ResponseWriter, r *http.Request, status int, d *flowEditData) {
	d.Back = s.BasePath + flowsPath
	s.render(w, r, status, "accessflowedit", s.shell(r, "Edit the flows", flowsPath, d))
}

// flowEditPost checks and plans a text, and makes it the flows: only the very text
// that a plan was shown of, over the version that it was shown for.
func (s *server) flowEditPost(w http.ResponseWriter, r *http.Request, who flow.Person) {
	ctx, v := r.Context(), r.PostForm
	d := &flowEditData{Text: strings.ReplaceAll(v.Get("text"), "\r\n", "\n"), Prune: v.Get("prune") != ""}
	var err error
	if d.Base, err = strconv.Atoi(v.Get("base")); err != nil {
		s.message(w, r, http.StatusBadRequest, "This form cannot be read", "Open the page anew.")
		return
	}
	f := access.Flowing{Text: d.Text, Prune: d.Prune, By: who, Via: "web", Source: "page", Expect: &d.Base, DryRun: true}
	sum := sha256.Sum256([]byte(d.Text + "\x00" + strconv.FormatBool(d.Prune)))
	digest := hex.EncodeToString(sum[:])
	if v.Get("do") == "apply" {
		f.DryRun = v.Get("digest") != digest
	}
	plan, err := s.Access.ApplyFlows(ctx, f)
	switch {
	case errors.Is(err, access.ErrBusy), errors.Is(err, access.ErrConflict):
		newest, readErr := s.Access.Flows(ctx, who, 0)
		if readErr != nil {
			s.lendFailed(w, r, "The flows", readErr)
			return
		}
		d.Fault = &fault{Text: "Somebody made version " + strconv.Itoa(newest.Version) + " meanwhile; nothing was applied. Look at what they changed, then plan your text again: it would replace theirs."}
		d.Base = newest.Version
		s.showFlowEdit(w, r, http.StatusConflict, d)
		return
	case err != nil:
		d.Fault = s.faultOf(ctx, err)
		s.showFlowEdit(w, r, d.Fault.Status, d)
		return
	case plan.Version > 0:
		s.goOn(w, r, with(s.BasePath+flowsPath+"/versions", nil, "to", strconv.Itoa(plan.Version), "done", "applied"))
		return
	}
	status := 0
	d.Plan = plan
	if v.Get("do") == "apply" && f.DryRun {
		d.Fault, status = &fault{Text: "The text is not the one that the plan was shown of; nothing was applied. This is the plan of the text as it is now."}, http.StatusConflict
	}
	if !plan.HasErrors() && plan.HasChanges() {
		d.Digest = digest
	}
	lines := strings.Split(d.Text, "\n")
	for _, p := range plan.Problems {
		l := faultLine{FlowProblem: p}
		if p.Line > 0 && p.Line <= len(lines) {
			l.Text = lines[p.Line-1]
			if runes := []rune(l.Text); p.Column > 0 && p.Column <= len(runes)+1 {
				l.Caret = strings.Repeat(" ", p.Column-1) + "^"
			}
		}
		d.Lines = append(d.Lines, l)
	}
	if plan.HasErrors() {
		status = http.StatusUnprocessableEntity
	}
	s.showFlowEdit(w, r, status, d)
}

type flowVersionsData struct {
	Versions []access.FlowVersion
	From, To int
	Changes  []flow.Change
	Faults   []string
	Text     string // of To
	Applied  bool
	Admin    bool
	Back     string
}

func (s *server) flowVersionsPage(w http.ResponseWriter, r *http.Request, who flow.Person) {
	ctx, q := r.Context(), r.URL.Query()
	versions, err := s.Access.FlowVersions(ctx, who, rowsPerPage)
	if err != nil {
		s.lendFailed(w, r, "The versions", err)
		return
	}
	d := &flowVersionsData{Versions: versions, Admin: who.Admin, Applied: q.Get("done") == "applied", Back: s.BasePath + flowsPath}
	if len(versions) > 0 {
		d.To = versions[0].Version
	}
	if n, err := strconv.Atoi(q.Get("to")); err == nil && n > 0 {
		d.To = n
	}
	d.From = d.To - 1
	if n, err := strconv.Atoi(q.Get("from")); err == nil && n >= 0 {
		d.From = n
	}
	if d.To > 0 {
		to, after, fault, err := s.setOf(ctx, who, d.To)
		if err != nil {
			s.lendFailed(w, r, "Version "+strconv.Itoa(d.To), err)
			return
		}
		d.Text = to.Text
		before := &flow.Set{}
		if fault != "" {
			d.Faults = append(d.Faults, fault)
		}
		if d.From > 0 {
			if _, before, fault, err = s.setOf(ctx, who, d.From); err != nil {
				s.lendFailed(w, r, "Version "+strconv.Itoa(d.From), err)
				return
			}
			if fault != "" {
				d.Faults = append(d.Faults, fault)
			}
		}
		for _, c := range before.Diff(after) {
			if c.Action != flow.Unchanged {
				d.Changes = append(d.Changes, c)
			}
		}
	}
	s.render(w, r, 0, "accessversions", s.shell(r, "Versions of the flows", flowsPath, d))
}
