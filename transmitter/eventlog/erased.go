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

// ErasedMember is the member of an entry's body that says which records were
// erased: "erased":[[first,last],…]. Every record without bytes must be named
// so by an entry of KindErasure or KindRetention, or an auditor takes it for
// lost (tocsin event verify-log).
const ErasedMember = "erased"

// Erasures returns the records that an entry says were erased; none for an
// entry of another kind, or one that was erased itself. Error: of a body that
// is no such list.
func (r *Record) Erasures() ([]Seqs, error) {
	if r.Kind != KindErasure && r.Kind != KindRetention || r.Erased {
		return nil, nil
	}
	var body struct {
		Erased []Seqs `json:"erased"`
	}
	if err := json.Unmarshal(r.Entry, &body); err != nil {
		return nil, fmt.Errorf("eventlog: record %d does not say what was erased: %w", r.Seq, err)
	}
	return body.Erased, nil
}
