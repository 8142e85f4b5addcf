// Package dashboard is Gatehouse in the browser: pages rendered on the server
// that read without JavaScript, one small script of our own that keeps them
// live, and charts drawn as SVG. Nothing comes from another server, so the
// content security policy can forbid everything else.
package dashboard

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/tail"
)

//go:embed templates assets
var files embed.FS

const (
	// readTimeout bounds the reads of one page.
	readTimeout = 10 * time.Second
	// maxForm bounds a form, in bytes; the policy lab's may be larger.
	maxForm = 64 << 10
)

// Options are what the pages read from.
type Options struct {
	Inventory inventory.Reader
	// Health is the running collector's; nil where this process collects nothing.
	Health func() collect.Health
	// Estate returns the last discovery, or nil if there was none yet. It is
	// asked for every page and so should be quick.
	Estate func(ctx context.Context) (*estate.Snapshot, error)
	// Tail is the running collector's; nil where this process collects nothing.
	Tail *tail.Hub
	// DeadLetters are the calls that sinks refused; nil: no such page.
	DeadLetters DeadLetters
	// Findings are what the rules found; nil: no such pages.
	Findings Findings
	// History is what changed in the estate; nil: it is not shown.
	History estate.History
	// Logging switches the logging of stages; nil: no such pages.
	Logging Logging
	// Audit is who changed what; nil: no such pages.
	Audit Audit
	// Identity is the guard before the pages; nil: none about people.
	Identity Identity
	// Access lends access; nil: no such pages.
	Access Access
	// AccessRuns has targets asked in the background; it is there where Access is.
	AccessRuns AccessRuns
	// BasePath is where the dashboard stands ("/gatehouse"); empty: at the root.
	// The API is looked for at BasePath + "/api/v1".
	BasePath string
	Clock    func() time.Time // nil: time.Now
	Version  string
	// Notice is shown on every page: what the demo plays, say. Empty: none.
	Notice string
	Logger *slog.Logger // nil: silent
}

type server struct {
	Options
	pages  map[string]*template.Template
	assets string // a digest of the assets, so that browsers may keep them
}

var pageNames = []string{
	"overview", "inventory", "endpoint", "sources", "estate", "tail", "call", "lab", "deadletters", "deadletter", "posture", "findings", "finding", "logging", "loggingplan", "loggingrun", "audit", "auditevent", "people", "person", "ask", "message", "signin",
	"access", "accessask", "accessinbox", "accessrequest", "accessmine", "accessgrants", "accessgrant", "accessstop", "accessflows", "accessflowedit",
	"accessversions", "accesstest", "accesscode", "accessintegrations", "accessintegration", "accessform",
}

// New returns the handler of the pages and their assets.
func New(o Options) http.Handler {
	s := newServer(o)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.overview)
	mux.HandleFunc("GET /inventory", s.inventory)
	mux.HandleFunc("GET /inventory/{id}", s.endpoint)
	mux.HandleFunc("GET /sources", s.sources)
	mux.HandleFunc("GET /estate", s.estatePage)
	mux.HandleFunc("GET /search", s.search)
	mux.HandleFunc("GET "+tailPath, s.tailPage)
	mux.HandleFunc("GET "+tailPath+"/{id}", s.callPage)
	if s.DeadLetters != nil {
		mux.HandleFunc("GET "+deadLettersPath, s.deadLetters)
		mux.HandleFunc("GET "+deadLettersPath+"/{id}", s.deadLetter)
		// The guard before all of this lets no other site's form come here.
		mux.Handle("POST "+deadLettersPath, identity.Require(identity.Admin, http.HandlerFunc(s.deadLettersAct)))
	}
	if s.Findings != nil {
		mux.HandleFunc("GET "+posturePath, s.posturePage)
		mux.HandleFunc("GET "+findingsPath, s.findingsPage)
		mux.HandleFunc("GET "+findingsPath+"/{id}", s.findingPage)
		// The guard before all of this lets no other site's form come here.
		mux.Handle("POST "+findingsPath+"/{id}", identity.Require(identity.Admin, http.HandlerFunc(s.findingDecide)))
	}
	s.loggingRoutes(mux)
	s.auditRoutes(mux)
	s.identityRoutes(mux)
	s.accessRoutes(mux)
	mux.HandleFunc("GET "+labPath, s.labPage)
	mux.HandleFunc("POST "+labPath, s.labPost)
	mux.HandleFunc("POST "+labPath+"/decide", s.labDecide)
	mux.HandleFunc("POST /theme", s.theme)
	mux.Handle("GET /assets/", s.assetFiles())
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.message(w, r, http.StatusNotFound, "There is no such page", "The address may be of a page that is gone.")
	})
	zip, err := gzhttp.NewWrapper(gzhttp.MinSize(1024))
	if err != nil {
		panic("dashboard: gzip options: " + err.Error()) // constant options: a mistake in this file
	}
	whole := zip(mux)
	var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit := int64(maxForm)
		if strings.HasPrefix(r.URL.Path, labPath) {
			limit = maxLab
		}
		if r.URL.Path == flowsPath+"/edit" || r.URL.Path == flowsPath+"/test" {
			limit = maxFlowForm
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		if r.URL.Path == tailStreamPath {
			// A compressor would hold the rows back.
			s.tailStream(w, r)
			return
		}
		if isRunStream(r.URL.Path) {
			s.loggingStream(w, r)
			return
		}
		whole.ServeHTTP(w, r)
	})
	if s.BasePath != "" {
		h = http.StripPrefix(s.BasePath, h)
	}
	return h
}

// SignIn returns the page that asks for the admin token, for
// identity.Options.SignIn.
func SignIn(o Options) func(http.ResponseWriter, *http.Request, identity.SignInPage) {
	s := newServer(o)
	return func(w http.ResponseWriter, r *http.Request, p identity.SignInPage) {
		s.execute(w, r, "signin", s.shell(r, "Sign in", "", p))
	}
}

func newServer(o Options) *server {
	o.BasePath = strings.TrimSuffix(o.BasePath, "/")
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &server{Options: o, pages: make(map[string]*template.Template, len(pageNames)), assets: digestOf("assets")}
	base := template.Must(template.New("shell.html").Funcs(functions).Funcs(lendFunctions).ParseFS(files, "templates/shell.html", "templates/parts.html", "templates/accessparts.html"))
	for _, name := range pageNames {
		s.pages[name] = template.Must(template.Must(base.Clone()).ParseFS(files, "templates/"+name+".html"))
	}
	return s
}

func digestOf(dir string) string {
	h := sha256.New()
	_ = fs.WalkDir(files, dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := files.ReadFile(path)
		_, _ = h.Write(b)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)[:6])
}

func (s *server) assetFiles() http.Handler {
	serve := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/") {
			http.NotFound(w, r)
			return
		}
		if r.URL.Query().Get("v") == s.assets {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		serve.ServeHTTP(w, r)
	})
}

// page is what every template gets.
type page struct {
	Title   string
	Here    string // the path of the section in the rail
	Nav     []navGroup
	Place   []crumb
	Search  string
	Base    string
	Assets  string
	Lending bool   // the page shows what is lent, and is told of changes
	Theme   string // auto, light or dark
	Back    string // this page's address, to come back to
	Person  identity.Person
	Version string
	Notice  string
	Now     time.Time
	Data    any
}

type navGroup struct {
	Title string
	Items []navItem
}

type navItem struct {
	Title, Path, Icon string
	Here              bool
	Counts            bool // it shows how many things wait there
	Count             int
}

// crumb is a step of the place that a page shows; the last has no link.
type crumb struct {
	Title, Link, Hint string
}

// sections lists all sections, in the order of the three jobs.
var sections = []navGroup{
	{"", []navItem{{Title: "Overview", Path: "/", Icon: "overview"}}},
	{"Watch", []navItem{
		{Title: "Estate", Path: "/estate", Icon: "estate"},
		{Title: "Logging", Path: loggingPath, Icon: "logging"},
		{Title: "Inventory", Path: "/inventory", Icon: "inventory"},
		{Title: "Live tail", Path: tailPath, Icon: "tail"},
		{Title: "Sources", Path: "/sources", Icon: "sources"},
		{Title: "Dead letters", Path: deadLettersPath, Icon: "deadletters"},
	}},
	{"Check", []navItem{
		{Title: "Posture", Path: posturePath, Icon: "posture"},
		{Title: "Findings", Path: findingsPath, Icon: "findings"},
		{Title: "Policy lab", Path: labPath, Icon: "lab"},
	}},
	{"Lend", []navItem{
		{Title: "Catalog", Path: lendPath, Icon: "catalog"},
		{Title: "My access", Path: minePath, Icon: "mine"},
		{Title: "Inbox", Path: inboxPath, Icon: "inbox", Counts: true},
		{Title: "Grants", Path: grantsPath, Icon: "grants"},
		{Title: "Flows", Path: flowsPath, Icon: "flows"},
		{Title: "Integrations", Path: integrationsPath, Icon: "integrations"},
	}},
	{"Record", []navItem{{Title: "Audit log", Path: auditPath, Icon: "audit"}, {Title: "People", Path: peoplePath, Icon: "people"}}},
}

// rail returns the sections that this process has something to show in.
func (s *server) rail() []navGroup {
	out := slices.Clone(sections)
	for i := range out {
		out[i].Items = slices.DeleteFunc(slices.Clone(out[i].Items), func(it navItem) bool {
			return s.DeadLetters == nil && it.Path == deadLettersPath || s.Logging == nil && it.Path == loggingPath || s.Audit == nil && it.Path == auditPath || s.Identity == nil && it.Path == peoplePath ||
				s.Findings == nil && (it.Path == posturePath || it.Path == findingsPath) || s.Access == nil && isLending(it.Path)
		})
	}
	out = slices.DeleteFunc(out, func(g navGroup) bool { return len(g.Items) == 0 })
	return out
}

func (s *server) shell(r *http.Request, title, here string, data any) *page {
	p := &page{
		Title: title, Here: here, Base: s.BasePath, Assets: s.assets, Theme: themeOf(r), Back: s.BasePath + r.URL.RequestURI(),
		Lending: s.Access != nil && isLending(here), Person: identity.FromContext(r.Context()), Version: s.Version, Notice: s.Notice, Now: s.Clock().UTC(), Data: data,
	}
	for _, g := range s.rail() {
		ng := navGroup{Title: g.Title}
		for _, it := range g.Items {
			if it.Path == peoplePath && !p.Person.Role.Allows(identity.Admin) {
				continue
			}
			if want, ok := lendRoles[it.Path]; ok && (!p.Person.SignedIn() || !p.Person.Role.Allows(want)) {
				continue
			}
			if it.Counts {
				it.Count = s.inboxCount(r.Context(), p.Person)
			}
			it.Here = it.Path == here
			it.Path = s.BasePath + it.Path
			ng.Items = append(ng.Items, it)
		}
		if len(ng.Items) > 0 {
			p.Nav = append(p.Nav, ng)
		}
	}
	return p
}

// render writes a page; status 0 is 200.
func (s *server) render(w http.ResponseWriter, r *http.Request, status int, name string, p *page) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Add("Vary", "Cookie")
	if status != 0 {
		w.WriteHeader(status)
	}
	s.execute(w, r, name, p)
}

// execute renders whole before it writes, so that a mistake in a template does
// not leave half a page.
func (s *server) execute(w http.ResponseWriter, r *http.Request, name string, p *page) {
	var b bytes.Buffer
	if err := s.pages[name].ExecuteTemplate(&b, "shell.html", p); err != nil {
		s.Logger.ErrorContext(r.Context(), "rendering a page failed", "page", name, "error", err)
		http.Error(w, "this page could not be rendered; Gatehouse's log says why", http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(visible(b.Bytes()))
}

type messageData struct{ Title, Text string }

func (s *server) message(w http.ResponseWriter, r *http.Request, status int, title, text string) {
	s.render(w, r, status, "message", s.shell(r, title, "", messageData{title, text}))
}

// unavailable shows that a read failed, and logs why.
func (s *server) unavailable(w http.ResponseWriter, r *http.Request, what string, err error) {
	s.Logger.ErrorContext(r.Context(), "dashboard read failed", "what", what, "error", err)
	s.message(w, r, http.StatusServiceUnavailable, what+" could not be read",
		"The store did not answer in time or failed. Gatehouse's log says why; reload this page to try again.")
}

func (s *server) health() collect.Health {
	if s.Health == nil {
		return collect.Health{}
	}
	return s.Health()
}

// estate returns the last discovery; nil if there is none or it cannot be read,
// for most pages are whole without it.
func (s *server) estate(ctx context.Context) *estate.Snapshot {
	snap, _ := s.estateOrError(ctx)
	return snap
}

func (s *server) estateOrError(ctx context.Context) (*estate.Snapshot, error) {
	if s.Estate == nil {
		return nil, nil
	}
	snap, err := s.Estate(ctx)
	if err != nil {
		s.Logger.ErrorContext(ctx, "dashboard read failed", "what", "the estate", "error", err)
		return nil, err
	}
	return snap, nil
}

const themeCookie = "gatehouse_theme"

func themeOf(r *http.Request) string {
	if c, err := r.Cookie(themeCookie); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return "auto"
}

// theme keeps the choice of light or dark; the script does the same without
// leaving the page.
func (s *server) theme(w http.ResponseWriter, r *http.Request) {
	value, age := r.PostFormValue("theme"), 365*24*3600
	if value != "light" && value != "dark" {
		value, age = "", -1
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Not a secret: the script writes it too, and over plain HTTP on loopback.
		Name: themeCookie, Value: value, Path: "/", MaxAge: age, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	})
	http.Redirect(w, r, s.localPath(r.PostFormValue("back")), http.StatusSeeOther) //nolint:gosec // localPath lets no other site through.
}

// localPath returns the path and query of an address of this server, and the
// overview's for any other.
func (s *server) localPath(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(address, "/") ||
		strings.HasPrefix(address, "//") || strings.Contains(address, `\`) {
		return s.BasePath + "/"
	}
	return u.RequestURI()
}

// search jumps: to a section by its name, to the one endpoint that matches, or
// to the list of those that do.
func (s *server) search(w http.ResponseWriter, r *http.Request) {
	q := strings.TrimSpace(r.URL.Query().Get("q"))
	to := s.BasePath + "/inventory"
	if q != "" {
		to += "?q=" + url.QueryEscape(q)
	}
	for _, g := range s.rail() {
		for _, it := range g.Items {
			if strings.EqualFold(it.Title, q) {
				http.Redirect(w, r, s.BasePath+it.Path, http.StatusSeeOther)
				return
			}
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	if found, err := s.Inventory.Endpoints(ctx, inventory.Query{Search: q, Limit: 1}); q != "" && err == nil && found.Total == 1 {
		to = s.BasePath + "/inventory/" + url.PathEscape(found.Endpoints[0].ID)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}
