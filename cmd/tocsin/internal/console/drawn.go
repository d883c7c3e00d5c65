package console

import (
	"html/template"
	"math"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/figures"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/plot"
)

// drawn makes text and plots of figures.
type drawn struct{ figures.Document }

// figure returns one, with nothing in it if there is none of that name.
func (d *drawn) figure(name string) figures.FigureDetails {
	for _, f := range d.Figures {
		if f.Name == name {
			return f
		}
	}
	return figures.FigureDetails{Name: name, Title: name, Latest: figures.Value(math.NaN())}
}

// rate is how many of several there are a second now.
func (d *drawn) rate(names ...string) string {
	sum := 0.0
	for _, name := range names {
		sum += float64(d.figure(name).Latest)
	}
	return plot.Text(sum, plot.PerSecond)
}

// total is how many of several there were in the range.
func (d *drawn) total(names ...string) float64 {
	sum := 0.0
	for _, name := range names {
		if t := d.figure(name).Total; t != nil {
			sum += float64(*t)
		}
	}
	return sum
}

func (d *drawn) level(name string, unit plot.Unit) string {
	return plot.Text(float64(d.figure(name).Latest), unit)
}

func (d *drawn) times() []time.Time {
	out := make([]time.Time, d.Points)
	for i := range out {
		out[i] = d.From.Add(time.Duration(float64(i) * d.Step * float64(time.Second)))
	}
	return out
}

// plot draws figures: rates, or levels. But for the first, those that never happened are
// left out.
func (d *drawn) plot(id, title string, unit plot.Unit, area bool, names ...string) template.HTML {
	p := d.blank(id, title, unit)
	p.Area, p.Highest = area, unit != plot.PerSecond
	for i, name := range names {
		f := d.figure(name)
		values := f.Rate
		if f.Kind == "level" {
			values = f.Highest
		}
		if i > 0 && !some(values) {
			continue
		}
		p.Series = append(p.Series, plot.Series{Name: f.Title, Values: floats(values)})
	}
	return p.HTML()
}

// quantiles draws those of a spread.
func (d *drawn) quantiles(id, title, name string) template.HTML {
	p := d.blank(id, title, plot.Seconds)
	p.Highest = true
	if q := d.figure(name).Quantiles; q != nil {
		p.Series = []plot.Series{{Name: "p50", Values: floats(q.ByP50)}, {Name: "p95", Values: floats(q.ByP95)}, {Name: "p99", Values: floats(q.ByP99)}}
	}
	return p.HTML()
}

// latency tells of those spreads that have something.
func (d *drawn) latency(names []string) (rows []latencyRow) {
	text := func(v figures.Value) string { return plot.Text(float64(v), plot.Seconds) }
	for _, name := range names {
		f := d.figure(name)
		if f.Quantiles == nil || f.Total == nil || *f.Total == 0 {
			continue
		}
		rows = append(rows, latencyRow{f.Title, number(int(*f.Total)), text(f.Quantiles.P50), text(f.Quantiles.P95), text(f.Quantiles.P99)})
	}
	return rows
}

func (d *drawn) blank(id, title string, unit plot.Unit) plot.Plot {
	return plot.Plot{ID: id, Title: title, Unit: unit, Times: d.times(), Step: time.Duration(d.Step * float64(time.Second))}
}

// some reports whether a series has more than zeros.
func some(values figures.Values) bool {
	for _, v := range values {
		if v > 0 {
			return true
		}
	}
	return false
}

func floats(values figures.Values) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}
