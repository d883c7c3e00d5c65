package segments

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// reader reads the records of a file in order.
type reader struct {
	file  File
	f     *os.File
	lines *bufio.Scanner
	next  uint64
}

func open(file File) (*reader, error) {
	f, err := os.Open(file.Path)
	if err != nil {
		return nil, fmt.Errorf("segments: %w", err)
	}
	r := &reader{file: file, f: f, next: file.Range[0]}
	if err := r.begin(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return r, nil
}

func (r *reader) close() error { return r.f.Close() }

func (r *reader) bad(err error) error {
	return fmt.Errorf("%w: %s: record %d: %w", ErrFile, r.file.Path, r.next, err)
}

func (r *reader) begin() error {
	z, err := gzip.NewReader(bufio.NewReaderSize(r.f, 1<<16))
	if err != nil {
		return r.bad(err)
	}
	r.lines = bufio.NewScanner(z)
	r.lines.Buffer(make([]byte, 0, 1<<16), maxLine)
	var h head
	if err := r.line(&h); err != nil {
		return err
	}
	if h != (head{Format, r.file.Range[0], r.file.Range[1]}) {
		return r.bad(errors.New("its head is not that of its name"))
	}
	return nil
}

func (r *reader) line(to any) error {
	if !r.lines.Scan() {
		err := r.lines.Err()
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		return r.bad(err)
	}
	if err := json.Unmarshal(r.lines.Bytes(), to); err != nil {
		return r.bad(err)
	}
	return nil
}

// record returns the next one; io.EOF behind the last.
func (r *reader) record() (eventlog.Stored, error) {
	if r.next > r.file.Range[1] {
		if r.lines.Scan() || r.lines.Err() != nil { // the end has the checksum
			return eventlog.Stored{}, r.bad(errors.Join(errors.New("it does not end there"), r.lines.Err()))
		}
		return eventlog.Stored{}, io.EOF
	}
	var l line
	if err := r.line(&l); err != nil {
		return eventlog.Stored{}, err
	}
	if l.Seq != r.next || len(l.Leaf) != eventlog.HashSize || (l.Salt == nil) != (l.Canonical == nil) {
		return eventlog.Stored{}, r.bad(errors.New("it is not a record of its place"))
	}
	r.next++
	return l.stored(), nil
}

// Each calls fn with the records of a file in order. Error: ErrFile; fn's.
func Each(file File, fn func(eventlog.Stored) error) error {
	r, err := open(file)
	if err != nil {
		return err
	}
	for {
		s, err := r.record()
		if err == nil {
			err = fn(s)
		}
		if err != nil {
			if errors.Is(err, io.EOF) && r.next > file.Range[1] {
				err = nil
			}
			return errors.Join(err, r.close())
		}
	}
}

// Overlay is a log whose records have the bytes that files have of them, where
// the log has none. What it says of a record's place, time, kind and leaf is the
// log's, so that bytes of a file are checked against that. It reads on from
// where it was; for one reader at a time.
type Overlay struct {
	eventlog.Archive
	files []File
	r     *reader
}

// Over lays the files of a folder over a log. Close it at the end.
func Over(log eventlog.Archive, dir string) (*Overlay, error) {
	files, err := List(dir)
	if err != nil {
		return nil, err
	}
	return &Overlay{Archive: log, files: files}, nil
}

// Stored implements eventlog.Archive.
func (o *Overlay) Stored(ctx context.Context, after uint64, max int) ([]eventlog.Stored, error) {
	records, err := o.Archive.Stored(ctx, after, max)
	if err != nil {
		return nil, err
	}
	for i := range records {
		if s := &records[i]; s.Canonical == nil && s.Salt == nil {
			filed, err := o.record(s.Seq)
			if err != nil {
				return nil, err
			}
			s.Salt, s.Canonical = filed.Salt, filed.Canonical
		}
	}
	return records, nil
}

// record returns what a file has of a record; nothing if none has it.
func (o *Overlay) record(seq uint64) (eventlog.Stored, error) {
	for {
		if o.r == nil || o.r.next > seq || o.r.file.Range[1] < seq {
			if err := o.Close(); err != nil {
				return eventlog.Stored{}, err
			}
			n := sort.Search(len(o.files), func(i int) bool { return o.files[i].Range[1] >= seq })
			if n == len(o.files) || o.files[n].Range[0] > seq {
				return eventlog.Stored{}, nil
			}
			var err error
			if o.r, err = open(o.files[n]); err != nil {
				return eventlog.Stored{}, err
			}
		}
		s, err := o.r.record()
		if err != nil || s.Seq == seq {
			return s, err
		}
	}
}

// Close closes the file that is open.
func (o *Overlay) Close() error {
	if o.r == nil {
		return nil
	}
	r := o.r
	o.r = nil
	return r.close()
}
