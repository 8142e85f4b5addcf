package deploy

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/access/eks"
)

// world is where the parameters of one draw belong together.
type world struct {
	t         *rapid.T
	partition string
	regions   []string // of the partition
	values    Values
}

// worldRegions are regions of each partition, with the longest names that there are.
var worldRegions = map[string][]string{
	"aws":        {"us-east-1", "eu-west-1", "ap-southeast-2", "il-central-1", "mx-central-1", "ap-northeast-3"},
	"aws-cn":     {"cn-north-1", "cn-northwest-1"},
	"aws-us-gov": {"us-gov-west-1", "us-gov-east-1"},
}

func (w *world) text(name, pattern string) string {
	return rapid.StringMatching(pattern).Draw(w.t, name)
}

func (w *world) choose(name string, from ...string) string {
	return rapid.SampledFrom(from).Draw(w.t, name)
}

func (w *world) flip(name string) bool { return rapid.Bool().Draw(w.t, name) }

func (w *world) account() string { return w.text("account", `[0-9]{11}[1-9]`) }

func (w *world) roleName() string { return w.text("role", `[\w+=.@-]{1,24}|[\w+=.@-]{64}`) }

func (w *world) principal(kind string) string {
	return "arn:" + w.partition + ":iam::" + w.account() + ":" + kind + "/" + w.text("path", `([a-z]{1,8}/)?`) + w.roleName()
}

// some draws a list without doubles; now and then a long one.
func (w *world) some(name string, draw func() string) []string {
	most := 4
	if rapid.IntRange(0, 19).Draw(w.t, name+" many") == 0 {
		most = 60
	}
	var all []string
	for range rapid.IntRange(1, most).Draw(w.t, name+" count") {
		if v := draw(); !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}

const (
	textDNS     = `[a-z]([-a-z0-9]{0,20}[a-z0-9])?`
	textBucket  = `[a-r]([-a-z0-9]{1,20})[a-z0-9]`
	textKey     = `[\w!.*'()/-]{1,40}`
	textGroup   = `/[.\-_/#A-Za-z0-9]{1,40}`
	textStage   = `[A-Za-z0-9_-]{0,10}[A-Za-z0-9][A-Za-z0-9_-]{0,10}`
	textSegment = `(/([A-Za-z0-9._:-]{1,8}|\{[A-Za-z]{1,6}\})){0,3}`
)

// draw is a value of a parameter by its name; lists get some.
func (w *world) draw(name string) []string {
	single := func(v string) []string { return []string{v} }
	region := func() string { return w.choose("region", w.regions...) }
	here := w.values["region"]
	switch name {
	case "account", "api-account":
		return single(w.account())
	case "region", "api-region", "sso-region":
		return single(region())
	case "regions":
		return w.some(name, region)
	case "hub-role", "spoke-roles", "caller-roles":
		return w.some(name, func() string { return w.principal("role") })
	case "caller-users":
		return w.some(name, func() string { return w.principal("user") })
	case "external-id":
		return single(w.text(name, `[\w+=,.@:/-]{2,40}|[\w+=,.@:/-]{600}[\w+=,.@:/-]{624}`))
	case "log-groups":
		return w.some(name, func() string { return w.text(name, textGroup) })
	case "access-log-group":
		return single(w.text(name, textGroup))
	case "spoke-accounts", "caller-accounts":
		return w.some(name, w.account)
	case "caller-role-prefixes":
		return w.some(name, func() string { return w.account() + ":" + w.text(name, `([a-z]{1,8}/)?[\w+=.@-]{1,30}`) })
	case "role-name", "spoke-role-name", "control-role-name", "lender-role-name", "log-role-name":
		return single(w.roleName())
	case "policy-name":
		return single(w.text(name, `[\w+=,.@-]{1,126}`))
	case "roles":
		return w.some(name, w.roleName)
	case "retention-days":
		return single(w.choose(name, "1", "30", "3653"))
	case "kms-key":
		return single("arn:" + w.partition + ":kms:" + here[0] + ":" + w.account() + ":key/" + w.text(name, `[0-9a-f]{8}-[0-9a-f]{12}|mrk-[0-9a-f]{32}`))
	case "oidc-issuer":
		return single("https://oidc.eks.eu-west-1.amazonaws.com/id/" + w.text(name, `[0-9A-F]{32}/?`))
	case "namespace", "service-account":
		return single(w.text(name, textDNS))
	case "organizational-units":
		return w.some(name, func() string { return w.text(name, `ou-[a-z0-9]{4}-[a-z0-9]{8,32}|r-[a-z0-9]{4,32}`) })
	case "call-as":
		return single(w.choose(name, "SELF", "DELEGATED_ADMIN"))
	case "stack-set-name":
		return single(w.text(name, `[A-Za-z][A-Za-z0-9-]{0,127}`))
	case "package-bucket", "state-bucket":
		return single(w.text(name, textBucket))
	case "package-key":
		return single(w.text(name, textKey))
	case "sink":
		return single(w.choose(name, "kafka://b1.example.com:9092,b2.example.com/calls?format=native", "https://calls.example.com/a%20b?format=cequence", "otlps://o.example.com/v1/logs", "stdout:"))
	case "state":
		return single(w.choose(name, "s3", "dynamodb"))
	case "environment":
		return w.some(name, func() string { return w.text(name, `GATEHOUSE_X[A-Z]{1,20}=[\w!#%&()*+./:;<>=?@^|~-]{0,20}`) })
	case "memory":
		return single(w.choose(name, "128", "512", "10240"))
	case "name":
		return single(w.text(name, `[a-z][a-z0-9-]{0,31}`))
	case "api":
		return single(w.text(name, `[a-z0-9]{10}`))
	case "api-type":
		return single(w.choose(name, "REST", "HTTP", "WEBSOCKET"))
	case "stages":
		return w.some(name, func() string { return w.text(name, textStage) })
	case "stage":
		return single(w.text(name, textStage))
	case "methods":
		return w.some(name, func() string { return w.choose(name, "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE") })
	case "paths":
		return w.some(name, func() string { return "/" + strings.TrimPrefix(w.text(name, textSegment), "/") })
	case "path":
		return single("/" + strings.TrimPrefix(w.text(name, `(/[A-Za-z0-9._:-]{1,8}){0,2}(/\{[a-z]{1,6}\+?\})?`), "/"))
	case "runtime":
		return single(w.choose(name, "python3.13", "nodejs22.x"))
	case "handler":
		return single(w.text(name, `[a-z]{1,8}\.[a-z]{1,8}`))
	case "allowed-origin":
		return single(w.text(name, `https?://[a-z][a-z0-9.-]{0,20}[a-z](:[1-9][0-9]{0,3})?`))
	case "cluster":
		return w.some(name, func() string { return w.text(name, `[0-9A-Za-z][A-Za-z0-9_-]{0,30}`) })
	case "permission-sets":
		return w.some(name, func() string { return w.text(name, `[\w+=.@-]{1,32}`) })
	case "saml-provider":
		return single(w.text(name, `[\w.-]{1,128}`))
	case "user-name":
		return single(w.text(name, `[a-d]{1,5}:[\w:@.+=-]{0,8}`) + w.choose(name, "{{SessionName}}", "{{SessionNameRaw}}"))
	case "groups", "lender-group":
		return single(w.text(name, `[f-h][\w:.@-]{0,40}`))
	case "bindable-roles":
		return w.some(name, func() string { return w.text(name, `[A-Za-z0-9][\w:.@-]{0,20}`) })
	case "principals":
		return w.some(name, func() string {
			return "arn:" + w.partition + ":iam::" + w.account() + ":role/" + w.text(name, `([a-z]{1,5}/)?[\w+=.@-]{1,10}(\{\{(person|policy)\}\})?`)
		})
	case "secret":
		return w.some(name, func() string { return w.text(name, `[\w/+=.@-]{1,40}`) })
	case "lend":
		return w.some(name, func() string { return w.choose(name, eks.TypeRBAC, eks.TypeAccessEntry) })
	case "sign-in":
		return single(w.choose(name, "sso", "saml"))
	case "mapping":
		return single(w.choose(name, "access-entry", "aws-auth"))
	}
	return nil
}

// parameters draws valid parameters of a stack: all that it needs, and some of the rest.
func parameters(t *rapid.T, s *Stack) Values {
	w := &world{t: t, values: Values{}}
	w.partition = w.choose("partition", "aws", "aws", "aws-cn", "aws-us-gov")
	w.regions = worldRegions[w.partition]
	for i := range s.Parameters {
		p := &s.Parameters[i]
		if !p.Required && !w.flip(p.Name+" given") {
			continue
		}
		switch {
		case p.Name == "partition" || p.Name == "function-arn" || p.Name == "secret-key": // agree gives them
		case p.Default == "true" || p.Default == "false":
			w.values[p.Name] = []string{w.choose(p.Name, "true", "false")}
		default:
			v := w.draw(p.Name)
			if v == nil {
				t.Fatalf("%s has a parameter %s that nothing draws", s.Name, p.Name)
			}
			w.values[p.Name] = v
		}
	}
	w.values["partition"] = []string{w.partition}
	w.agree(s)
	return w.values
}

// need draws a parameter that is there only if others are.
func (w *world) need(names ...string) {
	for _, name := range names {
		if len(w.values[name]) == 0 {
			w.values[name] = w.draw(name)
		}
	}
}

func (w *world) leave(names ...string) {
	for _, name := range names {
		delete(w.values, name)
	}
}

func (w *world) is(name, value string) bool {
	return len(w.values[name]) > 0 && slices.Contains(w.values[name], value)
}

// agree makes the parameters fit one another.
func (w *world) agree(s *Stack) {
	switch s.Name {
	case "collector-hub":
		if len(w.values["spoke-roles"]) == 0 {
			w.need("spoke-accounts")
		}
	case "collector-lambda":
		seen := map[string]bool{}
		w.values["environment"] = slices.DeleteFunc(w.values["environment"], func(e string) bool {
			name, _, _ := strings.Cut(e, "=")
			was := seen[name]
			seen[name] = true
			return was
		})
	case "logging":
		for i, stage := range w.values["stages"] {
			w.values["stages"][i] = w.text("api", `[a-z0-9]{10}`) + "/" + stage
		}
	case "protected-api":
		w.need("caller-roles")
		if len(w.values["function-arn"]) > 0 || w.flip("function is there") {
			w.leave("package-bucket", "package-key")
			w.values["function-arn"] = []string{"arn:" + w.partition + ":lambda:" + w.values["region"][0] + ":" + w.values["account"][0] + ":function:" + w.text("function", `[\w-]{1,20}(:prod)?`)}
		} else {
			w.need("package-bucket", "package-key")
		}
	case "api-invoker", "api-lending":
		if s.Name == "api-invoker" {
			w.need("caller-accounts")
		}
		if w.is("api-type", "WEBSOCKET") {
			w.leave("methods", "paths", "invalidate-cache")
		} else {
			w.leave("manage-connections")
		}
		if !w.is("api-type", "REST") {
			w.leave("invalidate-cache")
		}
		w.apart("control-role-name", "role-name")
	case "eks-access":
		w.agreeLending()
	}
}

// apart leaves out two names that IAM would not tell apart.
func (w *world) apart(one, other string) {
	if len(w.values[one]) > 0 && len(w.values[other]) > 0 && strings.EqualFold(w.values[one][0], w.values[other][0]) {
		w.leave(one, other)
	}
}

func (w *world) agreeLending() {
	w.need("permission-sets", "saml-provider")
	entries := w.is("lend", eks.TypeAccessEntry)
	if entries {
		w.need("hub-role", "principals")
		w.leave("mapping")
	} else {
		w.leave("principals", "cluster-admin")
	}
	if len(w.values["hub-role"]) > 0 {
		w.need("external-id")
	} else {
		w.leave("external-id", "secret", "bindable-roles")
	}
	w.leave("secret-key")
	if len(w.values["secret"]) > 0 && w.flip("secret-key") {
		w.values["secret-key"] = []string{"arn:" + w.partition + ":kms:" + w.values["region"][0] + ":" + w.account() + ":key/mrk-0123"}
	}
	w.apart("lender-role-name", "role-name")
}

// Every parameter can be drawn, so that a new one is not forgotten here.
func TestEveryParameterIsDrawn(t *testing.T) {
	t.Parallel()
	for _, s := range Stacks() {
		if s.write != nil {
			continue
		}
		for i := range s.Parameters {
			p := &s.Parameters[i]
			if p.Name == "partition" || p.Default == "true" || p.Default == "false" || p.Name == "function-arn" || p.Name == "secret-key" {
				continue
			}
			drawn := 0
			rapid.Check(t, func(rt *rapid.T) {
				if drawn++; drawn > tries() {
					return
				}
				w := &world{t: rt, partition: "aws", regions: worldRegions["aws"], values: one("region", "eu-west-1")}
				for _, v := range w.draw(p.Name) {
					if s.Name == "logging" && p.Name == "stages" {
						v = "a1b2c3d4e5/" + v
					}
					if err := p.check(v); err != nil {
						rt.Fatalf("%s: %s: %v", s.Name, p.Name, err)
					}
				}
				if len(w.draw(p.Name)) == 0 {
					rt.Fatalf("%s: nothing draws %s", s.Name, p.Name)
				}
			})
		}
	}
}
