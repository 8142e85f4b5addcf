package slack

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	api "github.com/slack-go/slack"

	"github.com/gatehouse-project/gatehouse/notify"
)

// Slack's limits, in characters, less some room for escaping.
const (
	maxHeader     = 150
	maxText       = 3000
	maxFallback   = 1000
	maxButton     = 75
	maxButtons    = 10 // Slack takes 25; more than a person can choose from
	maxFields     = 20
	maxFieldName  = 60
	maxFieldValue = 600
	maxFieldsText = 6000
	maxValue      = 255
)

// escape makes text literal for Slack, which decodes exactly these three. Without
// them there is no link, no mention and no <!channel>. The text is cut so that it
// has at most n characters after it, and never in the middle of an entity.
func escape(s string, n int) string {
	s = notify.Cut(s, n)
	for {
		out := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
		over := len([]rune(out)) - n
		if over <= 0 {
			return out
		}
		// Each character becomes five at most.
		s = notify.Cut(s, max(1, len([]rune(s))-max(1, over/5)))
	}
}

// plain is a text object without any formatting.
func plain(s string, n int, lines bool) *api.TextBlockObject {
	s = escape(notify.Clean(s, lines), n)
	if s == "" {
		s = "–" // Slack refuses an empty text
	}
	return api.NewTextBlockObject(api.PlainTextType, s, false, false)
}

// Rich text has elements instead of markup, so what is put into a text element
// stays text.
func words(s string) api.RichTextSectionElement {
	return api.NewRichTextSectionTextElement(s, nil)
}

func bold(s string) api.RichTextSectionElement {
	return api.NewRichTextSectionTextElement(s, &api.RichTextSectionTextStyle{Bold: true})
}

// moment shows a time in the zone of the person who reads it.
func moment(t time.Time) api.RichTextSectionElement {
	fallback := t.UTC().Format("2006-01-02 15:04 UTC")
	return api.NewRichTextSectionDateElement(t.Unix(), "{date_short_pretty}, {time}", nil, &fallback)
}

// fallback is the text of notifications and screen readers.
func fallback(n *notify.Notice) string {
	s := notify.Clean(n.Title, false)
	if text := notify.Clean(n.Text, false); text != "" {
		s += ": " + text
	}
	if n.Loud {
		s = "🚨 " + s
	}
	return escape(s, maxFallback)
}

// blocks are the message of a notice. It reports whether the message has buttons
// that decide something; only an interactive app has such.
func blocks(n *notify.Notice, now time.Time, interactive bool) (out []api.Block, open bool) {
	title := n.Title
	if n.Loud {
		title = "🚨 " + title
	}
	out = append(out, api.NewHeaderBlock(plain(title, maxHeader, false)))
	if notify.Clean(n.Text, true) != "" {
		out = append(out, api.NewSectionBlock(plain(n.Text, maxText, true), nil, nil))
	}
	if f := fields(n.Fields); f != nil {
		out = append(out, f)
	}
	over := !n.Expires.IsZero() && !now.Before(n.Expires)
	buttons, open := buttons(n, over, interactive)
	switch {
	case over && len(n.Actions) > 0:
		out = append(out, api.NewRichTextBlock("until", api.NewRichTextSection(words("The time to decide ended "), moment(n.Expires), words("."))))
	case len(n.Actions) > 0 && !n.Expires.IsZero():
		out = append(out, api.NewRichTextBlock("until", api.NewRichTextSection(words("Can be decided until "), moment(n.Expires), words("."))))
	}
	if len(buttons) > 0 {
		out = append(out, api.NewActionBlock("actions", buttons...))
	}
	return out, open
}

func fields(fs []notify.Field) api.Block {
	var es []api.RichTextSectionElement
	length := 0
	for i, f := range fs {
		name, value := notify.Cut(notify.Clean(f.Name, false), maxFieldName), notify.Cut(notify.Clean(f.Value, true), maxFieldValue)
		if i == maxFields || length+len(name)+len(value) > maxFieldsText {
			es = append(es, words(fmt.Sprintf("\n… and %d more", len(fs)-i)))
			break
		}
		length += len(name) + len(value)
		if i > 0 {
			es = append(es, words("\n"))
		}
		es = append(es, bold(name+":"))
		if value != "" {
			es = append(es, words(" "+value))
		}
	}
	if len(es) == 0 {
		return nil
	}
	return api.NewRichTextBlock("fields", api.NewRichTextSection(es...))
}

func buttons(n *notify.Notice, over, interactive bool) (out []api.BlockElement, open bool) {
	for i, a := range n.Actions {
		if len(out) == maxButtons-1 {
			break
		}
		decides := interactive && isAction(a.ID) && isID(a.Value)
		url := notify.WebURL(a.URL)
		if over && isAction(a.ID) || !decides && url == "" {
			continue
		}
		b := api.NewButtonBlockElement(actionID(a, i), "", plain(a.Label, maxButton, false))
		if a.Style == "primary" || a.Style == "danger" {
			b.Style = api.Style(a.Style)
		}
		if decides {
			b.Value = a.Value
			open = true
		} else {
			b.ActionID, b.URL = "open:"+strconv.Itoa(i), url
		}
		if decides && a.ID == notify.Revoke {
			b.Confirm = api.NewConfirmationBlockObject(
				plain("End this access now?", 100, false), plain("It is taken back at once and has to be asked for again.", 300, false),
				plain("End it", 30, false), plain("Keep it", 30, false))
		}
		out = append(out, b)
	}
	if link := notify.WebURL(n.Link); link != "" {
		b := api.NewButtonBlockElement("open", "", plain("Open in Gatehouse", maxButton, false))
		b.URL = link
		out = append(out, b)
	}
	return out, open
}

func isAction(id string) bool {
	return id == notify.Approve || id == notify.Deny || id == notify.Revoke || id == notify.Extend
}

// isID accepts the ids of requests and grants: nothing that Slack would escape on
// the way back.
func isID(s string) bool {
	return s != "" && len(s) <= maxValue && !strings.ContainsFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-_.:/", c)
	})
}

// actionID is the id of a button, such as deny:reason:1. It is different for each
// button of a message, which Slack asks for.
func actionID(a notify.Action, i int) string {
	if a.Reason {
		return a.ID + ":reason:" + strconv.Itoa(i)
	}
	return a.ID + ":" + strconv.Itoa(i)
}

// readActionID is the way back from actionID.
func readActionID(id string) (action string, reason, ok bool) {
	action, rest, _ := strings.Cut(id, ":")
	return action, strings.HasPrefix(rest, "reason:"), isAction(action)
}
