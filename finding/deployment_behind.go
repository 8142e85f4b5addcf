package finding

import "time"

var deploymentBehind = Rule{
	ID: "deployment-behind", Title: "The stage does not run the newest deployment", Severity: Info, Area: Hygiene, Of: OfStage,
	Looks: "The stage's deployment against the newest of the API. Stages that deploy by themselves are exempt.",
	Why:   "What people read in the console, and what most scanners judge, is not what answers: a fix of a policy or of an authorizer has no effect until it is deployed.",
	Mend: Mend{
		CLI:         "aws apigateway update-stage --region {region} --rest-api-id {api} --stage-name {stage} --patch-operations op=replace,path=/deploymentId,value=DEPLOYMENT",
		CLIV2:       "aws apigatewayv2 update-stage --region {region} --api-id {api} --stage-name {stage} --deployment-id DEPLOYMENT",
		Terraform:   "# in aws_api_gateway_deployment, so that each change makes a new one\ntriggers = {\n  redeploy = sha1(jsonencode(aws_api_gateway_rest_api.this.body))\n}",
		TerraformV2: "# in aws_apigatewayv2_stage\nauto_deploy = true",
	},
	needs: []Part{PartDeployments},
	check: func(s *scene) Outcome {
		switch {
		case s.stage.AutoDeploy:
			return skipped("the stage deploys by itself")
		case len(s.api.Deployments) == 0 || s.stage.DeploymentID == "":
			return skipped("there is nothing to compare")
		}
		newest := &s.api.Deployments[0]
		for i := range s.api.Deployments {
			if s.api.Deployments[i].Created.After(newest.Created) {
				newest = &s.api.Deployments[i]
			}
		}
		if newest.ID == s.stage.DeploymentID {
			return passed(fact("deployment", newest.ID))
		}
		return failed(fact("deployment of the stage", s.stage.DeploymentID), fact("newest deployment", newest.ID+" of "+newest.Created.UTC().Format(time.DateOnly)))
	},
}
