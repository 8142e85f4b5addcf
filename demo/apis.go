package demo

import (
	"time"

	"github.com/gatehouse-project/gatehouse/gateway"
)

// The ids of the APIs.
const (
	ordersID    = "o7rd3rs9ab"
	paymentsID  = "p4ym3nts2x"
	catalogID   = "c4t4l0gk2m"
	chatID      = "ch4tws81qz"
	customersID = "f0rg0tt3n1"
)

// Hosts of what stands behind the APIs beside Lambda functions.
const (
	issuerHost  = "id.example.com"
	carrierHost = "carrier.example.net"
	searchHost  = "search.example.net"
)

// jsonFormat is a JSON access-log format of REST APIs with all that helps, and
// httpFormat one of HTTP APIs.
const (
	jsonFormat = `{"requestId":"$context.requestId","extendedRequestId":"$context.extendedRequestId","accountId":"$context.accountId","apiId":"$context.apiId","stage":"$context.stage","ip":"$context.identity.sourceIp","userAgent":"$context.identity.userAgent","userArn":"$context.identity.userArn","caller":"$context.identity.caller","identityAccountId":"$context.identity.accountId","principalId":"$context.authorizer.principalId","requestTime":"$context.requestTime","requestTimeEpoch":"$context.requestTimeEpoch","httpMethod":"$context.httpMethod","path":"$context.path","resourcePath":"$context.resourcePath","status":"$context.status","protocol":"$context.protocol","responseLength":"$context.responseLength","responseLatency":"$context.responseLatency","integrationLatency":"$context.integrationLatency","integrationStatus":"$context.integration.status","errorMessage":"$context.error.message","errorResponseType":"$context.error.responseType","domainName":"$context.domainName"}`
	httpFormat = `{"requestId":"$context.requestId","extendedRequestId":"$context.extendedRequestId","apiId":"$context.apiId","stage":"$context.stage","ip":"$context.identity.sourceIp","userAgent":"$context.identity.userAgent","sub":"$context.authorizer.claims.sub","requestTime":"$context.requestTime","requestTimeEpoch":"$context.requestTimeEpoch","httpMethod":"$context.httpMethod","path":"$context.path","routeKey":"$context.routeKey","status":"$context.status","protocol":"$context.protocol","responseLength":"$context.responseLength","responseLatency":"$context.responseLatency","integrationLatency":"$context.integrationLatency","domainName":"$context.domainName"}`
)

// backendTimeout bounds the integrations. API Gateway's own 29 s would show a
// call that times out half a minute late.
const backendTimeout = time.Second

// The usage plan of the bank, and its key.
const (
	bankKey  = "demo-bank-7c1f0e5d2b9a4863"
	bankRate = 1
)

// lambda is the address of a function's Invoke operation.
func lambda(region, account, name string) string {
	return "https://lambda." + region + ".amazonaws.com/2015-03-31/functions/arn:aws:lambda:" + region + ":" + account + ":function:" + name + "/invocations"
}

// routed adds an integration to routes that all call the same endpoint.
func routed(kind, uri string, routes ...gateway.Route) []gateway.Route {
	for i := range routes {
		routes[i].Integration = gateway.Integration{Type: kind, URI: uri, Timeout: backendTimeout}
	}
	return routes
}

// apis define the APIs of the demo: what serves them and what the estate says of
// them are made from this alone.
func apis() []gateway.API {
	ordersFunction := lambda("eu-west-1", Orders, "orders")
	paymentsFunction := lambda("us-east-1", Orders, "payments")
	catalogFunction := lambda("eu-west-1", Catalog, "catalog")
	return []gateway.API{
		{
			ID: ordersID, Name: "orders", Type: "REST", Account: Orders, Region: "eu-west-1",
			Policy: &gateway.PolicyText{JSON: []byte(ordersPolicy)},
			Routes: append(
				routed("AWS_PROXY", ordersFunction,
					gateway.Route{Method: "GET", Path: "/", Authorization: "AWS_IAM"},
					gateway.Route{Method: "GET", Path: "/orders", Authorization: "AWS_IAM"},
					gateway.Route{Method: "POST", Path: "/orders", Authorization: "AWS_IAM"},
					gateway.Route{Method: "GET", Path: "/orders/{orderId}", Authorization: "AWS_IAM"},
					gateway.Route{Method: "PUT", Path: "/orders/{orderId}/address", Authorization: "AWS_IAM"},
					gateway.Route{Method: "DELETE", Path: "/orders/{orderId}", Authorization: "AWS_IAM"},
				),
				routed("HTTP_PROXY", "https://"+carrierHost+"/v2/shipments/{shipmentId}",
					gateway.Route{Method: "GET", Path: "/shipments/{shipmentId}", Authorization: "AWS_IAM"},
				)...),
			Stages: []gateway.Stage{
				{Name: "prod", LoggingLevel: "INFO", DataTrace: true, AccessLog: &gateway.AccessLog{Group: "/gatehouse/orders/prod", Format: jsonFormat}},
				{Name: "test", LoggingLevel: "INFO"},
			},
		},
		{
			ID: paymentsID, Name: "payments", Type: "REST", Account: Orders, Region: "us-east-1",
			Authorizers: map[string]gateway.Authorizer{"a9th0r": {
				Type: "TOKEN", URL: lambda("us-east-1", Orders, "payments-authorizer"), IdentitySource: []string{"method.request.header.Authorization"}, TTL: new(time.Minute),
			}},
			Routes: routed("AWS_PROXY", paymentsFunction,
				gateway.Route{Method: "POST", Path: "/payments", Authorization: "CUSTOM", Authorizer: "a9th0r"},
				gateway.Route{Method: "GET", Path: "/payments/{paymentId}", Authorization: "CUSTOM", Authorizer: "a9th0r"},
				gateway.Route{Method: "POST", Path: "/refunds", Authorization: "CUSTOM", Authorizer: "a9th0r"},
				gateway.Route{Method: "POST", Path: "/settlements", APIKeyRequired: true},
			),
			Stages: []gateway.Stage{{Name: "prod", LoggingLevel: "INFO", DataTrace: true}, {Name: "legacy", LoggingLevel: "OFF"}},
		},
		{
			ID: catalogID, Name: "catalog", Type: "HTTP", Account: Catalog, Region: "eu-west-1",
			Authorizers: map[string]gateway.Authorizer{"customers": {
				Type: "JWT", Issuer: "https://" + issuerHost, Audience: []string{"catalog"}, IdentitySource: []string{"$request.header.Authorization"},
			}},
			Routes: append(
				routed("AWS_PROXY", catalogFunction,
					gateway.Route{Method: "GET", Path: "/products", Authorization: "JWT", Authorizer: "customers"},
					gateway.Route{Method: "GET", Path: "/products/{sku}", Authorization: "JWT", Authorizer: "customers"},
					gateway.Route{Method: "GET", Path: "/products/{sku}/reviews"},
					gateway.Route{Method: "POST", Path: "/products/{sku}/reviews", Authorization: "JWT", Authorizer: "customers"},
				),
				routed("HTTP_PROXY", "https://"+searchHost+"/query", gateway.Route{Method: "GET", Path: "/search"})...),
			Stages: []gateway.Stage{{Name: "$default", AccessLog: &gateway.AccessLog{Group: "/aws/vendedlogs/catalog-access", Format: httpFormat}}},
		},
		{
			ID: chatID, Name: "chat", Type: "WEBSOCKET", Account: Catalog, Region: "eu-west-1",
			Routes: routed("AWS_PROXY", lambda("eu-west-1", Catalog, "chat"),
				gateway.Route{Path: "$connect"}, gateway.Route{Path: "sendMessage"}, gateway.Route{Path: "$disconnect"},
			),
			Stages: []gateway.Stage{{Name: "prod", LoggingLevel: "INFO", DataTrace: true}},
		},
		{
			ID: customersID, Name: "customers-v1", Type: "REST", Account: Catalog, Region: "us-east-1",
			Routes: routed("AWS_PROXY", lambda("us-east-1", Catalog, "customers-v1"),
				gateway.Route{Method: "GET", Path: "/customers/{customerId}"},
				gateway.Route{Method: "GET", Path: "/export"},
			),
			Stages: []gateway.Stage{{Name: "live", LoggingLevel: "INFO", DataTrace: true}},
		},
	}
}

// ordersPolicy lets the storefront's account call the orders API.
const ordersPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + Storefront +
	`:root"},"Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:eu-west-1:` + Orders + `:` + ordersID + `/prod/*/*"}]}`

// usagePlans limit who calls with an API key.
func usagePlans() []gateway.UsagePlan {
	return []gateway.UsagePlan{{
		ID: "u5ag3p", Name: "partners", Throttle: &gateway.Throttle{Rate: bankRate, Burst: 2}, Stages: []string{paymentsID + "/prod"},
		Keys: []gateway.APIKey{{ID: "k3y0fb4nk1", Name: "bank", Value: bankKey}},
	}}
}
