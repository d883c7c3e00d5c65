package console

import (
	"bytes"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/figures"
	standing "github.com/tocsin-ssf/tocsin/receiver/sessions"
)

// livePage streams what of the overview changes, as server-sent events (HTML Living
// Standard §9.2): each "show" has the new HTML.
const livePage = "/console/live"

// Bounds of live pages.
const (
	// maxLive and maxLiveEach bound those that are open, in all and of one session.
	maxLive     = 64
	maxLiveEach = 8
	// liveEvery is as often as there are new figures, and the heartbeat.
	liveEvery = 10 * time.Second
	// liveWrite is how long a browser may take for one event.
	liveWrite = 20 * time.Second
)

// listeners are the live pages that are open. The zero value is not ready.
type listeners struct {
	mu    sync.Mutex
	all   int
	by    map[*session]int
	ended chan struct{} // closed when the process is about to end
	over  bool

	look func(*view, figures.Range) (*overviewLive, error) // asks for what changes

	making sync.Mutex // one at a time makes what all of a range get
	made   map[string]made
}

// made is what was made for the pages of a range.
type made struct {
	at   time.Time
	html []byte
}

func newListeners() *listeners {
	return &listeners{by: map[*session]int{}, ended: make(chan struct{}), made: map[string]made{}}
}

// enter takes a place; false if there is none. The place is given back by leave.
func (l *listeners) enter(s *session) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || l.all >= maxLive || l.by[s] >= maxLiveEach {
		return false
	}
	l.all++
	l.by[s]++
	return true
}

func (l *listeners) leave(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.by[s]--; l.by[s] == 0 {
		delete(l.by, s)
	}
}

// EndLive ends the live pages, and lets none begin: the process is about to end, and its
// servers wait for requests.
func (c *Console) EndLive() {
	c.live.mu.Lock()
	defer c.live.mu.Unlock()
	if !c.live.over {
		c.live.over = true
		close(c.live.ended)
	}
}

// live serves the overview's figures as they come, until the browser goes, the session
// ends or the process does. A page that is left open keeps no session from ending: it is
// seen when it begins alone.
func live(v *view) error {
	of, ok := figures.RangeOf(v.r.URL.Query().Get("range"))
	if !ok {
		return &failure{status: http.StatusBadRequest, title: "No such range", text: "Figures are kept of the last 15m, 1h, 6h, 24h, 7d and 30d."}
	}
	c := v.console
	if !c.live.enter(v.session) {
		v.w.Header().Set("Retry-After", "60")
		return &failure{status: http.StatusServiceUnavailable, title: "Too many live pages", text: "Close one of them, or load the page again by hand."}
	}
	defer c.live.leave(v.session)
	control := http.NewResponseController(v.w)
	_ = control.SetReadDeadline(time.Time{}) // not supported: there is none
	v.w.Header().Set("Content-Type", "text/event-stream")
	v.w.Header().Set("Cache-Control", "no-store")
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	text := []byte("retry: 10000\n\n")
	for {
		_ = control.SetWriteDeadline(time.Now().Add(liveWrite))
		if _, err := v.w.Write(text); err != nil {
			return nil // the browser has gone
		}
		if err := control.Flush(); err != nil {
			return nil
		}
		select {
		case <-v.r.Context().Done():
			return nil
		case <-v.session.ended:
			v.gone()
			return nil
		case <-c.live.ended:
			return nil
		case <-tick.C:
		}
		if !c.still(v) {
			v.gone()
			return nil
		}
		text = v.event(of)
	}
}

// gone tells a live page that its session has ended: it loads itself again, which leads
// to the sign-in.
func (v *view) gone() {
	control := http.NewResponseController(v.w)
	_ = control.SetWriteDeadline(time.Now().Add(liveWrite))
	_, _ = v.w.Write([]byte("event: ended\ndata:\n\n"))
	_ = control.Flush() // the browser may have gone
}

// still reports whether a session that is not seen by that goes on.
func (c *Console) still(v *view) bool {
	c.sessions.mu.Lock()
	ended := c.sessions.over(v.session)
	c.sessions.mu.Unlock()
	if ended || c.verdict(v.session) != standing.Good {
		return false
	}
	if v.session.token == "" {
		return true
	}
	name, err := c.check(v.r, v.session.token)
	return err == nil && name == v.session.name
}

// event is the next one: what changed, or a heartbeat where that cannot be told.
func (v *view) event(of figures.Range) []byte {
	html, err := v.liveHTML(of)
	if err != nil {
		return []byte(": the figures cannot be told now\n\n")
	}
	var b bytes.Buffer
	b.WriteString("event: show\n")
	html = bytes.ReplaceAll(html, []byte("\r"), []byte("&#13;")) // it would end a line, too; texts are others'
	for line := range bytes.Lines(html) {
		fmt.Fprintf(&b, "data: %s\n", bytes.TrimRight(line, "\n"))
	}
	b.WriteString("\n")
	return b.Bytes()
}

// liveHTML makes what changed, once for all pages of a range: what it shows depends on
// nobody.
func (v *view) liveHTML(of figures.Range) ([]byte, error) {
	l := v.console.live
	l.making.Lock()
	defer l.making.Unlock()
	now := v.console.cfg.Now()
	if m := l.made[of.Name]; m.html != nil && now.Sub(m.at) < liveEvery/2 {
		return m.html, nil
	}
	page, err := l.look(v, of)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := v.console.pages["overview"].ExecuteTemplate(&b, "live", page); err != nil {
		return nil, err
	}
	l.made[of.Name] = made{now, b.Bytes()}
	return b.Bytes(), nil
}
