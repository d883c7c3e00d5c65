package console_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// pageTime bounds what a page of a test may take in the browser.
const pageTime = 30 * time.Second

// browser is one headless Chromium for all tests of the package; each has tabs of its own.
var browser struct {
	sync.Mutex
	ctx    context.Context
	cancel []context.CancelFunc
}

func closeBrowser() {
	browser.Lock()
	defer browser.Unlock()
	for i := len(browser.cancel) - 1; i >= 0; i-- {
		browser.cancel[i]()
	}
}

// startBrowser returns the context of the browser. Where there is none the test is
// skipped, loudly, and fails in CI.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	browser.Lock()
	defer browser.Unlock()
	if browser.ctx != nil {
		return browser.ctx
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("TOCSIN_CI") != "" || os.Getenv("CI") != "" {
			t.Fatal("chromium is not installed: the pages cannot be tested (package chromium)")
		}
		t.Skip("SKIPPED: chromium is not installed: the pages were not tested in a browser (package chromium)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(1280, 900)) //nolint:gocritic // a copy is wanted
	all, stopAll := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(all)
	browser.cancel = []context.CancelFunc{stopAll, stop}
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("chromium does not start: %v", err)
	}
	browser.ctx = ctx
	return ctx
}

// tab is a page in the browser. What the browser complains of on any page, a script's
// error or something that the policy forbids, fails the test.
type tab struct {
	*house
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string
}

// browse returns a tab in a profile of its own, signed in as admin.
func (h *house) browse(t *testing.T) *tab {
	t.Helper()
	b := h.blank(t)
	b.run(chromedp.Navigate(h.link()), chromedp.WaitVisible(chromedp.CSS("button.main")))
	b.press("button.main")
	b.run(chromedp.WaitVisible(chromedp.CSS("nav a[aria-current]")))
	return b
}

// blank returns a tab without a session.
func (h *house) blank(t *testing.T) *tab {
	t.Helper()
	b := &tab{house: h, t: t}
	var stop context.CancelFunc
	b.ctx, stop = chromedp.NewContext(startBrowser(t), chromedp.WithNewBrowserContext(), chromedp.WithListener(func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			b.complain(e.ExceptionDetails.Text)
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError && !strings.Contains(e.Entry.Text, "status of 4") { // answers that a test asks for
				b.complain(e.Entry.Text + " " + e.Entry.URL)
			}
		}
	}))
	t.Cleanup(stop)
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, c := range b.complaints {
			t.Errorf("the browser complains: %s", c)
		}
	})
	// The context of the first action is the tab's life: it has no deadline.
	if err := chromedp.Do(b.ctx, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, log.Enable, cdp.Empty{})
		return err
	})); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *tab) complain(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complaints = append(b.complaints, text)
}

// run does steps, in bounded time.
func (b *tab) run(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ask(b, chromedp.Steps(steps...))
}

// ask returns what an action does.
func ask[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, pageTime)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		last, end := context.WithTimeout(b.ctx, 5*time.Second)
		defer end()
		where, _ := chromedp.Run(last, chromedp.Location()) // as far as it goes
		text, _ := chromedp.Run(last, chromedp.Evaluate[string]("document.body.innerText"))
		b.t.Fatalf("in the browser: %v\nat %s:\n%s\nlogs:\n%s", err, where, text, b.logs)
	}
	return v
}

// open shows a path of the console.
func (b *tab) open(path string) {
	b.t.Helper()
	b.run(chromedp.Navigate(b.url+path), chromedp.WaitReady(chromedp.CSS("main")))
}

// fill types into a field.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.run(chromedp.WaitVisible(chromedp.CSS(selector)))
	ask(b, chromedp.Evaluate[int](fmt.Sprintf(`document.querySelector(%q).select(); 0`, selector)))
	b.run(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// press clicks what leads to another page, and waits for it.
func (b *tab) press(selector string) {
	b.t.Helper()
	ask(b, chromedp.Evaluate[bool](`window.stale = true`))
	b.click(selector)
	b.until(`!window.stale && document.readyState === "complete"`)
}

// until waits for a condition, also while the page gives way to another.
func (b *tab) until(condition string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, pageTime)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		if ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](condition)); err == nil && ok {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			ask(b, chromedp.Func(func(context.Context, *chromedp.Target) error { return errors.New("never: " + condition) }))
		}
	}
}

// click clicks what stays on the page.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.run(chromedp.Click(chromedp.CSS(selector)))
}

// says fails unless the page has all of the texts.
func (b *tab) says(texts ...string) {
	b.t.Helper()
	got := ask(b, chromedp.Evaluate[string]("document.body.innerText"))
	for _, text := range texts {
		if !strings.Contains(got, text) {
			b.t.Errorf("got no %q on the page, want it:\n%s", text, got)
		}
	}
}

//go:embed testdata/accessible.js
var accessible string

// look checks that the page that is shown is accessible, in both colour schemes and on a
// phone, and keeps a picture of each (TOCSIN_SCREENSHOTS names the folder).
func (b *tab) look(name string) {
	b.t.Helper()
	dir := os.Getenv("TOCSIN_SCREENSHOTS")
	if dir == "" {
		dir = b.t.TempDir()
	}
	for _, how := range []struct {
		name, scheme string
		width        int64
	}{{"light", "light", 1280}, {"dark", "dark", 1280}, {"phone", "light", 360}} {
		b.run(chromedp.EmulateViewport(how.width, 900), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
				{Name: "prefers-color-scheme", Value: how.scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
			}})
			return err
		}))
		picture := ask(b, chromedp.FullScreenshot(100))
		for _, f := range ask(b, chromedp.Evaluate[[]string](accessible)) {
			b.t.Errorf("%s (%s): %s", name, how.name, f)
		}
		file := filepath.Join(dir, fmt.Sprintf("%s-%s.png", name, how.name))
		if err := os.WriteFile(file, picture, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	b.run(chromedp.EmulateViewport(1280, 900))
}

// The check of accessibility finds what it is for: each of these pages has one fault.
func TestAccessibleFinds(t *testing.T) {
	h := open(t)
	b := h.blank(t)
	b.open("/console/sign-in")
	for fault, change := range map[string]string{
		"more than one h1":      `document.querySelector("main").append(document.createElement("h1"))`,
		"a field has no label":  `document.querySelector("label").remove()`,
		"has no name":           `document.querySelector("button.main").textContent = ""`,
		"contrast":              `document.querySelector("label").style.setProperty("color", "#ccc")`,
		"heading h4 follows h1": `document.querySelector("main").append(Object.assign(document.createElement("h4"), {textContent: "x"}))`,
		"id main is twice":      `document.querySelector("h1").id = "main"`,
		"wider than the window": `document.querySelector("h1").style.setProperty("width", "3000px")`,
		"has no caption":        `document.querySelector("main").append(document.createElement("table"))`,
	} {
		b.open("/console/sign-in")
		ask(b, chromedp.Evaluate[int](change+"; 0"))
		faults := ask(b, chromedp.Evaluate[[]string](accessible))
		if len(faults) != 1 || !strings.Contains(faults[0], fault) {
			got, _ := json.Marshal(faults)
			t.Errorf("a page with one fault: got %s, want %q alone", got, fault)
		}
	}
}
