package finding

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/iam"
)

// strangerAddresses are public addresses far apart. A policy that lets one of them
// in lets in a large part of the internet: lists of the addresses of a company do
// not reach that far.
var strangerAddresses = []string{"1.2.3.4", "37.48.57.66", "77.88.55.1", "104.16.1.9", "151.101.1.7", "190.2.3.4", "212.58.1.1", "2a00:1450:4001::2", "2600:1f00::9"}

// strangerAccounts are accounts that are taken for a stranger's unless the policy
// names them.
var strangerAccounts = []string{"999999999999", "888888888888", "777777777777"}

// triesAtMost bounds the requests that a stranger tries with one route.
const triesAtMost = 8192

// access is what a stranger may do.
type access struct {
	open bool
	// by are the statements that let the stranger in; empty without a policy.
	by []string
}

func (a access) evidence() Evidence {
	if len(a.by) == 0 {
		return fact("resource policy", "none: everybody may call")
	}
	return fact("resource policy", "lets a stranger in by "+strings.Join(a.by, ", "))
}

// door is a REST API as a stranger comes to it. The stranger has no credentials of
// the owner, comes from any address or, to a private API, from a VPC of his own, and
// sends whatever headers help him: a condition on User-Agent or Referer keeps nobody
// out, nor does one that is turned round or that a key which is absent fulfils.
type door struct {
	scene  *scene
	doc    *iam.Document
	policy *iam.Policy
}

// newDoor compiles the API's resource policy, if it has one.
func newDoor(s *scene) (*door, error) {
	d := &door{scene: s}
	if s.api.Policy == "" || s.api.Type != REST {
		return d, nil
	}
	doc, err := iam.Parse(iam.KindResource, []byte(s.api.Policy))
	if err != nil {
		return nil, fmt.Errorf("the resource policy cannot be understood: %w", err)
	}
	if d.policy, err = doc.Compile(); err != nil {
		return nil, fmt.Errorf("the resource policy cannot be understood: %w", err)
	}
	d.doc = doc
	return d, nil
}

// try reports whether a stranger gets through to a route, by a way of authorization
// that asks nothing of him: auth is iam.AuthNone, or iam.AuthIAM for a stranger with
// credentials of his own account that allow him everything.
func (d *door) try(route *Route, auth iam.Auth) (access, error) {
	api := d.scene.api
	if d.policy == nil {
		// Without a policy a private API lets nobody in, nor does IAM somebody from
		// another account.
		return access{open: auth == iam.AuthNone && !api.private()}, nil
	}
	policies := iam.Policies{Resource: iam.Attached{Name: "resource policy", Policy: d.policy}}
	who := iam.Principal{}
	if auth == iam.AuthIAM {
		var err error
		if who, err = iam.ParsePrincipal("arn:" + d.partition() + ":iam::" + d.stranger() + ":role/stranger"); err != nil {
			return access{}, err
		}
		policies.Identity = []iam.Attached{{Name: "the stranger's own", Policy: everything}}
	}
	var result iam.Result
	tries := 0
	for _, resource := range d.resources(route) {
		for context := range d.contexts(auth) {
			if tries++; tries > triesAtMost {
				return access{}, errors.New("the resource policy has more conditions than can be tried")
			}
			q, err := iam.Request{
				Principal: who, Action: "execute-api:Invoke", Resource: resource, ResourceAccount: d.scene.place.Account,
				Context: context, Auth: auth, API: iam.REST, Private: api.private(),
			}.Prepare()
			if err != nil {
				return access{}, fmt.Errorf("asking who may call: %w", err)
			}
			if policies.Evaluate(q, &result); result.Decision == iam.Allowed {
				return access{open: true, by: statements(result.Reasons)}, nil
			}
		}
	}
	return access{}, nil
}

// everything is a policy that allows everything.
var everything = func() *iam.Policy {
	p, err := iam.ParseAndCompile(iam.KindIdentity, []byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`))
	if err != nil {
		panic("finding: " + err.Error()) // a constant policy: a mistake in this file
	}
	return p
}()

func (d *door) partition() string {
	if d.scene.place.Partition == "" {
		return "aws"
	}
	return d.scene.place.Partition
}

// stranger is an account that the policy does not name.
func (d *door) stranger() string {
	for _, a := range strangerAccounts {
		if !strings.Contains(d.scene.api.Policy, a) {
			return a
		}
	}
	return strangerAccounts[0]
}

// resources are ARNs of calls to a route, in every stage.
func (d *door) resources(route *Route) []string {
	methods := []string{route.Method}
	if route.Method == "ANY" {
		methods = []string{"GET", "POST"}
	}
	segments := strings.Split(strings.TrimPrefix(route.Path, "/"), "/")
	for i, s := range segments {
		if strings.HasSuffix(s, "+}") {
			segments[i] = "a1/b2"
		} else if strings.HasPrefix(s, "{") {
			segments[i] = "a1"
		}
	}
	out := make([]string, 0, len(methods)*len(d.scene.api.Stages))
	for _, stage := range d.scene.api.Stages {
		for _, m := range methods {
			out = append(out, "arn:"+d.partition()+":execute-api:"+d.scene.place.Region+":"+d.scene.place.Account+":"+d.scene.api.ID+"/"+stage.Name+"/"+m+"/"+strings.Join(segments, "/"))
		}
	}
	return out
}

// contexts are the condition keys of the requests that the stranger tries.
func (d *door) contexts(auth iam.Auth) func(func(iam.Context) bool) {
	agents, referers := d.chosen("aws:useragent"), d.chosen("aws:referer")
	return func(yield func(iam.Context) bool) {
		for _, from := range d.origins() {
			for _, agent := range agents {
				for _, referer := range referers {
					c := iam.Context{
						"aws:SecureTransport": {"true"}, "aws:CurrentTime": {d.scene.now.UTC().Format(time.RFC3339)},
						"aws:UserAgent": agent, "aws:Referer": referer,
					}
					maps.Copy(c, from)
					if auth == iam.AuthIAM {
						c["aws:PrincipalOrgID"] = []string{"o-strangers0"}
					}
					if !yield(c) {
						return
					}
				}
			}
		}
	}
}

// origins are where the stranger comes from.
func (d *door) origins() []iam.Context {
	if d.scene.api.private() {
		return []iam.Context{{"aws:SourceVpce": {"vpce-0123456789strange"}, "aws:SourceVpc": {"vpc-0123456789strange"}, "aws:VpcSourceIp": {"10.0.0.9"}}}
	}
	out := make([]iam.Context, 0, len(strangerAddresses))
	for _, a := range strangerAddresses {
		out = append(out, iam.Context{"aws:SourceIp": {a}})
	}
	return out
}

// chosen are the values worth trying of a header that the stranger chooses: none,
// one that nobody thought of, and those that the policy speaks of.
func (d *door) chosen(key string) [][]string {
	out := [][]string{nil, {"stranger/1.0"}}
	for _, s := range d.doc.Statements {
		for _, c := range s.Condition {
			if !strings.EqualFold(c.Key, key) {
				continue
			}
			for _, v := range c.Values {
				v = strings.NewReplacer("*", "", "?", "x").Replace(v)
				if len(out) < 5 && v != "" && !slices.ContainsFunc(out, func(have []string) bool { return len(have) == 1 && have[0] == v }) {
					out = append(out, []string{v})
				}
			}
		}
	}
	// Where the policy does not speak of the header, one try is enough.
	if len(out) == 2 && !d.speaksOf(key) {
		return out[:1]
	}
	return out
}

func (d *door) speaksOf(key string) bool {
	return slices.ContainsFunc(d.doc.Statements, func(s iam.Statement) bool {
		return slices.ContainsFunc(s.Condition, func(c iam.Condition) bool { return strings.EqualFold(c.Key, key) })
	})
}

func statements(reasons []iam.Reason) []string {
	var out []string
	for _, r := range reasons {
		if r.Layer != iam.LayerResource {
			continue
		}
		name := fmt.Sprintf("statement %d", r.Statement+1)
		if r.Sid != "" {
			name = r.Sid
		}
		out = append(out, name)
	}
	return out
}

// open judges a route that asks nobody who he is, by whether strangers get through.
func (s *scene) open(route *Route) (access, Outcome, bool) {
	if s.api.Type == REST && len(s.api.Stages) == 0 {
		return access{}, skipped("the API has no stage, so nobody can call it"), false
	}
	d, err := newDoor(s)
	if err == nil {
		var a access
		if a, err = d.try(route, iam.AuthNone); err == nil {
			return a, Outcome{}, true
		}
	}
	return access{}, unseen(err.Error()), false
}
