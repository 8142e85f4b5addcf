package dashboard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse-project/gatehouse/iam"
)

// labAnswer is what the lab says of a state.
type labAnswer struct {
	// Verdict is the banner; its Class is good, wait, bad or unknown.
	Verdict badge
	Summary string
	// Action and Resource are what is asked, as the case has them.
	Action, Resource string
	// Decided is nil while something in the form cannot be read.
	Decided *iam.Explanation
	// Faults are mistakes in the form by field.
	Faults map[string]string
	Slots  []labSlot
	Keys   []labKey
	// Case is the policy case as JSON over several lines, Answer what
	// `policy eval` says of it, Command a command line that asks it.
	Case, Answer, Command string
}

// labSlot is a policy of the form and what is to be said of it.
type labSlot struct {
	Index int
	labPolicy
	Kind labLayer
	Rows int // of the text field
	// Name is the policy's in the case: "scps[0][1]".
	Name string
	// Converted says how the text was made into JSON before it was read.
	Converted string
	Fault     *labFault
	Findings  []iam.Finding
	Listing   []listingRow
	Sentences []iam.Sentence

	text string // what is read: converted
	doc  *iam.Document
}

// Title names the slot for people.
func (sl *labSlot) Title() string {
	if sl.Level > 0 {
		return fmt.Sprintf("%s, level %d", sl.Kind.Title, sl.Level)
	}
	return sl.Kind.Title
}

// Worst is the severity of the worst finding; empty if there is none.
func (sl *labSlot) Worst() iam.Severity {
	for _, s := range []iam.Severity{iam.SeverityError, iam.SeverityWarning, iam.SeverityInfo} {
		if slices.ContainsFunc(sl.Findings, func(f iam.Finding) bool { return f.Severity == s }) {
			return s
		}
	}
	return ""
}

// labFault is a mistake that keeps a policy from being read.
type labFault struct {
	Place, Message, Hint string
	// Number is the line's, from 1; Line and Caret show the place in it.
	Number      int
	Line, Caret string
}

// labKey is a condition key that the policies ask for.
type labKey struct {
	Key    string
	Values []string
	State  badge
}

// decide reads the state and decides the case that it describes. It never
// fails: what cannot be read is told in Faults and in the slots.
func (st *labState) decide() *labAnswer {
	a := &labAnswer{Faults: map[string]string{}}
	a.Action, a.Resource = st.target()
	a.readPolicies(st)
	in, ok := a.assemble(st)
	if !ok {
		return a.undecided()
	}
	text, err := encodePlain(in)
	if err != nil {
		a.Faults["case"] = err.Error()
		return a.undecided()
	}
	c, err := iam.ParseCase(text)
	if err != nil {
		a.fault(st, err)
		return a.undecided()
	}
	a.Decided = c.Explain()
	a.Case = indented(text)
	a.Command = "gatehouse policy eval <<'CASE'\n" + string(text) + "\nCASE"
	var r iam.Result
	c.Evaluate(&r)
	a.Answer = string(r.AppendJSON(nil))
	a.Summary = a.Decided.Summary
	switch a.Decided.Decision {
	case iam.Allowed:
		a.Verdict = badge{"good", "●", "Allowed", "allow: everything that must allow it does, and nothing denies"}
	case iam.ExplicitDeny:
		a.Verdict = badge{"bad", "■", "Explicit deny", "a statement denies it, and no Allow can outweigh that"}
	default:
		a.Verdict = badge{"wait", "◐", "Implicit deny", "nothing denies it, but something that must allow it does not"}
	}
	a.list()
	a.keys(c.Query)
	return a
}

func (a *labAnswer) undecided() *labAnswer {
	a.Verdict = badge{"unknown", "○", "Not decided yet", ""}
	bad := 0
	for i := range a.Slots {
		if a.Slots[i].Fault != nil {
			bad++
		}
	}
	switch {
	case bad > 0:
		a.Summary = plural(bad, "policy cannot be read", "policies cannot be read") + "; the place is marked."
	case len(a.Faults) > 0:
		a.Summary = "Something of the request is missing or cannot be read; it is marked."
	}
	a.list()
	return a
}

// readPolicies parses each policy by itself, so that a mistake has the place
// that it has in its own text.
func (a *labAnswer) readPolicies(st *labState) {
	single := map[string]bool{}
	for i, p := range st.Policies {
		sl := labSlot{Index: i, labPolicy: p, Kind: layerOf(p.Layer), Rows: min(max(strings.Count(p.Text, "\n")+1, 6), 22)}
		sl.text, sl.Converted = plainPolicy(p.Text)
		switch {
		case strings.TrimSpace(p.Text) == "":
		case !sl.Kind.Many && single[p.Layer]:
			sl.Fault = &labFault{Message: "there is one already of this kind, and AWS takes no second", Hint: "put its statements into the first, or choose another kind"}
		default:
			single[p.Layer] = true
			sl.read()
		}
		a.Slots = append(a.Slots, sl)
	}
}

func (sl *labSlot) read() {
	text := []byte(sl.text)
	doc, err := iam.Parse(sl.Kind.Kind, text)
	if err != nil {
		sl.Fault = faultOf(sl.text, err)
		return
	}
	sl.doc, sl.Sentences = doc, iam.Describe(doc)
	kind := sl.Kind.Kind
	if kind == iam.KindResource && iam.GuessKind(text) == iam.KindTrust {
		kind = iam.KindTrust
		// Its sentences say "the role" where the resource is not named.
		if trust, err := iam.Parse(kind, text); err == nil {
			sl.Sentences = iam.Describe(trust)
		}
	}
	sl.Findings = iam.Lint(kind, text)
}

// plainPolicy undoes what AWS's answers do to policies: API Gateway gives them
// with escaped quotes, IAM URL-encoded. how is empty if nothing was undone.
func plainPolicy(text string) (plain, how string) {
	text = strings.TrimPrefix(text, "\ufeff")
	trimmed := strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(trimmed, `{\"`) || strings.HasPrefix(trimmed, `"{\"`):
		var s string
		if json.Unmarshal([]byte(`"`+strings.Trim(trimmed, `"`)+`"`), &s) == nil && json.Valid([]byte(s)) {
			return indented([]byte(s)), "It was given with escaped quotes, as API Gateway does; it is read without them."
		}
	case strings.HasPrefix(trimmed, "%7B"):
		if s, err := url.QueryUnescape(trimmed); err == nil && json.Valid([]byte(s)) {
			return indented([]byte(s)), "It was given URL-encoded, as IAM does; it is read decoded."
		}
	}
	return text, ""
}

func faultOf(text string, err error) *labFault {
	e, ok := errors.AsType[*iam.Error](err)
	if !ok {
		return &labFault{Message: err.Error()}
	}
	f := &labFault{Place: e.String(), Message: e.Message, Hint: e.Hint, Number: e.Line}
	f.Line, f.Caret = caret(text, e.Line, e.Column)
	return f
}

// caret returns the line of a text around a column, and a line with a caret
// under it. Both are short, however long the line is.
func caret(text string, line, column int) (shown, under string) {
	const before, after = 48, 32
	lines := strings.Split(text, "\n")
	if line < 1 || line > len(lines) || column < 1 {
		return "", ""
	}
	runes := []rune(strings.TrimSuffix(lines[line-1], "\r"))
	at := min(column-1, len(runes))
	from, to := max(at-before, 0), min(at+after, len(runes))
	head, end := "", ""
	if from > 0 {
		head = "…"
	}
	if to < len(runes) {
		end = "…"
	}
	shown = head + strings.ReplaceAll(string(runes[from:to]), "\t", " ") + end
	return shown, strings.Repeat(" ", utf8.RuneCountInString(head)+at-from) + "^"
}

// assemble puts the case together. ok is false if it cannot be whole.
func (a *labAnswer) assemble(st *labState) (in *labCase, ok bool) {
	in = &labCase{Request: labRequest{
		Principal: st.Principal, Action: a.Action, Resource: a.Resource, ResourceAccount: st.ResourceAccount,
		ManagementAccount: st.Management, ServiceLinkedRole: st.ServiceLinked,
	}}
	if st.isAPI() {
		in.Request.Auth, in.Request.API = st.Auth, st.Type
		if st.Private {
			in.Request.Endpoint = "private"
		}
	}
	context, _, err := st.context()
	if err != nil {
		a.Faults["context"] = err.Error()
	}
	in.Request.Context = context
	if st.Principal == "" {
		a.Faults["principal"] = "who calls? Give the ARN of a role, a role session or a user, or anonymous"
	}
	switch {
	case !st.ByARN && (st.Region == "" || st.Account == "" || st.API == ""):
		a.Faults["api"] = "which API? Give its region, its account and its id"
	case st.ByARN && st.Action == "":
		a.Faults["action"] = "which action? For example execute-api:Invoke"
	case st.ByARN && st.Resource == "":
		a.Faults["resource"] = "on what? Give an ARN, or * for an action that has no resource"
	}
	whole := len(a.Faults) == 0
	scps, rcps := map[int][]json.RawMessage{}, map[int][]json.RawMessage{}
	for i := range a.Slots {
		sl := &a.Slots[i]
		if sl.Fault != nil {
			whole = false
		}
		if sl.doc == nil {
			continue
		}
		raw := json.RawMessage(sl.text)
		switch sl.Layer {
		case "identity":
			sl.Name = "identity_policies[" + strconv.Itoa(len(in.IdentityPolicies)) + "]"
			in.IdentityPolicies = append(in.IdentityPolicies, raw)
		case "resource":
			sl.Name, in.ResourcePolicy = "resource_policy", raw
		case "permissions_boundary":
			sl.Name, in.PermissionsBoundary = "permissions_boundary", raw
		case "session":
			sl.Name = "session_policies[" + strconv.Itoa(len(in.SessionPolicies)) + "]"
			in.SessionPolicies = append(in.SessionPolicies, raw)
		case "scp":
			scps[sl.Level] = append(scps[sl.Level], raw)
		case "rcp":
			rcps[sl.Level] = append(rcps[sl.Level], raw)
		case "vpc_endpoint":
			sl.Name, in.VPCEndpointPolicy = "vpc_endpoint_policy", raw
		}
	}
	in.SCPs, in.RCPs = a.levels("scp", "scps", scps), a.levels("rcp", "rcps", rcps)
	return in, whole
}

// levels orders the policies of a layer by their level and names their slots.
// Levels that nobody uses leave no gap: an empty level would allow nothing.
func (a *labAnswer) levels(layer, name string, by map[int][]json.RawMessage) [][]json.RawMessage {
	order := slices.Sorted(maps.Keys(by))
	out := make([][]json.RawMessage, 0, len(order))
	for at, level := range order {
		out = append(out, by[level])
		n := 0
		for i := range a.Slots {
			if sl := &a.Slots[i]; sl.doc != nil && sl.Layer == layer && sl.Level == level {
				sl.Name = fmt.Sprintf("%s[%d][%d]", name, at, n)
				n++
			}
		}
	}
	return out
}

// encodePlain writes JSON without the escapes for HTML, which would make "<" in
// a policy hard to read.
func encodePlain(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// fault puts a mistake in the request beside the field that it is in.
func (a *labAnswer) fault(st *labState, err error) {
	e, ok := errors.AsType[*iam.Error](err)
	if !ok {
		a.Faults["case"] = err.Error()
		return
	}
	text := e.Message
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	field, _, _ := strings.Cut(strings.TrimPrefix(e.Path, "request."), ".")
	field, _, _ = strings.Cut(field, "[")
	switch {
	case e.Path == "request" && st.ByARN: // the account in the ARN
		field = "resource"
	case e.Path == "request", !st.ByARN && (field == "resource" || field == "resource_account" && st.ResourceAccount == ""):
		field = "api"
	case !strings.HasPrefix(e.Path, "request.") || !slices.Contains(labFields, field):
		field, text = "case", e.Error()
	}
	a.Faults[field] = text
}

// labFields are the fields of the form that a mistake can be shown beside.
var labFields = []string{"principal", "api", "action", "resource", "resource_account", "context", "auth"}

var labVariable = regexp.MustCompile(`\$\{([A-Za-z0-9-]+:[^},'"]+)`)

// keys lists the condition keys that the policies ask for, and what the request
// has of them.
func (a *labAnswer) keys(q *iam.Query) {
	given := map[string]bool{}
	for k := range q.Request().Context {
		given[strings.ToLower(k)] = true
	}
	seen := map[string]bool{}
	add := func(key string) {
		key = strings.TrimSpace(key)
		lower := strings.ToLower(key)
		if seen[lower] {
			return
		}
		seen[lower] = true
		k := labKey{Key: key, Values: q.Value(key)}
		switch {
		case len(k.Values) == 0:
			k.State = badge{"unknown", "○", "absent", "the request does not have it"}
		case given[lower]:
			k.State = badge{"good", "●", "given", "the form gives it"}
		default:
			k.State = badge{"good", "◇", "derived", "it follows from the principal"}
		}
		a.Keys = append(a.Keys, k)
	}
	for i := range a.Slots {
		if a.Slots[i].doc == nil {
			continue
		}
		for _, s := range a.Slots[i].doc.Statements {
			for _, c := range s.Condition {
				add(c.Key)
			}
		}
		for _, m := range labVariable.FindAllStringSubmatch(a.Slots[i].text, -1) {
			add(m[1])
		}
	}
	slices.SortFunc(a.Keys, func(x, y labKey) int { return strings.Compare(strings.ToLower(x.Key), strings.ToLower(y.Key)) })
}

// layerBadge says what a layer does to a request.
func layerBadge(v iam.Verdict) badge {
	b := badge{Class: "unknown", Shape: "○", Word: layerOf(v.Layer.String()).Title, Hint: "no policy of this layer is given; it does not limit"}
	if v.Layer == iam.LayerResource {
		b.Word = "Resource policy"
	}
	switch {
	case v.Says == "denies":
		b.Class, b.Shape, b.Hint = "bad", "■", "a statement of it denies the request"
	case v.Missing:
		b.Class, b.Shape, b.Hint = "wait", "◐", "it must allow the request and does not"
	case v.Says == "allows":
		b.Class, b.Shape, b.Hint = "good", "●", "a statement of it allows the request"
	case v.Says == "silent":
		b.Hint = "no statement of it speaks of the request"
	case v.Says == "not asked":
		b.Hint = "it has no say in this kind of request"
	}
	return b
}

// absentLayers names the layers that the case does not have and that need not
// allow.
func absentLayers(layers []iam.Verdict) string {
	var names []string
	for _, v := range layers {
		if v.Says == "absent" && !v.Missing {
			names = append(names, layerBadge(v).Word)
		}
	}
	return strings.Join(names, ", ")
}

func severityClass(s iam.Severity) string {
	switch s {
	case iam.SeverityError:
		return "bad"
	case iam.SeverityWarning:
		return "wait"
	default:
		return "unknown"
	}
}
