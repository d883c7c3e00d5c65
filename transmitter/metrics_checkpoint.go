package transmitter

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
)

// checkpointCollector tells at each scrape what was signed last.
type checkpointCollector struct{ checkpoints *checkpoint.Keeper }

var (
	signedDesc = prometheus.NewDesc("tocsin_checkpoint_size", "Records of the log that the last checkpoint signs.", nil, nil)
	madeDesc   = prometheus.NewDesc("tocsin_checkpoint_timestamp_seconds", "When the last checkpoint was signed.", nil, nil)
)

// Describe names the collector's metrics.
func (checkpointCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- signedDesc
	ch <- madeDesc
}

// Collect reads the last checkpoint.
func (c checkpointCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	last, err := c.checkpoints.Last(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(signedDesc, err)
		return
	}
	ch <- prometheus.MustNewConstMetric(signedDesc, prometheus.GaugeValue, float64(last.Size))
	ch <- prometheus.MustNewConstMetric(madeDesc, prometheus.GaugeValue, float64(last.Made.UnixMilli())/1000)
}
