package logging

import (
	"path"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// Choice says which stages are meant. An empty list restricts nothing, and a stage
// must pass all of them. Regions are not among them: they are those that are read.
type Choice struct {
	Accounts []string              `json:"accounts,omitempty"`
	Regions  []string              `json:"regions,omitempty"`
	Types    []transaction.APIType `json:"types,omitempty"`
	// APIs are IDs or stages (ID/STAGE).
	APIs []string `json:"apis,omitempty"`
	// Names are names of APIs and Stages names of stages; both may hold *, ? and [].
	Names  []string `json:"names,omitempty"`
	Stages []string `json:"stages,omitempty"`
	// Tags must all be there, on the API or the stage; an empty value stands for any.
	Tags map[string]string `json:"tags,omitempty"`
	// Places are stages with where they are (ACCOUNT/REGION/API/STAGE), or all of an
	// ACCOUNT, ACCOUNT/REGION or ACCOUNT/REGION/API.
	Places []string `json:"places,omitempty"`
}

// place reports whether anything in a region of an account may be meant.
func (c *Choice) place(account, region string) bool {
	return (len(c.Accounts) == 0 || slices.Contains(c.Accounts, account)) &&
		(len(c.Regions) == 0 || region == "" || slices.Contains(c.Regions, region)) &&
		(len(c.Places) == 0 || slices.ContainsFunc(c.Places, func(p string) bool {
			a, rest, _ := strings.Cut(p, "/")
			r, _, _ := strings.Cut(rest, "/")
			return a == account && (r == "" || region == "" || r == region)
		}))
}

// among reports whether a stage is one of Places, or part of one.
func (c *Choice) among(account, region, api, stage string) bool {
	if len(c.Places) == 0 {
		return true
	}
	whole := account + "/" + region + "/" + api + "/" + stage
	return slices.ContainsFunc(c.Places, func(p string) bool {
		return strings.HasPrefix(whole, p) && (len(whole) == len(p) || whole[len(p)] == '/' && strings.Count(p, "/") < 3)
	})
}

func (c *Choice) kind(t transaction.APIType) bool {
	return len(c.Types) == 0 || slices.Contains(c.Types, t)
}

// Means reports whether a stage is among the Accounts, Regions and Places.
func (c *Choice) Means(account, region, api, stage string) bool {
	return c.place(account, region) && c.among(account, region, api, stage)
}

// all reports whether no API or stage is left out for what it is.
func (c *Choice) all() bool {
	return len(c.APIs)+len(c.Names)+len(c.Stages)+len(c.Tags)+len(c.Places) == 0
}

func (c *Choice) stage(t transaction.APIType, id, name, stage string, tags ...map[string]string) bool {
	if !c.kind(t) || len(c.Names) > 0 && !fits(c.Names, name) || len(c.Stages) > 0 && !fits(c.Stages, stage) {
		return false
	}
	if len(c.APIs) > 0 && !slices.Contains(c.APIs, id) && !slices.Contains(c.APIs, id+"/"+stage) {
		return false
	}
	for key, want := range c.Tags {
		if !slices.ContainsFunc(tags, func(t map[string]string) bool {
			have, ok := t[key]
			return ok && (want == "" || have == want)
		}) {
			return false
		}
	}
	return true
}

// fits reports whether a name fits one of the patterns. Options.Check has refused
// what is no pattern.
func fits(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, name)
		return err == nil && ok
	})
}

// stages calls do with every stage of a snapshot that is meant.
func (c *Choice) stages(s *estate.Snapshot, do func(p *position)) {
	each(s, func(p *position) {
		if c.place(p.account.ID, p.region.Name) && c.among(p.account.ID, p.region.Name, p.api.ID, p.stage.Name) && c.stage(p.api.Type, p.api.ID, p.api.Name, p.stage.Name, p.api.Tags, p.stage.Tags) {
			do(p)
		}
	})
}

// position is a stage with where it is.
type position struct {
	account *estate.Account
	region  *estate.Region
	api     *estate.API
	stage   *estate.Stage
}

func each(s *estate.Snapshot, do func(p *position)) {
	for i := range s.Accounts {
		a := &s.Accounts[i]
		for j := range a.Regions {
			r := &a.Regions[j]
			for k := range r.APIs {
				api := &r.APIs[k]
				for l := range api.Stages {
					do(&position{a, r, api, &api.Stages[l]})
				}
			}
		}
	}
}

func (p *position) key(k Kind, part string) Key {
	return Key{Account: p.account.ID, Region: p.region.Name, Kind: k, Subject: p.api.ID + "/" + p.stage.Name, Part: part}
}

func (p *position) groupARN(name string) string {
	return groupARN(p.account.ID, p.region.Name, name)
}

// executions are the keys and values of a stage's execution logging: of all methods
// first, then of those that have settings of their own. HTTP APIs have none.
func (p *position) executions() (keys []Key, values []string) {
	if p.api.Type == transaction.HTTP {
		return nil, nil
	}
	def := defaultV2
	value := executionValue(p.stage.LoggingLevel, p.stage.DataTrace)
	if p.api.Type == transaction.REST {
		def, value = defaultREST, ""
	}
	keys, values = []Key{p.key(KindExecution, def)}, []string{value}
	for i := range p.stage.Settings {
		m := &p.stage.Settings[i]
		part := partOf(p.api.Type, m)
		value := executionValue(m.LoggingLevel, m.DataTrace)
		if part == def {
			values[0] = value
			continue
		}
		keys, values = append(keys, p.key(KindExecution, part)), append(values, value)
	}
	return keys, values
}

func (p *position) access() string {
	return accessLog{p.stage.AccessLogARN, p.stage.AccessFormat}.value()
}

// writes reports whether the stage writes any log with the account's role.
func (p *position) writes() bool {
	if p.api.Type == transaction.HTTP {
		return false
	}
	_, values := p.executions()
	return p.stage.AccessLogARN != "" || slices.ContainsFunc(values, func(v string) bool {
		level, _ := splitExecution(v)
		return level != off
	})
}

// logging are the stages of the region that are told to write logs with the account's
// role.
func (p *position) logging() []string {
	var subjects []string
	for i := range p.region.APIs {
		for j := range p.region.APIs[i].Stages {
			at := position{p.account, p.region, &p.region.APIs[i], &p.region.APIs[i].Stages[j]}
			if at.writes() {
				subjects = append(subjects, at.api.ID+"/"+at.stage.Name)
			}
		}
	}
	return subjects
}

// executionGroup is the log group that API Gateway itself writes execution logs to.
func (p *position) executionGroup() string {
	switch p.api.Type {
	case transaction.REST:
		return restGroups + "_" + p.api.ID + "/" + p.stage.Name
	case transaction.WebSocket:
		return v2Groups + p.api.ID + "/" + p.stage.Name
	case transaction.HTTP:
	}
	return ""
}
