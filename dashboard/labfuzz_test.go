package dashboard

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-project/gatehouse/iam"
)

// FuzzLab fills the lab in with anything: it must answer with a page, show the
// whole text of every policy, keep all of it in its link, and never allow what
// the policy engine does not.
func FuzzLab(f *testing.F) {
	for _, e := range labExamples {
		for _, p := range e.State.Policies {
			f.Add(e.State.Principal, e.State.Context, p.Layer, p.Text, e.State.pack())
		}
	}
	f.Add("anonymous", "x", "scp", `{\"Statement\":[]}`, "")
	f.Add("", "a = b\na = c", "resource", "%7B%7D", "!")
	s := newServer(Options{})
	r := httptest.NewRequest(http.MethodGet, labPath, http.NoBody)
	f.Fuzz(func(t *testing.T, principal, context, layer, policy, packed string) {
		v := url.Values{"by": {"api"}, "principal": {principal}, "context": {context}, "region": {"eu-west-1"}, "account": {"111122223333"}, "api": {"a"}}
		v.Set("layer.0", layer)
		v.Set("policy.0", policy)
		st := labFromForm(v)
		d := &labData{State: st}
		s.fillLab(d, nil)
		var b bytes.Buffer
		if err := s.pages["lab"].ExecuteTemplate(&b, "shell.html", s.shell(r, "Policy lab", labPath, d)); err != nil {
			t.Fatal(err)
		}
		for _, sl := range d.Slots {
			shown := ""
			for _, row := range sl.Listing {
				for _, p := range row.Pieces {
					shown += p.Text
				}
			}
			if flat := strings.NewReplacer("\r", "", "\n", ""); len(sl.Listing) > 0 && strings.Count(sl.text, "\n") < maxListed && flat.Replace(shown) != flat.Replace(sl.text) {
				t.Errorf("of %q is shown %q", sl.text, shown)
			}
		}
		if d.Case != "" {
			c, err := iam.ParseCase([]byte(d.Case))
			if err != nil {
				t.Fatalf("the case cannot be read: %v: %s", err, d.Case)
			}
			if got := iam.Evaluate(&c.Policies, c.Query).Decision; got != d.Decided.Decision {
				t.Errorf("the lab says %v, the case %v", d.Decided.Decision, got)
			}
		}
		if st.pack() != "" {
			again, err := unpackLab(st.pack())
			// What is not UTF-8 becomes the replacement character, as in all JSON.
			if valid := strings.ToValidUTF8(principal+context+policy, "") == principal+context+policy; err != nil && len(policy) < maxLab/8 {
				t.Errorf("the link of %+v cannot be read: %v", st, err)
			} else if diff := cmp.Diff(st, again, cmpopts.EquateEmpty()); valid && err == nil && diff != "" {
				t.Errorf("the link keeps something else: %s", diff)
			}
		}
		if st, err := unpackLab(packed); err == nil {
			st.decide()
		}
		if st, err := labFromCase([]byte(policy)); err == nil {
			st.decide()
		}
	})
}

func TestLinkThatUnpacksToTooMuch(t *testing.T) {
	t.Parallel()
	st := &labState{Principal: strings.Repeat("a", maxLab)}
	if packed := st.pack(); len(packed) > 2000 {
		t.Fatalf("%d bytes are no bomb", len(packed))
	} else if _, err := unpackLab(packed); err == nil {
		t.Error("half a megabyte is unpacked")
	}
}

func TestSamplePath(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{
		"/": "/", "/orders/{id}": "/orders/1", "/a/{proxy+}/b/{c}": "/a/1/b/1", "/{": "/{", "}{x}": "}{x}", "$default": "$default",
	} {
		if got := samplePath(template); got != want {
			t.Errorf("of %q is made %q, want %q", template, got, want)
		}
	}
}
