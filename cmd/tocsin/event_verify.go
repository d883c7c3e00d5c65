package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/node"
	"github.com/tocsin-ssf/tocsin/transmitter/audit"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/segments"
)

type eventVerifyLogCmd struct {
	dataFlags
	keyFlag
	printFlags
	Archive string   `help:"Folder of files that older events were exported to (tocsin event archive)." placeholder:"DIR"`
	Since   []string `help:"Checkpoint that was seen before (tocsin event witness); may be given again." placeholder:"FILE"`
}

// Help shows an example.
func (eventVerifyLogCmd) Help() string {
	return "Example:\n  tocsin event verify-log --data ./tocsin-data --key log.key --since /mnt/auditor/checkpoint\n" +
		"  tocsin event verify-log --redis rediss://redis.internal --archive /srv/tocsin-archive --key log.key\n" +
		"It reads the store, also of a folder that serve refuses, and fails if something was found. Without --since a log that was\n" +
		"replaced as a whole, with its checkpoints, looks sound; without --key the folder's own key is taken, and whoever can change\n" +
		"the folder can change that too."
}

// storedLog is a log to be checked, its own key, and its end.
type storedLog struct {
	audit.Log
	key   func(ctx context.Context) (string, error)
	close func() error
}

// Run checks the log and tells what it found.
func (c eventVerifyLogCmd) Run(ctx context.Context, std streamsIO) (err error) {
	opts := audit.Options{}
	if opts.Key, err = c.text(); err != nil {
		return err
	}
	for _, name := range c.Since {
		text, err := readFile(name, checkpoint.MaxBytes)
		if err != nil {
			return err
		}
		opts.Since = append(opts.Since, text)
	}
	log, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.close()) }()
	if c.Archive != "" {
		over, err := segments.Over(log.Log, c.Archive)
		if err != nil {
			return fmt.Errorf("--archive: %w", err)
		}
		defer func() { _ = over.Close() }() // it was only read
		log.Log = overlaid{over, log.Log}
	}
	if opts.Key == "" {
		if opts.Key, err = log.key(ctx); err == nil {
			fmt.Fprintln(std.err, "The key is the folder's own; give the one you have kept with --key.")
		} else if !errors.Is(err, checkpoint.ErrNone) {
			return err
		}
	}
	bar := progress(std.err, "records")
	opts.Progress = bar.to
	report, err := audit.Check(ctx, log, opts)
	bar.end()
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(std.out, report)
	} else {
		err = tellReport(std.out, report)
	}
	if err == nil && !report.Sound() {
		err = fmt.Errorf("%d things are wrong with the log", report.Found)
	}
	return err
}

// overlaid is a log with files over it, and its checkpoints.
type overlaid struct {
	*segments.Overlay
	log audit.Log
}

// Checkpoints implements audit.Log.
func (o overlaid) Checkpoints(ctx context.Context, from uint64, max int) ([]checkpoint.Checkpoint, error) {
	return o.log.Checkpoints(ctx, from, max)
}

// open finds the server of the folder, or opens its files, or the log in Redis.
func (c eventVerifyLogCmd) open(ctx context.Context) (log *storedLog, err error) {
	if shared := c.RedisSettings.Shared(newLogger(io.Discard, "error")); shared != nil {
		files, err := node.OpenShared(ctx, *shared)
		if err != nil {
			return nil, err
		}
		return &storedLog{files, files.Key, files.Close}, nil
	}
	if !exists(c.Data) {
		return nil, fmt.Errorf("there is no data folder %s; name it with --data", c.Data)
	}
	err = adminapi.Patiently(ctx, patience, func() error {
		if api := adminapi.Server(ctx, c.Data); api != nil {
			log = &storedLog{served{api}, func(ctx context.Context) (string, error) { return logKey(ctx, api) }, api.Close}
			return nil
		}
		files, err := node.OpenFiles(ctx, c.Data)
		if err == nil {
			log = &storedLog{files, files.Key, files.Close}
		}
		return err
	})
	return log, err
}

func tellReport(out io.Writer, r *audit.Report) error {
	fmt.Fprintf(out, "%d records: %d events, %d entries; %d of them erased\n", r.Records, r.Events, r.Entries, r.Erased)
	fmt.Fprintf(out, "root %s\n", base64.StdEncoding.EncodeToString(r.Root))
	fmt.Fprintf(out, "%d stored checkpoints hold, and %d given ones\n", r.Checkpoints, r.Since)
	for _, f := range r.Findings {
		fmt.Fprintf(out, "%s: %s\n", f.Problem, f.Text)
	}
	if more := r.Found - len(r.Findings); more > 0 {
		fmt.Fprintf(out, "and %d more\n", more)
	}
	if r.Sound() {
		_, err := fmt.Fprintln(out, "the log is sound")
		return err
	}
	return nil
}

// served is the log of a running server, which reads its files for us.
type served struct{ api *adminapi.Client }

// Head implements eventlog.Archive.
func (s served) Head(ctx context.Context) (head uint64, err error) {
	err = s.api.Do(ctx, http.MethodGet, "/admin/log/head", nil, &head)
	return head, err
}

// Stored implements eventlog.Archive.
func (s served) Stored(ctx context.Context, after uint64, _ int) ([]eventlog.Stored, error) {
	var list []struct {
		Seq       uint64        `json:"seq"`
		Recorded  int64         `json:"recorded_ms"`
		Kind      eventlog.Kind `json:"kind"`
		Salt      []byte        `json:"salt"`
		Canonical []byte        `json:"canonical"`
		Leaf      []byte        `json:"leaf"`
	}
	if err := s.api.Do(ctx, http.MethodGet, fmt.Sprint("/admin/log/records?after=", after), nil, &list); err != nil {
		return nil, err
	}
	out := make([]eventlog.Stored, len(list))
	for i, r := range list {
		out[i] = eventlog.Stored{Seq: r.Seq, RecordedMillis: r.Recorded, Kind: r.Kind, Salt: r.Salt, Canonical: r.Canonical, Leaf: r.Leaf}
	}
	return out, nil
}

// StoredNodes implements eventlog.Archive.
func (s served) StoredNodes(ctx context.Context, level int, from uint64, _ int) ([]eventlog.Hash, error) {
	var list [][]byte
	if err := s.api.Do(ctx, http.MethodGet, fmt.Sprintf("/admin/log/nodes?level=%d&from=%d", level, from), nil, &list); err != nil {
		return nil, err
	}
	return hashesOf(list)
}

// Checkpoints implements audit.Log.
func (s served) Checkpoints(ctx context.Context, from uint64, _ int) ([]checkpoint.Checkpoint, error) {
	var list []head
	if err := s.api.Do(ctx, http.MethodGet, fmt.Sprint("/admin/log/checkpoints?from=", from), nil, &list); err != nil {
		return nil, err
	}
	out := make([]checkpoint.Checkpoint, len(list))
	for i := range list {
		out[i] = list[i].checkpoint()
	}
	return out, nil
}

// bar shows how far long work has come, on a terminal alone.
type bar struct {
	bar  *progressbar.ProgressBar // nil: nobody looks
	out  io.Writer
	what string
}

func progress(w io.Writer, what string) *bar { return &bar{out: w, what: what} }

func (b *bar) to(done, total uint64) {
	f, ok := b.out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return
	}
	if b.bar == nil {
		b.bar = progressbar.NewOptions64(int64(total), progressbar.OptionSetWriter(f), progressbar.OptionSetDescription(b.what),
			progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	_ = b.bar.Set64(int64(done)) // it is for the eye alone
}

func (b *bar) end() {
	if b.bar != nil {
		_ = b.bar.Finish()
	}
}
