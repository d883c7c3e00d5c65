package plot_test

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/plot"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// times are n times from noon on.
func times(n int, step time.Duration) []time.Time {
	out := make([]time.Time, n)
	for i := range out {
		out[i] = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC).Add(time.Duration(i) * step)
	}
	return out
}

func values(n int, of func(i int) float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = of(i)
	}
	return out
}

func nothing(int) float64 { return math.NaN() }

// plots are those of the golden files.
func plots() map[string]plot.Plot {
	hour := times(90, 40*time.Second)
	return map[string]plot.Plot{
		"rates": {
			ID: "events", Title: "Events in", Unit: plot.PerSecond, Times: hour, Step: 40 * time.Second, Area: true,
			Series: []plot.Series{
				{Name: "accepted", Values: values(90, func(i int) float64 { return 120 + 80*math.Sin(float64(i)/9) })},
				{Name: "refused", Values: values(90, func(i int) float64 { return float64(i % 7) })},
			},
		},
		"gaps": {
			ID: "gaps", Title: "With gaps", Unit: plot.PerSecond, Times: times(30, time.Minute), Step: time.Minute, Area: true,
			Series: []plot.Series{{Name: "accepted", Values: values(30, func(i int) float64 {
				if i < 5 || i > 10 && i < 15 || i == 16 || i > 27 {
					return math.NaN()
				}
				return float64(i) / 100
			})}},
		},
		"latency": {
			ID: "latency", Title: "From event to acknowledgement", Unit: plot.Seconds, Times: times(240, 3*time.Hour), Step: 3 * time.Hour, Highest: true,
			Series: []plot.Series{
				{Name: "p50", Values: values(240, func(i int) float64 { return 0.004 })},
				{Name: "p95", Values: values(240, func(i int) float64 { return 0.02 + float64(i%24)/1000 })},
				{Name: "p99", Values: values(240, func(i int) float64 { return 0.1 + float64(i%24)/300 })},
			},
		},
		"none":  {ID: "none", Title: "Nothing yet", Unit: plot.Number, Times: times(10, time.Minute), Step: time.Minute, Series: []plot.Series{{Name: "waiting", Values: values(10, nothing)}}},
		"zero":  {ID: "zero", Title: "Waiting", Unit: plot.Number, Times: times(10, time.Minute), Step: time.Minute, Series: []plot.Series{{Name: "waiting", Values: make([]float64, 10)}}},
		"empty": {ID: "empty", Title: "No times"},
		"six": {
			ID: "six", Title: `<b>"six" & more</b>`, Unit: plot.Number, Times: times(6, 24*time.Hour), Step: 24 * time.Hour,
			Series: []plot.Series{
				{Name: "<one>", Values: []float64{1, 2, 3, 4, 5, 6e6}},
				{Name: "two", Values: []float64{2e6, 2e6, 3e6, 4e6, 5e6, 1e6}},
				{Name: "three", Values: []float64{3e6, 2e6, 3e6, 4e6, 5e6, 2e6}},
				{Name: "four", Values: []float64{4e6, 2e6, 3e6, 4e6, 5e6, 3e6}},
				{Name: "five", Values: []float64{5e6, 2e6, 3e6, 4e6, 5e6, 4e6}},
				{Name: "six", Values: []float64{6e6, 2e6}},
				{Name: "seven", Values: []float64{7e6, 2e6, 3e6, 4e6, 5e6, 6e6}},
			},
		},
	}
}

// What is drawn is what was looked at once, in light and dark.
func TestGolden(t *testing.T) {
	for name, p := range plots() {
		t.Run(name, func(t *testing.T) {
			got := strings.ReplaceAll(string(p.HTML()), "><", ">\n<") + "\n"
			path := filepath.Join("testdata", name+".html")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got %s, want %s (go test -update, and look at it)", got, want)
			}
		})
	}
}

// Every plot is well-formed, has a name and a description, no inline style and no
// number that is none, and is the same without its table.
func TestForm(t *testing.T) {
	style := regexp.MustCompile(`(?i)\sstyle=|<style|<script|NaN|Inf\b|javascript:`)
	for name, p := range plots() {
		html := string(p.HTML())
		if bad := style.FindString(html); bad != "" {
			t.Errorf("%s: got %q in it", name, bad)
		}
		d := xml.NewDecoder(strings.NewReader(html))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: got %v, want it well-formed", name, err)
			}
		}
		for _, want := range []string{`role="img" aria-labelledby="` + p.ID + `-t ` + p.ID + `-d"`, `<title id="` + p.ID + `-t">`, `<desc id="` + p.ID + `-d">`, `viewBox="0 0 400 190"`} {
			if strings.Count(html, want) != 1 {
				t.Errorf("%s: got %d of %s, want 1", name, strings.Count(html, want), want)
			}
		}
		if !strings.Contains(html, string(p.SVG())) {
			t.Errorf("%s: got another drawing in the whole than by itself", name)
		}
	}
	six := string(plots()["six"].HTML())
	if strings.Contains(six, "<b>") || strings.Contains(six, "<one>") || !strings.Contains(six, "&lt;one&gt;") {
		t.Errorf("got text that is not escaped: %s", six)
	}
	if strings.Contains(six, "seven") {
		t.Error("got a seventh series, want six: more cannot be told apart")
	}
}

// Where nothing is known there is no line; a value by itself is a dot.
func TestGapsInLines(t *testing.T) {
	svg := string(plots()["gaps"].SVG())
	line := regexp.MustCompile(`plot-line[^>]* d="([^"]*)"`).FindStringSubmatch(svg)[1]
	if got := strings.Count(line, "M"); got != 3 {
		t.Errorf("got %d runs in %s, want 3", got, line)
	}
	if got := strings.Count(line, "m-1.5 0h3"); got != 1 {
		t.Errorf("got %d dots in %s, want 1 (of the value between two gaps)", got, line)
	}
	if strings.Contains(svg, "plot-mark") {
		t.Error("got a mark at the end of a line that ended before")
	}
}

// The table has the values, newest first, in at most 24 rows.
func TestTable(t *testing.T) {
	html := string(plots()["latency"].HTML())
	rows := strings.Count(html, `<th scope="row">`)
	if rows != 24 {
		t.Errorf("got %d rows, want 24", rows)
	}
	if !strings.Contains(html, "highest of each 1 d 6 h") {
		t.Error("got no word of what a row is")
	}
	gaps := string(plots()["gaps"].HTML())
	if first := strings.Index(gaps, "12:28:00"); first < 0 || first > strings.Index(gaps, "12:00:00") {
		t.Error("got the oldest first, want the newest")
	}
	if !strings.Contains(gaps, "<td>–</td>") {
		t.Error("got no gap in the table")
	}
}

func TestText(t *testing.T) {
	for _, tt := range []struct {
		value float64
		unit  plot.Unit
		want  string
	}{
		{0, plot.Number, "0"},
		{999, plot.Number, "999"},
		{1000, plot.Number, "1,000"},
		{1234567, plot.Number, "1,234,567"},
		{-1234, plot.Number, "-1,234"},
		{0.5, plot.Number, "0.5"},
		{math.NaN(), plot.Number, "–"},
		{math.Inf(1), plot.Seconds, "–"},
		{0, plot.PerSecond, "0/s"},
		{0.0002, plot.PerSecond, "<0.001/s"},
		{0.02, plot.PerSecond, "0.02/s"},
		{3.14159, plot.PerSecond, "3.14/s"},
		{31.4159, plot.PerSecond, "31.4/s"},
		{99.97, plot.PerSecond, "100/s"},
		{12345.6, plot.PerSecond, "12,346/s"},
		{0, plot.Seconds, "0 s"},
		{0.00052, plot.Seconds, "0.52 ms"},
		{0.0123, plot.Seconds, "12 ms"},
		{0.9999, plot.Seconds, "1 s"},
		{1.25, plot.Seconds, "1.2 s"},
		{42.4, plot.Seconds, "42 s"},
		{59.9, plot.Seconds, "60 s"},
		{59.99, plot.Seconds, "1 min"},
		{61, plot.Seconds, "1 min 1 s"},
		{3599.9, plot.Seconds, "60 min"},
		{7260, plot.Seconds, "2 h 1 min"},
		{86400, plot.Seconds, "1 d"},
		{100000, plot.Seconds, "1 d 4 h"},
	} {
		if got := plot.Text(tt.value, tt.unit); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.value, got, tt.want)
		}
	}
}

// Ticks are round numbers in the unit that fits, and few.
func TestTicks(t *testing.T) {
	ticks := regexp.MustCompile(`text-anchor="end">([^<]*)<`)
	hours := regexp.MustCompile(`text-anchor="middle">([^<]*)<`)
	for _, tt := range []struct {
		most float64
		unit plot.Unit
		step time.Duration
		y, x string
	}{
		{3, plot.Number, 40 * time.Second, "0 1 2 3", "12:15 12:30 12:45"},
		{97, plot.Number, 10 * time.Second, "0 20 40 60 80 100", "12:05 12:10"},
		{12_300, plot.Number, 4 * time.Minute, "0 5k 10k 15k", "13:00 14:00 15:00 16:00 17:00"},
		{1_900_000, plot.Number, 16 * time.Minute, "0 0.5M 1M 1.5M 2M", ""},
		{0.03, plot.PerSecond, 112 * time.Minute, "0 0.01 0.02 0.03", "27 Nov 28 Nov 29 Nov 30 Nov 1 Dec 2 Dec 3 Dec"},
		{0.8, plot.PerSecond, 8 * time.Hour, "0 0.2 0.4 0.6 0.8", ""},
		{0.037, plot.Seconds, time.Minute, "0 s 10 ms 20 ms 30 ms 40 ms", ""},
		{7, plot.Seconds, time.Minute, "0 s 2 s 4 s 6 s 8 s", ""},
		{200, plot.Seconds, time.Minute, "0 s 1 min 2 min 3 min 4 min", ""},
		{90_000, plot.Seconds, time.Minute, "0 s 6 h 12 h 18 h 1 d 1 d 6 h", ""},
	} {
		svg := string(plot.Plot{ID: "p", Unit: tt.unit, Times: times(90, tt.step), Step: tt.step, Series: []plot.Series{{Values: []float64{0, tt.most}}}}.SVG())
		text := func(re *regexp.Regexp) string {
			var all []string
			for _, m := range re.FindAllStringSubmatch(svg, -1) {
				all = append(all, m[1])
			}
			return strings.Join(all, " ")
		}
		if got := text(ticks); got != tt.y {
			t.Errorf("%v: got ticks %q, want %q", tt.most, got, tt.y)
		}
		if got := text(hours); tt.x != "" && got != tt.x {
			t.Errorf("%v a point: got ticks %q, want %q", tt.step, got, tt.x)
		}
	}
}
