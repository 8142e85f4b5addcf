package finding

import "net/http"

var modelMissing = Rule{
	ID: "model-missing", Title: "Bodies are validated against nothing", Severity: Low, Area: Limits, Of: OfAPI,
	Types: []APIType{REST},
	Looks: "Methods whose validator checks the body, and whether they have a request model other than Empty.",
	Why:   "A validator without a model lets every body through and looks as if it did not.",
	Mend: Mend{
		CLI:       "aws apigateway update-method --region {region} --rest-api-id {api} --resource-id RESOURCE --http-method METHOD --patch-operations op=add,path=/requestModels/application~1json,value=MODEL",
		Terraform: "# in aws_api_gateway_method\nrequest_models = {\n  \"application/json\" = aws_api_gateway_model.this.name\n}",
	},
	needs: []Part{PartRoutes, PartValidators},
	check: func(s *scene) Outcome {
		validated := 0
		var bare []Evidence
		for i := range s.api.Routes {
			r := &s.api.Routes[i]
			if !r.ValidatesBody {
				continue
			}
			validated++
			real := false
			for _, model := range r.RequestModels {
				real = real || model != "" && model != "Empty"
			}
			if !real && r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodDelete {
				bare = append(bare, fact("request model of "+r.Name(), "none"))
			}
		}
		if validated == 0 {
			return skipped("no method validates bodies")
		}
		return failed(bare...)
	},
}
