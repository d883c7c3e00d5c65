package transmitter

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// topStreams bounds the streams that have a depth of their own; the rest is in the
// total.
const topStreams = 20

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
