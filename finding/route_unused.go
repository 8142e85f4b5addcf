package finding

import "slices"

var routeUnused = Rule{
	ID: "route-unused", Title: "Nobody calls the route", Severity: Info, Area: Hygiene, Of: OfRoute,
	Looks: "Whether the route was called in any stage within 31 days. It gives an answer where every stage has logged every call to a log group that was read without a gap all that time, and the stage was not changed in between; else it is not seen. OPTIONS is exempt, and so are the routes of an API that nobody calls at all.",
	Why:   "A route that was forgotten still does what it did, with the checks of the time when it was made. Attackers look for exactly those.",
	Mend: Mend{
		CLI:         "aws apigateway delete-method --region {region} --rest-api-id {api} --resource-id {route_id} --http-method {method}\naws apigateway create-deployment --region {region} --rest-api-id {api} --stage-name STAGE",
		CLIV2:       "aws apigatewayv2 delete-route --region {region} --api-id {api} --route-id {route_id}",
		Terraform:   "# remove the aws_api_gateway_method of {name}, or accept the finding with what it is kept for",
		TerraformV2: "# remove the aws_apigatewayv2_route of {name}, or accept the finding with what it is kept for",
	},
	needs: []Part{PartStages},
	check: func(s *scene) Outcome {
		switch {
		case len(s.api.Stages) == 0:
			return skipped("the API has no stage, so nobody can call it")
		case s.route.preflight():
			return skipped("browsers call it for other routes")
		}
		if s.unwatched() == "" {
			if last := s.api.lastCall(func(*Call) bool { return true }); last.IsZero() || s.now.Sub(last) >= idleAfter {
				return skipped("nobody calls the API at all, which api-unused tells")
			}
		}
		return s.judgeIdle(s.api.lastCall(s.calls))
	},
}

// calls reports whether a call is one of the scene's route. A route that takes every
// path has also those whose path was learned from the calls themselves.
func (s *scene) calls(c *Call) bool {
	of := func(r *Route) bool {
		return c.Route == r.Path && (c.Method == "" || r.Method == "" || r.Method == "ANY" || r.Path == "$default" || c.Method == r.Method)
	}
	if of(s.route) {
		return true
	}
	return s.route.catchAll() && !slices.ContainsFunc(s.api.Routes, func(r Route) bool { return of(&r) })
}
