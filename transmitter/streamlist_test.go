package transmitter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

// listed is a page of streams.
type listed struct {
	Streams []struct {
		ID          string `json:"stream_id"`
		Application string `json:"application"`
	} `json:"streams"`
	Next   string `json:"next"`
	Looked int    `json:"looked"`
}

func (l listed) ids() (ids []string) {
	for _, s := range l.Streams {
		ids = append(ids, s.ID)
	}
	return ids
}

func (o *operator) listed(query string) (l listed) {
	o.t.Helper()
	a := o.must(200, "GET", "/admin/streams"+query, "", "")
	if err := json.Unmarshal([]byte(a.body), &l); err != nil {
		o.t.Fatalf("%s: got %s: %v", query, a.body, err)
	}
	return l
}

// register puts a stream into the store as it is given, with what it needs besides.
func (h *house) register(s streams.Stream) {
	h.t.Helper()
	s.Issuer, s.Audience, s.DefaultSubjects = h.issuer, []string{"https://" + s.Owner + ".example"}, streams.SubjectsAll
	if s.Created.IsZero() {
		s.Created = time.Now()
	}
	if s.Status == "" {
		s.Status, s.StatusBy = streams.Enabled, streams.ByReceiver
	}
	if s.Delivery.Method == "" {
		s.Delivery.Method = delivery.MethodPoll
	}
	if err := h.store.Create(h.t.Context(), s, 0); err != nil {
		h.t.Fatal(err)
	}
}

// An operator pages through the streams of all applications, each once, also while streams
// go and come; webhooks are not among them.
func TestStreamPages(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	o := h.operator(h.SocketHandler())
	start := time.Now()
	var want []string
	for app := range 3 {
		for n := range 4 {
			id := fmt.Sprintf("s-%d-%d", app, n)
			want = append(want, id)
			h.register(streams.Stream{ID: id, Owner: fmt.Sprintf("app-%d", app), Created: start.Add(time.Duration(n) * time.Second)})
		}
	}
	h.register(streams.Stream{ID: "hook", Owner: streams.WebhookOwner("app-1"), Delivery: streams.Delivery{Method: streams.MethodWebhook, EndpointURL: "https://app.example"}})
	pages := func(first string, between func(listed)) (got []string) {
		query := first
		for range 20 {
			page := o.listed(query)
			got = append(got, page.ids()...)
			if page.Next == "" {
				return got
			}
			between(page)
			query = first + "&after=" + url.QueryEscape(page.Next)
		}
		t.Fatalf("%s: got page after page", first)
		return nil
	}
	for _, limit := range []int{1, 2, 3, 5, 12, 200} {
		got := pages(fmt.Sprintf("?limit=%d", limit), func(page listed) {
			if len(page.Streams) != limit {
				t.Errorf("limit %d: got a page of %d that is not the last", limit, len(page.Streams))
			}
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("limit %d: want - got +\n%s", limit, diff)
		}
	}
	if got := o.listed("?limit=12"); got.Next != "" || got.Looked != 12 {
		t.Errorf("the last page: got next %q after %d, want none after 12", got.Next, got.Looked)
	}
	var gone []string
	got := pages("?limit=5", func(page listed) { // the stream that the page ended with goes
		last := page.Streams[len(page.Streams)-1].ID
		gone = append(gone, last)
		if err := h.store.Delete(t.Context(), last); err != nil {
			t.Fatal(err)
		}
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("while %v go: want - got +\n%s", gone, diff)
	}
}

// Streams are found by what people know of them, and by what is wrong with them.
func TestStreamSearch(t *testing.T) {
	h := open(t, func(s *setup) { s.idle = true })
	o := h.operator(h.SocketHandler())
	push := func(url string) streams.Delivery {
		return streams.Delivery{Method: delivery.MethodPush, EndpointURL: url, AuthorizationHeader: "Bearer hush"}
	}
	h.register(streams.Stream{ID: "Alpha-1", Owner: "shop", Description: "The Till in Ghent", Delivery: push("https://events.shop.example/in?key=hush")})
	h.register(streams.Stream{ID: "beta-2", Owner: "bank", Status: streams.Paused, StatusBy: streams.ByPolicy, Reason: "audit"})
	h.register(streams.Stream{ID: "gamma-3", Owner: "bank@test", Status: streams.Disabled, StatusBy: streams.ByReceiver})
	h.deadLetter("beta-2")
	h.put("Alpha-1", "waits")
	if _, err := h.store.Settle(t.Context(), "Alpha-1", nil, &streams.Health{Failures: 1, FirstFailure: time.Now(), LastError: "http_503"}); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string][]string{
		"":                               {"beta-2", "gamma-3", "Alpha-1"},
		"q=ALPHA":                        {"Alpha-1"},
		"q=bank":                         {"beta-2", "gamma-3"},
		"q=ghent":                        {"Alpha-1"},
		"q=events.shop":                  {"Alpha-1"},
		"q=hush":                         nil, // a query of an URL may be a secret
		"q=till&status=paused":           nil,
		"status=paused":                  {"beta-2"},
		"status=disabled":                {"gamma-3"},
		"method=push":                    {"Alpha-1"},
		"method=poll":                    {"beta-2", "gamma-3"},
		"has=queued":                     {"Alpha-1"},
		"has=dead_letters":               {"beta-2"},
		"has=failures":                   {"Alpha-1"},
		"q=bank&status=paused&has=":      {"beta-2"},
		"q=%20beta%20&method=&status=":   {"beta-2"},
		"status=enabled&has=failures":    {"Alpha-1"},
		"method=poll&has=queued&q=gamma": nil,
	} {
		if diff := cmp.Diff(want, o.listed("?"+query).ids()); diff != "" {
			t.Errorf("%s: want - got +\n%s", query, diff)
		}
	}
}

// many is a store that has very many streams, of which nothing is told but that.
type many struct {
	streams.Store
	n int
}

func (m many) Owners(context.Context) (owners []string, err error) {
	for n := range m.n / 10 {
		owners = append(owners, fmt.Sprintf("app-%04d", n))
	}
	return owners, nil
}

func (m many) Streams(_ context.Context, owner string) (list []streams.Stream, err error) {
	for n := range 10 {
		list = append(list, streams.Stream{ID: fmt.Sprintf("%s-s%d", owner, n), Owner: owner, Status: streams.Enabled, DefaultSubjects: streams.SubjectsAll, Delivery: streams.Delivery{Method: delivery.MethodPoll}})
	}
	return list, nil
}

func (m many) Stream(ctx context.Context, id string) (streams.Stream, error) {
	list, err := m.Streams(ctx, id[:strings.LastIndexByte(id, '-')])
	if i := slices.IndexFunc(list, func(s streams.Stream) bool { return s.ID == id }); i >= 0 {
		return list[i], err
	}
	return streams.Stream{}, streams.ErrNotFound
}

func (many) Depth(context.Context, string) (d streams.Depth, err error)   { return d, nil }
func (many) Health(context.Context, string) (h streams.Health, err error) { return h, nil }

// A search looks at so many streams for one page and no more, and says where it goes on.
func TestStreamSearchIsBounded(t *testing.T) {
	h := open(t, func(s *setup) {
		s.idle = true
		s.wrapStore = func(store streams.Store) streams.Store { return many{store, 10_000} }
	})
	o := h.operator(h.SocketHandler())
	first := o.listed("?q=app-0100-s")
	if len(first.Streams) != 0 || first.Looked != 1000 || first.Next == "" {
		t.Fatalf("got %d streams of %d and next %q, want none of 1000 and a next", len(first.Streams), first.Looked, first.Next)
	}
	if got := o.listed("?q=app-0100-s&after=" + first.Next); len(got.Streams) != 10 || got.Streams[0].ID != "app-0100-s0" || got.Next == "" {
		t.Errorf("got %v and next %q, want the ten of app-0100 and a next", got.ids(), got.Next)
	}
}

// An operator sees what will change a stream by itself, and when.
func TestStreamRules(t *testing.T) {
	at := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	h := open(t, func(s *setup) {
		s.idle, s.PushGiveUp, s.PushRefusals, s.Expiry = true, 48*time.Hour, 5, 24*time.Hour
	})
	o := h.operator(h.SocketHandler())
	type rule struct {
		Rule string    `json:"rule"`
		At   time.Time `json:"at"`
		Left int       `json:"left"`
	}
	rules := func(id string) (got []rule) {
		text := o.must(200, "GET", "/admin/streams/"+id, "", "").member("rules")
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("%s: got %s: %v", id, text, err)
		}
		return got
	}
	push := streams.Delivery{Method: delivery.MethodPush, EndpointURL: "https://shop.example"}
	h.register(streams.Stream{ID: "well", Owner: "shop"})
	h.register(streams.Stream{ID: "idle", Owner: "shop", Active: at, InactivityTimeout: time.Hour})
	h.register(streams.Stream{ID: "held", Owner: "shop", Active: at, InactivityTimeout: time.Hour, Status: streams.Paused, StatusBy: streams.ByReceiver})
	h.register(streams.Stream{ID: "locked", Owner: "shop", Active: at, InactivityTimeout: time.Hour, Status: streams.Paused, StatusBy: streams.ByPolicy})
	h.register(streams.Stream{ID: "ill", Owner: "shop", Delivery: push})
	h.put("ill", "waits")
	if _, err := h.store.Settle(t.Context(), "ill", nil, &streams.Health{Failures: 3, FirstFailure: at, Refusals: 4, LastError: "http_503"}); err != nil {
		t.Fatal(err)
	}
	depth, err := h.store.Depth(t.Context(), "ill")
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string][]rule{
		"well":   {},
		"idle":   {{Rule: "inactivity", At: at.Add(time.Hour)}},
		"held":   {{Rule: "inactivity", At: at.Add(time.Hour)}},
		"locked": {},
		"ill":    {{Rule: "give_up", At: at.Add(48 * time.Hour)}, {Rule: "refusals", Left: 1}, {Rule: "expiry", At: depth.Oldest.Add(24 * time.Hour).UTC()}},
	} {
		if diff := cmp.Diff(want, rules(id)); diff != "" {
			t.Errorf("%s: want - got +\n%s", id, diff)
		}
	}
	if got := o.must(200, "GET", "/admin/streams/locked", "", ""); got.member("status_by") != "policy" || got.member("subjects") != "0" {
		t.Errorf("locked: got %s, want status_by policy and no subjects", got.body)
	}
	if body := o.must(200, "GET", "/admin/streams/ill", "", "").body; strings.Contains(body, "authorization") {
		t.Errorf("got %s, want no secret", body)
	}
}
