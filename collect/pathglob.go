package collect

import (
	"errors"
	"fmt"
	"strings"
)

// maxGlob bounds a pattern, so that matching needs no memory of its own.
const maxGlob = 250

// pathGlob is a compiled pattern for paths. Matching takes time in proportion to
// the lengths of both, whatever the path is.
type pathGlob struct {
	text   string // an exact path, or a prefix that ends in "/"
	prefix bool
	tokens []globToken // nil: text says it all
}

// globToken is a byte of a pattern, or one of the wildcards.
type globToken struct {
	kind globKind
	char byte
}

type globKind uint8

const (
	globChar    globKind = iota // exactly char
	globAny                     // ?: one byte but /
	globSegment                 // *: any number of bytes but /
	globPath                    // **: any number of bytes
)

func newPathGlob(pattern string) (pathGlob, error) {
	switch {
	case !strings.HasPrefix(pattern, "/") && !strings.HasPrefix(pattern, "*") && !strings.HasPrefix(pattern, "$"):
		return pathGlob{}, fmt.Errorf("%q does not begin with / or *", pattern)
	case len(pattern) > maxGlob:
		return pathGlob{}, fmt.Errorf("a pattern has at most %d characters", maxGlob)
	case strings.ContainsAny(pattern, "\r\n"):
		return pathGlob{}, errors.New("a pattern is one line")
	}
	if !strings.ContainsAny(pattern, "*?") {
		return pathGlob{text: pattern, prefix: len(pattern) > 1 && strings.HasSuffix(pattern, "/")}, nil
	}
	g := pathGlob{text: pattern}
	for i := 0; i < len(pattern); i++ {
		t := globToken{char: pattern[i]}
		switch {
		case pattern[i] == '*' && i+1 < len(pattern) && pattern[i+1] == '*':
			t.kind = globPath
			i++
		case pattern[i] == '*':
			t.kind = globSegment
		case pattern[i] == '?':
			t.kind = globAny
		}
		g.tokens = append(g.tokens, t)
	}
	if strings.HasSuffix(pattern, "/") {
		g.tokens = append(g.tokens, globToken{kind: globPath})
	}
	return g, nil
}

// matches follows all ways through the pattern at once: at[i] says that the
// first i tokens fit what was read so far.
func (g *pathGlob) matches(path string) bool {
	if g.tokens == nil {
		return path == g.text || g.prefix && strings.HasPrefix(path, g.text)
	}
	var at, next [maxGlob + 2]bool
	n := len(g.tokens)
	at[0] = true
	g.skip(&at)
	for i := range len(path) {
		c := path[i]
		clear(next[:n+1])
		alive := false
		for j, t := range g.tokens {
			if !at[j] {
				continue
			}
			switch {
			case t.kind == globChar && t.char == c, t.kind == globAny && c != '/':
				next[j+1], alive = true, true
			case t.kind == globPath, t.kind == globSegment && c != '/':
				next[j], alive = true, true
			}
		}
		if !alive {
			return false
		}
		at = next
		g.skip(&at)
	}
	return at[n]
}

// skip lets the wildcards that need nothing be passed.
func (g *pathGlob) skip(at *[maxGlob + 2]bool) {
	for j, t := range g.tokens {
		if at[j] && (t.kind == globSegment || t.kind == globPath) {
			at[j+1] = true
		}
	}
}
