package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
	"github.com/tocsin-ssf/tocsin/streams/redisstore"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/redislog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/segments"
)

// minArchiveAge is what an event is old at the least that is exported: what is younger
// is sent again, released and replayed. What waits on a queue stays, however old it is.
const minArchiveAge = 8 * 24 * time.Hour

type eventArchiveCmd struct {
	config.RedisSettings
	printFlags
	Before string `help:"Export what was recorded before: a time (RFC 3339), or how long ago (720h); at least 192h." required:"" placeholder:"TIME"`
	Out    string `help:"Folder of the files, always the same; it is made if it is not there." required:"" placeholder:"DIR"`
}

// Help shows an example.
func (eventArchiveCmd) Help() string {
	return "Example:\n  tocsin event archive --redis rediss://redis.internal --before 2160h --out /srv/tocsin-archive\n" +
		"Records go to files, whole tiles of the tree alone, and the bytes of events leave Redis when their file is durable and was\n" +
		"read again; what else stands in the log stays, and so does the tree. What is in files can be proved and searched no more\n" +
		"through the server, nor sent again or replayed; verify-log verifies it with --archive. Each run also removes from the files what was erased since: run it every day."
}

// archiveReport is what a run did.
type archiveReport struct {
	First uint64   `json:"first"` // 0: nothing was exported
	Last  uint64   `json:"last"`
	Files []string `json:"files"`
	// Trimmed events left Redis; Erased records left files, as was ordered.
	Trimmed int `json:"trimmed"`
	Erased  int `json:"erased_in_files"`
}

// Run exports and tells what it did.
func (c eventArchiveCmd) Run(ctx context.Context, std streamsIO) (err error) {
	before, err := c.before(time.Now())
	if err != nil {
		return err
	}
	server := c.Shared(newLogger(io.Discard, "error"))
	if server == nil {
		return errors.New("--redis: which Redis has the log? The log of a data folder is not bound by memory")
	}
	if err := os.MkdirAll(c.Out, 0o700); err != nil {
		return err
	}
	lock, err := sqlitedb.LockFolder(c.Out)
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	if err := segments.Sweep(c.Out); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	db, err := redisdb.Open(ctx, *server)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	log, err := redislog.Open(ctx, redislog.Config{DB: db})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	state, err := redisstore.Open(ctx, redisstore.Config{DB: db})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	needed, err := transmitter.Undelivered(ctx, state)
	if err != nil {
		return err
	}
	report := archiveReport{Files: []string{}}
	bar := progress(std.err, "records")
	err = c.export(ctx, log, segments.Bounds{Before: before, Until: needed}, &report, bar)
	bar.end()
	if err == nil {
		report.Erased, err = c.erase(ctx, log)
	}
	if err != nil {
		return err
	}
	return c.tell(std.out, report, report.text())
}

func (r archiveReport) text() string {
	text := "nothing to export"
	if r.First > 0 {
		text = fmt.Sprintf("records %d to %d are in %d files; %d events left Redis", r.First, r.Last, len(r.Files), r.Trimmed)
	}
	if r.Erased > 0 {
		text += fmt.Sprintf("; %d erased records left the files", r.Erased)
	}
	return text
}

// before reads the flag of that name.
func (c eventArchiveCmd) before(now time.Time) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, c.Before)
	if ago, agoErr := time.ParseDuration(c.Before); agoErr == nil {
		at, err = now.Add(-ago), nil
	}
	if err != nil {
		return at, fmt.Errorf("--before: got %q, want a time as 2026-11-26T00:00:00Z, or how long ago as 720h", c.Before)
	}
	if now.Sub(at) < minArchiveAge {
		return at, fmt.Errorf("--before: want at least %v ago: younger events are sent again from the dead letters, and replayed", minArchiveAge)
	}
	return at, nil
}

// export writes files and trims the log, a file after the other.
func (c eventArchiveCmd) export(ctx context.Context, log *redislog.Log, bounds segments.Bounds, report *archiveReport, bar *bar) error {
	archived, err := log.Archived(ctx)
	if err != nil {
		return err
	}
	first := archived + 1
	bounds.First = first
	end, err := segments.End(ctx, log, bounds)
	if err != nil {
		return err
	}
	for next := first; next <= end; {
		file, err := c.file(ctx, log, next, end)
		if err != nil {
			return err
		}
		last := file.Range[1]
		n, err := log.Trim(ctx, last)
		if err != nil {
			return err
		}
		report.First, report.Last = first, last
		report.Files, report.Trimmed = append(report.Files, file.Path), report.Trimmed+n
		next = last + 1
		bar.to(last-archived, end-archived)
	}
	return nil
}

// file writes the file with a record and those behind it; or finds it, where a
// run was killed before it had trimmed the log, or the log was put back.
func (c eventArchiveCmd) file(ctx context.Context, log *redislog.Log, first, end uint64) (segments.File, error) {
	files, err := segments.List(c.Out)
	if err != nil {
		return segments.File{}, err
	}
	last := min(end, ((first-1)/segments.MaxRecords+1)*segments.MaxRecords)
	for _, f := range files {
		switch {
		case f.Range[1] < first:
		case f.Range[0] <= first && f.Range[1] <= end:
			return f, segments.Match(ctx, log, f)
		default:
			return f, fmt.Errorf("--out: %s has records that are in the log still, and not before %s: is it the folder of this log?", f.Path, c.Before)
		}
	}
	return segments.Export(ctx, log, c.Out, eventlog.Seqs{first, last})
}

// erase removes from the files what the log says was erased.
func (c eventArchiveCmd) erase(ctx context.Context, log *redislog.Log) (int, error) {
	erased, err := log.Erasures(ctx)
	if err != nil {
		return 0, err
	}
	return segments.Erase(c.Out, erased)
}
