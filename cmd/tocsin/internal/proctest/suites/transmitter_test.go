package suites_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
)

// The command runs the suite against a server over HTTP, prints a report, writes the
// others, and leaves no stream behind.
func TestConformanceTransmitter(t *testing.T) {
	server := proctest.New(t, "--conformance", "--log-level", "error")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	token, err := server.Token(t.Context(), "suite", "https://suite.example", "ssf.manage ssf.read")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	junit, page := filepath.Join(dir, "junit.xml"), filepath.Join(dir, "report.html")
	out, errOut, code := run(t,
		"conformance", "transmitter", server.Issuer, "--token", token, "--insecure-loopback", "--json", "--junit", junit, "--html", page,
		"--quiet", "300ms", "--only", "SSF-8.1.1.1-01", "--only", "SSF-8.1.4.2-02", "--only", "SET-5.1-01", "--only", "SSF-7.1-03",
	)
	var report struct {
		Summary struct{ Passed, Failed int }
		Results []struct{ ID, Verdict, Reason string }
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if code != 0 || report.Summary.Passed != 4 || len(report.Results) != 4 {
		t.Errorf("got exit code %d and %+v, want 0 and four passed\n%s", code, report, errOut)
	}
	for _, name := range []string{junit, page} {
		text, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(text), "SET-5.1-01") || strings.Contains(string(text), token) {
			t.Errorf("%s: got %v and %d bytes, want a report without the token", filepath.Base(name), err, len(text))
		}
	}
	if strings.Contains(out+errOut, token) {
		t.Error("got the token in what is printed, want it hidden")
	}
	status, body, err := server.Call(t.Context(), &http.Client{Timeout: 10 * time.Second}, "GET", "/ssf/streams", token, nil)
	if err != nil || status != 200 || strings.TrimSpace(string(body)) != "[]" {
		t.Errorf("got streams %d %s, %v, want none left", status, body, err)
	}
	out, errOut, code = run(t, "conformance", "transmitter", server.Issuer+"/wrong", "--token", token, "--insecure-loopback", "--delivery", "poll")
	if code != 1 || !strings.Contains(out, "SSF-7.2-01") || !strings.Contains(errOut, "does not conform") {
		t.Errorf("a wrong issuer: got exit code %d, want 1\n%s%s", code, out, errOut)
	}
}

// run runs the binary to its end and returns what it printed, what it said, and its exit
// code.
func run(t *testing.T, args ...string) (out, errOut string, code int) {
	t.Helper()
	var printed, said strings.Builder
	cmd := exec.CommandContext(t.Context(), proctest.Binary(t), args...)
	cmd.Stdout, cmd.Stderr = &printed, &said
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return printed.String(), said.String(), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return printed.String(), said.String(), 0
}
