package mail_test

import (
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/notify"
	"github.com/gatehouse-project/gatehouse/notify/mail"
)

const password = "pa55-word"

func mailer(t *testing.T, s *server, o mail.Options) *mail.Mailer {
	t.Helper()
	o.Server, o.CAFile = s.addr, s.caFile
	if o.From == "" {
		o.From = "Gatehouse <gatehouse@example.com>"
	}
	if s.password != "" {
		o.Username = "gatehouse"
		if o.Password == nil {
			o.Password = func() (string, error) { return password, nil }
		}
	}
	m, err := mail.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func delivery() notify.Delivery {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return notify.Delivery{Channel: notify.Email, Address: "alice@example.com", Notice: notify.Notice{
		ID: "n1", Kind: "request.created", Title: "Bob asks for prod – today", Text: "first\nsecond",
		Fields:  []notify.Field{{Name: "Who", Value: "bob@example.com"}, {Name: "Why", Value: "<b>incident</b> & more"}},
		Actions: []notify.Action{{ID: notify.Approve, Label: "Approve", Value: "r1", URL: "https://gatehouse.example.com/requests/r1?do=approve&x=1"}},
		Link:    "https://gatehouse.example.com/requests/r1", Time: at, Expires: at.Add(time.Hour), Thread: "r1",
	}}
}

// read gives the header, the plain and the HTML part of a message.
func read(t *testing.T, data string) (h netmail.Header, plain, html string) {
	t.Helper()
	msg, err := netmail.ReadMessage(strings.NewReader(data))
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	media, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil || media != "multipart/alternative" {
		t.Fatalf("%s, %v", media, err)
	}
	parts := multipart.NewReader(msg.Body, params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return msg.Header, plain, html
		}
		if err != nil {
			t.Fatal(err)
		}
		r := io.Reader(p)
		if p.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
			r = quotedprintable.NewReader(p)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(b), "\r\n", "\n")
		switch media, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type")); media {
		case "text/plain":
			plain = text
		case "text/html":
			html = text
		}
	}
}

func subject(t *testing.T, h netmail.Header) string {
	t.Helper()
	s, err := new(mime.WordDecoder).DecodeHeader(h.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSend(t *testing.T) {
	t.Parallel()
	s := serve(t, &server{password: password})
	m := mailer(t, s, mail.Options{})
	r, err := m.Send(t.Context(), delivery())
	if err != nil {
		t.Fatal(err)
	}
	letters := s.got()
	if len(letters) != 1 {
		t.Fatalf("%d messages", len(letters))
	}
	l := letters[0]
	if !l.secure || l.user != "gatehouse" || !strings.HasPrefix(l.from, "<gatehouse@example.com>") || l.to != "<alice@example.com>" {
		t.Errorf("%+v", l)
	}
	h, plain, html := read(t, l.data)
	if got := subject(t, h); got != "Bob asks for prod – today" {
		t.Errorf("subject %q", got)
	}
	if got := h.Get("Message-ID"); got != "<"+r.ID+">" || !strings.HasSuffix(got, "@example.com>") {
		t.Errorf("Message-ID %s, receipt %s", got, r.ID)
	}
	for name, want := range map[string]string{"Auto-Submitted": "auto-generated", "To": "<alice@example.com>", "Date": "Fri, 02 Jan 2026 03:04:05 +0000", "List-Unsubscribe": ""} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	const want = `Bob asks for prod – today

first
second

Who: bob@example.com
Why: <b>incident</b> & more

Can be decided until Fri, 02 Jan 2026 04:04:05 UTC.

Approve: https://gatehouse.example.com/requests/r1?do=approve&x=1

Open in Gatehouse: https://gatehouse.example.com/requests/r1
`
	if d := cmp.Diff(want, plain); d != "" {
		t.Errorf("plain -want +got:\n%s", d)
	}
	if strings.Contains(html, "<b>incident") || !strings.Contains(html, "&lt;b&gt;incident&lt;/b&gt; &amp; more") {
		t.Error("the HTML form has markup of somebody else")
	}
	if !strings.Contains(html, `href="https://gatehouse.example.com/requests/r1?do=approve&amp;x=1"`) {
		t.Errorf("the HTML form has no button:\n%s", html)
	}
}

// A repeat has the same Message-ID; notices of one request refer to one root.
func TestThreads(t *testing.T) {
	t.Parallel()
	s := serve(t, &server{})
	m := mailer(t, s, mail.Options{})
	d := delivery()
	later := delivery()
	later.Notice.ID, later.Notice.Kind = "n2", "request.approved"
	other := delivery()
	other.Notice.ID, other.Notice.Thread = "n3", "r2"
	for _, d := range []notify.Delivery{d, d, later, other} {
		if _, err := m.Send(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	var ids, roots []string
	for _, l := range s.got() {
		h, _, _ := read(t, l.data)
		ids, roots = append(ids, h.Get("Message-ID")), append(roots, h.Get("References"))
		if h.Get("In-Reply-To") != h.Get("References") {
			t.Error("In-Reply-To and References differ")
		}
	}
	if ids[0] != ids[1] || ids[0] == ids[2] || ids[2] == ids[3] {
		t.Errorf("ids %v", ids)
	}
	if roots[0] != roots[2] || roots[0] == roots[3] || roots[0] == "" {
		t.Errorf("roots %v", roots)
	}
}

func TestInjection(t *testing.T) {
	t.Parallel()
	s := serve(t, &server{})
	m := mailer(t, s, mail.Options{})
	for name, change := range map[string]func(*notify.Notice){
		"subject": func(n *notify.Notice) { n.Title = "x\r\nBcc: mallory@example.com\r\n\r\n<script>" },
		"newline": func(n *notify.Notice) { n.Title = "x\nBcc: mallory@example.com" },
		"unicode": func(n *notify.Notice) { n.Title = "x\u2028Bcc: mallory@example.com\u0085y\u202e" },
		"id":      func(n *notify.Notice) { n.ID = "x>\r\nBcc: mallory@example.com" },
		"thread":  func(n *notify.Notice) { n.Thread = "x>\r\nBcc: mallory@example.com" },
		"text": func(n *notify.Notice) {
			n.Text = "\r\n.\r\nMAIL FROM:<mallory@example.com>\r\n<script>alert(1)</script>"
		},
		"field":    func(n *notify.Notice) { n.Fields = []notify.Field{{Name: "<script>", Value: `"><script>`}} },
		"link":     func(n *notify.Notice) { n.Link = "javascript:alert(1)" },
		"button":   func(n *notify.Notice) { n.Actions[0].URL = `https://example.com/"onmouseover="alert(1)` },
		"label":    func(n *notify.Notice) { n.Actions[0].Label = "<script>" },
		"bad utf8": func(n *notify.Notice) { n.Title = "a\xff\xfeb" },
	} {
		d := delivery()
		change(&d.Notice)
		before := len(s.got())
		if _, err := m.Send(t.Context(), d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		letters := s.got()
		if len(letters) != before+1 {
			t.Fatalf("%s: %d messages of one", name, len(letters)-before)
		}
		h, _, html := read(t, letters[before].data)
		if h.Get("Bcc") != "" || len(h["Subject"]) != 1 || len(h["Message-Id"]) != 1 {
			t.Errorf("%s: the header is %v", name, h)
		}
		for _, bad := range []string{"<script", "javascript:", `"onmouseover`} {
			if strings.Contains(html, bad) {
				t.Errorf("%s: the HTML form has %s", name, bad)
			}
		}
	}
}

func TestRecipientsThatAreNone(t *testing.T) {
	t.Parallel()
	s := serve(t, &server{})
	m := mailer(t, s, mail.Options{})
	for _, to := range []string{
		"", "alice", "alice@example.com, mallory@example.com", "Alice <alice@example.com>", "alice@example.com\r\nRCPT TO:<mallory@example.com>",
		"<alice@example.com>", `"a b"@example.com`, "a@" + strings.Repeat("b", 300) + ".com",
	} {
		d := delivery()
		d.Address = to
		if _, err := m.Send(t.Context(), d); !notify.IsPermanent(err) {
			t.Errorf("%.40q: %v", to, err)
		}
	}
	if n := len(s.got()); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
}

func TestSecurity(t *testing.T) {
	t.Parallel()
	t.Run("TLS from the first byte", func(t *testing.T) {
		t.Parallel()
		s := serve(t, &server{implicit: true, password: password})
		if _, err := mailer(t, s, mail.Options{Security: mail.TLS}).Send(t.Context(), delivery()); err != nil {
			t.Fatal(err)
		}
		if l := s.got(); len(l) != 1 || l[0].user != "gatehouse" {
			t.Errorf("%+v", l)
		}
	})
	t.Run("without TLS nothing is said", func(t *testing.T) {
		t.Parallel()
		s := serve(t, &server{noTLS: true, password: password})
		_, err := mailer(t, s, mail.Options{}).Send(t.Context(), delivery())
		if notify.ClassOf(err) != notify.Misconfigured {
			t.Errorf("got %v", err)
		}
		if len(s.got()) != 0 || slices.Contains(s.spoken, "AUTH") || slices.Contains(s.spoken, "MAIL") {
			t.Errorf("in plain text: %v", s.spoken)
		}
	})
	t.Run("plain text where it is asked for", func(t *testing.T) {
		t.Parallel()
		s := serve(t, &server{noTLS: true})
		if _, err := mailer(t, s, mail.Options{Security: mail.None}).Send(t.Context(), delivery()); err != nil {
			t.Error(err)
		}
	})
	t.Run("an unknown authority", func(t *testing.T) {
		t.Parallel()
		s := serve(t, &server{})
		m, err := mail.New(mail.Options{Server: s.addr, From: "g@example.com"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Send(t.Context(), delivery()); notify.ClassOf(err) != notify.Misconfigured {
			t.Errorf("got %v", err)
		}
	})
	t.Run("TLS to a port without", func(t *testing.T) {
		t.Parallel()
		s := serve(t, &server{})
		if _, err := mailer(t, s, mail.Options{Security: mail.TLS}).Send(t.Context(), delivery()); notify.ClassOf(err) != notify.Misconfigured {
			t.Errorf("got %v", err)
		}
	})
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		verb, answer string
		want         notify.Class
	}{
		"no such mailbox":    {"RCPT", "550 5.1.1 no such user", notify.Permanent},
		"full":               {"RCPT", "452 4.2.2 full", notify.Temporary},
		"greylisted":         {"RCPT", "451 4.7.1 later", notify.Temporary},
		"sender refused":     {"MAIL", "550 5.7.1 not from here", notify.Misconfigured},
		"content refused":    {".", "554 5.7.1 spam", notify.Permanent},
		"content, not now":   {".", "421 4.3.0 closing", notify.Temporary},
		"bad password":       {"AUTH", "535 5.7.8 " + password + " is wrong", notify.Misconfigured},
		"no sign-in now":     {"AUTH", "454 4.7.0 later", notify.Temporary},
		"no greeting by TLS": {"STARTTLS", "454 4.7.0 no certificate", notify.Temporary},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, &server{password: password, answers: map[string]string{c.verb: c.answer}})
			_, err := mailer(t, s, mail.Options{}).Send(t.Context(), delivery())
			if err == nil || notify.ClassOf(err) != c.want {
				t.Fatalf("got %v (%s), want %s", err, notify.ClassOf(err), c.want)
			}
			if strings.Contains(err.Error(), password) {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

// The server took the message; what comes after must not send it again.
func TestAConnectionLostAfterTheMessageWasTaken(t *testing.T) {
	t.Parallel()
	s := serve(t, &server{dropAtQuit: true})
	if _, err := mailer(t, s, mail.Options{}).Send(t.Context(), delivery()); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestServersThatHoldUp(t *testing.T) {
	t.Parallel()
	t.Run("silent", func(t *testing.T) {
		t.Parallel()
		s := serve(t, &server{implicit: true}) // waits for TLS, the client for a greeting
		start := time.Now()
		_, err := mailer(t, s, mail.Options{Timeout: 100 * time.Millisecond}).Send(t.Context(), delivery())
		if notify.ClassOf(err) != notify.Temporary || err == nil || time.Since(start) > 5*time.Second {
			t.Errorf("got %v after %s", err, time.Since(start))
		}
	})
	t.Run("talkative", func(t *testing.T) {
		t.Parallel()
		s := serve(t, &server{endless: true})
		if _, err := mailer(t, s, mail.Options{Timeout: 5 * time.Second}).Send(t.Context(), delivery()); err == nil || !strings.Contains(err.Error(), "too much") {
			t.Errorf("a greeting without an end: %v", err)
		}
	})
	t.Run("when the caller gives up", func(t *testing.T) {
		t.Parallel()
		s := serve(t, &server{implicit: true}) // silent
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := mailer(t, s, mail.Options{Timeout: time.Minute}).Send(ctx, delivery())
		if err == nil || time.Since(start) > 30*time.Second {
			t.Errorf("got %v after %s", err, time.Since(start))
		}
	})
	t.Run("not there", func(t *testing.T) {
		t.Parallel()
		m, err := mail.New(mail.Options{Server: "127.0.0.1:1", From: "g@example.com"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Send(t.Context(), delivery()); notify.ClassOf(err) != notify.Temporary || err == nil {
			t.Errorf("got %v", err)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	pass := func() (string, error) { return password, nil }
	for name, o := range map[string]mail.Options{
		"no port":                  {Server: "smtp.example.com", From: "g@example.com"},
		"no sender":                {Server: "smtp.example.com:587"},
		"a sender with two lines":  {Server: "smtp.example.com:587", From: "g@example.com\r\nBcc: m@example.com"},
		"a password in plain text": {Server: "smtp.example.com:25", From: "g@example.com", Security: mail.None, Username: "u", Password: pass},
		"a user without password":  {Server: "smtp.example.com:25", From: "g@example.com", Username: "u"},
		"an unknown security":      {Server: "smtp.example.com:25", From: "g@example.com", Security: "ssl"},
		"no such authority":        {Server: "smtp.example.com:25", From: "g@example.com", CAFile: "/none"},
	} {
		if _, err := mail.New(o); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
