package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/gateway"
	"github.com/gatehouse-project/gatehouse/iam"
)

// The four accounts of the demo.
const (
	Security   = "111122223333" // Gatehouse's own account, the hub
	Orders     = "222233334444"
	Catalog    = "333344445555"
	Storefront = "444455556666"
)

// Names of the roles that Gatehouse assumes in the demo.
const (
	HubRole       = "GatehouseHub"
	CollectorRole = "GatehouseCollector"
	SwitcherRole  = "GatehouseSwitcher"
	ExternalID    = "gatehouse-demo"
)

// Regions are the regions that the demo's APIs are in.
var Regions = []string{"eu-west-1", "us-east-1"}

// The roles of those who call, and of what writes logs.
const (
	logRole      = "APIGatewayLogs" // of API Gateway, in each account with APIs
	instanceRole = "storefront-instance"
	staffRole    = "orders-staff"
	notifierRole = "chat-notifier"
)

// World is the demo's organization.
type World struct {
	Sim  *awssim.Sim
	apis []gateway.API
}

// NewWorld builds the organization on a simulated AWS.
func NewWorld(sim *awssim.Sim) *World {
	w := &World{Sim: sim, apis: apis()}
	org := sim.Organization(Security)
	for id, name := range map[string]string{Security: "security", Orders: "orders", Catalog: "catalog", Storefront: "storefront"} {
		a := sim.Account(id).SetName(name)
		org.Add(id)
		a.AddRole(awssim.Role{
			Name:              CollectorRole,
			TrustedPrincipals: []string{roleARN(Security, HubRole)},
			ExternalID:        ExternalID,
			Allow:             collectorActions,
		})
		a.AddRole(awssim.Role{
			Name:              SwitcherRole,
			TrustedPrincipals: []string{roleARN(Security, HubRole)},
			ExternalID:        ExternalID,
			Allow:             switcherActions,
		})
	}
	sim.Account(Security).AddRole(awssim.Role{
		Name:  HubRole,
		Allow: []string{"sts:AssumeRole", "sts:GetCallerIdentity", "organizations:ListAccounts", "organizations:DescribeOrganization"},
	})
	w.addCallers()
	for i := range w.apis {
		w.publish(&w.apis[i])
	}
	return w
}

// collectorActions are what reading needs, and nothing else.
var collectorActions = []string{
	"logs:DescribeLogGroups", "logs:FilterLogEvents", "logs:DescribeDeliver*", "logs:DescribeSubscriptionFilters",
	"logs:DescribeMetricFilters", "logs:DescribeResourcePolicies", "logs:GetDataProtectionPolicy",
	"eks:ListClusters", "eks:DescribeCluster", "eks:ListAccessEntries", "eks:DescribeAccessEntry", "eks:ListAssociatedAccessPolicies",
	"iam:GetAccountAuthorizationDetails", "cloudwatch:GetMetricData", "apigateway:GET", "account:ListRegions", "sts:GetCallerIdentity",
	"wafv2:GetWebACL", "wafv2:GetLoggingConfiguration", "lambda:GetFunctionConfiguration", "lambda:GetPolicy", "lambda:ListFunctionUrlConfigs",
}

// switcherActions are what switching logging needs, as docs/logging.md lists them.
var switcherActions = []string{
	"account:ListRegions", "sts:GetCallerIdentity", "apigateway:GET", "apigateway:PATCH", "apigateway:DELETE",
	"logs:DescribeLogGroups", "logs:CreateLogGroup", "logs:TagResource", "logs:ListTagsForResource", "logs:PutRetentionPolicy", "logs:AssociateKmsKey", "logs:DeleteLogGroup",
	"logs:GetDelivery*", "logs:DescribeDeliver*", "logs:PutDelivery*", "logs:CreateDelivery", "logs:DeleteDelivery*",
	"iam:GetRole", "iam:CreateRole", "iam:TagRole", "iam:DeleteRole", "iam:ListAttachedRolePolicies", "iam:AttachRolePolicy", "iam:DetachRolePolicy", "iam:PassRole",
}

// addCallers adds the roles that call the APIs, each with a policy that says which.
func (w *World) addCallers() {
	invoke := func(resources ...string) []string { return []string{allow("execute-api:Invoke", resources...)} }
	orders := "arn:aws:execute-api:eu-west-1:" + Orders + ":" + ordersID
	shop := w.Sim.Account(Storefront)
	shop.AddRole(awssim.Role{
		Name: instanceRole, TrustPolicy: trustService("ec2.amazonaws.com"),
		Policies: []string{allow("sts:AssumeRole", roleARN(Storefront, "checkout"), roleARN(Storefront, "warehouse-sync"), roleARN(Storefront, "marketing"))},
	})
	instance := []string{roleARN(Storefront, instanceRole)}
	shop.AddRole(awssim.Role{
		Name: "checkout", TrustedPrincipals: instance,
		Policies: invoke(orders+"/prod/GET/*", orders+"/prod/POST/orders", orders+"/prod/PUT/orders/*"),
	})
	shop.AddRole(awssim.Role{
		Name: "warehouse-sync", TrustedPrincipals: instance,
		Policies: invoke(orders+"/prod/GET/orders*", orders+"/prod/GET/shipments/*"),
	})
	// Marketing may call the catalog alone: the orders API refuses it.
	shop.AddRole(awssim.Role{
		Name: "marketing", TrustedPrincipals: instance,
		Policies: invoke("arn:aws:execute-api:eu-west-1:" + Catalog + ":" + catalogID + "/*"),
	})
	owner := w.Sim.Account(Orders)
	owner.AddRole(awssim.Role{
		Name: staffRole, TrustPolicy: trustService("ec2.amazonaws.com"), Policies: []string{allow("sts:AssumeRole", roleARN(Orders, "orders-admin"))},
	})
	owner.AddRole(awssim.Role{Name: "orders-admin", TrustedPrincipals: []string{roleARN(Orders, staffRole)}, Policies: invoke(orders + "/*")})
	w.Sim.Account(Catalog).AddRole(awssim.Role{
		Name: notifierRole, TrustPolicy: trustService("lambda.amazonaws.com"),
		Policies: []string{allow("execute-api:ManageConnections", "arn:aws:execute-api:eu-west-1:"+Catalog+":"+chatID+"/prod/POST/@connections/*")},
	})
}

// Credentials are those of Gatehouse's own role in the security account.
func (w *World) Credentials(d time.Duration) awssim.Credentials {
	return w.Sim.Account(Security).Session(HubRole, "gatehouse-demo", d)
}

func roleARN(account, role string) string { return "arn:aws:iam::" + account + ":role/" + role }

// allow is an identity-based policy of one statement.
func allow(action string, resources ...string) string {
	d := iam.Document{Version: iam.Version2012, Statements: []iam.Statement{{
		Effect: iam.Allow, Action: iam.Strings{action}, Resource: iam.Strings(resources),
	}}}
	return string(d.JSON())
}

// trustService is the trust policy of a role that a service of AWS takes on.
func trustService(service string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole"}]}`
}

// handed are credentials that AWS hands to what runs in it: an instance, a
// function, API Gateway itself. There is a new session whenever one ends.
func (w *World) handed(account, role, session string) aws.CredentialsProvider {
	return aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		s := w.Sim.Account(account).Session(role, session, time.Hour)
		return aws.Credentials{
			AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey, SessionToken: s.SessionToken,
			CanExpire: true, Expires: s.Expiration, Source: "gatehouse demo", AccountID: account,
		}, nil
	}))
}

// assumed are credentials of a role that base assumes over the wire.
func assumed(endpoint string, base aws.CredentialsProvider, role, session string) aws.CredentialsProvider {
	client := sts.NewFromConfig(aws.Config{Region: Regions[0], BaseEndpoint: &endpoint, HTTPClient: account.Connections(nil), Credentials: base})
	return aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(client, role, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = session
	}), func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = 5 * time.Minute })
}

// logClients gives the CloudWatch Logs clients of API Gateway's own role, one for
// each account and region with APIs.
func (w *World) logClients(endpoint string) func(account, region string) (gateway.LogsAPI, error) {
	type place struct{ account, region string }
	clients, connections := map[place]gateway.LogsAPI{}, account.Connections(nil)
	for i := range w.apis {
		a := &w.apis[i]
		p := place{a.Account, a.Region}
		if clients[p] == nil {
			clients[p] = cloudwatchlogs.NewFromConfig(aws.Config{
				Region: a.Region, BaseEndpoint: &endpoint, HTTPClient: connections, Credentials: w.handed(a.Account, logRole, "apigateway"),
			})
		}
	}
	return func(account, region string) (gateway.LogsAPI, error) {
		c := clients[place{account, region}]
		if c == nil {
			return nil, fmt.Errorf("account %s has no API in %s", account, region)
		}
		return c, nil
	}
}
