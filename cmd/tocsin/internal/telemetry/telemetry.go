// Package telemetry sends spans to a collector by OTLP over HTTP. Only here is the SDK of
// OpenTelemetry used.
package telemetry

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/set/delivery/tracing"
)

// Bounds of what waits to be sent. What is beyond them is dropped: nothing waits for a
// collector.
const (
	maxWaiting = 4096
	maxBatch   = 512
	sendEvery  = 2 * time.Second
	sendTime   = 5 * time.Second // for one batch, its repeats included
	closeTime  = 3 * time.Second
	toldAtMost = time.Minute // failures of the collector are logged once in it
	maxText    = 256         // bytes of an attribute's text
)

// TraceSettings say whether and where spans are sent.
type TraceSettings struct {
	OTLPEndpoint  string `yaml:"otlp_endpoint" help:"Collector that gets traces by OTLP over HTTP, such as https://otel.example:4318; default: none, or OTEL_EXPORTER_OTLP_ENDPOINT. Plain http is for loopback alone." placeholder:"URL" name:"otlp-endpoint" group:"Traces:"`
	OTLPCA        string `yaml:"otlp_ca" help:"CAs of the collector, PEM, beside the system's." placeholder:"FILE" name:"otlp-ca" group:"Traces:"`
	TraceSampling Part   `help:"Part of the events that is traced, 0 to 1, the same events at all processes (default: 1)." placeholder:"PART" group:"Traces:"`
}

// Over puts what is given in s over to.
func (s TraceSettings) Over(to *TraceSettings) {
	if s.OTLPEndpoint != "" {
		to.OTLPEndpoint = s.OTLPEndpoint
	}
	if s.OTLPCA != "" {
		to.OTLPCA = s.OTLPCA
	}
	if s.TraceSampling != 0 {
		to.TraceSampling = s.TraceSampling
	}
}

// Part is a part of a whole, 0 to 1. Its zero value says nothing: the whole is meant.
type Part float64

// none is the part 0.
const none Part = -1

// UnmarshalText reads a number.
func (p *Part) UnmarshalText(text []byte) error {
	n, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(n >= 0 && n <= 1) {
		return errors.New("want a number from 0 to 1")
	}
	if *p = Part(n); n == 0 {
		*p = none
	}
	return nil
}

func (p Part) value() float64 {
	switch p {
	case 0:
		return 1
	case none:
		return 0
	}
	return float64(p)
}

// Endpoint returns the address of the collector's traces; "": there is none. The names of
// variables are OpenTelemetry's own.
func (s TraceSettings) Endpoint() (string, error) {
	raw, path := s.OTLPEndpoint, "/v1/traces"
	if raw == "" {
		if raw = os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"); raw != "" {
			path = "" // it is the whole address
		} else {
			raw = os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")
		}
	}
	if raw == "" || os.Getenv("OTEL_SDK_DISABLED") == "true" {
		return "", nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil {
		return "", errors.New("--otlp-endpoint: want a URL such as https://otel.example:4318, without user and password (OTEL_EXPORTER_OTLP_HEADERS has what a collector wants to be shown)")
	}
	whole := u.JoinPath(path).String()
	if _, err := guard.CheckURL(whole, policy()); err != nil {
		return "", fmt.Errorf("--otlp-endpoint: %w", err)
	}
	return whole, nil
}

// Check returns why traces cannot be sent as the settings say, without a word to the
// collector. pool reads a file of certificates.
func (s TraceSettings) Check(pool func(file string) (*x509.CertPool, error)) error {
	_, _, err := s.target(pool)
	return err
}

// target is the address of the collector, "": none, and how it is called.
func (s TraceSettings) target(pool func(file string) (*x509.CertPool, error)) (string, guard.Policy, error) {
	p := policy()
	endpoint, err := s.Endpoint()
	if err == nil && endpoint != "" && s.OTLPCA != "" {
		if p.RootCAs, err = pool(s.OTLPCA); err != nil {
			err = fmt.Errorf("--otlp-ca: %w", err)
		}
	}
	return endpoint, p, err
}

// policy lets the operator's collector be anywhere: by https, or on loopback.
func policy() guard.Policy {
	return guard.Policy{
		InsecureLoopback: true, Timeout: sendTime,
		Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")},
	}
}

// Open returns what makes spans, nil if they are off, and what sends those that wait and
// ends it.
func Open(ctx context.Context, s TraceSettings, half, version string, pool func(file string) (*x509.CertPool, error), logger *slog.Logger) (api.TracerProvider, func(), error) {
	endpoint, p, err := s.target(pool)
	if err != nil || endpoint == "" {
		return nil, func() {}, err
	}
	exporter, err := otlptracehttp.New(ctx,
		otlptracehttp.WithEndpointURL(endpoint), otlptracehttp.WithHTTPClient(guard.NewClient(p)), otlptracehttp.WithTimeout(sendTime),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: 500 * time.Millisecond, MaxInterval: 2 * time.Second, MaxElapsedTime: sendTime}),
	)
	if err != nil {
		return nil, nil, fmt.Errorf("--otlp-endpoint: %w", err)
	}
	told := &complaints{logger: logger}
	otel.SetErrorHandler(told) // the SDK has no other place for them
	limits := trace.NewSpanLimits()
	limits.AttributeValueLengthLimit = maxText
	provider := trace.NewTracerProvider(
		trace.WithBatcher(exporter, trace.WithMaxQueueSize(maxWaiting), trace.WithMaxExportBatchSize(maxBatch), trace.WithBatchTimeout(sendEvery), trace.WithExportTimeout(sendTime)),
		trace.WithSampler(trace.TraceIDRatioBased(s.TraceSampling.value())), // by the trace's id, which both halves know
		trace.WithIDGenerator(ids{}), trace.WithRawSpanLimits(limits),
		trace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "tocsin-"+half), attribute.String("service.version", version), attribute.String("service.instance.id", rand.Text()),
		)),
	)
	return provider, func() {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		if err := provider.Shutdown(limited); err != nil { // what waits is lost, and may be the first that is
			told.Handle(err)
		}
	}, nil
}

// complaints logs what the SDK complains of, not too often.
type complaints struct {
	logger *slog.Logger
	told   atomic.Int64 // Unix nanoseconds
}

// Handle logs an error.
func (c *complaints) Handle(err error) {
	now, told := time.Now().UnixNano(), c.told.Load()
	if now-told < int64(toldAtMost) || !c.told.CompareAndSwap(told, now) {
		return
	}
	c.logger.Warn("traces cannot be sent, and are dropped", "err", err)
}

// ids gives spans the ids that tracing wants, and any other where it wants none.
type ids struct{}

// NewIDs returns the ids of a root.
func (g ids) NewIDs(ctx context.Context) (api.TraceID, api.SpanID) {
	w, _ := tracing.WantedOf(ctx)
	if !w.Trace.IsValid() {
		_, _ = rand.Read(w.Trace[:]) // it does not fail
	}
	return w.Trace, g.NewSpanID(ctx, w.Trace)
}

// NewSpanID returns the id of a span within a trace.
func (ids) NewSpanID(ctx context.Context, _ api.TraceID) api.SpanID {
	w, _ := tracing.WantedOf(ctx)
	if !w.Span.IsValid() {
		_, _ = rand.Read(w.Span[:]) // it does not fail
	}
	return w.Span
}
