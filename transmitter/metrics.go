package transmitter

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/ingest"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/push"
)

const (
	// topStreams bounds the streams that have a depth of their own; the rest
	// is in the total.
	topStreams = 20
	// scrapeTime bounds how long a scrape may ask the store.
	scrapeTime = 2 * time.Second
)

// metrics are the transmitter's own; no label takes an unbounded value.
type metrics struct {
	registry *prometheus.Registry
	attempts *prometheus.CounterVec   // by verdict
	took     prometheus.Histogram     // seconds of one push
	delivery *prometheus.HistogramVec // seconds from recording to delivery, by method
	pollSets *prometheus.CounterVec   // SETs of polls, by outcome
	ingested *prometheus.CounterVec   // by outcome
	recorded *prometheus.CounterVec   // by source of a vendor, and outcome
	polls    *prometheus.CounterVec   // of vendors' APIs, by source and outcome
	pollAt   *prometheus.GaugeVec     // last page that was kept, by source
	gated    *prometheus.CounterVec   // by what a gate did
	notKept  prometheus.Counter
	expired  prometheus.Counter
	answers  *prometheus.CounterVec // by method, route, status
	limited  *prometheus.CounterVec // requests refused for their rate, by whose it is
	commits  *prometheus.HistogramVec
	commit   *prometheus.HistogramVec
}

// seconds are the buckets of durations: 0.5 ms to about 4 hours.
func seconds() []float64 { return prometheus.ExponentialBuckets(0.0005, 4, 13) }

// fineSeconds are those of the durations whose quantiles people look at: 0.5 ms to more
// than 2 hours, doubling, so that a quantile is never off by more than that.
func fineSeconds() []float64 { return prometheus.ExponentialBuckets(0.0005, 2, 25) }

func newMetrics(store streams.Queue, log eventlog.Log, index eventlog.Index) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_push_attempts_total", Help: "Pushes of SETs, and of events to webhooks, by verdict.",
		}, []string{"verdict"}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tocsin_push_attempt_seconds", Help: "Time of one push with its answer.", Buckets: seconds(),
		}),
		delivery: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tocsin_delivery_seconds", Help: "Time from the recording of an event to its acknowledgement.", Buckets: fineSeconds(),
		}, []string{"method"}),
		pollSets: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_poll_sets_total", Help: "SETs of polls: sent, acknowledged, refused.",
		}, []string{"outcome"}),
		ingested: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_events_total", Help: "Events offered, by outcome.",
		}, []string{"outcome"}),
		recorded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_source_records_total", Help: "Records of vendors' sources, by outcome.",
		}, []string{"source", "outcome"}),
		polls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_source_pages_total", Help: "Pages asked of vendors' APIs, by outcome.",
		}, []string{"source", "outcome"}),
		pollAt: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "tocsin_source_last_success_timestamp_seconds", Help: "When a page of a vendor's API was last read and kept.",
		}, []string{"source"}),
		gated: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_consent_gate_total", Help: "SETs, and events for webhooks, that a consent gate held back or released.",
		}, []string{"outcome"}),
		notKept: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tocsin_queue_not_kept_total", Help: "SETs not kept because a queue was full.",
		}),
		expired: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tocsin_queue_expired_total", Help: "SETs that expired into the dead letters.",
		}),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_http_requests_total", Help: "Requests by method, route and status.",
		}, []string{"method", "route", "status"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_http_limited_total", Help: "Requests answered 429 for their rate, by what was counted: client or address.",
		}, []string{"by"}),
		commits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tocsin_commit_batch_size", Help: "Operations that shared one commit.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 9),
		}, []string{"store"}),
		commit: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tocsin_commit_seconds", Help: "Time of one commit.", Buckets: seconds(),
		}, []string{"store"}),
	}
	m.registry.MustRegister(m.attempts, m.took, m.delivery, m.pollSets, m.ingested, m.recorded, m.polls, m.pollAt, m.gated, m.notKept, m.expired, m.answers, m.limited,
		m.commits, m.commit, queueCollector{store})
	if index != nil {
		m.registry.MustRegister(indexCollector{log, index})
	}
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		// What the store cannot tell is left out; all else is still told.
		ErrorHandling: promhttp.ContinueOnError,
	})
}

// Collect adds metrics to those that [Transmitter.AdminHandler] serves.
func (t *Transmitter) Collect(more ...prometheus.Collector) error {
	var errs []error
	for _, c := range more {
		errs = append(errs, t.metrics.registry.Register(c))
	}
	return errors.Join(errs...)
}

// Gatherer has the metrics that [Transmitter.AdminHandler] serves.
func (t *Transmitter) Gatherer() prometheus.Gatherer { return t.metrics.registry }

// attempt counts one push.
func (m *metrics) attempt(a push.Attempt) {
	m.attempts.WithLabelValues(a.Verdict).Inc()
	m.took.Observe(a.Took.Seconds())
	if a.SinceAccepted > 0 {
		method := "push"
		if a.Method == streams.MethodWebhook {
			method = "webhook"
		}
		m.delivery.WithLabelValues(method).Observe(a.SinceAccepted.Seconds())
	}
}

// offered counts one event by what became of it.
func (m *metrics) offered(outcome string) { m.ingested.WithLabelValues(outcome).Inc() }

// records counts the records of a vendor's source; there are at most
// auth.MaxVendorSources of them.
func (m *metrics) records(source string, c ingest.Counts) {
	for outcome, n := range map[string]int{"kept": c.Kept, "seen": c.Seen, "denied": c.Denied, "refused": c.Refused} {
		m.recorded.WithLabelValues(source, outcome).Add(float64(n))
	}
}

// sourcePolled counts a page of a vendor's API.
func (m *metrics) sourcePolled(source string, err error, place auth.VendorPlace) {
	outcome := "kept"
	if err != nil {
		outcome = "failed"
	}
	m.polls.WithLabelValues(source, outcome).Inc()
	if !place.Success.IsZero() {
		m.pollAt.WithLabelValues(source).Set(float64(place.Success.UnixMilli()) / 1000)
	}
}

// passed counts what a consent gate did with an item.
func (m *metrics) passed(released bool) {
	outcome := "held"
	if released {
		outcome = "released"
	}
	m.gated.WithLabelValues(outcome).Inc()
}

// polled counts an item that a poll acknowledged.
func (m *metrics) polled(sinceAccepted time.Duration) {
	m.pollSets.WithLabelValues("acknowledged").Inc()
	m.delivery.WithLabelValues("poll").Observe(sinceAccepted.Seconds())
}

// pollSent counts SETs that an answer to a poll bore.
func (m *metrics) pollSent(sets int) { m.pollSets.WithLabelValues("sent").Add(float64(sets)) }

// pollRefused counts a SET that a receiver refused by a poll.
func (m *metrics) pollRefused() { m.pollSets.WithLabelValues("refused").Inc() }

// Commit observes one commit of a store; hand it to the stores as their observer.
func (t *Transmitter) Commit(store string, batch int, took time.Duration) {
	t.metrics.commits.WithLabelValues(store).Observe(float64(batch))
	t.metrics.commit.WithLabelValues(store).Observe(took.Seconds())
}

// requests counts answers by route, never by path.
func (m *metrics) requests(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		if err != nil {
			c.Error(err) // written here, so that the status is known
		}
		note(c)
		m.answers.WithLabelValues(methodLabel(c.Request().Method), c.Path(), strconv.Itoa(c.Response().Status)).Inc()
		return nil
	}
}

// methodLabel bounds the label: anybody may invent a method.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodOptions:
		return method
	}
	return "other"
}

// queueCollector asks the store for the depth of its queues at each scrape.
type queueCollector struct{ store streams.Queue }

var (
	depthDesc  = prometheus.NewDesc("tocsin_queue_depth", "SETs that wait, all streams together.", nil, nil)
	deadDesc   = prometheus.NewDesc("tocsin_dead_letters", "SETs set aside, all streams together.", nil, nil)
	oldestDesc = prometheus.NewDesc("tocsin_queue_oldest_seconds", "Age of the oldest SET that waits.", nil, nil)
	streamDesc = prometheus.NewDesc("tocsin_stream_queue_depth", "SETs that wait on the longest queues.", []string{"stream_id"}, nil)
)

// Describe names the collector's metrics.
func (queueCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{depthDesc, deadDesc, oldestDesc, streamDesc} {
		ch <- d
	}
}

// Collect reads the counters that the store keeps; it scans no queue.
func (q queueCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	total, top, err := q.store.Depths(ctx, topStreams)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(depthDesc, err)
		return
	}
	age := 0.0
	if !total.Oldest.IsZero() {
		age = time.Since(total.Oldest).Seconds()
	}
	ch <- prometheus.MustNewConstMetric(depthDesc, prometheus.GaugeValue, float64(total.Items))
	ch <- prometheus.MustNewConstMetric(deadDesc, prometheus.GaugeValue, float64(total.Dead))
	ch <- prometheus.MustNewConstMetric(oldestDesc, prometheus.GaugeValue, age)
	for id, d := range top {
		ch <- prometheus.MustNewConstMetric(streamDesc, prometheus.GaugeValue, float64(d.Items), id)
	}
}

// indexCollector tells at each scrape how far the index trails the log.
type indexCollector struct {
	log   eventlog.Log
	index eventlog.Index
}

var lagDesc = prometheus.NewDesc("tocsin_index_lag", "Records of the log that the search index has yet to read.", nil, nil)

// Describe names the collector's metric.
func (indexCollector) Describe(ch chan<- *prometheus.Desc) { ch <- lagDesc }

// Collect compares two numbers that are in memory.
func (i indexCollector) Collect(ch chan<- prometheus.Metric) {
	place := i.index.Place()
	head, err := i.log.Head(context.Background())
	if err != nil {
		ch <- prometheus.NewInvalidMetric(lagDesc, err)
		return
	}
	ch <- prometheus.MustNewConstMetric(lagDesc, prometheus.GaugeValue, float64(head-min(place, head)))
}
