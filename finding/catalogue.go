package finding

import "slices"

// Catalogue is all rules, by area and then in the order of the questions. The rules
// are shared and must not be changed.
func Catalogue() []*Rule { return slices.Clone(catalogue) }

// RuleOf returns the rule with an id, or nil.
func RuleOf(id string) *Rule {
	for _, r := range catalogue {
		if r.ID == id {
			return r
		}
	}
	return nil
}

var catalogue = []*Rule{
	// Logging.
	&executionLogOff, &executionLogPartlyOff, &accessLogOff, &accessLogFormat, &logRoleMissing, &dataTraceUnprotected, &executionLogCut,
	&logGroupUnencrypted, &logGroupRetention, &logPolicyPublic, &logSubscriptionForeign, &wafLogOff, &tracingOff, &metricsOff,
	// Auth.
	&routeOpen, &routeCatchAllOpen, &routeKeyOnly, &webSocketOpen, &authorizerUnused, &authorizerGap, &authorizerWithoutSource,
	&authorizerCacheWide, &authorizerTokenUnchecked, &jwtAudienceMissing, &jwtScopesMissing, &cognitoScopesMissing,
	&policyAnyAccount, &privatePolicyMissing, &privatePolicyOpen, &defaultEndpointBesideMTLS, &mtlsTruststore, &keySourceMismatch,
	// Exposure.
	&endpointPublic, &defaultEndpointSpare, &wafMissing, &domainTLSOld, &domainTLSNotQuantum, &corsAnyOrigin, &corsCredentials,
	&corsReflected, &wafEmpty, &wafBlocksNothing, &wafManagedMissing, &wafLog4jMissing,
	&functionPublic, &functionURLOpen, &functionAnyGateway, &functionOtherAPI, &functionURLAnyOrigin,
	&vpcLinkPlaintext, &backendPlaintext, &backendUnverified, &backendPassthrough,
	// Limits.
	&throttleDefault, &usagePlanMissing, &usagePlanUnlimited, &timeoutLongest, &requestUnvalidated, &modelMissing, &compressionOff,
	// Data.
	&secretInConfiguration, &cacheUnencrypted, &cacheInvalidationOpen, &cacheShared, &clientCertificateMissing, &clientCertificateExpiring,
	// Hygiene.
	&deploymentBehind, &canaryLeft, &stageForTestsPublic, &ownerMissing, &apiUnused, &routeUnused,
	&functionRuntimeEnded, &descriptionMissing, &documentationMissing,
	// Clusters.
	&clusterEndpointOpen, &clusterEndpointPublic, &clusterPublicUnaudited, &clusterPrivateEndpointOff, &clusterLogsOff,
	&clusterSecretsKeyMissing, &clusterVersionEnded, &clusterVersionExtended, &clusterDeletionUnprotected, &clusterConfigMap,
	&clusterAdmins, &clusterAdminsDocumented, &clusterEntryWide, &clusterEntryForeign, &clusterEntryGone,
	// Roles.
	&roleTrustAnybody, &roleTrustOutside, &roleTrustInside, &oidcSubjectOpen, &oidcSubjectWide, &oidcAudienceOpen, &roleServiceConfused,
	&principalAdministrator, &invokesEveryAPI, &managesEveryAPI, &readsEveryLog, &changesEveryLog,
}
