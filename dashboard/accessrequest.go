package dashboard

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

// badField marks an error of a form's field as the asker's to mend.
func badField(err error) error { return fmt.Errorf("%w: %w", access.ErrInvalid, err) }

// randomKey is what tells a form that is sent twice from two forms.
func randomKey() string { return rand.Text() }

// card is a request with all that is needed to decide on it.
type card struct {
	*access.RequestView
	Badge      badge
	Link       string
	Waiting    string
	Background *access.Background
	Reason     string // typed before
	Fault      *fault
	Back       string // the page to come back to after a vote
}

// cardOf adds what whoever decides should know.
func (s *server) cardOf(ctx context.Context, who flow.Person, v *access.RequestView) (*card, error) {
	c := &card{RequestView: v, Badge: requestBadge(v.State), Link: s.BasePath + requestsPath + "/" + url.PathEscape(v.ID), Waiting: waitingFor(&v.Rule, v.Standing)}
	if !v.MayVote || v.State != access.Pending {
		return c, nil
	}
	b, err := s.Access.Background(ctx, who, v.ID)
	if err != nil && !errors.Is(err, access.ErrForbidden) && !errors.Is(err, access.ErrNotFound) {
		return nil, err
	}
	c.Background = b // nil if it was decided a moment ago
	return c, nil
}

type inboxData struct {
	Cards []*card
	Total int
	Done  string
	Fault *fault
	Of    string // link to the request that the fault is of
	JSON  string
}

// inboxShown is how many requests the inbox shows at once.
const inboxShown = 25

func (s *server) inboxPage(w http.ResponseWriter, r *http.Request, who flow.Person) {
	s.showInbox(w, r, 0, who, nil, "", "")
}

// showInbox shows what waits for a person's vote. With a fault it says what became of
// their vote on the request id, and keeps the reason that they had typed.
func (s *server) showInbox(w http.ResponseWriter, r *http.Request, status int, who flow.Person, f *fault, id, reason string) {
	ctx := r.Context()
	page, err := s.Access.Requests(ctx, who, access.RequestQuery{Voter: who.ID, Limit: inboxShown})
	if err != nil {
		s.lendFailed(w, r, "The inbox", err)
		return
	}
	d := &inboxData{Total: page.Total, Fault: f, JSON: s.BasePath + "/api/v1/access/requests?inbox=true&limit=1000", Done: voteDone(r.URL.Query().Get("done"))}
	for _, v := range page.Requests {
		c, err := s.cardOf(ctx, who, v)
		if err != nil {
			s.lendFailed(w, r, "The inbox", err)
			return
		}
		if c.Back = "inbox"; v.ID == id {
			c.Fault, c.Reason, d.Fault = f, reason, nil
		}
		d.Cards = append(d.Cards, c)
	}
	if d.Fault != nil && id != "" {
		d.Of = s.BasePath + requestsPath + "/" + url.PathEscape(id)
	}
	s.render(w, r, status, "accessinbox", s.shell(r, "Inbox", inboxPath, d))
}

func voteDone(word string) string {
	return map[string]string{
		"asked": "Asked. This page shows what becomes of it.", "approve": "You agreed.", "deny": "You refused it.", "cancel": "It was taken back.",
	}[word]
}

type requestData struct {
	*card
	Card  *card
	Grant *access.GrantView
	Use   string // link to how to use it
	Done  string
	Fault *fault
	Back  string
	Place string // what is behind Back
	JSON  string
}

func (s *server) requestPage(w http.ResponseWriter, r *http.Request, who flow.Person) {
	s.showRequest(w, r, 0, who, nil, "")
}

func (s *server) showRequest(w http.ResponseWriter, r *http.Request, status int, who flow.Person, f *fault, reason string) {
	ctx, id := r.Context(), r.PathValue("id")
	v, err := s.Access.RequestByID(ctx, who, id)
	if err != nil {
		s.lendFailed(w, r, "The request", err)
		return
	}
	c, err := s.cardOf(ctx, who, v)
	if err != nil {
		s.lendFailed(w, r, "The request", err)
		return
	}
	c.Reason = reason
	d := &requestData{card: c, Card: c, Fault: f, Back: s.BasePath + minePath, Place: "My access", JSON: s.BasePath + "/api/v1/access/requests/" + url.PathEscape(id), Done: voteDone(r.URL.Query().Get("done"))}
	if v.By.ID != who.ID && v.For.ID != who.ID {
		d.Back, d.Place = s.BasePath+inboxPath, "Inbox"
	}
	if v.Grant != "" {
		// Who may see a request may not have to see the grant.
		if d.Grant, err = s.Access.GrantByID(ctx, who, v.Grant); err != nil && !errors.Is(err, access.ErrNotFound) {
			s.lendFailed(w, r, "The grant", err)
			return
		}
		if d.Grant != nil {
			c.Badge = grantBadge(d.Grant)
		}
		d.Use = s.BasePath + grantsPath + "/" + url.PathEscape(v.Grant)
	}
	s.render(w, r, status, "accessrequest", s.shell(r, v.Title(), minePath, d))
}

// requestAct votes on a request, or takes it back.
func (s *server) requestAct(w http.ResponseWriter, r *http.Request, who flow.Person) {
	ctx, id, do, reason := r.Context(), r.PathValue("id"), r.PostForm.Get("do"), strings.TrimSpace(r.PostForm.Get("reason"))
	var err error
	switch do {
	case "approve", "deny":
		version, parseErr := strconv.ParseInt(r.PostForm.Get("version"), 10, 64)
		if parseErr != nil {
			version = 0 // any
		}
		_, err = s.Access.Vote(ctx, id, access.Ballot{By: who, Approve: do == "approve", Reason: reason, Via: "web", Version: version})
	case "cancel":
		_, err = s.Access.Cancel(ctx, id, who, "web")
	default:
		s.message(w, r, http.StatusBadRequest, "There is nothing of that kind to do", "Reload the page and try again.")
		return
	}
	inbox := r.PostForm.Get("back") == "inbox"
	switch {
	case err == nil && inbox:
		s.goOn(w, r, s.BasePath+inboxPath+"?done="+do)
	case err == nil:
		s.goOn(w, r, s.BasePath+requestsPath+"/"+url.PathEscape(id)+"?done="+do)
	default:
		f := s.faultOf(ctx, err)
		if inbox {
			s.showInbox(w, r, f.Status, who, f, id, reason)
			return
		}
		s.showRequest(w, r, f.Status, who, f, reason)
	}
}
