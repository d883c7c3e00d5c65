package figures_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/figures"
)

// Every figure is of a metric that there is, with labels that it has: docs/metrics.md,
// which is held against what real processes serve. Names are unique.
func TestListsNameMetrics(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[figures.Kind]string{figures.Count: "counter", figures.Level: "gauge", figures.Spread: "histogram"}
	for half, list := range map[string][]figures.Figure{"transmitter": figures.Transmitter(), "receiver": figures.Receiver()} {
		var names []string
		for _, f := range list {
			if slices.Contains(names, f.Name) || f.Title == "" {
				t.Errorf("%s: got the name %s twice, or no title", half, f.Name)
			}
			names = append(names, f.Name)
			row := ""
			for line := range strings.Lines(string(raw)) {
				if strings.HasPrefix(line, "| `"+f.Metric+"` |") {
					row = line
				}
			}
			if !strings.Contains(row, "| "+kinds[f.Kind]+" |") {
				t.Errorf("%s: figure %s: got %q in docs/metrics.md, want a %s %s", half, f.Name, row, kinds[f.Kind], f.Metric)
			}
			for label, values := range f.With {
				if !strings.Contains(row, "`"+label+"`") {
					t.Errorf("%s: figure %s: got no label %s in %q", half, f.Name, label, row)
				}
				for _, v := range values {
					if label != "status" && !strings.Contains(row, v) { // statuses are those of HTTP
						t.Errorf("%s: figure %s: got no %s %s in %q", half, f.Name, label, v, row)
					}
				}
			}
		}
	}
}
