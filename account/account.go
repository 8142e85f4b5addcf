// Package account reaches AWS accounts with temporary credentials alone: from
// base credentials, over an optional hub role, to one role per account. Every
// client made from it shares one set of rate limits per account, region and
// operation, which the SDK's own retries pass too.
package account

// Role is one link of a chain of assumed roles.
type Role struct {
	ARN         string            `json:"arn" yaml:"arn"`
	ExternalID  string            `json:"external_id,omitempty" yaml:"external_id"`
	SessionName string            `json:"session_name,omitempty" yaml:"session_name"`
	SessionTags map[string]string `json:"session_tags,omitempty" yaml:"session_tags"`
	// Regions to read with this role; empty: those of the Config.
	Regions []string `json:"regions,omitempty" yaml:"regions"`
}

// Config says how accounts are reached.
type Config struct {
	// Profile of the shared configuration for the base credentials; empty for
	// the default chain.
	Profile string
	// Hub is assumed from the base credentials, and the account roles from it.
	// Nil: account roles are assumed from the base credentials.
	Hub *Role
	// Roles are the accounts to reach. Empty: the base account itself, or,
	// with Organization, every active account of the organization.
	Roles []Role
	// Organization lists the organization's accounts from the hub (or base) and
	// assumes RoleName in each.
	Organization bool
	RoleName     string // for example GatehouseCollector
	ExternalID   string // for every role that names none
	SessionName  string // for every role that names none; default "gatehouse"
	// Regions to read; empty: the base configuration's own region. The single
	// entry "all" means every region enabled in the account.
	Regions []string
	// AllowLongLivedKeys lets base credentials be an IAM user's access key
	// (AKIA…); otherwise they are refused.
	AllowLongLivedKeys bool
	// Quota overrides requests a second, by operation ("FilterLogEvents": 5) or,
	// for a quota that operations share, by service ("apigateway": 5). The rate
	// is used as it is given. A name that is not in the quota table is an error
	// of New.
	Quota map[string]float64
}
