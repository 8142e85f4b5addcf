package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/config"
)

// Every setting is a flag of collect, but for those that everybody could read in
// the list of processes, those that take more than a flag can say, those of the
// logging commands, and those of serve alone.
func TestCollectHasAFlagForEverySetting(t *testing.T) {
	t.Parallel()
	for _, s := range config.Settings() {
		if !s.Secret && !strings.HasPrefix(s.Name, "logging_") && !slices.Contains(collectSettings, s.Name) && !slices.Contains(identitySettings, s.Name) && !slices.Contains(noticeSettings, s.Name) && !slices.Contains(lendingSettings, s.Name) {
			t.Errorf("--%s is documented and collect does not take it", s.FlagName())
		}
	}
}
