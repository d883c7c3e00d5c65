package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

func TestIsDashedID(t *testing.T) {
	for arg, want := range map[string]bool{
		"-8lXk3Jq9mX2vQkq0f1bJ9":                      true,
		"--lXk3Jq9mX2vQkq0f1bJ9":                      true,
		"-lXk3Jq9mX2vQkq0f1bJ9nVb8g-lXk3Jq9mX2vQkq0f": true,
		"3Jq9mX2vQkq0f1bJ9nVb8g":                      false, // no hyphen, no mark
		"--min-verification-xxx":                      false, // a flag
		"--listen=127.0.0.1:800":                      false,
		"-h":                                          false,
		"":                                            false,
	} {
		if got := isDashedID(arg); got != want {
			t.Errorf("%q: got %v, want %v", arg, got, want)
		}
	}
}

// An id that begins with a hyphen is an argument and a flag's value like any other.
func TestDashedIDs(t *testing.T) {
	const id = "-8lXk3Jq9mX2vQkq0f1bJ9"
	dir := filepath.Join(t.TempDir(), "none")
	for _, args := range [][]string{
		{"event", "get", "--data", dir, id, "--json"},
		{"event", "get", id, "--data", dir},
		{"event", "erase", "--data", dir, "--status", id},
		{"deadletter", "resend", "--data", dir, "--stream", id, id, id},
	} {
		var out, errOut bytes.Buffer
		code := run(t.Context(), args, nil, nil, &out, &errOut)
		if code != exitFailed || !strings.Contains(errOut.String(), "there is no data folder") {
			t.Errorf("%v: got %d and %s, want the command to run", args, code, errOut.String())
		}
		if strings.Contains(errOut.String()+out.String(), literal) {
			t.Errorf("%v: got the mark in %q", args, errOut.String())
		}
	}
}
