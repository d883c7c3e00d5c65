package plot

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// Text returns a value as people read it: "1,204", "3.2/s", "12 ms"; "–" for NaN.
func Text(v float64, u Unit) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case u == Seconds:
		return duration(v)
	case u == PerSecond:
		return significant(v) + "/s"
	case v < 1000 && v != math.Trunc(v):
		return significant(v)
	}
	return Grouped(v)
}

// Grouped returns a whole number with its thousands set apart.
func Grouped(v float64) string {
	digits := strconv.FormatFloat(math.Round(math.Abs(v)), 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if v <= -0.5 {
		return "-" + digits
	}
	return digits
}

// significant returns a number with three digits that count.
func significant(v float64) string {
	switch a := math.Abs(v); {
	case a == 0:
		return "0"
	case a < 0.001:
		return "<0.001"
	case a < 1:
		return trim(strconv.FormatFloat(v, 'f', 3, 64))
	case a < 9.995:
		return trim(strconv.FormatFloat(v, 'f', 2, 64))
	case a < 99.95:
		return trim(strconv.FormatFloat(v, 'f', 1, 64))
	}
	return Grouped(v)
}

func trim(s string) string { return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") }

// duration returns seconds in the unit that fits.
func duration(v float64) string {
	switch {
	case v == 0:
		return "0 s"
	case v < 0.001:
		return trim(strconv.FormatFloat(v*1000, 'f', 2, 64)) + " ms"
	case v < 0.9995:
		return short(v*1000) + " ms"
	case v < 59.95:
		return short(v) + " s"
	case v < 3600:
		return parts(v, 60, "min", 1, "s")
	case v < 86400:
		return parts(v, 3600, "h", 60, "min")
	}
	return parts(v, 86400, "d", 3600, "h")
}

// short has two digits or three.
func short(v float64) string {
	if v < 9.95 {
		return trim(strconv.FormatFloat(v, 'f', 1, 64))
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

func parts(v, large float64, name string, small float64, rest string) string {
	units := math.Round(v / small)
	per := large / small
	whole := math.Floor(units / per)
	out := strconv.FormatFloat(whole, 'f', 0, 64) + " " + name
	if left := units - whole*per; left > 0 {
		out += " " + strconv.FormatFloat(left, 'f', 0, 64) + " " + rest
	}
	return out
}

// tickText returns a value at an axis that ends at most, shorter than Text.
func tickText(v, step, most float64, u Unit) string {
	switch {
	case u == Seconds:
		return duration(v)
	case v == 0:
		return "0"
	case most >= 1e6:
		return trim(strconv.FormatFloat(v/1e6, 'f', 2, 64)) + "M"
	case most >= 1e4:
		return trim(strconv.FormatFloat(v/1e3, 'f', 2, 64)) + "k"
	case step >= 1:
		return Grouped(v)
	}
	return trim(strconv.FormatFloat(v, 'f', max(int(math.Ceil(-math.Log10(step)-1e-9)), 1), 64))
}

// words name a unit after a title.
func (u Unit) words() string {
	switch u {
	case PerSecond:
		return "a second"
	case Seconds:
		return "as a duration"
	}
	return ""
}

// describe says in words what the drawing shows.
func (p Plot) describe() string {
	if len(p.Times) == 0 || !p.known() {
		return "No data."
	}
	const layout = "2 Jan 15:04"
	out := fmt.Sprintf("%s to %s UTC", p.Times[0].UTC().Format(layout), p.Times[len(p.Times)-1].Add(p.Step).UTC().Format(layout))
	if words := p.Unit.words(); words != "" {
		out += ", " + words
	}
	out += "."
	for _, s := range p.Series {
		low, high, now := math.NaN(), math.NaN(), math.NaN()
		for _, v := range s.Values {
			if math.IsNaN(v) {
				continue
			}
			if math.IsNaN(low) {
				low, high = v, v
			}
			low, high, now = min(low, v), max(high, v), v
		}
		if math.IsNaN(now) {
			out += fmt.Sprintf(" %s: no data.", s.Name)
			continue
		}
		out += fmt.Sprintf(" %s: from %s to %s, last %s.", s.Name, Text(low, p.Unit), Text(high, p.Unit), Text(now, p.Unit))
	}
	return out
}

// writer makes HTML. What it is given as text is escaped.
type writer struct{ b strings.Builder }

func (w *writer) raw(s string) { w.b.WriteString(s) }

// f writes a format whose arguments are all text.
func (w *writer) f(format string, args ...string) {
	escaped := make([]any, len(args))
	for i, a := range args {
		escaped[i] = template.HTMLEscapeString(a)
	}
	fmt.Fprintf(&w.b, format, escaped...)
}

func (w *writer) html() template.HTML {
	return template.HTML(w.b.String()) //nolint:gosec // all text in it was escaped
}

// num returns a coordinate.
func num(v float64) string { return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0") }

// machine returns a time as HTML's datetime has it.
func machine(t time.Time) string { return t.UTC().Format(time.RFC3339) }
