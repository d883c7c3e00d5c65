package webhook_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/sqlitestore"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/webhook"
)

// records are events by id, of which nothing was said.
type records map[string]*eventlog.Record

func (records) Note(context.Context, ...eventlog.Entry) ([]eventlog.Appended, error) {
	return nil, errors.ErrUnsupported
}

func (records) Entries(context.Context, eventlog.Kind, string, eventlog.Span) ([]*eventlog.Record, error) {
	return nil, nil
}

func (r records) Get(_ context.Context, id string) (*eventlog.Record, error) {
	if rec := r[id]; rec != nil {
		return rec, nil
	}
	return nil, eventlog.ErrNotFound
}

// bench is a service on real stores.
type bench struct {
	*webhook.Service
	t       testing.TB
	apps    *auth.Store
	store   *sqlitestore.Store
	records records
	cfg     webhook.Config
}

func newBench(t testing.TB, policy guard.Policy) *bench {
	t.Helper()
	b := &bench{t: t, records: records{}}
	dir := t.TempDir()
	var err error
	if b.apps, err = auth.Open(t.Context(), filepath.Join(dir, "admin.db")); err != nil {
		t.Fatal(err)
	}
	if b.store, err = sqlitestore.Open(t.Context(), sqlitestore.Config{Path: filepath.Join(dir, "state.db")}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []io.Closer{b.apps, b.store} {
		t.Cleanup(func() { _ = c.Close() })
	}
	for _, id := range []string{"shop", "mail"} {
		if _, err := b.apps.AddApplication(t.Context(), auth.Application{ID: id, Audience: []string{"https://" + id + ".example"}}); err != nil {
			t.Fatal(err)
		}
	}
	head := func(context.Context) (uint64, error) { return 7, nil }
	check := func(url string) error { _, err := guard.CheckURL(url, policy); return err }
	catalog, err := streams.NewCatalog(streams.CatalogConfig{
		Store: b.store, Issuer: "https://t.example", Methods: []string{delivery.MethodPush}, CheckEndpoint: check, Head: head,
	})
	if err != nil {
		t.Fatal(err)
	}
	b.cfg = webhook.Config{
		Store: b.apps, Streams: b.store, Catalog: catalog, Records: b.records, Head: head, Issuer: "https://t.example",
		Client: guard.NewClient(policy), Blocked: guard.Blocked, CheckURL: check, Logger: slog.New(slog.DiscardHandler),
	}
	b.Service = webhook.New(b.cfg)
	return b
}

func (b *bench) request(body string) webhook.Request {
	b.t.Helper()
	req, err := webhook.ParseRequest([]byte(body))
	if err != nil {
		b.t.Fatal(err)
	}
	return req
}

func (b *bench) create(who webhook.Caller, body string) webhook.View {
	b.t.Helper()
	v, err := b.Create(b.t.Context(), who, b.request(body))
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// event adds an event of about so many bytes and returns the item for it.
func (b *bench) event(id string, size int) streams.Item {
	pad := make([]byte, size)
	for i := range pad {
		pad[i] = 'x'
	}
	b.records[id] = &eventlog.Record{
		ID: id, Recorded: time.Unix(1700000000, 0), Kind: eventlog.KindEvent,
		Event: eventlog.Event{Type: "a", Data: []byte(`{"pad":"` + string(pad) + `"}`)},
	}
	return streams.Item{ID: id, Type: "a", Added: time.Unix(1700000001, 0)}
}

func shop() webhook.Caller { return webhook.Caller{Application: "shop"} }
