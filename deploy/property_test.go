package deploy

import (
	"errors"
	goflag "flag"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/iam"
)

// Whatever valid parameters a stack is given, both languages hold the same policies,
// AWS takes them, and they allow what they are for and not what is next to it. What
// AWS would not take is refused with a way out.
func TestStacksHoldForAnyParameters(t *testing.T) {
	t.Parallel()
	for _, s := range Stacks() {
		if s.write != nil {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			rendered, refused := 0, 0
			rapid.Check(t, func(rt *rapid.T) {
				if rendered+refused >= tries() {
					return
				}
				e := example{"random", s.Name, parameters(rt, s)}
				tf, err := s.Render(Terraform, e.values)
				if err != nil {
					refused++
					checkRefusal(rt, err)
					return
				}
				cfn, err := s.Render(CloudFormation, e.values)
				if err != nil {
					refused++
					checkRefusal(rt, err)
					return
				}
				rendered++
				parseBack(rt, &e)
				checkSizes(rt, fileOf(cfn, templateFile))
				checkLint(rt, tf)
				checkWildcards(rt, s, e.values)
				checkReadme(rt, s, tf)
				checkMeaning(rt, &e, tf)
			})
			if rendered == 0 {
				t.Errorf("all of %d draws were refused, so nothing was shown", refused)
			}
		})
	}
}

// tries are how often each stack is drawn: seldom enough for every day, and as often
// as is asked for where more than rapid's own number is.
func tries() int {
	const everyDay, own = 6, 100
	if n, err := strconv.Atoi(goflag.Lookup("rapid.checks").Value.String()); err == nil && n > own {
		return n
	}
	return everyDay
}

// refusals are the limits of AWS that valid parameters can come to.
var refusals = regexp.MustCompile(`IAM takes|IAM lets a role have|API Gateway takes|CloudFormation takes|a StackSet takes|Lambda takes|has \d+ characters at most`)

func checkRefusal(tb rapid.TB, err error) {
	tb.Helper()
	mistake, ok := errors.AsType[*Error](err)
	if !ok || !refusals.MatchString(err.Error()) || mistake.Mend() == "" {
		tb.Fatalf("valid parameters are refused: %v", err)
	}
}

// checkSizes measures what a template would make against IAM's limits, as the template
// has it.
func checkSizes(tb rapid.TB, template []byte) {
	tb.Helper()
	var doc struct {
		Resources map[string]struct {
			Type       string
			Properties yaml.Node
		}
	}
	if err := yaml.Unmarshal(template, &doc); err != nil {
		tb.Fatal(err)
	}
	property := func(n *yaml.Node, key string) *yaml.Node {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				return n.Content[i+1]
			}
		}
		return &yaml.Node{}
	}
	characters := func(n *yaml.Node) int {
		policies := templatePolicies(tb, mustYAML(tb, map[string]any{"Policy": n}))
		return len(policies[0])
	}
	atMost := func(id, what string, n, most int) {
		if n > most {
			tb.Errorf("%s: %s has %d characters, and IAM takes %d", id, what, n, most)
		}
	}
	inline, attached := map[string]int{}, map[string]int{}
	for id, r := range doc.Resources {
		p := &r.Properties
		switch r.Type {
		case "AWS::IAM::Role":
			atMost(id, "the name", len(property(p, "RoleName").Value), 64)
			atMost(id, "the description", len(property(p, "Description").Value), 1000)
			atMost(id, "the trust policy", characters(property(p, "AssumeRolePolicyDocument")), 4096)
			attached[id] += len(property(p, "ManagedPolicyArns").Content)
		case "AWS::IAM::RolePolicy":
			inline[property(p, "RoleName").Value] += characters(property(p, "PolicyDocument"))
		case "AWS::IAM::ManagedPolicy":
			atMost(id, "the name", len(property(p, "ManagedPolicyName").Value), 128)
			atMost(id, "the policy", characters(property(p, "PolicyDocument")), 6144)
			for _, role := range property(p, "Roles").Content {
				attached[role.Value]++
			}
		case "AWS::ApiGateway::RestApi":
			atMost(id, "the resource policy", characters(property(p, "Policy")), 8192)
		case "AWS::Lambda::Function":
			atMost(id, "the name", len(property(p, "FunctionName").Value), 64)
		case "AWS::S3::Bucket":
			atMost(id, "the name", len(property(p, "BucketName").Value), 63)
		}
	}
	for id, n := range inline {
		atMost(id, "all inline policies", n, 10_240)
	}
	for id, n := range attached {
		atMost(id, "the list of managed policies", n, 10)
	}
	if len(doc.Resources) > 500 || len(template) > 1_000_000 {
		tb.Errorf("the template has %d resources and %d bytes", len(doc.Resources), len(template))
	}
}

func mustYAML(tb rapid.TB, v any) []byte {
	tb.Helper()
	text, err := yaml.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func checkLint(tb rapid.TB, out *Output) {
	tb.Helper()
	for _, p := range out.Policies {
		for _, f := range p.Document.Lint() {
			// Of its size checkSizes knows more: inline policies may be longer, and a
			// raised quota lets trust policies be.
			if f.Severity == iam.SeverityError && f.Rule != "size" {
				tb.Errorf("%s: %s: %s\n%s", p.Name, f.Rule, f.Message, p.Document.Pretty())
			}
		}
	}
}

// wildcards are the statements in which a * may stand in a resource, and why.
var wildcards = map[string]string{
	"FindLogGroups": "lists", "CompareWithCloudWatchsCount": "metrics have no ARN", "ListRegions": "takes no resource", "ListAccounts": "takes no resource",
	"LogGroupSettings": "lists", "ListClusters": "takes no resource", "KnowThePolicies": "takes no resource", "LetApiGatewayWrite": "take no resource", "FindAccessPolicies": "takes no resource",
	"ReadApiGatewayLogs": "ids of APIs", "KnowTheApis": "ids of APIs", "KnowTheEstate": "ids", "KnowTheClusters": "clusters are found by listing", "KnowTheWebACLs": "stages name them", "KnowTheFunctions": "routes name them",
	"FindStages": "ids of APIs", "SwitchStages": "ids of APIs", "RemoveSettings": "ids of APIs", "ChooseLogRole": "the region", "MakeLogGroups": "ids of APIs", "EncryptLogGroups": "ids of APIs",
	"DeliverLongLines": "ids of deliveries", "LetStagesDeliver": "ids of APIs",
	"WriteOwnLog": "streams", "KeepState": "objects of the state",
	"InvokeAPI": "methods and paths that were not named, parameters of paths", "ManageConnections": "ids of connections", "Callers": "parameters of paths", "RolePrefixes": "parameters of paths", "Preflight": "everybody",
	"MapSharedRole": "ids of entries", "SeeEntries": "ids of entries", "Lend": "ids of entries", "TakeBack": "ids of entries", "CleanUp": "ids of entries", "UntagEntries": "ids of entries", "TagEntries": "ids of entries",
}

// checkWildcards sees that a * stands only where the list says so, with a remark above
// it, and never in an action.
func checkWildcards(tb rapid.TB, s *Stack, values Values) {
	tb.Helper()
	in, err := s.resolve(values)
	if err != nil {
		tb.Fatal(err)
	}
	m, err := s.build(in)
	if err == nil {
		err = m.fit(in)
	}
	if err != nil {
		tb.Fatal(err)
	}
	for _, r := range m.resources {
		d, ok := r.document()
		if !ok {
			continue
		}
		for _, st := range d.Statements {
			wild := st.Principal != nil && st.Principal.Everyone || slices.ContainsFunc(st.Resource, func(r string) bool { return strings.Contains(r, "*") })
			if slices.ContainsFunc(st.Action, func(a string) bool { return strings.Contains(a, "*") }) {
				tb.Errorf("%s: %s: an action has a wildcard: %v", r.label, st.Sid, st.Action)
			}
			if wild && (wildcards[st.Sid] == "" || d.remarks[st.Sid] == "") {
				tb.Errorf("%s: %s has a wildcard in %v, which is not in the list or has no remark (%q)", r.label, st.Sid, st.Resource, d.remarks[st.Sid])
			}
		}
	}
}

// checkReadme sees that the parameters that the README holds write the same folder.
func checkReadme(tb rapid.TB, s *Stack, out *Output) {
	tb.Helper()
	_, text, _ := strings.Cut(string(fileOf(out, readmeFile)), "with this params.yaml:\n\n")
	values, err := ReadValues([]byte(text))
	if err != nil {
		tb.Fatalf("%v\n%s", err, text)
	}
	again, err := s.Render(out.language, values)
	if err != nil {
		tb.Fatal(err)
	}
	if diff := cmp.Diff(out.Files, again.Files); diff != "" {
		tb.Errorf("written again (- first, + again):\n%s", diff)
	}
}
