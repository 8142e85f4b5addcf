package finding

import "testing"

const (
	ourRole   = "arn:aws:iam::111122223333:role/people/ops"
	adminARN  = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
	viewerARN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
)

// eks adds a cluster in which all is well, but for what change changes.
func eks(change func(*Cluster)) func(*world) {
	return func(w *world) {
		c := Cluster{
			Name: "shop", Version: "1.34", Support: "EXTENDED", AuthenticationMode: "API", PrivateEndpoint: true, SecretsKey: "arn:aws:kms:key", DeletionProtection: true,
			Logging:       []string{"api", "audit", "authenticator", "controllerManager", "scheduler"},
			AccessEntries: []AccessEntry{{Principal: ourRole, Policies: []AccessPolicy{{ARN: viewerARN, Scope: "cluster"}}}},
		}
		if change != nil {
			change(&c)
		}
		w.place.Clusters = append(w.place.Clusters, c)
		w.estate.Accounts[0].Principals = []Principal{{ARN: ourRole}, {ARN: "arn:aws:iam::111122223333:user/bob"}}
	}
}

func public(networks ...string) func(*world) {
	return eks(func(c *Cluster) { c.PublicEndpoint, c.PublicCIDRs = true, networks })
}

func version(v string) func(*world) { return eks(func(c *Cluster) { c.Version = v }) }

// late is a cluster long after the calendar was read.
func late(v string) func(*world) {
	return func(w *world) {
		version(v)(w)
		w.estate.Time = testTime.AddDate(2, 0, 0)
	}
}

func admitted(e AccessEntry) func(*world) {
	return eks(func(c *Cluster) { c.AccessEntries = append(c.AccessEntries, e) })
}

func admin(tags map[string]string) func(*world) {
	return admitted(AccessEntry{Principal: "arn:aws:iam::111122223333:user/bob", Tags: tags, Policies: []AccessPolicy{{ARN: adminARN, Scope: "cluster"}}})
}

func configMap() func(*world) {
	return eks(func(c *Cluster) { c.AuthenticationMode, c.AccessEntries = "CONFIG_MAP", nil })
}

var clusterRuleCases = []ruleCase{
	{"cluster-endpoint-open", "", "private", eks(nil), Pass},
	{"cluster-endpoint-open", "", "everybody", public("0.0.0.0/0"), Fail},
	{"cluster-endpoint-open", "", "no list is everybody", public(), Fail},
	{"cluster-endpoint-open", "", "two halves of the internet", public("0.0.0.0/1", "128.0.0.0/1"), Fail},
	{"cluster-endpoint-open", "", "all of IPv6", public("203.0.113.0/24", "::/0"), Fail},
	{"cluster-endpoint-open", "", "an office", public("203.0.113.0/24"), Pass},
	{"cluster-endpoint-open", "", "no network at all", public("somewhere"), NotSeen},
	{"cluster-endpoint-open", "", "a list beside an endpoint that is off", eks(func(c *Cluster) { c.PublicCIDRs = []string{"0.0.0.0/0"} }), Pass},
	{"cluster-endpoint-public", "", "private", eks(nil), Pass},
	{"cluster-endpoint-public", "", "an office", public("203.0.113.0/24"), Fail},
	{"cluster-endpoint-public", "", "everybody", public("0.0.0.0/0"), NotApplicable},
	{"cluster-endpoint-public", "", "no network at all", public("somewhere"), NotSeen},
	{"cluster-public-unaudited", "", "private", eks(func(c *Cluster) { c.Logging = nil }), NotApplicable},
	{"cluster-public-unaudited", "", "audited", public("0.0.0.0/0"), Pass},
	{"cluster-public-unaudited", "", "not audited", eks(func(c *Cluster) { c.PublicEndpoint, c.Logging = true, []string{"api", "authenticator"} }), Fail},
	{"cluster-private-endpoint-off", "", "on", eks(nil), Pass},
	{"cluster-private-endpoint-off", "", "off", eks(func(c *Cluster) { c.PrivateEndpoint = false }), Fail},
	{"cluster-logs-off", "", "all", eks(nil), Pass},
	{"cluster-logs-off", "", "one off", eks(func(c *Cluster) { c.Logging = c.Logging[1:] }), Fail},
	{"cluster-logs-off", "", "none", eks(func(c *Cluster) { c.Logging = nil }), Fail},
	{"cluster-secrets-key-missing", "", "a key", eks(nil), Pass},
	{"cluster-secrets-key-missing", "", "none", eks(func(c *Cluster) { c.SecretsKey = "" }), Fail},
	{"cluster-version-ended", "", "standard", eks(nil), Pass},
	{"cluster-version-ended", "", "extended", version("1.30"), Pass},
	{"cluster-version-ended", "", "ended", version("1.28"), Fail},
	{"cluster-version-ended", "", "older than the calendar", version("1.19"), Fail},
	{"cluster-version-ended", "", "newer than the calendar", version("1.36"), Pass},
	{"cluster-version-ended", "", "newer than a calendar that is old", late("1.36"), NotSeen},
	{"cluster-version-ended", "", "none", version(""), NotSeen},
	{"cluster-version-ended", "", "nonsense", version("2.x"), NotSeen},
	{"cluster-version-extended", "", "standard", eks(nil), Pass},
	{"cluster-version-extended", "", "extended", version("1.30"), Fail},
	{"cluster-version-extended", "", "ended", version("1.28"), NotApplicable},
	{"cluster-version-extended", "", "newer than the calendar", version("1.36"), Pass},
	{"cluster-version-extended", "", "newer than a calendar that is old", late("1.36"), NotSeen},
	{"cluster-deletion-unprotected", "", "on", eks(nil), Pass},
	{"cluster-deletion-unprotected", "", "off", eks(func(c *Cluster) { c.DeletionProtection = false }), Fail},
	{"cluster-config-map", "", "entries", eks(nil), Pass},
	{"cluster-config-map", "", "both", eks(func(c *Cluster) { c.AuthenticationMode = "API_AND_CONFIG_MAP" }), Pass},
	{"cluster-config-map", "", "the ConfigMap alone", configMap(), Fail},
	{"cluster-config-map", "", "not told", eks(func(c *Cluster) { c.AuthenticationMode = "" }), NotSeen},
	{"cluster-admins", "", "nobody", eks(nil), Pass},
	{"cluster-admins", "", "somebody", admin(nil), Fail},
	{"cluster-admins", "", "by a group", admitted(AccessEntry{Principal: ourRole, Groups: []string{"system:masters"}}), Fail},
	{"cluster-admins", "", "of a namespace", admitted(AccessEntry{Principal: ourRole, Policies: []AccessPolicy{{ARN: adminARN, Scope: "namespace", Namespaces: []string{"a"}}}}), Pass},
	{"cluster-admins", "", "for emergencies", admin(map[string]string{"purpose": "break-glass"}), Pass},
	{"cluster-admins", "", "not for emergencies", admin(map[string]string{"break-glass": "no"}), Fail},
	{"cluster-admins", "", "lent", admin(map[string]string{"gatehouse.dev/lent/AmazonEKSClusterAdminPolicy": "cluster"}), Pass},
	{"cluster-admins", "", "was lent", admin(map[string]string{"gatehouse.dev/lent/AmazonEKSClusterAdminPolicy": "none"}), Fail},
	{"cluster-admins", "", "the ConfigMap alone", configMap(), NotApplicable},
	{"cluster-admins-documented", "", "nobody", eks(nil), Pass},
	{"cluster-admins-documented", "", "for emergencies", admin(map[string]string{"BreakGlass": "true"}), Fail},
	{"cluster-admins-documented", "", "for nothing", admin(nil), Pass},
	{"cluster-admins-documented", "", "the ConfigMap alone", configMap(), NotApplicable},
	{"cluster-entry-wide", "", "a role", eks(nil), Pass},
	{"cluster-entry-wide", "", "an account", admitted(AccessEntry{Principal: "arn:aws:iam::111122223333:root"}), Fail},
	{"cluster-entry-wide", "", "a pattern", admitted(AccessEntry{Principal: "arn:aws:iam::111122223333:role/*"}), Fail},
	{"cluster-entry-wide", "", "a session", admitted(AccessEntry{Principal: "arn:aws:sts::111122223333:assumed-role/a/b"}), Fail},
	{"cluster-entry-wide", "", "the ConfigMap alone", configMap(), NotApplicable},
	{"cluster-entry-foreign", "", "ours", eks(nil), Pass},
	{"cluster-entry-foreign", "", "theirs", admitted(AccessEntry{Principal: "arn:aws:iam::999999999999:role/a"}), Fail},
	{"cluster-entry-foreign", "", "another of ours", func(w *world) {
		admitted(AccessEntry{Principal: "arn:aws:iam::444455556666:role/a"})(w)
		w.estate.Accounts = append(w.estate.Accounts, Account{ID: "444455556666", Unseen: []Part{PartPrincipals}})
	}, Pass},
	{"cluster-entry-foreign", "", "the ConfigMap alone", configMap(), NotApplicable},
	{"cluster-entry-gone", "", "there, by another path", admitted(AccessEntry{Principal: "arn:aws:iam::111122223333:role/ops"}), Pass},
	{"cluster-entry-gone", "", "gone", admitted(AccessEntry{Principal: "arn:aws:iam::111122223333:role/gone"}), Fail},
	{"cluster-entry-gone", "", "a user of a role's name", admitted(AccessEntry{Principal: "arn:aws:iam::111122223333:user/ops"}), Fail},
	{"cluster-entry-gone", "", "IAM of another account was not read", func(w *world) {
		admitted(AccessEntry{Principal: "arn:aws:iam::444455556666:role/a"})(w)
		w.estate.Accounts = append(w.estate.Accounts, Account{ID: "444455556666", Unseen: []Part{PartPrincipals}})
	}, NotSeen},
	{"cluster-entry-gone", "", "theirs is told elsewhere", admitted(AccessEntry{Principal: "arn:aws:iam::999999999999:role/a"}), Pass},
	{"cluster-entry-gone", "", "the ConfigMap alone", configMap(), NotApplicable},
}

// The calendar has every version between its oldest and its newest, in order.
func TestKubernetesCalendarIsWhole(t *testing.T) {
	t.Parallel()
	before := lifecycle{}
	for minor := oldestInCalendar; minor <= newestInCalendar; minor++ {
		at, ok := kubernetesCalendar[minor]
		if !ok || at.standard >= at.extended || at.standard <= before.standard || at.extended <= before.extended {
			t.Errorf("1.%d is supported until %q and %q, after %+v", minor, at.standard, at.extended, before)
		}
		before = at
	}
	if len(kubernetesCalendar) != newestInCalendar-oldestInCalendar+1 {
		t.Errorf("the calendar has %d versions", len(kubernetesCalendar))
	}
}
