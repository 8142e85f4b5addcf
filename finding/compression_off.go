package finding

import "strconv"

var compressionOff = Rule{
	ID: "compression-off", Title: "Answers are never compressed", Severity: Info, Area: Limits, Of: OfAPI,
	Types: []APIType{REST},
	Looks: "The minimum compression size of REST APIs.",
	Why:   "Large answers cost transfer and time. Where answers mix secrets with what callers choose, leave it off.",
	Mend: Mend{
		CLI:       "aws apigateway update-rest-api --region {region} --rest-api-id {api} --patch-operations op=replace,path=/minimumCompressionSize,value=1024",
		Terraform: "# in aws_api_gateway_rest_api\nminimum_compression_size = 1024",
	},
	Peers: Peers{KICS: []string{"invalid_compression"}, CloudSploit: []string{"content encoding"}},
	check: func(s *scene) Outcome {
		if s.api.MinimumCompression == nil || *s.api.MinimumCompression < 0 {
			return failed(fact("minimum compression size", "none"))
		}
		return passed(fact("minimum compression size", strconv.Itoa(int(*s.api.MinimumCompression))+" bytes"))
	},
}
