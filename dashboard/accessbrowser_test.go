//go:build browser

package dashboard_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/gatehouse-project/gatehouse/access"
)

// TestBrowserLendingStory: one person asks, another agrees, each in a browser of their
// own; the first sees it come without a reload, uses it and gives it back.
func TestBrowserLendingStory(t *testing.T) {
	w := openLending(t, false)
	ann, sam := startBrowser(t), startBrowser(t)
	for id, b := range map[string]*browser{"ann": ann, "sam": sam} {
		b.do(chromedp.EmulateViewport(1280, 900), chromedp.Navigate(w.srv.URL+w.link(id)))
	}
	sam.do(chromedp.Navigate(w.srv.URL + "/access/inbox"))
	sam.until("the inbox is live", `document.querySelector("#link").dataset.state === "live" && document.querySelector(".empty") !== null`)
	sam.run(`window.same = true`)

	ann.do(chromedp.Navigate(w.srv.URL + "/access"))
	ann.until("the catalog is live", `document.querySelector("#link").dataset.state === "live"`)
	ann.do(key("j"), key("j"), key("j"))
	ann.run(`document.querySelector('input[value="` + editPayments + `"]').click()`)
	ann.until("what is chosen is counted", `document.querySelector("[data-chosen]").innerText === "1 chosen"`)
	ann.do(chromedp.Click(".choosebar button"))
	ann.until("the form says what is missing", `document.querySelector("#happens")?.innerText.includes("say why first")`)
	ann.run(`window.same = true; document.querySelector("[name=duration]").value = "30m"`)
	ann.fill(`[name="justification"]`, "the queue stands still")
	ann.until("typing changes what will happen", `window.same && document.querySelector("#happens").innerText.includes("30 min of at most 4 h") && document.activeElement.name === "justification"`)
	ann.do(chromedp.Click(`[value="ask"]`))
	ann.until("it is asked for", `location.pathname.startsWith("/access/requests/") && document.querySelector("#standing").innerText.includes("waiting")`)
	ann.until("the request is live", `document.querySelector("#link").dataset.state === "live"`)
	ann.run(`window.same = true`)

	sam.until("the approver is told without a reload", `window.same && document.querySelector("#tally").innerText.startsWith("1") && !document.querySelector("#inbox-more").hidden`)
	sam.do(chromedp.Click("#inbox-more"))
	sam.until("the card is there", `document.querySelector("[data-card]")?.innerText.includes("the queue stands still")`)
	sam.until("it is live again", `document.querySelector("#link").dataset.state === "live"`)
	sam.do(key("j"), key("a"))
	sam.until("a leads to the button", `document.activeElement.matches("[data-approve]")`)
	sam.do(key("\r"))
	sam.until("the inbox is empty again", `document.body.innerText.includes("You agreed.") && document.querySelector("[data-card]") === null`)

	ann.until("who asked sees that it is there", `window.same && document.querySelector("#standing").innerText.includes("active")`)
	ann.do(chromedp.Navigate(w.srv.URL + "/access/mine"))
	ann.until("the time left runs", `document.querySelector(".ticking").innerText.includes("min")`)
	before := eval[string](ann, `document.querySelector(".ticking").innerText`)
	ann.until("down", fmt.Sprintf(`document.querySelector(".ticking").innerText !== %q`, before))
	ann.until("how to use it can be copied", `document.querySelectorAll("#live .copy:not([hidden])").length >= 2 && document.querySelector("#live").innerText.includes("role_session_name = ann@example.com")`)
	ann.run(`[...document.querySelectorAll("#live summary")].find((s) => s.innerText.includes("Give back")).click()`)
	ann.do(chromedp.Click(`[value="return"]`))
	ann.until("it is given back, and seen to be gone", `document.querySelector("#live").innerText.includes("You hold nothing now.")`)
	if w.target.has("ann@example.com:namespace/payments:edit") {
		t.Error("the target still has it")
	}

	// Somebody else decides while the card is open: it shuts, and says so.
	r := w.ask("ann", "edit", "orders")
	sam.do(chromedp.Navigate(w.srv.URL + "/access/inbox"))
	sam.until("the card is live", `document.querySelector("[data-card]") !== null && document.querySelector("#link").dataset.state === "live"`)
	if _, err := w.desk.Vote(t.Context(), r.ID, access.Ballot{By: w.who("sue"), Approve: true, Via: "slack"}); err != nil {
		t.Fatal(err)
	}
	sam.until("a card that was decided shuts", `document.querySelector("[data-approve]").disabled && !document.querySelector(".stale").hidden`)
	ann.quiet()
	sam.quiet()
}

// TestBrowserTargetRun: a check that takes its time holds no page up; it is followed, is
// there after a reload, and two who want it share it.
func TestBrowserTargetRun(t *testing.T) {
	w := openLending(t, false)
	slow := make(chan struct{})
	w.target.set(func(l *lendingTarget) { l.slow = slow })
	b := startBrowser(t)
	page := w.srv.URL + "/access/integrations/prod-1"
	b.do(chromedp.EmulateViewport(1280, 900), chromedp.Navigate(w.srv.URL+w.link("root")), chromedp.Navigate(page))
	b.run(`document.querySelector('[value="check"]').focus()`)
	b.do(key("\r"))
	b.until("the page is back at once, and says that it goes on", `document.querySelector("#runs")?.innerText.includes("going on") && document.querySelector("#runs progress") !== null`)
	b.until("how far it is comes without a reload", `document.querySelector("#runs").innerText.includes("step 3 of 8")`)
	b.do(chromedp.Navigate(page))
	b.until("it is there after a reload", `document.querySelector("#runs").innerText.includes("step 3 of 8") && document.querySelector("#link").dataset.state === "live"`)
	if dir := os.Getenv("GATEHOUSE_SCREENS"); dir != "" {
		b.shoot(filepath.Join(dir, "running-1280.png"))
	}
	b.run(`window.same = true; document.querySelector('[value="discover"]').focus()`)
	close(slow)
	b.until("its end comes too, with what was found", `window.same && document.querySelector("#runs").innerText.includes("none failed") && document.querySelector("#runs progress") === null`)
	b.until("and is said aloud", `document.querySelector("#said").textContent.startsWith("Check: done")`)
	b.quiet()
}

// TestBrowserLendingPages looks at every page of lending, wide and narrow, light and
// dark. With GATEHOUSE_SCREENS it leaves pictures in that folder.
func TestBrowserLendingPages(t *testing.T) {
	w, bare := openLending(t, false), openLending(t, true)
	root := w.who("root")
	failing := &access.Integration{Name: "prod-2", Type: "eks-rbac", Config: map[string]string{"cluster_name": "prod-2", "region": "us-east-1"}, AccessDetails: "Ask the platform team in #platform before you change anything.\nThe runbook is at https://runbooks.example.com/prod-2."}
	if _, err := w.desk.SaveIntegration(t.Context(), failing, root, 0, "api"); err != nil {
		t.Fatal(err)
	}
	plan, err := w.desk.ApplyFlows(t.Context(), access.Flowing{Text: strings.Replace(lendingFlows, "max: 8h", "max: 6h", 1), By: root, Source: "page", Via: "web"})
	if err != nil || plan.Version != 2 {
		t.Fatalf("%+v, %v", plan, err)
	}
	lent := w.ask("ann", "view", "payments")
	w.granted(lent.Grant, access.Active)
	late := w.ask("ann", "view", "orders")
	w.granted(late.Grant, access.Active)
	waits := w.ask("ann", "admin", "payments", func(a *access.Ask) {
		a.Justification = "OPS-4711 the payments queue stands still since the last release and its consumers have to be started by hand, one after the other"
	})
	bundle := w.ask("ann", "", "", func(a *access.Ask) { a.Items, a.Bundle = nil, "shop" })
	glass := w.ask("sue", "edit", "search", func(a *access.Ask) { a.BreakGlass, a.Duration = true, 20*time.Minute })
	w.granted(glass.Grant, access.Active)
	w.target.set(func(l *lendingTarget) { l.down = errDown })
	if _, err := w.desk.Revoke(t.Context(), late.Grant, root, "it is late", "web"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.desk.Panic(t.Context(), access.StopScope{Kind: "person", Person: "eve@example.com"}, root, "a laptop was lost", "web"); err != nil {
		t.Fatal(err)
	}
	b := startBrowser(t)
	dir := os.Getenv("GATEHOUSE_SCREENS")
	type look struct {
		name, who, path string
		bare            bool
		act             func()
	}
	click := func(selector string) func() {
		return func() {
			b.run(`window.before = true`)
			b.do(chromedp.Click(selector))
			b.until("the page is there", `!window.before && document.readyState === "complete" && document.querySelector("main") !== null`)
		}
	}
	looks := []look{
		{"catalog", "ann", "/access", false, nil},
		{"catalog-tag", "ann", "/access?tag=team%3Dshop&q=pay", false, nil},
		{"ask", "ann", "/access/request?item=" + url.QueryEscape(editPayments), false, nil},
		{"ask-glass", "sue", "/access/request?bundle=shop", false, nil},
		{"mine", "ann", "/access/mine", false, nil},
		{"request", "ann", "/access/requests/" + bundle.ID, false, nil},
		{"request-vote", "sue", "/access/requests/" + waits.ID, false, nil},
		{"inbox", "sue", "/access/inbox", false, nil},
		{"grant", "ann", "/access/grants/" + lent.Grant, false, nil},
		{"grant-late", "root", "/access/grants/" + late.Grant, false, nil},
		{"grants", "root", "/access/grants", false, nil},
		{"stop", "root", "/access/stop?kind=integration&integration=prod-1", false, nil},
		{"flows", "root", "/access/flows", false, nil},
		{"edit", "root", "/access/flows/edit", false, nil},
		{"plan", "root", "/access/flows/edit?version=1", false, click(`[value="plan"]`)},
		{"wrong", "root", "/access/flows/edit", false, func() {
			b.fill("#text", "flows:\n  - name: x\n    durration: {max: 1h}\n")
			click(`[value="plan"]`)()
		}},
		{"versions", "root", "/access/flows/versions", false, nil},
		{"test", "root", "/access/flows/test?integration=prod-1&type=eks-namespace&resource=payments&permission=admin&justification=OPS-1&by=ann@example.com", false, nil},
		{"draft", "root", "/access/flows/edit", false, click(`[value="test"]`)},
		{"draft-answer", "root", "/access/flows/edit", false, func() {
			click(`[value="test"]`)()
			b.fill(`[name="bundle"]`, "shop")
			b.fill(`[name="by"]`, "ann@example.com")
			b.fill(`[name="justification"]`, "OPS-1")
			click(`form.fields button.primary`)()
		}},
		{"yaml", "root", "/access/code?all=1", false, nil},
		{"terraform", "root", "/access/code?as=terraform", false, nil},
		{"integrations", "root", "/access/integrations", false, nil},
		{"integration", "root", "/access/integrations/prod-1", false, nil},
		{"failing", "root", "/access/integrations/prod-2", false, nil},
		{"connect", "root", "/access/integrations/prod-1", false, click(`[value="plan"]`)},
		{"new", "root", "/access/integrations/new", false, nil},
		{"settings", "root", "/access/integrations/prod-2/edit", false, nil},
		{"none-catalog", "root", "/access", true, nil},
		{"none-mine", "root", "/access/mine", true, nil},
		{"none-inbox", "root", "/access/inbox", true, nil},
		{"none-grants", "root", "/access/grants", true, nil},
		{"none-flows", "root", "/access/flows", true, nil},
		{"none-integrations", "root", "/access/integrations", true, nil},
		{"nobody", "", "/access", false, nil},
	}
	for _, width := range []int64{1280, 390} {
		if b.do(chromedp.EmulateViewport(width, 900)); width < 500 {
			b.do(chromedp.EmulateViewport(width, 900, chromedp.EmulateMobile))
		}
		signed := ""
		for _, l := range looks {
			world := w
			if l.bare {
				world = bare
			}
			if at := world.srv.URL + l.who; at != signed {
				signed = at
				if l.who != "" {
					b.do(chromedp.Navigate(world.srv.URL + world.link(l.who)))
				} else {
					b.do(chromedp.Navigate(world.srv.URL + "/"))
					b.do(chromedp.Click(".person button"))
					b.until("they are signed out", `location.pathname === "/login" && document.readyState === "complete"`)
				}
			}
			b.do(chromedp.Navigate(world.srv.URL + l.path))
			if l.act != nil {
				l.act()
			}
			name := l.name + " at " + strconv.FormatInt(width, 10) + " px"
			if over := eval[int](b, `Math.max(document.documentElement.scrollWidth, innerWidth) - `+strconv.FormatInt(width, 10)); over > 0 {
				t.Errorf("%s is %d px too wide: %s", name, over, eval[string](b, `[...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll, pre, .filters, nav.chips ul")).slice(0, 3).map((e) => e.outerHTML.slice(0, 120)).join(" | ")`))
			}
			if shift := eval[float64](b, layoutShift); shift > .01 && l.act == nil {
				t.Errorf("%s shifts by %g", name, shift)
			}
			if cut := eval[string](b, cutOff); cut != "" && width > 1000 {
				t.Errorf("%s cuts off %s", name, cut)
			}
			if bad := eval[string](b, nameless); bad != "" {
				t.Errorf("%s has fields or buttons without a name: %s", name, bad)
			}
			for _, theme := range []string{"light", "dark"} {
				b.run(`document.documentElement.dataset.theme = "` + theme + `"`)
				if faint := eval[string](b, lowContrast); faint != "" {
					t.Errorf("%s in %s has text below 4.5:1: %s", name, theme, faint)
				}
				if dir != "" {
					b.shoot(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", l.name, width, theme)))
				}
			}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		// Two pages of this list answer 401 and 422, and are meant to.
		if !strings.Contains(p, "status of 401") && !strings.Contains(p, "status of 422") {
			t.Errorf("the console says: %s", p)
		}
	}
}

// nameless lists what can be used and has no name that is read aloud.
const nameless = `[...document.querySelectorAll("main input:not([type=hidden]), main select, main textarea, main button")].filter((e) => e.checkVisibility({contentVisibilityAuto: true}) && e.getClientRects().length && !e.closest("details:not([open])") && !e.innerText?.trim() && !e.labels?.length && !e.getAttribute("aria-label")).map((e) => e.outerHTML.slice(0, 80)).join("; ")`

// TestBrowserLendingText counts characters as people do and shows the text as it will
// be told, and shows the fields of the secret store that is chosen alone.
func TestBrowserLendingText(t *testing.T) {
	w := openLending(t, false)
	b := startBrowser(t)
	b.do(chromedp.EmulateViewport(1280, 900), chromedp.Navigate(w.srv.URL+w.link("root")), chromedp.Navigate(w.srv.URL+"/access/integrations/new"))
	b.fill(`[name="custom_access_details"]`, "Grüße 👋\nask first")
	b.until("characters are counted", `document.querySelector("[data-count-of]").innerText === "17" && document.querySelector("[data-mirror]").innerText === "Grüße 👋\nask first"`)
	if eval[bool](b, `document.querySelector('[name="secret_id"]').getClientRects().length > 0`) {
		t.Error("the fields of a secret store that is not chosen are shown")
	}
	b.run(`document.querySelector('[name="secret"][value="aws"]').click()`)
	b.until("its fields appear", `document.querySelector('[name="secret_id"]').getClientRects().length > 0 && document.querySelector('[name="secret_namespace"]').getClientRects().length === 0`)
	b.fill(`[name="custom_access_details"]`, strings.Repeat("x", 401))
	b.until("too much is marked", `document.querySelector("[data-count-of]").classList.contains("bad")`)
	b.quiet()
}
