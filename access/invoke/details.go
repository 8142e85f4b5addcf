package invoke

import (
	"fmt"
	"strings"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// Details are the profile whose credentials Gatehouse vends, and calls to what the grant
// gives.
func (l *Lender) Details(i *access.Integration, g *access.Grant) (access.Details, error) {
	c, err := l.connect(i)
	if err != nil {
		return access.Details{}, err
	}
	name, err := sessionName(g.Person.ID)
	if err != nil {
		return access.Details{}, err
	}
	profile := "gatehouse-" + i.Name
	var text []string
	if i.AccessDetails != "" {
		text = append(text, i.AccessDetails)
	}
	text = append(text, fmt.Sprintf("Gatehouse gives you temporary credentials that sign calls to what you hold on %s, and to nothing else. "+
		"Their session is named %s. They end with what you hold; the AWS CLI and every SDK get new ones from the profile by themselves.", i.Name, name))
	host, method, path, socket := c.example(g)
	d := access.Details{Text: strings.Join(text, "\n\n")}
	add := func(title, language, text string) {
		d.Snippets = append(d.Snippets, access.Snippet{Title: title, Language: language, Text: text})
	}
	add("~/.aws/config", "ini", "[profile "+profile+"]\ncredential_process = gatehouse access creds "+i.Name+"\nregion = "+c.region+"\n")
	url := "https://" + host + path
	if socket {
		add("Connect", "sh", "# Sign the URL wss://"+host+path+" with the profile, service execute-api, and connect with any WebSocket client.\n"+
			"aws configure export-credentials --profile "+profile+" --format env\n")
	} else {
		flag := ""
		if method != "GET" {
			flag = " -X " + method
		}
		add("gatehouse invoke", "sh", "gatehouse invoke"+flag+" --profile "+profile+" '"+url+"'\n")
		add("curl", "sh", "eval \"$(aws configure export-credentials --profile "+profile+" --format env)\"\n"+
			"curl"+flag+" --aws-sigv4 \"aws:amz:"+c.region+":execute-api\" \\\n  --user \"$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY\" \\\n"+
			"  -H \"x-amz-security-token: $AWS_SESSION_TOKEN\" \\\n  '"+url+"'\n")
	}
	add("Any AWS SDK", "sh", "# Sign requests with Signature Version 4, service execute-api, region "+c.region+".\nexport AWS_PROFILE="+profile+"\n")
	return d, nil
}

// example is a call to the first thing of a grant that can be called.
func (c *connection) example(g *access.Grant) (host, method, path string, socket bool) {
	suffix := ".execute-api." + c.region + "." + account.DNSSuffix(c.region)
	host, method, path = c.apis[0]+suffix, "GET", "/STAGE/PATH"
	for n := range g.Items {
		r, err := c.rightOf(g.Items[n].Item)
		if err != nil {
			continue
		}
		host = r.api + suffix
		stage := "/STAGE"
		switch r.stage {
		case "":
		case "$default":
			stage = ""
		default:
			stage = "/" + r.stage
		}
		path = stage + "/PATH"
		switch r.route {
		case "":
		case routeConnect:
			return host, "GET", stage, true
		case routeConnections:
			return host, "POST", stage + "/@connections/CONNECTION_ID", false
		default:
			t := r.template(transaction.REST)
			if t.method != methodAny {
				method = t.method
			}
			segments := make([]string, len(t.segments))
			for i, s := range t.segments {
				if segments[i] = s; isParam(s) {
					segments[i] = strings.ToUpper(strings.Trim(s, "{+}"))
				}
			}
			path = stage + "/" + strings.Join(segments, "/")
		}
		break
	}
	return host, method, path, false
}
