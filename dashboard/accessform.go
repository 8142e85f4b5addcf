package dashboard

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/ascode"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

// setting is a field of an integration's form for one key of its configuration.
type setting struct {
	Key, Title, Hint string
	Required, Long   bool
	Options          []string // a choice, the first of them for "not said"
	Value            string
}

var clusterSettings = []setting{
	{Key: "cluster_name", Title: "EKS cluster name", Hint: "as aws eks list-clusters shows it", Required: true},
	{Key: "region", Title: "Region", Hint: "eu-west-1"},
	{Key: "account", Title: "Account", Hint: "12 digits; empty: Gatehouse's own"},
	{Key: "aws_role_name", Title: "AWS role name", Hint: "that Gatehouse assumes; a name or an ARN"},
	{Key: "server_url", Title: "Server URL", Hint: "empty: asked of EKS"},
	{Key: "source_profile", Title: "Source profile", Hint: "that people begin from; empty: default"},
	{Key: "certificate_authority", Title: "Certificate authority", Hint: "PEM or base64; empty: asked of EKS", Long: true},
	{Key: "allow_cluster_roles", Title: "Cluster roles that are lent", Hint: "names with *, between commas"},
	{Key: "deny_cluster_roles", Title: "Cluster roles that are never lent", Hint: "names with *, between commas"},
}

// typeSettings are the settings of each type that this page has fields for; every
// other one is a line of its own.
var typeSettings = map[string][]setting{
	"eks-rbac": append(slices.Clone(clusterSettings),
		setting{Key: "access_role_name", Title: "Role that people share", Hint: "empty: gatehouse-k8s-access"},
		setting{Key: "mapping", Title: "How the role is mapped", Options: []string{"", "aws-auth", "access-entry"}},
		setting{Key: "username_template", Title: "Username template", Hint: "gatehouse:{{SessionNameRaw}}"},
	),
	"eks-access-entry": append(slices.Clone(clusterSettings),
		setting{Key: "principal_arn", Title: "Role of each person", Hint: "an ARN with {{person}} in it"},
		setting{Key: "shared_principal", Title: "Several people have one role", Options: []string{"", "true", "false"}},
		setting{Key: "namespaces", Title: "Namespaces", Hint: "names with *, between commas"},
		setting{Key: "principals", Title: "Roles of single people", Hint: "alice@example.com=arn:aws:iam::ACCOUNT:role/NAME, one a line", Long: true},
	),
	"api-gateway": {
		{Key: "account", Title: "Account", Hint: "12 digits", Required: true},
		{Key: "region", Title: "Region", Hint: "eu-west-1", Required: true},
		{Key: "api_id", Title: "APIs", Hint: "ids, between commas", Required: true},
		{Key: "stages", Title: "Stages", Hint: "empty: all"},
		{Key: "role_arn", Title: "Invoker role", Hint: "ARN of the role that Gatehouse assumes"},
		{Key: "role_per_person_path", Title: "Or the path of a role for each person", Hint: "/gatehouse/people/"},
		{Key: "control_role_arn", Title: "Role that ends sessions early", Hint: "ARN; empty: Gatehouse's own credentials there"},
		{Key: "source_identity", Title: "Set the source identity", Options: []string{"", "true", "false"}},
		{Key: "external_id", Title: "External id", Hint: "of the role's trust policy, if it has one"},
	},
}

type integrationForm struct {
	access.Integration
	New      bool
	Types    []option
	Title    string // of the type
	Settings []setting
	Other    string // key = value, one a line
	Kinds    []option
	Keeps    bool   // the type has credentials that are kept in a secret store
	Secret   string // none, kubernetes, aws or environment
	SecretA  string // namespace
	SecretB  string // name
	SecretC  string // region
	SecretD  string // id
	SecretE  string // prefix
	Owners   string // kind value, one a line
	Rotation string
	Cleanup  string
	Count    int // characters of the access details
	Most     int // of them
	Preview  bool
	Fault    *fault
	Back     string
	Action   string
}

func (s *server) integrationNew(w http.ResponseWriter, r *http.Request, _ flow.Person) {
	kind := r.URL.Query().Get("type")
	if types := s.types(""); kind == "" && len(types) > 0 {
		kind = types[0].Value
		if slices.ContainsFunc(types, func(o option) bool { return o.Value == "eks-rbac" }) {
			kind = "eks-rbac"
		}
	}
	s.showIntegrationForm(w, r, 0, &integrationForm{Integration: access.Integration{Type: kind}, New: true})
}

func (s *server) integrationEdit(w http.ResponseWriter, r *http.Request, who flow.Person) {
	v, err := s.Access.Integration(r.Context(), who, r.PathValue("name"))
	if err != nil {
		s.lendFailed(w, r, "The integration", err)
		return
	}
	s.showIntegrationForm(w, r, 0, formOf(&v.Integration))
}

// formOf writes an integration into its form.
func formOf(i *access.Integration) *integrationForm {
	f := &integrationForm{Integration: *i, Secret: "none"}
	if i.RotationDays > 0 {
		f.Rotation = strconv.Itoa(i.RotationDays)
	}
	if i.CleanupDays > 0 {
		f.Cleanup = strconv.Itoa(i.CleanupDays)
	}
	if sec := i.Secret; sec != nil {
		switch {
		case sec.Kubernetes != nil:
			f.Secret, f.SecretA, f.SecretB = "kubernetes", sec.Kubernetes.Namespace, sec.Kubernetes.Name
		case sec.AWS != nil:
			f.Secret, f.SecretC, f.SecretD = "aws", sec.AWS.Region, sec.AWS.SecretID
		default:
			f.Secret, f.SecretE = "environment", sec.Environment
		}
	}
	owners := make([]string, 0, len(i.Owner))
	for _, o := range i.Owner {
		owners = append(owners, o.Kind+" "+o.Value)
	}
	f.Owners = strings.Join(owners, "\n")
	var other []string
	for _, key := range slices.Sorted(maps.Keys(i.Config)) {
		if slices.ContainsFunc(typeSettings[i.Type], func(st setting) bool { return st.Key == key }) {
			continue
		}
		value := i.Config[key]
		if strings.ContainsAny(value, "\n\r\"") {
			value = strconv.Quote(value) // a line has one value
		}
		other = append(other, key+" = "+value)
	}
	f.Other = strings.Join(other, "\n")
	return f
}

func (s *server) showIntegrationForm(w http.ResponseWriter, r *http.Request, status int, f *integrationForm) {
	f.Types, f.Title = s.types(f.Type), cmp.Or(typeTitles[f.Type], f.Type)
	f.Action, f.Back = s.BasePath+integrationsPath, s.BasePath+integrationsPath
	if !f.New {
		f.Back = s.integrationLink(f.Name)
	}
	f.Secret = cmp.Or(f.Secret, "none")
	// An API is lent with roles that Gatehouse assumes; there is nothing to keep.
	f.Keeps = f.Type != "api-gateway"
	f.Count, f.Most = utf8.RuneCountInString(f.AccessDetails), ascode.MaxAccessDetails
	f.Settings = nil
	for _, st := range typeSettings[f.Type] {
		st.Value = f.Config[st.Key]
		f.Settings = append(f.Settings, st)
	}
	for _, t := range s.Access.IntegrationTypes()[f.Type] {
		f.Kinds = append(f.Kinds, option{Value: t.Name, Title: cmp.Or(t.Title, t.Name), Chosen: len(f.ResourceTypes) == 0 || slices.Contains(f.ResourceTypes, t.Name)})
	}
	title := "Connect an integration"
	if !f.New {
		title = "Settings of " + f.Name
	}
	s.render(w, r, status, "accessform", s.shell(r, title, integrationsPath, f))
}

// readForm reads an integration from its form. What cannot be read stays in the form.
func (s *server) readForm(v url.Values) (*integrationForm, error) {
	text := func(key string) string { return strings.TrimSpace(strings.ReplaceAll(v.Get(key), "\r\n", "\n")) }
	f := &integrationForm{
		Integration: access.Integration{
			Name: text("name"), Type: text("type"), Config: map[string]string{}, AccessDetails: text("custom_access_details"),
			OwnerTag: text("owner_tag"), OwnerKind: text("owner_kind"), DeleteOrphans: v.Get("delete_orphans") != "",
		},
		Other: text("other"), Secret: text("secret"), SecretA: text("secret_namespace"), SecretB: text("secret_name"), SecretC: text("secret_region"),
		SecretD: text("secret_id"), SecretE: text("secret_prefix"), Owners: text("owner"), Rotation: text("rotation"), Cleanup: text("cleanup"),
	}
	var faults []string
	fail := func(why string) { faults = append(faults, why) }
	var err error
	if f.Version, err = strconv.ParseInt(v.Get("version"), 10, 64); err != nil || f.Version < 0 {
		f.Version = 0
	}
	f.New = f.Version == 0
	for _, st := range typeSettings[f.Type] {
		if value := text("config." + st.Key); value != "" {
			f.Config[st.Key] = value
		}
	}
	for line := range strings.Lines(f.Other) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if unquoted, err := strconv.Unquote(value); err == nil && strings.HasPrefix(value, `"`) {
			value = unquoted
		}
		switch {
		case !ok || key == "" || value == "":
			fail(strconv.Quote(line) + " is no further setting: write a line such as key = value")
		case f.Config[key] != "":
			fail("the setting " + key + " is said twice")
		default:
			f.Config[key] = value
		}
	}
	known := s.Access.IntegrationTypes()[f.Type]
	if kinds := v["resource_type"]; len(kinds) < len(known) {
		f.ResourceTypes = kinds
		if len(kinds) == 0 && len(known) > 0 {
			fail("choose at least one type of resources")
		}
	}
	switch f.Secret {
	case "kubernetes":
		f.Integration.Secret = &access.SecretRef{Kubernetes: &access.KubernetesSecret{Namespace: f.SecretA, Name: f.SecretB}}
	case "aws":
		f.Integration.Secret = &access.SecretRef{AWS: &access.AWSSecret{Region: f.SecretC, SecretID: f.SecretD}}
	case "environment":
		if f.Integration.Secret = (&access.SecretRef{Environment: f.SecretE}); f.SecretE == "" {
			fail("say the prefix of the environment variables with the credentials")
		}
	}
	for line := range strings.Lines(f.Owners) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		kind, value, ok := strings.Cut(line, " ")
		if value = strings.TrimSpace(value); !ok || value == "" {
			fail(strconv.Quote(line) + " is no owner: write a line such as group sre")
			continue
		}
		f.Owner = append(f.Owner, flow.Principal{Kind: kind, Value: value})
	}
	for _, days := range []struct {
		text, what string
		to         *int
	}{{f.Rotation, "credential rotation", &f.RotationDays}, {f.Cleanup, "user clean-up", &f.CleanupDays}} {
		if days.text == "" {
			continue
		}
		if *days.to, err = strconv.Atoi(days.text); err != nil {
			fail("the days of " + days.what + " are no number")
		}
	}
	if len(faults) > 0 {
		return f, badField(errors.New(strings.Join(faults, "; ")))
	}
	return f, nil
}

// integrationSave saves what the form says, over the version that the person saw, and
// has it checked.
func (s *server) integrationSave(w http.ResponseWriter, r *http.Request, who flow.Person) {
	f, err := s.readForm(r.PostForm)
	if r.PostForm.Get("do") == "preview" {
		f.Preview = true
		s.showIntegrationForm(w, r, 0, f)
		return
	}
	if err == nil {
		_, err = s.Access.SaveIntegration(r.Context(), &f.Integration, who, f.Version, "web")
	}
	if err != nil {
		f.Fault = s.faultOf(r.Context(), err)
		if errors.Is(err, access.ErrConflict) {
			f.Fault.Text = "There is an integration of this name already, or somebody changed it since you opened this form. Nothing was saved."
		}
		s.showIntegrationForm(w, r, f.Fault.Status, f)
		return
	}
	s.goOn(w, r, s.integrationLink(f.Name)+"?done=saved")
}
