package figures

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// Document is a reading as JSON, what GET /admin/figures answers.
type Document struct {
	Range   string          `json:"range"`
	Title   string          `json:"title"`
	From    time.Time       `json:"from"`
	Step    float64         `json:"step_seconds"`
	Points  int             `json:"points"`
	Sampled time.Time       `json:"sampled_at"`
	Figures []FigureDetails `json:"figures"`
}

// FigureDetails is one figure of a Document. Series have a value for each point, null
// where nothing is known.
type FigureDetails struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	Kind  string `json:"kind"` // count, level, spread
	Unit  string `json:"unit,omitempty"`
	// Total is how much a count grew, or how many values a spread got, over the range.
	Total *Value `json:"total,omitempty"`
	// Latest is the newest level, or the rate a second of the last minute.
	Latest Value `json:"latest"`
	// Rate is by second, Highest of a level.
	Rate    Values `json:"rate,omitempty"`
	Highest Values `json:"highest,omitempty"`
	// Quantiles are of a spread: over the range, and by point.
	Quantiles *Quantiles `json:"quantiles,omitempty"`
}

// Quantiles are those of a spread.
type Quantiles struct {
	P50   Value  `json:"p50"`
	P95   Value  `json:"p95"`
	P99   Value  `json:"p99"`
	ByP50 Values `json:"p50_by_point"`
	ByP95 Values `json:"p95_by_point"`
	ByP99 Values `json:"p99_by_point"`
}

// Value is a number that may not be known: NaN, in JSON null.
type Value float64

// MarshalJSON writes ten digits that count.
func (v Value) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(v), 'g', 10, 64), nil
}

// UnmarshalJSON reads a number or null.
func (v *Value) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" {
		*v = Value(math.NaN())
		return nil
	}
	return json.Unmarshal(raw, (*float64)(v))
}

// Values are a series.
type Values []Value

// Document returns a range of the past, "" being the usual one; false if there is none of
// that name.
func (k *Keeper) Document(name string) (Document, bool) {
	of, ok := RangeOf(name)
	if !ok {
		return Document{}, false
	}
	r := k.Read(of)
	d := Document{
		Range: of.Name, Title: of.Title, From: r.Times[0], Step: of.Step.Seconds(), Points: len(r.Times),
		Sampled: r.Sampled.UTC().Truncate(time.Millisecond), Figures: make([]FigureDetails, 0, len(r.figures)),
	}
	for _, f := range r.figures {
		d.Figures = append(d.Figures, r.details(f))
	}
	return d, true
}

func (r *Reading) details(f Figure) FigureDetails {
	one := FigureDetails{Name: f.Name, Title: f.Title, Unit: f.Unit}
	total := Value(r.Total(f.Name))
	switch f.Kind {
	case Level:
		one.Kind, one.Latest, one.Highest = "level", Value(r.Now(f.Name)), series(r.Level(f.Name))
	case Count:
		one.Kind, one.Total, one.Latest, one.Rate = "count", &total, Value(r.Latest(f.Name)), series(r.Rate(f.Name))
	case Spread:
		one.Kind, one.Total, one.Latest, one.Rate = "spread", &total, Value(r.Latest(f.Name)), series(r.Rate(f.Name))
		one.Quantiles = &Quantiles{
			P50: Value(r.QuantileOfAll(0.5, f.Name)), P95: Value(r.QuantileOfAll(0.95, f.Name)), P99: Value(r.QuantileOfAll(0.99, f.Name)),
			ByP50: series(r.Quantile(f.Name, 0.5)), ByP95: series(r.Quantile(f.Name, 0.95)), ByP99: series(r.Quantile(f.Name, 0.99)),
		}
	}
	return one
}

func series(values []float64) Values {
	out := make(Values, len(values))
	for i, v := range values {
		out[i] = Value(v)
	}
	return out
}
