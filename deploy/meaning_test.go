package deploy

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/access/eks"
	"github.com/gatehouse-project/gatehouse/iam"
)

// meaning asks the policies of one stack, written for whatever parameters.
type meaning struct {
	rapid.TB
	in  *input
	out *Output
}

// identity are the documents of one policy, which may be written in several parts.
func (m *meaning) identity(label string) []*iam.Document {
	m.Helper()
	name := regexp.MustCompile(`\A` + label + `(_\d+)?\.policy\z`)
	var all []*iam.Document
	for _, p := range m.out.Policies {
		if name.MatchString(p.Name) {
			all = append(all, p.Document)
		}
	}
	if len(all) == 0 {
		m.Fatalf("there is no policy %s", label)
	}
	return all
}

func (m *meaning) document(name string) []*iam.Document {
	m.Helper()
	for _, p := range m.out.Policies {
		if p.Name == name {
			return []*iam.Document{p.Document}
		}
	}
	m.Fatalf("there is no policy %s", name)
	return nil
}

// everything are policies of the layers that are not asked.
var everything = map[iam.Kind]iam.Attached{
	iam.KindIdentity: opened(iam.KindIdentity, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`),
	iam.KindResource: opened(iam.KindResource, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`),
}

func opened(kind iam.Kind, text string) iam.Attached {
	p, err := iam.ParseAndCompile(kind, []byte(text))
	if err != nil {
		panic(err)
	}
	return iam.Attached{Name: "open", Policy: p}
}

// compiled are the documents as the layer that they belong to.
func (m *meaning) compiled(docs []*iam.Document) (policies iam.Policies) {
	m.Helper()
	for _, d := range docs {
		compiled, err := d.Compile()
		if err != nil {
			m.Fatal(err)
		}
		if d.Kind == iam.KindIdentity {
			policies.Identity = append(policies.Identity, iam.Attached{Name: "asked", Policy: compiled})
		} else {
			policies.Resource = iam.Attached{Name: "asked", Policy: compiled}
		}
	}
	return policies
}

// tells asks and reports what is decided otherwise than wanted. Other layers than that
// of the documents allow all.
func (m *meaning) tells(docs []*iam.Document, caller string, want bool, asks ...ask) {
	m.Helper()
	who, err := iam.ParsePrincipal(caller)
	if err != nil {
		m.Fatal(err)
	}
	policies := m.compiled(docs)
	for _, a := range asks {
		account := strings.Split(a.resource+":::::", ":")[4]
		query, err := iam.Request{
			Principal: who, Action: a.action, Resource: a.resource, ResourceAccount: cmp.Or(account, who.Account), Context: a.context,
		}.Prepare()
		if err != nil {
			m.Fatal(err)
		}
		all := policies
		switch {
		case docs[0].Kind != iam.KindIdentity:
			all.Identity = []iam.Attached{everything[iam.KindIdentity]}
		case account != "" && account != who.Account:
			all.Resource = everything[iam.KindResource]
		}
		if got := all.Decide(query) == iam.Allowed; got != want {
			m.Errorf("%s by %s on %s %v: allowed %v, want %v\n%s", a.action, caller, a.resource, a.context, got, want, docs[0].Pretty())
		}
	}
}

// few are the first, the middle and the last of a list: a policy that was split must
// hold its ends.
func few(all []string) []string {
	if len(all) < 4 {
		return all
	}
	return []string{all[0], all[len(all)/2], all[len(all)-1]}
}

func checkMeaning(tb rapid.TB, e *example, out *Output) {
	tb.Helper()
	s, err := Find(e.stack)
	if err != nil {
		tb.Fatal(err)
	}
	in, err := s.resolve(e.values)
	if err != nil {
		tb.Fatal(err)
	}
	m := &meaning{tb, in, out}
	switch e.stack {
	case "collector-hub":
		m.hub()
	case "collector-spoke":
		m.spoke(in.text("account"))
	case "organization":
		m.spoke(anyAccount)
	case "switcher":
		m.switcher()
	case "collector-lambda":
		m.lambda()
	case "protected-api":
		m.protected()
	case "api-client":
		m.invokes(m.identity("(invoke|more)"), in.arn("iam", "", in.text("account"), "role/x"))
	case "api-invoker":
		m.invokes(m.identity("invoker_invoke"), in.arn("iam", "", in.text("api-account"), "role/x"))
		m.trusts("invoker")
	case "api-lending":
		m.invokes(m.identity("invoker_invoke"), in.arn("iam", "", in.text("api-account"), "role/x"))
		m.invokes(m.identity("bounds"), in.arn("iam", "", in.text("api-account"), "role/x"))
		m.hubTrust("invoker")
		m.hubTrust("control")
	case "eks-access":
		m.eks()
	case "logging":
		role := in.arn("iam", "", in.text("account"), "role/x")
		if in.flag("make-log-role") {
			m.tells(m.document("log_writer.assume_role_policy"), "apigateway.amazonaws.com", true, calls(role, "sts:AssumeRole")...)
			m.tells(m.document("log_writer.assume_role_policy"), "lambda.amazonaws.com", false, calls(role, "sts:AssumeRole")...)
		}
	default:
		tb.Fatalf("nothing is asked of the stack %s", e.stack)
	}
}

func (m *meaning) hub() {
	m.Helper()
	in := m.in
	own := in.arn("iam", "", in.text("account"), "role/"+in.text("role-name"))
	docs := m.identity("hub_assume")
	for _, a := range few(in.list("spoke-accounts")) {
		role := in.arn("iam", "", a, "role/"+in.text("spoke-role-name"))
		m.tells(docs, own, true, calls(role, "sts:AssumeRole")...)
		m.tells(docs, own, false, calls(role, "sts:TagSession", "iam:GetRole")...)
		if near := role + "x"; !slices.Contains(in.list("spoke-roles"), near) {
			m.tells(docs, own, false, calls(near, "sts:AssumeRole")...)
		}
	}
	for _, r := range few(in.list("spoke-roles")) {
		m.tells(docs, own, true, calls(r, "sts:AssumeRole")...)
	}
	issuer := strings.TrimSuffix(strings.TrimPrefix(in.text("oidc-issuer"), "https://"), "/")
	provider := in.arn("iam", "", in.text("account"), "oidc-provider/"+issuer)
	subject := "system:serviceaccount:" + in.text("namespace") + ":" + in.text("service-account")
	claims := func(subject, audience string) map[string][]string {
		return given(issuer+":sub", subject, issuer+":aud", audience)
	}
	trust := m.document("hub.assume_role_policy")
	asked := calls(own, "sts:AssumeRoleWithWebIdentity")
	m.tells(trust, provider, true, with(claims(subject, "sts.amazonaws.com"), asked)...)
	m.tells(trust, provider, false, with(claims(subject+"x", "sts.amazonaws.com"), asked)...)
	m.tells(trust, provider, false, with(claims(subject, "other"), asked)...)
}

// hubTrust lets in the hub's roles with the external id, and nobody else.
func (m *meaning) hubTrust(role string) {
	m.Helper()
	in := m.in
	target := in.arn("iam", "", cmp.Or(in.text("api-account"), in.text("account")), "role/asked")
	docs, asked := m.document(role+".assume_role_policy"), calls(target, "sts:AssumeRole")
	id := given("sts:ExternalId", in.text("external-id"))
	for _, hub := range few(in.list("hub-role")) {
		m.tells(docs, hub, true, with(id, asked)...)
		m.tells(docs, hub, false, asked...)
		m.tells(docs, hub, false, with(given("sts:ExternalId", in.text("external-id")+"x"), asked)...)
		if other := hub + "x"; !slices.Contains(in.list("hub-role"), other) {
			m.tells(docs, other, false, with(id, asked)...)
		}
	}
}

// places are regions that are meant, and one that is not, if there is such a one.
func (m *meaning) places() (meant []string, other string) {
	all := m.in.list("regions")
	if len(all) == 0 {
		return worldRegions[m.in.text("partition")][:1], ""
	}
	return few(all), "xx-other-9"
}

func (m *meaning) spoke(account string) {
	m.Helper()
	m.hubTrust("collector")
	m.reads(m.identity("collector_read"), account, m.in.flag("estate"))
}

// reads asks what a collector may read.
func (m *meaning) reads(docs []*iam.Document, account string, estate bool) {
	m.Helper()
	in := m.in
	own := in.arn("iam", "", account, "role/asked")
	stream := func(region, account, group string) string {
		return in.arn("logs", region, account, "log-group:"+group+":log-stream:x")
	}
	const group = "API-Gateway-Execution-Logs_a1b2c3d4e5/prod"
	at := func(region, path string) string { return in.arn("apigateway", region, "", path) }
	meant, other := m.places()
	for _, region := range meant {
		m.tells(docs, own, true, calls(stream(region, account, group), "logs:FilterLogEvents")...)
		for _, name := range few(in.list("log-groups")) {
			m.tells(docs, own, true, calls(stream(region, account, name), "logs:FilterLogEvents")...)
			m.tells(docs, own, false, calls(stream(region, account, "near"+name), "logs:FilterLogEvents")...)
		}
		m.tells(docs, own, true, calls(at(region, "/restapis/a1b2c3d4e5/stages/prod"), "apigateway:GET")...)
		m.tells(docs, own, false, calls(at(region, "/restapis/a1b2c3d4e5/stages/prod"), "apigateway:PATCH", "apigateway:DELETE")...)
		m.tells(docs, own, false, calls(at(region, "/apikeys"), "apigateway:GET")...)
		m.tells(docs, own, estate, calls(at(region, "/domainnames"), "apigateway:GET")...)
		m.tells(docs, own, false, calls(stream(region, account, "payroll"), "logs:FilterLogEvents")...)
		m.tells(docs, own, false, calls(stream(region, account, group), "logs:DeleteLogGroup")...)
		m.tells(docs, own, false, calls(stream(region, "999988887777", group), "logs:FilterLogEvents")...)
	}
	if other != "" {
		m.tells(docs, own, false, calls(stream(other, account, group), "logs:FilterLogEvents")...)
		m.tells(docs, own, false, calls(at(other, "/restapis"), "apigateway:GET")...)
	}
}

func (m *meaning) switcher() {
	m.Helper()
	in := m.in
	m.hubTrust("switcher")
	account := in.text("account")
	own, docs := in.arn("iam", "", account, "role/asked"), m.identity("switcher_switch")
	at := func(region, path string) string { return in.arn("apigateway", region, "", path) }
	meant, other := m.places()
	for _, region := range meant {
		m.tells(docs, own, true, calls(at(region, "/restapis/a1b2c3d4e5/stages/prod"), "apigateway:GET", "apigateway:PATCH")...)
		m.tells(docs, own, true, calls(at(region, "/account"), "apigateway:PATCH")...)
		m.tells(docs, own, false, calls(at(region, "/restapis/a1b2c3d4e5"), "apigateway:PATCH", "apigateway:DELETE")...)
		for _, name := range few(in.list("log-groups")) {
			m.tells(docs, own, true, calls(in.arn("logs", region, account, "log-group:"+name), "logs:CreateLogGroup", "logs:PutRetentionPolicy")...)
			m.tells(docs, own, false, calls(in.arn("logs", region, account, "log-group:near"+name), "logs:CreateLogGroup")...)
			m.tells(docs, own, false, calls(in.arn("logs", region, account, "log-group:"+name+":log-stream:x"), "logs:FilterLogEvents")...)
		}
	}
	if other != "" {
		m.tells(docs, own, false, calls(at(other, "/restapis/a1b2c3d4e5/stages/prod"), "apigateway:PATCH")...)
	}
	role := in.arn("iam", "", account, "role/"+in.text("log-role-name"))
	m.tells(docs, own, true, calls(role, "iam:PassRole", "iam:CreateRole")...)
	m.tells(docs, own, false, calls(role+"x", "iam:PassRole", "iam:CreateRole", "iam:DeleteRole")...)
	m.tells(docs, own, false, calls(role, "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy")...)
}

func (m *meaning) lambda() {
	m.Helper()
	in := m.in
	account, region, name := in.text("account"), in.text("region"), in.text("name")
	own, docs := in.arn("iam", "", account, "role/"+name), m.identity("function_work")
	if len(in.list("regions")) == 0 {
		in.values["regions"] = []string{region}
	}
	if roles := in.list("spoke-roles"); len(roles) > 0 {
		for _, r := range few(roles) {
			m.tells(docs, own, true, calls(r, "sts:AssumeRole")...)
			if near := r + "x"; !slices.Contains(roles, near) {
				m.tells(docs, own, false, calls(near, "sts:AssumeRole")...)
			}
		}
	} else {
		m.reads(docs, account, in.flag("estate"))
	}
	if in.text("state") == "dynamodb" {
		table := in.arn("dynamodb", region, account, "table/"+name)
		m.tells(docs, own, true, calls(table, "dynamodb:GetItem", "dynamodb:PutItem")...)
		m.tells(docs, own, false, calls(table+"x", "dynamodb:GetItem")...)
	} else {
		bucket := "arn:" + in.text("partition") + ":s3:::" + cmp.Or(in.text("state-bucket"), name+"-"+account+"-"+region)
		m.tells(docs, own, true, calls(bucket+"/gatehouse/cursor", "s3:GetObject", "s3:PutObject")...)
		m.tells(docs, own, false, calls(bucket+"/other", "s3:GetObject")...)
		m.tells(docs, own, false, calls(bucket+"x/gatehouse/cursor", "s3:GetObject")...)
	}
	function := in.arn("lambda", region, account, "function:"+name)
	m.tells(m.identity("schedule_start"), own, true, calls(function, "lambda:InvokeFunction")...)
	m.tells(m.identity("schedule_start"), own, false, calls(function+"x", "lambda:InvokeFunction")...)
}

// concrete is a request's path for a template.
func concrete(path string) string {
	return strings.TrimPrefix(regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(path, "v1"), "/")
}

// takesAll reports whether a path begins with a parameter, which stands for every path.
func takesAll(path string) bool { return strings.HasPrefix(path, "/{") }

// invokes asks what may be called of an API.
func (m *meaning) invokes(docs []*iam.Document, caller string) {
	m.Helper()
	in := m.in
	base := in.arn("execute-api", in.text("api-region"), in.text("api-account"), in.text("api"))
	methods, paths := few(in.list("methods")), few(in.list("paths"))
	asked := func(stage, method, path string) []ask {
		return calls(base+"/"+stage+"/"+method+"/"+path, "execute-api:Invoke")
	}
	if len(methods) == 0 {
		methods = []string{"GET"}
	}
	if len(paths) == 0 {
		paths = []string{"/any/path"}
	}
	for _, stage := range few(in.list("stages")) {
		for _, method := range methods {
			for _, path := range paths {
				m.tells(docs, caller, true, asked(stage, method, concrete(path))...)
				m.tells(docs, caller, false, calls(strings.Replace(base, in.text("api"), "x"+in.text("api"), 1)+"/"+stage+"/"+method+"/"+concrete(path), "execute-api:Invoke")...)
			}
		}
		if len(in.list("methods")) > 0 && !slices.Contains(in.list("methods"), "DELETE") {
			m.tells(docs, caller, false, asked(stage, "DELETE", concrete(paths[0]))...)
		}
		if len(in.list("paths")) > 0 && !slices.ContainsFunc(in.list("paths"), takesAll) {
			m.tells(docs, caller, false, asked(stage, methods[0], "~not/there")...)
		}
	}
	m.tells(docs, caller, false, asked("no~stage", methods[0], concrete(paths[0]))...)
	m.tells(docs, caller, false, calls(base+"/"+in.list("stages")[0], "apigateway:GET", "execute-api:ManageConnections")...)
}

// trusts asks a policy of callers, where it may be with an external id.
func (m *meaning) trusts(role string) {
	m.Helper()
	in := m.in
	docs := m.document(role + ".assume_role_policy")
	asked := calls(in.arn("iam", "", in.text("api-account"), "role/asked"), "sts:AssumeRole")
	if id := in.text("external-id"); id != "" {
		for _, r := range few(in.list("caller-roles")) {
			if slices.Contains(in.list("caller-accounts"), strings.Split(r, ":")[4]) {
				continue
			}
			m.tells(docs, r, false, asked...)
		}
		asked = with(given("sts:ExternalId", id), asked)
	}
	m.callers(docs, asked)
}

// callers asks whether those who are named get in, and others not.
func (m *meaning) callers(docs []*iam.Document, asked []ask) {
	m.Helper()
	in := m.in
	for _, a := range few(in.list("caller-accounts")) {
		m.tells(docs, in.arn("iam", "", a, "role/any"), true, asked...)
	}
	for _, name := range []string{"caller-roles", "caller-users"} {
		for _, r := range few(in.list(name)) {
			m.tells(docs, r, true, asked...)
		}
	}
	for _, p := range few(in.list("caller-role-prefixes")) {
		account, prefix, _ := strings.Cut(p, ":")
		m.tells(docs, in.arn("iam", "", account, "role/"+prefix+"x"), true, asked...)
		if !slices.Contains(in.list("caller-accounts"), account) {
			m.tells(docs, in.arn("iam", "", account, "role/~"+prefix), false, asked...)
		}
	}
	m.tells(docs, in.arn("iam", "", "000000000009", "role/stranger"), false, asked...)
}

func (m *meaning) protected() {
	m.Helper()
	in := m.in
	docs := m.document("api.policy")
	base := in.arn("execute-api", in.text("region"), in.text("account"), "a1b2c3d4e5") + "/"
	for _, method := range in.list("methods") {
		m.callers(docs, calls(base+in.text("stage")+"/"+method+"/"+concrete(in.text("path")), "execute-api:Invoke"))
	}
	for _, a := range few(in.list("caller-roles")) {
		m.tells(docs, a, false, calls(base+"x"+in.text("stage")+"/"+in.list("methods")[0]+"/"+concrete(in.text("path")), "execute-api:Invoke")...)
		if !takesAll(in.text("path")) {
			m.tells(docs, a, false, calls(base+in.text("stage")+"/"+in.list("methods")[0]+"/~"+concrete(in.text("path")), "execute-api:Invoke")...)
		}
	}
}

func (m *meaning) eks() {
	m.Helper()
	in := m.in
	own := in.arn("iam", "", in.text("account"), "role/asked")
	clusters := in.clusterARNs()
	if in.lends(eks.TypeRBAC) {
		docs := m.identity("people_find")
		for _, c := range few(clusters) {
			m.tells(docs, own, true, calls(c, "eks:DescribeCluster")...)
			m.tells(docs, own, false, calls(c, "eks:AccessKubernetesApi", "eks:UpdateClusterConfig")...)
			if !slices.Contains(clusters, c+"x") {
				m.tells(docs, own, false, calls(c+"x", "eks:DescribeCluster")...)
			}
		}
	}
	if len(in.list("hub-role")) == 0 {
		return
	}
	m.hubTrust("lender")
	docs := m.identity("lender_lend")
	for _, c := range few(clusters) {
		m.tells(docs, own, true, calls(c, "eks:DescribeCluster")...)
		m.tells(docs, own, false, calls(c, "eks:DeleteCluster", "eks:UpdateClusterConfig")...)
		if !slices.Contains(clusters, c+"x") {
			m.tells(docs, own, false, calls(c+"x", "eks:DescribeCluster")...)
		}
		name := c[strings.LastIndexByte(c, '/')+1:]
		for _, p := range few(in.list("principals")) {
			role := strings.NewReplacer(personPlace, "alice", policyPlace, "view").Replace(p)
			part := strings.SplitN(role, ":", 6)
			entry := in.arn("eks", in.text("region"), in.text("account"), "access-entry/"+name+"/role/"+part[4]+"/"+strings.TrimPrefix(part[5], "role/")+"/0a1b")
			view := "arn:" + in.text("partition") + ":eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
			power := "arn:" + in.text("partition") + ":eks::aws:cluster-access-policy/" + eks.PowerPolicy
			on := func(policy string) map[string][]string {
				return given("eks:principalArn", role, "eks:policyArn", policy)
			}
			m.tells(docs, own, true, with(on(view), calls(entry, "eks:AssociateAccessPolicy"))...)
			m.tells(docs, own, in.flag("cluster-admin"), with(on(power), calls(entry, "eks:AssociateAccessPolicy"))...)
			m.tells(docs, own, false, with(given("eks:principalArn", role+"~", "eks:policyArn", view), calls(strings.Replace(entry, part[4], "000000000009", 1), "eks:AssociateAccessPolicy"))...)
		}
	}
}
