package receive

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-ssf/tocsin/receiver/keeper"
	"github.com/tocsin-ssf/tocsin/streams"
)

// scrapeTime bounds how long a scrape may ask the store.
const scrapeTime = 2 * time.Second

// healthCollector reads what health tells when it is asked.
type healthCollector struct {
	health func(ctx context.Context) Health
	gated  bool
	now    func() time.Time
}

var (
	readyDesc      = prometheus.NewDesc("tocsin_receive_ready", "1 if SETs are taken (/readyz).", nil, nil)
	configuredDesc = prometheus.NewDesc("tocsin_receive_configured_timestamp_seconds", "When the configuration in force was read.", nil, nil)
	refusedDesc    = prometheus.NewDesc("tocsin_receive_configuration_refused", "1 if the configuration that was read last was refused; the one before is in force.", nil, nil)
	dryDesc        = prometheus.NewDesc("tocsin_receive_dry_run", "1 if hooks are only reported, not run.", nil, nil)
	orphansDesc    = prometheus.NewDesc("tocsin_receive_orphans", "Issuers that are not configured and whose events wait.", nil, nil)
	gateReadyDesc  = prometheus.NewDesc("tocsin_receive_gate_ready", "1 if the gate knows the state of sessions.", nil, nil)

	depthDesc    = prometheus.NewDesc("tocsin_receive_inbox_events", "Events in the inbox, by state.", []string{"issuer", "state"}, nil)
	oldestDesc   = prometheus.NewDesc("tocsin_receive_inbox_oldest_seconds", "Age of the oldest event that waits; 0: none does.", []string{"issuer"}, nil)
	standingDesc = prometheus.NewDesc("tocsin_receive_issuer_ok", "1 if all is well with the issuer.", []string{"issuer"}, nil)
	enabledDesc  = prometheus.NewDesc("tocsin_receive_stream_enabled", "1 if the stream at the issuer is enabled, 0 if it is not or that is not known.", []string{"issuer"}, nil)
	keysDesc     = prometheus.NewDesc("tocsin_receive_keys", "Keys of the issuer that are known.", []string{"issuer"}, nil)
	fetchedDesc  = prometheus.NewDesc("tocsin_receive_keys_fetched_timestamp_seconds", "When keys were last fetched.", []string{"issuer"}, nil)
	lastDesc     = prometheus.NewDesc("tocsin_receive_last_set_timestamp_seconds", "When the last SET came, one that had come before included; 0: none since the start.", []string{"issuer"}, nil)
	verifiedDesc = prometheus.NewDesc("tocsin_receive_verified_timestamp_seconds", "When the last verification event came; 0: none since the start.", []string{"issuer"}, nil)
	polledDesc   = prometheus.NewDesc("tocsin_receive_polled_timestamp_seconds", "When a poll last succeeded; 0: none since the start.", []string{"issuer"}, nil)
	ignoredDesc  = prometheus.NewDesc("tocsin_receive_ignored_total", "Events that were acknowledged and reached no hook, by reason.", []string{"issuer", "reason"}, nil)
)

// Describe implements prometheus.Collector.
func (c healthCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		readyDesc, configuredDesc, refusedDesc, dryDesc, orphansDesc, gateReadyDesc, depthDesc, oldestDesc, standingDesc, enabledDesc,
		keysDesc, fetchedDesc, lastDesc, verifiedDesc, polledDesc, ignoredDesc,
	} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (c healthCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	h := c.health(ctx)
	gauge(readyDesc, flag(h.Ready))
	gauge(configuredDesc, stamp(h.Loaded))
	gauge(refusedDesc, flag(h.Reload != ""))
	gauge(dryDesc, flag(h.DryRun))
	gauge(orphansDesc, float64(len(h.Orphans)))
	if c.gated {
		gauge(gateReadyDesc, flag(h.Gate == ""))
	}
	for _, is := range h.Issuers {
		c.issuer(is, gauge)
		for _, reason := range []string{"event_type", "subject_issuer"} {
			ch <- prometheus.MustNewConstMetric(ignoredDesc, prometheus.CounterValue, float64(is.Ignored[reason]), is.Name, reason)
		}
	}
}

// issuer tells of one issuer.
func (c healthCollector) issuer(is IssuerHealth, gauge func(*prometheus.Desc, float64, ...string)) {
	gauge(standingDesc, flag(is.Standing == keeper.OK), is.Name)
	gauge(keysDesc, float64(is.Keys.Count), is.Name)
	gauge(lastDesc, stamp(is.Received), is.Name)
	if !is.Keys.Fetched.IsZero() {
		gauge(fetchedDesc, stamp(is.Keys.Fetched), is.Name)
	}
	if is.Stream != nil {
		gauge(enabledDesc, flag(is.Stream.Status == streams.Enabled), is.Name)
		gauge(verifiedDesc, stamp(is.Verification.Answered), is.Name)
	}
	if is.Poll != nil {
		gauge(polledDesc, stamp(is.Poll.Polled), is.Name)
	}
	if is.Inbox.Error != "" {
		return
	}
	n := is.Inbox
	for state, value := range map[string]int{"waiting": n.Waiting, "running": n.Running, "failing": n.Failing, "dead": n.Dead} {
		gauge(depthDesc, float64(value), is.Name, state)
	}
	oldest := 0.0
	if !n.Oldest.IsZero() {
		oldest = max(c.now().Sub(n.Oldest).Seconds(), 0)
	}
	gauge(oldestDesc, oldest, is.Name)
}

func flag(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// stamp returns a time in seconds of the Unix epoch, 0 for none.
func stamp(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
