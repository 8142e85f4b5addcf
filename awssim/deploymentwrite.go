package awssim

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// deploymentRoutes are the operations of API Gateway that make and delete deployments
// and stages of REST APIs.
var deploymentRoutes = []route{
	{http.MethodPost, "/restapis/{api}/deployments", operation{name: "CreateDeployment", run: createDeployment}},
	{http.MethodPatch, "/restapis/{api}/deployments/{deployment}", operation{name: "UpdateDeployment", run: updateDeployment}},
	{http.MethodDelete, "/restapis/{api}/deployments/{deployment}", operation{name: "DeleteDeployment", run: deleteDeployment}},
	{http.MethodPost, "/restapis/{api}/stages", operation{name: "CreateStage", run: createStage}},
	{http.MethodDelete, "/restapis/{api}/stages/{stage}", operation{name: "DeleteStage", run: deleteStage}},
}

// deployments are the deployments of an API: those that were made by a call, and
// those that its stages name. The region is locked.
func (r *Region) deployments(api *restAPI) []Object {
	list := slices.Clone(r.objects["restapis/"+api.ID+"/deployments"])
	for i := range api.Stages {
		st := &api.Stages[i]
		if !slices.ContainsFunc(list, func(o Object) bool { return o["id"] == st.DeploymentID }) {
			list = append(list, Object{"id": st.DeploymentID, "createdDate": epoch(st.Created)})
		}
	}
	return list
}

func (r *Region) setDeployments(api string, list []Object) {
	if r.objects == nil {
		r.objects = map[string][]Object{}
	}
	r.objects["restapis/"+api+"/deployments"] = list
}

func createDeployment(x *exchange) error {
	in, err := gatewayInput[struct {
		StageName   string            `json:"stageName"`
		Description string            `json:"description"`
		Variables   map[string]string `json:"variables"`
	}](x)
	if err != nil {
		return err
	}
	made := Object(item{"id": x.sim.randomID(lowerAlnum, 6), "createdDate": epoch(x.sim.clock())}.set("description", in.Description))
	_, err = x.changeRESTAPI(func(r *Region, next *restAPI) error {
		if err := next.deployable(); err != nil {
			return err
		}
		id, _ := made["id"].(string)
		if in.StageName != "" {
			i := slices.IndexFunc(next.Stages, func(st Stage) bool { return st.Name == in.StageName })
			if i < 0 {
				next.Stages = append(next.Stages, Stage{Name: in.StageName, Variables: in.Variables, Created: x.sim.clock()})
				i = len(next.Stages) - 1
			}
			next.Stages[i].DeploymentID = id
		}
		r.setDeployments(next.ID, append(r.deployments(next), made))
		return nil
	})
	if err != nil {
		return err
	}
	return x.answerJSON(made)
}

// deployable refuses an API that has no methods, or one without an integration.
func (api *restAPI) deployable() error {
	methods := 0
	for i := range api.Resources {
		for j := range api.Resources[i].Methods {
			methods++
			if api.Resources[i].Methods[j].Integration == nil {
				return badRequest("No integration defined for method")
			}
		}
	}
	if methods == 0 {
		return badRequest("The REST API doesn't contain any methods")
	}
	return nil
}

// changeDeployment changes the list of deployments of the API of the call, at the
// place of the one that it names.
func (x *exchange) changeDeployment(change func(api *restAPI, list []Object, i int) ([]Object, error)) error {
	_, err := x.changeRESTAPI(func(r *Region, next *restAPI) error {
		list := r.deployments(next)
		i := slices.IndexFunc(list, func(o Object) bool { return o["id"] == x.args["deployment"] })
		if i < 0 {
			return notFound("Invalid Deployment identifier specified")
		}
		list, err := change(next, list, i)
		if err != nil {
			return err
		}
		r.setDeployments(next.ID, list)
		return nil
	})
	return err
}

func updateDeployment(x *exchange) error {
	changes, err := x.patch()
	if err != nil {
		return err
	}
	var changed Object
	err = x.changeDeployment(func(_ *restAPI, list []Object, i int) ([]Object, error) {
		changed = maps.Clone(list[i])
		for _, p := range changes {
			if p.Path != "/description" || p.Op != "replace" {
				return nil, invalidPath(p)
			}
			changed["description"] = p.Value
		}
		list[i] = changed
		return list, nil
	})
	if err != nil {
		return err
	}
	return x.answerJSON(changed)
}

func deleteDeployment(x *exchange) error {
	err := x.changeDeployment(func(api *restAPI, list []Object, i int) ([]Object, error) {
		if slices.ContainsFunc(api.Stages, func(st Stage) bool { return st.DeploymentID == x.args["deployment"] }) {
			return nil, badRequest("Active stages pointing to this deployment must be moved or deleted")
		}
		return slices.Delete(list, i, i+1), nil
	})
	if err != nil {
		return err
	}
	return x.accepted()
}

func createStage(x *exchange) error {
	in, err := gatewayInput[struct {
		Name         string            `json:"stageName"`
		DeploymentID string            `json:"deploymentId"`
		Description  string            `json:"description"`
		Tracing      bool              `json:"tracingEnabled"`
		Variables    map[string]string `json:"variables"`
		Tags         map[string]string `json:"tags"`
	}](x)
	if err != nil {
		return err
	}
	if in.Name == "" || strings.ContainsAny(in.Name, "/. ") {
		return badRequest("Stage name only allows a-zA-Z0-9_-")
	}
	st := Stage{
		Name: in.Name, DeploymentID: in.DeploymentID, Description: in.Description, Tracing: in.Tracing,
		Variables: in.Variables, Tags: in.Tags, Created: x.sim.clock(),
	}
	_, err = x.changeRESTAPI(func(r *Region, next *restAPI) error {
		if !slices.ContainsFunc(r.deployments(next), func(o Object) bool { return o["id"] == in.DeploymentID }) {
			return badRequest("Deployment id does not exist")
		}
		if slices.ContainsFunc(next.Stages, func(o Stage) bool { return o.Name == in.Name }) {
			return conflict("Stage already exists")
		}
		next.Stages = append(next.Stages, st)
		return nil
	})
	if err != nil {
		return err
	}
	return x.answerJSON(st.restItem())
}

// deleteStage deletes a stage. Its deployment stays.
func deleteStage(x *exchange) error {
	_, err := x.changeRESTAPI(func(r *Region, next *restAPI) error {
		i := slices.IndexFunc(next.Stages, func(st Stage) bool { return st.Name == x.args["stage"] })
		if i < 0 {
			return notFound("Invalid stage identifier specified")
		}
		r.setDeployments(next.ID, r.deployments(next))
		next.Stages = slices.Delete(next.Stages, i, i+1)
		return nil
	})
	if err != nil {
		return err
	}
	return x.accepted()
}
