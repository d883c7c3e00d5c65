package receive

import (
	"context"
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
	"github.com/tocsin-ssf/tocsin/receiver/keeper"
	"github.com/tocsin-ssf/tocsin/set"
)

// scrapeTime bounds how long a scrape may ask the store.
const scrapeTime = 2 * time.Second

// metrics are the daemon's own. Labels take names of the configuration and words of
// ours, nothing that others send.
type metrics struct {
	registry *prometheus.Registry
	sets     *prometheus.CounterVec   // by issuer, delivery, outcome
	refused  *prometheus.CounterVec   // by issuer, code
	polls    *prometheus.CounterVec   // by issuer, outcome
	handled  *prometheus.CounterVec   // by issuer, verdict
	took     *prometheus.HistogramVec // seconds of an event's hooks, by issuer
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
	m.registry.MustRegister(m.sets, m.refused, m.polls, m.handled, m.took, m.lag, m.asked, m.askTook, m.calls, m.gate, m.gateTook, m.reloads, m.limited, m.commits, m.commit)
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
		Done:   func(since time.Duration) { m.lag.WithLabelValues(issuer).Observe(since.Seconds()) },
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
}

// healthCollector reads depths and keys when it is asked.
type healthCollector struct {
	health func(ctx context.Context) Health
	now    func() time.Time
}

var (
	depthDesc    = prometheus.NewDesc("tocsin_receive_inbox_events", "Events in the inbox, by state.", []string{"issuer", "state"}, nil)
	standingDesc = prometheus.NewDesc("tocsin_receive_issuer_ok", "1 if all is well with the issuer.", []string{"issuer"}, nil)
	keysDesc     = prometheus.NewDesc("tocsin_receive_keys", "Keys of the issuer that are known.", []string{"issuer"}, nil)
	fetchedDesc  = prometheus.NewDesc("tocsin_receive_keys_fetched_timestamp_seconds", "When keys were last fetched.", []string{"issuer"}, nil)
	oldestDesc   = prometheus.NewDesc("tocsin_receive_inbox_oldest_seconds", "Age of the oldest event that waits; 0: none does.", []string{"issuer"}, nil)
)

// Describe implements prometheus.Collector.
func (c healthCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{depthDesc, oldestDesc, standingDesc, keysDesc, fetchedDesc} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (c healthCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	for _, is := range c.health(ctx).Issuers {
		gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, append([]string{is.Name}, labels...)...)
		}
		ok := 0.0
		if is.Standing == keeper.OK {
			ok = 1
		}
		gauge(standingDesc, ok)
		gauge(keysDesc, float64(is.Keys.Count))
		if !is.Keys.Fetched.IsZero() {
			gauge(fetchedDesc, float64(is.Keys.Fetched.UnixMilli())/1000)
		}
		if is.Inbox.Error != "" {
			continue
		}
		n := is.Inbox
		for state, value := range map[string]int{"waiting": n.Waiting, "running": n.Running, "failing": n.Failing, "dead": n.Dead} {
			gauge(depthDesc, float64(value), state)
		}
		oldest := 0.0
		if !n.Oldest.IsZero() {
			oldest = max(c.now().Sub(n.Oldest).Seconds(), 0)
		}
		gauge(oldestDesc, oldest)
	}
}
