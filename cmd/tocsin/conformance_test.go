package main_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
)

// The command runs the suite against a server over HTTP, prints a report, writes the
// others, and leaves no stream behind.
func TestConformanceTransmitter(t *testing.T) {
	server := proctest.New(t, binary(t), "--conformance", "--log-level", "error")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	token, err := server.Token(t.Context(), "suite", "https://suite.example", "ssf.manage ssf.read")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	junit, page := filepath.Join(dir, "junit.xml"), filepath.Join(dir, "report.html")
	var out, errOut bytes.Buffer
	code := main.Run(t.Context(), []string{
		"conformance", "transmitter", server.Issuer, "--token", token, "--insecure-loopback", "--json", "--junit", junit, "--html", page,
		"--quiet", "300ms", "--only", "SSF-8.1.1.1-01", "--only", "SSF-8.1.4.2-02", "--only", "SET-5.1-01", "--only", "SSF-7.1-03",
	}, nil, strings.NewReader(""), &out, &errOut)
	var report struct {
		Summary struct{ Passed, Failed int }
		Results []struct{ ID, Verdict, Reason string }
	}
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	if code != 0 || report.Summary.Passed != 4 || len(report.Results) != 4 {
		t.Errorf("got exit code %d and %+v, want 0 and four passed\n%s", code, report, &errOut)
	}
	for _, name := range []string{junit, page} {
		text, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(text), "SET-5.1-01") || strings.Contains(string(text), token) {
			t.Errorf("%s: got %v and %d bytes, want a report without the token", filepath.Base(name), err, len(text))
		}
	}
	if strings.Contains(out.String()+errOut.String(), token) {
		t.Error("got the token in what is printed, want it hidden")
	}
	status, body, err := server.Call(t.Context(), &http.Client{Timeout: 10 * time.Second}, "GET", "/ssf/streams", token, nil)
	if err != nil || status != 200 || strings.TrimSpace(string(body)) != "[]" {
		t.Errorf("got streams %d %s, %v, want none left", status, body, err)
	}
	out.Reset()
	errOut.Reset()
	code = main.Run(t.Context(), []string{"conformance", "transmitter", server.Issuer + "/wrong", "--token", token, "--insecure-loopback", "--delivery", "poll"},
		nil, strings.NewReader(""), &out, &errOut)
	if code != 1 || !strings.Contains(out.String(), "SSF-7.2-01") || !strings.Contains(errOut.String(), "does not conform") {
		t.Errorf("a wrong issuer: got exit code %d, want 1\n%s%s", code, &out, &errOut)
	}
}

// What is wrong with how the command is called is said before anything is done.
func TestConformanceUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"https://ssf.example"}, "--token"},
		{[]string{"https://ssf.example", "--token", "x"}, "--public-url"},
		{[]string{"http://ssf.example", "--token", "x"}, "the issuer"},
		{[]string{"https://ssf.example", "--token", "x", "--delivery", "poll", "--profile", "no"}, "--profile"},
		{[]string{"https://ssf.example", "--token", "x", "--delivery", "poll", "--only", "XYZ-0-99"}, "XYZ-0-99"},
		{[]string{"https://ssf.example", "--token", "x", "--trigger-cmd", "a", "--trigger-url", "b"}, "trigger"},
		{[]string{"https://ssf.example", "--token", "x", "--listen-cert", "a"}, "listen-key"},
		{[]string{"https://ssf.example", "--token", "x", "--ca", "missing.pem"}, "missing.pem"},
	} {
		var out, errOut bytes.Buffer
		code := main.Run(t.Context(), append([]string{"conformance", "transmitter"}, tt.args...), nil, strings.NewReader(""), &out, &errOut)
		if code == 0 || !strings.Contains(errOut.String(), tt.want) {
			t.Errorf("%q: got exit code %d and %q, want a failure that names %s", tt.args, code, &errOut, tt.want)
		}
	}
}
