package awssim

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// clusterUpdate is a change of a cluster's configuration that takes a while.
type clusterUpdate struct {
	id      string
	mode    string // the authentication mode that it sets
	created time.Time
	ends    time.Time
	done    bool
}

// finishUpdates puts into effect what has had its time. The region is locked.
func (c *cluster) finishUpdates(now time.Time) {
	for _, u := range c.updates {
		if !u.done && !u.ends.After(now) {
			c.fields = c.fieldsAt(now)
			u.done = true
		}
	}
}

// fieldsAt are the cluster's fields as they are at a time.
func (c *cluster) fieldsAt(now time.Time) Object {
	fields := c.fields
	for _, u := range c.updates {
		if u.done {
			continue
		}
		fields = maps.Clone(fields)
		if u.ends.After(now) {
			fields["status"] = "UPDATING"
			continue
		}
		config, _ := fields["accessConfig"].(Object)
		config = maps.Clone(config)
		if config == nil {
			config = Object{}
		}
		config["authenticationMode"] = u.mode
		fields["accessConfig"] = config
	}
	return fields
}

func (u *clusterUpdate) shown(now time.Time) item {
	status := "InProgress"
	if !u.ends.After(now) {
		status = "Successful"
	}
	return item{
		"id": u.id, "status": status, "type": "AccessConfigUpdate", "errors": []item{}, "createdAt": float64(u.created.UnixMilli()) / 1000,
		"params": []item{{"type": "AuthenticationMode", "value": u.mode}},
	}
}

func aboutClusterConfig(x *exchange) error {
	if err := aboutCluster(x); err != nil {
		return err
	}
	_, err := eksInput[map[string]json.RawMessage](x)
	return err
}

// updateClusterConfig changes the authentication mode, step by step and never back.
func updateClusterConfig(x *exchange) error {
	in := *input[map[string]json.RawMessage](x)
	kinds := 0
	for name := range in {
		if name != "clientRequestToken" {
			kinds++
		}
	}
	var config struct {
		AuthenticationMode string `json:"authenticationMode"`
	}
	switch raw, ok := in["accessConfig"]; {
	case kinds > 1:
		return invalid("Only one type of update can be allowed.")
	case !ok:
		return invalid("awssim changes the accessConfig of a cluster and nothing else")
	case json.Unmarshal(raw, &config) != nil:
		return &Error{Code: "SerializationException", Message: "accessConfig is not an object with an authenticationMode"}
	}
	var shown item
	err := x.changeCluster(func(r *Region, c *cluster) error {
		now := x.sim.clock()
		for _, u := range c.updates {
			if !u.done {
				return &Error{
					Status: http.StatusConflict, Code: "ResourceInUseException",
					Message: "Cannot AccessConfigUpdate because cluster " + c.name + " currently has update " + u.id + " in progress",
				}
			}
		}
		from, to := c.mode(), config.AuthenticationMode
		if from+" "+to != modeConfigMap+" "+modeAPIConfigMap && from+" "+to != modeAPIConfigMap+" "+modeAPI {
			return invalid("Unsupported authentication mode update from %s to %s", from, to)
		}
		u := &clusterUpdate{id: x.sim.requestID(), mode: to, created: now, ends: now.Add(r.clusterDelays.Update)}
		c.updates = append(c.updates, u)
		shown = u.shown(now)
		// The answer to the call is always that it has begun.
		shown["status"] = "InProgress"
		return nil
	})
	if err != nil {
		return err
	}
	return x.answerJSON(item{"update": shown})
}

func listUpdates(x *exchange) error {
	ids := []string{}
	err := x.atCluster(func(_ *Region, c *cluster) error {
		for _, u := range slices.Backward(c.updates) {
			ids = append(ids, u.id)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return answerEKS(x, "updateIds", ids)
}

func describeUpdate(x *exchange) error {
	var shown item
	err := x.atCluster(func(_ *Region, c *cluster) error {
		i := slices.IndexFunc(c.updates, func(u *clusterUpdate) bool { return u.id == x.args["update"] })
		if i < 0 {
			return eksNotFound("No update found for ID: " + x.args["update"])
		}
		shown = c.updates[i].shown(x.sim.clock())
		return nil
	})
	if err != nil {
		return err
	}
	return x.answerJSON(item{"update": shown})
}

type eksTagsInput struct {
	Tags map[string]string `json:"tags"`
}

// aboutTags names what is tagged. The id of an entry is in its ARN, so that the
// resource is known before it is looked for.
func aboutTags(x *exchange) error {
	in, err := eksInput[eksTagsInput](x)
	if err != nil {
		return err
	}
	x.call.Resource = x.args["arn"]
	tagConditions(x.call.Context, "aws:RequestTag/", in.Tags)
	keys := slices.Sorted(maps.Keys(in.Tags))
	x.condition("aws:TagKeys", append(keys, x.r.URL.Query()["tagKeys"]...)...)
	tags, err := x.changeTags(nil)
	if bad, ok := errors.AsType[*Error](err); ok && bad.Code == "BadRequestException" {
		return err
	}
	// One that does not exist is answered as such to those who may know.
	tagConditions(x.call.Context, "aws:ResourceTag/", tags)
	return nil
}

func eksTagsOf(fields Object) map[string]string {
	switch tags := fields["tags"].(type) {
	case map[string]string:
		return tags
	case Object:
		all := map[string]string{}
		for key, value := range tags {
			all[key], _ = value.(string)
		}
		return all
	}
	return nil
}

// changeTags changes the tags of the cluster or access entry of the call, and returns
// them as they are then; change nil: it reads them.
func (x *exchange) changeTags(change func(tags map[string]string)) (map[string]string, error) {
	// arn:aws:eks:REGION:ACCOUNT:cluster/NAME, or …:access-entry/NAME/…
	part := strings.SplitN(x.args["arn"], ":", 6)
	if len(part) < 6 || part[2] != "eks" {
		return nil, badRequest("The resourceArn is not valid: " + x.args["arn"])
	}
	none := notFound("No resource found for ARN: " + x.args["arn"])
	if part[3] != x.region || part[4] != x.account.id {
		return nil, none
	}
	kind, rest, _ := strings.Cut(part[5], "/")
	name, _, _ := strings.Cut(rest, "/")
	r, err := x.reached()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.cluster(name)
	if c == nil {
		return nil, none
	}
	changed := func(fields Object) (Object, map[string]string) {
		tags := orEmpty(maps.Clone(eksTagsOf(fields)))
		if change == nil {
			return fields, tags
		}
		change(tags)
		fields = maps.Clone(fields)
		fields["tags"] = tags
		return fields, tags
	}
	var tags map[string]string
	switch {
	case kind == "cluster" && rest == name:
		c.fields, tags = changed(c.fields)
		return tags, nil
	case kind == "access-entry":
		for i, e := range c.entries {
			if e.fields["accessEntryArn"] != x.args["arn"] {
				continue
			}
			next := *e
			next.fields, tags = changed(e.fields)
			if change != nil {
				entries := slices.Clone(c.entries)
				entries[i] = &next
				c.write(entries, x.sim.clock(), r.clusterDelays.Entries)
			}
			return tags, nil
		}
	}
	return nil, none
}

func listEKSTags(x *exchange) error {
	tags, err := x.changeTags(nil)
	if err != nil {
		return err
	}
	return x.answerJSON(item{"tags": tags})
}

func tagEKS(x *exchange) error {
	in := input[eksTagsInput](x)
	if len(in.Tags) == 0 {
		return badRequest("The tags must not be empty")
	}
	if _, err := x.changeTags(func(tags map[string]string) { maps.Copy(tags, in.Tags) }); err != nil {
		return err
	}
	return x.answerJSON(item{})
}

func untagEKS(x *exchange) error {
	_, err := x.changeTags(func(tags map[string]string) {
		for _, key := range x.r.URL.Query()["tagKeys"] {
			delete(tags, key)
		}
	})
	if err != nil {
		return err
	}
	return x.answerJSON(item{})
}
