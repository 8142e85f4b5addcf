package identity_test

import (
	"testing"

	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/store/storetest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	storetest.ExerciseIdentity(t, func(*testing.T) identity.Store { return &identity.Memory{} })
}
