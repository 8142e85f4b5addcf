package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
)

// installationKey is the setting that keeps the installation's id.
const installationKey = "installation"

// installation is the id of this installation: all servers on one state have one. It is
// made once, at random, and marks what Gatehouse makes elsewhere, so that two
// installations which lend from one cluster do not take each other's things for their own.
func (p *product) installation(ctx context.Context) (string, error) {
	var id [10]byte
	_, _ = rand.Read(id[:]) // it never fails: see crypto/rand
	return p.store.EnsureSetting(ctx, installationKey, "i"+hex.EncodeToString(id[:]))
}
