package dashboard

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatehouse-project/gatehouse/identity"
)

const peoplePath = "/people"

// Identity is what the pages need of the guard before them.
type Identity interface {
	Directory() identity.Directory
	Sessions(ctx context.Context, person string) ([]identity.Session, error)
	EndSession(ctx context.Context, by identity.Person, person, key string) error
	EndSessions(ctx context.Context, by identity.Person, person, reason string) (int, error)
	Disable(ctx context.Context, by identity.Person, id, reason string) error
	Enable(ctx context.Context, by identity.Person, id, reason string) error
}

var _ Identity = (*identity.Guard)(nil)

// Ask returns the pages of signing in that ask something, for
// identity.Options.Ask.
func Ask(o Options) func(http.ResponseWriter, *http.Request, identity.Question) {
	s := newServer(o)
	return func(w http.ResponseWriter, r *http.Request, q identity.Question) {
		s.execute(w, r, "ask", s.shell(r, q.Title, "", q))
	}
}

// identityRoutes adds the pages about people, which are for admins, and the one
// about oneself.
func (s *server) identityRoutes(mux *http.ServeMux) {
	if s.Identity == nil {
		return
	}
	admin := func(f http.HandlerFunc) http.Handler { return identity.Require(identity.Admin, f) }
	mux.HandleFunc("GET "+peoplePath, s.peoplePage)
	mux.HandleFunc("GET "+peoplePath+"/{id}", s.personPage)
	// The guard before all of this lets no other site's form come here.
	mux.Handle("POST "+peoplePath+"/{id}", admin(s.personAct))
	mux.HandleFunc("POST "+peoplePath+"/me", s.ownAct)
}

type personRow struct {
	identity.Entry
	Link string
	More int // groups that are not shown in the list
}

// groupsShown is how many groups of a person the list shows.
const groupsShown = 4

type peopleData struct {
	People []personRow
	Search string
	Group  string
	Next   string
	First  string
	All    string
}

func (s *server) peoplePage(w http.ResponseWriter, r *http.Request) {
	me := identity.FromContext(r.Context())
	if !me.Role.Allows(identity.Admin) {
		if me.SignedIn() {
			http.Redirect(w, r, s.BasePath+peoplePath+"/me", http.StatusSeeOther)
			return
		}
		s.message(w, r, http.StatusForbidden, "People are for admins", "Sign in as an admin of Gatehouse to see who may come in.")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	v, path := r.URL.Query(), s.BasePath+peoplePath
	d := &peopleData{Search: strings.TrimSpace(v.Get("q")), Group: v.Get("group"), All: path}
	q := identity.PeopleQuery{Search: d.Search, Group: d.Group, Limit: rowsPerPage + 1, After: v.Get("after")}
	list, err := s.Identity.Directory().People(ctx, q)
	if err != nil {
		s.unavailable(w, r, "The people", err)
		return
	}
	if len(list) > rowsPerPage {
		list = list[:rowsPerPage]
		d.Next = with(path, v, "after", list[len(list)-1].OrderKey())
	}
	if q.After != "" {
		d.First = with(path, v, "after", "")
	}
	for i := range list {
		row := personRow{Entry: list[i], Link: path + "/" + url.PathEscape(list[i].ID)}
		if row.More = len(row.Groups) - groupsShown; row.More > 0 {
			row.Groups = row.Groups[:groupsShown]
		}
		d.People = append(d.People, row)
	}
	s.render(w, r, 0, "people", s.shell(r, "People", peoplePath, d))
}

type sessionRow struct {
	identity.Session
	Current bool
}

type personData struct {
	identity.Entry
	Me       bool
	Admin    bool
	Local    bool // the admin token: nobody to disable
	Sessions []sessionRow
	Action   string
	Back     string
	Done     string
	Fault    string
}

var personDone = map[string]string{
	"session": "The session has ended.", "sessions": "All sessions have ended.",
	"disabled": "Disabled. Their sessions have ended, and they cannot sign in.", "enabled": "Enabled. They may sign in again.",
}

func (s *server) personPage(w http.ResponseWriter, r *http.Request) {
	s.showPerson(w, r, 0, r.PathValue("id"), personDone[r.URL.Query().Get("done")], "")
}

// showPerson shows somebody to admins, and everybody to themselves.
func (s *server) showPerson(w http.ResponseWriter, r *http.Request, status int, id, done, fault string) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	me := identity.FromContext(ctx)
	d := &personData{Done: done, Fault: fault, Admin: me.Role.Allows(identity.Admin), Action: s.BasePath + peoplePath + "/" + url.PathEscape(id), Back: s.BasePath + peoplePath}
	if d.Me = me.SignedIn() && (id == "me" || id == me.ID); d.Me {
		id = me.ID
		d.Action = s.BasePath + peoplePath + "/me"
	}
	if !d.Me && !d.Admin {
		s.message(w, r, http.StatusForbidden, "People are for admins", "Sign in as an admin of Gatehouse to see who may come in.")
		return
	}
	e, err := s.Identity.Directory().Person(ctx, id)
	switch {
	case err == nil:
		d.Entry = *e
	case errors.Is(err, identity.ErrNoPerson) && d.Me:
		d.Entry, d.Local = identity.Entry{Person: me}, true
	case errors.Is(err, identity.ErrNoPerson):
		s.message(w, r, http.StatusNotFound, "There is no such person", "Nobody with this id has signed in, and the people file names none.")
		return
	default:
		s.unavailable(w, r, "The person", err)
		return
	}
	list, err := s.Identity.Sessions(ctx, id)
	if err != nil {
		s.unavailable(w, r, "The sessions", err)
		return
	}
	current, _ := identity.SessionFromContext(ctx)
	for i := range list {
		d.Sessions = append(d.Sessions, sessionRow{Session: list[i], Current: list[i].Key == current.Key})
	}
	title := d.Name
	if d.Me {
		title = "You"
	}
	s.render(w, r, status, "person", s.shell(r, title, peoplePath, d))
}

func (s *server) ownAct(w http.ResponseWriter, r *http.Request) {
	me := identity.FromContext(r.Context())
	if !me.SignedIn() {
		s.message(w, r, http.StatusUnauthorized, "You are not signed in", "Sign in first.")
		return
	}
	s.act(w, r, me.ID, "me")
}

func (s *server) personAct(w http.ResponseWriter, r *http.Request) {
	s.act(w, r, r.PathValue("id"), r.PathValue("id"))
}

// act ends sessions, or disables or enables somebody. Only admins get here with
// another's id.
func (s *server) act(w http.ResponseWriter, r *http.Request, id, shown string) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	if err := r.ParseForm(); err != nil {
		s.message(w, r, http.StatusBadRequest, "This form cannot be read", "Reload the page and try again.")
		return
	}
	me, do, reason := identity.FromContext(ctx), r.PostForm.Get("do"), strings.TrimSpace(r.PostForm.Get("reason"))
	var err error
	switch {
	case do == "session":
		err = s.Identity.EndSession(ctx, me, id, r.PostForm.Get("session"))
	case do == "sessions":
		_, err = s.Identity.EndSessions(ctx, me, id, reason)
	case do != "disabled" && do != "enabled" || !me.Role.Allows(identity.Admin):
		s.message(w, r, http.StatusBadRequest, "There is nothing of that kind to do", "Reload the page and try again.")
		return
	case reason == "" || len(reason) > 500:
		s.showPerson(w, r, http.StatusUnprocessableEntity, shown, "", "A reason is needed, of at most 500 characters.")
		return
	case do == "disabled":
		err = s.Identity.Disable(ctx, me, id, reason)
	default:
		err = s.Identity.Enable(ctx, me, id, reason)
	}
	switch {
	case err == nil, errors.Is(err, identity.ErrNoSession):
		http.Redirect(w, r, s.BasePath+peoplePath+"/"+url.PathEscape(shown)+"?done="+do, http.StatusSeeOther) //nolint:gosec // a path of this server, escaped.
	case errors.Is(err, identity.ErrSelf):
		s.showPerson(w, r, http.StatusConflict, shown, "", "You cannot disable yourself: ask another admin.")
	case errors.Is(err, identity.ErrFileOnly):
		s.showPerson(w, r, http.StatusConflict, shown, "", "The people file says this of them; change it there.")
	case errors.Is(err, identity.ErrNoPerson):
		s.message(w, r, http.StatusNotFound, "There is no such person", "Nobody with this id has signed in.")
	default:
		s.Logger.ErrorContext(ctx, "a change of a person failed in part", "person", id, "what", do, "error", err)
		s.showPerson(w, r, http.StatusServiceUnavailable, shown, "", "Not all of it could be done now. What was lent to somebody disabled is taken back again and again until it is; Gatehouse's log says more.")
	}
}
