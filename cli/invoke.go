package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/sigv4"
)

// invokeRuntime is what invoke asks of the product.
type invokeRuntime interface {
	// Credentials returns the credentials that the configuration leads to: those of
	// its one role, or of the base where it has none; and the region of the base
	// configuration, which may be empty.
	Credentials(ctx context.Context, c *config.Config) (aws.CredentialsProvider, string, error)
	// Policies reads the policies that have a say in a call that was made with the
	// credentials of c. It looks with these, and with the roles that the settings
	// name for reading, which may be nil.
	Policies(ctx context.Context, c, settings *config.Config, call estate.Call) (*estate.CallPolicies, error)
}

const invokeLong = `Call an API that is protected by IAM: assume a role, sign the request with
Signature Version 4, send it, and print the answer's body.

Region and service follow from the host (ID.execute-api.REGION.amazonaws.com); for
any other host, such as a custom domain, give --region. Path and query are sent as
they are given. The exit status is 1 if the status is 400 or above, and a refusal
is explained on standard error: which side lacks what, and how to mend it.

When policies refuse the call, invoke reads those that have a say in it, with the
call's own credentials and with the roles that a settings file names: the caller's
identity policies and boundary, service control policies, the API's resource policy
and the method's authorization. It evaluates them and prints the statement to add.
What it could not see it says, with the permission that would show it. --explain
never reads nothing, and --explain always also tells why a call was allowed.

The session token and the secret are taken out of whatever is printed.`

const invokeExample = `  gatehouse invoke https://no8k0bxy8b.execute-api.us-east-1.amazonaws.com/prod/
  gatehouse invoke -d @payload.json --role-arn arn:aws:iam::111122223333:role/predict-api-invoker \
    https://abc123.execute-api.eu-west-1.amazonaws.com/prod/predict
  gatehouse invoke -i --refresh-cache https://abc123.execute-api.eu-west-1.amazonaws.com/prod/pets
  gatehouse invoke -d hello 'https://abc123.execute-api.eu-west-1.amazonaws.com/prod/@connections/L0SM9cOFvHcCIhw='`

// invokeOptions are invoke's flags.
type invokeOptions struct {
	method   string
	headers  []string
	data     string
	hasData  bool
	include  bool
	refresh  bool
	unsigned bool
	explain  string
	assumed  bool // the session is invoke's own
	region   string
	service  string
	timeout  time.Duration
}

// answer is what the API answered, read whole.
type answer struct {
	proto, status string
	code          int
	header        http.Header
	body          []byte
}

// maxAnswer is the longest answer that is read: API Gateway's own limit.
const maxAnswer = 10 << 20

func newInvoke(rt invokeRuntime, s *Streams) *cobra.Command {
	var o invokeOptions
	cmd := &cobra.Command{
		Use:     "invoke URL",
		Short:   "Call an API: assume, sign, send, and on a refusal say why",
		Long:    invokeLong,
		Example: invokeExample,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return withHint(usagef("%s takes one URL, not %d", cmd.CommandPath(), len(args)), "see '"+cmd.CommandPath()+" --help'")
			}
			return nil
		},
	}
	settings := addSettings(cmd, "role_arns", "external_id", "session_name", "profile", "allow_long_lived_keys")
	f := cmd.Flags()
	f.StringVarP(&o.method, "request", "X", "", "method (default GET, and POST with -d)")
	f.StringArrayVarP(&o.headers, "header", "H", nil, "header, as 'Name: value' (may be repeated)")
	f.StringVarP(&o.data, "data", "d", "", "body; @FILE reads it from a file, @- from standard input")
	f.BoolVarP(&o.include, "include", "i", false, "print the status and the headers of the answer too")
	f.BoolVar(&o.refresh, "refresh-cache", false, "send Cache-Control: max-age=0, which makes API Gateway call the backend anew; needs execute-api:InvalidateCache")
	f.BoolVar(&o.refresh, "max-age-0", false, "the same as --refresh-cache")
	f.BoolVar(&o.unsigned, "unsigned", false, "do not sign: see what a stranger sees")
	f.StringVar(&o.explain, "explain", explainAuto, "when to read policies: auto (when they refused the call), never or always")
	f.StringVar(&o.region, "region", "", "region to sign for (default: that of the host, then that of the credentials)")
	f.StringVar(&o.service, "service", "", "service to sign for (default: that of the host, then execute-api)")
	f.DurationVar(&o.timeout, "timeout", 35*time.Second, "how long the whole call may take")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.hasData = cmd.Flags().Changed("data")
		if !slices.Contains([]string{explainAuto, explainNever, explainAlways}, o.explain) {
			return usagef("--explain: %q is none of auto, never, always", o.explain)
		}
		c, err := settings.load(cmd)
		if err != nil {
			return err
		}
		if !cmd.Flags().Changed("role-arn") {
			// The roles of a settings file are those that are read, not called with.
			c.Accounts.Roles = nil
		}
		if len(c.Accounts.Roles) > 1 {
			return usagef("--role-arn: one call is made with one role, not %d", len(c.Accounts.Roles))
		}
		c.Accounts.Organization = false
		o.assumed = len(c.Accounts.Roles) > 0
		return invoke(cmd.Context(), rt, s, &eyes{c, settings}, &o, args[0])
	}
	return cmd
}

// invocation is one call, with what is needed to explain a refusal of it.
type invocation struct {
	options     *invokeOptions
	request     *http.Request
	region      string
	service     string
	credentials sigv4.Credentials
	signature   sigv4.Signature
	at          time.Time
	secrets     []string
}

func invoke(whole context.Context, rt invokeRuntime, s *Streams, e *eyes, o *invokeOptions, target string) error {
	ctx, cancel := context.WithTimeout(whole, o.timeout)
	defer cancel()
	v := &invocation{options: o}
	if err := v.build(ctx, s, target); err != nil {
		return err
	}
	if !o.unsigned {
		if err := v.sign(ctx, rt, e.config); err != nil {
			return err
		}
	}
	a, err := v.send()
	if err != nil {
		return err
	}
	if err := v.print(s.Out, a); err != nil {
		return err
	}
	if len(a.body) > 0 && a.body[len(a.body)-1] != '\n' && (a.code >= http.StatusBadRequest || o.explain == explainAlways) {
		fmt.Fprintln(s.Err) // on a terminal what follows begins on a line of its own
	}
	if a.code < http.StatusBadRequest {
		if o.explain == explainAlways {
			v.say(s, v.explainAllowed(whole, rt, e))
		}
		return nil
	}
	refusal := v.explain(a)
	v.deepen(whole, rt, e, a, &refusal)
	v.say(s, refusal.lines)
	return withHint(fmt.Errorf("the API answered %s: %s", printable(a.status), v.redact(printable(refusal.what))), v.redact(printable(refusal.mend)))
}

// say prints lines of an explanation, without secrets.
func (v *invocation) say(s *Streams, lines []string) {
	for _, line := range lines {
		fmt.Fprintln(s.Err, v.redact(printable(line)))
	}
}

// build makes the request from the command's words.
func (v *invocation) build(ctx context.Context, s *Streams, target string) error {
	o := v.options
	u, err := url.Parse(target)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return withHint(usagef("%q is not an http or https URL", printable(target)), "for example https://abc123.execute-api.eu-west-1.amazonaws.com/prod/pets")
	}
	if u.User != nil {
		return usagef("the URL has a user name in it, which a signed request does not need")
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) && !o.unsigned {
		return withHint(usagef("%s is reached without TLS: the session token would be sent in the clear", printable(u.Host)), "use https; http is for this machine alone")
	}
	body, err := o.body(s)
	if err != nil {
		return err
	}
	method := o.method
	if method == "" {
		method = http.MethodGet
		if o.hasData {
			method = http.MethodPost
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return usagef("the request cannot be made: %w", err)
	}
	if len(body) == 0 {
		r.Body = http.NoBody
	}
	if err := o.addHeaders(r); err != nil {
		return err
	}
	if o.hasData && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", contentType(body))
	}
	if o.refresh {
		r.Header.Set("Cache-Control", "max-age=0")
	}
	if r.Header.Get("User-Agent") == "" {
		r.Header.Set("User-Agent", "gatehouse")
	}
	v.request = r
	v.region, v.service = scopeOfHost(r.Host)
	if o.region != "" {
		v.region = o.region
	}
	if o.service != "" {
		v.service = o.service
	}
	if v.service == "" {
		v.service = "execute-api"
	}
	return nil
}

// body reads -d.
func (o *invokeOptions) body(s *Streams) ([]byte, error) {
	name, ok := strings.CutPrefix(o.data, "@")
	if !ok {
		return []byte(o.data), nil
	}
	in := s.In
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("reading the body: %w", err)
		}
		defer func() { _ = f.Close() }() // it was only read
		in = f
	}
	body, err := io.ReadAll(io.LimitReader(in, sigv4.MaxBody+1))
	if err != nil {
		return nil, fmt.Errorf("reading the body: %w", err)
	}
	if len(body) > sigv4.MaxBody {
		return nil, errors.New("the body is longer than 10 MB, which is the most that API Gateway takes")
	}
	return body, nil
}

func (o *invokeOptions) addHeaders(r *http.Request) error {
	for _, h := range o.headers {
		name, value, ok := strings.Cut(h, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return withHint(usagef("--header: %q is not a header", printable(h)), "write it as 'Name: value'")
		}
		value = strings.TrimSpace(value)
		switch http.CanonicalHeaderKey(name) {
		case "Host":
			r.Host = value
		case "Authorization":
			if !o.unsigned {
				return withHint(usagef("--header: Authorization is what signing writes"), "use --unsigned with a header of your own, such as a bearer token")
			}
			r.Header.Set(name, value)
		default:
			r.Header.Add(name, value)
		}
	}
	return nil
}

// contentType is JSON where the body is, and what curl sends otherwise.
func contentType(body []byte) string {
	if json.Valid(body) {
		return "application/json"
	}
	return "application/x-www-form-urlencoded"
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// scopeOfHost reads region and service from one of AWS's own hosts:
// ID.execute-api.REGION.amazonaws.com, the same behind a VPC endpoint
// (…execute-api.REGION.vpce.amazonaws.com), and .api.aws.
func scopeOfHost(host string) (region, service string) {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	ours := false
	for _, suffix := range []string{".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".amazonwebservices.com.cn"} {
		if rest, ok := strings.CutSuffix(host, suffix); ok {
			host, ours = rest, true
			break
		}
	}
	if !ours {
		return "", ""
	}
	labels := strings.Split(host, ".")
	i := slices.Index(labels, "execute-api")
	if i < 0 || i+1 >= len(labels) {
		return "", ""
	}
	return labels[i+1], labels[i]
}

// sign gets the credentials and signs.
func (v *invocation) sign(ctx context.Context, rt invokeRuntime, c *config.Config) error {
	if v.region != "" {
		c.Accounts.Regions = []string{v.region}
	}
	provider, region, err := rt.Credentials(ctx, c)
	if err != nil {
		return err
	}
	creds, err := provider.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("getting credentials: %w", err)
	}
	if v.region == "" {
		v.region = region
	}
	if v.region == "" {
		return withHint(usagef("the region of %s is not known", printable(v.request.Host)), "give --region: a custom domain does not tell it")
	}
	v.credentials = sigv4.Credentials{AccessKeyID: creds.AccessKeyID, SecretAccessKey: creds.SecretAccessKey, SessionToken: creds.SessionToken}
	v.secrets = secretForms(creds.SecretAccessKey, creds.SessionToken)
	signer := sigv4.Signer{Credentials: v.credentials, Region: v.region, Service: v.service, Rules: sigv4.RulesOf(v.service)}
	v.at = time.Now()
	if v.signature, err = signer.Sign(v.request, v.at); err != nil {
		return fmt.Errorf("signing the request: %w", err)
	}
	v.secrets = append(v.secrets, v.signature.Value)
	return nil
}

// secretForms are the ways in which a secret may come back in an answer: as it
// is, in JSON that escapes slashes, and in a URL.
func secretForms(secrets ...string) []string {
	var forms []string
	for _, s := range secrets {
		if s == "" {
			continue
		}
		forms = append(forms, s)
		for _, other := range []string{strings.ReplaceAll(s, "/", `\/`), url.QueryEscape(s), strings.NewReplacer("+", `\u002b`, "=", `\u003d`).Replace(s)} {
			if other != s {
				forms = append(forms, other)
			}
		}
	}
	return forms
}

const redacted = "[redacted]"

// redact takes the secrets of this call out of a text.
func (v *invocation) redact(text string) string {
	for _, s := range v.secrets {
		text = strings.ReplaceAll(text, s, redacted)
	}
	return text
}

// send sends the request and reads the whole answer.
func (v *invocation) send() (*answer, error) {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true,
		// Headers are shown as they came.
		DisableCompression: true,
		DialContext:        (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport: transport,
		// A signature is for one URL.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(v.request)
	if err != nil {
		return nil, v.failed(err)
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, v.failed(err)
	}
	if len(body) > maxAnswer {
		return nil, errors.New("the answer is longer than 10 MB")
	}
	return &answer{response.Proto, response.Status, response.StatusCode, response.Header, body}, nil
}

// failed tells of a call that got no answer, without its query: a URL of the
// caller's own may hold what is nobody's business.
func (v *invocation) failed(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	where := v.request.URL.Scheme + "://" + v.request.URL.Host
	if errors.Is(err, context.DeadlineExceeded) {
		return withHint(fmt.Errorf("calling %s: no answer within %v", where, v.options.timeout), "give --timeout; API Gateway itself ends a call after 29 seconds unless its quota was raised")
	}
	return fmt.Errorf("calling %s: %w", where, err)
}

// print writes the answer.
func (v *invocation) print(out io.Writer, a *answer) error {
	var b bytes.Buffer
	if v.options.include {
		fmt.Fprintf(&b, "%s %s\n", a.proto, a.status)
		for _, name := range slices.Sorted(maps.Keys(a.header)) {
			for _, value := range a.header[name] {
				fmt.Fprintf(&b, "%s: %s\n", printable(name), printable(value))
			}
		}
		b.WriteByte('\n')
	}
	b.Write(a.body)
	text := b.Bytes()
	for _, s := range v.secrets {
		text = bytes.ReplaceAll(text, []byte(s), []byte(redacted))
	}
	if _, err := out.Write(text); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}
