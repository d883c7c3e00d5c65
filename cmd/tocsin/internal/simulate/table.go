package simulate

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Report is what a run found.
type Report struct {
	// Costs are those that it was reckoned with.
	Costs *Costs `json:"costs"`
	Rows  []Row  `json:"rows"`
}

// Table writes the report for people.
func (r *Report) Table(out io.Writer) error {
	if len(r.Rows) == 0 {
		return nil
	}
	s := r.Rows[0].Scenario
	fmt.Fprintf(out, "%d nodes of %d cores, %d Redis masters, %d replicas waited for, %s, round trip %v, %g %% pushed.\n",
		s.Nodes, s.Cores, s.Masters, s.Replicas, s.Algorithm, s.RTT, 100*s.Push)
	fmt.Fprintf(out, "Unit costs of %s, %s.\n\n", r.Costs.Measured, r.Costs.Machine)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PARTIES\tEVENTS/S\tSETS/S\tp50 ms\tp99 ms\tNODE CPU\tSIGNING\tREDIS CPU\tOTHERS\tFAN-OUT\tREDIS MEMORY\tOTHERS\tCONNECTIONS\tNETWORK\tFIRST TO GIVE OUT")
	for _, row := range r.Rows {
		share := map[string]float64{}
		for _, u := range row.Uses {
			share[u.Resource] = u.Share
		}
		fmt.Fprintf(w, "%d\t%.0f\t%.0f\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", row.Scenario.Parties, row.At, row.At*row.Scenario.matches(),
			ms(row.P50), ms(row.P99), percent(share[NodeCPU]), percent(row.Signing), percent(share[RedisCPU]), percent(share[partCPU]), percent(share[fanoutTurn]),
			percent(share[logMemory]), percent(share[partMemory]), percent(share[sockets]),
			percent(max(share[nodeNetwork], share[redisWire])), row.First)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nWhat is done about it, step by step, and the events a second then:")
	w = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range r.Rows {
		fmt.Fprintf(w, "  %d\t%.0f/s\t%s\n", row.Scenario.Parties, row.Bearable, row.First)
		for _, step := range row.Steps {
			fmt.Fprintf(w, "  \t%.0f/s\t%s; then: %s\n", step.Bearable, step.Do, step.Next)
		}
	}
	return w.Flush()
}

func percent(v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*v)
}

func ms(v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", v)
}
