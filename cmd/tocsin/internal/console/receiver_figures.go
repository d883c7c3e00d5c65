package console

import (
	"html/template"
	"net/url"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/figures"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/plot"
)

// figuresPage shows what a receiver did over the last minutes, hours, days.
const figuresPage = "/console/figures"

func (c *Console) mountFigures() { c.mountLive(figuresPage, "Figures", receiverFigures) }

// receiverFigures asks the API for what a receiver keeps of its own past.
func receiverFigures(v *view, of figures.Range) (*overviewLive, error) {
	l := &overviewLive{Now: v.console.cfg.Now(), Again: figuresPage + "?range=" + of.Name, OfReceiver: true, LatencyTitle: "Lag, and time of hooks"}
	var doc figures.Document
	if err := v.get("/admin/figures", &doc, url.Values{"range": {of.Name}}); err != nil {
		return nil, err
	}
	d := &drawn{doc}
	l.Sampled = d.Sampled
	in := func(names ...string) string { return number(int(d.total(names...))) + " in the " + d.Title }
	l.Tiles = []tile{
		{"SETs in", d.rate("sets"), in("sets")},
		{"hooks done", d.rate("done"), in("done")},
		{"hooks failed", d.rate("again", "set_aside"), in("again", "set_aside")},
		{"waiting", d.level("waiting", plot.Number), "events in the inbox"},
		{"set aside", d.level("dead_letters", plot.Number), "dead letters"},
		{"oldest that waits", d.level("oldest", plot.Seconds), "since it came"},
	}
	l.Latency = d.latency([]string{"lag", "handling"})
	l.Plots = []template.HTML{
		d.plot("sets-in", "SETs in", plot.PerSecond, true, "sets", "sets_repeat", "sets_refused", "sets_deferred", "polls_failed"),
		d.plot("hooks", "Hooks", plot.PerSecond, true, "done", "again", "set_aside"),
		d.plot("inbox", "Inbox", plot.Number, true, "waiting", "failing"),
		d.plot("set-aside", "Set aside", plot.Number, true, "dead_letters"),
		d.plot("oldest", "Oldest that waits", plot.Seconds, true, "oldest"),
		d.quantiles("lag", "From arrival to hooks done", "lag"),
		d.plot("gate", "Decisions of the gate", plot.PerSecond, true, "let_through", "turned_away", "undecided"),
	}
	return l, nil
}
