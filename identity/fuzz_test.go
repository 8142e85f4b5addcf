package identity

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// Whatever an identity provider says gives a person of bounded, visible text, or an
// error.
func FuzzClaims(f *testing.F) {
	f.Add(`{"sub":"1","email":"a@b.c","email_verified":true,"groups":["x","y"],"realm":{"roles":"z"}}`)
	f.Add(`{"sub":"1","email":"a@b.c","email_verified":"true","groups":[1,true,null],"manager":["m"]}`)
	f.Add(`{"sub":"1","email":"a@@b.c\n","email_verified":1,"groups":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		claims, err := readClaims(func(v any) error { return json.Unmarshal([]byte(text), v) })
		if err != nil {
			return
		}
		p, err := Claims{Groups: "groups", Attributes: []string{"realm.roles", "a"}}.orDefault().person("https://id.example.com", claims)
		if err != nil {
			return
		}
		if !isTrue(claims["email_verified"]) || !isEmail(p.Email) || p.ID == "" || p.Name == "" || p.Role != None {
			t.Errorf("%s gives %+v", text, p)
		}
		for _, v := range append(slices.Clone(p.Groups), p.Attributes["realm.roles"]...) {
			if v == "" || len(v) > maxValue || !isPlain(v) || strings.ContainsAny(v, "\n\x00") {
				t.Errorf("%s gives the value %q", text, v)
			}
		}
	})
}

func FuzzPeopleFile(f *testing.F) {
	f.Add("users:\n  - {email: a@b.c, groups: [x], attributes: {k: [v]}, disabled: true}\n")
	f.Add("users: [null]")
	f.Add("a: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := parsePeople([]byte(text))
		if err != nil {
			return
		}
		for _, p := range file.people {
			if !isEmail(p.Email) || file.of(strings.ToUpper(p.Email)) == nil && EmailKey(strings.ToUpper(p.Email)) == EmailKey(p.Email) {
				t.Errorf("%q gives %+v", text, p)
			}
		}
	})
}
