package signer

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// counters count what a client asked for.
type counters struct {
	signed, failed atomic.Uint64
	took           atomic.Int64 // nanoseconds, of those signed
}

func (c *counters) observe(err error, took time.Duration) {
	if err != nil {
		c.failed.Add(1)
		return
	}
	c.signed.Add(1)
	c.took.Add(int64(took))
}

// Metrics are those of a client, told at each scrape.
func (c *Client) Metrics() prometheus.Collector { return collector{c} }

type collector struct{ client *Client }

var (
	upDesc     = prometheus.NewDesc("tocsin_signer_up", "1 while the signer answers, 0 while it is away.", nil, nil)
	keysDesc   = prometheus.NewDesc("tocsin_signer_keys", "Keys that the signer announced last.", nil, nil)
	asksDesc   = prometheus.NewDesc("tocsin_signer_requests_total", "Signatures asked of the signer, by outcome.", []string{"outcome"}, nil)
	secondDesc = prometheus.NewDesc("tocsin_signer_seconds_total", "Time that the signatures took that it gave.", nil, nil)
)

// Describe names the metrics.
func (collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{upDesc, keysDesc, asksDesc, secondDesc} {
		ch <- d
	}
}

// Collect tells them.
func (m collector) Collect(ch chan<- prometheus.Metric) {
	s := m.client.state.Load()
	up, keys := 1.0, 0
	if s.why != nil {
		up = 0
	}
	if s.keys != nil {
		keys = s.keys.Len()
	}
	ch <- prometheus.MustNewConstMetric(upDesc, prometheus.GaugeValue, up)
	ch <- prometheus.MustNewConstMetric(keysDesc, prometheus.GaugeValue, float64(keys))
	for outcome, n := range map[string]*atomic.Uint64{"signed": &m.client.stats.signed, "failed": &m.client.stats.failed} {
		ch <- prometheus.MustNewConstMetric(asksDesc, prometheus.CounterValue, float64(n.Load()), outcome)
	}
	ch <- prometheus.MustNewConstMetric(secondDesc, prometheus.CounterValue, time.Duration(m.client.stats.took.Load()).Seconds())
}
