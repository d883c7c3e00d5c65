package eventlog

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Seqs is a run of sequence numbers, both ends included; in JSON [first,last].
type Seqs [2]uint64

// RunsOf returns the numbers as ascending runs.
func RunsOf(seqs []uint64) []Seqs {
	sorted := slices.Clone(seqs)
	slices.Sort(sorted)
	var runs []Seqs
	for _, seq := range slices.Compact(sorted) {
		if n := len(runs); n > 0 && runs[n-1][1]+1 == seq {
			runs[n-1][1] = seq
			continue
		}
		runs = append(runs, Seqs{seq, seq})
	}
	return runs
}

// Erasures returns the records that an entry says were erased: those in the
// members "records" and "entries" of its body, [[first,last],…] each, and the
// order in "carried_out", which names the subject and goes with it. None for
// an entry of a kind but KindErasure and KindRetention, for an order that was
// not carried out, or one that was erased itself. Every record without bytes
// must be named so, or an auditor takes it for lost (tocsin event verify-log).
// Error: of a body that has no such lists.
func (r *Record) Erasures() ([]Seqs, error) {
	if r.Kind != KindErasure && r.Kind != KindRetention || r.Erased {
		return nil, nil
	}
	var body struct {
		Records    []Seqs `json:"records"`
		Entries    []Seqs `json:"entries"`
		CarriedOut uint64 `json:"carried_out"`
	}
	if err := json.Unmarshal(r.Entry, &body); err != nil {
		return nil, fmt.Errorf("eventlog: record %d does not say what was erased: %w", r.Seq, err)
	}
	runs := slices.Concat(body.Records, body.Entries)
	if order := body.CarriedOut; order > 0 {
		runs = append(runs, Seqs{order, order})
	}
	return runs, nil
}
