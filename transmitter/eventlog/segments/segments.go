// Package segments exports old records of an event log to files, and puts
// files and log together again for who checks the log (docs/archive.md).
//
// A file has a run of records, bytes and salts as well, so that they can be
// checked against their leaves, which stay in the log with the whole tree. It
// is gzip of JSON Lines: a head, then a line for each record.
package segments

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

const (
	// Format begins every file.
	Format = "tocsin-log-segment/1"
	// MaxRecords is how many records a file has at most.
	MaxRecords = 1 << 16
	// maxLine bounds a line: the largest event in base64, and what is beside it.
	maxLine = 256 << 20
	// suffix of the files; the name before it is FIRST-LAST.
	suffix = ".jsonl.gz"
	digits = 15
)

// ErrFile: a file is not what its name says, or cut, or not of this format.
var ErrFile = errors.New("segments: not a whole segment of a log")

// head is the first line of a file.
type head struct {
	Format string `json:"format"`
	First  uint64 `json:"first"`
	Last   uint64 `json:"last"`
}

// line is a record; without salt and canonical bytes one that was erased.
type line struct {
	Seq       uint64        `json:"seq"`
	Recorded  int64         `json:"recorded_ms"`
	Kind      eventlog.Kind `json:"kind"`
	Leaf      []byte        `json:"leaf"`
	Salt      []byte        `json:"salt,omitempty"`
	Canonical []byte        `json:"canonical,omitempty"`
}

func lineOf(s *eventlog.Stored) line {
	return line{Seq: s.Seq, Recorded: s.RecordedMillis, Kind: s.Kind, Leaf: s.Leaf, Salt: s.Salt, Canonical: s.Canonical}
}

func (l *line) stored() eventlog.Stored {
	return eventlog.Stored{Seq: l.Seq, RecordedMillis: l.Recorded, Kind: l.Kind, Leaf: l.Leaf, Salt: l.Salt, Canonical: l.Canonical}
}

// File is a segment in a folder.
type File struct {
	Path  string
	Range eventlog.Seqs // its first and last record
}

func nameOf(run eventlog.Seqs) string {
	return fmt.Sprintf("%0*d-%0*d%s", digits, run[0], digits, run[1], suffix)
}

// List returns the segments of a folder by their records; other files are left
// out. Error: ErrFile if two have a record in common.
func List(dir string) ([]File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("segments: %w", err)
	}
	var files []File
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), suffix)
		from, to, dash := strings.Cut(base, "-")
		if !ok || !dash {
			continue
		}
		first, err := strconv.ParseUint(from, 10, 63)
		last, lastErr := strconv.ParseUint(to, 10, 63)
		if errors.Join(err, lastErr) != nil || first < 1 || last < first {
			continue
		}
		files = append(files, File{filepath.Join(dir, e.Name()), eventlog.Seqs{first, last}})
	}
	slices.SortFunc(files, func(a, b File) int { return int(a.Range[0]) - int(b.Range[0]) })
	for i := 1; i < len(files); i++ {
		if files[i].Range[0] <= files[i-1].Range[1] {
			return nil, fmt.Errorf("%w: %s and %s have records in common", ErrFile, files[i-1].Path, files[i].Path)
		}
	}
	return files, nil
}
