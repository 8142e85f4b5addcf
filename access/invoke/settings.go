package invoke

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-project/gatehouse/access"
)

// The keys of an integration's Config.
const (
	keyAccount    = "account"
	keyRegion     = "region"
	keyAPI        = "api_id"
	keyStages     = "stages"
	keyRole       = "role_arn"
	keyPersonPath = "role_per_person_path"
	keyControl    = "control_role_arn"
	keyExternalID = "external_id"
	keySource     = "source_identity"
)

var (
	accountShape  = regexp.MustCompile(`^\d{12}$`)
	regionShape   = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$`)
	apiShape      = regexp.MustCompile(`^[a-z0-9]{3,32}$`)
	stageShape    = regexp.MustCompile(`^([A-Za-z0-9_-]{1,128}|\$default)$`)
	roleShape     = regexp.MustCompile(`^arn:aws[a-z-]*:iam::(\d{12}):role/([\w+=,.@-]+/)*[\w+=,.@-]{1,64}$`)
	pathShape     = regexp.MustCompile(`^/([\w+=,.@-]+/){1,16}$`)
	externalShape = regexp.MustCompile(`^[\w+=,.@:/-]{2,}$`)
)

// maxExternalID is how many characters an external id may have.
const maxExternalID = 1224

// settings are an integration's Config, read.
type settings struct {
	integration string
	account     string
	region      string
	apis        []string
	stages      []string // empty: all
	role        string   // ARN; empty where each person has one
	personPath  string   // "/gatehouse/people/"
	control     string   // ARN; empty: the credentials that Gatehouse has in the account
	externalID  string
	source      bool
}

var settingKeys = []string{keyAccount, keyRegion, keyAPI, keyStages, keyRole, keyPersonPath, keyControl, keyExternalID, keySource}

func field(key, mend, format string, args ...any) error {
	return fmt.Errorf("config.%s: %s; %s", key, fmt.Sprintf(format, args...), mend)
}

func readSettings(i *access.Integration) (*settings, error) {
	for key := range i.Config {
		if !slices.Contains(settingKeys, key) {
			return nil, field(key, "the settings are "+strings.Join(settingKeys, ", "), "it is no setting of the type %s", Type)
		}
	}
	get := func(key string) string { return strings.TrimSpace(i.Config[key]) }
	s := &settings{
		integration: i.Name, account: get(keyAccount), region: get(keyRegion), apis: list(get(keyAPI)), stages: list(get(keyStages)),
		role: get(keyRole), personPath: get(keyPersonPath), control: get(keyControl), externalID: get(keyExternalID),
	}
	switch {
	case !accountShape.MatchString(s.account):
		return nil, field(keyAccount, "write the 12 digits of the API's account", "%q is not an account", s.account)
	case !regionShape.MatchString(s.region):
		return nil, field(keyRegion, "write it as eu-west-1", "%q is not a region", s.region)
	case len(s.apis) == 0:
		return nil, field(keyAPI, "write the id of an API, or several with commas", "it is missing")
	case s.role == "" && s.personPath == "":
		return nil, field(keyRole, "write the ARN of the invoker role; gatehouse deploy terraform api-lending makes one", "it is missing")
	case s.role != "" && s.personPath != "":
		return nil, field(keyPersonPath, "leave out one of them", "there is a role for all, and a path of roles for each person")
	case s.personPath != "" && !pathShape.MatchString(s.personPath):
		return nil, field(keyPersonPath, "write it as /gatehouse/people/", "%q is not the path of roles", s.personPath)
	case s.externalID != "" && (len(s.externalID) > maxExternalID || !externalShape.MatchString(s.externalID)):
		// It is not repeated: some treat it as a secret.
		return nil, field(keyExternalID, "it has 2 to 1,224 letters, digits and +=,.@:/-", "it is not an external id")
	case i.Secret != nil:
		return nil, fmt.Errorf("secret_store: the type %s has none; leave it out: gatehouse assumes roles", Type)
	}
	for _, id := range s.apis {
		if !apiShape.MatchString(id) {
			return nil, field(keyAPI, "write it as in the host name of the API", "%q is not the id of an API", id)
		}
	}
	for _, stage := range s.stages {
		if !stageShape.MatchString(stage) {
			return nil, field(keyStages, "write names of stages with commas, or leave it out for all", "%q is not a stage", stage)
		}
	}
	for key, arn := range map[string]string{keyRole: s.role, keyControl: s.control} {
		if arn == "" {
			continue
		}
		match := roleShape.FindStringSubmatch(arn)
		if match == nil {
			return nil, field(key, "write it as arn:aws:iam::111122223333:role/NAME", "%q is not the ARN of a role", arn)
		}
		if match[1] != s.account {
			return nil, field(key, "name a role of the API's account", "the role is in account %s, and the API in %s", match[1], s.account)
		}
	}
	if text := get(keySource); text != "" {
		on, err := strconv.ParseBool(text)
		if err != nil {
			return nil, field(keySource, "write true or false", "%q is neither", text)
		}
		s.source = on
	}
	return s, nil
}

func list(text string) []string {
	var out []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" && !slices.Contains(out, item) {
			out = append(out, item)
		}
	}
	return out
}

// roleOf is the role that a session is of.
func (s *settings) roleOf(partition, session string) (string, error) {
	if s.personPath == "" {
		return s.role, nil
	}
	return "arn:" + partition + ":iam::" + s.account + ":role" + s.personPath + session, nil
}

func roleName(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
