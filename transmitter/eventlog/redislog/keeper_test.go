package redislog_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint/redischeckpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/redislog"
)

// loses runs a keeper until it has signed a second record, which a failover to the
// replica then takes back; it has to end because of that.
func loses(t *testing.T, k *checkpoint.Keeper, l *redislog.Log, lagging *redistest.Server, way *line) {
	t.Helper()
	cut(t, lagging, "1")
	add(t, l, event(2))
	ended := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() { ended <- k.Run(ctx) }()
	for size := uint64(0); size < 2; {
		c, err := k.Last(ctx)
		if err != nil {
			t.Fatal(err)
		}
		size = c.Size
	}
	promote(t, lagging)
	way.to(lagging.Addr)
	if err := <-ended; !errors.Is(err, redislog.ErrLost) {
		t.Errorf("got %v from Run, want %v", err, redislog.ErrLost)
	}
}

// A running keeper of checkpoints ends with an error when records are lost, and signs
// nothing of what is left; nor does one that is started then.
func TestKeeper(t *testing.T) {
	server := redistest.Start(t)
	lagging := server.StartReplica(t)
	way := newLine(t, server.Addr)
	l := open(t, redisdb.Config{URL: "redis://" + way.addr, Volatile: true}, redislog.Config{})
	admin, err := auth.Open(t.Context(), filepath.Join(t.TempDir(), "admin.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close() })
	keeper := func(l *redislog.Log) (*checkpoint.Keeper, error) {
		return checkpoint.Open(t.Context(), checkpoint.Config{
			Store: checkpoint.NewStore(admin.DB()), Log: l, Origin: "ssf.example/log", Every: time.Millisecond,
		})
	}
	k, err := keeper(l)
	if err != nil {
		t.Fatal(err)
	}
	add(t, l, event(1))
	loses(t, k, l, lagging, way)

	var told bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&told, nil))
	anew := open(t, plain(lagging), redislog.Config{Logger: logger})
	if text := told.String(); !strings.Contains(text, "level=ERROR") || !strings.Contains(text, "seen=2 found=1") {
		t.Errorf("got %q logged, want that one record was lost", text)
	}
	if _, err := keeper(anew); !errors.Is(err, checkpoint.ErrOldLog) {
		t.Errorf("a shorter log: got %v, want %v", err, checkpoint.ErrOldLog)
	}
	add(t, anew, event(3))
	if _, err := keeper(anew); !errors.Is(err, checkpoint.ErrOtherLog) {
		t.Errorf("another log: got %v, want %v", err, checkpoint.ErrOtherLog)
	}
	if err := lagging.Client(t).HDel(t.Context(), "tocsin:{log}:head", "lost").Err(); err != nil {
		t.Fatal(err)
	}
	told.Reset()
	open(t, plain(lagging), redislog.Config{Logger: logger})
	if told.Len() > 0 {
		t.Errorf("got %q logged when it is known, want nothing", told.String())
	}
}

// Where the server lost records and the checkpoint of them, a running keeper puts that
// back: a node that is started on what is left, and knows of neither, is stopped by it.
func TestKeeperPutsBack(t *testing.T) {
	server := redistest.Start(t)
	lagging := server.StartReplica(t)
	way := newLine(t, server.Addr)
	keeper := func(cfg redisdb.Config) (*checkpoint.Keeper, *redislog.Log, error) {
		l := open(t, cfg, redislog.Config{})
		k, err := checkpoint.Open(t.Context(), checkpoint.Config{
			Store: redischeckpoint.New(connect(t, cfg)), Log: l, Origin: "ssf.example/log", Every: time.Millisecond,
			Seen: filepath.Join(t.TempDir(), "checkpoint"),
		})
		return k, l, err
	}
	k, l, err := keeper(redisdb.Config{URL: "redis://" + way.addr, Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	add(t, l, event(1))
	if _, err := k.Sign(t.Context()); err != nil {
		t.Fatal(err)
	}
	loses(t, k, l, lagging, way)
	last, err := redischeckpoint.New(connect(t, plain(lagging))).Last(t.Context())
	if err != nil || last.Size != 2 {
		t.Errorf("got the checkpoint of %d (%v) at the server, want that of 2", last.Size, err)
	}
	if _, _, err := keeper(plain(lagging)); !errors.Is(err, checkpoint.ErrOldLog) || !strings.Contains(err.Error(), "server") {
		t.Errorf("a node that is new: got %v, want %v, and what to do", err, checkpoint.ErrOldLog)
	}
}
