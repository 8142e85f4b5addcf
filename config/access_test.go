package config

import (
	"strings"
	"testing"
)

func TestAccessSettingsThatCannotBe(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"access_objective": "0s", "access_provision_timeout": "-1m", "access_reconcile_interval": "0s",
		"access_discovery_interval": "0s", "access_ending_notice": "-1s", "access_per_integration": "0",
	} {
		s, ok := Lookup(name)
		if !ok {
			t.Fatalf("there is no setting %s", name)
		}
		c := Default()
		if err := s.Set(c, []string{value}); err != nil {
			t.Fatal(err)
		}
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s is taken: %v", name, value, err)
		}
	}
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
}
