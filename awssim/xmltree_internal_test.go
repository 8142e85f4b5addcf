package awssim

import (
	"encoding/json"
	"os"
	"testing"
)

// canonical.json holds what lxml makes of documents.
func TestExclusiveCanonicalization(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/saml/canonical.json")
	if err != nil {
		t.Fatal(err)
	}
	var samples []struct {
		In, Out   string
		Inclusive []string
	}
	if err := json.Unmarshal(text, &samples); err != nil {
		t.Fatal(err)
	}
	for _, s := range samples {
		root, err := parseXML(s.In)
		if err != nil {
			t.Errorf("%s: %v", s.In, err)
			continue
		}
		if got := string(root.canonical(nil, nil, s.Inclusive)); got != s.Out {
			t.Errorf("with %v\n%s became\n%s, want\n%s", s.Inclusive, s.In, got, s.Out)
		}
	}
}

func TestXMLThatIsNotTaken(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "text", "<a>", "</a>", "<a></b>", "<a/><b/>", "<a/>x", "<!--c--><a/>", "<a><!--c--></a>", "<a><?p?></a>", "<!DOCTYPE a><a/>",
		"<a>&unknown;</a>", "<p:a/>", `<a p:b="1"/>`, `<a b="1" b="2"/>`, `<a xmlns:p="u" xmlns:q="u" p:b="1" q:b="2"/>`, "<a b='1\n2'/>",
		`<a xmlns:p=""/>`, `<a xmlns:xml="u"/>`, `<a xmlns:xmlns="u"/>`, `<?xml version="1.0" encoding="latin1"?><a/>`, "<a>\xff</a>",
	} {
		if _, err := parseXML(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

// FuzzCanonical checks that the canonical form of anything that is taken is taken
// too, and is its own canonical form.
func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{`<a xmlns="u" b="1"><c xmlns=""/>t</a>`, `<p:a xmlns:p="u" p:b="&amp;&quot;">x&#xD;</p:a>`, `<a><![CDATA[<]]></a>`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		root, err := parseXML(text)
		if err != nil {
			return
		}
		once := string(root.canonical(nil, nil, nil))
		again, err := parseXML(once)
		if err != nil {
			t.Fatalf("%q became %q, which is not taken: %v", text, once, err)
		}
		if twice := string(again.canonical(nil, nil, nil)); twice != once {
			t.Fatalf("%q became %q and then %q", text, once, twice)
		}
	})
}
