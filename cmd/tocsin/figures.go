package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/figures"
)

// figuresFile is where the figures of the last month are, in the data folder.
const figuresFile = "figures.bin"

// openFigures opens those of a data folder, whose lock is held.
func openFigures(data string, from prometheus.Gatherer, list []figures.Figure, logger *slog.Logger) *figures.Keeper {
	return figures.New(figures.Config{Path: filepath.Join(data, figuresFile), Gatherer: from, Figures: list, Logger: logger})
}

// figured is a part whose figures are kept while it runs, and saved when it has ended.
type figured struct {
	part
	figures *figures.Keeper
}

// Run runs the part.
func (f figured) Run(ctx context.Context) error {
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- f.figures.Run(keeping) }()
	err := f.part.Run(ctx)
	stop()
	return errors.Join(err, <-ended)
}
