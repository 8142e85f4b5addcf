package deploy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/logging"
)

func changedExample(t *testing.T, name string, change Values) *example {
	t.Helper()
	for _, e := range examples() {
		if e.name == name {
			maps.Copy(e.values, change)
			return &e
		}
	}
	t.Fatalf("no example %s", name)
	return nil
}

// The hub of a thousand accounts has managed policies, which together name every role
// and no other.
func TestHubOfAThousandAccounts(t *testing.T) {
	t.Parallel()
	accounts := manyNames("3333", 1000)
	e := changedExample(t, "hub of an organization", Values{"spoke-accounts": accounts})
	out := render(t, e, Terraform)
	var named []string
	parts := 0
	for _, p := range out.Policies {
		if !strings.HasPrefix(p.Name, "hub_assume") {
			continue
		}
		parts++
		if n := len(p.Document.JSON()); n > maxManagedPolicy {
			t.Errorf("%s has %d characters", p.Name, n)
		}
		for _, s := range p.Document.Statements {
			if len(s.Action) != 1 || s.Action[0] != "sts:AssumeRole" {
				t.Errorf("%s allows %v", p.Name, s.Action)
			}
			named = append(named, s.Resource...)
		}
	}
	if parts < 2 || parts > maxAttached {
		t.Errorf("there are %d policies", parts)
	}
	want := []string{"arn:aws:iam::222233334444:role/GatehouseSwitcher"}
	for _, a := range accounts {
		want = append(want, "arn:aws:iam::"+a+":role/GatehouseCollector")
	}
	slices.Sort(want)
	slices.Sort(named)
	if !slices.Equal(want, named) {
		t.Errorf("%d roles are named, not %d", len(named), len(want))
	}
	parseBack(t, e)
	checkSizes(t, fileOf(render(t, e, CloudFormation), templateFile))
	text := string(fileOf(out, "main.tf"))
	for i := 1; i <= parts; i++ {
		if !strings.Contains(text, fmt.Sprintf("GatehouseHub-AssumeSpokes-%d\"", i)) {
			t.Errorf("policy %d has another name", i)
		}
	}
	if n := strings.Count(text, `resource "aws_iam_role_policy_attachment"`); n != parts {
		t.Errorf("%d of %d policies are attached", n, parts)
	}
}

// A role whose policies are few keeps them inline, under the names that they always had.
func TestShortPoliciesStayInline(t *testing.T) {
	t.Parallel()
	for _, e := range examples() {
		if e.stack == "api-client" || e.stack == "api-lending" {
			continue
		}
		if text := string(fileOf(render(t, &e, Terraform), "main.tf")); strings.Contains(text, `"aws_iam_policy"`) {
			t.Errorf("%s has a managed policy", e.name)
		}
	}
}

// What waits for a policy waits for all of its parts.
func TestSplitPoliciesAreWaitedFor(t *testing.T) {
	t.Parallel()
	e := changedExample(t, "lambda", Values{"regions": worldRegions["aws"], "log-groups": manyNames("access-logs-of-a-long-name-", 12)})
	text := string(fileOf(render(t, e, Terraform), "main.tf"))
	_, function, _ := strings.Cut(text, `resource "aws_lambda_function"`)
	function, _, _ = strings.Cut(function, "\n}\n")
	if n := strings.Count(text, `resource "aws_iam_role_policy_attachment" "function_work`); n < 2 || strings.Count(function, "aws_iam_role_policy_attachment.function_work") != n {
		t.Errorf("of %d attachments the function waits for:\n%s", n, function)
	}
	if strings.Contains(text, "aws_iam_role_policy.function_work") {
		t.Error("something waits for a policy that is not there")
	}
	parseBack(t, e)
}

// A trust policy that IAM takes after a quota was raised is written, and says so.
func TestLongTrustIsACaution(t *testing.T) {
	t.Parallel()
	e := changedExample(t, "invoker", Values{"caller-accounts": manyNames("4444", 70)})
	for _, language := range []Language{Terraform, CloudFormation} {
		out := render(t, e, language)
		if len(out.Cautions) != 1 || !strings.Contains(out.Cautions[0], "Role trust policy length") {
			t.Fatalf("%s: cautions %q", language, out.Cautions)
		}
		readme := strings.Join(strings.Fields(string(fileOf(out, readmeFile))), " ")
		if !strings.Contains(readme, out.Cautions[0]) {
			t.Errorf("%s: the README does not say it:\n%s", language, readme)
		}
	}
	if out := render(t, changedExample(t, "invoker", nil), Terraform); len(out.Cautions) > 0 {
		t.Errorf("cautions where nothing is long: %q", out.Cautions)
	}
}

// A template that is too long to be given by itself is deployed through a bucket.
func TestLongTemplateNeedsABucket(t *testing.T) {
	t.Parallel()
	out := render(t, changedExample(t, "hub", Values{"spoke-accounts": manyNames("3333", 1000)}), CloudFormation)
	if n := len(fileOf(out, templateFile)); n <= maxTemplateBody {
		t.Fatalf("the template has %d bytes alone", n)
	}
	if !strings.Contains(string(fileOf(out, readmeFile)), "--s3-bucket BUCKET") || len(out.Cautions) == 0 {
		t.Errorf("the README does not name a bucket; cautions %q", out.Cautions)
	}
}

// Splitting keeps every statement, resource and condition, whatever the size.
func TestSplit(t *testing.T) {
	t.Parallel()
	w := &writer{}
	w.allow("First", "", []string{"s3:GetObject"}, manyNames("arn:aws:s3:::bucket/", 40), iam.Condition{Operator: "StringEquals", Key: "aws:SourceAccount", Values: iam.Strings{"111122223333"}})
	w.allow("Second", "", []string{"s3:PutObject", "s3:DeleteObject"}, []string{"arn:aws:s3:::other/x"})
	d, err := w.document()
	if err != nil {
		t.Fatal(err)
	}
	for most := 260; most < d.size()+10; most += 37 {
		parts, err := d.split(most)
		if err != nil {
			t.Fatal(err)
		}
		resources := map[string][]string{}
		for _, p := range parts {
			if p.size() > most {
				t.Errorf("at most %d: a part has %d", most, p.size())
			}
			for _, s := range p.Statements {
				if (s.Sid == "First") != (len(s.Condition) == 1) {
					t.Errorf("at most %d: %s has the conditions %v", most, s.Sid, s.Condition)
				}
				resources[s.Sid] = append(resources[s.Sid], s.Resource...)
			}
		}
		for _, s := range d.Statements {
			if !slices.Equal(s.Resource, resources[s.Sid]) {
				t.Errorf("at most %d: %s has %v", most, s.Sid, resources[s.Sid])
			}
		}
	}
	if _, err := d.split(100); err == nil {
		t.Error("a statement that is too long by itself is split")
	}
}

// A value of twelve zeros is itself, and no function that fills an account in.
func TestTwelveZerosAreThemselves(t *testing.T) {
	t.Parallel()
	e := changedExample(t, "spoke", Values{"external-id": {"x-000000000000"}})
	if text := string(fileOf(render(t, e, CloudFormation), templateFile)); !strings.Contains(text, "x-000000000000") || strings.Contains(text, "AWS::AccountId}") {
		t.Errorf("the external id is another one:\n%s", text)
	}
	parseBack(t, e)
}

// In the second region of an account the role is there already.
func TestLoggingInASecondRegion(t *testing.T) {
	t.Parallel()
	e := changedExample(t, "logging", Values{"make-log-role": {"false"}})
	for _, language := range []Language{Terraform, CloudFormation} {
		out := render(t, e, language)
		text := string(out.Files[0].Text)
		if strings.Contains(text, "aws_iam_role") || strings.Contains(text, "AWS::IAM::Role") || !strings.Contains(text, "arn:aws:iam::222233334444:role/"+logging.DefaultRole) {
			t.Errorf("%s:\n%s", language, text)
		}
	}
}

// What the README says to write into other files is YAML that means the same.
func TestNamesThatLookLikeNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		e          *example
		key, value string
	}{
		{changedExample(t, "lending", Values{"api": {"1234567890"}}), "api_id", "1234567890"},
		{changedExample(t, "lending", Values{"api": {"12345678e9"}}), "api_id", "12345678e9"},
		{changedExample(t, "lender of bindings", Values{"cluster": {"0777"}}), "cluster_name", "0777"},
		{changedExample(t, "lender of bindings", Values{"cluster": {"true"}}), "cluster_name", "true"},
		{changedExample(t, "lender of bindings", Values{"lender-role-name": {"12"}}), "aws_role_name", "12"},
	} {
		readme := string(fileOf(render(t, c.e, Terraform), readmeFile))
		if want := c.key + `: "` + c.value + `"`; !strings.Contains(readme, want) {
			t.Errorf("no %s in\n%s", want, readme)
		}
	}
}
