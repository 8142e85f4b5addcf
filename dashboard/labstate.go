package dashboard

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
)

const (
	// maxLab bounds what the policy lab takes, in bytes: as a form, and as a
	// link after it was unpacked.
	maxLab = 512 << 10
	// maxLink is the longest address that is given out. Browsers take more;
	// proxies and chats often do not.
	maxLink = 8000
	// maxLabPolicies and maxLabContext bound the policies and the lines of
	// condition keys.
	maxLabPolicies = 40
	maxLabContext  = 200
)

// labState is all that the policy lab is filled in with. Its JSON, packed, is
// what a link holds, so a field keeps its name for good.
type labState struct {
	// ByARN is set where action and resource are given as they are; otherwise
	// they come from the parts of an API's address.
	ByARN     bool   `json:"a,omitempty"`
	Principal string `json:"p,omitempty"`

	Operation string `json:"o,omitempty"` // Invoke, ManageConnections, InvalidateCache
	Region    string `json:"r,omitempty"`
	Account   string `json:"n,omitempty"`
	API       string `json:"i,omitempty"`
	Stage     string `json:"s,omitempty"`
	Method    string `json:"m,omitempty"`
	Path      string `json:"h,omitempty"`

	Action   string `json:"x,omitempty"`
	Resource string `json:"y,omitempty"`

	Type    string `json:"t,omitempty"` // REST, HTTP, WEBSOCKET
	Auth    string `json:"u,omitempty"` // IAM, NONE, LAMBDA, COGNITO
	Private bool   `json:"v,omitempty"`

	ResourceAccount string `json:"w,omitempty"`
	Management      bool   `json:"g,omitempty"`
	ServiceLinked   bool   `json:"l,omitempty"`

	// Context has a condition key a line: "key = value".
	Context  string      `json:"c,omitempty"`
	Policies []labPolicy `json:"d,omitempty"`
}

// labPolicy is a policy and the layer that it belongs to. Level is the level of
// the organization, from 1 at the root, and only for service and resource
// control policies.
type labPolicy struct {
	Layer string `json:"l"`
	Level int    `json:"n,omitempty"`
	Text  string `json:"t,omitempty"`
}

// labLayer is a layer as the lab offers it.
type labLayer struct {
	Name, Title string
	Kind        iam.Kind
	Many        bool // more than one policy
	Levels      bool // a list for each level of the organization
}

var labLayers = []labLayer{
	{Name: "identity", Title: "Identity-based policy", Kind: iam.KindIdentity, Many: true},
	{Name: "resource", Title: "Resource policy or trust policy", Kind: iam.KindResource},
	{Name: "permissions_boundary", Title: "Permissions boundary", Kind: iam.KindBoundary},
	{Name: "session", Title: "Session policy", Kind: iam.KindSession, Many: true},
	{Name: "scp", Title: "Service control policy (SCP)", Kind: iam.KindSCP, Many: true, Levels: true},
	{Name: "rcp", Title: "Resource control policy (RCP)", Kind: iam.KindRCP, Many: true, Levels: true},
	{Name: "vpc_endpoint", Title: "VPC endpoint policy", Kind: iam.KindVPCEndpoint},
}

func layerOf(name string) labLayer {
	for _, l := range labLayers {
		if l.Name == name {
			return l
		}
	}
	return labLayers[0]
}

// labFromForm reads the lab's fields. The policies are layer.0, level.0,
// policy.0 and so on.
func labFromForm(v url.Values) *labState {
	get := func(key string) string { return strings.TrimSpace(v.Get(key)) }
	st := &labState{
		ByARN: get("by") == "arn", Principal: get("principal"),
		Operation: get("operation"), Region: get("region"), Account: get("account"), API: get("api"), Stage: get("stage"),
		Method: strings.ToUpper(get("method")), Path: get("path"), Action: get("action"), Resource: get("resource"),
		Type: get("type"), Auth: get("auth"), Private: get("endpoint") == "private",
		ResourceAccount: get("resource_account"), Management: get("management") != "", ServiceLinked: get("service_linked") != "",
		Context: strings.Trim(strings.ReplaceAll(v.Get("context"), "\r\n", "\n"), "\n"),
	}
	if !v.Has("by") && st.API == "" && (st.Resource != "" || st.Action != "") {
		st.ByARN = true // an address that somebody wrote by hand
	}
	for i := range maxLabPolicies {
		n := strconv.Itoa(i)
		if !v.Has("policy." + n) {
			continue
		}
		level, err := strconv.Atoi(v.Get("level." + n))
		if err != nil {
			level = 1
		}
		st.add(v.Get("layer."+n), level, strings.ReplaceAll(v.Get("policy."+n), "\r\n", "\n"))
	}
	return st
}

// add appends a policy. A layer without levels has none.
func (st *labState) add(layer string, level int, text string) {
	l := layerOf(layer)
	p := labPolicy{Layer: l.Name, Text: text}
	if l.Levels {
		p.Level = min(max(level, 1), 9)
	}
	if len(st.Policies) < maxLabPolicies {
		st.Policies = append(st.Policies, p)
	}
}

// errLink is returned for a link that does not hold a lab.
var errLink = errors.New("this link is damaged")

// pack returns the state as it stands in a link: JSON, deflated, as base64url.
func (st *labState) pack() string {
	text, err := json.Marshal(st)
	if err != nil {
		return ""
	}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		return ""
	}
	_, _ = w.Write(text) // a buffer takes all
	_ = w.Close()
	return base64.RawURLEncoding.EncodeToString(b.Bytes())
}

// unpackLab reads what pack returned. Whatever else it is given is an error.
func unpackLab(packed string) (*labState, error) {
	raw, err := base64.RawURLEncoding.DecodeString(packed)
	if err != nil {
		return nil, errLink
	}
	// A few bytes can inflate to gigabytes.
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(raw)), maxLab+1))
	if err != nil || len(text) > maxLab {
		return nil, errLink
	}
	st := &labState{}
	if err := json.Unmarshal(text, st); err != nil || len(st.Policies) > maxLabPolicies {
		return nil, errLink
	}
	policies := st.Policies
	st.Policies = nil
	for _, p := range policies {
		st.add(p.Layer, p.Level, p.Text)
	}
	return st, nil
}

// target is the action and the resource that the lab asks about.
func (st *labState) target() (action, resource string) {
	if st.ByARN {
		return st.Action, st.Resource
	}
	operation := st.operation()
	partition := "aws"
	switch {
	case strings.HasPrefix(st.Region, "cn-"):
		partition = "aws-cn"
	case strings.HasPrefix(st.Region, "us-gov-"):
		partition = "aws-us-gov"
	}
	path := strings.TrimPrefix(st.Path, "/")
	route := st.method() + "/" + path
	if st.Type == string(iam.WebSocket) && operation == "Invoke" {
		route = path // of a WebSocket API the route key takes the place of both
	}
	return "execute-api:" + operation, fmt.Sprintf("arn:%s:execute-api:%s:%s:%s/%s/%s", partition, st.Region, st.Account, st.API, st.stage(), route)
}

func (st *labState) operation() string {
	if slices.Contains(labOperations, st.Operation) {
		return st.Operation
	}
	return labOperations[0]
}

func (st *labState) method() string {
	if st.Method == "" {
		return "GET"
	}
	return st.Method
}

func (st *labState) stage() string {
	if st.Stage == "" {
		return "$default"
	}
	return st.Stage
}

var (
	labOperations = []string{"Invoke", "ManageConnections", "InvalidateCache"}
	labMethods    = []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}
)

// isAPI reports whether the request is one that API Gateway authorizes.
func (st *labState) isAPI() bool {
	action, _ := st.target()
	return strings.HasPrefix(strings.ToLower(action), "execute-api:")
}

// context reads the condition keys: a key that comes twice has two values, and
// one without a value is absent. The int is the line of a mistake, from 1.
func (st *labState) context() (iam.Context, int, error) {
	out := iam.Context{}
	n := 0
	for line := range strings.Lines(st.Context) {
		n++
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if n > maxLabContext {
			return nil, n, fmt.Errorf("at most %d lines are read", maxLabContext)
		}
		key, value, found := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !found || key == "" {
			return nil, n, fmt.Errorf("line %d: write key = value, for example aws:SourceIp = 203.0.113.9", n)
		}
		values := out[key]
		if value != "" {
			values = append(values, value)
		}
		if values == nil {
			values = []string{}
		}
		out[key] = values
	}
	return out, 0, nil
}

// request is the request part of a policy case.
type labRequest struct {
	Principal         string      `json:"principal"`
	Action            string      `json:"action"`
	Resource          string      `json:"resource"`
	ResourceAccount   string      `json:"resource_account,omitempty"`
	Context           iam.Context `json:"context,omitempty"`
	Auth              string      `json:"auth,omitempty"`
	API               string      `json:"api,omitempty"`
	Endpoint          string      `json:"endpoint,omitempty"`
	ManagementAccount bool        `json:"resource_owner_is_management_account,omitempty"`
	ServiceLinkedRole bool        `json:"service_linked_role,omitempty"`
}

// labCase is a policy case as JSON, its policies as they were written.
type labCase struct {
	Request             labRequest          `json:"request"`
	IdentityPolicies    []json.RawMessage   `json:"identity_policies,omitempty"`
	ResourcePolicy      json.RawMessage     `json:"resource_policy,omitempty"`
	PermissionsBoundary json.RawMessage     `json:"permissions_boundary,omitempty"`
	SessionPolicies     []json.RawMessage   `json:"session_policies,omitempty"`
	SCPs                [][]json.RawMessage `json:"scps,omitempty"`
	RCPs                [][]json.RawMessage `json:"rcps,omitempty"`
	VPCEndpointPolicy   json.RawMessage     `json:"vpc_endpoint_policy,omitempty"`
}

// labFromCase fills the lab in with a policy case, as `policy eval` reads it.
func labFromCase(text []byte) (*labState, error) {
	// iam is the judge of what a case is; what follows only takes it apart.
	if _, err := iam.ParseCase(text); err != nil {
		return nil, err
	}
	var in struct {
		labCase
		Request struct {
			labRequest
			Context map[string]any `json:"context"`
		} `json:"request"`
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&in); err != nil {
		return nil, fmt.Errorf("reading the case: %w", err)
	}
	r := in.Request.labRequest
	st := &labState{
		Principal: r.Principal, ByARN: true, Action: r.Action, Resource: r.Resource, ResourceAccount: r.ResourceAccount,
		Auth: r.Auth, Type: r.API, Private: r.Endpoint == "private", Management: r.ManagementAccount, ServiceLinked: r.ServiceLinkedRole,
	}
	st.takeApart()
	keys := make([]string, 0, len(in.Request.Context))
	for k := range in.Request.Context {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		values, ok := in.Request.Context[k].([]any)
		if !ok {
			values = []any{in.Request.Context[k]}
		}
		if len(values) == 0 {
			st.Context += k + " =\n"
		}
		for _, v := range values {
			if s := fmt.Sprint(v); strings.ContainsAny(s, "\r\n") || strings.TrimSpace(s) != s || s == "" {
				return nil, fmt.Errorf("a value of the key %s is empty or has blanks or a line end at its edge, which the lab cannot show; use gatehouse policy eval", k)
			}
			st.Context += fmt.Sprintf("%s = %v\n", k, v)
		}
	}
	st.Context = strings.TrimSuffix(st.Context, "\n")
	one := func(layer string, level int, raw json.RawMessage) {
		if len(raw) > 0 && string(raw) != "null" {
			st.add(layer, level, indented(raw))
		}
	}
	for _, raw := range in.IdentityPolicies {
		one("identity", 0, raw)
	}
	one("resource", 0, in.ResourcePolicy)
	one("permissions_boundary", 0, in.PermissionsBoundary)
	for _, raw := range in.SessionPolicies {
		one("session", 0, raw)
	}
	for layer, levels := range map[string][][]json.RawMessage{"scp": in.SCPs, "rcp": in.RCPs} {
		for i, level := range levels {
			for _, raw := range level {
				one(layer, i+1, raw)
			}
			if len(level) == 0 { // a level that allows nothing
				one(layer, i+1, json.RawMessage(`{"Version":"2012-10-17","Statement":[]}`))
			}
		}
	}
	one("vpc_endpoint", 0, in.VPCEndpointPolicy)
	slices.SortStableFunc(st.Policies, func(a, b labPolicy) int { return layerRank(a.Layer) - layerRank(b.Layer) })
	return st, nil
}

func layerRank(name string) int {
	return slices.IndexFunc(labLayers, func(l labLayer) bool { return l.Name == name })
}

// takeApart turns an action and an ARN that name one route of an API into its
// parts, if they do.
func (st *labState) takeApart() {
	operation, ok := strings.CutPrefix(st.Action, "execute-api:")
	parts := strings.SplitN(st.Resource, ":", 6)
	if !ok || !slices.Contains(labOperations, operation) || len(parts) != 6 || parts[2] != "execute-api" {
		return
	}
	api, rest, _ := strings.Cut(parts[5], "/")
	stage, rest, _ := strings.Cut(rest, "/")
	parted := labState{Operation: operation, Region: parts[3], Account: parts[4], API: api, Stage: stage, Type: st.Type, Path: rest}
	if st.Type != string(iam.WebSocket) || operation != "Invoke" {
		parted.Method, parted.Path, _ = strings.Cut(rest, "/")
		parted.Path = "/" + parted.Path
	}
	if _, resource := parted.target(); resource != st.Resource || parted.Method != strings.ToUpper(parted.Method) {
		return
	}
	st.ByARN, st.Operation, st.Region, st.Account, st.API = false, parted.Operation, parted.Region, parted.Account, parted.API
	st.Stage, st.Method, st.Path, st.Action, st.Resource = parted.Stage, parted.Method, parted.Path, "", ""
}

// indented lays JSON out over lines; what is not JSON stays as it is.
func indented(text []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, bytes.TrimSpace(text), "", "  ") != nil {
		return string(text)
	}
	return b.String()
}
