package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/sqlitestore"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/push"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/request"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/webhook"
)

// The stream of a webhook is what the settings say, its owner's alone, and
// begins at the log's head.
func TestStreamOfAWebhook(t *testing.T) {
	b := newBench(t, guard.Policy{})
	v := b.create(shop(), `{"url":"https://r.example/x","types":["b","a","a"],"applications":["P","Q"],"environment":"prod"}`)
	got, err := b.store.Stream(t.Context(), v.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		streams.EventKey("prod", "P", "a"), streams.EventKey("prod", "P", "b"), streams.EventKey("prod", "Q", "a"), streams.EventKey("prod", "Q", "b"),
	}
	if diff := cmp.Diff(want, got.EventsDelivered); diff != "" || got.Owner != "webhook:shop" || got.From != 7 || got.Delivery.Method != streams.MethodWebhook {
		t.Errorf("got %+v\n%s", got, diff)
	}
	if list, err := b.store.Streams(t.Context(), "shop"); err != nil || len(list) != 0 {
		t.Errorf("streams of the application: got %v %v, want none", list, err)
	}
}

// An application has a bounded number, and a refused one leaves nothing behind.
func TestMaxWebhooks(t *testing.T) {
	b := newBench(t, guard.Policy{})
	for range webhook.MaxWebhooks {
		b.create(shop(), `{"url":"https://r.example"}`)
	}
	_, err := b.Create(t.Context(), shop(), b.request(`{"url":"https://r.example"}`))
	var refused *request.Error
	if !errors.As(err, &refused) || refused.Status != http.StatusConflict {
		t.Errorf("one more: got %v, want 409", err)
	}
	b.create(webhook.Caller{Application: "mail"}, `{"url":"https://r.example"}`)
	if rows, err := b.apps.Webhooks(t.Context(), "shop"); err != nil || len(rows) != webhook.MaxWebhooks {
		t.Errorf("rows: got %d %v, want %d", len(rows), err, webhook.MaxWebhooks)
	}
	if _, err := b.Create(t.Context(), webhook.Caller{Application: "nobody"}, b.request(`{"url":"https://r.example"}`)); !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("no application: got %v, want ErrNotFound", err)
	}
}

// An end between two steps is mended: what is half made or half removed goes,
// and a stream that is behind its row catches up.
func TestReconcile(t *testing.T) {
	b := newBench(t, guard.Policy{})
	ctx := t.Context()
	half := b.create(shop(), `{"url":"https://r.example"}`) // its stream was not made, or is gone already
	if err := b.store.Delete(ctx, half.ID); err != nil {
		t.Fatal(err)
	}
	rowless := b.create(shop(), `{"url":"https://r.example"}`)
	if err := b.apps.RemoveWebhook(ctx, rowless.ID); err != nil {
		t.Fatal(err)
	}
	behind := b.create(shop(), `{"url":"https://r.example/old"}`)
	row, err := b.apps.Webhook(ctx, behind.ID)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(row.Settings), "/old", "/new", 1)
	if err := b.apps.ChangeWebhook(ctx, row.ID, row.Revision, "another", []byte(changed)); err != nil {
		t.Fatal(err)
	}
	well := b.create(shop(), `{"url":"https://r.example"}`)
	before, err := b.store.Stream(ctx, well.ID)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to do
		if err := b.Reconcile(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.apps.Webhook(ctx, half.ID); !errors.Is(err, auth.ErrNotFound) {
		t.Errorf("half made: got %v, want ErrNotFound", err)
	}
	if _, err := b.store.Stream(ctx, rowless.ID); !errors.Is(err, streams.ErrNotFound) {
		t.Errorf("without its row: got %v, want ErrNotFound", err)
	}
	if got, err := b.store.Stream(ctx, behind.ID); err != nil || got.Delivery.EndpointURL != "https://r.example/new" || got.Delivery.AuthorizationHeader != "another" {
		t.Errorf("behind: got %+v %v, want the row's", got.Delivery, err)
	}
	after, err := b.store.Stream(ctx, well.ID)
	if diff := cmp.Diff(before, after); err != nil || diff != "" {
		t.Errorf("a good one: got %v %s, want it untouched", err, diff)
	}
}

// failing is a store of streams that fails while down.
type failing struct {
	*sqlitestore.Store
	down bool
}

var errDisk = errors.New("disk I/O error")

func (f *failing) Create(ctx context.Context, s streams.Stream, limit int) error {
	if f.down {
		return errDisk
	}
	return f.Store.Create(ctx, s, limit)
}

func (f *failing) Update(ctx context.Context, id string, change func(*streams.Stream) ([]streams.Item, error)) (streams.Stream, error) {
	if f.down {
		return streams.Stream{}, errDisk
	}
	return f.Store.Update(ctx, id, change)
}

// A store that fails between two steps: the caller hears of it, and what was
// begun is mended without a restart.
func TestMend(t *testing.T) {
	b := newBench(t, guard.Policy{})
	store := &failing{Store: b.store}
	b.cfg.Streams = store
	s := webhook.New(b.cfg)
	ctx := t.Context()
	v, err := s.Create(ctx, shop(), b.request(`{"url":"https://r.example/old"}`))
	if err != nil {
		t.Fatal(err)
	}
	store.down = true
	if _, err := s.Create(ctx, shop(), b.request(`{"url":"https://r.example"}`)); !errors.Is(err, errDisk) {
		t.Errorf("create: got %v, want the failure", err)
	}
	if list, err := s.Webhooks(ctx, shop()); err != nil || len(list) != 1 {
		t.Errorf("list: got %d %v, want the first alone", len(list), err)
	}
	if _, err := s.Update(ctx, shop(), v.ID, b.request(`{"url":"https://r.example/new"}`), false); !errors.Is(err, errDisk) {
		t.Errorf("update: got %v, want the failure", err)
	}
	if err := s.Mend(ctx); !errors.Is(err, errDisk) {
		t.Errorf("mend while it is down: got %v, want the failure", err)
	}
	store.down = false
	if err := s.Mend(ctx); err != nil {
		t.Fatal(err)
	}
	if got, err := b.store.Stream(ctx, v.ID); err != nil || got.Delivery.EndpointURL != "https://r.example/new" {
		t.Errorf("got %+v %v, want what the row says", got.Delivery, err)
	}
}

// SEC-01: an address is judged again at every connection, also the token
// endpoint's: a name that leads inside is not called, and the webhook is paused.
func TestForbiddenAddresses(t *testing.T) {
	called := false
	inside := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	t.Cleanup(inside.Close)
	name := strings.Replace(inside.URL, "127.0.0.1", "localhost", 1) // passes by its text
	b := newBench(t, guard.Policy{})
	v := b.create(shop(), `{"url":"`+name+`"}`)
	if got, err := b.Test(t.Context(), shop(), v.ID); err != nil || got.Code != "blocked" || got.Delivered {
		t.Errorf("got %+v %v, want it blocked", got, err)
	}
	v = b.create(shop(), `{"url":"https://r.example","auth":{"type":"oauth2","token_url":"`+name+`","client_id":"c","client_secret":"s"}}`)
	way := b.way(v.ID)
	_, err := way.Pack(t.Context(), []streams.Item{b.event("e", 1)})
	var cannot *push.PackError
	if !errors.As(err, &cannot) || cannot.Judgement != push.PauseStream || !strings.Contains(cannot.Text, "token_url") {
		t.Errorf("token endpoint: got %v, want a pause", err)
	}
	if called {
		t.Error("got a request inside, want none")
	}
}

func (b *bench) way(id string) push.Way {
	b.t.Helper()
	st, err := b.store.Stream(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	way, err := b.Way(b.t.Context(), st)
	if err != nil {
		b.t.Fatal(err)
	}
	return way
}

// A batch is bounded in bytes, has each event once, in order, and its id tells
// what is in it. What is gone is not in it.
func TestPackBatch(t *testing.T) {
	b := newBench(t, guard.Policy{})
	for _, format := range []string{"array", "ndjson"} {
		v := b.create(shop(), `{"url":"https://r.example","format":"`+format+`","batch":{"events":1000}}`)
		way := b.way(v.ID)
		if got := way.Batch(); got.Most != 1000 || got.Wait.Seconds() != 5 {
			t.Errorf("%s: got %+v", format, got)
		}
		var items []streams.Item
		for i := range 40 {
			items = append(items, b.event(fmt.Sprint("e", i), 40_000))
		}
		delete(b.records, "e3")
		b.records["e4"].Erased = true
		p, err := way.Pack(t.Context(), items)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Body) > 1<<20+100 || len(p.Origins) != 28 {
			t.Errorf("%s: got %d bytes, %d events packed, want at most 1 MiB and 28", format, len(p.Body), len(p.Origins))
		}
		if diff := cmp.Diff([]int{3, 4}, p.Gone); diff != "" {
			t.Errorf("%s gone: %s", format, diff)
		}
		again, err := way.Pack(t.Context(), items[:len(p.Origins)])
		if err != nil || again.Header.Get("webhook-id") != p.Header.Get("webhook-id") || again.Body != p.Body {
			t.Errorf("%s again: got %s, want the same as %s", format, again.Header.Get("webhook-id"), p.Header.Get("webhook-id"))
		}
		fewer, err := way.Pack(t.Context(), items[:5])
		if err != nil || fewer.Header.Get("webhook-id") == p.Header.Get("webhook-id") {
			t.Errorf("%s fewer: got the same id, %v, want another", format, err)
		}
		want := map[string]string{"array": "application/json", "ndjson": "application/x-ndjson"}[format]
		if got := p.Header.Get("Content-Type"); got != want {
			t.Errorf("%s: got %s, want %s", format, got, want)
		}
	}
	one := b.way(b.create(shop(), `{"url":"https://r.example"}`).ID)
	if p, err := one.Pack(t.Context(), []streams.Item{{ID: "nothing"}}); err != nil || len(p.Gone) != 1 || p.Body != "" {
		t.Errorf("gone alone: got %+v %v, want no request", p, err)
	}
}

// A secret that is brought along must be what Standard Webhooks says.
func TestSecretBroughtAlong(t *testing.T) {
	b := newBench(t, guard.Policy{})
	const (
		symmetric = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
		seed      = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=" // RFC 8032 §7.1, test 1
		public    = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
	)
	v := b.create(shop(), `{"url":"https://r.example","signing":{"secret":"`+symmetric+`"}}`)
	if v.Secret != symmetric || v.Signing.Type != webhook.Symmetric {
		t.Errorf("symmetric: got %+v", v.Signing)
	}
	v = b.create(shop(), `{"url":"https://r.example","signing":{"secret":"`+seed+`"}}`)
	if v.Secret != "" || v.Signing.Type != webhook.Asymmetric || v.Signing.PublicKey != public {
		t.Errorf("asymmetric: got %+v, want %s", v.Signing, public)
	}
	for _, wrong := range []string{
		`{"secret":"plain"}`, `{"secret":"whsec_%%"}`, `{"secret":"whsk_c2hvcnQ="}`, `{"type":"asymmetric","secret":"` + symmetric + `"}`,
		`{"secret":"whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="}`,
	} {
		_, err := b.Create(t.Context(), shop(), b.request(`{"url":"https://r.example","signing":`+wrong+`}`))
		var refused *request.Error
		if !errors.As(err, &refused) || refused.Member != "signing.secret" {
			t.Errorf("%s: got %v, want signing.secret refused", wrong, err)
		}
	}
}

// A webhook that is deleted has no way any more.
func TestNoWay(t *testing.T) {
	b := newBench(t, guard.Policy{})
	v := b.create(shop(), `{"url":"https://r.example"}`)
	st, err := b.store.Stream(t.Context(), v.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(t.Context(), shop(), v.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Way(t.Context(), st); !errors.Is(err, streams.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

// What holds a secret shows none to a log.
func TestNoSecretInALog(t *testing.T) {
	b := newBench(t, guard.Policy{})
	req := b.request(`{"url":"https://r.example/?key=hush","headers":{"x":"hush"},"auth":{"type":"bearer","token":"hush"}}`)
	v, err := b.Create(t.Context(), shop(), req)
	if err != nil {
		t.Fatal(err)
	}
	row, err := b.apps.Webhook(t.Context(), v.ID)
	if err != nil {
		t.Fatal(err)
	}
	settings := webhook.Settings{URL: "https://r.example/?key=hush", Auth: webhook.Auth{Type: "bearer", Token: "hush"}, Headers: map[string]string{"x": "hush"}}
	var out strings.Builder
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "request", req, "view", v, "row", row, "settings", settings,
		"secret", webhook.Secret{Text: v.Secret}, "auth", settings.Auth)
	if got := out.String(); strings.Contains(got, "hush") || strings.Contains(got, v.Secret) || !strings.Contains(got, v.ID) {
		t.Errorf("got %s", got)
	}
}
