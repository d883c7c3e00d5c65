package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// processCollectors are the metrics of a process, whichever half it is: how it was built,
// what it takes of the machine, and how it stands with its folder and its Redis (nil:
// there is none).
func processCollectors(half, folder string, redis *redisdb.DB, logger *slog.Logger) []prometheus.Collector {
	all := []prometheus.Collector{
		buildCollector(half),
		// What the heap is made of is asked of a profile, not of every scrape.
		collectors.NewGoCollector(collectors.WithGoCollectorMemStatsMetricsDisabled()),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		folderCollector{folder},
	}
	if redis != nil {
		all = append(all, redisCollector{redis, logger})
	}
	return all
}

func buildCollector(half string) prometheus.Collector {
	labels := prometheus.Labels{"half": half, "version": release(), "go_version": runtime.Version()}
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tocsin_build_info", Help: "1: which half this is, and how it was built.", ConstLabels: labels,
	}, func() float64 { return 1 })
}

// folderCollector tells at each scrape how much room the data folder has and takes.
type folderCollector struct{ dir string }

var (
	freeDesc = prometheus.NewDesc("tocsin_data_free_bytes", "Room that the file system of the data folder has left for this process.", nil, nil)
	sizeDesc = prometheus.NewDesc("tocsin_data_bytes", "Size of a store in the data folder, its write-ahead log included.", []string{"file"}, nil)
)

// Describe names the collector's metrics.
func (folderCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- freeDesc
	ch <- sizeDesc
}

// dataFiles are the stores that there may be in a data folder.
func dataFiles() []string {
	return []string{"log.db", "state.db", "admin.db", "index.db", "inbox.db", "journal.db", "acts.db", "sessions.db"}
}

// Collect asks the file system for some sizes; it lists no folder.
func (c folderCollector) Collect(ch chan<- prometheus.Metric) {
	free, err := freeBytes(c.dir)
	if err == nil {
		ch <- prometheus.MustNewConstMetric(freeDesc, prometheus.GaugeValue, float64(free))
	}
	for _, file := range dataFiles() {
		info, err := os.Stat(filepath.Join(c.dir, file))
		if err != nil {
			continue // the other half's, or in Redis
		}
		size := info.Size()
		if wal, err := os.Stat(filepath.Join(c.dir, file+"-wal")); err == nil {
			size += wal.Size()
		}
		ch <- prometheus.MustNewConstMetric(sizeDesc, prometheus.GaugeValue, float64(size), file)
	}
}

// redisCollector asks at each scrape whether Redis is there.
type redisCollector struct {
	db     *redisdb.DB
	logger *slog.Logger
}

// redisTime bounds how long a scrape waits for Redis.
const redisTime = time.Second

var (
	redisUpDesc      = prometheus.NewDesc("tocsin_redis_up", "1 if Redis answers.", nil, nil)
	redisAnswerDesc  = prometheus.NewDesc("tocsin_redis_ping_seconds", "Time of the answer to one PING.", nil, nil)
	redisConnDesc    = prometheus.NewDesc("tocsin_redis_connections", "Connections to Redis, by state: idle, used.", []string{"state"}, nil)
	redisTimeoutDesc = prometheus.NewDesc("tocsin_redis_pool_timeouts_total", "Calls that waited in vain for a connection to Redis.", nil, nil)
)

// Describe names the collector's metrics.
func (redisCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{redisUpDesc, redisAnswerDesc, redisConnDesc, redisTimeoutDesc} {
		ch <- d
	}
}

// Collect pings once.
func (c redisCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), redisTime)
	defer cancel()
	s := c.db.State(ctx)
	up := 1.0
	if s.Err != nil {
		c.logger.WarnContext(ctx, "Redis does not answer", "err", s.Err)
		up = 0
	}
	ch <- prometheus.MustNewConstMetric(redisUpDesc, prometheus.GaugeValue, up)
	ch <- prometheus.MustNewConstMetric(redisAnswerDesc, prometheus.GaugeValue, s.Took.Seconds())
	ch <- prometheus.MustNewConstMetric(redisConnDesc, prometheus.GaugeValue, float64(s.Idle), "idle")
	ch <- prometheus.MustNewConstMetric(redisConnDesc, prometheus.GaugeValue, float64(s.Used), "used")
	ch <- prometheus.MustNewConstMetric(redisTimeoutDesc, prometheus.CounterValue, float64(s.Timeouts))
}
