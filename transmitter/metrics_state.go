package transmitter

import (
	"context"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// stateCollector tells at each scrape whether work is taken, and how far it has come.
type stateCollector struct{ t *Transmitter }

var (
	readyDesc  = prometheus.NewDesc("tocsin_ready", "1 if work is taken: the stores answer, and the end is not near (/readyz).", nil, nil)
	headDesc   = prometheus.NewDesc("tocsin_log_records", "Records that the event log has had, those erased since included.", nil, nil)
	fanoutDesc = prometheus.NewDesc("tocsin_fanout_lag", "Records of the log that the fan-out has yet to bring to queues, on the part of the streams that is furthest behind.", nil, nil)
	partsDesc  = prometheus.NewDesc("tocsin_fanout_parts", "Parts of the streams that this process works for: 1, and with Redis 0 to 16.", nil, nil)
)

// Describe names the collector's metrics.
func (stateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{readyDesc, headDesc, fanoutDesc, partsDesc} {
		ch <- d
	}
}

// Collect asks the stores what they know without looking.
func (s stateCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	gauge := func(desc *prometheus.Desc, value float64) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value)
	}
	ready := 0.0
	if s.t.ready(ctx) == nil && !s.t.refusing() {
		ready = 1
	}
	gauge(readyDesc, ready)
	places, err := s.t.work.places(ctx) // before the head, which only grows
	if err != nil {
		ch <- prometheus.NewInvalidMetric(fanoutDesc, err)
		return
	}
	head, err := s.t.cfg.Log.Head(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(headDesc, err)
		return
	}
	lag := uint64(0)
	if len(places) > 0 {
		lag = head - min(head, slices.Min(places))
	}
	gauge(headDesc, float64(head))
	gauge(fanoutDesc, float64(lag))
	gauge(partsDesc, float64(len(places)))
}
