package console_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// public calls the transmitter's own API.
func (h *house) public(method, path, token string, body string) string {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.issuer+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	all, _ := bufio.NewReader(resp.Body).Peek(1 << 12)
	if resp.StatusCode/100 != 2 {
		h.t.Fatalf("%s %s: got %d %s", method, path, resp.StatusCode, all)
	}
	return string(all)
}

// busy is a house with a stream that is pushed to, one that fails and one that is polled,
// and events that went over them.
func busy(t testing.TB) (*house, string) {
	h := open(t)
	token := h.token("shop", "ssf.manage ssf.read events.write")
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	t.Cleanup(good.Close)
	t.Cleanup(bad.Close)
	for _, to := range []string{
		`{"method":"` + delivery.MethodPush + `","endpoint_url":"` + good.URL + `"}`, `{"method":"` + delivery.MethodPush + `","endpoint_url":"` + bad.URL + `"}`,
		`{"method":"` + delivery.MethodPoll + `"}`,
	} {
		h.public("POST", "/ssf/streams", token, `{"delivery":`+to+`,"events_requested":["`+caep.SessionRevokedType+`"]}`)
	}
	for i := range 3 {
		h.emit(token, fmt.Sprint("jo", i))
	}
	return h, token
}

func (h *house) emit(token, who string) {
	h.t.Helper()
	h.public("POST", "/v1/events", token, `{"type":"`+caep.SessionRevokedType+`","subject":{"format":"email","email":"`+who+`@example.com"}}`)
}

// delivered waits until three SETs were pushed and one stream fails.
func (h *house) delivered() {
	h.t.Helper()
	h.until("three SETs are acknowledged", func() bool {
		h.figures.Sample()
		d, _ := h.figures.Document("1h")
		var look struct{ Concerns map[string]int }
		h.operate(http.MethodGet, "/admin/overview", nil, &look)
		for _, f := range d.Figures {
			if f.Name == "push" {
				return f.Total != nil && *f.Total == 3 && look.Concerns["failing"] == 1
			}
		}
		return false
	})
}

// The overview says what came in and went out, how long it took, and how each stream is;
// a range is chosen by a link, without a script.
func TestOverview(t *testing.T) {
	t.Parallel()
	h, _ := busy(t)
	h.delivered()
	v := h.signedIn()
	p := v.get("/console/")
	p.wants(t, 200, "3 in the last hour", "events in", "acknowledged", "oldest undelivered", "✕ failing", "3 streams, the worst first",
		"Event to acknowledgement by push", `role="img"`, "<th scope=\"row\">push</th><td class=\"number\">3</td>", `href="/console/?range=7d"`, " in a row: http_502")
	if strings.Contains(p.body, "jo0") {
		t.Error("got a subject on the overview, want none")
	}
	for _, r := range []string{"15m", "1h", "6h", "24h", "7d", "30d"} {
		v.get("/console/?range="+r).wants(t, 200, `?range=`+r+`" aria-current="true"`)
	}
	v.get("/console/?range=1y").wants(t, 400, "No such range")
	h.visitor().get("/console/").wants(t, 200, "Sign in")
}

// A console of which nothing is known yet says what to do next.
func TestOverviewOfNothing(t *testing.T) {
	t.Parallel()
	open(t).signedIn().get("/console/").wants(t, 200, "There is no stream yet", "add an application", "no data")
}

// feed are the server-sent events of a live page.
type feed struct {
	status int
	lines  *bufio.Reader
	close  func()
}

func (v *visitor) live(query string) feed {
	v.t.Helper()
	ctx, cancel := context.WithCancel(v.t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.url+"/console/live"+query, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	resp, err := v.client.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { cancel(); _ = resp.Body.Close() })
	return feed{resp.StatusCode, bufio.NewReader(resp.Body), cancel}
}

// ends waits for the end of a feed.
func (f feed) ends(t *testing.T, why string) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, err := f.lines.ReadString('\n'); err != nil {
				return
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Errorf("%s: got a live page that goes on", why)
	}
}

// Live pages are bounded, end at sign-out, and with the process.
func TestLive(t *testing.T) {
	t.Parallel()
	h := open(t)
	v, other := h.signedIn(), h.signedIn()
	var feeds []feed
	for range 8 {
		f := v.live("")
		if f.status != http.StatusOK {
			t.Fatalf("got %d, want 200", f.status)
		}
		feeds = append(feeds, f)
	}
	if first, err := feeds[0].lines.ReadString('\n'); err != nil || first != "retry: 10000\n" {
		t.Errorf("got %q %v, want the feed to have begun", first, err)
	}
	if f := v.live(""); f.status != http.StatusServiceUnavailable {
		t.Errorf("the ninth of a session: got %d, want 503", f.status)
	}
	one := other.live("?range=30d")
	if one.status != http.StatusOK {
		t.Errorf("of another session: got %d, want 200", one.status)
	}
	if f := other.live("?range=1y"); f.status != http.StatusBadRequest {
		t.Errorf("an unknown range: got %d, want 400", f.status)
	}
	feeds[0].close()
	h.until("a place is free again", func() bool { f := v.live(""); defer f.close(); return f.status == http.StatusOK })
	v.post("/console/sign-out")
	feeds[1].ends(t, "after the sign-out")
	h.console.EndLive()
	one.ends(t, "at the end of the process")
	if f := other.live(""); f.status != http.StatusServiceUnavailable {
		t.Errorf("after the end: got %d, want 503", f.status)
	}
	if f := h.visitor().live(""); f.status != http.StatusOK { // it was sent to sign in
		t.Errorf("without a session: got %d", f.status)
	}
}

// In a browser figures change by themselves, what was opened stays open, and all of it
// is accessible.
func TestOverviewInBrowser(t *testing.T) {
	h, token := busy(t)
	h.delivered()
	b := h.browse(t)
	b.look("overview-busy")
	b.says("failing", "SETs out", "Event to acknowledgement")
	b.until(`document.getElementById("live-state").textContent.includes("live")`)
	b.click("#events-in summary")
	for i := range 4 {
		h.emit(token, fmt.Sprint("new", i))
	}
	h.figures.Sample()
	b.run(chromedp.WaitVisible(chromedp.CSS("#events-in details[open]")))
	ask(b, chromedp.Evaluate[int](`document.activeElement.blur(); 0`))
	b.until(`document.getElementById("live").innerText.includes("7 in the last hour")`)
	b.until(`document.querySelector("#events-in details").open`)
	b.press(`a[href="/console/?range=15m"]`)
	b.says("7 in the last 15 minutes")
}
