package transmitter_test

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// calls counts what requests ask of the stores.
type calls struct{ n atomic.Int64 }

// asked counts one call and returns what it is asked of.
func asked[T any](c *calls, of T) T {
	c.n.Add(1)
	return of
}

// countedStore counts what handlers ask of the embedded store of streams.
type countedStore struct {
	streams.Store
	calls *calls
}

func (s countedStore) of() streams.Store { return asked(s.calls, s.Store) }

func (s countedStore) Create(ctx context.Context, one streams.Stream, limit int) error {
	return s.of().Create(ctx, one, limit)
}

func (s countedStore) Stream(ctx context.Context, id string) (streams.Stream, error) {
	return s.of().Stream(ctx, id)
}

func (s countedStore) Streams(ctx context.Context, owner string) ([]streams.Stream, error) {
	return s.of().Streams(ctx, owner)
}

func (s countedStore) Update(ctx context.Context, id string, change func(*streams.Stream) ([]streams.Item, error)) (streams.Stream, error) {
	return s.of().Update(ctx, id, change)
}

func (s countedStore) Delete(ctx context.Context, id string) error { return s.of().Delete(ctx, id) }

func (s countedStore) Touch(ctx context.Context, id string, at time.Time) { s.of().Touch(ctx, id, at) }

func (s countedStore) Add(ctx context.Context, stream string, id subject.Identifier, limit int) error {
	return s.of().Add(ctx, stream, id, limit)
}

func (s countedStore) Remove(ctx context.Context, stream string, id subject.Identifier, limit int) error {
	return s.of().Remove(ctx, stream, id, limit)
}

func (s countedStore) Put(ctx context.Context, items ...streams.Item) (streams.PutReport, error) {
	return s.of().Put(ctx, items...)
}

func (s countedStore) Take(ctx context.Context, stream string, opts streams.TakeOptions) ([]streams.Item, error) {
	return s.of().Take(ctx, stream, opts)
}

func (s countedStore) Settle(ctx context.Context, stream string, outcomes []streams.Outcome, health *streams.Health) ([]streams.Item, error) {
	return s.of().Settle(ctx, stream, outcomes, health)
}

func (s countedStore) More(ctx context.Context, stream string) (bool, error) {
	return s.of().More(ctx, stream)
}

func (s countedStore) Depth(ctx context.Context, stream string) (streams.Depth, error) {
	return s.of().Depth(ctx, stream)
}

func (s countedStore) Health(ctx context.Context, stream string) (streams.Health, error) {
	return s.of().Health(ctx, stream)
}

func (s countedStore) DeadLetters(ctx context.Context, stream, after string, max int) ([]streams.DeadLetter, string, error) {
	return s.of().DeadLetters(ctx, stream, after, max)
}

func (s countedStore) Resend(ctx context.Context, stream, id string) error {
	return s.of().Resend(ctx, stream, id)
}

func (s countedStore) Drop(ctx context.Context, stream, id string) error {
	return s.of().Drop(ctx, stream, id)
}

// archived is a log with what proofs are made of.
type archived interface {
	eventlog.Log
	eventlog.Archive
}

// countedLog counts what handlers ask of the log.
type countedLog struct {
	archived
	calls *calls
}

func (l countedLog) of() archived { return asked(l.calls, l.archived) }

func (l countedLog) Get(ctx context.Context, id string) (*eventlog.Record, error) {
	return l.of().Get(ctx, id)
}

func (l countedLog) Record(ctx context.Context, seq uint64) (*eventlog.Record, error) {
	return l.of().Record(ctx, seq)
}

func (l countedLog) Entries(ctx context.Context, kind eventlog.Kind, ref string, span eventlog.Span) ([]*eventlog.Record, error) {
	return l.of().Entries(ctx, kind, ref, span)
}

func (l countedLog) Note(ctx context.Context, entries ...eventlog.Entry) ([]eventlog.Appended, error) {
	return l.of().Note(ctx, entries...)
}

// countedIndex counts what handlers ask of the index.
type countedIndex struct {
	eventlog.Index
	calls *calls
}

func (i countedIndex) of() eventlog.Index { return asked(i.calls, i.Index) }

func (i countedIndex) Search(ctx context.Context, q *eventlog.Query) (eventlog.Page, error) {
	return i.of().Search(ctx, q)
}

func (i countedIndex) Of(ctx context.Context, ids []subject.Identifier, after, before uint64, max int) ([]uint64, error) {
	return i.of().Of(ctx, ids, after, before, max)
}

// countedBackend counts what is asked of applications, clients, sources and webhooks.
type countedBackend struct {
	auth.Backend
	calls *calls
}

func (b countedBackend) of() auth.Backend { return asked(b.calls, b.Backend) }

func (b countedBackend) Read(ctx context.Context, fn func(*auth.Tx) error) error {
	return b.of().Read(ctx, fn)
}

func (b countedBackend) Write(ctx context.Context, fn func(*auth.Tx) error) error {
	return b.of().Write(ctx, fn)
}

func (b countedBackend) Holder(ctx context.Context, c auth.Credential, known uint64) (auth.Holder, error) {
	return b.of().Holder(ctx, c, known)
}

// countedWire counts the exchanges with Redis.
type countedWire struct{ calls *calls }

func (w countedWire) DialHook(next redis.DialHook) redis.DialHook { return next }

func (w countedWire) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return asked(w.calls, next)(ctx, cmd) }
}

func (w countedWire) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { return asked(w.calls, next)(ctx, cmds) }
}
