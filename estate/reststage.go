package estate

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

// defaultMethods is the key of a stage's settings for every method, and anyPath
// the path in it.
const (
	defaultMethods = "*/*"
	anyPath        = "*"
)

func restStage(s *types.Stage, scan secretScan) Stage {
	name := aws.ToString(s.StageName)
	stage := Stage{
		Name: name, LoggingLevel: "OFF", Tags: s.Tags,
		Description: scan.text("stage "+name+", description", "", aws.ToString(s.Description)),
		Created:     utc(s.CreatedDate), Updated: utc(s.LastUpdatedDate),
		DeploymentID: aws.ToString(s.DeploymentId), Variables: scan.variables(name, s.Variables),
		Cache: s.CacheClusterEnabled, Tracing: s.TracingEnabled, WebACL: aws.ToString(s.WebAclArn),
		ClientCertificate: aws.ToString(s.ClientCertificateId), DocumentationVersion: aws.ToString(s.DocumentationVersion),
	}
	if s.CacheClusterEnabled {
		stage.CacheSize = string(s.CacheClusterSize)
	}
	if c := s.CanarySettings; c != nil {
		stage.Canary = &Canary{DeploymentID: aws.ToString(c.DeploymentId), Percent: c.PercentTraffic, Variables: slices.Sorted(maps.Keys(c.StageVariableOverrides))}
		scan.variables(name+" canary", c.StageVariableOverrides)
	}
	if s.AccessLogSettings != nil {
		stage.setAccessLog(aws.ToString(s.AccessLogSettings.DestinationArn), aws.ToString(s.AccessLogSettings.Format))
	}
	if set, ok := s.MethodSettings[defaultMethods]; ok {
		stage.LoggingLevel, stage.DataTrace = level(aws.ToString(set.LoggingLevel)), set.DataTraceEnabled
	}
	for key, set := range s.MethodSettings {
		path, method := methodKey(key)
		stage.Settings = append(stage.Settings, restSettings(path, method, &set))
		if key == defaultMethods {
			continue
		}
		o := MethodLogging{Method: method, Path: path, LoggingLevel: level(aws.ToString(set.LoggingLevel)), DataTrace: set.DataTraceEnabled}
		if o.LoggingLevel != stage.LoggingLevel || o.DataTrace != stage.DataTrace {
			stage.Overrides = append(stage.Overrides, o)
		}
	}
	sortSettings(stage.Settings)
	return stage
}

func restSettings(path, method string, set *types.MethodSetting) MethodSettings {
	out := MethodSettings{
		Method: method, Path: path, LoggingLevel: level(aws.ToString(set.LoggingLevel)), DataTrace: set.DataTraceEnabled, Metrics: set.MetricsEnabled,
		Caching: set.CachingEnabled, CacheTTL: set.CacheTtlInSeconds, CacheEncrypted: set.CacheDataEncrypted,
		CacheAuthorized: set.RequireAuthorizationForCacheControl, CacheUnauthorized: string(set.UnauthorizedCacheControlHeaderStrategy),
	}
	// A method without a limit of its own has -1; one that lets nothing pass has 0,
	// which the SDK cannot tell from a limit that is not there, but AWS always
	// answers both.
	if set.ThrottlingRateLimit >= 0 && set.ThrottlingBurstLimit >= 0 {
		out.Throttle = &Throttle{Rate: set.ThrottlingRateLimit, Burst: set.ThrottlingBurstLimit}
	}
	return out
}

// sortSettings puts the default first.
func sortSettings(settings []MethodSettings) {
	rank := func(m *MethodSettings) int {
		if m.Path == anyPath {
			return 0
		}
		return 1
	}
	slices.SortFunc(settings, func(a, b MethodSettings) int {
		return cmp.Or(cmp.Compare(rank(&a), rank(&b)), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
	})
}

// methodKey splits a key of a stage's method settings: a resource path, written
// as in a JSON pointer, and a method, such as "~1pets~1{id}/GET".
func methodKey(key string) (path, method string) {
	i := strings.LastIndexByte(key, '/')
	if i < 0 {
		return key, ""
	}
	return strings.ReplaceAll(strings.ReplaceAll(key[:i], "~1", "/"), "~0", "~"), key[i+1:]
}
