package app

import (
	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/config"
)

// filterOf compiles what is read and what is handed on. The filter asks for the
// restriction too, since a log group may be shared by stages of both sides.
func filterOf(c *config.Config) (*collect.Filter, collect.Restriction, error) {
	restriction, err := collect.NewRestriction(c.APITypes, c.APIs)
	if err != nil {
		return nil, collect.Restriction{}, err
	}
	rules := c.Filter
	rules.Restriction = restriction
	filter, err := collect.NewFilter(rules)
	return filter, restriction, err
}
