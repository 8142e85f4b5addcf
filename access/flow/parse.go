package flow

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Parse reads flows and bundles from YAML. It is strict: an unknown key, a key that
// comes twice, a value of another shape and a second document are errors with line
// and column. The error is Errors.
func Parse(text []byte) (*Set, error) {
	root, err := Document(text)
	if err != nil {
		return nil, err
	}
	return ParseNode(root)
}

// yamlLine finds the place in the YAML library's own errors.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// Document reads the text of one YAML document and returns its mapping; nil for a
// text without any.
func Document(text []byte) (*yaml.Node, error) {
	if len(text) > MaxText {
		return nil, Errors{{Message: fmt.Sprintf("the text has more than %d MiB", MaxText>>20)}}
	}
	broken := func(err error) error {
		e := &Error{Message: yamlLine.ReplaceAllString(err.Error(), "")}
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil && m[1] != "" {
			e.Line, _ = strconv.Atoi(m[1])
			e.Column = 1
		}
		return Errors{e}
	}
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	var doc, next yaml.Node
	if err := d.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil //nolint:nilnil // an empty text is an empty set
		}
		return nil, broken(err)
	}
	switch err := d.Decode(&next); {
	case err == nil:
		return nil, Errors{{Line: next.Line, Column: next.Column, Message: "a second document begins here", Hint: "write all flows into one"}}
	case !errors.Is(err, io.EOF):
		return nil, broken(err)
	}
	if len(doc.Content) == 0 {
		return nil, nil //nolint:nilnil // an empty text is an empty set
	}
	return doc.Content[0], nil
}

// ParseNode reads flows and bundles from the mapping that Document returned. Keys
// that others read are left alone.
func ParseNode(root *yaml.Node, others ...string) (*Set, error) {
	r := &reader{places: map[string]place{}}
	var flows []Flow
	var bundles []Bundle
	if root != nil && (root.Kind != yaml.ScalarNode || root.Tag != "!!null") {
		fields := map[string]read{
			"flows": func(n *yaml.Node, path string) {
				r.list(n, path, func(n *yaml.Node, path string) { flows = append(flows, r.flow(n, path)) })
			},
			"bundles": func(n *yaml.Node, path string) {
				r.list(n, path, func(n *yaml.Node, path string) { bundles = append(bundles, r.bundle(n, path)) })
			},
		}
		for _, k := range others {
			fields[k] = func(*yaml.Node, string) {}
		}
		r.mapping(root, "", fields)
	}
	if len(r.errs) > 0 {
		return nil, r.named(flows, bundles)
	}
	s, err := New(flows, bundles)
	if errs, ok := errors.AsType[Errors](err); ok {
		for _, e := range errs {
			e.Line, e.Column = r.find(e.Path)
		}
		return nil, errs
	}
	return s, err
}

// find returns where a value stands, or what it is missing from.
func (r *reader) find(path string) (line, column int) {
	for {
		if p, ok := r.places[path]; ok {
			return p.line, p.column
		}
		if path == "" {
			return 0, 0
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
}

// named adds to each error which flow or bundle it is of.
func (r *reader) named(flows []Flow, bundles []Bundle) Errors {
	for _, e := range r.errs {
		e.Name = nameOf(e.Path, flows, bundles)
	}
	return r.errs
}

func nameOf(path string, flows []Flow, bundles []Bundle) string {
	kind, rest, ok := strings.Cut(path, "[")
	number, _, closed := strings.Cut(rest, "]")
	i, err := strconv.Atoi(number)
	switch {
	case !ok || !closed || err != nil:
	case kind == "flows" && i < len(flows) && flows[i].Name != "":
		return "flow " + strconv.Quote(flows[i].Name)
	case kind == "bundles" && i < len(bundles) && bundles[i].Name != "":
		return "bundle " + strconv.Quote(bundles[i].Name)
	}
	return ""
}

func (r *reader) flow(n *yaml.Node, path string) Flow {
	f := newFlow()
	var approval Approval
	var approvers, escalation bool
	r.mapping(n, path, map[string]read{
		"name":        r.text(&f.Name),
		"description": r.text(&f.Description),
		"active":      r.truth(&f.Active),
		"priority":    r.number(&f.Priority),
		"labels":      r.texts(&f.Labels),
		"requestors":  r.group(&f.Requestors),
		"request_for": func(n *yaml.Node, path string) { f.RequestFor = r.requestFor(n, path) },
		"targets":     r.targets(&f.Targets),
		"approvers": func(n *yaml.Node, path string) {
			approvers = true
			r.mapping(n, path, map[string]read{
				"mode":   r.text((*string)(&approval.Mode)),
				"groups": r.groups(&approval.Groups),
			})
		},
		"escalation": func(n *yaml.Node, path string) {
			escalation = true
			r.list(n, path, func(n *yaml.Node, path string) {
				var s EscalationStep
				r.mapping(n, path, map[string]read{"after": r.duration(&s.After), "groups": r.groups(&s.Groups)})
				approval.Escalation = append(approval.Escalation, s)
			})
		},
		"auto_approve": func(n *yaml.Node, path string) { f.AutoApprove = r.autoApprove(n, path) },
		"duration": func(n *yaml.Node, path string) {
			r.mapping(n, path, map[string]read{"max": r.duration(&f.Duration.Max), "default": r.duration(&f.Duration.Default)})
		},
		"extensions": func(n *yaml.Node, path string) {
			r.mapping(n, path, map[string]read{"max": r.number(&f.Extensions.Max), "duration": r.duration(&f.Extensions.Duration)})
		},
		"timeframe": func(n *yaml.Node, path string) { f.Timeframe = r.timeframe(n, path) },
		"justification": func(n *yaml.Node, path string) {
			r.mapping(n, path, map[string]read{"required": r.truth(&f.Justification.Required), "pattern": r.text(&f.Justification.Pattern)})
		},
		"approver_reason": r.truth(&f.ApproverReason),
		"self_approval":   r.truth(&f.SelfApproval),
		"break_glass":     func(n *yaml.Node, path string) { f.BreakGlass = r.breakGlass(n, path) },
		"lapse_after":     r.duration(&f.LapseAfter),
	})
	if approvers {
		f.Approval = &approval
	} else if escalation {
		r.fail(n, path+".escalation", "say who has to agree first in approvers", "nothing escalates without approvers")
	}
	return f
}

func (r *reader) bundle(n *yaml.Node, path string) (b Bundle) {
	r.mapping(n, path, map[string]read{
		"name": r.text(&b.Name), "description": r.text(&b.Description), "targets": r.targets(&b.Targets),
	})
	return b
}

func (r *reader) groups(to *[]ApproverGroup) read {
	return func(n *yaml.Node, path string) {
		r.list(n, path, func(n *yaml.Node, path string) {
			var g ApproverGroup
			r.group(&g)(n, path)
			*to = append(*to, g)
		})
	}
}

// group reads operator and conditions. One condition needs no operator.
func (r *reader) group(to *ApproverGroup) read {
	return func(n *yaml.Node, path string) {
		r.mapping(n, path, map[string]read{
			"operator": r.text(&to.Operator),
			"conditions": func(n *yaml.Node, path string) {
				r.list(n, path, func(n *yaml.Node, path string) {
					var c Condition
					r.mapping(n, path, map[string]read{
						"type": r.text(&c.Type), "name": r.text(&c.Name), "match": r.text(&c.Match), "values": r.texts(&c.Values),
					})
					to.Conditions = append(to.Conditions, c)
				})
			},
		})
	}
}

func (r *reader) requestFor(n *yaml.Node, path string) (f RequestFor) {
	r.mapping(n, path, map[string]read{
		"scopes": r.texts(&f.Scopes),
		"grantees": func(n *yaml.Node, path string) {
			f.Grantees = &ApproverGroup{}
			r.group(f.Grantees)(n, path)
		},
	})
	return f
}

func (r *reader) targets(to *[]Target) read {
	return func(n *yaml.Node, path string) {
		r.list(n, path, func(n *yaml.Node, path string) {
			var t Target
			r.mapping(n, path, map[string]read{
				"bundle": r.text(&t.Bundle), "integration": r.text(&t.Integration), "resource_type": r.text(&t.ResourceType),
				"permissions": r.texts(&t.Permissions), "include": r.filters(&t.Include), "exclude": r.filters(&t.Exclude),
			})
			*to = append(*to, t)
		})
	}
}

func (r *reader) filters(to *[]Filter) read {
	return func(n *yaml.Node, path string) {
		r.list(n, path, func(n *yaml.Node, path string) {
			var f Filter
			r.mapping(n, path, map[string]read{"type": r.text(&f.Type), "key": r.text(&f.Key), "values": r.texts(&f.Values)})
			*to = append(*to, f)
		})
		if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
			r.fail(n, path, "leave the key out", "an empty list chooses nothing")
		}
	}
}

func (r *reader) autoApprove(n *yaml.Node, path string) *AutoApprove {
	a := &AutoApprove{}
	if n.Kind == yaml.ScalarNode {
		r.truth(&a.Always)(n, path)
		if !a.Always {
			return nil
		}
		return a
	}
	r.mapping(n, path, map[string]read{
		"when": func(n *yaml.Node, path string) {
			a.When = &ApproverGroup{}
			r.group(a.When)(n, path)
		},
		"tags": func(n *yaml.Node, path string) {
			r.list(n, path, func(n *yaml.Node, path string) {
				f := Filter{Type: FilterTag}
				r.mapping(n, path, map[string]read{"key": r.text(&f.Key), "values": r.texts(&f.Values)})
				a.Tags = append(a.Tags, f)
			})
		},
		"duration_at_most": r.duration(&a.DurationAtMost),
		"timeframe":        func(n *yaml.Node, path string) { a.Timeframe = r.timeframe(n, path) },
	})
	return a
}

func (r *reader) timeframe(n *yaml.Node, path string) *Timeframe {
	t := &Timeframe{}
	var start, end bool
	r.mapping(n, path, map[string]read{
		"days": func(n *yaml.Node, path string) {
			var names []string
			r.texts(&names)(n, path)
			if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
				r.fail(n, path, "leave days out for every day", "the timeframe has no day")
			}
			for _, name := range names {
				d, err := ParseWeekday(name)
				if err != nil {
					r.fail(n, path, "", "%v", err)
					continue
				}
				t.Days = append(t.Days, d)
			}
		},
		"start": func(n *yaml.Node, path string) {
			start = true
			r.clock(&t.Start)(n, path)
		},
		"end": func(n *yaml.Node, path string) {
			end = true
			r.clock(&t.End)(n, path)
		},
		"time_zone": r.text(&t.TimeZone),
	})
	switch {
	case start != end:
		r.fail(n, path, "leave both out for the whole day", "start and end belong together")
	case start && t.Start == t.End:
		r.fail(n, path, "leave both out for the whole day", "the timeframe is empty: it ends when it starts")
	}
	return t
}

func (r *reader) breakGlass(n *yaml.Node, path string) *BreakGlass {
	b := &BreakGlass{}
	r.mapping(n, path, map[string]read{
		"who":          r.group(&b.Who),
		"max_duration": r.duration(&b.MaxDuration),
		"notify": func(n *yaml.Node, path string) {
			r.list(n, path, func(n *yaml.Node, path string) {
				var p Principal
				r.mapping(n, path, map[string]read{"kind": r.text(&p.Kind), "value": r.text(&p.Value)})
				b.Notify = append(b.Notify, p)
			})
		},
	})
	return b
}

// seconds reports whether a duration can be told in whole seconds.
func seconds(d time.Duration) bool { return d%time.Second == 0 }
