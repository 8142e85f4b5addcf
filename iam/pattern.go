package iam

import (
	"strings"
	"unicode/utf8"
)

// tokenKind is what one piece of a pattern does.
type tokenKind uint8

const (
	tokenText     tokenKind = iota // this text
	tokenStar                      // any number of characters
	tokenOne                       // exactly one character
	tokenVariable                  // the value of a context key
)

// token is one piece of a pattern.
type token struct {
	kind tokenKind
	// inside keeps a wildcard of an ARN's first five parts from passing a colon.
	inside bool
	// text is the text, or the lower-case context key of a variable.
	text string
	// fallback is a variable's default.
	fallback    string
	hasFallback bool
}

// pattern is a text to compare with, compiled: with or without wildcards, with
// or without policy variables.
type pattern struct {
	shape  shape
	text   string // of exact and prefix
	tokens []token
}

// shape lets the common patterns avoid the general matcher.
type shape uint8

const (
	shapeTokens    shape = iota
	shapeExact           // no wildcard, no variable
	shapePrefix          // text and then one star
	shapeAny             // one star
	shapeVariables       // holds variables
)

// syntax says what is special in a pattern's text.
type syntax struct {
	wildcards bool // * and ?
	variables bool // ${key}, ${key, 'default'}, ${*}, ${?}, ${$}
	// resource is the syntax of Resource: a wildcard in one of the first five
	// parts of an ARN stays inside its part, unless it is a star at its end,
	// and variables stand only in the sixth part.
	resource bool
}

// compilePattern turns text into a pattern. It cannot fail: what does not read as
// a variable is one that never has a value, or plain text if it has no end.
func compilePattern(text string, s syntax) pattern {
	var tokens []token
	lit := 0 // start of plain text that is not yet a token
	colons := 0
	flush := func(end int) {
		if end > lit {
			tokens = append(tokens, token{kind: tokenText, text: text[lit:end]})
		}
	}
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case s.wildcards && (c == '*' || c == '?'):
			flush(i)
			t := token{kind: tokenStar, inside: s.resource && colons < 5}
			if c == '?' {
				t.kind = tokenOne
			} else if i+1 == len(text) || text[i+1] == ':' {
				// "If the * wildcard is the last character of a resource
				// ARN segment, it can expand to match beyond the colon."
				t.inside = false
			}
			// Two stars side by side are one.
			if last := len(tokens) - 1; t.kind == tokenStar && lit == i && last >= 0 && tokens[last].kind == tokenStar {
				tokens[last].inside = tokens[last].inside && t.inside
			} else {
				tokens = append(tokens, t)
			}
			i++
			lit = i
			continue
		case s.variables && c == '$' && strings.HasPrefix(text[i:], "${"):
			t, size := cutVariable(text[i:])
			if size == 0 {
				break // no end: plain text
			}
			flush(i)
			if s.resource && colons < 5 && t.kind == tokenVariable {
				t = token{kind: tokenVariable} // never has a value
			}
			tokens = append(tokens, t)
			i += size
			lit = i
			continue
		case c == ':':
			colons++
		}
		i++
	}
	flush(len(text))
	return shapePattern(tokens)
}

func shapePattern(tokens []token) pattern {
	p := pattern{tokens: tokens}
	for _, t := range tokens {
		if t.kind == tokenVariable {
			p.shape = shapeVariables
			return p
		}
	}
	switch {
	case len(tokens) == 0:
		p.shape = shapeExact
	case len(tokens) == 1 && tokens[0].kind == tokenText:
		p.shape, p.text = shapeExact, tokens[0].text
	case len(tokens) == 1 && tokens[0].kind == tokenStar && !tokens[0].inside:
		p.shape = shapeAny
	case len(tokens) == 2 && tokens[0].kind == tokenText && tokens[1].kind == tokenStar && !tokens[1].inside:
		p.shape, p.text = shapePrefix, tokens[0].text
	}
	return p
}

// cutVariable reads the variable at the start of text, which starts with "${",
// and returns how long it is; 0 if it has no end.
func cutVariable(text string) (token, int) {
	body := text[2:]
	end := strings.IndexByte(body, '}')
	if end < 0 {
		return token{}, 0
	}
	name, fallback, hasFallback := strings.Cut(body[:end], ",")
	if hasFallback {
		// A quoted default may hold a brace.
		quoted := strings.TrimLeft(body[len(name)+1:], " ")
		skipped := len(body) - len(quoted)
		after, ok := strings.CutPrefix(quoted, "'")
		if !ok {
			return token{kind: tokenVariable}, end + 3
		}
		closing := strings.Index(after, "'")
		if closing < 0 || !strings.HasPrefix(strings.TrimLeft(after[closing+1:], " "), "}") {
			return token{kind: tokenVariable}, end + 3
		}
		fallback = after[:closing]
		end = skipped + 1 + closing + strings.IndexByte(after[closing:], '}')
	}
	name = strings.TrimSpace(name)
	switch name {
	case "*", "?", "$":
		return token{kind: tokenText, text: name}, end + 3
	}
	return token{
		kind: tokenVariable, text: strings.ToLower(name), fallback: fallback, hasFallback: hasFallback && name != "",
	}, end + 3
}

// completeARN adds the parts that an incomplete ARN in Resource leaves out:
// "arn:aws:sqs" stands for "arn:aws:sqs:*:*:*".
func completeARN(text string) string {
	if !strings.HasPrefix(text, "arn:") {
		return text
	}
	for n := strings.Count(text, ":"); n < 5; n++ {
		text += ":*"
	}
	return text
}

// match reports whether s is what the pattern describes. ok is false if a
// variable has no value, which decides neither way.
func (p *pattern) match(s string, q *Query) (matched, ok bool) {
	switch p.shape {
	case shapeExact:
		return s == p.text, true
	case shapePrefix:
		return strings.HasPrefix(s, p.text), true
	case shapeAny:
		return true, true
	case shapeVariables:
		var room [16]token
		tokens, ok := p.resolve(room[:0], q)
		return ok && matchTokens(tokens, s), ok
	default:
		return matchTokens(p.tokens, s), true
	}
}

// matchResource is match for an entry of Resource, and matchCondition for a value
// of an Arn operator, in which no wildcard crosses a colon of the first five
// parts. A variable without a value leaves open only the part that it stands in:
// if another part differs, that decides.
func (p *pattern) matchResource(s string, q *Query) (matched, ok bool) {
	if p.shape != shapeVariables {
		return p.match(s, q)
	}
	var room [16]token
	tokens, ok := p.resolve(room[:0], q)
	if ok {
		return matchTokens(tokens, s), true
	}
	return false, !matchTokens(openParts(tokens), s)
}

func (p *pattern) matchCondition(s string, q *Query) (matched, ok bool) {
	if p.shape != shapeVariables {
		return p.match(s, q)
	}
	var room [16]token
	tokens, ok := p.resolve(room[:0], q)
	if !ok {
		tokens = openParts(tokens)
	}
	if !anchorARN(tokens) {
		return false, false
	}
	matched = matchTokens(tokens, s)
	return matched && ok, ok || !matched
}

// openParts lets what has no value be anything: in the first five parts a star
// takes the variable's place, in the sixth it takes the place of the part.
func openParts(tokens []token) []token {
	resource, cut, colons := -1, 0, 0 // the token with the fifth colon, and where the sixth part starts in it
	for i := range tokens {
		switch t := &tokens[i]; {
		case t.kind == tokenVariable && colons < 5:
			*t = token{kind: tokenStar, inside: true}
		case t.kind == tokenVariable:
			tokens[resource].text = tokens[resource].text[:cut]
			return append(tokens[:resource+1], token{kind: tokenStar})
		case t.kind == tokenText && colons < 5:
			for j := range len(t.text) {
				if t.text[j] == ':' {
					if colons++; colons == 5 {
						resource, cut = i, j+1
						break
					}
				}
			}
		}
	}
	return tokens
}

// anchorARN keeps the wildcards of the first five parts inside their part: the
// Arn operators compare the six parts one by one. It reports false for what is
// not an ARN.
func anchorARN(tokens []token) bool {
	if len(tokens) == 0 || tokens[0].kind == tokenText && !strings.HasPrefix(tokens[0].text, "arn:") {
		return false
	}
	colons := 0
	for i := range tokens {
		tokens[i].inside = colons < 5
		if tokens[i].kind == tokenText {
			colons += strings.Count(tokens[i].text, ":")
		}
	}
	return colons >= 5
}

// resolve puts values in the place of variables. A value is text: a wildcard in
// it stands for itself. What has no value is left, and ok is false.
func (p *pattern) resolve(into []token, q *Query) (tokens []token, ok bool) {
	ok = true
	for _, t := range p.tokens {
		if t.kind == tokenVariable {
			if value, has := q.variable(&t); has {
				t = token{kind: tokenText, text: value}
			} else {
				ok = false
			}
		}
		into = append(into, t)
	}
	return into, ok
}

// equalFold is match for a pattern without wildcards, in any case of letters.
func (p *pattern) equalFold(s string, q *Query) (matched, ok bool) {
	if p.shape == shapeExact {
		return strings.EqualFold(s, p.text), true
	}
	var room [16]token
	tokens, ok := p.resolve(room[:0], q)
	var buf [128]byte
	whole := buf[:0]
	for _, t := range tokens {
		whole = append(whole, t.text...)
	}
	return ok && strings.EqualFold(s, string(whole)), ok
}

// plain returns the pattern's text with variables resolved, for operators that
// read a value out of it.
func (p *pattern) plain(q *Query) (string, bool) {
	if p.shape == shapeExact {
		return p.text, true
	}
	var room [16]token
	tokens, ok := p.resolve(room[:0], q)
	if !ok {
		return "", false
	}
	if len(tokens) == 1 {
		return tokens[0].text, true
	}
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString(t.text)
	}
	return b.String(), true
}

// matchTokens compares s with tokens that hold no variables.
//
// On a mismatch it goes back to the nearest star and lets it take more. Only the
// last star that crosses colons and the last one that does not can matter: what
// stands before a star has been matched as early as possible, which leaves the
// most for what follows; and a star that stays inside its part of an ARN cannot
// change where the part ends. So the work is bounded by the product of the
// lengths, never exponential.
func matchTokens(tokens []token, s string) bool {
	cross, crossAt := -1, 0   // token after the last star that crosses, and where it goes on in s
	inside, insideAt := -1, 0 // the same of one that does not
	ti, at := 0, 0
	for {
		if ti < len(tokens) {
			switch t := &tokens[ti]; t.kind {
			case tokenStar:
				ti++
				if t.inside {
					inside, insideAt = ti, at
				} else {
					if ti == len(tokens) {
						return true
					}
					cross, crossAt = ti, at
					inside = -1
				}
				continue
			case tokenOne:
				if at < len(s) && (!t.inside || s[at] != ':') {
					at += runeSize(s[at:])
					ti++
					continue
				}
			default:
				if strings.HasPrefix(s[at:], t.text) {
					at += len(t.text)
					ti++
					continue
				}
			}
		} else if at == len(s) {
			return true
		}
		if inside >= 0 && insideAt < len(s) && s[insideAt] != ':' {
			insideAt += runeSize(s[insideAt:])
			ti, at = inside, insideAt
			continue
		}
		if cross < 0 || crossAt >= len(s) {
			return false
		}
		inside = -1
		crossAt += runeSize(s[crossAt:])
		if next := &tokens[cross]; next.kind == tokenText {
			skip := strings.Index(s[crossAt:], next.text)
			if skip < 0 {
				return false
			}
			crossAt += skip
		}
		ti, at = cross, crossAt
	}
}

func runeSize(s string) int {
	if s[0] < utf8.RuneSelf {
		return 1
	}
	_, size := utf8.DecodeRuneInString(s)
	return size
}
