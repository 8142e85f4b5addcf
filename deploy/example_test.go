package deploy

import "pgregory.net/rapid"

// example is a stack with parameters that people would give.
type example struct {
	name, stack string
	values      Values
}

const (
	hubARN  = "arn:aws:iam::111122223333:role/GatehouseHub"
	kmsARN  = "arn:aws:kms:eu-west-1:222233334444:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	fnARN   = "arn:aws:lambda:eu-west-1:222233334444:function:orders"
	spokeID = "222233334444"
	place   = "eu-west-1"
)

func one(pairs ...string) Values {
	v := Values{}
	for i := 0; i < len(pairs); i += 2 {
		v[pairs[i]] = append(v[pairs[i]], pairs[i+1])
	}
	return v
}

func examples() []example {
	issuer := "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
	return []example{
		{"hub", "collector-hub", one("account", "111122223333", "oidc-issuer", issuer, "spoke-accounts", "222233334444,333344445555")},
		{"hub of an organization", "collector-hub", one("account", "111122223333", "oidc-issuer", issuer, "spoke-accounts", spokeID, "organization", "true", "spoke-roles", "arn:aws:iam::222233334444:role/GatehouseSwitcher")},
		{"spoke", "collector-spoke", one("account", spokeID, "hub-role", hubARN, "external-id", "x-e2e")},
		{"spoke of a region", "collector-spoke", one("account", spokeID, "hub-role", hubARN, "external-id", "x-e2e", "regions", place, "log-groups", "my-access-logs", "principals", "true", "list-regions", "true")},
		{"organization", "organization", one("account", "111122223333", "region", place, "organizational-units", "ou-ab12-cdefgh34", "hub-role", hubARN, "external-id", "x-e2e")},
		{"lambda", "collector-lambda", one("account", spokeID, "region", place, "package-bucket", "artifacts", "package-key", "gatehouse.zip", "sink", "kafka://broker.example.com:9092/calls?format=native")},
		{"lambda of spokes", "collector-lambda", one("account", spokeID, "region", place, "package-bucket", "artifacts", "package-key", "gatehouse.zip", "sink", "kafka://broker.example.com:9092/calls?format=native",
			"state", "dynamodb", "spoke-roles", "arn:aws:iam::333344445555:role/GatehouseCollector", "external-id", "x-e2e", "environment", "GATEHOUSE_LOG_LEVEL=info")},
		{"logging", "logging", one("account", spokeID, "region", place, "stages", "a1b2c3d4e5/prod,a1b2c3d4e5/dev", "kms-key", kmsARN)},
		{"switcher", "switcher", one("account", spokeID, "hub-role", hubARN, "external-id", "x-e2e", "regions", place, "log-groups", "my-access-logs", "kms", "true", "list-regions", "true")},
		{"switcher of all regions", "switcher", one("account", spokeID, "hub-role", hubARN, "external-id", "x-e2e")},
		{"protected", "protected-api", one("account", spokeID, "region", place, "name", "orders", "path", "/orders/{id}", "methods", "GET,POST", "caller-accounts", "444455556666",
			"caller-role-prefixes", "555566667777:ecs-app-", "package-bucket", "artifacts", "package-key", "orders.zip", "allowed-origin", "https://shop.example.com", "access-log-group", "/aws/apigateway/orders")},
		{"protected root", "protected-api", one("account", spokeID, "region", place, "name", "orders", "caller-roles", "arn:aws:iam::444455556666:role/storefront", "function-arn", fnARN)},
		{"client", "api-client", one("account", "444455556666", "api-account", spokeID, "api-region", place, "api", "a1b2c3d4e5", "stages", "prod", "methods", "GET", "paths", "/orders/{id}", "roles", "storefront")},
		{"client of a stage", "api-client", one("account", "444455556666", "api-account", spokeID, "api-region", place, "api", "a1b2c3d4e5", "stages", "prod")},
		{"invoker", "api-invoker", one("api-account", spokeID, "api-region", place, "api", "a1b2c3d4e5", "stages", "prod", "methods", "GET", "paths", "/orders/{id}",
			"caller-accounts", "444455556666", "caller-users", "arn:aws:iam::444455556666:user/build", "caller-role-prefixes", "555566667777:ecs-app-", "external-id", "x-e2e", "invalidate-cache", "true")},
		{"invoker of a WebSocket API", "api-invoker", one("api-account", spokeID, "api-region", place, "api", "a1b2c3d4e5", "api-type", "WEBSOCKET", "stages", "prod", "caller-accounts", "444455556666", "manage-connections", "true")},
		{"lending", "api-lending", one("api-account", spokeID, "api-region", place, "api", "a1b2c3d4e5", "stages", "prod", "hub-role", hubARN, "external-id", "x-e2e")},
		{"lending a WebSocket API", "api-lending", one("api-account", spokeID, "api-region", place, "api", "a1b2c3d4e5", "api-type", "WEBSOCKET", "stages", "prod", "hub-role", hubARN, "external-id", "x-e2e", "manage-connections", "true")},
		{"people by SSO", "eks-access", one("account", spokeID, "region", place, "cluster", "orders", "permission-sets", "Developers", "sso-region", place)},
		{"people by SAML", "eks-access", one("account", spokeID, "region", place, "cluster", "orders", "sign-in", "saml", "saml-provider", "okta", "mapping", "aws-auth", "groups", "gatehouse:users")},
		{"people by SAML alone", "eks-access", one("account", spokeID, "region", place, "cluster", "orders", "sign-in", "saml", "saml-provider", "okta", "saml-subject", "false", "role-name", "apono-k8s-access")},
		{"lender", "eks-access", one("account", spokeID, "region", place, "cluster", "orders,billing", "permission-sets", "Developers", "lend", "eks-rbac,eks-access-entry", "hub-role", hubARN, "external-id", "x-e2e",
			"principals", "arn:aws:iam::222233334444:role/people/eks-{{person}},arn:aws:iam::222233334444:role/oncall", "secret", "gatehouse/orders", "secret-key", kmsARN, "bindable-roles", "view,edit")},
		{"lender of bindings", "eks-access", one("account", spokeID, "region", place, "cluster", "orders", "permission-sets", "Developers", "hub-role", hubARN, "external-id", "x-e2e",
			"secret", "arn:aws:secretsmanager:us-east-1:222233334444:secret:gatehouse/orders-a1B2c3")},
		{"lender by aws-auth", "eks-access", one("account", spokeID, "region", place, "cluster", "orders", "permission-sets", "Developers", "hub-role", hubARN, "external-id", "x-e2e", "mapping", "aws-auth")},
		{"lender of access policies", "eks-access", one("account", spokeID, "region", place, "cluster", "orders", "lend", "eks-access-entry", "hub-role", hubARN, "external-id", "x-e2e",
			"principals", "arn:aws:iam::222233334444:role/oncall", "cluster-admin", "true")},
	}
}

func render(tb rapid.TB, e *example, language Language) *Output {
	tb.Helper()
	s, err := Find(e.stack)
	if err != nil {
		tb.Fatal(err)
	}
	out, err := s.Render(language, e.values)
	if err != nil {
		tb.Fatalf("%s: %v", e.name, err)
	}
	return out
}
