package console

import (
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/figures"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/plot"
)

// mountOverview adds the first page of a transmitter.
func (c *Console) mountOverview() {
	c.mountLive("/console/{$}", "Overview", (*view).overview)
}

// mountLive adds a page of figures, and what keeps it live. look asks for what changes.
func (c *Console) mountLive(path, title string, look func(*view, figures.Range) (*overviewLive, error)) {
	c.live.look = look
	c.page("GET "+path, func(v *view) error { return v.overviewPage(title) })
	c.page("GET "+livePage, live)
}

type overviewPage struct {
	Frame
	Range  figures.Range
	Ranges []figures.Range
	Live   *overviewLive
}

// overviewLive is what of the page changes by itself.
type overviewLive struct {
	Sampled      time.Time // zero: no figures are kept
	Now          time.Time
	Again        string // where a new look is, for who has no script
	Shared       bool   // several nodes share the work
	Tiles        []tile
	LatencyTitle string
	Latency      []latencyRow
	OfReceiver   bool // which has no streams of its own
	Plots        []template.HTML
	Streams      streamsGlance
	StreamPages  bool // a stream has a page of its own
	Applications int
}

// tile is a figure with its name and a word about it.
type tile struct{ Name, Value, Hint string }

// latencyRow is how long SETs took, by a method or up to a point.
type latencyRow struct{ Method, Count, P50, P95, P99 string }

func (v *view) overviewPage(title string) error {
	of, ok := figures.RangeOf(v.r.URL.Query().Get("range"))
	if !ok {
		return &failure{status: http.StatusBadRequest, title: "No such range", text: "Figures are kept of the last 15m, 1h, 6h, 24h, 7d and 30d."}
	}
	page := overviewPage{Frame: v.frame(title), Range: of, Ranges: figures.Ranges()}
	var err error
	if page.Live, err = v.console.live.look(v, of); err != nil {
		return err
	}
	return v.show("overview", page)
}

// overview asks the API for all that changes.
func (v *view) overview(of figures.Range) (*overviewLive, error) {
	l := &overviewLive{Now: v.console.cfg.Now(), Again: Prefix + "?range=" + of.Name, StreamPages: v.console.hasSection(streamsPage), LatencyTitle: "Event to acknowledgement"}
	if err := v.get("/admin/overview", &l.Streams); err != nil {
		return nil, err
	}
	if l.Streams.Streams == 0 { // what there is to do next depends on it
		var some struct{ Applications []struct{} }
		if err := v.get(applicationsAPI, &some, url.Values{"limit": {"1"}}); err != nil {
			return nil, err
		}
		l.Applications = len(some.Applications)
	}
	l.Shared = l.Streams.Shared
	var d figures.Document
	var refused *adminapi.Error
	switch err := v.get("/admin/figures", &d, url.Values{"range": {of.Name}}); {
	case errors.As(err, &refused) && refused.Status == http.StatusNotImplemented:
		return l, nil // none are kept
	case err != nil:
		return nil, err
	}
	l.show(&drawn{d})
	return l, nil
}

// show makes tiles and plots of figures.
func (l *overviewLive) show(d *drawn) {
	l.Sampled = d.Sampled
	out, acknowledged := d.total("pushes", "polled"), d.total("push", "poll", "webhook")
	l.Tiles = []tile{
		{"events in", d.rate("events"), number(int(d.total("events"))) + " in the " + d.Title},
		{"SETs out", d.rate("pushes", "polled"), number(int(out)) + " in the " + d.Title},
		{"acknowledged", d.rate("push", "poll", "webhook"), number(int(acknowledged)) + " in the " + d.Title},
		{"waiting", d.level("waiting", plot.Number), "SETs on queues"},
		{"set aside", d.level("dead_letters", plot.Number), "dead letters"},
		{"oldest undelivered", d.level("oldest", plot.Seconds), "since it was queued"},
	}
	l.Plots = []template.HTML{
		d.plot("events-in", "Events in", plot.PerSecond, true, "events", "events_duplicate", "events_unmapped", "events_refused"),
		d.plot("sets-out", "SETs out", plot.PerSecond, true, "pushes", "polled", "pushes_failed", "pushes_refused", "polled_refused"),
		d.plot("acknowledged", "Acknowledged, by method", plot.PerSecond, true, "push", "poll", "webhook"),
		d.plot("waiting", "Waiting", plot.Number, true, "waiting"),
		d.plot("set-aside", "Set aside", plot.Number, true, "dead_letters"),
		d.plot("oldest", "Oldest undelivered", plot.Seconds, true, "oldest"),
	}
	l.Latency = d.latency([]string{"push", "poll", "webhook"})
	for _, row := range l.Latency {
		l.Plots = append(l.Plots, d.quantiles("latency-"+row.Method, "Event to acknowledgement by "+row.Method, row.Method))
	}
	if len(l.Latency) == 0 {
		l.Plots = append(l.Plots, d.quantiles("latency", "Event to acknowledgement", "push"))
	}
}

// hasSection reports whether a page is in the navigation.
func (c *Console) hasSection(path string) bool {
	for _, s := range c.cfg.Pages.sections {
		if s.Path == path {
			return true
		}
	}
	return false
}

// streamsGlance is the answer of GET /admin/overview.
type streamsGlance struct {
	Streams  int            `json:"streams"`
	Shared   bool           `json:"shared"`
	Concerns map[string]int `json:"concerns"`
	Worst    []streamLook   `json:"worst"`
}

// More is how many streams are not named.
func (g streamsGlance) More() int { return max(g.Streams-len(g.Worst), 0) }

// Counts are the concerns with how many streams each has, the most urgent first.
func (g streamsGlance) Counts() []concernCount {
	var out []concernCount
	for _, name := range []string{"failing", "stopped", "paused_by_receiver", "dead_letters", "fine"} {
		out = append(out, concernCount{concern(name), g.Concerns[name]})
	}
	return out
}

type concernCount struct {
	Concern concern
	Streams int
}

// concern is what is to be said of a stream.
type concern string

// Word is what people read, Class how it looks, Mark what tells it apart without colour.
func (c concern) Word() string {
	switch c {
	case "failing":
		return "failing"
	case "stopped":
		return "stopped here"
	case "paused_by_receiver":
		return "paused by receiver"
	case "dead_letters":
		return "dead letters"
	}
	return "fine"
}

// Class is that of its badge.
func (c concern) Class() string {
	switch c {
	case "failing":
		return "bad"
	case "stopped", "dead_letters", "paused_by_receiver":
		return "warn"
	}
	return "good"
}

// Mark tells it apart without colour.
func (c concern) Mark() string {
	switch c {
	case "failing":
		return "✕"
	case "stopped", "paused_by_receiver":
		return "❚❚"
	case "dead_letters":
		return "▲"
	}
	return "●"
}

type streamLook struct {
	ID          string    `json:"stream_id"`
	Application string    `json:"application"`
	Environment string    `json:"environment"`
	Method      string    `json:"method"`
	Description string    `json:"description"`
	Concern     concern   `json:"concern"`
	Status      string    `json:"status"`
	Reason      string    `json:"reason"`
	Queued      int       `json:"queued"`
	DeadLetters int       `json:"dead_letters"`
	Oldest      time.Time `json:"oldest"`
	Failures    int       `json:"failures"`
	NextDue     time.Time `json:"next_due"`
	LastError   string    `json:"last_error"`
}
