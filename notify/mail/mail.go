package mail

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"os"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/gatehouse-project/gatehouse/notify"
)

// The ways to protect the connection.
const (
	StartTLS = "starttls" // required: a server without it gets nothing
	TLS      = "tls"      // from the first byte
	None     = "none"     // plain text; no password is sent
)

const (
	// DefaultTimeout bounds one message, from connecting to its acceptance.
	DefaultTimeout = 15 * time.Second
	// maxAnswers is what a server may say about one message.
	maxAnswers = 256 << 10
	maxSubject = 200
)

// Options are what a Mailer is made of. Server and From are needed.
type Options struct {
	// Server is HOST:PORT.
	Server string
	// Security is StartTLS (the default), TLS or None.
	Security string
	// Username and Password sign in; empty: nobody does. Password is asked for each
	// message, so that one in a file can be changed while Gatehouse runs.
	Username string
	Password func() (string, error)
	// From is the sender: an address, with or without a name.
	From string
	// CAFile has the certificate authorities to trust instead of the system's.
	CAFile  string
	Timeout time.Duration    // 0: DefaultTimeout
	Now     func() time.Time // nil: time.Now
}

// Mailer sends notices by e-mail. It is safe for concurrent use; each message has
// a connection of its own.
type Mailer struct {
	host     string
	port     int
	security string
	username string
	password func() (string, error)
	from     *netmail.Address
	tls      *tls.Config
	timeout  time.Duration
	now      func() time.Time
}

var _ notify.Sender = (*Mailer)(nil)

// New makes a Mailer. It connects to nothing.
func New(o Options) (*Mailer, error) {
	host, portText, err := net.SplitHostPort(o.Server)
	port, portErr := strconv.Atoi(portText)
	if err != nil || portErr != nil || host == "" || port < 1 || port > 65535 {
		return nil, fmt.Errorf("e-mail: %q is not HOST:PORT of an SMTP server", o.Server)
	}
	from, err := netmail.ParseAddress(o.From)
	if err != nil || notify.Clean(from.Name, false) != from.Name || !isAddress(from.Address) {
		return nil, fmt.Errorf("e-mail: the sender %q is not an address such as gatehouse@example.com", o.From)
	}
	m := &Mailer{
		host: host, port: port, security: o.Security, username: o.Username, password: o.Password, from: from,
		timeout: o.Timeout, now: o.Now, tls: &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host},
	}
	if m.security == "" {
		m.security = StartTLS
	}
	if m.timeout <= 0 {
		m.timeout = DefaultTimeout
	}
	if m.now == nil {
		m.now = time.Now
	}
	switch {
	case m.security != StartTLS && m.security != TLS && m.security != None:
		return nil, fmt.Errorf("e-mail: %q is none of starttls, tls, none", m.security)
	case (m.username == "") != (m.password == nil):
		return nil, errors.New("e-mail: a user name and a password belong together")
	case m.security == None && m.username != "":
		return nil, errors.New("e-mail: a password is not sent in plain text: use starttls or tls")
	}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("e-mail: reading the certificate authorities: %w", err)
		}
		m.tls.RootCAs = x509.NewCertPool()
		if !m.tls.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("e-mail: %s has no certificate in PEM form", o.CAFile)
		}
	}
	return m, nil
}

// isAddress accepts one bare address. What it refuses could end a line of the
// protocol or of the header.
func isAddress(s string) bool {
	a, err := netmail.ParseAddress(s)
	return err == nil && a.Address == s && a.Name == "" && len(s) <= 254 &&
		!strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '<' || r == '>' })
}

// Send sends a notice to one address. The server's acceptance is the end of it;
// what the server does later is not seen.
func (m *Mailer) Send(ctx context.Context, d notify.Delivery) (notify.Receipt, error) {
	if !isAddress(d.Address) {
		return notify.Receipt{}, &notify.Error{Channel: notify.Email, Class: notify.Permanent, Err: errors.New("the recipient is not an e-mail address")}
	}
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	var password string
	if m.password != nil {
		var err error
		if password, err = m.password(); err != nil {
			return notify.Receipt{}, &notify.Error{Channel: notify.Email, Class: notify.Misconfigured, Err: fmt.Errorf("reading the password: %w", err), Hint: "give notify_email_password or notify_email_password_file"}
		}
	}
	msg, id, err := m.compose(&d)
	if err != nil {
		return notify.Receipt{}, &notify.Error{Channel: notify.Email, Class: notify.Permanent, Err: fmt.Errorf("writing the message: %w", err)}
	}
	if err := m.transmit(ctx, msg, password); err != nil {
		return notify.Receipt{}, m.failure(err, password)
	}
	return notify.Receipt{ID: id, Time: m.now()}, nil
}

// compose writes the message and gives its id.
func (m *Mailer) compose(d *notify.Delivery) (*gomail.Msg, string, error) {
	plain, rich, err := bodies(&d.Notice)
	if err != nil {
		return nil, "", err
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(m.from)
	msg.ToMailAddress(&netmail.Address{Address: d.Address})
	msg.Subject(notify.Cut(notify.Clean(d.Notice.Title, false), maxSubject))
	at := d.Notice.Time
	if at.IsZero() {
		at = m.now()
	}
	msg.SetDateWithValue(at)
	// The id is the same at each attempt, so servers and mailboxes can leave out
	// what comes twice.
	id := m.id("notice", d.Key())
	msg.SetMessageIDWithValue(id)
	if d.Notice.Thread != "" {
		// No message has this id. All of a thread refer to it, whoever got which of
		// them, and that is enough for mailboxes to put them together.
		root := "<" + m.id("thread", d.Notice.Thread) + ">"
		msg.SetGenHeader(gomail.HeaderInReplyTo, root)
		msg.SetGenHeader(gomail.HeaderReferences, root)
	}
	// RFC 3834: answers of absence go nowhere.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader(gomail.HeaderXAutoResponseSuppress, "All")
	if d.Notice.Loud {
		msg.SetImportance(gomail.ImportanceHigh)
	}
	msg.SetBodyString(gomail.TypeTextPlain, plain)
	msg.AddAlternativeString(gomail.TypeTextHTML, rich)
	return msg, id, nil
}

func (m *Mailer) id(kind, of string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + of))
	_, domain, _ := strings.Cut(m.from.Address, "@")
	return hex.EncodeToString(sum[:16]) + "." + kind + "@" + domain
}

// transmit hands a message to the server. What goes wrong after the server took
// the message is no failure: the message would come twice.
func (m *Mailer) transmit(ctx context.Context, msg *gomail.Msg, password string) error {
	options := []gomail.Option{
		gomail.WithPort(m.port), gomail.WithTimeout(m.timeout), gomail.WithTLSConfig(m.tls),
		gomail.WithTLSPolicy(gomail.TLSMandatory), gomail.WithoutNoop(), gomail.WithoutRset(),
		gomail.WithDialContextFunc(func(dialing context.Context, network, address string) (net.Conn, error) {
			return m.dial(ctx, dialing, network, address)
		}),
	}
	switch m.security {
	case TLS:
		options = append(options, gomail.WithSSL()) // dial did it: no STARTTLS
	case None:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if m.username != "" {
		options = append(options, gomail.WithUsername(m.username), gomail.WithPassword(password),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	c, err := gomail.NewClient(m.host, options...)
	if err != nil {
		return err
	}
	conn, err := c.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return err
	}
	err = c.SendWithSMTPClient(conn, msg)
	if msg.IsDelivered() {
		err = nil
	}
	_ = c.CloseWithSMTPClient(conn)
	return err
}

// dial connects. The connection ends with sending, whose context the library does
// not watch once it is connected.
func (m *Mailer) dial(sending, dialing context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	raw, err := d.DialContext(dialing, network, address)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(sending, func() { _ = raw.Close() })
	conn := net.Conn(&terse{Conn: raw, left: maxAnswers})
	if m.security != TLS {
		return conn, nil
	}
	t := tls.Client(conn, m.tls)
	if err := t.HandshakeContext(dialing); err != nil {
		return nil, err
	}
	return t, nil
}

// errTalkative is a server that says more than any answer needs.
var errTalkative = errors.New("the server says too much")

// terse is a connection that ends after some bytes of answers.
type terse struct {
	net.Conn
	left int
}

func (t *terse) Read(b []byte) (int, error) {
	if t.left <= 0 {
		return 0, errTalkative
	}
	n, err := t.Conn.Read(b[:min(len(b), t.left)])
	t.left -= n
	return n, err
}

// failure classifies an error. This is the one place where it is decided whether a
// retry can help.
func (m *Mailer) failure(err error, password string) *notify.Error {
	text := err.Error()
	if password != "" {
		for _, s := range []string{
			password, base64.StdEncoding.EncodeToString([]byte(password)),
			base64.StdEncoding.EncodeToString([]byte("\x00" + m.username + "\x00" + password)),
		} {
			text = strings.ReplaceAll(text, s, "[redacted]")
		}
	}
	e := &notify.Error{Channel: notify.Email, Class: notify.Temporary, Err: errors.New(notify.Cut(notify.Clean(text, false), 300))}
	var unknownCA x509.UnknownAuthorityError
	var hostname x509.HostnameError
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var dial *net.OpError
	var send *gomail.SendError
	switch {
	case errors.As(err, &send):
		if send.ErrorCode() < 500 {
			return e // no code, or 4xx: not now
		}
		switch send.Reason {
		case gomail.ErrSMTPMailFrom:
			e.Class, e.Hint = notify.Misconfigured, "let the server take mail from notify_email_from"
		case gomail.ErrSMTPRcptTo, gomail.ErrSMTPData, gomail.ErrSMTPDataClose:
			e.Class = notify.Permanent
		}
	case errors.As(err, &unknownCA), errors.As(err, &hostname), errors.As(err, &verify):
		e.Class, e.Hint = notify.Misconfigured, "give the server's certificate authority with notify_email_ca_file, or use the name in its certificate"
	case errors.As(err, &record):
		e.Class, e.Hint = notify.Misconfigured, "the server does not speak TLS on this port: try notify_email_security: starttls"
	case strings.Contains(text, "STARTTLS"):
		e.Class, e.Hint = notify.Misconfigured, "the server offers no STARTTLS: use another port with notify_email_security: tls"
	case errors.As(err, &dial):
	case strings.Contains(text, "AUTH"), strings.Contains(text, "SMTP Auth"):
		if !strings.Contains(text, ": 4") { // 454: not now
			e.Class, e.Hint = notify.Misconfigured, "check notify_email_username and the password"
		}
	}
	return e
}
