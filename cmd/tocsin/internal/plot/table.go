package plot

import (
	"math"
	"time"
)

// dashes tell lines apart where colours do not.
var dashes = [MaxSeries]string{"none", "6 4", "1.5 4", "10 3 2 3", "3 3", "12 5"}

// mark draws the mark of series i, each of another shape.
func mark(w *writer, i int, x, y float64) {
	const r = 3.5
	class := num(float64(i + 1))
	path := func(d string) {
		w.f(`<path class="plot-mark plot-%s" fill="currentColor" d="%s"/>`, class, d)
	}
	switch i {
	case 0:
		w.f(`<circle class="plot-mark plot-%s" fill="currentColor" cx="%s" cy="%s" r="%s"/>`, class, num(x), num(y), num(r))
	case 1:
		path("M" + num(x-r) + " " + num(y-r) + "h7v7h-7Z")
	case 2:
		path("M" + num(x) + " " + num(y-r-1) + "l4.2 7.5h-8.4Z")
	case 3:
		path("M" + num(x) + " " + num(y-r-1) + "l4.5 4.5l-4.5 4.5l-4.5-4.5Z")
	case 4:
		path("M" + num(x) + " " + num(y+r+1) + "l4.2-7.5h-8.4Z")
	default:
		path("M" + num(x-r-1) + " " + num(y-1) + "h9v2h-9Z")
	}
}

// legend names the lines, each with its dashes, its mark and its newest value.
func (p Plot) legend(w *writer) {
	w.raw(`<ul class="plot-legend">`)
	for i, s := range p.Series {
		now := math.NaN()
		if n := len(s.Values); n > 0 {
			now = s.Values[n-1]
		}
		w.f(`<li><svg class="plot-swatch" viewBox="0 0 28 10" width="28" height="10" aria-hidden="true" fill="none"><path class="plot-line plot-%s" stroke="currentColor" stroke-width="2" stroke-dasharray="%s" d="M1 5H27"/>`,
			num(float64(i+1)), dashes[i])
		mark(w, i, 14, 5)
		w.f(`</svg> %s <span class="plot-now">%s</span></li>`, s.Name, Text(now, p.Unit))
	}
	w.raw(`</ul>`)
}

// maxRows bounds the table: a row tells of several points then.
const maxRows = 24

// table shows the same values to who reads and does not look.
func (p Plot) table(w *writer) {
	if len(p.Times) == 0 {
		return
	}
	group := (len(p.Times) + maxRows - 1) / maxRows
	kind := "mean"
	if p.Highest {
		kind = "highest"
	}
	w.f(`<details class="plot-values"><summary>Values<span class="visually-hidden"> of %s</span></summary><div class="scroll" tabindex="0" role="region" aria-label="Values of %s">`, p.Title, p.Title)
	w.f(`<table><caption>%s, %s of each %s, UTC</caption><thead><tr><th scope="col">From</th>`, p.Title, kind, duration((time.Duration(group) * p.Step).Seconds()))
	for _, s := range p.Series {
		w.f(`<th scope="col">%s</th>`, s.Name)
	}
	w.raw(`</tr></thead><tbody>`)
	layout := "15:04:05"
	if time.Duration(len(p.Times))*p.Step > 24*time.Hour {
		layout = "2 Jan 15:04"
	}
	// Newest first: that is what one looks for.
	for end := len(p.Times); end > 0; end -= group {
		first := max(end-group, 0)
		w.f(`<tr><th scope="row"><time datetime="%s">%s</time></th>`, machine(p.Times[first]), p.Times[first].UTC().Format(layout))
		for _, s := range p.Series {
			w.f(`<td>%s</td>`, Text(p.combine(s.Values, first, end), p.Unit))
		}
		w.raw(`</tr>`)
	}
	w.raw(`</tbody></table></div></details>`)
}

// combine returns what a row tells of points from first to before end.
func (p Plot) combine(values []float64, first, end int) float64 {
	sum, most, n := 0.0, math.Inf(-1), 0
	for _, v := range values[min(first, len(values)):min(end, len(values))] {
		if !math.IsNaN(v) {
			sum, most, n = sum+v, max(most, v), n+1
		}
	}
	switch {
	case n == 0:
		return math.NaN()
	case p.Highest:
		return most
	}
	return sum / float64(n)
}
