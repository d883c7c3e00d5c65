package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/node"
)

// migrateCmd moves a data folder to Redis.
type migrateCmd struct {
	printFlags
	From string `help:"Data folder; no server may run on it." required:"" placeholder:"DIR"`
	To   string `help:"Redis that it is moved to; with a password better given as TOCSIN_TO." required:"" placeholder:"URL"`
	config.RedisDemands
}

// Help shows an example.
func (migrateCmd) Help() string {
	return "Example:\n  tocsin migrate --from ./tocsin-data --to rediss://redis.example:6379\n" +
		"All is taken along as it is: the log with its tree, applications, clients and keys, streams with what waits on them.\n" +
		"Where it was ended it goes on when it is run again. In the end the log in Redis is proven to be that of the folder, and\n" +
		"the folder says that it was moved. What is encrypted stays so, under the same passphrase. Then: tocsin serve --redis URL."
}

// Run moves the folder.
func (c migrateCmd) Run(ctx context.Context, std streamsIO) error {
	to := config.RedisSettings{Redis: c.To, RedisDemands: c.RedisDemands}
	told := &lines{out: std.err}
	moved, err := node.Migrate(ctx, node.MoveConfig{
		Dir: c.From, Redis: to.DB(newLogger(std.err, "warn")), Progress: told.to, Crash: crash,
	})
	told.end()
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(std.out, moved)
	}
	fmt.Fprintf(std.out, "%d records (%d of them erased), %d checkpoints\n", moved.Records, moved.Erased, moved.Checkpoints)
	fmt.Fprintf(std.out, "root %s\n", base64.StdEncoding.EncodeToString(moved.Root))
	fmt.Fprintf(std.out, "%d streams with %d subjects, %d SETs that wait and %d dead letters\n", moved.Streams, moved.Subjects, moved.Items, moved.DeadLetters)
	_, err = fmt.Fprintln(std.out, "moved: serve it with --redis")
	return err
}

// tellEvery is how often progress is told.
const tellEvery = time.Second

// lines tells how far work has come: a line about every second, and one at the end of
// each step.
type lines struct {
	out io.Writer
	// What was heard last, unless it was told.
	last   node.MoveProgress
	untold bool
	next   time.Time
	// When the step was heard of first, and where it was then.
	begun time.Time
	first uint64
}

// to hears how far a step has come.
func (l *lines) to(p node.MoveProgress) {
	now := time.Now()
	if p.Step != l.last.Step {
		l.end()
		l.begun, l.first = now, p.Done
	}
	l.last, l.untold = p, true
	if now.Before(l.next) {
		return
	}
	l.next = now.Add(tellEvery)
	l.end()
}

// end tells what was heard last.
func (l *lines) end() {
	if !l.untold {
		return
	}
	l.untold = false
	text := fmt.Sprintf("%s: %d", l.last.Step, l.last.Done)
	if l.last.Of > 0 {
		text += fmt.Sprintf(" of %d", l.last.Of)
	}
	if l.last.Beside != "" {
		text += ", " + l.last.Beside
	}
	if took := time.Since(l.begun); took >= tellEvery {
		text += fmt.Sprintf(" (%.0f a second)", float64(l.last.Done-l.first)/took.Seconds())
	}
	fmt.Fprintln(l.out, text)
}
