package streams_test

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/streams"
)

const (
	typeA = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	typeB = "https://schemas.openid.net/secevent/caep/event-type/credential-change"
	typeX = "urn:example:unknown"
)

var (
	alice = streams.Owner{ID: "alice", Audience: []string{"https://alice.example/"}}
	bob   = streams.Owner{ID: "bob", Audience: []string{"https://bob.example/", "bob"}}
)

// bench is a catalog over a memory, with a clock and a log's head to turn.
type bench struct {
	*streams.Catalog
	store *memory
	now   time.Time
	head  uint64
}

func newBench(t *testing.T, alter ...func(*streams.CatalogConfig)) *bench {
	t.Helper()
	b := &bench{store: newMemory(), now: time.Unix(1_700_000_000, 0), head: 7}
	cfg := streams.CatalogConfig{
		Store: b.store, Issuer: "https://tr.example",
		PollEndpoint:    func(id string) string { return "https://tr.example/ssf/poll/" + id },
		EventsSupported: []string{typeA, typeB},
		Methods:         []string{delivery.MethodPush, delivery.MethodPoll},
		CheckEndpoint: func(url string) error {
			if !strings.HasPrefix(url, "https://") {
				return errors.New("URL is not https")
			}
			return nil
		},
		Head: func(context.Context) (uint64, error) { return b.head, nil },
		Now:  func() time.Time { return b.now },
	}
	for _, f := range alter {
		f(&cfg)
	}
	catalog, err := streams.NewCatalog(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.Catalog = catalog
	return b
}

func (b *bench) create(t *testing.T, owner streams.Owner, body string) streams.Stream {
	t.Helper()
	s, err := b.Create(t.Context(), owner, parse(t, body))
	if err != nil {
		t.Fatalf("create %s: %v", body, err)
	}
	return s
}

// stored is the stream as the store has it.
func (b *bench) stored(t *testing.T, id string) streams.Stream {
	t.Helper()
	s, err := b.store.Stream(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func parse(t *testing.T, body string) streams.Request {
	t.Helper()
	req, err := streams.ParseRequest([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return req
}

// with returns body with stream_id set.
func with(t *testing.T, id, body string) string {
	t.Helper()
	m := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatal(err)
	}
	m["stream_id"], _ = json.Marshal(id)
	out, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// refusal returns the RuleError, or fails.
func refusal(t *testing.T, err error) *streams.RuleError {
	t.Helper()
	var rule *streams.RuleError
	if !errors.As(err, &rule) {
		t.Fatalf("got error %v, want a RuleError", err)
	}
	return rule
}

func TestNewCatalogNamesEveryWrongField(t *testing.T) {
	_, err := streams.NewCatalog(streams.CatalogConfig{
		Methods: []string{delivery.MethodPush, delivery.MethodPoll, "fax"}, DefaultSubjects: "SOME",
		MinVerificationInterval: time.Millisecond, InactivityTimeout: -time.Second, MaxStreams: -1, MaxSubjects: -1,
	})
	for _, field := range []string{
		"Store", "Issuer", "Head", "Methods", "PollEndpoint", "CheckEndpoint", "DefaultSubjects",
		"MinVerificationInterval", "InactivityTimeout", "MaxStreams", "MaxSubjects",
	} {
		if err == nil || !strings.Contains(err.Error(), field+" ") {
			t.Errorf("got %v, want it to name %s", err, field)
		}
	}
}

func TestCreate(t *testing.T) {
	b := newBench(t, func(c *streams.CatalogConfig) {
		c.MinVerificationInterval, c.InactivityTimeout = time.Minute, time.Hour
	})
	got := b.create(t, alice, `{"events_requested":["`+typeX+`","`+typeB+`","`+typeB+`"],"description":"d",
		"delivery":{"method":"urn:ietf:rfc:8935","endpoint_url":"https://r.example/push","authorization_header":"Bearer abc"}}`)
	want := streams.Stream{
		ID: got.ID, Owner: "alice", Issuer: "https://tr.example", Audience: alice.Audience,
		EventsSupported: []string{typeA, typeB},
		EventsRequested: []string{typeX, typeB, typeB}, // SSF-8.1.1-02: unknown ones are echoed
		EventsDelivered: []string{typeB},               // SSF-8.1.1-01
		Delivery:        streams.Delivery{Method: delivery.MethodPush, EndpointURL: "https://r.example/push", AuthorizationHeader: "Bearer abc"},

		MinVerificationInterval: time.Minute, InactivityTimeout: time.Hour, Description: "d",
		DefaultSubjects: streams.SubjectsAll,                                    // U7
		Status:          streams.Enabled, StatusBy: streams.ByReceiver, From: 7, // SSF-8.1.2.1-03
		Created: b.now, Active: b.now,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want - got +\n%s", diff)
	}
	if diff := cmp.Diff(want, b.stored(t, got.ID)); diff != "" {
		t.Errorf("stored: want - got +\n%s", diff)
	}
	if len(b.store.items) > 0 {
		t.Errorf("got items %v, want none", b.store.items)
	}
}

func TestStreamIDs(t *testing.T) {
	b := newBench(t)
	seen := map[string]bool{}
	for range 300 {
		id := b.create(t, alice, `{}`).ID
		if seen[id] || !regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{21}$`).MatchString(id) {
			t.Fatalf("got stream_id %q, want 128 fresh bits in unreserved characters", id)
		}
		seen[id] = true
	}
}

func TestCreateDelivery(t *testing.T) {
	const push = `"method":"urn:ietf:rfc:8935"`
	cases := []struct {
		name, delivery string // no delivery if empty
		methods        []string
		wantMethod     string
		wantMember     string // of the refusal
	}{
		{name: "SSF-8.1.1.1-02 absent", wantMethod: delivery.MethodPoll},
		{name: "SSF-6.1.2-01 poll", delivery: `{"method":"urn:ietf:rfc:8936"}`, wantMethod: delivery.MethodPoll},
		{name: "SSF-8.1.1.1-04 poll with an endpoint", delivery: `{"method":"urn:ietf:rfc:8936","endpoint_url":"ftp://x"}`, wantMethod: delivery.MethodPoll},
		{name: "SSF-6.1.1-01 push", delivery: `{` + push + `,"endpoint_url":"https://r.example/"}`, wantMethod: delivery.MethodPush},
		{name: "SSF-6.1.1-01 push without endpoint", delivery: `{` + push + `}`, wantMember: "delivery.endpoint_url"},
		{name: "SSF-6.1.1-01 push to http", delivery: `{` + push + `,"endpoint_url":"http://r.example/"}`, wantMember: "delivery.endpoint_url"},
		{name: "SSF-6.1.1-01 push to an overlong URL", delivery: `{` + push + `,"endpoint_url":"https://r.example/` + strings.Repeat("a", streams.MaxEndpointURLBytes) + `"}`, wantMember: "delivery.endpoint_url"},
		{name: "SSF-8.1.1.1-02 unsupported method", delivery: `{"method":"urn:example:fax"}`, wantMember: "delivery.method"},
		{name: "SSF-8.1.1.1-02 absent, poll not offered", methods: []string{delivery.MethodPush}, wantMember: "delivery.method"},
		{name: "SSF-8.1.1.1-02 poll not offered", delivery: `{"method":"urn:ietf:rfc:8936"}`, methods: []string{delivery.MethodPush}, wantMember: "delivery.method"},
		{name: "push not offered", delivery: `{` + push + `,"endpoint_url":"https://r.example/"}`, methods: []string{delivery.MethodPoll}, wantMember: "delivery.method"},
		{name: "SEC-07 overlong header", delivery: `{` + push + `,"endpoint_url":"https://r.example/","authorization_header":"` + strings.Repeat("a", streams.MaxAuthorizationBytes+1) + `"}`, wantMember: "delivery.authorization_header"},
		{name: "SEC-07 header with line break", delivery: `{` + push + `,"endpoint_url":"https://r.example/","authorization_header":"a\r\nX: y"}`, wantMember: "delivery.authorization_header"},
		{name: "SEC-07 header with tab", delivery: `{` + push + `,"endpoint_url":"https://r.example/","authorization_header":"a\tb"}`, wantMember: "delivery.authorization_header"},
		{name: "SEC-07 header with DEL", delivery: `{` + push + `,"endpoint_url":"https://r.example/","authorization_header":"a\u007f"}`, wantMember: "delivery.authorization_header"},
		{name: "U8 header that would be trimmed", delivery: `{` + push + `,"endpoint_url":"https://r.example/","authorization_header":" a"}`, wantMember: "delivery.authorization_header"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, func(cfg *streams.CatalogConfig) {
				if c.methods != nil {
					cfg.Methods = c.methods
				}
			})
			body := `{}`
			if c.delivery != "" {
				body = `{"delivery":` + c.delivery + `}`
			}
			s, err := b.Create(t.Context(), alice, parse(t, body))
			if c.wantMember != "" {
				rule := refusal(t, err)
				if rule.Kind != streams.Invalid || rule.Member != c.wantMember || len(b.store.streams) != 0 {
					t.Errorf("got %v with %d streams, want Invalid %s with none", rule, len(b.store.streams), c.wantMember)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := streams.Delivery{Method: c.wantMethod, EndpointURL: "https://r.example/"}
			if c.wantMethod == delivery.MethodPoll {
				want.EndpointURL = "https://tr.example/ssf/poll/" + s.ID
			}
			if s.Delivery != want {
				t.Errorf("got %+v, want %+v", s.Delivery, want)
			}
		})
	}
}

func TestCreateBounds(t *testing.T) {
	one := newBench(t, func(c *streams.CatalogConfig) { c.OneStream = true })
	two := newBench(t, func(c *streams.CatalogConfig) { c.MaxStreams = 2 })
	two.create(t, alice, `{}`)
	for name, b := range map[string]*bench{"SSF-8.1.1.1-03 one stream": one, "SEC-08 two streams": two} {
		first := b.create(t, alice, `{}`)
		before := len(b.store.streams)
		if _, err := b.Create(t.Context(), alice, parse(t, `{}`)); !errors.Is(err, streams.ErrConflict) || len(b.store.streams) != before {
			t.Errorf("%s: got %v and %d streams, want ErrConflict and %d", name, err, len(b.store.streams), before)
		}
		if other := b.create(t, bob, `{}`); other.ID == first.ID {
			t.Errorf("%s: another owner got the same stream", name)
		}
	}
	if _, err := one.Create(t.Context(), streams.Owner{ID: "carol"}, parse(t, `{}`)); refusal(t, err).Kind != streams.Forbidden {
		t.Errorf("owner without audience: got %v, want Forbidden", err)
	}
}

// SSF-8.1.1.4-02, U11: without events_requested nothing is delivered, unless
// so configured; an empty list always means none (SSF-8.1.1.3-06).
func TestEventsNotRequested(t *testing.T) {
	cases := []struct {
		name, body string
		all        bool
		want       []string
	}{
		{"U11 absent", `{}`, false, []string{}},
		{"U11 option", `{}`, true, []string{typeA, typeB}},
		{"SSF-8.1.1.3-06 empty", `{"events_requested":[]}`, true, []string{}},
		{"SSF-8.1.1-02 unknown alone", `{"events_requested":["x"]}`, true, []string{}},
	}
	for _, c := range cases {
		b := newBench(t, func(cfg *streams.CatalogConfig) { cfg.AllWhenNotRequested = c.all })
		if got := b.create(t, alice, c.body).EventsDelivered; !cmp.Equal(got, c.want) {
			t.Errorf("%s: got %#v, want %#v", c.name, got, c.want)
		}
	}
}

// SSF-8.1.1.2-01, SSF-8-03, SSF-8.1.1-10: another owner's stream is exactly
// as one that never was, for every operation, and stays untouched.
func TestStreamsOfOthersDoNotExist(t *testing.T) {
	b := newBench(t)
	mine := b.create(t, alice, `{"events_requested":["`+typeA+`"]}`)
	before := b.stored(t, mine.ID)
	state := "s"
	change := func(id string) streams.SubjectChange {
		c, err := streams.ParseSubjectChange([]byte(`{"stream_id":"` + id + `","subject":{"format":"email","email":"a@b.c"}}`))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	operations := map[string]func(id string) error{
		"read": func(id string) error { _, err := b.Stream(t.Context(), bob, id); return err },
		"update": func(id string) error {
			_, err := b.Update(t.Context(), bob, parse(t, with(t, id, `{"iss":"no"}`)))
			return err
		},
		"replace": func(id string) error { _, err := b.Replace(t.Context(), bob, parse(t, with(t, id, `{}`))); return err },
		"delete":  func(id string) error { return b.Delete(t.Context(), bob, id) },
		"status":  func(id string) error { _, err := b.Status(t.Context(), bob, id); return err },
		"set status": func(id string) error {
			_, err := b.SetStatus(t.Context(), bob, streams.StatusReport{StreamID: id, Status: streams.Disabled})
			return err
		},
		"add":    func(id string) error { return b.AddSubject(t.Context(), bob, change(id)) },
		"remove": func(id string) error { return b.RemoveSubject(t.Context(), bob, change(id)) },
		"verify": func(id string) error {
			return b.Verify(t.Context(), bob, streams.VerificationRequest{StreamID: id, State: &state})
		},
	}
	b.now = b.now.Add(time.Hour)
	for name, op := range operations {
		foreign, unknown := op(mine.ID), op("nobody")
		if foreign != streams.ErrNotFound || unknown != streams.ErrNotFound { //nolint:errorlint // exactly the same error
			t.Errorf("%s: got %v and %v, want ErrNotFound for both", name, foreign, unknown)
		}
	}
	if diff := cmp.Diff(before, b.stored(t, mine.ID)); diff != "" {
		t.Errorf("the stream changed: %s", diff)
	}
	if len(b.store.items)+len(b.store.subjects)+len(b.store.touched) != 0 {
		t.Errorf("got items %v, subjects %v, touched %v, want none", b.store.items, b.store.subjects, b.store.touched)
	}
	list, err := b.Streams(t.Context(), bob)
	if err != nil || len(list) != 0 {
		t.Errorf("SSF-8.1.1.2-02: got %v, %v, want none", list, err)
	}
}

// SSF-8.1.1.5-01: deleting twice is not found.
func TestDelete(t *testing.T) {
	b := newBench(t)
	s, kept := b.create(t, alice, `{}`), b.create(t, alice, `{}`)
	if err := b.Delete(t.Context(), alice, s.ID); err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(t.Context(), alice, s.ID); !errors.Is(err, streams.ErrNotFound) {
		t.Errorf("again: got %v, want ErrNotFound", err)
	}
	list, err := b.Streams(t.Context(), alice)
	if err != nil || len(list) != 1 || list[0].ID != kept.ID {
		t.Errorf("SSF-8.1.1-10: got %v, %v, want %s alone", list, err, kept.ID)
	}
}

// SSF-8.1.1-04, U9: every call that names a stream counts, a list for all.
func TestActivity(t *testing.T) {
	b := newBench(t)
	s, other := b.create(t, alice, `{}`), b.create(t, alice, `{}`)
	add, _ := streams.ParseSubjectChange([]byte(`{"stream_id":"` + s.ID + `","subject":{"format":"email","email":"a@b.c"}}`))
	cases := []struct {
		name string
		call func() error
		want []string
	}{
		{"read", func() error { _, err := b.Stream(t.Context(), alice, s.ID); return err }, []string{s.ID}},
		{"list (U9)", func() error { _, err := b.Streams(t.Context(), alice); return err }, []string{s.ID, other.ID}},
		{"update", func() error { _, err := b.Update(t.Context(), alice, parse(t, with(t, s.ID, `{}`))); return err }, []string{s.ID}},
		{"replace", func() error { _, err := b.Replace(t.Context(), alice, parse(t, with(t, s.ID, `{}`))); return err }, []string{s.ID}},
		{"status", func() error { _, err := b.Status(t.Context(), alice, s.ID); return err }, []string{s.ID}},
		{"set status", func() error {
			_, err := b.SetStatus(t.Context(), alice, streams.StatusReport{StreamID: s.ID, Status: streams.Paused})
			return err
		}, []string{s.ID}},
		{"add subject", func() error { return b.AddSubject(t.Context(), alice, add) }, []string{s.ID}},
		{"remove subject", func() error { return b.RemoveSubject(t.Context(), alice, add) }, []string{s.ID}},
		{"verify", func() error { return b.Verify(t.Context(), alice, streams.VerificationRequest{StreamID: s.ID}) }, []string{s.ID}},
		{"the transmitter's own acts do not count", func() error { _, err := b.Pause(t.Context(), s.ID, "", streams.ByPolicy); return err }, nil},
	}
	for _, c := range cases {
		b.now = b.now.Add(time.Minute)
		b.store.touched = nil
		if err := c.call(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if !cmp.Equal(b.store.touched, c.want) {
			t.Errorf("%s: got %v touched, want %v", c.name, b.store.touched, c.want)
		}
		if at := b.stored(t, s.ID).Active; len(c.want) > 0 && !at.Equal(b.now) {
			t.Errorf("%s: got active %v, want %v", c.name, at, b.now)
		}
	}
}
