package transmitter

import (
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
	"github.com/tocsin-ssf/tocsin/transmitter/internal/outbox"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/push"
)

// scrapeTime bounds how long a scrape may ask the store.
const scrapeTime = 2 * time.Second

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
	signed   *prometheus.CounterVec   // SETs to sign, by outcome
	signTook prometheus.Histogram     // seconds of one signature
	paused   *prometheus.CounterVec   // streams that we paused, by cause
	asked    *prometheus.CounterVec   // polls, by outcome
	notKept  prometheus.Counter
	expired  prometheus.Counter
	answers  *prometheus.CounterVec   // by method, route, status
	asking   *prometheus.HistogramVec // seconds of one request, by route
	limited  *prometheus.CounterVec   // requests refused for their rate, by whose it is
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
		signed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_signatures_total", Help: "SETs to be signed, by outcome: signed, gone (no SET can be made of the event), failed.",
		}, []string{"outcome"}),
		signTook: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tocsin_signature_seconds", Help: "Time of one signature.", Buckets: prometheus.ExponentialBuckets(0.00001, 4, 10),
		}),
		paused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_streams_paused_total", Help: "Streams paused by the transmitter itself, by cause: delivery, full, inactive.",
		}, []string{"cause"}),
		asked: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_polls_total", Help: "Polls that were answered, by outcome: sets, empty.",
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
		asking: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tocsin_http_request_seconds", Help: "Time of one request with its answer, by route; a long poll waits in it.",
			Buckets: []float64{0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60},
		}, []string{"route"}),
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
	m.registry.MustRegister(m.attempts, m.took, m.delivery, m.pollSets, m.ingested, m.recorded, m.polls, m.pollAt, m.gated, m.signed, m.signTook,
		m.paused, m.asked, m.notKept, m.expired, m.answers, m.asking, m.limited, m.commits, m.commit, queueCollector{store})
	m.begin()
	if index != nil {
		m.registry.MustRegister(indexCollector{log, index})
	}
	return m
}

// begin makes the series whose labels are words of ours, so that they are there, at
// zero, before the first thing happens: a rate needs two points.
func (m *metrics) begin() {
	for vec, words := range map[*prometheus.CounterVec][]string{
		m.attempts: push.Verdicts(),
		m.ingested: {ingest.Accepted, ingest.Duplicate, ingest.Unmapped, ingest.Refused},
		m.gated:    {"held", "released"},
		m.signed:   {"signed", "gone", "failed"},
		m.paused:   {causeDelivery, causeFull, causeInactive},
		m.asked:    {"sets", "empty"},
		m.pollSets: {"sent", "acknowledged", "refused"},
		m.limited:  {"client", "address"},
	} {
		for _, word := range words {
			vec.WithLabelValues(word)
		}
	}
	for _, method := range []string{"push", "poll", "webhook"} {
		m.delivery.WithLabelValues(method)
	}
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

// made counts the making of a SET (outbox.Config.Observe).
func (m *metrics) made(took time.Duration, err error) {
	outcome := "signed"
	switch {
	case errors.Is(err, outbox.ErrGone):
		outcome = "gone"
	case err != nil:
		outcome = "failed"
	default:
		m.signTook.Observe(took.Seconds())
	}
	m.signed.WithLabelValues(outcome).Inc()
}

// polled counts an item that a poll acknowledged.
func (m *metrics) polled(sinceAccepted time.Duration) {
	m.pollSets.WithLabelValues("acknowledged").Inc()
	m.delivery.WithLabelValues("poll").Observe(sinceAccepted.Seconds())
}

// pollSent counts an answer to a poll and the SETs that it bore.
func (m *metrics) pollSent(sets int) {
	outcome := "empty"
	if sets > 0 {
		outcome = "sets"
	}
	m.asked.WithLabelValues(outcome).Inc()
	m.pollSets.WithLabelValues("sent").Add(float64(sets))
}

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
		began := time.Now()
		err := next(c)
		if err != nil {
			c.Error(err) // written here, so that the status is known
		}
		note(c)
		m.asking.WithLabelValues(c.Path()).Observe(time.Since(began).Seconds())
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
