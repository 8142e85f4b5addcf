package archive

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/gatehouse-project/gatehouse/collect"
)

// importPrefix begins the names under which the cursors of imports are saved. No
// log group has a colon in its name.
const importPrefix = "import:"

// State keeps the cursors of this import apart from those of the log groups
// themselves, and from those of imports of other files: where the files of a
// group have been read to says nothing of the group.
func (a *Archive) State(inner collect.State) collect.State {
	sum := sha256.Sum256([]byte(strings.Join(a.digests, "\n")))
	return &state{inner, importPrefix + hex.EncodeToString(sum[:8]) + ":"}
}

type state struct {
	inner  collect.State
	prefix string
}

var _ collect.State = (*state)(nil)

// LoadCheckpoint loads the cursors of this import alone, and the positions of the
// sinks.
func (s *state) LoadCheckpoint(ctx context.Context) (*collect.Checkpoint, error) {
	c, err := s.inner.LoadCheckpoint(ctx)
	if err != nil || c == nil {
		return c, err
	}
	var own []collect.GroupCheckpoint
	for _, g := range c.Groups {
		if name, ok := strings.CutPrefix(g.Group.Name, s.prefix); ok {
			g.Group.Name = name
			own = append(own, g)
		}
	}
	c.Groups = own
	return c, nil
}

// Commit saves the cursors under the name of this import.
func (s *state) Commit(ctx context.Context, c *collect.Checkpoint) error {
	named := *c
	named.Groups = make([]collect.GroupCheckpoint, len(c.Groups))
	for i, g := range c.Groups {
		g.Group.Name = s.prefix + g.Group.Name
		named.Groups[i] = g
	}
	return s.inner.Commit(ctx, &named)
}
