package telemetry_test

import (
	"crypto/x509"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/telemetry"
)

// Traces are off unless a collector is named, by a flag or in OpenTelemetry's own words.
func TestEndpoint(t *testing.T) {
	for _, tt := range []struct {
		name, flag, all, traces, disabled string
		want, fault                       string
	}{
		{"off", "", "", "", "", "", ""},
		{"flag", "https://otel.example:4318", "https://no.example", "", "", "https://otel.example:4318/v1/traces", ""},
		{"path", "https://otel.example/otlp/", "", "", "", "https://otel.example/otlp/v1/traces", ""},
		{"variable", "", "https://otel.example:4318", "", "", "https://otel.example:4318/v1/traces", ""},
		{"variable of traces", "", "https://no.example", "https://otel.example/in", "", "https://otel.example/in", ""},
		{"loopback", "http://127.0.0.1:4318", "", "", "", "http://127.0.0.1:4318/v1/traces", ""},
		{"disabled", "https://otel.example", "", "", "true", "", ""},
		{"no URL", "otel.example:4318", "", "", "", "", "--otlp-endpoint"},
		{"plain", "http://otel.example:4318", "", "", "", "", "--otlp-endpoint"},
		{"password", "https://a:b@otel.example", "", "", "", "", "OTEL_EXPORTER_OTLP_HEADERS"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", tt.all)
			t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", tt.traces)
			t.Setenv("OTEL_SDK_DISABLED", tt.disabled)
			got, err := telemetry.TraceSettings{OTLPEndpoint: tt.flag}.Endpoint()
			if got != tt.want || (err != nil) != (tt.fault != "") || err != nil && !strings.Contains(err.Error(), tt.fault) {
				t.Errorf("got %q, %v, want %q, %q", got, err, tt.want, tt.fault)
			}
		})
	}
}

// A part is a number from 0 to 1.
func TestPart(t *testing.T) {
	for text, ok := range map[string]bool{"0": true, "0.25": true, "1": true, "1.1": false, "-1": false, "NaN": false, "x": false, "": false} {
		var p telemetry.Part
		if err := p.UnmarshalText([]byte(text)); (err == nil) != ok {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

// Without a collector there is nothing; with authorities that cannot be read, an error.
func TestOpen(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")
	none := func(string) (*x509.CertPool, error) { return nil, errors.New("no file") }
	p, end, err := telemetry.Open(t.Context(), telemetry.TraceSettings{}, "serve", "v0", none, slog.New(slog.DiscardHandler))
	if p != nil || err != nil {
		t.Errorf("off: got %v, %v, want nothing", p, err)
	}
	end()
	_, _, err = telemetry.Open(t.Context(), telemetry.TraceSettings{OTLPEndpoint: "https://otel.example", OTLPCA: "missing"}, "serve", "v0", none, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "--otlp-ca") {
		t.Errorf("got %v, want --otlp-ca named", err)
	}
}
