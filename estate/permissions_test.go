package estate

import (
	"context"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/iam"
)

const (
	appSession  = "arn:aws:sts::222222222222:assumed-role/app/s"
	invokeOther = `{"Version":"2012-10-17","Statement":[{"Sid":"Books","Effect":"Allow","Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:eu-west-1:333333333333:books00001/*"}]}`
)

// readIAM are the actions that show everything.
var readIAM = []string{"iam:Get*", "iam:List*", "apigateway:GET", "organizations:Describe*", "organizations:List*"}

// lab is an organization with a caller in one account and APIs in two.
type lab struct {
	t      *testing.T
	sim    *awssim.Sim
	url    string
	org    *awssim.Organization
	reader PolicyReader
	call   Call
}

// newLab gives the account orders the role app, which calls the API books00001 of
// the account catalog. Everything can be looked at.
func newLab(t *testing.T, role awssim.Role, api awssim.RESTAPI) *lab {
	t.Helper()
	l := &lab{t: t, sim: awssim.New(awssim.Options{})}
	server := httptest.NewServer(l.sim.Handler())
	t.Cleanup(server.Close)
	l.url = server.URL
	l.org = l.sim.Organization(securityID).Add(ordersID, catalogID)
	role.Name, role.TrustedAccounts = "app", []string{securityID}
	l.sim.Account(ordersID).AddRole(role)
	if api.ID == "" {
		api.ID, api.Name = "books00001", "books"
	}
	if api.Resources == nil {
		api.Resources = []awssim.Resource{
			{Path: "/books/{id}", Methods: []awssim.Method{{HTTPMethod: "GET", Authorization: "AWS_IAM"}}},
			{Path: "/open", Methods: []awssim.Method{{HTTPMethod: "GET"}}},
			{Path: "/lambda", Methods: []awssim.Method{{HTTPMethod: "GET", Authorization: "CUSTOM"}}},
		}
	}
	api.Stages = []awssim.Stage{{Name: "prod"}}
	l.sim.Account(catalogID).Region(region).AddRESTAPI(api)
	for _, id := range []string{securityID, ordersID, catalogID} {
		l.sim.Account(id).AddRole(awssim.Role{Name: "Look", Allow: readIAM})
		l.reader.Viewers = append(l.reader.Viewers, l.viewer(id, "Look"))
	}
	l.call = Call{
		Caller: appSession, Action: "execute-api:Invoke", Partition: "aws", Region: region, API: "books00001", Owner: "3333",
		Stage: "prod", Method: "GET", Path: "books/7", Split: true, OwnSession: true,
	}
	return l
}

func (l *lab) viewer(id, role string) Viewer {
	key := l.sim.Account(id).Session(role, "look", time.Hour)
	return Viewer{Name: role + " of " + id, Account: id, Config: func(region string) aws.Config {
		return aws.Config{
			Region: region, BaseEndpoint: aws.String(l.url), RetryMaxAttempts: 1, HTTPClient: account.Connections(nil),
			Credentials: credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, key.SessionToken),
		}
	}}
}

func (l *lab) explain() *Verdict {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 30*time.Second)
	defer cancel()
	p, err := l.reader.Read(ctx, l.call)
	if err != nil {
		l.t.Fatal(err)
	}
	v, err := p.Explain()
	if err != nil {
		l.t.Fatal(err)
	}
	return v
}

// summary of a verdict in a few lines, for comparison.
func summary(v *Verdict) string {
	var b strings.Builder
	b.WriteString(string(v.Outcome))
	for _, d := range v.Denials {
		b.WriteString("\ndenied by " + d.Policy + " " + d.Sid)
	}
	lack := func(word string, l Lack) {
		b.WriteString("\n" + word + " " + l.Where + ": " + l.Statement)
		if l.Or != nil {
			b.WriteString("\nor " + l.Or.Where + ": " + l.Or.Statement)
		}
	}
	for _, l := range v.Lacks {
		lack("lacks", l)
	}
	for _, l := range v.MayLack {
		lack("may lack", l)
	}
	for _, c := range v.Conditions {
		b.WriteString("\nunknown " + c.Key + " of " + c.Policy)
	}
	for _, u := range v.Unseen {
		b.WriteString("\nunseen " + u.What)
	}
	return b.String()
}

const (
	byAccount   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":"execute-api:Invoke","Resource":"execute-api:/prod/GET/*"}]}`
	callerSide  = `role arn:aws:iam::222222222222:role/app in account 222222222222: {"Sid":"InvokeAPI","Effect":"Allow","Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:eu-west-1:333333333333:books00001/prod/GET/books/*"}`
	theAPISide  = `the resource policy of API books00001 (books) in account 333333333333: {"Sid":"Callers","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:role/app"},"Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:eu-west-1:333333333333:books00001/prod/GET/books/*"}`
	fromOffice  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":"execute-api:Invoke","Resource":"execute-api:/prod/GET/*","Condition":{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}}]}`
	denyBooks   = `{"Version":"2012-10-17","Statement":[{"Sid":"NoBooks","Effect":"Deny","Action":"execute-api:Invoke","Resource":"*"}]}`
	onlyLogs    = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"logs:*","Resource":"*"}]}`
	denySession = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"execute-api:/*"},{"Sid":"NotShop","Effect":"Deny","Principal":"*","Action":"execute-api:Invoke","Resource":"execute-api:/*","Condition":{"StringNotEquals":{"aws:PrincipalTag/team":"shop"}}}]}`
)

// unknownOwner makes of a statement what is written where neither the API's account
// nor its routes can be seen.
var unknownOwner = strings.NewReplacer(":333333333333:", ":*:", "/books/*", "/books/7")

func TestVerdicts(t *testing.T) {
	t.Parallel()
	allow := awssim.Role{Inline: map[string]string{"books": invokeOther}}
	open := awssim.RESTAPI{Policy: byAccount}
	for _, test := range []struct {
		name string
		role awssim.Role
		api  awssim.RESTAPI
		with func(*lab)
		want string
	}{
		{name: "both sides allow", role: allow, api: open, want: "allowed"},
		{name: "the caller's side lacks", api: open, want: "denied\nlacks " + callerSide},
		{name: "the API's side lacks", role: allow, want: "denied\nlacks " + theAPISide},
		{name: "both sides lack", want: "denied\nlacks " + callerSide + "\nlacks " + theAPISide},
		{
			name: "an explicit deny of an attached policy", role: awssim.Role{Inline: allow.Inline, Policies: []string{denyBooks}}, api: open,
			want: "denied\ndenied by inline policy policy-0 of role app NoBooks",
		},
		{
			name: "the boundary", role: awssim.Role{Inline: allow.Inline, PermissionsBoundary: onlyLogs}, api: open,
			want: "denied\nlacks the permissions boundary arn:aws:iam::222222222222:policy/boundary-of-app of " + callerSide,
		},
		{name: "a service control policy denies", role: allow, api: open, with: func(l *lab) {
			l.org.AddSCP("no-books", denyBooks, l.org.Root())
		}, want: "denied\ndenied by service control policy no-books NoBooks"},
		{name: "a level of the organization is silent", role: allow, api: open, with: func(l *lab) {
			ou := l.org.AddUnit("shops", l.org.Root())
			l.org.Move(ordersID, ou)
			l.org.DetachSCP("p-FullAWSAccess", ou)
			l.org.AddSCP("look", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"*"}]}`, ou)
		}, want: `denied
lacks a service control policy of OU: {"Sid":"InvokeAPI","Effect":"Allow","Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:eu-west-1:333333333333:books00001/prod/GET/books/*"}`},
		{
			name: "a condition on an address that is not known here", role: allow, api: awssim.RESTAPI{Policy: fromOffice},
			want: "open\nmay lack " + theAPISide + "\nunknown aws:SourceIp of resource policy of API books00001",
		},
		{
			name: "a deny by a tag that the role has not", role: allow, api: awssim.RESTAPI{Policy: denySession},
			want: "denied\ndenied by resource policy of API books00001 NotShop",
		},
		{
			name: "a deny by a tag that the role has", role: awssim.Role{Inline: allow.Inline, Tags: map[string]string{"team": "shop"}}, api: awssim.RESTAPI{Policy: denySession},
			want: "allowed",
		},
		{
			name: "a session that was made elsewhere", role: awssim.Role{Inline: allow.Inline, Tags: map[string]string{"team": "shop"}}, api: awssim.RESTAPI{Policy: denySession},
			with: func(l *lab) { l.call.OwnSession = false },
			want: "open\ndenied by resource policy of API books00001 NotShop\nunknown aws:PrincipalTag/team of resource policy of API books00001\nunseen session policies that were passed when " + appSession + " was assumed",
		},
		{name: "nobody can look into the caller's account", api: open, with: func(l *lab) {
			l.reader.Viewers = slices.DeleteFunc(l.reader.Viewers, func(v Viewer) bool { return v.Account == ordersID })
		}, want: "open\nmay lack " + callerSide + "\nunseen the policies of role app in account 222222222222"},
		{name: "nobody can look into the API's account", with: func(l *lab) {
			l.reader.Viewers = slices.DeleteFunc(l.reader.Viewers, func(v Viewer) bool { return v.Account == catalogID })
		}, want: unknownOwner.Replace("denied\nlacks "+callerSide) +
			"\nmay lack the resource policy of API books00001 in the account that ends in 3333: " + unknownOwner.Replace(theAPISide[strings.Index(theAPISide, "{"):]) +
			"\nunseen the resource policy of API books00001 and the authorization of its method"},
		{name: "the caller's policy names the account that nobody can look into", role: allow, with: func(l *lab) {
			l.reader.Viewers = slices.DeleteFunc(l.reader.Viewers, func(v Viewer) bool { return v.Account == catalogID })
		}, want: "open\nmay lack the resource policy of API books00001 in the account that ends in 3333: " + unknownOwner.Replace(theAPISide[strings.Index(theAPISide, "{"):]) +
			"\nunseen the resource policy of API books00001 and the authorization of its method"},
		{name: "a user by its group", api: open, with: func(l *lab) {
			a := l.sim.Account(ordersID)
			a.AddGroup(awssim.Group{Name: "devs", Policies: []string{denyBooks}})
			a.AddUser(awssim.User{Name: "ann", Groups: []string{"devs"}, Policies: []string{invokeOther}})
			l.call.Caller = "arn:aws:iam::222222222222:user/ann"
		}, want: "denied\ndenied by inline policy policy-0 of group devs NoBooks"},
		{
			name: "the cache", role: allow, api: open, with: func(l *lab) { l.call.Action = "execute-api:InvalidateCache" },
			want: strings.ReplaceAll("denied\nlacks "+callerSide+"\nlacks "+theAPISide, "execute-api:Invoke", "execute-api:InvalidateCache"),
		},
		{
			name: "a Lambda authorizer", role: allow, api: open, with: func(l *lab) { l.call.Path, l.call.Anonymous, l.call.Caller = "lambda", true, "" },
			want: `open
may lack the policy that the Lambda authorizer answers: {"Sid":"InvokeAPI","Effect":"Allow","Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:eu-west-1:333333333333:books00001/prod/GET/lambda"}`,
		},
		{
			name: "a deleted role", api: open, with: func(l *lab) { l.sim.Account(ordersID).RemoveRole("app") },
			want: "denied\nlacks " + callerSide,
		},
		{
			name: "a policy that is not understood", role: allow, api: awssim.RESTAPI{Policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Maybe"}]}`},
			want: "open\nmay lack " + theAPISide + "\nunseen the resource policy of API books00001",
		},
		{name: "the management account, which no service control policy reaches", api: open, with: func(l *lab) {
			l.org.AddSCP("no-books", denyBooks, l.org.Root())
			l.sim.Account(securityID).AddRole(awssim.Role{Name: "app", Policies: []string{invokeOther}})
			l.call.Caller = "arn:aws:sts::111111111111:assumed-role/app/s"
		}, want: strings.ReplaceAll("denied\nlacks "+theAPISide, "222222222222:role", "111111111111:role")},
		{name: "open connections", role: allow, api: open, with: func(l *lab) {
			l.sim.Account(catalogID).Region(region).AddWebSocketAPI(awssim.API{ID: "chat000001", Routes: []awssim.Route{{Key: "$connect", Authorization: "AWS_IAM"}}, Stages: []awssim.Stage{{Name: "prod"}}})
			l.call.API, l.call.Action, l.call.Method, l.call.Path = "chat000001", "execute-api:ManageConnections", "POST", "@connections/abc="
		}, want: `denied
lacks a role of account 333333333333 that the caller assumes first (--role-arn): {"Sid":"InvokeAPI","Effect":"Allow","Action":"execute-api:ManageConnections","Resource":"arn:aws:execute-api:eu-west-1:333333333333:chat000001/prod/*/@connections/*"}`},
		{name: "a method without authorization", api: open, with: func(l *lab) {
			l.call.Path, l.call.Anonymous, l.call.Caller = "open", true, ""
		}, want: `denied
lacks the resource policy of API books00001 (books) in account 333333333333: {"Sid":"Everyone","Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:eu-west-1:333333333333:books00001/prod/GET/open"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, test.role, test.api)
			if test.with != nil {
				test.with(l)
			}
			got := summary(l.explain())
			for part := range strings.FieldsSeq(got) {
				if strings.HasPrefix(part, "ou-") {
					got = strings.ReplaceAll(got, strings.TrimSuffix(part, ":"), "OU")
				}
				if strings.HasPrefix(part, "(p-") {
					got = strings.ReplaceAll(got, " "+part+" of "+l.org.Root(), "")
				}
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// In one account either side is enough, and an HTTP API lets no other account in.
func TestVerdictOfOneAccountAndOfHTTP(t *testing.T) {
	t.Parallel()
	l := newLab(t, awssim.Role{}, awssim.RESTAPI{})
	l.sim.Account(ordersID).Region(region).AddRESTAPI(awssim.RESTAPI{
		ID: "own0000001", Resources: []awssim.Resource{{Path: "/x", Methods: []awssim.Method{{HTTPMethod: "ANY", Authorization: "AWS_IAM"}}}}, Stages: []awssim.Stage{{Name: "v1"}},
	})
	l.call.API, l.call.Owner, l.call.Stage, l.call.Path = "own0000001", "2222", "v1", "x"
	v := l.explain()
	if v.Outcome != OutcomeDenied || len(v.Lacks) != 1 || v.Lacks[0].Or == nil || !strings.Contains(v.Lacks[0].Or.Note, "the API has no resource policy yet") {
		t.Errorf("in one account: %s", summary(v))
	}

	l.sim.Account(catalogID).Region(region).AddHTTPAPI(awssim.API{
		ID: "http000001", Routes: []awssim.Route{{Key: "GET /items/{id}", Authorization: "AWS_IAM"}}, Stages: []awssim.Stage{{Name: "$default"}},
	})
	l.call = Call{Caller: appSession, Action: "execute-api:Invoke", Partition: "aws", Region: region, API: "http000001", Method: "GET", Path: "items/3", OwnSession: true}
	v = l.explain()
	want := `denied
lacks a role of account 333333333333 that the caller assumes first (--role-arn): {"Sid":"InvokeAPI","Effect":"Allow","Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:eu-west-1:333333333333:http000001/$default/GET/items/*"}`
	if d := cmp.Diff(want, summary(v)); d != "" || v.Route != "/items/{id}" || v.Auth != iam.AuthIAM {
		t.Errorf("an HTTP API of another account: %s", d)
	}
}

// What is not permitted to be read is told with the permission that would show it,
// and hides nothing else.
func TestUnseenNamesThePermission(t *testing.T) {
	t.Parallel()
	l := newLab(t, awssim.Role{Inline: map[string]string{"books": invokeOther}}, awssim.RESTAPI{Policy: byAccount})
	l.sim.Account(ordersID).AddRole(awssim.Role{Name: "Half", Allow: []string{"iam:ListRolePolicies", "iam:GetRolePolicy"}})
	l.sim.Account(catalogID).AddRole(awssim.Role{Name: "Blind"})
	l.reader.Viewers = []Viewer{l.viewer(ordersID, "Half"), l.viewer(catalogID, "Blind")}
	v := l.explain()
	if v.Outcome != OutcomeOpen || len(v.Unseen) != 3 {
		t.Fatalf("%s", summary(v))
	}
	for what, statement := range map[string]string{
		"the permissions boundary of role app, if it has one, which managed policies are attached to role app": `{"Effect":"Allow","Action":["iam:GetRole","iam:ListRolePolicies","iam:GetRolePolicy","iam:ListAttachedRolePolicies","iam:GetPolicy","iam:GetPolicyVersion"],"Resource":["arn:aws:iam::222222222222:role/*","arn:aws:iam::222222222222:policy/*"]}`,
		"the resource policy of API books00001":                `{"Effect":"Allow","Action":"apigateway:GET","Resource":"arn:aws:apigateway:eu-west-1::/restapis/books00001*"}`,
		"the service control policies of account 222222222222": `{"Effect":"Allow","Action":["organizations:DescribeOrganization","organizations:ListParents","organizations:ListPoliciesForTarget","organizations:DescribePolicy"],"Resource":"*"}`,
	} {
		i := slices.IndexFunc(v.Unseen, func(u Unseen) bool { return u.What == what })
		if i < 0 {
			t.Errorf("nothing of %s\n%s", what, summary(v))
			continue
		}
		if d := cmp.Diff(statement, v.Unseen[i].Statement()); d != "" || !strings.Contains(v.Unseen[i].Why, "AccessDenied") {
			t.Errorf("%s: %s %s", what, v.Unseen[i].Why, d)
		}
	}
}

// Both readers find the same policies of a principal.
func TestReadPermissions(t *testing.T) {
	t.Parallel()
	l := newLab(t, awssim.Role{
		Path: "/team/", Inline: map[string]string{"books": invokeOther}, PermissionsBoundary: onlyLogs, Tags: map[string]string{"team": "shop"},
		ManagedPolicies: []string{"arn:aws:iam::222222222222:policy/shared"},
	}, awssim.RESTAPI{})
	a := l.sim.Account(ordersID)
	a.AddPolicy("shared", denyBooks)
	a.AddPolicy("shared", invokeOther)
	a.AddGroup(awssim.Group{Name: "devs", Policies: []string{onlyLogs}, ManagedPolicies: []string{"arn:aws:iam::222222222222:policy/shared"}})
	a.AddUser(awssim.User{Name: "ann", Groups: []string{"devs"}, Policies: []string{denyBooks}})
	cfg := l.viewer(ordersID, "Look").Config(region)
	all := ReadPermissions(t.Context(), cfg, ordersID)
	if len(all.Unseen) != 0 || len(all.Principals) != 3 {
		t.Fatalf("%d principals, unseen %+v", len(all.Principals), all.Unseen)
	}
	for _, arn := range []string{appSession, "arn:aws:iam::222222222222:user/ann"} {
		who, err := iam.ParsePrincipal(arn)
		if err != nil {
			t.Fatal(err)
		}
		one, same := ReadPrincipal(t.Context(), cfg, who), all.Principal(who)
		if same == nil {
			t.Fatalf("no %s", arn)
		}
		titles := func(p *Principal) []string {
			out := []string{p.ARN, p.ID, p.Tags["team"]}
			for i := range p.Identity {
				out = append(out, p.Identity[i].Title+" "+string(p.Identity[i].Document.JSON()))
			}
			if p.Boundary != nil {
				out = append(out, p.Boundary.Title)
			}
			if p.Trust != nil {
				out = append(out, p.Trust.Title)
			}
			slices.Sort(out)
			return out
		}
		if d := cmp.Diff(titles(one), titles(same)); d != "" || len(one.Unseen)+len(same.Unseen) != 0 {
			t.Errorf("%s (-one +all)\n%s\n%+v %+v", arn, d, one.Unseen, same.Unseen)
		}
		if len(one.Policies().Identity) != len(one.Identity) || (one.Boundary != nil) != (one.Policies().Boundary.Policy != nil) {
			t.Errorf("%s: the compiled policies are not all: %+v", arn, one.Policies())
		}
	}
	blind := ReadPermissions(t.Context(), l.viewer(catalogID, "Look").Config(region), catalogID)
	l.sim.Account(catalogID).AddRole(awssim.Role{Name: "Look"})
	if blind.Unseen != nil {
		t.Errorf("unseen %+v", blind.Unseen)
	}
	blind = ReadPermissions(t.Context(), l.viewer(catalogID, "Look").Config(region), catalogID)
	if len(blind.Unseen) != 1 || blind.Unseen[0].Statement() != `{"Effect":"Allow","Action":"iam:GetAccountAuthorizationDetails","Resource":"*"}` || blind.Principals != nil {
		t.Errorf("without the permission: %+v", blind)
	}
}

func TestUnescapePolicy(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{\"Version\":\"2012-10-17\",\"Statement\":[{\"Resource\":\"execute-api:\/prod\/GET\/*\"}]}`: `{"Version":"2012-10-17","Statement":[{"Resource":"execute-api:/prod/GET/*"}]}`,
		`{"Version":"2012-10-17"}`: `{"Version":"2012-10-17"}`,
		`{\x"`:                     `{\x"`,
		"":                         "",
	} {
		if got := unescapePolicy(text); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
}
