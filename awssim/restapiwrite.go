package awssim

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
)

// restWriteRoutes are the operations of API Gateway that change REST APIs and their
// resources.
var restWriteRoutes = []route{
	{http.MethodPost, "/restapis", operation{name: "CreateRestApi", run: createRESTAPI}},
	{http.MethodPatch, "/restapis/{api}", operation{name: "UpdateRestApi", run: updateRESTAPI}},
	{http.MethodDelete, "/restapis/{api}", operation{name: "DeleteRestApi", run: deleteRESTAPI}},
	{http.MethodPost, "/restapis/{api}/resources/{resource}", operation{name: "CreateResource", run: createResource}},
	{http.MethodDelete, "/restapis/{api}/resources/{resource}", operation{name: "DeleteResource", run: deleteResource}},
	{http.MethodGet, "/tags/{arn}", operation{name: "GetTags", run: getGatewayTags}},
	{http.MethodPut, "/tags/{arn}", operation{name: "TagResource", run: tagGateway}},
	{http.MethodDelete, "/tags/{arn}", operation{name: "UntagResource", run: untagGateway}},
}

// gatewayInput reads the body of a call of API Gateway.
func gatewayInput[T any](x *exchange) (*T, error) {
	if err := decodeInto[T](x); err != nil {
		return nil, err
	}
	return input[T](x), nil
}

func conflict(text string) *Error {
	return &Error{Status: http.StatusConflict, Code: "ConflictException", Message: text}
}

// changeRESTAPI replaces the API of the call by a changed copy; the region is locked
// meanwhile. Resources are copied, their methods are not: see copyMethods.
func (x *exchange) changeRESTAPI(change func(r *Region, next *restAPI) error) (*restAPI, error) {
	r, err := x.reached()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.rest[x.args["api"]]
	if old == nil {
		return nil, notFound("Invalid API identifier specified " + x.account.id + ":" + x.args["api"])
	}
	next := *old
	next.Resources, next.Stages = slices.Clone(old.Resources), slices.Clone(old.Stages)
	next.Tags, next.parent, next.More = maps.Clone(old.Tags), maps.Clone(old.parent), maps.Clone(old.More)
	if err := change(r, &next); err != nil {
		return nil, err
	}
	r.rest[next.ID] = &next
	return &next, nil
}

type restAPIInput struct {
	Name                   string            `json:"name"`
	Description            string            `json:"description"`
	Policy                 string            `json:"policy"`
	APIKeySource           string            `json:"apiKeySource"`
	DisableEndpoint        bool              `json:"disableExecuteApiEndpoint"`
	BinaryMediaTypes       []string          `json:"binaryMediaTypes"`
	MinimumCompressionSize *int              `json:"minimumCompressionSize"`
	Tags                   map[string]string `json:"tags"`
	Endpoint               struct {
		Types []string `json:"types"`
	} `json:"endpointConfiguration"`
}

func createRESTAPI(x *exchange) error {
	in, err := gatewayInput[restAPIInput](x)
	if err != nil {
		return err
	}
	r, err := x.reached()
	if err != nil {
		return err
	}
	if in.Name == "" {
		return badRequest("Name cannot be empty")
	}
	api := RESTAPI{
		ID: x.sim.randomID(lowerAlnum, 10), Name: in.Name, Description: in.Description, APIKeySource: in.APIKeySource,
		DisableExecuteAPIEndpoint: in.DisableEndpoint, Tags: in.Tags, EndpointType: "EDGE", More: Object{},
	}
	if len(in.Endpoint.Types) > 0 {
		if api.EndpointType, err = endpointType(in.Endpoint.Types[0]); err != nil {
			return err
		}
	}
	if api.Policy, err = x.resourcePolicy(api.ID, in.Policy); err != nil {
		return err
	}
	if len(in.BinaryMediaTypes) > 0 {
		api.More["binaryMediaTypes"] = in.BinaryMediaTypes
	}
	if in.MinimumCompressionSize != nil {
		api.More["minimumCompressionSize"] = *in.MinimumCompressionSize
	}
	r.AddRESTAPI(api)
	x.args = map[string]string{"api": api.ID}
	made, err := x.theRESTAPI()
	if err != nil {
		return err
	}
	return x.answerJSON(made.item())
}

func endpointType(text string) (string, error) {
	if !slices.Contains([]string{"EDGE", "REGIONAL", "PRIVATE"}, text) {
		return "", badRequest("Invalid endpoint type specified. Must be one of: [REGIONAL, EDGE, PRIVATE]")
	}
	return text, nil
}

// resourcePolicy is a resource policy as API Gateway keeps it: a resource in the short
// form, execute-api:/stage/method/path, is converted to the full ARN.
func (x *exchange) resourcePolicy(api, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	malformed := badRequest("Invalid policy document. Please check the policy syntax and ensure that Principals are valid.")
	d, err := iam.Parse(iam.KindResource, []byte(text))
	if err != nil {
		return "", malformed
	}
	base := "arn:" + x.sim.partition + ":execute-api:" + x.region + ":" + x.account.id + ":" + api
	for i := range d.Statements {
		for _, list := range []iam.Strings{d.Statements[i].Resource, d.Statements[i].NotResource} {
			for j, resource := range list {
				if rest, short := strings.CutPrefix(resource, "execute-api:/"); short {
					list[j] = base + "/" + rest
				}
			}
		}
	}
	kept := d.JSON()
	if _, err := iam.ParseAndCompile(iam.KindResource, kept); err != nil {
		return "", malformed
	}
	return string(kept), nil
}

func updateRESTAPI(x *exchange) error {
	changes, err := x.patch()
	if err != nil {
		return err
	}
	api, err := x.changeRESTAPI(func(_ *Region, next *restAPI) error {
		for _, p := range changes {
			if err := x.patchRESTAPI(next, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return x.answerJSON(api.item())
}

func (x *exchange) patchRESTAPI(api *restAPI, p patchOperation) error {
	var err error
	switch path := p.Path; {
	case path == "/policy":
		api.Policy, err = x.resourcePolicy(api.ID, p.Value)
		return err
	case strings.HasPrefix(path, "/binaryMediaTypes/") && p.Op != "replace":
		kind := unpointer(strings.TrimPrefix(path, "/binaryMediaTypes/"))
		have, _ := api.More["binaryMediaTypes"].([]string)
		have = slices.DeleteFunc(slices.Clone(have), func(s string) bool { return s == kind })
		if p.Op == "add" {
			have = append(have, kind)
		}
		api.setMore("binaryMediaTypes", have, len(have) > 0)
		return nil
	case p.Op != "replace":
		return invalidPath(p)
	case path == "/name":
		if p.Value == "" {
			return badRequest("Name cannot be empty")
		}
		api.Name = p.Value
	case path == "/description":
		api.Description = p.Value
	case path == "/apiKeySource":
		api.APIKeySource = p.Value
	case path == "/disableExecuteApiEndpoint":
		if api.DisableExecuteAPIEndpoint, err = strconv.ParseBool(p.Value); err != nil {
			return invalidPath(p)
		}
	case path == "/minimumCompressionSize":
		size, err := strconv.Atoi(p.Value)
		if err != nil && p.Value != "" {
			return invalidPath(p)
		}
		api.setMore("minimumCompressionSize", size, p.Value != "")
	case strings.HasPrefix(path, "/endpointConfiguration/types/"):
		api.EndpointType, err = endpointType(p.Value)
		return err
	default:
		return invalidPath(p)
	}
	return nil
}

func (api *restAPI) setMore(name string, value any, there bool) {
	if api.More == nil {
		api.More = Object{}
	}
	if delete(api.More, name); there {
		api.More[name] = value
	}
}

// unpointer reads a name in a JSON pointer.
func unpointer(name string) string {
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
}

func deleteRESTAPI(x *exchange) error {
	r, err := x.reached()
	if err != nil {
		return err
	}
	if _, err := x.theRESTAPI(); err != nil {
		return err
	}
	r.RemoveAPI(x.args["api"])
	return x.accepted()
}

// accepted answers as most deletes of API Gateway do: with nothing.
func (x *exchange) accepted() error {
	x.w.WriteHeader(http.StatusAccepted)
	return nil
}

func createResource(x *exchange) error {
	in, err := gatewayInput[struct {
		PathPart string `json:"pathPart"`
	}](x)
	if err != nil {
		return err
	}
	var made item
	_, err = x.changeRESTAPI(func(_ *Region, next *restAPI) error {
		i := next.resource(x.args["resource"])
		if i < 0 {
			return notFound("Invalid Resource identifier specified")
		}
		if in.PathPart == "" || strings.Contains(in.PathPart, "/") {
			return badRequest("Resource's path part only allow a-zA-Z0-9._-: or a valid greedy path variable and curly braces at the beginning and the end.")
		}
		res := Resource{ID: x.sim.randomID(lowerAlnum, 6), Path: strings.TrimSuffix(next.Resources[i].Path, "/") + "/" + in.PathPart}
		if slices.ContainsFunc(next.Resources, func(o Resource) bool { return o.Path == res.Path }) {
			return conflict("Another resource with the same parent already has this name: " + in.PathPart)
		}
		next.parent[res.ID] = next.Resources[i].ID
		next.Resources = append(next.Resources, res)
		slices.SortFunc(next.Resources, func(a, b Resource) int { return strings.Compare(a.Path, b.Path) })
		made = next.resourceItem(&res, false)
		return nil
	})
	if err != nil {
		return err
	}
	return x.answerJSON(made)
}

// resource is the place of a resource in the API's list, -1 if it has none of that id.
func (api *restAPI) resource(id string) int {
	return slices.IndexFunc(api.Resources, func(o Resource) bool { return o.ID == id })
}

// deleteResource deletes a resource with all that is under it.
func deleteResource(x *exchange) error {
	_, err := x.changeRESTAPI(func(_ *Region, next *restAPI) error {
		i := next.resource(x.args["resource"])
		if i < 0 {
			return notFound("Invalid Resource identifier specified")
		}
		path := next.Resources[i].Path
		if path == "/" {
			return badRequest("Unable to delete the root resource")
		}
		next.Resources = slices.DeleteFunc(next.Resources, func(o Resource) bool {
			gone := o.Path == path || strings.HasPrefix(o.Path, path+"/")
			if gone {
				delete(next.parent, o.ID)
			}
			return gone
		})
		return nil
	})
	if err != nil {
		return err
	}
	return x.accepted()
}

// tagged finds the tags of the API or stage that the path names by its ARN, and lets
// them be changed.
func (x *exchange) tagged(change func(tags map[string]string) map[string]string) (map[string]string, error) {
	part := strings.SplitN(x.args["arn"], ":", 6)
	if len(part) < 6 || part[2] != "apigateway" || part[3] != x.region {
		return nil, badRequest("Invalid ARN specified in the request")
	}
	path := strings.Split(strings.TrimPrefix(part[5], "/"), "/")
	if len(path) != 2 && len(path) != 4 || path[0] != "restapis" || len(path) == 4 && path[2] != "stages" {
		return nil, badRequest("Invalid ARN specified in the request")
	}
	x.args["api"] = path[1]
	var tags map[string]string
	_, err := x.changeRESTAPI(func(_ *Region, next *restAPI) error {
		if len(path) == 2 {
			next.Tags = change(maps.Clone(next.Tags))
			tags = next.Tags
			return nil
		}
		x.args["stage"] = path[3]
		st, err := x.copyStage(next.Stages)
		if err != nil {
			return err
		}
		st.Tags = change(maps.Clone(st.Tags))
		tags = st.Tags
		return nil
	})
	return tags, err
}

func getGatewayTags(x *exchange) error {
	tags, err := x.tagged(func(tags map[string]string) map[string]string { return tags })
	if err != nil {
		return err
	}
	return x.answerJSON(item{"tags": orEmpty(tags)})
}

func tagGateway(x *exchange) error {
	var in struct {
		Tags map[string]string `json:"tags"`
	}
	if err := json.Unmarshal(x.body, &in); err != nil {
		return &Error{Code: "SerializationException", Message: "the request body is not what the operation takes: " + err.Error()}
	}
	_, err := x.tagged(func(tags map[string]string) map[string]string {
		tags = orEmpty(tags)
		maps.Copy(tags, in.Tags)
		return tags
	})
	return x.noContent(err)
}

func untagGateway(x *exchange) error {
	_, err := x.tagged(func(tags map[string]string) map[string]string {
		for _, key := range x.r.URL.Query()["tagKeys"] {
			delete(tags, key)
		}
		return tags
	})
	return x.noContent(err)
}
