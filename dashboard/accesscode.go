package dashboard

import (
	"net/http"
	"strings"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/ascode"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

type codeData struct {
	Of     string // what it is the code of
	Text   string
	Losses []string
	As     string
	YAML   string
	HCL    string
	Get    string
	File   string
	Fault  string
	Back   string
	Place  string
}

// codePage shows flows and integrations as code: one of them, or with all=1 all that
// the person may see.
func (s *server) codePage(w http.ResponseWriter, r *http.Request, who flow.Person) {
	ctx, v := r.Context(), r.URL.Query()
	d := &codeData{As: "yaml", Back: s.BasePath + flowsPath, Place: "Flows", Of: "All flows and bundles", File: "flows"}
	if v.Get("as") == "terraform" {
		d.As = "terraform"
	}
	here, c := flowsPath, ascode.Code{}
	integration := v.Get("integration")
	switch {
	case integration != "":
		view, err := s.Access.Integration(ctx, who, integration)
		if err == nil && !who.Admin {
			// What others do not see of it would be missing in its code.
			err = access.ErrForbidden
		}
		if err != nil {
			s.lendFailed(w, r, "The integration", err)
			return
		}
		c.Integrations = []access.Integration{view.Integration}
		d.Of, d.File, d.Back, d.Place, here = "Integration "+integration, integration, s.integrationLink(integration), integration, integrationsPath
	default:
		_, set, fault, err := s.setOf(ctx, who, 0)
		if err != nil {
			s.lendFailed(w, r, "The flows", err)
			return
		}
		c.Flows, d.Fault = set, fault
		if name := v.Get("flow"); name != "" {
			if c.Flows = set.Pick(name); c.Flows == nil {
				s.lendFailed(w, r, "The flow", access.ErrNotFound)
				return
			}
			d.Of, d.File = "Flow "+name, name
		} else if who.Admin && v.Get("all") != "" {
			all, err := s.Access.Integrations(ctx, who)
			if err != nil {
				s.lendFailed(w, r, "The integrations", err)
				return
			}
			for _, i := range all {
				c.Integrations = append(c.Integrations, i.Integration)
			}
			d.Of, d.File = "All integrations, flows and bundles", "access"
		}
	}
	d.YAML, d.HCL = with(s.BasePath+codePath, v, "as", "", "download", ""), with(s.BasePath+codePath, v, "as", "terraform", "download", "")
	d.Get = with(s.BasePath+codePath, v, "download", "1")
	write, ext := ascode.YAML, ".yaml"
	if d.As == "terraform" {
		write, ext = ascode.Terraform, ".tf"
	}
	d.File += ext
	text, losses, err := write(c)
	if err != nil {
		d.Fault = sentence(err.Error())
	}
	d.Text = string(text)
	for _, l := range losses {
		d.Losses = append(d.Losses, l.String())
	}
	if v.Get("download") != "" && err == nil {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Disposition", "attachment; filename=\""+plainName(d.File)+"\"")
		_, _ = w.Write(text)
		return
	}
	s.render(w, r, 0, "accesscode", s.shell(r, d.Of, here, d))
}

// plainName keeps what is safe in the name of a file.
func plainName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, name)
}
