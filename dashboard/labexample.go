package dashboard

// labExample is a lab to start from.
type labExample struct {
	Name, Title, Hint string
	State             labState
}

// The accounts of the examples: one calls, the other owns the API.
const (
	exampleCaller = "444455556666"
	exampleOwner  = "111122223333"
)

var callFromRole = labState{
	Principal: "arn:aws:sts::" + exampleCaller + ":assumed-role/web-app/i-0abc", Operation: "Invoke", Region: "eu-west-1",
	Account: exampleOwner, API: "a1b2c3d4e5", Stage: "prod", Method: "GET", Path: "/orders/17", Auth: "IAM", Type: "REST",
}

const (
	mayInvokeOrders = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "InvokeOrders",
      "Effect": "Allow",
      "Action": "execute-api:Invoke",
      "Resource": "arn:aws:execute-api:eu-west-1:` + exampleOwner + `:a1b2c3d4e5/prod/GET/orders/*"
    }
  ]
}`
	letsCallerIn = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "WebApp",
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::` + exampleCaller + `:root"
      },
      "Action": "execute-api:Invoke",
      "Resource": "execute-api:/prod/GET/*",
      "Condition": {
        "ArnLike": {
          "aws:PrincipalArn": "arn:aws:iam::` + exampleCaller + `:role/web-*"
        }
      }
    }
  ]
}`
	deniesOtherAddresses = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "Everyone",
      "Effect": "Allow",
      "Principal": "*",
      "Action": "execute-api:Invoke",
      "Resource": "execute-api:/*"
    },
    {
      "Sid": "ButFromTheOffice",
      "Effect": "Deny",
      "Principal": "*",
      "Action": "execute-api:Invoke",
      "Resource": "execute-api:/*",
      "Condition": {
        "NotIpAddress": {
          "aws:SourceIp": ["203.0.113.0/24", "198.51.100.7"]
        }
      }
    }
  ]
}`
	onlyThroughEndpoint = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": "*",
      "Action": "execute-api:Invoke",
      "Resource": "execute-api:/*"
    },
    {
      "Effect": "Deny",
      "Principal": "*",
      "Action": "execute-api:Invoke",
      "Resource": "execute-api:/*",
      "Condition": {
        "StringNotEquals": {
          "aws:SourceVpce": "vpce-0a1b2c3d4e5f60718"
        }
      }
    }
  ]
}`
	authorizerAnswer = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": "execute-api:Invoke",
      "Resource": "arn:aws:execute-api:eu-west-1:` + exampleOwner + `:a1b2c3d4e5/prod/GET/orders/*"
    }
  ]
}`
	assumeInvoker = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": "sts:AssumeRole",
      "Resource": "arn:aws:iam::` + exampleOwner + `:role/orders-api-invoker"
    }
  ]
}`
	trustsWithExternalID = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": {
        "AWS": "arn:aws:iam::` + exampleCaller + `:role/web-app"
      },
      "Action": "sts:AssumeRole",
      "Condition": {
        "StringEquals": {
          "sts:ExternalId": "7b0c4b1e"
        }
      }
    }
  ]
}`
	scpAllowsAll = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": "*",
      "Resource": "*"
    }
  ]
}`
	scpOneRegion = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": "*",
      "Resource": "*"
    },
    {
      "Sid": "OneRegion",
      "Effect": "Deny",
      "NotAction": ["iam:*", "sts:*", "organizations:*"],
      "Resource": "*",
      "Condition": {
        "StringNotEquals": {
          "aws:RequestedRegion": "eu-central-1"
        }
      }
    }
  ]
}`
)

// labExamples are offered on the lab's page; the first is what an address
// without anything shows.
var labExamples = []labExample{
	{"cross-account", "Cross-account call", "both sides allow", having(callFromRole, "", labPolicy{Layer: "identity", Text: mayInvokeOrders}, labPolicy{Layer: "resource", Text: letsCallerIn})},
	{"one-side", "One side missing", "the API lets the account in, the role's own policies do not allow it", having(callFromRole, "", labPolicy{Layer: "identity", Text: assumeInvoker}, labPolicy{Layer: "resource", Text: letsCallerIn})},
	{"deny-by-address", "Deny by address", "a public API that only some addresses may call", having(labState{
		Principal: "anonymous", Operation: "Invoke", Region: "eu-west-1", Account: exampleOwner, API: "a1b2c3d4e5", Stage: "prod",
		Method: "GET", Path: "/", Auth: "NONE", Type: "REST",
	}, "aws:SourceIp = 192.0.2.44", labPolicy{Layer: "resource", Text: deniesOtherAddresses})},
	{"private-api", "Private API", "reached through one VPC endpoint", having(labState{
		Principal: "anonymous", Operation: "Invoke", Region: "eu-west-1", Account: exampleOwner, API: "a1b2c3d4e5", Stage: "prod",
		Method: "GET", Path: "/", Auth: "NONE", Type: "REST", Private: true,
	}, "aws:SourceVpce = vpce-0a1b2c3d4e5f60718", labPolicy{Layer: "resource", Text: onlyThroughEndpoint}, labPolicy{Layer: "vpc_endpoint", Text: `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Principal": "*",
      "Action": "execute-api:Invoke",
      "Resource": "arn:aws:execute-api:eu-west-1:` + exampleOwner + `:a1b2c3d4e5/*"
    }
  ]
}`})},
	{"lambda-authorizer", "Lambda authorizer", "what the authorizer answered decides", having(labState{
		Principal: "anonymous", Operation: "Invoke", Region: "eu-west-1", Account: exampleOwner, API: "a1b2c3d4e5", Stage: "prod",
		Method: "DELETE", Path: "/orders/17", Auth: "LAMBDA", Type: "REST",
	}, "", labPolicy{Layer: "identity", Text: authorizerAnswer})},
	{"assume-role", "Assume a role", "a trust policy with an external id", having(labState{
		ByARN: true, Principal: callFromRole.Principal, Action: "sts:AssumeRole", Resource: "arn:aws:iam::" + exampleOwner + ":role/orders-api-invoker",
	}, "sts:ExternalId = 7b0c4b1e", labPolicy{Layer: "identity", Text: assumeInvoker}, labPolicy{Layer: "resource", Text: trustsWithExternalID})},
	{"scp", "Denied by an SCP", "the organization allows one region alone", having(callFromRole, "aws:RequestedRegion = eu-west-1",
		labPolicy{Layer: "scp", Level: 1, Text: scpAllowsAll}, labPolicy{Layer: "scp", Level: 2, Text: scpOneRegion},
		labPolicy{Layer: "identity", Text: mayInvokeOrders}, labPolicy{Layer: "resource", Text: letsCallerIn})},
	{"empty", "Empty", "start with nothing", having(labState{Operation: "Invoke", Auth: "IAM", Type: "REST", Stage: "prod", Method: "GET", Path: "/"}, "", labPolicy{Layer: "identity"}, labPolicy{Layer: "resource"})},
}

// having is a state with condition keys and policies.
func having(st labState, context string, policies ...labPolicy) labState {
	st.Context, st.Policies = context, policies
	return st
}
