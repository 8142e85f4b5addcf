package estate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
)

// detailsDigest is of all that shows a change of what a deployment makes effective:
// what the listing says, and what the stages run.
func detailsDigest(api *API) string {
	listed := *api
	listed.Stages, listed.Unseen, listed.Secrets = nil, nil, nil
	// Tags say who owns the API and change nothing of how it works.
	listed.Tags = nil
	running := make([]string, 0, len(api.Stages))
	for i := range api.Stages {
		s := &api.Stages[i]
		text := s.Name + "=" + s.DeploymentID
		if s.Canary != nil {
			text += "+" + s.Canary.DeploymentID
		}
		running = append(running, text)
	}
	slices.Sort(running)
	h := sha256.New()
	// Neither can fail: the types are plain, and a hash takes everything.
	_ = json.NewEncoder(h).Encode(listed)
	_ = json.NewEncoder(h).Encode(running)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// sameDetails gives an API that was listed, and whose stages were read, the details
// that it had at the last discovery, and reports whether it could: where nothing
// shows a change, and all was seen then.
func (r *regionReader) sameDetails(api *API) bool {
	if !api.Seen(PartStages) {
		api.DetailsRead = r.now
		return false
	}
	api.Digest = detailsDigest(api)
	was := r.apiBefore(api.ID)
	if was == nil || was.Digest != api.Digest || was.Type != api.Type || len(was.Unseen) > 0 || was.RoutesPartial {
		api.DetailsRead = r.now
		return false
	}
	api.Routes, api.Authorizers, api.Models = was.Routes, was.Authorizers, was.Models
	api.GatewayResponses, api.Deployments, api.DetailsRead = was.GatewayResponses, was.Deployments, was.DetailsRead
	for _, s := range was.Secrets {
		if s.detail() {
			api.Secrets = append(api.Secrets, s)
		}
	}
	for i := range api.Stages {
		s := &api.Stages[i]
		for j := range was.Stages {
			if was.Stages[j].Name == s.Name && was.Stages[j].DeploymentID == s.DeploymentID {
				s.Deployed = was.Stages[j].Deployed
			}
		}
	}
	return true
}

// detail reports whether the secret is in what only a deployment changes.
func (s *Secret) detail() bool {
	return strings.HasPrefix(s.Where, "route ") || strings.HasPrefix(s.Where, "gateway response ") || strings.HasPrefix(s.Where, "deployment ")
}

func (r *regionReader) apiBefore(id string) *API {
	if r.before == nil {
		return nil
	}
	for i := range r.before.APIs {
		if r.before.APIs[i].ID == id {
			return &r.before.APIs[i]
		}
	}
	return nil
}
