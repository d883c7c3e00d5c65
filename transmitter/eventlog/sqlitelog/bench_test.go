package sqlitelog_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/sqlitelog"
)

// benchEvent has about 700 canonical bytes.
func benchEvent(n int64) eventlog.Event {
	return eventlog.Event{
		Source: "hr-system", SourceID: fmt.Sprint("event-", n), Type: "session-revoked",
		Time:     time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC),
		Subjects: []subject.Identifier{subject.Email(fmt.Sprint("user", n, "@example.com")), subject.IssSub("https://idp.example.com", fmt.Sprint(n))},
		Data:     json.RawMessage(`{"reason_admin":{"en":"Policy violation: landspeed"},"initiating_entity":"policy","ip":"192.0.2.17"}`),
		Mapped: []eventlog.Mapped{{
			Type:    "https://schemas.openid.net/secevent/caep/event-type/session-revoked",
			Payload: json.RawMessage(`{"event_timestamp":1763806272,"initiating_entity":"policy","reason_admin":{"en":"Policy violation: landspeed"}}`),
		}},
	}
}

// cpu returns what the process has used so far.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measure runs n calls of fn by callers and returns the CPU time of one.
func measure(callers, n int, fn func(i int64)) time.Duration {
	var next atomic.Int64
	before := cpu()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				fn(i)
			}
		})
	}
	wg.Wait()
	return (cpu() - before) / time.Duration(n)
}

// BenchmarkAppend compares, in one run and interleaved, the CPU time of a
// keyed append by 64 callers with its floors: a plain insert of such a row
// into SQLite in synced transactions of 32, and a synced write of the bytes
// to a file, 32 at a time. It also compares an empty log with one of 200,000
// records.
func BenchmarkAppend(b *testing.B) {
	const per = 4000
	empty, full := newRig(b, 0), newRig(b, 0)
	var id atomic.Int64
	add := func(l *sqlitelog.Log) func(int64) {
		return func(int64) {
			if _, err := l.Append(context.Background(), benchEvent(id.Add(1))); err != nil {
				b.Error(err)
			}
		}
	}
	for range 400 {
		events := make([]eventlog.Event, 500)
		for i := range events {
			events[i] = benchEvent(id.Add(1))
		}
		if _, err := full.log.Append(b.Context(), events...); err != nil {
			b.Fatal(err)
		}
	}
	sqlitelog.AwaitMover(full.log)
	insert, write := rawInsert(b), rawWrite(b)
	var log, big, ins, wr time.Duration
	rounds := 0
	for b.Loop() {
		rounds++
		log += measure(64, per, add(empty.log))
		ins += measure(1, per/32, insert) / 32
		big += measure(64, per, add(full.log))
		wr += measure(1, per/32, write) / 32
	}
	n := float64(rounds)
	b.ReportMetric(float64(log.Nanoseconds())/n, "cpu-ns/append")
	b.ReportMetric(float64(ins.Nanoseconds())/n, "cpu-ns/insert")
	b.ReportMetric(float64(wr.Nanoseconds())/n, "cpu-ns/write")
	b.ReportMetric(float64(log)/float64(ins), "append/insert")
	b.ReportMetric(float64(log)/float64(wr), "append/write")
	b.ReportMetric(float64(big)/float64(log), "200k/empty")
	b.ReportMetric(0, "ns/op")
}

// rawInsert is a transaction of 32 inserts through database/sql.
func rawInsert(b *testing.B) func(int64) {
	dsn := "file:" + filepath.Join(b.TempDir(), "raw.db") +
		"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=temp_store(2)&_pragma=wal_autocheckpoint(4000)&_txlock=immediate"
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE r (seq INTEGER PRIMARY KEY, at INTEGER, body BLOB) STRICT"); err != nil {
		b.Fatal(err)
	}
	stmt, err := db.Prepare("INSERT INTO r(at, body) VALUES(?, ?)")
	if err != nil {
		b.Fatal(err)
	}
	body := make([]byte, 800)
	return func(int64) {
		tx, err := db.Begin()
		if err != nil {
			b.Error(err)
			return
		}
		s := tx.Stmt(stmt)
		for i := range 32 {
			if _, err := s.Exec(i, body); err != nil {
				b.Error(err)
			}
		}
		if err := tx.Commit(); err != nil {
			b.Error(err)
		}
	}
}

// rawWrite is a synced write of 32 rows' bytes to a file.
func rawWrite(b *testing.B) func(int64) {
	f, err := os.Create(filepath.Join(b.TempDir(), "raw"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	row := make([]byte, 800)
	return func(int64) {
		for range 32 {
			if _, err := f.Write(row); err != nil {
				b.Error(err)
			}
		}
		if err := f.Sync(); err != nil {
			b.Error(err)
		}
	}
}
