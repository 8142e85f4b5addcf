//go:build browser

package dashboard_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/gatehouse-project/gatehouse/api/apitest"
	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/dashboard"
	"github.com/gatehouse-project/gatehouse/identity"
)

func TestBrowserAudit(t *testing.T) {
	w, s := auditedWatch(t, 3)
	now := time.Now()
	for i, e := range []audit.Event{
		{
			Actor:  audit.Actor{Kind: audit.Person, ID: "p-mzxw6ytboi4tqnrvgm2dkmjq", Name: "Zoë Whittaker-Featherstonehaugh", Address: "2001:db8:85a3::8a2e:370:7334", Via: audit.ViaWeb},
			Action: "logging.enabled", Subject: audit.Subject{Kind: "logging-run", ID: "20260314-150926-k2m4qx"}, Reason: "the auditors of the year want bodies of every call to be seen for a week",
			Before: json.RawMessage(`{"planned":14,"failed":0}`), After: json.RawMessage(`{"planned":0,"done":14,"failed":0,"groups":["API-Gateway-Execution-Logs_a1b2c3d4e5/production"]}`),
			Detail: map[string]string{"command": "enable"},
		},
		{Actor: audit.Actor{Kind: audit.Token, ID: identity.AdminID, Name: "admin", Via: audit.ViaAPI}, Action: "session.opened", Subject: audit.Subject{Kind: "person", ID: identity.AdminID}},
	} {
		e.Time = now.Add(time.Duration(i-2) * time.Minute)
		if err := s.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithTimeout(t.Context(), 500*time.Millisecond)
	_ = w.Run(ctx) // it verifies once
	stop()
	srv := productOf(t, apitest.Rich(now), identity.Approver, dashboard.Options{Audit: w, Clock: time.Now})
	b := startBrowser(t)
	dir := os.Getenv("GATEHOUSE_SCREENS")
	for _, width := range []int64{1280, 390} {
		if b.do(chromedp.EmulateViewport(width, 900)); width < 500 {
			b.do(chromedp.EmulateViewport(width, 900, chromedp.EmulateMobile))
		}
		for i, address := range []string{"/audit", "/audit?action=finding.&kind=person", "/audit?actor=nobody", "/audit?since=x", "/audit/2", "/audit/7", "/audit/99"} {
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
			for _, theme := range []string{"light", "dark"} {
				b.run(`document.documentElement.dataset.theme = "` + theme + `"`)
				if faint := eval[string](b, lowContrast); faint != "" {
					t.Errorf("%s in %s has text below 4.5:1: %s", address, theme, faint)
				}
				if dir != "" {
					b.shoot(filepath.Join(dir, fmt.Sprintf("audit-%d-%d-%s.png", i, width, theme)))
				}
			}
		}
	}

	b.do(chromedp.EmulateViewport(1280, 900), chromedp.Navigate(srv.URL+"/audit"))
	b.run(`document.querySelector("[name=kind]").value = "unknown"`)
	b.do(chromedp.Click(`.filters button`))
	b.until("the filter narrows the events", `document.querySelectorAll("tr[data-key]").length === 1 && new URL(location.href).searchParams.get("kind") === "unknown"`)
	b.until("the list is live", `document.querySelector("#link").dataset.state === "live"`)
	b.do(key("j"), key("\r"))
	b.until("enter opens the event", `location.pathname === "/audit/3"`)
	b.until("the event is live", `document.querySelector("[data-back]") !== null && document.querySelector("#link").dataset.state === "live"`)
	b.do(key("\x1b"))
	b.until("esc goes back to the list as it was filtered", `location.pathname === "/audit" && location.search.includes("kind=unknown")`)
	b.do(chromedp.Navigate(srv.URL+"/audit"), chromedp.Click(`#verified button:not(.copy)`))
	b.until("the button has the log verified", `location.pathname === "/audit" && document.querySelector("#verified").innerText.includes("being verified")`)
}
