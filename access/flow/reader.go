package flow

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// reader turns YAML nodes into values, collects what is wrong, and remembers where
// each value stood.
type reader struct {
	errs   Errors
	places map[string]place
}

type place struct{ line, column int }

func (r *reader) fail(n *yaml.Node, path, hint, format string, args ...any) {
	if len(r.errs) < maxErrors {
		r.errs = append(r.errs, &Error{Line: n.Line, Column: n.Column, Path: path, Message: fmt.Sprintf(format, args...), Hint: hint})
	}
}

// at remembers where a value stands and refuses what no text of flows needs:
// aliases, by which a short text could grow without bound, and tags.
func (r *reader) at(n *yaml.Node, path string) bool {
	r.places[path] = place{n.Line, n.Column}
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.fail(n, path, "write the value out", "anchors and aliases are not supported")
	case n.Style&yaml.TaggedStyle != 0:
		r.fail(n, path, "leave the tag out", "tags are not supported")
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		r.fail(n, path, "give it a value or leave the key out", "has no value")
	default:
		return true
	}
	return false
}

// read takes one value of a mapping.
type read func(n *yaml.Node, path string)

// mapping reads a mapping with known keys, each at most once, and reports whether it
// was one.
func (r *reader) mapping(n *yaml.Node, path string, fields map[string]read) bool {
	if !r.at(n, path) {
		return false
	}
	if n.Kind != yaml.MappingNode {
		r.fail(n, path, "", "must be a mapping with %s", strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		return false
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		f := fields[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode || f == nil:
			r.fail(key, path, nearest(key.Value, fields), "unknown key %q", key.Value)
		case seen[key.Value]:
			r.fail(key, path, "", "%s is set twice", key.Value)
		default:
			f(value, join(path, key.Value))
		}
		seen[key.Value] = true
	}
	return true
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func nearest(name string, fields map[string]read) string {
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		if strings.EqualFold(k, name) || strings.TrimSuffix(k, "s") == strings.TrimSuffix(name, "s") ||
			len(name) > 3 && (strings.HasPrefix(k, name) || strings.HasPrefix(name, k)) {
			return "did you mean " + k + "?"
		}
	}
	return "known are " + strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
}

func (r *reader) list(n *yaml.Node, path string, each read) {
	if !r.at(n, path) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		r.fail(n, path, `write "- …"`, "must be a list")
		return
	}
	for i, e := range n.Content {
		each(e, path+"["+strconv.Itoa(i)+"]")
	}
}

func (r *reader) scalar(n *yaml.Node, path, what string) (string, bool) {
	if !r.at(n, path) {
		return "", false
	}
	if n.Kind != yaml.ScalarNode {
		r.fail(n, path, "", "must be %s", what)
		return "", false
	}
	return n.Value, true
}

// text takes a scalar as it is written: 007 is the text "007".
func (r *reader) text(to *string) read {
	return func(n *yaml.Node, path string) {
		if v, ok := r.scalar(n, path, "a text"); ok {
			*to = v
		}
	}
}

func (r *reader) texts(to *[]string) read {
	return func(n *yaml.Node, path string) {
		r.list(n, path, func(e *yaml.Node, path string) {
			if v, ok := r.scalar(e, path, "a text"); ok {
				*to = append(*to, v)
			}
		})
	}
}

func (r *reader) truth(to *bool) read {
	return func(n *yaml.Node, path string) {
		v, ok := r.scalar(n, path, "true or false")
		switch {
		case !ok:
		case n.Tag == "!!bool" && strings.EqualFold(v, "true"):
			*to = true
		case n.Tag == "!!bool" && strings.EqualFold(v, "false"):
			*to = false
		default:
			r.fail(n, path, "", "must be true or false")
		}
	}
}

func (r *reader) number(to *int) read {
	return func(n *yaml.Node, path string) {
		v, ok := r.scalar(n, path, "a whole number")
		if !ok {
			return
		}
		i, err := strconv.Atoi(v)
		if err != nil || n.Tag != "!!int" || i > 1_000_000 || i < -1_000_000 {
			r.fail(n, path, "", "must be a whole number between -1000000 and 1000000")
			return
		}
		*to = i
	}
}

func (r *reader) duration(to *time.Duration) read {
	return func(n *yaml.Node, path string) {
		v, ok := r.scalar(n, path, "a duration such as 30m, 8h or 7d")
		if !ok {
			return
		}
		d, err := ParseDuration(v)
		if err != nil {
			r.fail(n, path, "", "%v", err)
			return
		}
		*to = d
	}
}

func (r *reader) clock(to *int) read {
	return func(n *yaml.Node, path string) {
		v, ok := r.scalar(n, path, "a time of the day such as 09:00")
		if !ok {
			return
		}
		m, err := ParseClock(v)
		if err != nil {
			r.fail(n, path, "", "%v", err)
			return
		}
		*to = m
	}
}

// ParseDuration reads a positive duration such as 30m, 8h, 1h30m, 7d or 1d12h; a day
// has 24 hours.
func ParseDuration(text string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not a duration such as 30m, 8h or 7d", text)
	rest, sum := text, time.Duration(0)
	if days, after, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, bad
		}
		rest, sum = after, time.Duration(n)*24*time.Hour
	}
	if rest != "" {
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 || rest[0] == '+' || rest[0] == '-' {
			return 0, bad
		}
		sum += d
	}
	if sum <= 0 {
		return 0, fmt.Errorf("%q is not longer than nothing", text)
	}
	return sum, nil
}

// FormatDuration writes a duration as ParseDuration reads it.
func FormatDuration(d time.Duration) string {
	const day = 24 * time.Hour
	var text []byte
	for _, u := range []struct {
		size time.Duration
		name string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d >= u.size {
			text = append(strconv.AppendInt(text, int64(d/u.size), 10), u.name...)
			d %= u.size
		}
	}
	if d > 0 || len(text) == 0 {
		text = append(text, d.String()...)
	}
	return string(text)
}
