package main

import (
	"io"

	"github.com/alecthomas/kong"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
)

// Main is main, for scripts that run the program as a process.
func Main() { main() }

// Run is run.
var Run = run

// Leaves returns every command that does something, as its words.
func Leaves() ([]string, error) {
	settings, err := config.Load("", nil)
	if err != nil {
		return nil, err
	}
	parser, err := newParser(io.Discard, io.Discard, settings, func(int) {})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, leaf := range parser.Model.Leaves(true) {
		out = append(out, leaf.Path())
	}
	return out, nil
}

// Parse reads a command line and runs nothing.
func Parse(args []string) (*kong.Context, int) { return parse(args, nil, io.Discard, io.Discard) }
