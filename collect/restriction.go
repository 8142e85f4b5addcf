package collect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// Restriction says which types of API, APIs and stages are read at all. Its zero
// value restricts nothing. NewRestriction checks one and brings it into the form
// in which it is compared.
type Restriction struct {
	APITypes []string
	APIs     []string
}

// NewRestriction compiles a Restriction to types of API (REST, HTTP, WEBSOCKET,
// in any case) and to APIs (ID) or stages (ID/STAGE). An empty list restricts
// nothing.
func NewRestriction(types, apis []string) (Restriction, error) {
	r := Restriction{APITypes: slices.Clone(types), APIs: slices.Clone(apis)}
	var err error
	for i, t := range r.APITypes {
		if r.APITypes[i], err = readAPIType(t); err != nil {
			return Restriction{}, fmt.Errorf("api_types: %w", err)
		}
	}
	for i, a := range r.APIs {
		if r.APIs[i], err = readAPI(a); err != nil {
			return Restriction{}, fmt.Errorf("apis: %w", err)
		}
	}
	return r, nil
}

// Reads reports whether a log group may hold events of what is to be read. A
// group of which neither the estate nor the name tells whose it is may hold
// anything.
func (r Restriction) Reads(g *transaction.Group) bool {
	if len(r.APITypes) == 0 && len(r.APIs) == 0 {
		return true
	}
	id, stage, kind := g.API()
	if g.APIType == "" && kind == transaction.WebSocket {
		kind = "" // HTTP APIs write their access logs to groups of any name
	}
	return r.passes(kind, id, stage, stage == "")
}

// keeps reports whether a call is one that is to be read. It is asked because a
// log group may be shared.
func (r Restriction) keeps(t *transaction.Transaction) bool {
	return r.passes(t.APIType, t.APIID, t.Stage, false)
}

func (r Restriction) passes(kind transaction.APIType, id, stage string, anyStage bool) bool {
	if len(r.APITypes) > 0 && kind != "" && !slices.Contains(r.APITypes, string(kind)) {
		return false
	}
	if len(r.APIs) == 0 || id == "" {
		return true
	}
	return slices.ContainsFunc(r.APIs, func(a string) bool {
		return namesStage(a, id, stage) || anyStage && strings.HasPrefix(a, id+"/")
	})
}
