// Package plot draws series over time as SVG on the server: axes, ticks in human units,
// gaps where nothing is known, and a table with the same values. It needs no script
// and no inline style: colours are classes, plot-1 to plot-6 (plot.css of the console), told apart by dashes and
// marks too.
//
//	plot.Plot{ID: "events", Title: "Events in", Unit: plot.PerSecond, Times: …, Step: …, Series: …}.HTML()
package plot

import (
	"html/template"
	"math"
	"time"
)

// MaxSeries is how many series can be told apart in one plot; further ones are left out.
const MaxSeries = 6

// Unit is what values are in.
type Unit uint8

// The units.
const (
	Number    Unit = iota // things that are counted
	PerSecond             // how many a second
	Seconds               // a duration
)

// Series is one line: a value for each time of its plot, NaN where none is known.
type Series struct {
	Name   string
	Values []float64
}

// Plot is a plot.
type Plot struct {
	// ID is unique in its page: letters, digits, "-".
	ID    string
	Title string
	Unit  Unit
	// Times are when the values begin, Step apart, oldest first.
	Times  []time.Time
	Step   time.Duration
	Series []Series
	// Area fills what lies below the first series.
	Area bool
	// Highest: a row of the table has the highest of its values, else their mean.
	Highest bool
}

// Measures of the drawing, in units of its viewBox.
const (
	width, height = 400.0, 190.0
	left, right   = 46.0, 10.0
	top, bottom   = 10.0, 24.0
)

// HTML returns the whole: a figure with the drawing, its legend and its table.
func (p Plot) HTML() template.HTML {
	p.Series = p.Series[:min(len(p.Series), MaxSeries)]
	w := &writer{}
	w.f(`<figure class="plot" id="%s"><figcaption><h3 class="plot-title">%s</h3></figcaption>`, p.ID, p.Title)
	p.svg(w)
	p.legend(w)
	p.table(w)
	w.raw(`</figure>`)
	return w.html()
}

// SVG returns the drawing alone.
func (p Plot) SVG() template.HTML {
	p.Series = p.Series[:min(len(p.Series), MaxSeries)]
	w := &writer{}
	p.svg(w)
	return w.html()
}

func (p Plot) svg(w *writer) {
	scale := p.scale()
	w.f(`<svg class="plot-svg" role="img" aria-labelledby="%s-t %s-d" viewBox="0 0 %s %s" preserveAspectRatio="xMidYMid meet" fill="none">`,
		p.ID, p.ID, num(width), num(height))
	w.f(`<title id="%s-t">%s</title><desc id="%s-d">%s</desc>`, p.ID, p.Title, p.ID, p.describe())
	p.yAxis(w, scale)
	p.xAxis(w)
	if !p.known() {
		w.f(`<text class="plot-none" x="%s" y="%s" text-anchor="middle">no data</text>`, num((left+width-right)/2), num((top+height-bottom)/2))
	}
	for i, s := range p.Series {
		p.draw(w, i, s, scale)
	}
	w.raw(`</svg>`)
}

// draw draws one series: a line for each run of values that are known.
func (p Plot) draw(w *writer, i int, s Series, scale scale) {
	at, fill := "", ""
	var first, last float64
	run := 0
	end := func() {
		if run == 1 { // a value by itself is a dot
			at += "m-1.5 0h3"
		}
		if run > 0 && p.Area && i == 0 {
			fill += "V" + num(scale.y(0)) + "H" + num(first) + "Z"
		}
		run = 0
	}
	for n := range p.Times {
		if n >= len(s.Values) || math.IsNaN(s.Values[n]) {
			end()
			continue
		}
		x, y := p.x(n), scale.y(s.Values[n])
		move := "L"
		if run == 0 {
			move, first = "M", x
			fill += "M" + num(x) + " " + num(scale.y(0)) + "L" + num(x) + " " + num(y)
		} else {
			fill += "L" + num(x) + " " + num(y)
		}
		at += move + num(x) + " " + num(y)
		run, last = run+1, y
	}
	here := run > 0
	end()
	if at == "" {
		return
	}
	if p.Area && i == 0 {
		w.f(`<path class="plot-area plot-%s" d="%s"/>`, num(float64(i+1)), fill)
	}
	w.f(`<path class="plot-line plot-%s" stroke="currentColor" stroke-width="1.75" stroke-linejoin="round" stroke-linecap="round" stroke-dasharray="%s" d="%s"/>`,
		num(float64(i+1)), dashes[i], at)
	if here {
		mark(w, i, p.x(len(p.Times)-1), last)
	}
}

// x returns where the middle of point n lies.
func (p Plot) x(n int) float64 {
	return left + (float64(n)+0.5)/float64(max(len(p.Times), 1))*(width-left-right)
}

// xOf returns where a time lies.
func (p Plot) xOf(at time.Time) float64 {
	span := float64(len(p.Times)) * p.Step.Seconds()
	return left + at.Sub(p.Times[0]).Seconds()/span*(width-left-right)
}

func (p Plot) known() bool {
	for _, s := range p.Series {
		for _, v := range s.Values {
			if !math.IsNaN(v) {
				return true
			}
		}
	}
	return false
}

func (p Plot) yAxis(w *writer, s scale) {
	for _, v := range s.ticks {
		y := num(s.y(v))
		w.f(`<path class="plot-grid" stroke="currentColor" stroke-opacity="0.2" d="M%s %sH%s"/>`, num(left), y, num(width-right))
		w.f(`<text class="plot-tick" x="%s" y="%s" dy="0.35em" text-anchor="end">%s</text>`, num(left-6), y, s.text(v))
	}
}

func (p Plot) xAxis(w *writer) {
	if len(p.Times) == 0 {
		return
	}
	for _, t := range timeTicks(p.Times[0], p.Times[len(p.Times)-1].Add(p.Step)) {
		x := num(p.xOf(t.at))
		w.f(`<path class="plot-grid" stroke="currentColor" stroke-opacity="0.4" d="M%s %sv4"/>`, x, num(height-bottom))
		w.f(`<text class="plot-tick" x="%s" y="%s" text-anchor="middle">%s</text>`, x, num(height-bottom+16), t.text)
	}
}
