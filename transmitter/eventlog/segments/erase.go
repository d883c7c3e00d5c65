package segments

import (
	"cmp"
	"slices"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Erase removes the bytes and salts of records from the files of a folder, as
// the log says that they were erased, and returns how many it removed. Files
// without such a record are read where they may have one, and left as they are.
func Erase(dir string, erased []eventlog.Seqs) (int, error) {
	files, err := List(dir)
	if err != nil {
		return 0, err
	}
	runs, n := merge(erased), 0
	for _, file := range files {
		if !runs.touch(file.Range) {
			continue
		}
		removed, err := runs.eraseFile(file)
		if err != nil {
			return n, err
		}
		n += removed
	}
	return n, nil
}

// runs are in order and apart from each other.
type runs []eventlog.Seqs

func merge(list []eventlog.Seqs) runs {
	sorted := slices.SortedFunc(slices.Values(list), func(a, b eventlog.Seqs) int { return cmp.Compare(a[0], b[0]) })
	var merged runs
	for _, r := range sorted {
		if n := len(merged); n > 0 && r[0] <= merged[n-1][1] {
			merged[n-1][1] = max(merged[n-1][1], r[1])
			continue
		}
		merged = append(merged, r)
	}
	return merged
}

// touch says whether one of the runs has a record of another.
func (list runs) touch(run eventlog.Seqs) bool {
	i, _ := slices.BinarySearchFunc(list, run[0], func(r eventlog.Seqs, first uint64) int { return cmp.Compare(r[1], first) })
	return i < len(list) && list[i][0] <= run[1]
}

func (list runs) has(seq uint64) bool { return list.touch(eventlog.Seqs{seq, seq}) }

func (list runs) eraseFile(file File) (removed int, err error) {
	err = Each(file, func(s eventlog.Stored) error {
		if s.Canonical != nil && list.has(s.Seq) {
			removed++
		}
		return nil
	})
	if err != nil || removed == 0 {
		return 0, err
	}
	return removed, replace(file, func(put func(*eventlog.Stored) error) error {
		return Each(file, func(s eventlog.Stored) error {
			if list.has(s.Seq) {
				s.Salt, s.Canonical = nil, nil
			}
			return put(&s)
		})
	})
}
