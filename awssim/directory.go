package awssim

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const organizationsTarget = "AWSOrganizationsV20161128."

func findOrganizations(x *exchange) (operation, error) {
	name := strings.TrimPrefix(x.r.Header.Get("X-Amz-Target"), organizationsTarget)
	switch name {
	case "ListAccounts":
		return operation{name: name, prepare: decodeInto[listAccountsInput], run: listAccounts}, nil
	case "ListParents":
		return operation{name: name, prepare: decodeInto[childInput], run: listParents}, nil
	case "ListPoliciesForTarget":
		return operation{name: name, prepare: decodeInto[targetInput], run: listPoliciesForTarget}, nil
	case "DescribePolicy":
		return operation{name: name, prepare: decodeInto[policyInput], run: describePolicy}, nil
	case "DescribeOrganization":
		return operation{name: name, run: describeOrganization}, nil
	}
	return operation{}, unknownOperation("organizations:" + name)
}

// decodeInto reads the JSON body into x.input as a *T.
func decodeInto[T any](x *exchange) error {
	in := new(T)
	x.input = in
	if len(x.body) == 0 {
		return nil
	}
	if err := json.Unmarshal(x.body, in); err != nil {
		return &Error{Code: "SerializationException", Message: "the request body is not what the operation takes: " + err.Error()}
	}
	return nil
}

// input returns what prepare has read; prepare and run are paired in one table,
// so a mismatch is a mistake in it.
func input[T any](x *exchange) *T {
	in, ok := x.input.(*T)
	if !ok {
		panic(fmt.Sprintf("awssim: %s has no %T", x.op.name, in))
	}
	return in
}

func (x *exchange) answerJSON(v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding the answer of %s: %w", x.op.name, err)
	}
	kind := "application/json"
	if x.svc.wire == wireJSON {
		kind = "application/x-amz-json-1.1"
	}
	x.w.Header().Set("Content-Type", kind)
	x.answer(http.StatusOK, body)
	return nil
}

// pageToken and readPageToken carry a position in a sorted list to the next
// page. A token tells what it is for, so that one of another list is refused.
func pageToken(kind, after string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(kind + "\x00" + after))
}

func readPageToken(kind, token string) (after string, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return "", false
	}
	return strings.CutPrefix(string(b), kind+"\x00")
}

// page cuts one page out of a list: at most limit entries from the offset that
// the token holds. The next token is empty at the end.
func page[T any](kind, token string, limit int, list []T) (part []T, next string, ok bool) {
	from := 0
	if token != "" {
		text, ok := readPageToken(kind, token)
		if !ok {
			return nil, "", false
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, "", false
		}
		from = min(n, len(list))
	}
	to := min(from+limit, len(list))
	if to < len(list) {
		next = pageToken(kind, strconv.Itoa(to))
	}
	return list[from:to], next, true
}

type listAccountsInput struct {
	NextToken  string
	MaxResults *int
}

func listAccounts(x *exchange) error {
	in := input[listAccountsInput](x)
	org := x.sim.organizationOf(x.account.id)
	if org == nil {
		return notInUse()
	}
	if org.management != x.account.id {
		return &Error{Code: "AccessDeniedException", Message: "You don't have permissions to access this resource."}
	}
	limit := 20
	if in.MaxResults != nil {
		if *in.MaxResults < 1 || *in.MaxResults > 20 {
			return &Error{Code: "InvalidInputException", Message: "You specified an invalid value: MaxResults must be between 1 and 20."}
		}
		limit = *in.MaxResults
	}
	org.mu.RLock()
	members := slices.Clone(org.members)
	org.mu.RUnlock()
	part, next, ok := page("ListAccounts/"+org.id, in.NextToken, limit, members)
	if !ok {
		return &Error{Code: "InvalidInputException", Message: "You specified an invalid value: NextToken."}
	}
	type account struct {
		ID              string  `json:"Id"`
		Arn             string  `json:"Arn"`
		Email           string  `json:"Email"`
		Name            string  `json:"Name"`
		Status          string  `json:"Status"`
		State           string  `json:"State"`
		JoinedMethod    string  `json:"JoinedMethod"`
		JoinedTimestamp float64 `json:"JoinedTimestamp"`
	}
	list := make([]account, 0, len(part))
	for _, id := range part {
		a := x.sim.Account(id)
		a.mu.RLock()
		list = append(list, account{
			ID: id, Arn: org.accountARN(id), Email: a.email, Name: a.name, Status: a.status, State: a.status,
			JoinedMethod: "CREATED", JoinedTimestamp: float64(a.joined.UnixMilli()) / 1000,
		})
		a.mu.RUnlock()
	}
	return x.answerJSON(struct {
		Accounts  []account
		NextToken string `json:",omitempty"`
	}{list, next})
}

func describeOrganization(x *exchange) error {
	org := x.sim.organizationOf(x.account.id)
	if org == nil {
		return notInUse()
	}
	master := x.sim.Account(org.management)
	master.mu.RLock()
	email := master.email
	master.mu.RUnlock()
	return x.answerJSON(map[string]any{"Organization": map[string]any{
		"Id": org.id, "FeatureSet": "ALL",
		"Arn":                "arn:" + x.sim.partition + ":organizations::" + org.management + ":organization/" + org.id,
		"MasterAccountArn":   org.accountARN(org.management),
		"MasterAccountEmail": email, "MasterAccountId": org.management,
		"AvailablePolicyTypes": []any{map[string]string{"Type": "SERVICE_CONTROL_POLICY", "Status": "ENABLED"}},
	}})
}

func (o *Organization) accountARN(id string) string {
	return "arn:" + o.sim.partition + ":organizations::" + o.management + ":account/" + o.id + "/" + id
}

func notInUse() *Error {
	return &Error{Code: "AWSOrganizationsNotInUseException", Message: "Your account is not a member of an organization."}
}

func findAccount(x *exchange) (operation, error) {
	if x.r.Method == http.MethodPost && x.r.URL.Path == "/listRegions" {
		return operation{name: "ListRegions", prepare: decodeInto[listRegionsInput], run: listRegions}, nil
	}
	return operation{}, unknownOperation("account " + x.r.Method + " " + x.r.URL.Path)
}

type listRegionsInput struct {
	AccountID               string `json:"AccountId"`
	MaxResults              *int
	NextToken               string
	RegionOptStatusContains []string
}

func listRegions(x *exchange) error {
	in := input[listRegionsInput](x)
	a := x.account
	if in.AccountID != "" && in.AccountID != a.id {
		org := x.sim.organizationOf(a.id)
		if org == nil || org.management != a.id || !org.has(in.AccountID) {
			return ErrAccessDenied
		}
		a = x.sim.Account(in.AccountID)
	}
	limit := 50
	if in.MaxResults != nil {
		if *in.MaxResults < 1 || *in.MaxResults > 50 {
			return &Error{Code: "ValidationException", Message: "MaxResults must be between 1 and 50"}
		}
		limit = *in.MaxResults
	}
	for _, s := range in.RegionOptStatusContains {
		if !slices.Contains([]string{"ENABLED", "ENABLING", "DISABLING", statusDisabled, "ENABLED_BY_DEFAULT"}, s) {
			return &Error{Code: "ValidationException", Message: "RegionOptStatusContains holds an unknown status: " + s}
		}
	}
	type region struct{ RegionName, RegionOptStatus string }
	var list []region
	for _, name := range a.regionNames() {
		status := a.optStatus(name)
		if len(in.RegionOptStatusContains) == 0 || slices.Contains(in.RegionOptStatusContains, status) {
			list = append(list, region{name, status})
		}
	}
	part, next, ok := page("ListRegions", in.NextToken, limit, list)
	if !ok {
		return &Error{Code: "ValidationException", Message: "NextToken is invalid"}
	}
	return x.answerJSON(struct {
		Regions   []region
		NextToken string `json:",omitempty"`
	}{part, next})
}
