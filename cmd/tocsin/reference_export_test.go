package main

import (
	"io"
	"strconv"

	"github.com/alecthomas/kong"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/config"
)

// Model returns what the parser of the command line knows.
func Model() (*kong.Application, error) {
	settings, err := config.Load("", nil)
	if err != nil {
		return nil, err
	}
	parser, err := newParser(io.Discard, io.Discard, settings, func(int) {})
	if err != nil {
		return nil, err
	}
	return parser.Model, nil
}

// ExitCodes are those of the program.
func ExitCodes() []string {
	return []string{strconv.Itoa(exitDone), strconv.Itoa(exitFailed), strconv.Itoa(exitUsage)}
}
