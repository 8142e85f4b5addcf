package config

import "time"

// Access are the settings of lending: docs/access.md.
type Access struct {
	// FlowsFile holds the flows, IntegrationsFile the integrations, both YAML; empty:
	// they are set on the pages and by the API alone.
	FlowsFile        string
	IntegrationsFile string
	// Objective is how late a change of a target may be before it is an alarm.
	Objective time.Duration
	// PerIntegration is how many objects of one target are changed at once.
	PerIntegration int
	// ProvisionTimeout is how long a grant may take to be put in place.
	ProvisionTimeout time.Duration
	// ReconcileInterval is how often targets are compared with what is lent,
	// DiscoveryInterval how often their resources are read and they are checked.
	ReconcileInterval time.Duration
	DiscoveryInterval time.Duration
	// EndingNotice is how long before the end the holder is told.
	EndingNotice time.Duration
}

func defaultAccess() Access {
	return Access{
		Objective: time.Minute, PerIntegration: 16, ProvisionTimeout: time.Hour,
		ReconcileInterval: 10 * time.Minute, DiscoveryInterval: time.Hour, EndingNotice: 10 * time.Minute,
	}
}

// accessSettings are the settings of lending.
var accessSettings = []*Setting{
	text("flows_file", "YAML file with the access flows and bundles (docs/flows.md); applied when it changes, and then what it does not name is removed", func(c *Config) *string { return &c.Access.FlowsFile }),
	text("integrations_file", "YAML file with the integrations that are lent from (docs/access.md); applied when it changes", func(c *Config) *string { return &c.Access.IntegrationsFile }),
	duration("access_objective", "how late access may come or go before it is an alarm", func(c *Config) *time.Duration { return &c.Access.Objective }),
	number("access_per_integration", "objects of one cluster or API that are changed at the same time", func(c *Config) *int { return &c.Access.PerIntegration }),
	duration("access_provision_timeout", "how long a grant may take to be put in place before it is given up", func(c *Config) *time.Duration { return &c.Access.ProvisionTimeout }),
	duration("access_reconcile_interval", "how often clusters and APIs are compared with what is lent", func(c *Config) *time.Duration { return &c.Access.ReconcileInterval }),
	duration("access_discovery_interval", "how often integrations are checked and their resources read", func(c *Config) *time.Duration { return &c.Access.DiscoveryInterval }),
	duration("access_ending_notice", "how long before the end the holder of a grant is told, at most a quarter of its time", func(c *Config) *time.Duration { return &c.Access.EndingNotice }),
}

func (a *Access) validate(bad func(name, format string, args ...any)) {
	for _, d := range []struct {
		name string
		v    time.Duration
	}{
		{"access_objective", a.Objective},
		{"access_provision_timeout", a.ProvisionTimeout},
		{"access_reconcile_interval", a.ReconcileInterval},
		{"access_discovery_interval", a.DiscoveryInterval},
		{"access_ending_notice", a.EndingNotice},
	} {
		if d.v <= 0 {
			bad(d.name, "must be more than zero, not %s", d.v)
		}
	}
	if a.PerIntegration < 1 || a.PerIntegration > 1000 {
		bad("access_per_integration", "must be from 1 to 1000, not %d", a.PerIntegration)
	}
}
