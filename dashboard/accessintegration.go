package dashboard

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

// checkBadge says how a check of an integration stands.
func checkBadge(result string) badge {
	switch result {
	case "ok":
		return badge{"good", "●", "ok", ""}
	case "warning":
		return badge{"wait", "◐", "warning", "it does not keep access from being lent"}
	case "failed":
		return badge{"bad", "■", "failed", "nothing is lent until it passes"}
	default:
		return badge{"unknown", "○", result, "it could not be looked at"}
	}
}

// healthBadge says whether access can be lent from an integration.
func healthBadge(v *access.IntegrationView) badge {
	switch {
	case v.Trouble != "" && v.Health.CheckedAt.IsZero():
		return badge{"unknown", "○", "not checked", v.Trouble}
	case v.Trouble != "":
		return badge{"bad", "■", "not lent from", v.Trouble}
	case v.Health.Error != "", v.Health.ReconcileError != "", v.Health.RotateError != "", len(v.Drift) > 0,
		slices.ContainsFunc(v.Health.Checks, func(c access.Check) bool { return c.Result != "ok" }):
		return badge{"wait", "◐", "ready, with remarks", ""}
	default:
		return badge{"good", "●", "ready", ""}
	}
}

type integrationRow struct {
	*access.IntegrationView
	Badge badge
	Link  string
}

type integrationsData struct {
	Rows  []integrationRow
	Types []option
	Admin bool
	Done  string
	JSON  string
}

var integrationDone = map[string]string{
	"saved": "Saved, and checked.", "removed": "The integration was removed.", "connect": "Connected, and checked.",
}

func (s *server) integrationsPage(w http.ResponseWriter, r *http.Request, who flow.Person) {
	all, err := s.Access.Integrations(r.Context(), who)
	if err != nil {
		s.lendFailed(w, r, "The integrations", err)
		return
	}
	d := &integrationsData{Admin: who.Admin, Done: integrationDone[r.URL.Query().Get("done")], JSON: s.BasePath + "/api/v1/access/integrations", Types: s.types("")}
	for _, v := range all {
		d.Rows = append(d.Rows, integrationRow{v, healthBadge(v), s.integrationLink(v.Name)})
	}
	s.render(w, r, 0, "accessintegrations", s.shell(r, "Integrations", integrationsPath, d))
}

func (s *server) integrationLink(name string) string {
	return s.BasePath + integrationsPath + "/" + url.PathEscape(name)
}

// typeTitles names the types of integrations that people know.
var typeTitles = map[string]string{
	"eks-rbac": "EKS cluster, shared role and RBAC", "eks-access-entry": "EKS cluster, a role each and access policies", "api-gateway": "API Gateway API",
}

func (s *server) types(chosen string) []option {
	known := s.Access.IntegrationTypes()
	out := make([]option, 0, len(known))
	for _, name := range slices.Sorted(maps.Keys(known)) {
		out = append(out, option{Value: name, Title: cmp.Or(typeTitles[name], name), Chosen: name == chosen})
	}
	return out
}

type integrationData struct {
	*access.IntegrationView
	Badge      badge
	Type       string
	Settings   []fact
	Resources  *access.ResourcePage
	Kinds      []option
	Query      string
	Kind       string
	Next       string
	ToFirst    string
	Connection *access.Connection
	Runs       []targetRunRow
	Going      bool // one of the runs goes on
	Ended      string
	Admin      bool
	Done       string
	Fault      *fault
	Link       string
	Back       string
	Code       string
	Grants     string
	Ask        string
	JSON       string
}

func (s *server) integrationPage(w http.ResponseWriter, r *http.Request, who flow.Person) {
	s.showIntegration(w, r, 0, who, nil, nil)
}

func (s *server) showIntegration(w http.ResponseWriter, r *http.Request, status int, who flow.Person, f *fault, c *access.Connection) {
	ctx, name, v := r.Context(), r.PathValue("name"), r.URL.Query()
	view, err := s.Access.Integration(ctx, who, name)
	if err != nil {
		s.lendFailed(w, r, "The integration", err)
		return
	}
	link := s.integrationLink(name)
	d := &integrationData{
		IntegrationView: view, Badge: healthBadge(view), Type: cmp.Or(typeTitles[view.Type], view.Type), Settings: settingsOf(&view.Integration), Connection: c,
		Query: strings.TrimSpace(v.Get("q")), Kind: v.Get("type"), Admin: who.Admin, Done: integrationDone[v.Get("done")], Fault: f, Link: link, Back: s.BasePath + integrationsPath,
		Code: with(s.BasePath+codePath, nil, "integration", name), Grants: with(s.BasePath+grantsPath, nil, "integration", name), Ask: with(s.BasePath+lendPath, nil, "integration", name),
		JSON: s.BasePath + "/api/v1/access/integrations/" + url.PathEscape(name),
	}
	d.showRuns(view.Health.Runs)
	for _, t := range view.ResourceTypesKnown {
		d.Kinds = append(d.Kinds, option{Value: t.Name, Title: cmp.Or(t.Title, t.Name), Chosen: t.Name == d.Kind})
	}
	if who.Admin {
		d.Resources, err = s.Access.Resources(ctx, who, access.ResourceQuery{Integration: name, Type: d.Kind, Text: d.Query, Limit: rowsPerPage, Cursor: v.Get("cursor")})
		if err != nil {
			s.lendFailed(w, r, "The resources", err)
			return
		}
		if d.Resources.Next != "" {
			d.Next = with(link, v, "cursor", d.Resources.Next, "done", "") + "#h-resources"
		}
		if v.Get("cursor") != "" {
			d.ToFirst = with(link, v, "cursor", "", "done", "") + "#h-resources"
		}
	}
	s.render(w, r, status, "accessintegration", s.shell(r, name, integrationsPath, d))
}

// settingsOf lists what is set of an integration; it never holds a secret.
func settingsOf(i *access.Integration) []fact {
	var out []fact
	add := func(name, value string) {
		if value != "" {
			out = append(out, fact{Name: name, Value: value})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(i.Config)) {
		add(key, i.Config[key])
	}
	if sec := i.Secret; sec != nil {
		switch {
		case sec.Kubernetes != nil:
			add("secret store", "Kubernetes secret "+sec.Kubernetes.Namespace+"/"+sec.Kubernetes.Name)
		case sec.AWS != nil:
			add("secret store", "AWS Secrets Manager "+sec.AWS.SecretID+" in "+sec.AWS.Region)
		case sec.Environment != "":
			add("secret store", "environment variables "+sec.Environment+"_…")
		}
	}
	add("resource types", strings.Join(i.ResourceTypes, ", "))
	owners := make([]string, 0, len(i.Owner))
	for _, o := range i.Owner {
		owners = append(owners, o.Kind+" "+o.Value)
	}
	add("owner", strings.Join(owners, ", "))
	if i.OwnerTag != "" {
		add("resource owner", "tag "+i.OwnerTag+" names a "+i.OwnerKind)
	}
	if i.RotationDays > 0 {
		add("credential rotation", "every "+plural(i.RotationDays, "day", "days"))
	}
	if i.CleanupDays > 0 {
		add("user clean-up", plural(i.CleanupDays, "day", "days")+" after the last grant")
	}
	if i.DeleteOrphans {
		add("orphans", "deleted")
	}
	return out
}

// integrationAct asks something of the target, or removes the integration.
func (s *server) integrationAct(w http.ResponseWriter, r *http.Request, who flow.Person) {
	ctx, name, do := r.Context(), r.PathValue("name"), r.PostForm.Get("do")
	to := s.integrationLink(name) + "?done=" + do
	var err error
	var plan *access.Connection
	switch do {
	case string(access.RunCheck), string(access.RunDiscover), string(access.RunReconcile):
		to = s.integrationLink(name) + "#h-runs"
		_, err = s.AccessRuns.Start(ctx, name, access.RunKind(do), who, "web")
	case "plan":
		plan, err = s.Access.Connect(ctx, name, false, who, "web")
	case "connect":
		plan, err = s.connectAsShown(ctx, name, r.PostForm.Get("shown"), who)
	case "remove":
		var version int64
		if version, err = strconv.ParseInt(r.PostForm.Get("version"), 10, 64); err != nil || strings.TrimSpace(r.PostForm.Get("typed")) != name {
			err = badField(errors.New("type the integration's name to remove it; nothing was removed"))
			break
		}
		if err = s.Access.DeleteIntegration(ctx, name, who, version, "web"); err == nil {
			to = s.BasePath + integrationsPath + "?done=removed"
		}
	default:
		s.message(w, r, http.StatusBadRequest, "There is nothing of that kind to do", "Reload the page and try again.")
		return
	}
	switch {
	case err != nil:
		f := s.faultOf(ctx, err)
		s.showIntegration(w, r, f.Status, who, f, plan)
	case plan != nil:
		s.showIntegration(w, r, 0, who, nil, plan)
	default:
		s.goOn(w, r, to)
	}
}

// connectAsShown connects an integration if what has to be changed is what the page
// showed; else it returns what has to be changed now.
func (s *server) connectAsShown(ctx context.Context, name, shown string, who flow.Person) (*access.Connection, error) {
	plan, err := s.Access.Connect(ctx, name, false, who, "web")
	if err != nil {
		return nil, err
	}
	if connectionDigest(plan) != shown {
		return plan, badField(errors.New("the target has changed since this was shown; nothing was done, and this is what has to be changed now"))
	}
	_, err = s.Access.Connect(ctx, name, true, who, "web")
	return nil, err
}

// connectionDigest tells two plans of connecting apart.
func connectionDigest(c *access.Connection) string {
	sum := sha256.Sum256([]byte(strings.Join(c.Steps, "\x00") + "\x01" + c.Before + "\x01" + c.After))
	return hex.EncodeToString(sum[:])
}
