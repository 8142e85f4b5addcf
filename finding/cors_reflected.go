package finding

import (
	"regexp"
	"slices"
	"strings"
)

var corsReflected = Rule{
	ID: "cors-reflected", Title: "The allowed origin is whichever the caller names", Severity: Medium, Area: Exposure, Of: OfAPI,
	Types: []APIType{REST},
	Looks: "Gateway responses that map the request's Origin header into Access-Control-Allow-Origin, and mapping templates that set it so, with the conditions around them: whether a stranger's origin fulfils them.",
	Why:   "It looks like a list of origins and is a *: every page may read the answers. With credentials, which * would forbid, every page acts as the user who visits it.",
	Mend: Mend{
		CLI:       "aws apigateway update-integration-response --region {region} --rest-api-id {api} --resource-id RESOURCE --http-method METHOD --status-code 200 --patch-operations \"op=replace,path=/responseParameters/method.response.header.Access-Control-Allow-Origin,value='https://app.example.com'\"\naws apigateway update-gateway-response --region {region} --rest-api-id {api} --response-type DEFAULT_4XX --patch-operations \"op=replace,path=/responseParameters/gatewayresponse.header.Access-Control-Allow-Origin,value='https://app.example.com'\"",
		Terraform: "# in the template: the origins by name\n#if($origin == \"https://app.example.com\")\n#set($context.responseOverride.header.Access-Control-Allow-Origin = $origin)\n#end\n# in aws_api_gateway_gateway_response\nresponse_parameters = {\n  \"gatewayresponse.header.Access-Control-Allow-Origin\" = \"'https://app.example.com'\"\n}",
	},
	needs: []Part{PartRoutes, PartIntegrations, PartResponses},
	check: func(s *scene) Outcome {
		var open, narrow, opaque []Evidence
		for _, o := range s.api.origins() {
			if strings.HasPrefix(o.value, "method.request.") {
				open = append(open, fact("allowed origin of "+o.where, o.value))
			}
		}
		for i := range s.api.Routes {
			r := &s.api.Routes[i]
			for _, t := range r.CORSTemplates {
				where := "route " + r.Name() + ", " + t.Where
				switch stranger, known := t.stranger(); {
				case stranger != "":
					open = append(open, fact(where, "allows "+stranger))
				case !known:
					opaque = append(opaque, fact(where, "sets the caller's origin under a condition that cannot be judged"))
				default:
					narrow = append(narrow, fact(where, "allows origins by condition"))
				}
			}
		}
		switch {
		case len(open) > 0:
			return failed(open...)
		case len(opaque) > 0:
			return Outcome{NotSeen, opaque}
		case len(narrow) > 0:
			return passed(narrow...)
		case len(s.api.origins()) == 0:
			return skipped("API Gateway sets no CORS headers")
		}
		return passed(fact("allowed origins", "fixed"))
	},
}

// CORSTemplate is a mapping template that sets the allowed origin to the caller's.
type CORSTemplate struct {
	Where string
	// Guards are conditions that all must hold: of each, one regular expression must
	// match the whole origin.
	Guards [][]string
	Opaque bool // there is a condition that was not understood
}

// strangerOrigins are origins that nobody meant. null is that of a page without one,
// which an attacker makes at will.
var strangerOrigins = []string{"https://stranger.example", "http://stranger.example", "null"}

// stranger is an origin of a stranger that the template allows, or ""; known is false
// where that cannot be told.
func (t *CORSTemplate) stranger() (origin string, known bool) {
	guards := make([][]*regexp.Regexp, 0, len(t.Guards))
	tries := strangerOrigins
	for _, patterns := range t.Guards {
		var guard []*regexp.Regexp
		for _, p := range patterns {
			// The template's expressions are Java's. What Go does not know is not judged.
			compiled, err := regexp.Compile("^(?:" + p + ")$")
			if err != nil {
				return "", false
			}
			guard = append(guard, compiled)
			tries = append(slices.Clip(tries), originsLike(p)...)
		}
		guards = append(guards, guard)
	}
	for _, try := range tries {
		if fulfils(try, guards) && !t.Opaque {
			return try, true
		}
	}
	// A condition that was not understood can only narrow what the others let in.
	return "", !t.Opaque || len(guards) > 0 && !fulfilsAny(tries, guards)
}

func fulfilsAny(tries []string, guards [][]*regexp.Regexp) bool {
	for _, try := range tries {
		if fulfils(try, guards) {
			return true
		}
	}
	return false
}

func fulfils(origin string, guards [][]*regexp.Regexp) bool {
	for _, guard := range guards {
		matched := false
		for _, p := range guard {
			matched = matched || p.MatchString(origin)
		}
		if !matched {
			return false
		}
	}
	return true
}

// originsLike are origins of a stranger that look like those that a pattern means: its
// name as the beginning of his, and as the end of his where no dot stands before it.
func originsLike(pattern string) []string {
	text := strings.NewReplacer(`\.`, ".", `\-`, "-", `\/`, "/", `\:`, ":", "^", "", "$", "").Replace(pattern)
	_, host, found := strings.Cut(text, "://")
	if !found {
		host = strings.TrimPrefix(text, ".*")
	}
	plain := strings.NewReplacer(".*.", "app.", ".+.", "app.", ".*", "app", ".+", "app").Replace(host)
	plain = strings.Trim(plain, ".")
	if plain == "" || strings.ContainsAny(plain, `()[]{}|?*+\ `) {
		return nil
	}
	out := []string{"https://" + plain + ".stranger.example", "http://" + plain + ".stranger.example"}
	for _, any := range []string{".*", ".+"} {
		if _, tail, ok := strings.Cut(text, any); ok && tail != "" && tail[0] != '.' && tail[0] != ':' && tail[0] != '/' && !strings.ContainsAny(tail, `()[]{}|?*+\ `) {
			out = append(out, "https://strange-"+tail, "http://strange-"+tail)
		}
	}
	return out
}
