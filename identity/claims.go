package identity

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const (
	// maxGroups and maxValue bound what is taken from a claim: more groups than an
	// organization gives anybody, and bytes of one value.
	maxGroups = 2000
	maxValue  = 512
	maxEmail  = 254
)

// Claims says in which claims of an identity provider a person's facts are. A
// name with dots that no claim has as a whole is a path into objects:
// "realm_access.roles".
type Claims struct {
	Email      string // default "email"
	Groups     string // default "groups"
	Manager    string // default "manager"
	Attributes []string
	// TrustEmail takes addresses that the provider does not call verified.
	TrustEmail bool
}

func (c Claims) orDefault() Claims {
	if c.Email == "" {
		c.Email = "email"
	}
	if c.Groups == "" {
		c.Groups = "groups"
	}
	if c.Manager == "" {
		c.Manager = "manager"
	}
	return c
}

// wanted are the claims that describe a person, without those that are optional
// for everybody.
func (c Claims) wanted() []string {
	return append([]string{c.Email, "name", c.Groups}, c.Attributes...)
}

// claimError is a claim that keeps a person outside; its text is for them to see.
type claimError string

func (e claimError) Error() string { return string(e) }

// person reads claims of a token that was verified.
func (c Claims) person(issuer string, claims map[string]any) (Person, error) {
	subject, _ := claims["sub"].(string)
	if subject == "" {
		return Person{}, claimError("the identity provider sent no subject")
	}
	p := Person{ID: PersonID(issuer, subject)}
	p.Email, _ = lookup(claims, c.Email).(string)
	switch {
	case !isEmail(p.Email):
		return Person{}, claimError(fmt.Sprintf("the identity provider sent no e-mail address in the claim %q", c.Email))
	// The provider's word is about the claim "email" and no other.
	case !c.TrustEmail && (c.Email != "email" || !isTrue(claims["email_verified"])):
		return Person{}, claimError("the identity provider does not say that the e-mail address " + p.Email + " is verified")
	}
	p.Name, _ = claims["name"].(string)
	if p.Name = strings.TrimSpace(p.Name); p.Name == "" || !isPlain(p.Name) {
		p.Name = p.Email
	}
	var err error
	if p.Groups, err = values(lookup(claims, c.Groups)); err != nil {
		return Person{}, claimError(fmt.Sprintf("the claim %q: %v", c.Groups, err))
	}
	manager, err := values(lookup(claims, c.Manager))
	if err == nil && len(manager) == 1 {
		p.Manager = manager[0]
	}
	for _, name := range c.Attributes {
		v, err := values(lookup(claims, name))
		if err != nil {
			return Person{}, claimError(fmt.Sprintf("the claim %q: %v", name, err))
		}
		if len(v) == 0 {
			continue
		}
		if p.Attributes == nil {
			p.Attributes = map[string][]string{}
		}
		p.Attributes[name] = v
	}
	return p, nil
}

// lookup finds a claim by its whole name, else by the path that its dots make.
func lookup(claims map[string]any, name string) any {
	if v, ok := claims[name]; ok {
		return v
	}
	first, rest, ok := strings.Cut(name, ".")
	if !ok {
		return nil
	}
	inner, ok := claims[first].(map[string]any)
	if !ok {
		return nil
	}
	return lookup(inner, rest)
}

// values are the texts of a claim, sorted, each once: of an array, or one alone. A
// text is not taken apart at commas, for a group may have one in its name.
func values(claim any) ([]string, error) {
	list, ok := claim.([]any)
	if !ok {
		list = []any{claim}
	}
	if len(list) > maxGroups {
		return nil, fmt.Errorf("has more than %d values", maxGroups)
	}
	var out []string
	for _, v := range list {
		var text string
		switch v := v.(type) {
		case nil:
			continue
		case string:
			text = v
		case json.Number:
			text = v.String()
		case bool:
			text = strconv.FormatBool(v)
		default:
			return nil, errors.New("has a value that is no text")
		}
		if len(text) > maxValue || !isPlain(text) {
			return nil, fmt.Errorf("has a value of more than %d bytes or with control characters", maxValue)
		}
		if text != "" {
			out = append(out, text)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func isTrue(v any) bool { return v == true || v == "true" }

// isPlain reports whether a text has no characters that cannot be seen.
func isPlain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar
	})
}

// isEmail reports whether a text has the shape of an address: one @ with
// something on both sides, and nothing that could end a line or a field.
func isEmail(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && local != "" && domain != "" && !strings.Contains(domain, "@") && len(s) <= maxEmail &&
		isPlain(s) && !strings.ContainsAny(s, " \t\"'<>(),;:\\[]")
}

// merge lays claims under those of the ID token, which are signed.
func merge(token, userinfo map[string]any) map[string]any {
	out := maps.Clone(userinfo)
	maps.Copy(out, token)
	return out
}
