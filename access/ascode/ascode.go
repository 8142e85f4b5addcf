// Package ascode writes what lending is set up by as text, and reads it back: as
// Gatehouse's own YAML, and as Terraform of the schema of the apono provider. What
// the provider has no words for stands in the text as a comment and is returned as
// a list of losses. Secrets are never written.
package ascode

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

// Code is what lending is set up by.
type Code struct {
	Integrations []access.Integration
	Flows        *flow.Set
}

// Loss is something that a text cannot say.
type Loss struct {
	// Kind is "integration", "flow" or "bundle".
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Path leads to the value, as in YAML: "duration.default". Empty: all of it was
	// left out.
	Path   string `json:"path,omitempty"`
	Reason string `json:"reason"`
}

// String gives the loss in one line.
func (l Loss) String() string {
	path := l.Path
	if path == "" {
		path = "all of it"
	}
	return fmt.Sprintf("%s %q: %s: %s", l.Kind, l.Name, path, l.Reason)
}

// losses collects what one thing loses.
type losses struct {
	kind, name string
	list       []Loss
}

func (l *losses) add(path, format string, args ...any) {
	l.list = append(l.list, Loss{l.kind, l.name, path, fmt.Sprintf(format, args...)})
}

// MaxAccessDetails is how long an integration's own text for people may be, in
// characters.
const MaxAccessDetails = 400

// validate checks what holds for an integration of any type.
func validate(list []access.Integration) error {
	seen := map[string]bool{}
	for i := range list {
		in := &list[i]
		wrong := func(format string, args ...any) error {
			return fmt.Errorf("integration %q: %s", in.Name, fmt.Sprintf(format, args...))
		}
		switch {
		case strings.TrimSpace(in.Name) == "" || strings.TrimSpace(in.Name) != in.Name:
			return wrong("the name is missing, or begins or ends with a blank")
		case seen[in.Name]:
			return wrong("there are two of this name")
		case in.Type == "":
			return wrong("type is missing")
		case utf8.RuneCountInString(in.AccessDetails) > MaxAccessDetails:
			return wrong("custom_access_details has more than %d characters", MaxAccessDetails)
		case in.OwnerTag != "" && len(in.Owner) == 0:
			return wrong("owner_tag needs an owner to fall back to")
		case in.RotationDays < 0 || in.CleanupDays < 0:
			return wrong("a number of days is negative")
		}
		seen[in.Name] = true
		if s := in.Secret; s != nil {
			n := 0
			for _, set := range []bool{s.Kubernetes != nil, s.AWS != nil, s.Environment != ""} {
				if set {
					n++
				}
			}
			if n != 1 {
				return wrong("secret_store names %d stores, not one of kubernetes, aws and environment", n)
			}
		}
		for _, o := range in.Owner {
			if o.Kind == "" || o.Value == "" {
				return wrong("an owner has kind and value")
			}
		}
	}
	return nil
}
