package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	api "github.com/slack-go/slack"

	"github.com/gatehouse-project/gatehouse/notify"
)

// maxEntries is how much the slash command lists.
const maxEntries = 15

// command answers the slash command, visibly only for the person who gave it.
func (i *Interactions) command(w http.ResponseWriter, r *http.Request) {
	form, err := i.verifier.read(w, r)
	if err != nil {
		i.refuse(w, r, err)
		return
	}
	user := form.Get("user_id")
	if !isSlackID(user) {
		i.refuse(w, r, errors.New("the command does not say who gave it"))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), commandLimit)
	defer cancel()
	var bs []api.Block
	switch word := strings.ToLower(strings.TrimSpace(form.Get("text"))); word {
	case "list", "mine":
		bs = i.list(ctx, user)
	case "request":
		bs = i.request()
	default:
		bs = lines("*list* shows your requests and your access; *request* leads to where you ask for access.")
	}
	w.Header().Set("Content-Type", "application/json")
	answer := struct {
		Type   string      `json:"response_type"`
		Blocks []api.Block `json:"blocks"`
	}{"ephemeral", bs}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		i.log.DebugContext(r.Context(), "a command in Slack is not answered", slog.Any("error", err))
	}
}

// lines are a text of our own in which *…* is bold.
func lines(s string) []api.Block {
	var es []api.RichTextSectionElement
	for n, part := range strings.Split(s, "*") {
		switch {
		case part == "":
		case n%2 == 1:
			es = append(es, bold(part))
		default:
			es = append(es, words(part))
		}
	}
	return []api.Block{api.NewRichTextBlock("", api.NewRichTextSection(es...))}
}

func (i *Interactions) request() []api.Block {
	if i.requestURL == "" {
		return lines("Ask for access on Gatehouse's own page.")
	}
	b := api.NewButtonBlockElement("open", "", plain("Ask for access", maxButton, false))
	b.URL = i.requestURL
	return []api.Block{api.NewActionBlock("", b)}
}

func (i *Interactions) list(ctx context.Context, user string) []api.Block {
	if i.catalog == nil {
		return lines("Your access is shown on Gatehouse's own page.")
	}
	email, err := i.app.identify(ctx, user)
	if r, ok := errors.AsType[*refusal](err); ok {
		return lines("This is not possible: " + r.text + ".")
	}
	var entries []Entry
	if err == nil {
		entries, err = i.catalog.Mine(ctx, email)
	}
	if err != nil {
		i.log.WarnContext(ctx, "a list for Slack cannot be made", slog.Any("error", err))
		return lines("Gatehouse cannot tell just now. Please try again, or look at its own page.")
	}
	if len(entries) == 0 {
		return append(lines("You have no access and no open request."), i.request()...)
	}
	var es []api.RichTextSectionElement
	for n, e := range entries {
		if n == maxEntries {
			es = append(es, words(fmt.Sprintf("… and %d more", len(entries)-n)))
			break
		}
		title := notify.Cut(notify.Clean(e.Title, false), 200)
		if link := notify.WebURL(e.Link); link != "" && title != "" {
			es = append(es, api.NewRichTextSectionLinkElement(link, title, nil))
		} else {
			es = append(es, words(title))
		}
		es = append(es, words(" – "), bold(notify.Cut(notify.Clean(e.State, false), 60)))
		if !e.Until.IsZero() {
			es = append(es, words(" until "), moment(e.Until))
		}
		es = append(es, words("\n"))
	}
	return []api.Block{api.NewRichTextBlock("", api.NewRichTextSection(es...))}
}
