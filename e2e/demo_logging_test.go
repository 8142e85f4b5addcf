package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"testing"
	"time"
)

// admin is somebody who opened the link that the demo prints for those who want to
// change things.
type admin struct {
	*http.Client
	base string
}

func signInAsAdmin(t *testing.T, p *process, base string) *admin {
	t.Helper()
	link := regexp.MustCompile(`sign in at (http://\S+)`)
	var m []string
	eventually(t, 30*time.Second, func() error {
		if m = link.FindStringSubmatch(p.err.String()); m == nil {
			return errors.New("no link was printed\n" + tail(p.err.String()))
		}
		return nil
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	a := &admin{&http.Client{Jar: jar}, base}
	resp, err := a.Get(m[1])
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("signing in answers %d", resp.StatusCode)
	}
	return a
}

// ask calls the HTTP API; without a body it reads.
func (a *admin) ask(path, body string, into any) error {
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	r, err := http.NewRequest(method, a.base+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := a.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s answers %d: %s", path, resp.StatusCode, text)
	}
	return json.Unmarshal(text, into)
}

// switches has a plan made and carried out, as the page does, and waits for its end.
func (a *admin) switches(t *testing.T, request string) {
	t.Helper()
	var plan struct{ Digest string }
	eventually(t, 60*time.Second, func() error { return a.ask("/api/v1/logging/plans", request, &plan) }) // once the estate is known
	var run struct {
		ID, State, Error string
		Summary          struct{ Done, Failed, Left int }
	}
	if err := a.ask("/api/v1/logging/runs", `{"digest":"`+plan.Digest+`"}`, &run); err != nil {
		t.Fatal(err)
	}
	eventually(t, 60*time.Second, func() error {
		if err := a.ask("/api/v1/logging/runs/"+run.ID, "", &run); err != nil {
			return err
		}
		if run.State != "done" {
			return fmt.Errorf("%s: the run is %s %s", request, run.State, run.Error)
		}
		return nil
	})
	if s := run.Summary; s.Done == 0 || s.Failed+s.Left > 0 {
		t.Fatalf("%s: %+v", request, s)
	}
}

// calls counts the calls that the inventory has seen: those of the demo's stage that
// does not log at first, and all others.
func (a *admin) calls() (legacy, others int, err error) {
	var page struct {
		Endpoints []struct {
			Stage string
			Calls int
		}
	}
	if err := a.ask("/api/v1/endpoints?limit=500", "", &page); err != nil {
		return 0, 0, err
	}
	for _, e := range page.Endpoints {
		if e.Stage == "legacy" {
			legacy += e.Calls
		} else {
			others += e.Calls
		}
	}
	return legacy, others, nil
}

// coverage is what the logs of that stage cover.
func (a *admin) coverage(t *testing.T) string {
	t.Helper()
	var status struct {
		Stages []struct{ Coverage string }
	}
	if err := a.ask("/api/v1/logging/stages?"+url.Values{"api": {"p4ym3nts2x/legacy"}}.Encode(), "", &status); err != nil {
		t.Fatal(err)
	}
	if len(status.Stages) != 1 {
		t.Fatalf("%d stages", len(status.Stages))
	}
	return status.Stages[0].Coverage
}

// Whoever switches a stage's logging on in the demo sees its calls come in, in the
// inventory, in the tail and in what is covered; and end when it is switched off.
func TestDemoShowsWhatIsSwitchedOn(t *testing.T) {
	t.Parallel()
	p, base := startDemo(t, "--rate", "100")
	a := signInAsAdmin(t, p, base)
	const stage = `"apis":["p4ym3nts2x/legacy"]}`
	eventually(t, 60*time.Second, func() error {
		legacy, others, err := a.calls()
		if err == nil && (legacy > 0 || others < 500) {
			err = fmt.Errorf("%d calls of the stage that does not log, %d others", legacy, others)
		}
		return err
	})

	a.switches(t, `{"command":"enable","delivery":true,`+stage)
	if got := a.coverage(t); got != "full" {
		t.Errorf("the stage that was switched on is covered %q", got)
	}
	eventually(t, 60*time.Second, func() error {
		legacy, _, err := a.calls()
		if err == nil && legacy == 0 {
			err = errors.New("no call of the stage that was switched on\n" + tail(p.err.String()))
		}
		return err
	})
	if call := a.tailed(t); call.APIID != "p4ym3nts2x" || call.Stage != "legacy" || call.Visibility != "full" || call.UserAgent != "billing-batch/0.9 (Perl LWP)" {
		t.Errorf("the tail shows %+v", call)
	}

	a.switches(t, `{"command":"disable",`+stage)
	if got := a.coverage(t); got != "none" {
		t.Errorf("the stage that was switched off is covered %q", got)
	}
	// Three calls of a hundred are the stage's: it is off when none of hundreds is.
	eventually(t, 120*time.Second, func() error {
		before, mark, err := a.calls()
		if err != nil {
			return err
		}
		after, others := before, mark
		for others < mark+400 {
			time.Sleep(100 * time.Millisecond)
			if after, others, err = a.calls(); err != nil {
				return err
			}
		}
		if after != before {
			return fmt.Errorf("%d calls of the stage that was switched off came", after-before)
		}
		return nil
	})
}

// tailed is the first call of the demo's stage that the live tail shows.
func (a *admin) tailed(t *testing.T) (call struct {
	APIID      string `json:"api_id"`
	Stage      string
	Visibility string
	UserAgent  string `json:"user_agent"`
},
) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+"/api/v1/tail?format=ndjson&kept=true&stage=legacy", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := a.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(&call); err != nil {
		t.Fatal(err)
	}
	return call
}
