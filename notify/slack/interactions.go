package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	api "github.com/slack-go/slack"

	"github.com/gatehouse-project/gatehouse/notify"
)

// Paths of the handler, for the settings of the app in Slack.
const (
	InteractionsPath = "/slack/interactions"
	CommandsPath     = "/slack/commands"
)

const (
	workers  = 8
	queued   = 256
	jobLimit = 20 * time.Second
	// commandLimit leaves some of the three seconds that Slack waits.
	commandLimit = 2300 * time.Millisecond
)

// InteractionOptions are what Interactions are made of.
type InteractionOptions struct {
	App *App
	// Secret gives the signing secret. It is asked for each request.
	Secret  func() (string, error)
	Decider Decider
	Catalog Catalog // nil: the slash command lists nothing
	// RequestURL is the page on which access is asked for; empty: none.
	RequestURL string
	Logger     *slog.Logger     // nil: silent
	Now        func() time.Time // nil: time.Now
}

// Interactions takes what people do in Slack: buttons, the dialog for a reason and
// the slash command. Slack waits three seconds for an answer, so a click is
// answered at once and done after; the person is then told how it ended.
type Interactions struct {
	app        *App
	decider    Decider
	catalog    Catalog
	requestURL string
	log        *slog.Logger
	verifier   verifier
	mux        *http.ServeMux

	mu      sync.Mutex
	stopped bool
	queue   chan func(context.Context)
}

// NewInteractions makes Interactions. What comes before Run waits for it.
func NewInteractions(o InteractionOptions) (*Interactions, error) {
	if o.App == nil || o.Secret == nil || o.Decider == nil {
		return nil, errors.New("slack: interactions need an app, a signing secret and somebody who decides")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	i := &Interactions{
		app: o.App, decider: o.Decider, catalog: o.Catalog, requestURL: notify.WebURL(o.RequestURL), log: o.Logger,
		verifier: verifier{secret: o.Secret, now: o.Now}, mux: http.NewServeMux(),
		queue: make(chan func(context.Context), queued),
	}
	i.mux.HandleFunc("POST "+InteractionsPath, i.interaction)
	i.mux.HandleFunc("POST "+CommandsPath, i.command)
	return i, nil
}

// ServeHTTP answers POST InteractionsPath and POST CommandsPath. It asks for no
// session: the signature says who sends.
func (i *Interactions) ServeHTTP(w http.ResponseWriter, r *http.Request) { i.mux.ServeHTTP(w, r) }

// Run does what was clicked until ctx is done, and then what is left: a click that
// was answered is never forgotten by a stop. It runs once.
func (i *Interactions) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for job := range i.queue {
				limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), jobLimit)
				job(limited)
				cancel()
			}
		})
	}
	<-ctx.Done()
	i.mu.Lock()
	i.stopped = true
	close(i.queue)
	i.mu.Unlock()
	wg.Wait()
	return ctx.Err()
}

// submit reports whether there is room for a job.
func (i *Interactions) submit(job func(context.Context)) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.stopped {
		return false
	}
	select {
	case i.queue <- job:
		return true
	default:
		return false
	}
}

// refuse answers a request that is not taken.
func (i *Interactions) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusBadRequest
	if e, ok := errors.AsType[*requestError](err); ok {
		status = e.status
	}
	i.log.WarnContext(r.Context(), "a request to the Slack endpoint is refused",
		slog.Int("status", status), slog.String("reason", err.Error()), slog.String("remote", r.RemoteAddr))
	http.Error(w, http.StatusText(status), status)
}

func (i *Interactions) interaction(w http.ResponseWriter, r *http.Request) {
	form, err := i.verifier.read(w, r)
	if err != nil {
		i.refuse(w, r, err)
		return
	}
	c, err := parse(form.Get("payload"))
	if errors.Is(err, errIgnored) {
		w.WriteHeader(http.StatusOK)
		return
	}
	if err != nil {
		i.refuse(w, r, err)
		return
	}
	if c.asked && c.reason == "" {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"response_action":"errors","errors":{"reason":"Please give a reason."}}`)
		return
	}
	job := func(ctx context.Context) { i.decide(ctx, c) }
	if c.ask && !c.asked {
		job = func(ctx context.Context) { i.ask(ctx, c) }
	}
	if !i.submit(job) {
		// Slack shows the person that it did not work.
		i.log.WarnContext(r.Context(), "a click in Slack is refused: too many wait, or Gatehouse stops")
		http.Error(w, "busy", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// titles are those of the dialog; Slack takes 24 characters.
var titles = map[string]string{
	notify.Approve: "Approve the request", notify.Deny: "Deny the request", notify.Revoke: "End the access", notify.Extend: "Extend the access",
}

// ask opens the dialog for the reason. Slack gives three seconds for that.
func (i *Interactions) ask(ctx context.Context, c *click) {
	about, err := json.Marshal(c)
	if err != nil { // it has strings alone
		i.log.ErrorContext(ctx, "a dialog cannot be made", slog.Any("error", err))
		return
	}
	input := api.NewPlainTextInputBlockElement(nil, "reason")
	input.Multiline, input.MinLength, input.MaxLength, input.FocusOnLoad = true, 1, maxReason, true
	view := api.ModalViewRequest{
		Type: api.VTModal, CallbackID: dialogID, PrivateMetadata: string(about),
		Title: plain(titles[c.Action], 24, false), Submit: plain("Send", 24, false), Close: plain("Cancel", 24, false),
		Blocks: api.Blocks{BlockSet: []api.Block{api.NewInputBlock("reason", plain("Reason", 100, false), plain("It is kept with the request, and the person who asked sees it.", 150, false), input)}},
	}
	err = i.app.call(ctx, "opening the dialog", func(ctx context.Context, cl *api.Client) error {
		_, err := cl.OpenViewContext(ctx, c.trigger, view)
		return err
	})
	if err != nil {
		i.log.WarnContext(ctx, "the dialog for a reason did not open", slog.Any("error", err))
		i.tell(ctx, c, "The dialog did not open in time, and nothing was decided. Please click again.")
	}
}

// decide carries a click out and tells the person how it ended.
func (i *Interactions) decide(ctx context.Context, c *click) {
	email, err := i.app.identify(ctx, c.user)
	if r, ok := errors.AsType[*refusal](err); ok {
		i.log.WarnContext(ctx, "a click in Slack is refused",
			slog.String("slack_user", c.user), slog.String("request", c.Value), slog.String("reason", r.text))
		i.tell(ctx, c, "This is not possible: "+r.text+".")
		return
	}
	if err != nil {
		i.log.WarnContext(ctx, "who clicked in Slack cannot be found out", slog.String("request", c.Value), slog.Any("error", err))
		i.tell(ctx, c, "Gatehouse cannot find out who you are just now, so nothing was decided. Please try again, or decide on the page.")
		return
	}
	out, err := i.decider.Decide(ctx, Decision{RequestID: c.Value, Action: c.Action, Email: email, SlackUserID: c.user, Reason: c.reason})
	if err != nil {
		i.log.ErrorContext(ctx, "a decision made in Slack failed",
			slog.String("request", c.Value), slog.String("action", c.Action), slog.Any("error", err))
		i.tell(ctx, c, "Gatehouse could not do this just now. Please look at the page whether it was done, or try again.")
		return
	}
	i.tell(ctx, c, said(c.Action, out))
	if out.Status == Already || out.Status == Expired || out.Status == NotFound {
		i.settle(ctx, c, said(c.Action, out))
	}
}

var done = map[string]string{notify.Approve: "Approved.", notify.Deny: "Denied.", notify.Revoke: "The access is being taken back.", notify.Extend: "Extended."}

// said puts an outcome into words.
func said(action string, o Outcome) string {
	var s string
	switch o.Status {
	case Done:
		s = done[action]
	case Asked:
		s = "It was asked for."
	case Already:
		s = "This was already decided."
		if o.By != "" {
			s = "This was already decided by " + o.By + "."
		}
	case Expired:
		s = "The time to decide this is over."
	case NotAllowed:
		s = "You may not do this."
	case NotFound:
		s = "There is no such request any more."
	default:
		s = "Gatehouse did not do this."
	}
	if o.Text != "" {
		s += " " + o.Text
	}
	return s
}

// tell shows the person, and nobody else, a line where they clicked; where that
// does not work, in their conversation with the app.
func (i *Interactions) tell(ctx context.Context, c *click, line string) {
	text := api.MsgOptionText(escape(notify.Clean(line, false), maxFallback), false)
	options := []api.MsgOption{text, api.MsgOptionBlocks(api.NewSectionBlock(plain(line, maxText, true), nil, nil)), api.MsgOptionParse(false)}
	if c.Channel != "" {
		err := i.app.call(ctx, "telling the outcome", func(ctx context.Context, cl *api.Client) error {
			_, err := cl.PostEphemeralContext(ctx, c.Channel, c.user, options...)
			return err
		})
		if err == nil {
			return
		}
	}
	err := i.app.call(ctx, "telling the outcome", func(ctx context.Context, cl *api.Client) error {
		_, _, err := cl.PostMessageContext(ctx, c.user, options...)
		return err
	})
	if err != nil {
		i.log.WarnContext(ctx, "a person in Slack cannot be told how a click ended", slog.Any("error", err))
	}
}

// settle takes the buttons off a message that offers what is over, such as one
// whose receipt was lost in a crash. The outbox changes all others.
func (i *Interactions) settle(ctx context.Context, c *click, line string) {
	var was api.Blocks
	if c.Channel == "" || c.TS == "" || len(c.blocks) == 0 || json.Unmarshal(c.blocks, &was) != nil {
		return
	}
	var kept []api.Block
	for _, b := range was.BlockSet {
		switch b.BlockType() {
		case api.MBTAction:
		case api.MBTHeader, api.MBTSection, api.MBTRichText:
			if b.ID() != "until" {
				kept = append(kept, b)
			}
		}
	}
	kept = append(kept, api.NewSectionBlock(plain(line, maxText, true), nil, nil))
	err := i.app.call(ctx, "changing a message", func(ctx context.Context, cl *api.Client) error {
		_, _, _, err := cl.UpdateMessageContext(ctx, c.Channel, c.TS,
			api.MsgOptionText(escape(notify.Clean(line, false), maxFallback), false), api.MsgOptionBlocks(kept...), api.MsgOptionParse(false))
		return err
	})
	if err != nil {
		i.log.DebugContext(ctx, "a message keeps buttons that do nothing", slog.Any("error", err))
	}
}
