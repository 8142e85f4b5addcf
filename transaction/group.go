package transaction

import "strings"

// CanarySuffix ends the names of the log groups that the calls to a stage's canary are
// logged to, execution logs and access logs alike. They are calls to the stage.
const CanarySuffix = "/Canary"

// NewGroup makes a Group of a log group's name or ARN. An ARN tells the account
// and the region too.
func NewGroup(nameOrARN string) Group {
	rest, ok := strings.CutPrefix(nameOrARN, "arn:")
	if !ok {
		return Group{Name: nameOrARN}
	}
	// arn:partition:logs:region:account:log-group:NAME[:*]
	parts := strings.SplitN(rest, ":", 6)
	if len(parts) != 6 || parts[1] != "logs" || parts[4] != "log-group" {
		return Group{Name: nameOrARN}
	}
	return Group{Region: parts[2], Account: parts[3], Name: strings.TrimSuffix(parts[5], ":*")}
}

// API tells which stage of which API writes to the group, as far as the group
// itself or its name says so, and of which type the API is: REST for the names
// of execution logs, WEBSOCKET for those below /aws/apigateway/. What is not
// known is empty.
func (g *Group) API() (id, stage string, kind APIType) { return g.stageOf() }

// stageOf tells which stage writes to a group, as far as the group itself or its
// name says so. The kind of API that the name suggests is a guess: HTTP APIs
// write their access logs to groups of any name.
func (g *Group) stageOf() (apiID, stage string, guess APIType) {
	apiID, stage, guess = g.APIID, g.Stage, g.APIType
	if rest, ok := strings.CutPrefix(g.Name, "API-Gateway-Execution-Logs"); ok && len(rest) > 1 && (rest[0] == '_' || rest[0] == '/') {
		if id, st, ok := strings.Cut(rest[1:], "/"); ok && id != "" && st != "" {
			st = strings.TrimSuffix(st, CanarySuffix)
			return pick(apiID, id), pick(stage, st), APIType(pick(string(guess), string(REST)))
		}
	}
	if rest, ok := strings.CutPrefix(g.Name, "/aws/apigateway/"); ok {
		if id, st, ok := strings.Cut(rest, "/"); ok && isAPIID(id) && st != "" && !strings.Contains(st, "/") {
			return pick(apiID, id), pick(stage, st), APIType(pick(string(guess), string(WebSocket)))
		}
	}
	return apiID, stage, guess
}

// isExecution reports whether the group has a name that API Gateway gives to
// execution logs.
func (g *Group) isExecution() bool {
	return strings.HasPrefix(g.Name, "API-Gateway-Execution-Logs") || strings.HasPrefix(g.Name, "/aws/apigateway/")
}

// isAPIID reports whether s has the form of an API id: ten lower-case letters
// and digits.
func isAPIID(s string) bool {
	if len(s) != 10 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// pick returns the first of its arguments that is not empty.
func pick(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
