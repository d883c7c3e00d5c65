package main

import (
	"context"
	"log/slog"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/demo"
)

type demoCmd struct {
	Once bool `help:"End after the story, with exit code 0 only if every step of it was seen."`
	JSON bool `help:"Print each step as a line of JSON." name:"json"`
	Logs bool `help:"Also print what the parts log."`
}

// Help shows an example.
func (demoCmd) Help() string {
	return "Example:\n  tocsin demo --once\n" +
		"Everything runs on loopback and in a temporary folder, and leaves nothing behind."
}

// Run tells the story.
func (c demoCmd) Run(ctx context.Context, std streamsIO) error {
	cfg := demo.Config{Out: std.out, JSON: c.JSON, Once: c.Once}
	if c.Logs {
		cfg.Logger = newLogger(std.err, slog.LevelInfo.String())
	}
	return demo.Run(ctx, cfg)
}
