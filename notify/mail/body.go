package mail

import (
	_ "embed"
	"html/template"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/notify"
)

//go:embed notice.html
var page string

// rich is the HTML form. The template escapes every text for the place where it
// stands.
var rich = template.Must(template.New("notice").Parse(page))

// view is what both forms show. Its texts are clean, its links are web links.
type view struct {
	Title   string
	Lines   []string
	Fields  []notify.Field
	Until   string
	Actions []link
	Link    string
	Loud    bool
}

type link struct{ Label, URL string }

func viewOf(n *notify.Notice) view {
	v := view{Title: notify.Clean(n.Title, false), Link: notify.WebURL(n.Link), Loud: n.Loud}
	if text := notify.Clean(n.Text, true); text != "" {
		v.Lines = strings.Split(text, "\n")
	}
	for _, f := range n.Fields {
		v.Fields = append(v.Fields, notify.Field{Name: notify.Clean(f.Name, false), Value: notify.Clean(f.Value, false)})
	}
	for _, a := range n.Actions {
		if u := notify.WebURL(a.URL); u != "" {
			v.Actions = append(v.Actions, link{notify.Clean(a.Label, false), u})
		}
	}
	if !n.Expires.IsZero() && len(n.Actions) > 0 {
		v.Until = n.Expires.UTC().Format(time.RFC1123)
		v.Until = strings.Replace(v.Until, "GMT", "UTC", 1)
	}
	return v
}

// bodies are the plain and the HTML form of a notice.
func bodies(n *notify.Notice) (plain, html string, err error) {
	v := viewOf(n)
	var h strings.Builder
	if err := rich.Execute(&h, v); err != nil {
		return "", "", err
	}
	return v.plain(), h.String(), nil
}

func (v *view) plain() string {
	var b strings.Builder
	line := func(parts ...string) {
		for _, p := range parts {
			b.WriteString(p)
		}
		b.WriteByte('\n')
	}
	line(v.Title)
	if len(v.Lines) > 0 {
		line()
		line(strings.Join(v.Lines, "\n"))
	}
	if len(v.Fields) > 0 {
		line()
	}
	for _, f := range v.Fields {
		line(f.Name, ": ", f.Value)
	}
	if v.Until != "" {
		line()
		line("Can be decided until ", v.Until, ".")
	}
	if len(v.Actions) > 0 {
		line()
	}
	for _, a := range v.Actions {
		line(a.Label, ": ", a.URL)
	}
	if v.Link != "" {
		line()
		line("Open in Gatehouse: ", v.Link)
	}
	return b.String()
}
