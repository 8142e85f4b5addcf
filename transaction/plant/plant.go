// Package plant writes log events with secrets in every place in which the logs of
// an API can hold one, for tests that look for them in all that Gatehouse stores,
// sends, logs and shows. None of its secrets is real.
package plant

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/url"
	"strings"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// Account, Region and API are where the planted calls were made.
const (
	Account = "111122223333"
	Region  = "eu-central-1"
	API     = "p1a2n3t4e5"
	Stage   = "prod"
)

// Batch is the events of one log group, in order of time.
type Batch struct {
	Group  transaction.Group
	Events []transaction.Event
}

// Secret is one that shows by its shape, wherever it stands.
type Secret struct {
	Name  string
	Value string
	// Mark is a part of the value that must not be seen anywhere.
	Mark string
}

// Secrets lists the secrets that are planted in every place.
func Secrets() []Secret {
	const filler = "q7Vw3Zr9Kx2Lm5Tn8Bp4Hs6Jd1Fg0Yc"
	prefixes := []string{"ghp_", "glpat-", "xoxb-1234567890-", "sk_live_", "AIza", "npm_", "hf_", "shpat_", "sk-proj-", "SG.", "pypi-", "GOCSPX-", "dop_v1_"}
	list := append(make([]Secret, 0, len(prefixes)+8), []Secret{
		{"jwt", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJwbGFudGVkLWp3dCJ9.cGxhbnRlZHNpZ25hdHVyZTE", "cGxhbnRlZHNpZ25hdHVyZTE"},
		{"access key", "AKIAPLANTEDKEYQ7VW3Z", "AKIAPLANTEDKEYQ7VW3Z"},
		{"temporary key", "ASIAPLANTEDKEYQ7VW3Z", "ASIAPLANTEDKEYQ7VW3Z"},
		{"session token", "IQoJb3JpZ2luX2VjEPlanted" + filler + filler, "EPlanted" + filler},
		{"private key", "-----BEGIN PRIVATE KEY-----\nMIIPlanted" + filler + "\n-----END PRIVATE KEY-----", "MIIPlanted" + filler},
		{"bearer", "Bearer planted-opaque-" + filler, "planted-opaque-" + filler},
		{"card", "4556737586899855", "4556737586899855"},
		{"card in groups", "5425 2334 3010 9903", "5425 2334 3010 9903"},
	}...)
	for _, prefix := range prefixes {
		value := prefix + "Planted" + filler + "Zz"
		list = append(list, Secret{strings.TrimRight(prefix, "-_."), value, value[len(prefix):]})
	}
	return list
}

// Named is a secret that nothing but its name shows.
const Named = "plantedsecretvalue"

// Marks lists the texts of which none may come out anywhere.
func Marks() []string {
	secrets := Secrets()
	marks := append(make([]string, 0, len(secrets)+2), Named, "plantedauthorizer")
	for _, s := range secrets {
		marks = append(marks, s.Mark)
	}
	return marks
}

// Batches writes the events of all planted calls. The first event is at from, in
// milliseconds.
func Batches(from int64) []Batch {
	w := &writer{at: from}
	for name, format := range formats {
		w.access = append(w.access, accessLog{name, format})
	}
	for _, s := range Secrets() {
		w.shape(s.Value)
	}
	w.named()
	w.authorizer()
	batches := append(make([]Batch, 0, len(w.access)+2),
		Batch{group("API-Gateway-Execution-Logs_"+API+"/"+Stage, ""), w.execution},
		Batch{group("planted-delivery", ""), w.delivery})
	for _, a := range w.access {
		batches = append(batches, Batch{group("planted-access-"+a.name, a.format), w.records[a.name]})
	}
	return batches
}

func group(name, format string) transaction.Group {
	return transaction.Group{
		Account: Account, Region: Region, Name: name, APIID: API, APIType: transaction.REST, Stage: Stage, AccessFormat: format,
	}
}

// formats are the access-log formats that are used.
var formats = map[string]string{
	"json": `{"requestId":"$context.requestId","userAgent":"$context.identity.userAgent","path":"$context.path","status":"$context.status","error":"$context.error.message","principal":"$context.authorizer.principalId","integration":"$context.integrationErrorMessage","key":"$context.identity.apiKey"}`,
	"clf":  `$context.identity.sourceIp [$context.requestTime] "$context.httpMethod $context.path" $context.status $context.requestId "$context.identity.userAgent"`,
	"csv":  `$context.requestId,$context.status,$context.identity.userAgent`,
	"xml":  `<request id="$context.requestId"><status>$context.status</status><agent>$context.identity.userAgent</agent></request>`,
}

type accessLog struct{ name, format string }

type writer struct {
	at        int64
	calls     int
	events    int
	execution []transaction.Event
	delivery  []transaction.Event
	access    []accessLog
	records   map[string][]transaction.Event
}

func (w *writer) event(message string) transaction.Event {
	w.events++
	w.at++
	return transaction.Event{
		ID: fmt.Sprintf("3%013d%042d", w.at, w.events), Stream: "0123456789abcdef0123456789abcdef",
		Timestamp: w.at, Message: message,
	}
}

// next begins a call and returns its request id.
func (w *writer) next() string {
	w.calls++
	return fmt.Sprintf("91a47ed0-0a0b-4c0d-8e0f-%012d", w.calls)
}

// call writes the execution log of a call with these lines in it.
func (w *writer) call(lines ...string) {
	id := w.next()
	w.lines(id, append(append([]string{"Starting execution for request: " + id, "HTTP Method: POST, Resource Path: /planted"}, lines...), "Method completed with status: 200")...)
}

func (w *writer) lines(id string, lines ...string) {
	for _, l := range lines {
		w.execution = append(w.execution, w.event("("+id+") "+l))
	}
}

// deliver writes the same as delivery records.
func (w *writer) deliver(lines ...string) {
	id := w.next()
	for _, l := range append(append([]string{"Starting execution for request: " + id}, lines...), "Method completed with status: 200") {
		w.delivery = append(w.delivery, w.event(object("requestId", id, "message", "("+id+") "+l)))
	}
}

// record writes an access record in each of the formats.
func (w *writer) record(values map[string]string) {
	if w.records == nil {
		w.records = map[string][]transaction.Event{}
	}
	for _, a := range w.access {
		line := a.format
		id := w.next()
		for name, value := range map[string]string{
			"requestId": id, "requestTime": "01/Jan/2026:00:00:00 +0000", "httpMethod": "POST", "status": "200", "identity.sourceIp": "198.51.100.7",
			"identity.userAgent": "-", "path": "-", "error.message": "-", "authorizer.principalId": "-", "integrationErrorMessage": "-", "identity.apiKey": "-",
		} {
			if v, ok := values[name]; ok {
				value = strings.ReplaceAll(v, "\n", " ")
			}
			line = replaceVariable(line, name, value)
		}
		w.records[a.name] = append(w.records[a.name], w.event(line))
	}
}

// replaceVariable puts a value in the place of a variable whose name does not go
// on.
func replaceVariable(format, name, value string) string {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(format, "$context."+name)
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		if after != "" && (after[0] >= 'a' && after[0] <= 'z' || after[0] >= 'A' && after[0] <= 'Z') {
			b.WriteString("$context." + name)
		} else {
			b.WriteString(value)
		}
		format = after
	}
}

const (
	requestHeaders  = "Method request headers: "
	requestBody     = "Method request body before transformations: "
	requestQuery    = "Method request query string: "
	responseHeaders = "Method response headers: "
	responseBody    = "Method response body after transformations: "
)

// shape plants a secret that shows by its shape.
func (w *writer) shape(secret string) {
	flat := strings.ReplaceAll(secret, "\n", " ")
	w.call(requestHeaders+"{X-Note=see "+flat+" there, Accept=*/*, User-Agent=agent/1 "+flat+"}", requestQuery+"{q=1, note="+flat+"}")
	w.call("Endpoint request URI: https://backend.example.com/x?note="+flat, responseHeaders+"{X-Answer="+flat+", Content-Type=text/plain}")
	w.call("Execution failed due to configuration error: " + secret)
	w.call("Gateway response body: "+object("message", "no: "+secret), "Gateway response headers: {X-Hint="+flat+"}")
	nested := object("inner", secret)
	list, _ := json.Marshal([]any{1, []string{"a", secret}})
	bodies := []struct{ headers, text string }{
		{"application/json", object("note", secret)},
		{"application/json", object("event", nested, "more", object("again", nested))},
		{"application/json", string(list)},
		{"application/json", strings.TrimSuffix(object("note", secret, "z", "rest of it"), `rest of it"}`) + " [TRUNCATED]"},
		{"application/x-www-form-urlencoded", "a=1&note=" + url.QueryEscape(secret) + "&b=2"},
		{"application/x-www-form-urlencoded", "next=" + url.QueryEscape("https://h.example.com/?note="+url.QueryEscape(secret))},
		{"multipart/form-data; boundary=xx", "--xx\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\n" + secret + "\r\n--xx--\r\n"},
		{"application/xml", "<a><note kind=\"x\">" + escapeXML(secret) + "</note></a>"},
		{"text/plain", "a line with " + secret + " in it"},
		{"application/octet-stream", inBase64([]byte(object("note", secret)))},
		{"application/json, Content-Encoding=gzip", inBase64(compressed(object("note", secret)))},
		{"text/plain, Content-Transfer-Encoding=base64", inBase64([]byte("plain words and " + secret))},
		{"application/json", `{"statusCode":200,"isBase64Encoded":true,"body":"` + inBase64([]byte(object("note", secret))) + `"}`},
	}
	for _, b := range bodies {
		w.call(requestHeaders+"{Content-Type="+b.headers+"}", requestBody+b.text)
		w.call(responseHeaders+"{Content-Type="+b.headers+"}", responseBody+b.text)
		w.deliver(requestHeaders+"{Content-Type="+b.headers+"}", requestBody+b.text)
	}
	w.record(map[string]string{"identity.userAgent": "agent " + secret})
	w.record(map[string]string{"path": "/planted/" + flat + "/end", "error.message": secret, "integrationErrorMessage": secret, "authorizer.principalId": flat})
}

// named plants secrets that only their names show.
func (w *writer) named() {
	for _, name := range []string{
		"Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "X-Amz-Security-Token", "X-Auth-Token", "X-Client-Secret", "X-CSRF-Token",
		"X-Session-Id", "X-Amzn-Oidc-Data", "Ocp-Apim-Subscription-Key", "X-Hub-Signature-256", "X-Password",
	} {
		w.call(requestHeaders + "{Accept=*/*, " + name + "=" + Named + ", Host=h.example.com}")
		w.call(requestHeaders + "{" + strings.ToLower(name) + "=sid=1; id=" + Named + ", Host=h.example.com}")
		w.call(responseHeaders + "{Content-Type=text/plain, " + name + "=" + Named)
	}
	w.call(responseHeaders + "{Set-Cookie=a=" + Named + "; Path=/, b=" + Named + "; Secure, Content-Type=text/plain}")
	for _, name := range []string{
		"password", "client_secret", "access_token", "refreshToken", "api_key", "apiKey", "private_key", "passphrase", "credentials", "session_token",
		"cvv", "otp", "secretAccessKey", "id_token", "user[password]", "pass\\u0077ord",
	} {
		plain := strings.ReplaceAll(name, `\u0077`, "w")
		for _, body := range []string{
			`{"` + name + `":"` + Named + `","other":1}`,
			`{"a":{"b":[{"` + name + `" : "` + Named + `"}]}}`,
			`{"a":{"` + name + `":{"v":["` + Named + `"]}}}`,
			`{"` + name + `":"` + Named + " [TRUNCATED]",
			object("event", `{"`+plain+`":"`+Named+`"}`),
			`{"name":"` + plain + `","value":"` + Named + `"}`,
			"a=1&" + plain + "=" + Named + "&b=2",
			"next=" + url.QueryEscape("https://h.example.com/?"+plain+"="+Named+"&x=1"),
			"--xx\r\nContent-Disposition: form-data; name=\"" + plain + "\"\r\n\r\n" + Named + "\r\n--xx--\r\n",
			"--xx\r\nContent-Disposition: form-data; name=" + plain + "\r\nContent-Type: text/plain\r\n\r\n" + Named + "\r\n--xx--\r\n",
			inBase64([]byte(`{"` + name + `":"` + Named + `"}`)),
			inBase64(compressed(`{"` + name + `":"` + Named + `"}`)),
		} {
			w.call(requestBody + body)
			w.deliver(responseBody + body)
		}
		if strings.ContainsAny(name, `\[`) {
			continue
		}
		w.call(requestQuery+"{a=1, "+name+"="+Named+", b=2}", "Endpoint request URI: https://u:"+Named+"@h.example.com/?"+name+"="+Named)
		for _, body := range []string{
			"<a><" + name + ">" + Named + "</" + name + "></a>", "<x:" + name + " a='1'><![CDATA[" + Named + "]]></x:" + name + ">",
			"<" + name + "><v>" + Named + "</v><v>" + Named + "</v></" + name + ">", `<login ` + name + `="` + Named + `"/>`,
			`<param name="` + name + `" value="` + Named + `"/>`, `<param name="` + name + `">` + Named + `</param>`, "<" + name + ">" + Named,
		} {
			w.call(responseBody + body)
		}
		w.record(map[string]string{"path": "/planted?a=1&" + name + "=" + Named, "error.message": "bad " + name + "=" + Named})
	}
	w.record(map[string]string{"identity.apiKey": Named})
}

// authorizer plants secrets in the phase of a Lambda authorizer.
func (w *writer) authorizer() {
	id := w.next()
	w.lines(id,
		"Starting authorizer: k3j2h1 for request: "+id,
		"Incoming identity: plantedauthorizer",
		"Endpoint request URI: https://lambda.eu-central-1.amazonaws.com/plantedauthorizer",
		"Endpoint request headers: {X-Note=plantedauthorizer}",
		`Endpoint request body after transformations: {"type":"TOKEN","authorizationToken":"plantedauthorizer"}`,
		"Sending request to https://lambda.eu-central-1.amazonaws.com/plantedauthorizer",
		`Endpoint response body before transformations: {"context":{"note":"plantedauthorizer"}}`,
		`Authorizer result body before parsing: {"principalId":"u","context":{"note":"plantedauthorizer"}}`,
		"Successfully completed authorizer execution",
		"Starting execution for request: "+id, "HTTP Method: GET, Resource Path: /planted", "Method completed with status: 200")
}

// object writes a JSON object of strings, in the order that is given.
func object(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		b.WriteString([]string{"{", ","}[min(i, 1)])
		for k, text := range pairs[i : i+2] {
			quoted, _ := json.Marshal(text) // strings can always be written
			b.Write(quoted)
			if k == 0 {
				b.WriteByte(':')
			}
		}
	}
	return b.String() + "}"
}

func escapeXML(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a buffer takes all
	return b.String()
}

func inBase64(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

func compressed(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text)) // a buffer takes all
	_ = w.Close()
	return b.Bytes()
}
