package main

import (
	"crypto/tls"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics of a certificate.
const (
	certStart  = "tocsin_tls_certificate_start_timestamp_seconds"
	certExpiry = "tocsin_tls_certificate_expiry_timestamp_seconds"
)

// certCollector tells at each scrape of when until when the certificate is good that is
// served, 0 if there is none: from both an alert sees what is left of its life, be it of
// days or of a year.
type certCollector struct {
	served func() *tls.Certificate // nil: there is none
}

// collectorOf looks as a client would that names nobody, so that a scrape also sees a change
// of files.
func collectorOf(secure *tls.Config) prometheus.Collector {
	return certCollector{func() *tls.Certificate {
		cert, err := secure.GetCertificate(&tls.ClientHelloInfo{})
		if err != nil {
			return nil
		}
		return cert
	}}
}

// Describe tells what there is to tell.
func (c certCollector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect tells.
func (c certCollector) Collect(ch chan<- prometheus.Metric) {
	var start, end float64
	if cert := c.served(); cert != nil && cert.Leaf != nil {
		start, end = float64(cert.Leaf.NotBefore.Unix()), float64(cert.Leaf.NotAfter.Unix())
	}
	for _, one := range []struct {
		name, help string
		value      float64
	}{
		{certStart, "Since when the certificate that is served is good.", start},
		{certExpiry, "When the certificate that is served expires.", end},
	} {
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(one.name, one.help, nil, nil), prometheus.GaugeValue, one.value)
	}
}
