package main_test

import (
	"bytes"
	"strings"
	"testing"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
)

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

// What is wrong with how the command is called is said before anything is done.
func TestConformanceReceiverUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--endpoint", "https://app.example/in", "--delivery", "poll"}, "--endpoint"},
		{[]string{"--endpoint", "http://app.example/in"}, "--endpoint"},
		{[]string{"--endpoint", "https://app.example/in", "--receiver-cmd", "x"}, "endpoint"},
		{[]string{"--insecure-loopback", "--listen", "0.0.0.0:0"}, "--insecure-loopback"},
		{[]string{"--issuer-url", "http://suite.example"}, "--issuer-url"},
		{[]string{"--push-ca", "missing.pem"}, "missing.pem"},
		{[]string{"--only", "XYZ-0-99"}, "XYZ-0-99"},
		{[]string{"--observe-cmd", "a", "--observe-url", "b"}, "observe"},
	} {
		var out, errOut bytes.Buffer
		args := append([]string{"conformance", "receiver", "--data", t.TempDir(), "--arrive", "1ms"}, tt.args...)
		if code := main.Run(t.Context(), args, nil, strings.NewReader(""), &out, &errOut); code == 0 || !strings.Contains(errOut.String(), tt.want) {
			t.Errorf("%q: got exit code %d and %q, want an error that says %q", tt.args, code, &errOut, tt.want)
		}
	}
}
