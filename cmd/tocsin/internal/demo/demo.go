// Package demo runs both halves on an embedded store in a temporary folder and
// tells, step by step, how an account event ends a session.
//
// Each step counts only if it was seen from outside: by the status of an HTTP
// answer, never by the word of the code that did it.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"
)

// Config says how the story is told.
type Config struct {
	Out io.Writer
	// JSON prints each step as a line of JSON.
	JSON bool
	// Once ends after the story; else everything stays up until ctx ends.
	Once bool
	// Patience is how long a step may take; zero: 10 s.
	Patience time.Duration
	// Cut leaves a part out, to show that the story then fails: "push",
	// "poll" or "hook".
	Cut string
	// Logger hears what the parts say; nil: nobody does.
	Logger *slog.Logger
}

// Run tells the story and returns nil only if every step of it was seen.
func Run(ctx context.Context, cfg Config) (err error) {
	if cfg.Patience == 0 {
		cfg.Patience = 10 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	dir, err := os.MkdirTemp("", "tocsin-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	w, err := newWorld(ctx, dir, cfg)
	if err != nil {
		return cfg.interrupted(ctx, fmt.Errorf("setting the stage: %w", err))
	}
	defer func() { err = errors.Join(err, w.close()) }()
	tell := teller{out: cfg.Out, json: cfg.JSON}
	if err := w.story(ctx, &tell); err != nil {
		return cfg.interrupted(ctx, err)
	}
	if cfg.Once {
		return nil
	}
	if !cfg.JSON {
		w.next(cfg.Out, w.kim)
	}
	<-ctx.Done()
	return nil
}

// interrupted returns what an error of the story means: nothing, if somebody
// ended a demo that has no end of its own.
func (c Config) interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil && !c.Once {
		return nil
	}
	return err
}
