package bench

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

// Table writes the report for people.
func (r *Report) Table(out io.Writer) error {
	m := r.Machine
	fmt.Fprintf(out, "%d × %s, %s/%s, %s\n\n", m.CPUs, m.CPU, m.OS, m.Arch, m.Go)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WORKLOAD\tVALUE\tUNIT\tGOAL\tFLOOR\tRATIO\tTARGET\tHOLDS")
	for _, one := range r.Results {
		fmt.Fprintf(w, "%s\t%.4g\t%s\t%s\t%s\t%s\t%s\t%s\n", one.Name, one.Value, one.Unit,
			goal(one.Goal), number(one.Floor, "%.4g"), number(one.Ratio, "%.2f"), target(one), holds(one))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nWhat the figures are:")
	w = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, one := range r.Results {
		fmt.Fprintf(w, "  %s\t%s\n", one.Name, one.Is)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s\nMeasured floors, medians:\n", Definitions())
	w = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(m.Floors)) {
		fmt.Fprintf(w, "  %s\t%.1f\n", name, m.Floors[name])
	}
	return w.Flush()
}

func number(v float64, format string) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

func goal(v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("≤ %g", v)
}

func target(r Result) string {
	switch {
	case r.Target == 0:
		return "-"
	case r.AtLeast:
		return fmt.Sprintf("≥ %g", r.Target)
	}
	return fmt.Sprintf("≤ %g", r.Target)
}

func holds(r Result) string {
	switch {
	case !r.Holds:
		return "NO"
	case r.Target == 0:
		return "-"
	}
	return "yes"
}
