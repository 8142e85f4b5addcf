package dashboard_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/api/apitest"
	"github.com/gatehouse-project/gatehouse/deadletter"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
)

// refused is a keeper of dead letters with n calls that the Kafka sink refused.
func refused(t *testing.T, w *apitest.World, n int) *deadletter.Keeper {
	t.Helper()
	s, err := sqlite.Open(t.Context(), "sqlite:"+t.TempDir()+"/state.db", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	k, err := deadletter.New(deadletter.Options{Store: s, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	sink := "kafka://broker-1:9092/akto.api.logs"
	var letters []deadletter.Refusal
	for i := range n {
		call := *w.Details[i%len(w.Details)].Samples[0]
		call.ID += strings.Repeat("x", i/len(w.Details))
		letters = append(letters, deadletter.Refusal{Transaction: &call, Reason: []deadletter.Reason{deadletter.TooLarge, deadletter.Refused}[i%2], Message: "MESSAGE_TOO_LARGE: 1,048,588 bytes " + apitest.Hostile})
	}
	if err := k.Box(sink).Put(t.Context(), letters); err != nil {
		t.Fatal(err)
	}
	return k
}

func openWithLetters(t *testing.T, role identity.Role, n int) (*site, *deadletter.Keeper) {
	t.Helper()
	w := apitest.Rich(now)
	k := refused(t, w, n)
	srv := productWith(t, w, clock, role, k)
	c := srv.Client()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &site{t: t, url: srv.URL, c: c}, k
}

func counts(t *testing.T, k *deadletter.Keeper) (letters, replaying int64) {
	t.Helper()
	all, err := k.Counts(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		letters += c.Letters
		replaying += c.Replaying
	}
	return letters, replaying
}

func TestDeadLettersAreListedAndOpened(t *testing.T) {
	t.Parallel()
	s, k := openWithLetters(t, identity.Viewer, 130)
	page := s.page("/deadletters")
	if got := strings.Count(page, `<tr class="ill">`); got != 100 || !strings.Contains(words(page), "Calls 130 of at most 10,000") || strings.Contains(page, "<script>alert") {
		t.Errorf("%d rows are shown", got)
	}
	if strings.Contains(page, `value="replay"`) || !strings.Contains(words(page), "need the role admin") {
		t.Error("a viewer is offered to replay")
	}
	next := strings.ReplaceAll(between(t, page, `rel="next" href="`, `"`), "&amp;", "&")
	if got := strings.Count(s.page(next), `<tr class="ill">`); got != 30 {
		t.Errorf("the second page has %d rows", got)
	}
	if got := strings.Count(s.page("/deadletters?reason=refused"), `<tr class="ill">`); got != 65 {
		t.Errorf("the reason leaves %d rows", got)
	}
	s.says("/deadletters?sink=other", "No dead letter matches.")
	list, err := k.List(t.Context(), deadletter.Query{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	s.says("/deadletters/"+list.Letters[0].ID, "kafka://broker-1:9092/akto.api.logs", "MESSAGE_TOO_LARGE", "Request id", "1 attempt")
	if res, _ := s.get("/deadletters/999999"); res.StatusCode != http.StatusNotFound {
		t.Errorf("a letter that is not there answers %d", res.StatusCode)
	}
	if res, _ := s.get("/deadletters?cursor=strange"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("a strange cursor answers %d", res.StatusCode)
	}
	s.says("/sources", "Dead letters", "130")
	if !strings.Contains(s.page("/"), `href="/deadletters"`) {
		t.Error("the rail does not lead there")
	}
	empty, _ := openWithLetters(t, identity.Viewer, 0)
	empty.says("/deadletters", "There are no dead letters.")
	without := open(t, apitest.Rich(now))
	if res, text := without.get("/deadletters"); res.StatusCode != http.StatusNotFound || strings.Contains(text, `href="/deadletters"`) {
		t.Errorf("without a keeper the page answers %d", res.StatusCode)
	}
}

func TestDeadLettersAreReplayedAndDiscarded(t *testing.T) {
	t.Parallel()
	s, k := openWithLetters(t, identity.Admin, 10)
	list, err := k.List(t.Context(), deadletter.Query{})
	if err != nil {
		t.Fatal(err)
	}
	act := func(v url.Values, headers ...string) *http.Response {
		res, _ := s.send(http.MethodPost, "/deadletters", v.Encode(), append([]string{"Content-Type", formEncoding}, headers...)...)
		return res
	}
	v := url.Values{"do": {"replay"}, "id": {list.Letters[0].ID, list.Letters[1].ID}, "back": {"/deadletters?reason=refused"}}
	if res := act(v, "Sec-Fetch-Site", "cross-site"); res.StatusCode != http.StatusForbidden {
		t.Errorf("another site's form answers %d", res.StatusCode)
	}
	if _, replaying := counts(t, k); replaying != 0 {
		t.Error("another site's form replayed")
	}
	res := act(v)
	if _, replaying := counts(t, k); replaying != 2 || res.Header.Get("Location") != "/deadletters?reason=refused&done=replay&n=2" {
		t.Errorf("%d are replayed; it leads to %q", replaying, res.Header.Get("Location"))
	}
	s.says("/deadletters?done=replay&n=2", "2 calls are marked and delivered again in a moment", "being replayed")
	act(url.Values{"do": {"discard"}, "id": {list.Letters[3].ID}})
	if letters, _ := counts(t, k); letters != 9 {
		t.Errorf("%d are left", letters)
	}
	act(url.Values{"do": {"replay-all"}, "reason": {"too_large"}})
	if _, replaying := counts(t, k); replaying < 5 || replaying > 7 {
		t.Errorf("of one reason %d are replayed", replaying)
	}
	act(url.Values{"do": {"replay-all"}})
	if letters, replaying := counts(t, k); replaying != letters {
		t.Errorf("of %d, %d are replayed", letters, replaying)
	}
	for _, bad := range []url.Values{{"do": {"strange"}}, {"do": {"discard"}, "id": {"x"}}} {
		if res := act(bad); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%v answers %d", bad, res.StatusCode)
		}
	}
	viewer, k := openWithLetters(t, identity.Viewer, 3)
	for _, do := range []string{"replay-all", "discard"} {
		if res, _ := viewer.send(http.MethodPost, "/deadletters", url.Values{"do": {do}, "id": {"1", "2", "3"}}.Encode(), "Content-Type", formEncoding); res.StatusCode < 400 {
			t.Errorf("a viewer's %s answers %d", do, res.StatusCode)
		}
	}
	if letters, replaying := counts(t, k); letters != 3 || replaying != 0 {
		t.Error("a viewer changed dead letters")
	}
}
