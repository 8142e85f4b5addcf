package awssim

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

func findSTS(x *exchange) (operation, error) {
	name, err := x.readForm()
	if err != nil {
		return operation{}, err
	}
	switch name {
	case "GetCallerIdentity":
		return operation{name: name, run: getCallerIdentity, free: true}, nil
	case "AssumeRole":
		return operation{name: name, prepare: prepareAssumeRole, further: furtherActions, run: assumeRole}, nil
	case "AssumeRoleWithWebIdentity":
		return operation{name: name, federated: true, prepare: prepareWebIdentity, further: furtherActions, run: assumeRoleWithWebIdentity}, nil
	case "AssumeRoleWithSAML":
		return operation{name: name, federated: true, prepare: prepareSAML, further: furtherActions, run: assumeRoleWithSAML}, nil
	default:
		return operation{}, unknownOperation("sts:" + name)
	}
}

// readForm reads the input of the query protocol, from the body or the URL, and
// returns the operation that it names.
func (x *exchange) readForm() (string, error) {
	form, err := url.ParseQuery(string(x.body))
	if err != nil {
		return "", &Error{Code: "MalformedQueryString", Message: "the request body is not a query string: " + err.Error()}
	}
	if form.Get("Action") == "" {
		form = x.r.URL.Query()
	}
	x.form = form
	return form.Get("Action"), nil
}

// namespaces are the XML namespaces of the services that speak the query protocol.
var namespaces = map[string]string{
	serviceSTS:     "https://sts.amazonaws.com/doc/2011-06-15/",
	serviceIAM:     "https://iam.amazonaws.com/doc/2010-05-08/",
	serviceMetrics: "http://monitoring.amazonaws.com/doc/2010-08-01/",
}

func (x *exchange) answerXML(name string, result any) error {
	type metadata struct {
		ID string `xml:"RequestId"`
	}
	body, err := xml.Marshal(struct {
		XMLName  xml.Name
		Result   any
		Metadata metadata `xml:"ResponseMetadata"`
	}{
		XMLName:  xml.Name{Space: namespaces[x.svc.name], Local: name + "Response"},
		Result:   result,
		Metadata: metadata{x.requestID},
	})
	if err != nil {
		return fmt.Errorf("encoding the answer of %s: %w", name, err)
	}
	x.w.Header().Set("Content-Type", "text/xml")
	x.answer(http.StatusOK, body)
	return nil
}

func getCallerIdentity(x *exchange) error {
	p := x.cred.Principal
	if x.wantsJSON() {
		return x.answerJSON(item{"GetCallerIdentityResponse": item{
			"GetCallerIdentityResult": item{"Account": p.Account, "Arn": p.ARN, "UserId": p.ID},
			"ResponseMetadata":        item{"RequestId": x.requestID},
		}})
	}
	return x.answerXML("GetCallerIdentity", struct {
		XMLName xml.Name `xml:"GetCallerIdentityResult"`
		Arn     string
		UserId  string //nolint:revive // AWS's name on the wire
		Account string
	}{Arn: p.ARN, UserId: p.ID, Account: p.Account})
}

// wantsJSON reports whether STS is asked for JSON in the place of XML, as the
// authenticator of EKS asks.
func (x *exchange) wantsJSON() bool {
	return x.svc.name == serviceSTS && x.r.Header.Get("Accept") == "application/json"
}

// validSessionName reports whether s is [\w+=,.@-]{2,64}.
func validSessionName(s string) bool {
	if len(s) < 2 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_+=,.@-", c) >= 0 {
			continue
		}
		return false
	}
	return true
}
