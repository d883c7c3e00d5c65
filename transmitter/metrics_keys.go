package transmitter

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-ssf/tocsin/transmitter/keys"
)

// keyCollector tells at each scrape which signing keys there are.
type keyCollector struct {
	ring *keys.Ring
	now  func() time.Time
}

var (
	keysDesc   = prometheus.NewDesc("tocsin_signing_keys", "Signing keys in the key set, by state: current, next, old, announced by a signer.", []string{"state"}, nil)
	keyDueDesc = prometheus.NewDesc("tocsin_signing_key_rotation_timestamp_seconds", "When the schedule replaces the key that signs; 0: there is no schedule.", nil, nil)
	keyAgeDesc = prometheus.NewDesc("tocsin_signing_key_age_seconds", "Age of the key that signs.", nil, nil)
)

// Describe names the collector's metrics.
func (keyCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- keysDesc
	ch <- keyAgeDesc
	ch <- keyDueDesc
}

// Collect counts the keys.
func (c keyCollector) Collect(ch chan<- prometheus.Metric) {
	count := map[string]int{"current": 0, "next": 0, "old": 0, "announced": 0}
	for _, k := range c.ring.List() {
		switch {
		case k.Current:
			count["current"]++
			ch <- prometheus.MustNewConstMetric(keyAgeDesc, prometheus.GaugeValue, c.now().Sub(k.Created).Seconds())
		case k.Next:
			count["next"]++
		case k.Announced:
			count["announced"]++
		default:
			count["old"]++
		}
	}
	due := 0.0
	if at := c.ring.Due(); !at.IsZero() {
		due = float64(at.Unix())
	}
	ch <- prometheus.MustNewConstMetric(keyDueDesc, prometheus.GaugeValue, due)
	for state, n := range count {
		ch <- prometheus.MustNewConstMetric(keysDesc, prometheus.GaugeValue, float64(n), state)
	}
}
