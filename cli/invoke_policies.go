package cli

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// The values of --explain.
const (
	explainAuto   = "auto"
	explainNever  = "never"
	explainAlways = "always"
)

// lookAtMost bounds how long policies are read.
const lookAtMost = 30 * time.Second

// eyes are the settings to look with: those of the call, and a settings file whose
// roles read.
type eyes struct {
	config *config.Config
	flags  *settingFlags
}

// settings are the settings without what the command line says of the call.
func (e *eyes) settings() *config.Config {
	c, err := config.Read(e.flags.file, e.flags.env, os.Getenv)
	if err != nil {
		return nil // load has told already
	}
	c.Accounts.Profile, c.Accounts.AllowLongLivedKeys = e.config.Accounts.Profile, e.config.Accounts.AllowLongLivedKeys
	return c
}

// look reads and evaluates the policies of a call.
func (v *invocation) look(ctx context.Context, rt invokeRuntime, e *eyes, call estate.Call) (*estate.CallPolicies, *estate.Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, lookAtMost)
	defer cancel()
	if v.region != "" {
		e.config.Accounts.Regions = []string{v.region}
	}
	p, err := rt.Policies(ctx, e.config, e.settings(), call)
	if err != nil {
		return nil, nil, err
	}
	verdict, err := p.Explain()
	return p, verdict, err
}

// deepen adds to the explanation of a refusal what the policies say, where policies
// can be the cause and may be read.
func (v *invocation) deepen(ctx context.Context, rt invokeRuntime, e *eyes, a *answer, r *refusal) {
	if v.options.explain == explainNever || v.service != "execute-api" {
		return
	}
	kind, _, _ := strings.Cut(a.header.Get("X-Amzn-Errortype"), ":")
	message := messageOf(a.body)
	d, denied := parseDenial(message)
	call, ok := v.call(d, denied)
	missing := kind == "MissingAuthenticationTokenException" || message == "Missing Authentication Token" ||
		a.code == http.StatusNotFound && message == "Not Found"
	byPolicy := a.code == http.StatusForbidden && (denied || message == "Forbidden" || strings.HasPrefix(message, "User is not authorized to access this resource"))
	switch {
	case !ok || !missing && !byPolicy && v.options.explain != explainAlways:
		return
	case missing && v.options.unsigned:
		return // the text says it all
	case missing || !byPolicy:
		call.Caller, call.Anonymous = "", true // of the API alone
	}
	p, verdict, err := v.look(ctx, rt, e, call)
	if err != nil {
		r.lines = append(r.lines, "policies: not read: "+err.Error())
		return
	}
	if missing || !byPolicy {
		v.describeRoutes(p, r)
		return
	}
	if message == "Forbidden" && p.API != nil && p.API.API.Type == transaction.REST {
		describeForbidden(p, verdict, r)
		return
	}
	v.describeVerdict(p, verdict, r)
}

// describeForbidden is about a REST API, whose IAM and resource policy answer in
// other words.
func describeForbidden(p *estate.CallPolicies, verdict *estate.Verdict, r *refusal) {
	r.what = "Forbidden of a REST API is a missing or wrong API key, a web ACL, mutual TLS, or a custom domain without a mapping, and no policy"
	r.mend = "look at the web ACL of the stage and at its custom domain"
	for i := range p.API.API.Routes {
		route := &p.API.API.Routes[i]
		if route.Path == verdict.Route && (route.Method == p.Call.Method || route.Method == "ANY") && route.APIKeyRequired {
			r.lines = append(r.lines, fmt.Sprintf("method: %s %s of REST API %s asks for an API key", p.Call.Method, verdict.Route, p.Call.API))
			r.mend = "send -H 'x-api-key: …' of a key that is enabled and in a usage plan of the stage"
		}
	}
}

// explainAllowed tells which statements allow a call that was answered.
func (v *invocation) explainAllowed(ctx context.Context, rt invokeRuntime, e *eyes) []string {
	call, ok := v.call(denial{}, false)
	if !ok {
		return []string{"policies: not read: the host does not tell which API it is"}
	}
	_, verdict, err := v.look(ctx, rt, e, call)
	if err != nil {
		return []string{"policies: not read: " + err.Error()}
	}
	var lines []string
	if verdict.Auth != "" && verdict.Auth != iam.AuthIAM {
		lines = append(lines, "method: "+v.request.Method+" "+verdict.Route+", authorization "+string(verdict.Auth))
	}
	for _, m := range verdict.Grants {
		lines = append(lines, "allows: "+mentionText(m))
	}
	if len(verdict.Grants) == 0 {
		lines = append(lines, "allows: nothing that could be seen")
	}
	return append(lines, unseenLines(verdict)...)
}

// call is what is known of the call: from AWS's text, which has the ARN that was
// asked for, or from the URL. It is false where neither tells which API it is.
func (v *invocation) call(d denial, denied bool) (estate.Call, bool) {
	c := estate.Call{
		Action: "execute-api:Invoke", Partition: account.PartitionOf(v.region), Region: v.region, Method: v.request.Method,
		Path: strings.TrimPrefix(v.request.URL.EscapedPath(), "/"), Anonymous: v.options.unsigned, OwnSession: v.options.assumed,
		Context: v.knownKeys(),
	}
	if strings.Contains(c.Path, "/@connections/") {
		c.Action = "execute-api:ManageConnections"
	}
	if !denied {
		c.API = apiOfHost(v.request.Host)
		return c, c.API != ""
	}
	c.Action = d.action
	if d.who == "anonymous" {
		c.Anonymous = true
	} else {
		c.Caller = d.who
	}
	part := strings.SplitN(d.resource, ":", 6)
	if len(part) != 6 || part[2] != "execute-api" {
		return c, false
	}
	c.Partition, c.Region, c.Owner = part[1], part[3], strings.TrimLeft(part[4], "*")
	route := strings.SplitN(part[5], "/", 4)
	for len(route) < 4 {
		route = append(route, "")
	}
	c.API, c.Stage, c.Method, c.Path, c.Split = route[0], route[1], route[2], route[3], true
	return c, c.API != ""
}

// apiOfHost is the id of the API of an execute-api host, also behind an endpoint of
// a VPC (abc123-vpce-0a1b.execute-api…); empty for other hosts.
func apiOfHost(host string) string {
	if region, _ := scopeOfHost(host); region == "" {
		return ""
	}
	id, rest, _ := strings.Cut(strings.ToLower(host), ".")
	id, _, _ = strings.Cut(id, "-vpce-")
	if strings.HasPrefix(id, "vpce-") || !strings.HasPrefix(rest, "execute-api.") {
		return ""
	}
	return id
}

// knownKeys are the condition keys whose values the client itself decides.
func (v *invocation) knownKeys() iam.Context {
	at := v.at
	if at.IsZero() {
		at = time.Now()
	}
	c := iam.Context{
		"aws:SecureTransport": {strconv.FormatBool(v.request.URL.Scheme == "https")},
		"aws:CurrentTime":     {at.UTC().Format(time.RFC3339)},
		"aws:EpochTime":       {strconv.FormatInt(at.Unix(), 10)},
		"aws:Referer":         nil,
	}
	if agent := v.request.UserAgent(); agent != "" {
		c["aws:UserAgent"] = []string{agent}
	}
	if referer := v.request.Referer(); referer != "" {
		c["aws:Referer"] = []string{referer}
	}
	if ip := net.ParseIP(v.request.URL.Hostname()); ip != nil && ip.IsLoopback() {
		// A local gateway sees this machine as itself.
		c["aws:SourceIp"] = []string{ip.String()}
	}
	return c
}

// describeVerdict says what the policies lack, in place of what AWS's text lets one
// guess.
func (v *invocation) describeVerdict(p *estate.CallPolicies, verdict *estate.Verdict, r *refusal) {
	if verdict.Route != "" {
		r.lines = append(r.lines, fmt.Sprintf("method: %s %s of %s API %s, authorization %s", p.Call.Method, verdict.Route, p.API.API.Type, p.Call.API, verdict.Auth))
	}
	for _, m := range verdict.Denials {
		r.lines = append(r.lines, "denies: "+mentionText(m), "  "+m.JSON)
	}
	for _, l := range verdict.Lacks {
		r.lines = append(r.lines, lackLines("lacks: ", l)...)
	}
	for _, l := range verdict.MayLack {
		r.lines = append(r.lines, lackLines("may lack: ", l)...)
	}
	for _, m := range verdict.Grants {
		r.lines = append(r.lines, "allows: "+mentionText(m))
	}
	r.lines = append(r.lines, unseenLines(verdict)...)
	switch {
	case verdict.Outcome == estate.OutcomeDenied && len(verdict.Denials) > 0:
		r.what = mentionText(verdict.Denials[0]) + " denies it (explicit deny), and no Allow outweighs a Deny"
		r.mend = "take out or narrow the statement above"
	case verdict.Outcome == estate.OutcomeDenied && len(verdict.Lacks) > 0:
		r.what, r.mend = lacking(verdict.Lacks)
	case verdict.Outcome == estate.OutcomeAllowed:
		r.what = "it is refused although all policies, as they are now, allow it"
		r.mend = "deploy the stage again: it runs the resource policy that it was deployed with; and a change of IAM may need a minute to work"
		if p.API != nil && p.API.API.Type != transaction.REST {
			r.mend = "look at mutual TLS and the custom domain; and a change of IAM may need a minute to work"
		}
		if !verdict.Complete {
			r.what = "it is refused although all policies that could be seen, as they are now, allow it"
			r.mend += "; or one that was not seen denies it"
		}
	}
}

// lacking says in one sentence which sides lack an Allow, and where to add it.
func lacking(lacks []estate.Lack) (what, mend string) {
	var sides, notes []string
	places := make([]string, 0, len(lacks))
	for _, l := range lacks {
		side := ""
		switch l.Layer {
		case iam.LayerIdentity:
			side = "the caller's own policies"
		case iam.LayerResource:
			side = "the API's resource policy"
		case iam.LayerBoundary:
			side = "the caller's permissions boundary"
		case iam.LayerSCP:
			side = "a level of the organization's service control policies"
		case iam.LayerSession:
			side = "the session policy"
		case iam.LayerVPCEndpoint, iam.LayerRCP:
			side = "a " + strings.ReplaceAll(l.Layer.String(), "_", " ") + " policy"
		}
		if !slices.Contains(sides, side) {
			sides = append(sides, side)
		}
		place := "to " + l.Where
		if l.Or != nil {
			place = "either to " + l.Where + " or to " + l.Or.Where
		}
		places = append(places, place)
		if l.Note != "" && !slices.Contains(notes, l.Note) {
			notes = append(notes, l.Note)
		}
	}
	verb := " does"
	if len(sides) > 1 || sides[0] == "the caller's own policies" {
		verb = " do"
	}
	what = strings.Join(sides, " and ") + verb + " not allow it (implicit deny)"
	return what, strings.Join(append([]string{"add the statement above " + strings.Join(places, ", and the other ")}, notes...), "; ")
}

func lackLines(word string, l estate.Lack) []string {
	lines := []string{word + l.Where}
	if l.Statement != "" {
		lines = append(lines, "  add: "+l.Statement)
	}
	if l.Note != "" {
		lines = append(lines, "  "+l.Note)
	}
	if l.Or != nil {
		lines = append(lines, lackLines("  or: ", *l.Or)...)
	}
	return lines
}

// mentionText names a statement by its Sid or its place.
func mentionText(m estate.Mention) string {
	at := fmt.Sprintf("statement %d", m.Statement)
	if m.Sid != "" {
		at = "statement " + m.Sid
	}
	return at + " of the " + m.Policy
}

// unseenLines say what was not seen, and the permission that would show it.
func unseenLines(verdict *estate.Verdict) []string {
	var lines []string
	for _, c := range verdict.Conditions {
		at := "a statement"
		if c.Sid != "" {
			at = "statement " + c.Sid
		}
		lines = append(lines, fmt.Sprintf("not known: %s, which %s of the %s asks for", c.Key, at, c.Policy))
	}
	for i := range verdict.Unseen {
		u := &verdict.Unseen[i]
		lines = append(lines, "not seen: "+u.What+": "+u.Why)
		if s := u.Statement(); s != "" {
			lines = append(lines, "  to see it: "+s)
		}
	}
	return lines
}

// shownRoutes is how many routes are named of an API that lacks one.
const shownRoutes = 8

// describeRoutes says what the API has, of a call that found nothing there.
func (v *invocation) describeRoutes(p *estate.CallPolicies, r *refusal) {
	if p.API == nil {
		for _, u := range p.Unseen {
			r.lines = append(r.lines, "not seen: "+u.What+": "+u.Why)
			if s := u.Statement(); s != "" {
				r.lines = append(r.lines, "  to see it: "+s)
			}
		}
		return
	}
	api := &p.API.API
	var stages, routes []string
	for i := range api.Stages {
		stages = append(stages, api.Stages[i].Name)
	}
	slices.SortFunc(api.Routes, func(a, b estate.Route) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
	})
	for i := range api.Routes {
		routes = append(routes, strings.TrimSpace(api.Routes[i].Method+" "+api.Routes[i].Path)+" ("+api.Routes[i].Authorization+")")
	}
	if more := len(routes) - shownRoutes; more > 0 {
		routes = append(routes[:shownRoutes], fmt.Sprintf("and %d more", more))
	}
	r.lines = append(r.lines, fmt.Sprintf("%s API %s in account %s has the stages %s", api.Type, strings.TrimSpace(api.ID+" "+api.Name), p.API.Account, orNone(stages)))
	if !api.RoutesPartial {
		r.lines = append(r.lines, "and the methods "+orNone(routes))
	}
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "(none)"
	}
	return strings.Join(list, ", ")
}
