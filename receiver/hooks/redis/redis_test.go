package redis_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	lib "github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/redis"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/redissessions"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

const idp = "https://idp.example"

var (
	_ hooks.Hook      = (*redis.Hook)(nil)
	_ hooks.Previewer = (*redis.Hook)(nil)
)

func user(sub string) subject.Identifier { return subject.IssSub(idp, sub) }

func complexOf(t *testing.T, members map[string]subject.Identifier) subject.Identifier {
	t.Helper()
	id, err := subject.Complex(members)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func action(id subject.Identifier, effect hooks.Effect, until time.Time) hooks.Action {
	return hooks.NewAction(receiver.Delivery{Issuer: idp, ID: "j", Subject: id, EventTime: until}, "redis", effect)
}

func newHook(t *testing.T, cfg redis.Config) *redis.Hook {
	t.Helper()
	h, err := redis.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// kept is an index in Redis itself, as several nodes share it, with two sessions of jo.
func kept(s store, now time.Time) sessions.Index {
	s.Helper()
	index, err := redissessions.New(redissessions.Config{Client: s.UniversalClient})
	if err != nil {
		s.Fatal(err)
	}
	for id, begun := range map[string]time.Time{"a": now, "b": now.Add(time.Second)} {
		err := index.Add(s.Context(), sessions.Session{
			ID: id, Members: map[string][]subject.Identifier{"user": {user("jo")}}, Begun: begun, Expires: time.Now().Add(time.Hour),
		})
		if err != nil {
			s.Fatal(err)
		}
	}
	return index
}

// store is a Redis with the sessions of an application.
type store struct {
	*testing.T
	lib.UniversalClient
}

func (s store) keep(keys ...string) {
	s.Helper()
	for _, key := range keys {
		if err := s.Set(s.Context(), key, "session", 0).Err(); err != nil {
			s.Fatal(err)
		}
	}
}

// left returns those of keys that are still there.
func (s store) left(keys ...string) []string {
	s.Helper()
	var left []string
	for _, key := range keys {
		n, err := s.Exists(s.Context(), key).Result()
		if err != nil {
			s.Fatal(err)
		}
		if n == 1 {
			left = append(left, key)
		}
	}
	return left
}

// servers runs a test on a single server and on a cluster.
func servers(t *testing.T, test func(s store)) {
	t.Helper()
	t.Run("single", func(t *testing.T) { test(store{t, redistest.Start(t).Client(t)}) })
	t.Run("cluster", func(t *testing.T) { test(store{t, redistest.StartCluster(t).ClusterClient(t)}) })
}

// What each way finds, and what it lets live.
func TestEnd(t *testing.T) {
	now := time.Unix(1700000000, 0)
	servers(t, func(s store) {
		ctx := s.Context()
		for _, tt := range []struct {
			name  string
			cfg   redis.Config
			event subject.Identifier
			fill  func() []string // returns the keys to look at afterwards
			want  []string        // those that live
			ended int
		}{
			{
				name: "pattern", cfg: redis.Config{Keys: []string{"sess:{user.sub}:*"}}, event: user("jo"),
				fill: func() []string { return []string{"sess:jo:1", "sess:jo:2", "sess:joe:1", "other:jo:1"} },
				want: []string{"sess:joe:1", "other:jo:1"}, ended: 2,
			},
			{
				name: "a value is no pattern", cfg: redis.Config{Keys: []string{"sess:{user.sub}:*"}}, event: user(`j*[a-z]?\`),
				fill: func() []string { return []string{`sess:j*[a-z]?\:1`, "sess:jxab:1", "sess:jo:1"} },
				want: []string{"sess:jxab:1", "sess:jo:1"}, ended: 1,
			},
			{
				name: "key", cfg: redis.Config{Keys: []string{"session:{session.id}"}}, event: subject.Opaque("s*1"),
				fill: func() []string { return []string{"session:s*1", "session:s11"} },
				want: []string{"session:s11"}, ended: 1,
			},
			{
				name: "set", cfg: redis.Config{Sets: []string{"of:{user.sub}"}, IDKey: "s:{id}"}, event: user("jo"),
				fill: func() []string {
					s.SAdd(ctx, "of:jo", "1", "2", "away")
					return []string{"s:1", "s:2", "s:3"}
				},
				want: []string{"s:3"}, ended: 2,
			},
			{
				name: "sorted set", cfg: redis.Config{SortedSets: []string{"of:{user.sub}"}}, event: user("jo"),
				fill: func() []string {
					s.ZAdd(
						ctx, "of:jo", lib.Z{Score: float64(now.Unix() - 60), Member: "s:old"},
						lib.Z{Score: float64(now.Unix()), Member: "s:equal"}, lib.Z{Score: float64(now.Unix() + 1), Member: "s:young"},
					)
					return []string{"s:old", "s:equal", "s:young"}
				},
				want: []string{"s:young"}, ended: 2,
			},
			{
				name: "index", cfg: redis.Config{IDKey: "session_{id}"}, event: user("jo"),
				fill: func() []string { return []string{"session_a", "session_b"} },
				want: []string{"session_b"}, ended: 1,
			},
			{
				name: "one session of a user", cfg: redis.Config{Keys: []string{"sess:{user.sub}:*", "sess:{user.sub}:{session.id}"}},
				event: complexOf(s.T, map[string]subject.Identifier{"user": user("jo"), "session": subject.Opaque("2")}),
				fill:  func() []string { return []string{"sess:jo:1", "sess:jo:2"} },
				want:  []string{"sess:jo:1"}, ended: 1,
			},
		} {
			s.Run(tt.name, func(t *testing.T) {
				s := store{t, s.UniversalClient}
				keys := tt.fill()
				if tt.name == "index" {
					tt.cfg.Index = kept(s, now)
				}
				s.keep(keys...)
				t.Cleanup(func() { s.FlushAll(context.WithoutCancel(ctx)) })
				tt.cfg.Client = s.UniversalClient
				h, a := newHook(t, tt.cfg), action(tt.event, hooks.End, now)
				if got, err := h.Preview(ctx, a); err != nil || got.Ended != tt.ended {
					t.Errorf("preview: got %+v, %v, want %d", got, err, tt.ended)
				}
				if got := s.left(keys...); len(got) != len(keys) {
					t.Errorf("after the preview: got %q, want all of %q", got, keys)
				}
				if got, err := h.Act(ctx, a); err != nil || got.Ended != tt.ended {
					t.Errorf("got %+v, %v, want %d ended", got, err, tt.ended)
				}
				if got := s.left(keys...); !slices.Equal(got, tt.want) {
					t.Errorf("got alive %q, want %q", got, tt.want)
				}
				if got, err := h.Act(ctx, a); err != nil || got.Ended != 0 {
					t.Errorf("again: got %+v, %v, want nothing ended", got, err)
				}
			})
		}
	})
}

// Where the begin of a session can be told, later ones live (docs/contracts.md §8).
func TestBegun(t *testing.T) {
	s := store{t, redistest.Start(t).Client(t)}
	ctx, now := t.Context(), time.Now()
	for key, field := range map[string]any{
		"h:jo:old": now.Add(-time.Minute).Unix(), "h:jo:old-ms": now.Add(-time.Minute).UnixMilli(),
		"h:jo:young": now.Add(time.Minute).Unix(), "h:jo:young-ms": now.Add(time.Minute).UnixMilli(), "h:jo:odd": "yesterday",
	} {
		s.HSet(ctx, key, "begun", field)
	}
	s.keep("h:jo:text")
	h := newHook(t, redis.Config{Client: s.UniversalClient, Keys: []string{"h:{user.sub}:*"}, BegunField: "begun"})
	if got, err := h.Act(ctx, action(user("jo"), hooks.End, now)); err != nil || got.Ended != 4 {
		t.Errorf("by a field: got %+v, %v, want 4 ended", got, err)
	}
	if got := s.left("h:jo:young", "h:jo:young-ms"); len(got) != 2 {
		t.Errorf("by a field: got %q alive, want both young ones", got)
	}

	s.Set(ctx, "t:jo:old", "", 50*time.Minute)
	s.Set(ctx, "t:jo:young", "", time.Hour+time.Minute)
	s.Set(ctx, "t:jo:eternal", "", 0)
	h = newHook(t, redis.Config{Client: s.UniversalClient, Keys: []string{"t:{user.sub}:*"}, Lifetime: time.Hour})
	if got, err := h.Act(ctx, action(user("jo"), hooks.End, now)); err != nil || got.Ended != 2 {
		t.Errorf("by the time to live: got %+v, %v, want 2 ended", got, err)
	}
	if got := s.left("t:jo:young", "t:jo:old", "t:jo:eternal"); !slices.Equal(got, []string{"t:jo:young"}) {
		t.Errorf("by the time to live: got %q alive, want the young one", got)
	}
}

// A scan goes on behind the first page.
func TestManyKeys(t *testing.T) {
	servers(t, func(s store) {
		const many = 3000
		pipe := s.Pipeline()
		for i := range many {
			pipe.Set(s.Context(), fmt.Sprintf("sess:jo:%d", i), "", 0)
			pipe.Set(s.Context(), fmt.Sprintf("sess:max:%d", i), "", 0)
			pipe.ZAdd(s.Context(), "of:max", lib.Z{Score: 1, Member: fmt.Sprintf("sess:max:%d", i)})
		}
		if _, err := pipe.Exec(s.Context()); err != nil {
			s.Fatal(err)
		}
		h := newHook(s.T, redis.Config{Client: s.UniversalClient, Keys: []string{"sess:{user.sub}:*"}})
		if got, err := h.Act(s.Context(), action(user("jo"), hooks.End, time.Now())); err != nil || got.Ended != many {
			s.Errorf("pattern: got %+v, %v, want %d ended", got, err, many)
		}
		h = newHook(s.T, redis.Config{Client: s.UniversalClient, SortedSets: []string{"of:{user.sub}"}})
		if got, err := h.Preview(s.Context(), action(user("max"), hooks.End, time.Now())); err != nil || got.Ended != many {
			s.Errorf("preview of a set: got %+v, %v, want %d", got, err, many)
		}
		if got, err := h.Act(s.Context(), action(user("max"), hooks.End, time.Now())); err != nil || got.Ended != many {
			s.Errorf("set: got %+v, %v, want %d ended", got, err, many)
		}
	})
}

// The score of a sorted set may be in milliseconds, as many languages have the time.
func TestScoreInMilliseconds(t *testing.T) {
	s := store{t, redistest.Start(t).Client(t)}
	h := newHook(t, redis.Config{Client: s.UniversalClient, SortedSets: []string{"of:{user.sub}"}})
	at := time.Unix(1700000000, 0)
	for key, score := range map[string]float64{"old": 1699999999, "old-ms": 1699999999999, "equal-ms": 1700000000000, "young": 1700000001, "young-ms": 1700000000001} {
		s.keep(key)
		if err := s.ZAdd(t.Context(), "of:jo", lib.Z{Score: score, Member: key}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, do := range []func(context.Context, hooks.Action) (hooks.Outcome, error){h.Preview, h.Act} {
		if got, err := do(t.Context(), action(user("jo"), hooks.End, at)); err != nil || got.Ended != 3 {
			t.Errorf("got %+v, %v, want 3 ended", got, err)
		}
	}
	if got := s.left("old", "old-ms", "equal-ms", "young", "young-ms"); !slices.Equal(got, []string{"young", "young-ms"}) {
		t.Errorf("got %q left, want the young ones", got)
	}
}

// Deny ends sessions and marks the user, Allow takes the mark away.
func TestDeny(t *testing.T) {
	s := store{t, redistest.Start(t).Client(t)}
	h := newHook(t, redis.Config{Client: s.UniversalClient, Keys: []string{"sess:{user.sub}:*"}, DeniedKey: "denied:{user.sub}"})
	s.keep("sess:jo:1")
	if got, err := h.Act(t.Context(), action(user("jo"), hooks.Deny, time.Unix(1700000000, 0))); err != nil || got.Ended != 1 {
		t.Errorf("deny: got %+v, %v, want 1 ended", got, err)
	}
	if got, err := s.Get(t.Context(), "denied:jo").Result(); err != nil || got != "1700000000" {
		t.Errorf("deny: got a mark %q, %v, want the event's time", got, err)
	}
	one := complexOf(t, map[string]subject.Identifier{"user": user("max"), "session": subject.Opaque("s1")})
	s.keep("sess:max:1")
	if got, err := h.Act(t.Context(), action(one, hooks.Deny, time.Now())); err != nil || got.Ended != 1 || s.left("denied:max") != nil {
		t.Errorf("deny of one session: got %+v, %v, marked %q, want 1 ended and the user not denied", got, err, s.left("denied:max"))
	}
	if _, err := h.Act(t.Context(), action(user("jo"), hooks.Allow, time.Now())); err != nil {
		t.Errorf("allow: got %v, want none", err)
	}
	if got := s.left("denied:jo"); got != nil {
		t.Errorf("allow: got the mark left, want none")
	}
}

// Whatever order they come in, an older allowance takes no newer denial back, and an older
// denial does not make a newer one look older.
func TestDenyOutOfOrder(t *testing.T) {
	s := store{t, redistest.Start(t).Client(t)}
	h := newHook(t, redis.Config{Client: s.UniversalClient, Keys: []string{"sess:{user.sub}:*"}, DeniedKey: "denied:{user.sub}"})
	at := time.Unix(1700000000, 0)
	for _, step := range []struct {
		effect hooks.Effect
		at     time.Duration
		want   string
	}{
		{hooks.Deny, 10 * time.Second, "1700000010"},
		{hooks.Allow, 9 * time.Second, "1700000010"},
		{hooks.Deny, 5 * time.Second, "1700000010"},
		{hooks.Allow, 9 * time.Second, "1700000010"},
		{hooks.Allow, 10 * time.Second, ""},
		{hooks.Allow, 10 * time.Second, ""},
		{hooks.Deny, 11 * time.Second, "1700000011"},
	} {
		if _, err := h.Act(t.Context(), action(user("jo"), step.effect, at.Add(step.at))); err != nil {
			t.Fatal(err)
		}
		if got := s.Get(t.Context(), "denied:jo").Val(); got != step.want {
			t.Errorf("%s of %v: got the mark %q, want %q", step.effect, step.at, got, step.want)
		}
	}
	for _, value := range []func() error{
		func() error { return s.Set(t.Context(), "denied:jo", "by hand", 0).Err() },
		func() error {
			return errors.Join(s.Del(t.Context(), "denied:jo").Err(), s.SAdd(t.Context(), "denied:jo", "x").Err())
		},
	} {
		if err := value(); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Act(t.Context(), action(user("jo"), hooks.Allow, at)); err != nil || s.left("denied:jo") != nil {
			t.Errorf("allow of a mark of another form: got %v, marked %q, want none", err, s.left("denied:jo"))
		}
	}
}

// What is not for the hook is said to be so; a server that is away is tried again.
func TestErrors(t *testing.T) {
	server := redistest.Start(t)
	h := newHook(t, redis.Config{Client: server.Client(t), Keys: []string{"sess:{user.sub}:*"}})
	for name, a := range map[string]hooks.Action{
		"effect": action(user("jo"), hooks.Reload, time.Now()),
		"allow":  action(user("jo"), hooks.Allow, time.Now()),
		"email":  action(subject.Email("jo@example.com"), hooks.End, time.Now()),
		"tenant": action(complexOf(t, map[string]subject.Identifier{"user": user("jo"), "tenant": subject.Opaque("t")}), hooks.End, time.Now()),
	} {
		if _, err := h.Act(t.Context(), a); !errors.Is(err, hooks.ErrNotApplicable) {
			t.Errorf("%s: got %v, want %v", name, err, hooks.ErrNotApplicable)
		}
	}
	server.Stop()
	_, err := h.Act(t.Context(), action(user("secret-jo"), hooks.End, time.Now()))
	if err == nil || receiver.IsPermanent(err) || errors.Is(err, hooks.ErrNotApplicable) || strings.Contains(err.Error(), "secret-jo") {
		t.Errorf("server away: got %v, want an error to try again, without the user's name", err)
	}
}

// A server that was away and is back serves the hook as before.
func TestAwayAndBack(t *testing.T) {
	server := redistest.Start(t)
	s := store{t, server.Client(t)}
	h := newHook(t, redis.Config{Client: s.UniversalClient, Keys: []string{"sess:{user.sub}:*"}})
	server.Stop()
	if _, err := h.Act(t.Context(), action(user("jo"), hooks.End, time.Now())); err == nil || receiver.IsPermanent(err) {
		t.Errorf("away: got %v, want an error to try again", err)
	}
	server.Restart(t)
	s.keep("sess:jo:1")
	if got, err := h.Act(t.Context(), action(user("jo"), hooks.End, time.Now())); err != nil || got.Ended != 1 {
		t.Errorf("back: got %+v, %v, want 1 ended", got, err)
	}
}

// A server that takes connections and says nothing holds nobody beyond the deadline.
func TestDeadline(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	h := newHook(t, redis.Config{URL: "redis://" + silent.Addr().String(), Keys: []string{"session:{user.sub}"}})
	defer func() { _ = h.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err = h.Act(ctx, action(user("jo"), hooks.End, time.Now()))
	if err == nil || receiver.IsPermanent(err) || time.Since(begun) > 2*time.Second { // a read by itself may take 3 s
		t.Errorf("got %v after %v, want an error to try again at the deadline", err, time.Since(begun))
	}
}

// All that is wrong with a configuration is said at once, without the password.
func TestConfig(t *testing.T) {
	_, err := redis.New(redis.Config{
		URL: "http://:hunter2@127.0.0.1", Keys: []string{"sess:{user.sub"}, Sets: []string{"all"}, SortedSets: []string{"of:{user.sub}:*"},
		IDKey: "s", Lifetime: -1, DeniedKey: "{x}",
	})
	if err == nil {
		t.Fatal("got no error, want one")
	}
	for _, want := range []string{"url:", "keys:", "sets:", "sorted_sets:", "id_key:", "lifetime:", "denied_key:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %s named", err, want)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got the password in %q, want it hidden", err)
	}
	for _, unsafe := range []string{"{session.id}", "sess:{user.sub}*", "sess:*{user.sub}", "sess:[a]{user.sub}", "sess:{user.sub}?"} {
		if _, err := redis.New(redis.Config{URL: "redis://127.0.0.1:1", Keys: []string{unsafe}}); err == nil {
			t.Errorf("%s: got no error, want one: an event could end what is not its user's", unsafe)
		}
	}
	if _, err := redis.New(redis.Config{URL: "redis://127.0.0.1:1"}); err == nil {
		t.Error("got no error without a way to find sessions, want one")
	}
}
