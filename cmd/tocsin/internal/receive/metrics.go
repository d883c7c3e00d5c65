package receive

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/receiver/journal"
	"github.com/tocsin-ssf/tocsin/set"
)

// metrics are the daemon's own. Labels take names of the configuration and words of
// ours, nothing that others send.
type metrics struct {
	registry *prometheus.Registry
	sets     *prometheus.CounterVec   // by issuer, delivery, outcome
	refused  *prometheus.CounterVec   // by issuer, code
	polls    *prometheus.CounterVec   // by issuer, outcome
	handled  *prometheus.CounterVec   // by issuer, verdict
	took     *prometheus.HistogramVec // seconds of an event's hooks, by issuer
	whole    *prometheus.HistogramVec // seconds from iat to the end of hooks, by issuer
	lag      *prometheus.HistogramVec // seconds from a SET's arrival to its hooks' end, by issuer
	asked    *prometheus.CounterVec   // by hook, effect, verdict
	askTook  *prometheus.HistogramVec // seconds of one hook, by hook
	calls    *prometheus.CounterVec   // of the transmitter, by issuer, method, outcome
	gate     *prometheus.CounterVec   // by status
	gateTook prometheus.Histogram     // seconds of one check
	reloads  *prometheus.CounterVec   // by outcome
	limited  prometheus.Counter       // requests refused for the rate of their address
	commits  *prometheus.HistogramVec
	commit   *prometheus.HistogramVec
}

// seconds are the buckets of durations: 0.5 ms to about 4 hours.
func seconds() []float64 { return prometheus.ExponentialBuckets(0.0005, 4, 13) }

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		sets:     counter("tocsin_receive_sets_total", "SETs that came, by what became of them.", "issuer", "delivery", "outcome"),
		refused:  counter("tocsin_receive_refused_total", "SETs that were refused, by the code of the answer.", "issuer", "code"),
		polls:    counter("tocsin_receive_polls_total", "Polls, by outcome.", "issuer", "outcome"),
		handled:  counter("tocsin_receive_handled_total", "Runs of events' hooks, by verdict.", "issuer", "verdict"),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tocsin_receive_handle_seconds", Help: "Time of an event's hooks.", Buckets: seconds(),
		}, []string{"issuer"}),
		whole: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tocsin_receive_event_seconds", Help: "Time from the recording of an event by its transmitter (iat, whole seconds) to the end of its hooks.",
			Buckets: prometheus.ExponentialBuckets(0.125, 4, 10),
		}, []string{"issuer"}),
		lag: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tocsin_receive_lag_seconds", Help: "Time from the arrival of a SET to the end of its event's hooks, done.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 25),
		}, []string{"issuer"}),
		asked: counter("tocsin_receive_hooks_total", "What hooks did, by verdict.", "hook", "effect", "verdict"),
		askTook: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tocsin_receive_hook_seconds", Help: "Time of one run of a hook.", Buckets: seconds(),
		}, []string{"hook"}),
		calls: counter("tocsin_receive_requests_total", "Requests to transmitters and their authorization servers, by outcome.", "issuer", "method", "outcome"),
		gate:  counter("tocsin_receive_gate_total", "Answers of the check endpoint, by status.", "status"),
		gateTook: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tocsin_receive_gate_seconds", Help: "Time of one check.", Buckets: prometheus.ExponentialBuckets(0.000002, 4, 10),
		}),
		limited: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tocsin_receive_limited_total", Help: "Requests answered 429 for the rate of their address.",
		}),
		reloads: counter("tocsin_receive_reloads_total", "Times the configuration was read again, by outcome.", "outcome"),
		commits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tocsin_receive_commit_batch_size", Help: "Operations that shared one commit.", Buckets: prometheus.ExponentialBuckets(1, 2, 9),
		}, []string{"store"}),
		commit: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tocsin_receive_commit_seconds", Help: "Time of one commit.", Buckets: seconds(),
		}, []string{"store"}),
	}
	m.registry.MustRegister(m.sets, m.refused, m.polls, m.handled, m.took, m.whole, m.lag, m.asked, m.askTook, m.calls, m.gate, m.gateTook, m.reloads, m.limited, m.commits, m.commit)
	for _, outcome := range []string{"ok", "failed"} {
		m.reloads.WithLabelValues(outcome)
	}
	return m
}

func (m *metrics) handler() http.Handler {
	// What the store cannot tell is left out; all else is still told.
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// Collect adds metrics to those that are served.
func (d *Daemon) Collect(more ...prometheus.Collector) error {
	return collect(d.metrics.registry, more)
}

// Gatherer has the metrics that are served.
func (d *Daemon) Gatherer() prometheus.Gatherer { return d.metrics.registry }

func collect(registry *prometheus.Registry, more []prometheus.Collector) error {
	var errs []error
	for _, c := range more {
		errs = append(errs, registry.Register(c))
	}
	return errors.Join(errs...)
}

// committed observes a commit of a store.
func (m *metrics) committed(store string, batch int, took time.Duration) {
	m.commits.WithLabelValues(store).Observe(float64(batch))
	m.commit.WithLabelValues(store).Observe(took.Seconds())
}

// begin makes the series of an issuer whose other labels are words of ours, so that
// they are there, at zero, before the first SET comes.
func (m *metrics) begin(issuer, delivery string) {
	for _, outcome := range []string{"kept", "repeat", "refused", "deferred"} {
		m.sets.WithLabelValues(issuer, delivery, outcome)
	}
	for _, verdict := range []inbox.Verdict{inbox.Done, inbox.Again, inbox.SetAside, inbox.Released} {
		m.handled.WithLabelValues(issuer, verdictName(verdict))
	}
	if delivery == receiver.ByPoll {
		m.polls.WithLabelValues(issuer, outcomeOf(nil))
		m.polls.WithLabelValues(issuer, "failed")
	}
	m.took.WithLabelValues(issuer)
	m.whole.WithLabelValues(issuer)
	m.lag.WithLabelValues(issuer)
}

// observer counts what the receiver of an issuer does.
func (m *metrics) observer(issuer string) receiver.Observer {
	return receiver.Observer{
		Arrived: func(by string, repeat bool, err error) {
			outcome := "kept"
			refusal, refused := errors.AsType[*set.Error](err)
			switch {
			case refused:
				outcome = "refused"
				m.refused.WithLabelValues(issuer, string(refusal.Code)).Inc()
			case err != nil:
				outcome = "deferred"
			case repeat:
				outcome = "repeat"
			}
			m.sets.WithLabelValues(issuer, by, outcome).Inc()
		},
		Handled: func(v inbox.Verdict, took time.Duration) {
			m.handled.WithLabelValues(issuer, verdictName(v)).Inc()
			m.took.WithLabelValues(issuer).Observe(took.Seconds())
		},
		Done: func(sinceReceived, sinceRecorded time.Duration) {
			m.lag.WithLabelValues(issuer).Observe(sinceReceived.Seconds())
			m.whole.WithLabelValues(issuer).Observe(sinceRecorded.Seconds())
		},
		Polled: func(err error) { m.polls.WithLabelValues(issuer, outcomeOf(err)).Inc() },
	}
}

// requests counts what is asked of an issuer's servers.
func (m *metrics) requests(issuer string) roundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return counted(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			outcome := "failed"
			if err == nil {
				outcome = strconv.Itoa(resp.StatusCode/100) + "xx"
			}
			m.calls.WithLabelValues(issuer, r.Method, outcome).Inc()
			return resp, err
		})
	}
}

// counted is an http.RoundTripper.
type counted func(*http.Request) (*http.Response, error)

// RoundTrip calls c.
func (c counted) RoundTrip(r *http.Request) (*http.Response, error) { return c(r) }

// checked counts an answer of the check endpoint.
func (m *metrics) checked(status int, took time.Duration) {
	m.gate.WithLabelValues(strconv.Itoa(status)).Inc()
	m.gateTook.Observe(took.Seconds())
}

// Asked counts what became of one asking of a hook; "" is no hook (policy.Observer).
func (m *metrics) Asked(hook string, effect hooks.Effect, verdict journal.Verdict, took time.Duration) {
	m.asked.WithLabelValues(hook, string(effect), string(verdict)).Inc()
	if hook != "" {
		m.askTook.WithLabelValues(hook).Observe(took.Seconds())
	}
}

func verdictName(v inbox.Verdict) string {
	switch v {
	case inbox.Done:
		return "done"
	case inbox.Again:
		return "again"
	case inbox.SetAside:
		return "set-aside"
	case inbox.Released:
		return "released"
	}
	return "unknown"
}

func outcomeOf(err error) string {
	if err != nil {
		return "failed"
	}
	return "ok"
}

// forget drops the figures of an issuer that is no longer configured.
func (m *metrics) forget(issuer string) {
	of := prometheus.Labels{"issuer": issuer}
	for _, v := range []*prometheus.CounterVec{m.sets, m.refused, m.polls, m.handled, m.calls} {
		v.DeletePartialMatch(of)
	}
	m.took.DeletePartialMatch(of)
	m.lag.DeletePartialMatch(of)
	m.whole.DeletePartialMatch(of)
}
