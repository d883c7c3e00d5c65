package segments

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Bounds says which records are exported: from First on, as long as they were
// recorded before a time, and stand before another, whole tiles of the tree alone.
type Bounds struct {
	First  uint64
	Before time.Time
	// Until is the first record that stays; 0: none has to.
	Until uint64
}

// End returns the last record within bounds, First-1 if there is none. It looks
// at a few records by halves.
func End(ctx context.Context, log eventlog.Archive, b Bounds) (uint64, error) {
	size, err := log.Head(ctx)
	if err != nil {
		return 0, err
	}
	if b.Until > 0 {
		size = min(size, b.Until-1)
	}
	low, high := b.First-1, max(size, b.First-1) // all up to low are before the time
	for low < high {
		mid := low + (high-low+1)/2
		records, err := log.Stored(ctx, mid-1, 1)
		if err != nil {
			return 0, err
		}
		if len(records) == 0 || records[0].Seq != mid {
			return 0, fmt.Errorf("segments: record %d is missing in the log", mid)
		}
		if records[0].RecordedMillis < b.Before.UnixMilli() {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return max(low/eventlog.TileWidth*eventlog.TileWidth, b.First-1), nil
}

// Export writes the records of a run, at most MaxRecords, to a file of the
// folder, and reads it again to see that each record is whole: what has its
// bytes is what its leaf commits to. The file is durable on return.
func Export(ctx context.Context, log eventlog.Archive, dir string, run eventlog.Seqs) (File, error) {
	if run[0] < 1 || run[1] < run[0] || run[1]-run[0] >= MaxRecords {
		return File{}, fmt.Errorf("segments: got records %d to %d, want up to %d", run[0], run[1], MaxRecords)
	}
	file := File{filepath.Join(dir, nameOf(run)), run}
	if _, err := os.Stat(file.Path); !errors.Is(err, fs.ErrNotExist) {
		return file, fmt.Errorf("segments: %s is there already", file.Path)
	}
	err := replace(file, func(put func(*eventlog.Stored) error) error {
		for after := run[0] - 1; after < run[1]; {
			records, err := log.Stored(ctx, after, int(run[1]-after))
			if err != nil {
				return err
			}
			if len(records) == 0 {
				return fmt.Errorf("segments: record %d is missing in the log", after+1)
			}
			for i := range records {
				if after++; records[i].Seq != after {
					return fmt.Errorf("segments: record %d is missing in the log", after)
				}
				if err := put(&records[i]); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return file, err
}

// unfinished is what the names of files begin with that are being written.
const unfinished = ".segment-"

// Sweep removes what writers left that were killed: nobody erases in there. No other may
// write to the folder meanwhile.
func Sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("segments: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), unfinished) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("segments: %w", err)
		}
	}
	return nil
}

// replace writes a file anew, in whole or not at all.
func replace(file File, fill func(put func(*eventlog.Stored) error) error) (err error) {
	dir := filepath.Dir(file.Path)
	f, err := os.CreateTemp(dir, unfinished+"*")
	if err != nil {
		return fmt.Errorf("segments: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	if err := write(f, file.Range, fill); err != nil {
		return err
	}
	if err := verify(File{f.Name(), file.Range}); err != nil {
		return err
	}
	if err := errors.Join(f.Close(), os.Rename(f.Name(), file.Path)); err != nil {
		return fmt.Errorf("segments: %w", err)
	}
	return syncFolder(dir)
}

// write fills and syncs a file.
func write(f *os.File, run eventlog.Seqs, fill func(put func(*eventlog.Stored) error) error) error {
	buffer := bufio.NewWriterSize(f, 1<<16)
	z := gzip.NewWriter(buffer)
	lines := json.NewEncoder(z)
	if err := lines.Encode(head{Format, run[0], run[1]}); err != nil {
		return fmt.Errorf("segments: %w", err)
	}
	if err := fill(func(s *eventlog.Stored) error { return lines.Encode(lineOf(s)) }); err != nil {
		return err
	}
	if err := errors.Join(z.Close(), buffer.Flush(), f.Sync()); err != nil {
		return fmt.Errorf("segments: %w", err)
	}
	return nil
}

// Match reads a file and checks that it is of the log, and has at least the
// bytes that the log has: after that they are not needed there. Error: ErrFile.
func Match(ctx context.Context, log eventlog.Archive, file File) error {
	if err := verify(file); err != nil {
		return err
	}
	var page []eventlog.Stored
	return Each(file, func(s eventlog.Stored) error {
		if len(page) == 0 {
			var err error
			if page, err = log.Stored(ctx, s.Seq-1, int(file.Range[1]-s.Seq+1)); err != nil {
				return err
			}
		}
		if len(page) == 0 || page[0].Seq != s.Seq || !bytes.Equal(page[0].Leaf, s.Leaf) || page[0].Canonical != nil && s.Canonical == nil {
			return fmt.Errorf("%w: %s: record %d is not that of the log", ErrFile, file.Path, s.Seq)
		}
		page = page[1:]
		return nil
	})
}

// verify reads a file and checks its records against their leaves.
func verify(file File) error {
	return Each(file, func(s eventlog.Stored) error {
		if s.Canonical == nil {
			return nil
		}
		r := eventlog.Record{
			Seq: s.Seq, Recorded: time.UnixMilli(s.RecordedMillis), Kind: s.Kind,
			Canonical: s.Canonical, Salt: [eventlog.SaltSize]byte(s.Salt), Leaf: eventlog.Hash(s.Leaf),
		}
		if err := r.Verify(); err != nil {
			return fmt.Errorf("segments: record %d: %w", s.Seq, err)
		}
		return nil
	})
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("segments: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("segments: %w", err)
	}
	return nil
}
