//go:build browser

package dashboard_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/identity"
)

// sane checks a page as it stands: not too wide, nothing cut off, readable in light and
// dark. With GATEHOUSE_SCREENS it leaves pictures in that folder.
func (b *browser) sane(name string, width int64) {
	b.t.Helper()
	if over := eval[int](b, `Math.max(document.documentElement.scrollWidth, innerWidth) - `+strconv.FormatInt(width, 10)); over > 0 {
		b.t.Errorf("%s at %d px is %d px too wide", name, width, over)
	}
	if cut := eval[string](b, cutOff); cut != "" && width > 1000 {
		b.t.Errorf("%s at %d px cuts off %s", name, width, cut)
	}
	for _, theme := range []string{"light", "dark"} {
		b.run(`document.documentElement.dataset.theme = "` + theme + `"`)
		if faint := eval[string](b, lowContrast); faint != "" {
			b.t.Errorf("%s in %s has text below 4.5:1: %s", name, theme, faint)
		}
		if dir := os.Getenv("GATEHOUSE_SCREENS"); dir != "" {
			b.shoot(filepath.Join(dir, fmt.Sprintf("logging-%s-%d-%s.png", name, width, theme)))
		}
	}
}

// TestBrowserLogging switches logging on and back as a person does, with the pointer
// and the keyboard, on a wide and on a narrow screen.
func TestBrowserLogging(t *testing.T) {
	for _, width := range []int64{1280, 390} {
		t.Run(strconv.FormatInt(width, 10), func(t *testing.T) {
			w := openSwitching(t, identity.Admin, "orders")
			slow := w.sim.Inject(awssim.Fault{Kind: awssim.Slow, Operation: "UpdateStage", Delay: 700 * time.Millisecond})
			b := startBrowser(t)
			if b.do(chromedp.EmulateViewport(width, 900)); width < 500 {
				b.do(chromedp.EmulateViewport(width, 900, chromedp.EmulateMobile))
			}
			b.do(chromedp.Navigate(w.url + "/estate?view=tree"))
			b.sane("tree", width)
			b.do(chromedp.Navigate(w.url + "/estate"))
			b.sane("estate", width)
			b.do(key("j"), key("x"))
			b.until("x chooses the row", `document.querySelector("tr.at .pick input").checked`)
			b.run(`document.querySelector("tr.at .pick input").click()`)
			account := fmt.Sprintf(`input[name="of"][value="%s"]`, loggedAccount)
			b.do(chromedp.Click(account))
			b.until("an account stands for its stages", `document.querySelectorAll(".pick input:checked").length === 6`)
			b.run(fmt.Sprintf(`document.querySelector('input[value=%q]').click()`, loggedAccount+"/"+loggedRegion+"/rest1/dev"))
			b.until("without one of them it is half chosen", fmt.Sprintf(`document.querySelector('%s').indeterminate`, account))
			b.do(chromedp.Click(account), chromedp.Click(".choose button"))
			b.until("the chosen stages are shown", fmt.Sprintf(`location.pathname === "/logging" && location.search === "?of=%s"`, url.QueryEscape(loggedAccount)))
			b.until("and checked", `[...document.querySelectorAll("td.pick input")].length === 4 && [...document.querySelectorAll("td.pick input")].every((i) => i.checked)`)
			if shown := eval[bool](b, `document.querySelector('[name="force"]').getClientRects().length === 0 && document.querySelector('[name="retention"]').getClientRects().length > 0`); !shown {
				t.Error("the options of another command are shown")
			}
			b.sane("choose", width)
			b.do(chromedp.Click(".command button.primary"))
			b.until("the plan is shown", `location.pathname.startsWith("/logging/plan/")`)
			b.sane("plan", width)
			b.do(chromedp.Click(".confirm button.primary"))
			b.until("it is followed", `location.pathname.startsWith("/logging/runs/") && document.querySelector("progress")?.value > 0`)
			b.run(`window.same = true`)
			b.sane("running", width)
			b.until("it is done, without a reload", `window.same && document.querySelector("#run .complete.good") !== null && document.querySelector("progress") === null`)
			b.sane("run", width)
			w.sim.RemoveFault(slow)
			b.do(chromedp.Navigate(w.url + "/logging"))
			b.until("the page shows that they log", `document.querySelectorAll(".rows .good, .rows .badge.good").length > 0 && document.body.innerText.includes("Gatehouse's")`)
			b.sane("after", width)
			b.run(`document.querySelector('[value="destroy"]').click()`)
			b.do(chromedp.Click(`[name="all"]`))
			b.until("the plan to remove is shown", `document.querySelector('[name="sure"]') !== null`)
			b.sane("destroy", width)
			b.do(chromedp.Click(`.confirm button.danger`))
			if !eval[bool](b, `location.pathname.startsWith("/logging/plan/")`) {
				t.Error("it is removed without saying that the logs may go")
			}
			b.do(chromedp.Click(`[name="sure"]`), chromedp.Click(`.confirm button.danger`))
			b.until("what was there is back", `document.querySelector("#run .complete.good") !== null`)
			if st, _ := w.region(loggedAccount).Stage("rest1", "prod"); st.LoggingLevel != "ERROR" || st.DataTrace {
				t.Errorf("rest1/prod: %+v", st)
			}

			plan := w.plan(enabling(ordersProd))
			w.region(loggedAccount).ChangeStage("rest1", "prod", func(st *awssim.Stage) { st.LoggingLevel = "OFF" })
			stale := w.carryOut(plan)
			b.do(chromedp.Navigate(w.url + stale))
			b.sane("refused", width)
			b.quiet()
		})
	}
}
