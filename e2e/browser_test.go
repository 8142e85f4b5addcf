//go:build browser

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// browser starts a headless Chromium. Without one the test is skipped by name,
// or fails where all components must be there.
func browser(t *testing.T) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		if os.Getenv("GATEHOUSE_REQUIRE_COMPONENTS") != "" {
			t.Fatal("chromium is missing")
		}
		t.Skip("chromium is missing: run 'make integration'")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.WSURLReadTimeout(time.Minute))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func evaluate[T any](ctx context.Context, t *testing.T, script string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script))
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return v
}

func visit(ctx context.Context, t *testing.T, width int64, url string) {
	t.Helper()
	// By its id too: "main" alone would also find the text in a word such as domain.
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900), chromedp.Navigate(url), chromedp.WaitVisible("main#main")); err != nil {
		t.Fatalf("%s at %d px: %v", url, width, err)
	}
}

// The demo's dashboard in a real browser: every page at two widths, in light
// and dark, without an error on the console and without scrolling sideways;
// numbers that change by themselves. GATEHOUSE_SCREENSHOTS names a folder to
// keep pictures in.
func TestBrowserDashboardOfTheDemo(t *testing.T) {
	ctx := browser(t)
	_, base := startDemo(t, "--rate", "60")
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var problems []string
	go func() {
		for m, err := range chromedp.Console(ctx) {
			if err != nil {
				return
			}
			if m.Type == chromedp.ConsoleWarning || m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleException {
				mu.Lock()
				problems = append(problems, fmt.Sprintf("%s %s %s", m.Type, m.Text, m.URL))
				mu.Unlock()
			}
		}
	}()
	eventually(t, 20*time.Second, func() error {
		if _, body := get(t, base+"/api/v1/endpoints"); !strings.Contains(body, `"route"`) {
			return fmt.Errorf("no endpoints yet")
		}
		return nil
	})
	visit(ctx, t, 1280, base+"/inventory?q=orders")
	detail := evaluate[string](ctx, t, `document.querySelector('tbody a[href*="/inventory/"]').getAttribute('href')`)
	pages := map[string]string{
		"overview": "/", "inventory": "/inventory", "endpoint": detail, "estate": "/estate", "logging": "/logging", "sources": "/sources",
		"tail": "/tail", "dead letters": "/deadletters", "posture": "/posture", "findings": "/findings", "policy lab": "/policies/lab?example=one-side",
	}
	for _, width := range []int64{1280, 390} {
		for _, theme := range []string{"light", "dark"} {
			for name, path := range pages {
				visit(ctx, t, width, base+path)
				evaluate[chromedp.Void](ctx, t, `document.documentElement.dataset.theme = "`+theme+`"`)
				if evaluate[bool](ctx, t, `document.documentElement.scrollWidth > document.documentElement.clientWidth`) {
					t.Errorf("%s scrolls sideways at %d px", name, width)
				}
				if dir := os.Getenv("GATEHOUSE_SCREENSHOTS"); dir != "" {
					shot, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
					if err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, width, theme)), shot, 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	// Live: something on the overview changes without a reload.
	visit(ctx, t, 1280, base+"/")
	before := evaluate[string](ctx, t, `window.stays = true; document.querySelector('main').innerText`)
	eventually(t, 20*time.Second, func() error {
		if !evaluate[bool](ctx, t, `window.stays === true`) {
			t.Fatal("the page was loaded anew")
		}
		if before == evaluate[string](ctx, t, `document.querySelector('main').innerText`) {
			return fmt.Errorf("nothing on the overview changed")
		}
		return nil
	})
	mu.Lock()
	defer mu.Unlock()
	for _, p := range problems {
		t.Errorf("on the console: %s", p)
	}
}
