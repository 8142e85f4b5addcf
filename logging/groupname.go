package logging

// The names of the log groups that stages write to begin so where nobody chose
// another name: the first two are given by API Gateway itself, the others by Enable,
// to groups for access logs and for delivered execution logs. CloudWatch Logs lets
// services write to /aws/vendedlogs/ without a line in a resource policy for each
// group, of which there is room for few.
const (
	restGroups     = "API-Gateway-Execution-Logs"
	v2Groups       = "/aws/apigateway/"
	accessGroups   = "/aws/vendedlogs/apigateway/"
	deliveryGroups = "/aws/vendedlogs/apigateway-execution/"
)

// GroupPrefixes are how the names of log groups begin that API Gateway gives, or
// Enable: whoever reads logs must be allowed to read these, beside groups that the
// stages themselves name.
func GroupPrefixes() []string { return []string{restGroups, v2Groups, accessGroups, deliveryGroups} }
