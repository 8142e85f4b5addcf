//go:build browser

package dashboard_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/gatehouse-project/gatehouse/api/apitest"
	"github.com/gatehouse-project/gatehouse/dashboard"
	"github.com/gatehouse-project/gatehouse/finding"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// browser is a tab of a headless Chromium that remembers what its console said.
type browser struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // chromedp keeps the tab in it.

	mu       sync.Mutex
	problems []string
}

var chromiumNames = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

// startBrowser starts a Chromium of its own, or skips the test where there is none.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	var path string
	for _, name := range chromiumNames {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skipf("no Chromium: none of %s is installed", strings.Join(chromiumNames, ", "))
	}
	alloc, cancel := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Env("TZ=America/New_York"), chromedp.WSURLReadTimeout(time.Minute))...)
	t.Cleanup(cancel)
	tab, cancelTab := chromedp.NewContext(alloc)
	t.Cleanup(cancelTab)
	ctx, cancelAll := context.WithTimeout(tab, 4*time.Minute)
	b := &browser{t: t, ctx: ctx}
	b.do()
	heard := make(chan struct{})
	console := chromedp.Console(ctx)
	go func() {
		defer close(heard)
		for m, err := range console {
			if err != nil {
				return
			}
			if m.Type == chromedp.ConsoleWarning || m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleException {
				b.mu.Lock()
				b.problems = append(b.problems, fmt.Sprintf("%s %s %s", m.Type, m.Text, m.URL))
				b.mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() {
		cancelAll()
		<-heard
	})
	return b
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// run evaluates a script for what it does.
func (b *browser) run(script string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](script))
}

func eval[T any](b *browser, script string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return v
}

// until waits for a script to be true.
func (b *browser) until(what, script string) {
	b.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](script))
		if err == nil && ok {
			return
		}
		if errors.Is(err, context.Canceled) || time.Now().After(deadline) {
			b.t.Fatalf("%s: not so within 30 seconds (%s; %v)", what, script, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (b *browser) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		b.t.Errorf("the console says: %s", p)
	}
}

func key(k string) chromedp.Action[chromedp.Void] { return chromedp.KeyEvent(k) }

func TestBrowserNumbersChangeWithoutReload(t *testing.T) {
	w := apitest.Rich(time.Now())
	srv := product(t, w, time.Now, identity.Viewer)
	b := startBrowser(t)
	b.do(chromedp.Navigate(srv.URL + "/"))
	b.until("the stream is open", `document.querySelector("#link").dataset.state === "live"`)
	b.run(`window.same = true`)
	w.Change(func(w *apitest.World) {
		w.Status.OpenCalls, w.Status.Lag = 4321, 3*time.Hour+25*time.Minute
	})
	b.until("open calls change", `document.querySelector('[data-live="open_calls:int"]').textContent === "4,321"`)
	b.until("lag changes", `document.querySelector('[data-live="lag_seconds:seconds"]').textContent === "3 h 25 min"`)

	b.run(`window.first = document.querySelector("#newest tbody tr").dataset.key`)
	w.Change(func(w *apitest.World) {
		d := *w.Details[0]
		d.ID, d.Route, d.FirstSeen = "fresh", "/just/now", time.Now()
		w.Details = append(w.Details, &d)
	})
	b.until("a new row waits", `document.querySelector('[data-waiting="newest"]').textContent === "1 new" && !document.querySelector('[data-waiting="newest"]').hidden`)
	if !eval[bool](b, `document.querySelector("#newest tbody tr").dataset.key === window.first && window.same`) {
		t.Error("rows moved before the reader asked for them")
	}
	b.do(chromedp.Click(`[data-waiting="newest"]`))
	b.until("the new row is shown", `document.querySelector("#newest tbody tr").dataset.key === "fresh"`)
	if !eval[bool](b, `window.same === true`) {
		t.Error("the page was loaded again")
	}
	b.quiet()
}

func TestBrowserFilterAndKeyboard(t *testing.T) {
	srv := product(t, apitest.Rich(time.Now()), time.Now, identity.Viewer)
	b := startBrowser(t)
	b.do(chromedp.EmulateViewport(1280, 900), chromedp.Navigate(srv.URL+"/inventory"))
	if rows := eval[int](b, `document.querySelectorAll("#endpoints tbody tr").length`); rows != 20 {
		t.Fatalf("%d rows without a filter", rows)
	}
	b.run(`{ const s = document.querySelector("[name=type]"); s.value = "WEBSOCKET"; s.dispatchEvent(new Event("change", {bubbles: true})); }`)
	b.until("the filter narrows rows", `document.querySelectorAll("#endpoints tbody tr").length === 3`)
	if address := eval[string](b, `location.href`); address != srv.URL+"/inventory?type=WEBSOCKET" {
		t.Errorf("the address is %s", address)
	}
	b.do(key("/"))
	b.until("/ focuses search", `document.activeElement.id === "search"`)
	b.do(key("\x1b"))
	b.until("esc leaves search", `document.activeElement.id !== "search"`)
	b.do(key("j"), key("j"), key("k"), key("j"))
	b.until("j and k move", `[...document.querySelectorAll("#endpoints tbody tr")].findIndex((r) => r.classList.contains("at")) === 1`)
	want := eval[string](b, `document.querySelector("tr.at a").href`)
	b.do(key("\r"))
	b.until("enter opens", `location.href === `+fmt.Sprintf("%q", want))
	b.until("the page is live", `document.querySelector("[data-back]") !== null && document.querySelector("#link").dataset.state === "live"`)
	b.do(key("\x1b"))
	b.until("esc goes back to the list as it was filtered", `location.href === "`+srv.URL+`/inventory?type=WEBSOCKET"`)
	b.quiet()
}

func TestBrowserChartReadsAllLinesAtOneTime(t *testing.T) {
	srv := product(t, apitest.Rich(time.Now()), time.Now, identity.Viewer)
	b := startBrowser(t)
	b.do(chromedp.EmulateViewport(1280, 900), chromedp.Navigate(srv.URL+"/?range=24h"))
	b.until("the page is live", `document.querySelector("#link").dataset.state === "live"`)
	const readout = `document.querySelector("[data-readout]").innerText`
	before := eval[string](b, readout)
	b.run(`{ const r = document.querySelectorAll(".hits rect[data-v]")[20]; r.dispatchEvent(new PointerEvent("pointermove", {bubbles: true})); }`)
	want := eval[string](b, `document.querySelectorAll(".hits rect[data-v]")[20].dataset.v`)
	for v := range strings.FieldsSeq(want) {
		if got := eval[string](b, readout); got == before || !strings.Contains(got, v) {
			t.Errorf("under the pointer the chart reads %q, want %s", got, want)
		}
	}
	b.run(`document.body.dispatchEvent(new PointerEvent("pointermove", {bubbles: true}))`)
	if got := eval[string](b, readout); got != before {
		t.Errorf("after the pointer left it reads %q, want %q", got, before)
	}
	b.quiet()
}

func TestBrowserTheme(t *testing.T) {
	srv := product(t, apitest.Rich(time.Now()), time.Now, identity.Viewer)
	b := startBrowser(t)
	background := `getComputedStyle(document.documentElement).backgroundColor`
	b.do(chromedp.Navigate(srv.URL + "/"))
	b.do(chromedp.Click(`.theme [value="light"]`))
	light := eval[string](b, background)
	b.do(chromedp.Click(`.theme [value="dark"]`))
	dark := eval[string](b, background)
	if light == dark {
		t.Errorf("light and dark have one background, %s", light)
	}
	b.do(chromedp.Reload())
	if kept := eval[string](b, background); kept != dark {
		t.Errorf("after a reload the background is %s, not %s", kept, dark)
	}
	b.quiet()
}

// fill types text into a field in place of what is there, as a paste does.
func (b *browser) fill(selector, text string) {
	b.t.Helper()
	b.run(fmt.Sprintf(`{ const f = document.querySelector(%q); f.focus(); f.value = %q; f.dispatchEvent(new InputEvent("input", {bubbles: true})); }`, selector, text))
}

const verdict = `document.querySelector("#lab-banner .verdict").innerText.trim()`

// TestBrowserLab asks a question in the lab as a person does, on a wide and on a
// narrow screen: from nothing to a decision, through mistakes, and back from the
// link.
func TestBrowserLab(t *testing.T) {
	srv := product(t, apitest.Rich(time.Now()), time.Now, identity.Viewer)
	for _, width := range []int64{1280, 390} {
		t.Run(strconv.FormatInt(width, 10), func(t *testing.T) {
			b := startBrowser(t)
			b.do(chromedp.EmulateViewport(width, 900), chromedp.Navigate(srv.URL+"/policies/lab?example=empty"))
			b.until("the page is live", `document.querySelector("#link").dataset.state === "live"`)
			b.run(`window.same = true`)
			b.fill(`[name="principal"]`, webApp)
			b.fill(`[name="api"]`, "a1b2c3d4e5")
			b.fill(`[name="account"]`, "111122223333")
			b.fill(`[name="region"]`, "eu-west-1")
			b.fill(`[name="path"]`, "/orders/17")
			b.until("nothing allows it yet", verdict+` === "◐ Implicit deny"`)

			b.fill(`[name="policy.0"]`, "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [{\"Effect\": \"Alow\"")
			b.until("the mistake is marked", verdict+` === "○ Not decided yet" && document.querySelector("#note-0 pre").innerText.includes("^")`)
			if over := eval[int](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
				t.Errorf("with a mistake the page is %d px too wide", over)
			}
			b.fill(`[name="policy.0"]`, mayInvoke)
			b.until("the other side is missing", verdict+` === "◐ Implicit deny" && document.querySelector("#lab-result").innerText.includes("Let the resource policy of the API")`)
			b.fill(`[name="policy.1"]`, letsIn)
			b.until("both sides allow", verdict+` === "● Allowed"`)
			if marks := eval[int](b, `document.querySelectorAll("#lab-result mark.allows").length`); marks != 2 {
				t.Errorf("%d statements are marked as allowing", marks)
			}
			if !eval[bool](b, `window.same && document.activeElement.name === "policy.1" && location.search.startsWith("?s=")`) {
				t.Error("the page was loaded again, the cursor was taken away, or the address does not keep up")
			}
			link := eval[string](b, `location.href`)

			b.do(chromedp.Click(`[value="add.scp"]`))
			b.until("there is a third policy", `document.querySelector("#policy-2") !== null && document.querySelector('[name="level.2"]').getClientRects().length > 0`)
			b.fill(`[name="policy.2"]`, deniesPath)
			b.until("the organization denies it", verdict+` === "■ Explicit deny" && document.querySelector("#lab-result mark.denies") !== null`)
			b.do(chromedp.Click(`[value="remove.2"]`))
			b.until("it is gone", `document.querySelector("#policy-2") === null && `+verdict+` === "● Allowed"`)

			var long strings.Builder
			for i := range 900 {
				fmt.Fprintf(&long, "%x ", sha256.Sum256([]byte{byte(i), byte(i >> 8)}))
			}
			b.fill(`[name="policy.1"]`, strings.Replace(letsIn, `{"Effect"`, `{"Sid":"`+long.String()+`","Effect"`, 1))
			b.until("too much for a link is told", `document.querySelector("#lab-link").innerText.includes("Too large for a link") && `+verdict+` === "● Allowed"`)
			b.do(chromedp.Click(`[value="format"]`))
			b.until("it is laid out all the same", `document.querySelector('[name="policy.1"]')?.value.includes("\n      \"Sid\"")`)
			b.fill(`[name="policy.1"]`, letsIn)
			b.until("there is a link again", `document.querySelector("#lab-link a") !== null`)

			b.do(chromedp.Click(`.segmented label:last-of-type`))
			b.until("action and ARN are asked for", `document.querySelector('[name="action"]').getClientRects().length > 0 && document.querySelector('[name="api"]').getClientRects().length === 0`)

			b.do(chromedp.Navigate(link))
			if got := eval[string](b, verdict); got != "● Allowed" {
				t.Errorf("the link leads to %q", got)
			}
			b.run(`{ const s = document.querySelector("[data-pick]"); s.value = [...s.options].find((o) => o.text.startsWith("catalog")).value; s.dispatchEvent(new Event("change", {bubbles: true})); }`)
			b.until("the API of the estate is filled in", `document.querySelector('[name="api"]').value === "h7t8t9p0a1"`)
			b.quiet()
		})
	}
}

func TestBrowserTail(t *testing.T) {
	w := apitest.Rich(time.Now())
	srv := product(t, w, time.Now, identity.Viewer)
	b := startBrowser(t)
	b.do(chromedp.EmulateViewport(1280, 900), chromedp.Navigate(srv.URL+"/tail?q=fresh"))
	b.until("it follows", `document.querySelector("#tail-state").innerText === "following"`)
	call := func(id string, status int) {
		w.Tail.Observe([]*transaction.Transaction{{
			ID: id, Time: transaction.Time(time.Now().UnixMilli()), Method: "GET", Path: "/fresh/" + id, APIID: "a1b2c3d4e5", Stage: "prod",
			Response: &transaction.Response{Status: status}, Visibility: transaction.Metadata, Complete: true,
		}})
	}
	call("one", 200)
	b.until("a call appears", `document.querySelector("#tail tbody tr")?.dataset.key === "one" && document.querySelector("#tail-empty").hidden`)
	b.do(chromedp.Click(`#tail-pause`))
	call("two", 403)
	b.until("a paused tail holds it", `document.querySelector("#tail-held").innerText === "1 new" && document.querySelectorAll("#tail tbody tr").length === 1`)
	b.do(chromedp.Click(`#tail-pause`))
	b.until("it is shown after", `document.querySelector("#tail tbody tr").dataset.key === "two"`)
	b.do(chromedp.Click(`#tail tbody tr:first-child a`))
	b.until("a click opens the call over the list", `document.querySelector("#tail-call").open && document.querySelector("#tail-call").innerText.includes("/fresh/two") && location.pathname === "/tail"`)
	call("three", 200)
	b.until("nothing moves behind it", `!document.querySelector("#tail-held").hidden && document.querySelector("#tail tbody tr").dataset.key === "two"`)
	b.do(key("\x1b"))
	b.until("esc closes it", `!document.querySelector("#tail-call").open`)
	b.do(chromedp.Click(`#tail-held`))
	b.until("what waited is shown", `document.querySelector("#tail tbody tr").dataset.key === "three" && document.querySelector("#tail-held").hidden`)
	flood := make([]*transaction.Transaction, 500)
	for i := range flood {
		flood[i] = &transaction.Transaction{ID: fmt.Sprintf("flood-%d", i), Path: "/fresh"}
	}
	w.Tail.Observe(flood)
	b.until("what is too much is counted", `document.querySelector("#tail-state").innerText.includes("460 not shown")`)
	b.quiet()
}

var pages = []string{
	"/", "/inventory", "/inventory?type=REST&method=GET", "/inventory?q=nothing-like-this", "/sources", "/estate", "/nothing",
	"/tail", "/tail?status=4xx&q=orders", "/tail?status=77", "/policies/lab", "/policies/lab?example=one-side", "/policies/lab?example=deny-by-address", "/policies/lab?example=scp", "/policies/lab?example=empty", "/policies/lab?s=broken",
}

// TestBrowserNothingOverflowsOrComplains opens every page in every world, wide
// and narrow. With GATEHOUSE_SCREENS it also leaves pictures of them in that
// folder, light and dark.
func TestBrowserNothingOverflowsOrComplains(t *testing.T) {
	now := time.Now()
	dir := os.Getenv("GATEHOUSE_SCREENS")
	worlds := map[string]*apitest.World{"rich": apitest.Rich(now), "empty": apitest.Empty(now), "attacked": apitest.Attacked(now)}
	broken := apitest.Rich(now)
	broken.Err = errors.New("disk full")
	worlds["broken"] = broken
	nowhere := apitest.Empty(now)
	nowhere.Tail = nil
	worlds["collecting nothing"] = nowhere
	for name, w := range worlds {
		t.Run(name, func(t *testing.T) {
			addresses := pages
			var letters dashboard.DeadLetters
			if name == "rich" || name == "attacked" {
				letters = refused(t, w, 12)
				addresses = append(slices.Clip(addresses), "/deadletters", "/deadletters?reason=refused", "/deadletters/1", "/tail/"+w.Details[2].Samples[1].ID)
			}
			options := dashboard.Options{DeadLetters: letters, Clock: time.Now}
			if name == "rich" || name == "attacked" {
				called := map[string]string{"rich": "orders", "attacked": apitest.Hostile}[name]
				book, _ := judgedWorld(t, now, called, 8)
				options.Findings, options.History = book, &kept{changes: changesAt(now)}
				addresses = append(slices.Clip(addresses), "/posture", "/findings", "/findings?rule=route-open&account="+apitest.Orders, "/findings?api=none",
					"/findings/"+one(t, book, "route-open").ID, "/findings/"+one(t, book, "execution-log-off").ID, "/estate?view=tree",
					"/findings?area=clusters", "/findings?area=roles", "/findings/"+one(t, book, "cluster-admins").ID, "/findings/"+one(t, book, "cluster-version-ended").ID,
					"/findings/"+one(t, book, "oidc-subject-open").ID, "/findings/"+one(t, book, "principal-reads-every-log").ID)
			}
			if name == "empty" {
				s, err := sqlite.Open(t.Context(), "sqlite:"+t.TempDir()+"/state.db", store.Options{})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.Close() })
				options.Findings = finding.NewBook(s, time.Now)
				addresses = append(slices.Clip(addresses), "/posture", "/findings")
			}
			srv := productOf(t, w, identity.Admin, options)
			b := startBrowser(t)
			if len(w.Details) > 0 {
				addresses = append(slices.Clip(addresses), "/inventory/"+w.Details[2].ID, "/inventory/"+w.Details[9].ID)
			}
			for _, width := range []int64{1280, 390} {
				if b.do(chromedp.EmulateViewport(width, 900)); width < 500 {
					b.do(chromedp.EmulateViewport(width, 900, chromedp.EmulateMobile))
				}
				for i, address := range addresses {
					b.do(chromedp.Navigate(srv.URL + address))
					if over := eval[int](b, `Math.max(document.documentElement.scrollWidth, innerWidth) - `+strconv.FormatInt(width, 10)); over > 0 {
						t.Errorf("%s at %d px is %d px too wide", address, width, over)
					}
					if shift := eval[float64](b, layoutShift); shift > .01 {
						t.Errorf("%s at %d px shifts by %g", address, width, shift)
					}
					if cut := eval[string](b, cutOff); cut != "" && width > 1000 {
						t.Errorf("%s at %d px cuts off %s", address, width, cut)
					}
					if over := eval[string](b, overlapping); over != "" {
						t.Errorf("%s at %d px has a term that runs into its text: %s", address, width, over)
					}
					for _, theme := range []string{"light", "dark"} {
						b.run(`document.documentElement.dataset.theme = "` + theme + `"`)
						if faint := eval[string](b, lowContrast); faint != "" {
							t.Errorf("%s in %s has text below 4.5:1: %s", address, theme, faint)
						}
						if dir == "" {
							continue
						}
						b.shoot(filepath.Join(dir, fmt.Sprintf("%s-%d-%d-%s.png", name, i, width, theme)))
					}
				}
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, p := range b.problems {
				// The pages of this list that answer 400, 404 and 503 are meant to.
				if !strings.Contains(p, "status of 404") && !strings.Contains(p, "status of 503") && !strings.Contains(p, "status of 400") {
					t.Errorf("the console says: %s", p)
				}
			}
		})
	}
}

func (b *browser) shoot(file string) {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(file, png, 0o600)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// cutOff names a table that is wider than the panel that clips it.
const cutOff = `[...document.querySelectorAll(".panel table")].filter((t) => t.getBoundingClientRect().right > t.closest(".panel").getBoundingClientRect().right + 1).map((t) => t.closest("section").innerText.slice(0, 40)).join("; ")`

// overlapping names a term of a list of facts that runs over its own place.
const overlapping = `[...document.querySelectorAll(".facts > div > dt")].filter((d) => d.scrollWidth > d.clientWidth + 1).map((d) => d.innerText).join("; ")`

// lowContrast lists text whose contrast with what is behind it is below WCAG's
// AA for small text.
const lowContrast = `(() => {
	const rgb = (c) => { const m = c.match(/[\d.]+/g).map(Number); return m.length === 4 && m[3] === 0 ? null : m.slice(0, 3); };
	const lum = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
	const behind = (el) => { for (; el; el = el.parentElement) { const c = rgb(getComputedStyle(el).backgroundColor); if (c) return c; } return [255, 255, 255]; };
	const bad = new Set();
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walk.nextNode()) {
		const el = walk.currentNode.parentElement;
		if (!walk.currentNode.data.trim() || el.closest("svg, script, .hide, .skip") || !el.getClientRects().length) continue;
		const a = lum(rgb(getComputedStyle(el).color)), b = lum(behind(el));
		const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
		if (ratio < 4.5) bad.add(el.tagName + "." + el.className + " " + ratio.toFixed(2));
	}
	return [...bad].join(", ");
})()`

// layoutShift sums what the browser saw move after it was first drawn.
const layoutShift = `new Promise((done) => {
	let sum = 0;
	new PerformanceObserver((list) => { for (const e of list.getEntries()) sum += e.value; }).observe({type: "layout-shift", buffered: true});
	setTimeout(() => done(sum), 100);
})`
