package receiver_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/risc"
)

// poison is what a hostile issuer signs with its true key.
func poison(t *testing.T) map[string]string {
	t.Helper()
	key := transmitterKey()
	const begin = `{"iss":"` + issuer + `","jti":"%s","iat":1,"aud":"` + audience + `",`
	const sub = `"sub_id":{"format":"email","email":"mallory@example.com"},`
	signed := func(name, rest string) string {
		return signClaims(t, fmt.Sprintf(begin, name)+rest, key, "secevent+jwt")
	}
	deep := strings.Repeat(`{"a":`, 5000) + `1` + strings.Repeat(`}`, 5000)
	var many strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&many, `"urn:e:%d":{},`, i)
	}
	out := map[string]string{
		"deep subject":   signed("deep-subject", `"sub_id":`+deep+`,"events":{"urn:e":{}}}`),
		"many events":    signed("many", sub+`"events":{`+many.String()+`"urn:e":{}}}`),
		"name twice":     signed("twice", sub+`"events":{"urn:e":{"a":1,"a":2}}}`),
		"not UTF-8":      signed("utf8", sub+"\"events\":{\"urn:e\":{\"a\":\"\xff\"}}}"),
		"long jti":       signed(strings.Repeat("j", 10_000), sub+`"events":{"urn:e":{}}}`),
		"long type":      signed("long-type", sub+`"events":{"urn:`+strings.Repeat("e", 10_000)+`":{}}}`),
		"number as iat":  signClaims(t, `{"iss":"`+issuer+`","jti":"n","iat":1e999,"aud":"`+audience+`",`+sub+`"events":{"urn:e":{}}}`, key, "secevent+jwt"),
		"aud of many":    signClaims(t, `{"iss":"`+issuer+`","jti":"m","iat":1,"aud":["`+strings.Repeat(`x","`, 5000)+audience+`"],`+sub+`"events":{"urn:e":{}}}`, key, "secevent+jwt"),
		"another's user": signWith(t, builder("stolen"), generate(jose.RS256), "secevent+jwt"),
	}
	return out
}

// indigestible are SETs that are accepted, since they are well formed, and that no hook
// can make use of.
func indigestible(t *testing.T) []string {
	t.Helper()
	about := func(id, typ, payload string) string {
		b := event(builder(id), typ, payload)
		return sign(t, b)
	}
	return []string{
		about("wrong-time", caep.SessionRevokedType, `{"event_timestamp":"yesterday"}`),
		about("huge-time", caep.SessionRevokedType, `{"event_timestamp":9e300}`),
		about("wrong-reason", caep.SessionRevokedType, `{"reason_admin":[[[]]]}`),
		about("deep", caep.SessionRevokedType, strings.Repeat(`{"a":`, 5000)+`1`+strings.Repeat(`}`, 5000)),
		about("wrong-entity", risc.AccountDisabledType, `{"reason":{"a":{}}}`),
	}
}

// A hostile issuer sends poison of every kind, over and over, among good SETs: each is
// refused by itself, costs a bounded body, and the good ones are handled in their order.
func TestPoison(t *testing.T) {
	rec := &recorder{}
	cfg := config(t, t.TempDir())
	cfg.Mux.Handle(
		receiver.On(func(ctx context.Context, d receiver.Delivery, _ caep.SessionRevoked) error { return rec.hook(ctx, d) }),
		receiver.On(func(ctx context.Context, d receiver.Delivery, _ risc.AccountDisabled) error { return rec.hook(ctx, d) }),
	)
	r := build(t, cfg)
	bad := poison(t)
	for name, compact := range bad {
		if w := push(r, compact); w.Code != http.StatusBadRequest && w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: got %d, want a refusal", name, w.Code)
		}
	}
	if w := push(r, strings.Repeat("a", delivery.MaxPushBodyBytes+1)); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("too long: got %d, want 413", w.Code)
	}
	for _, compact := range indigestible(t) {
		wantAccepted(t, push(r, compact))
	}
	var flood sync.WaitGroup
	stop := make(chan struct{})
	for i := range 4 {
		flood.Go(func() {
			kinds := make([]string, 0, len(bad))
			for _, compact := range bad {
				kinds = append(kinds, compact)
			}
			random := rand.New(rand.NewPCG(uint64(i), 1))
			for {
				select {
				case <-stop:
					return
				default:
					push(r, kinds[random.IntN(len(kinds))])
				}
			}
		})
	}
	end := running(t, r)
	var want []string
	for i := range 20 {
		id := fmt.Sprint("good-", i)
		wantAccepted(t, push(r, sign(t, builder(id))))
		want = append(want, id)
	}
	deadline := time.After(time.Minute)
	for counts(t, cfg.Inbox).Waiting > 0 {
		select {
		case <-time.After(time.Millisecond):
		case <-deadline:
			t.Fatal("good SETs were not handled within a minute")
		}
	}
	close(stop)
	flood.Wait()
	end()
	rec.mu.Lock()
	defer rec.mu.Unlock()
	got := rec.ids[max(0, len(rec.ids)-len(want)):]
	for i, id := range got {
		if id != want[i] {
			t.Fatalf("got %v at the hooks, want %v as the last", rec.ids, want)
		}
	}
	if n := counts(t, cfg.Inbox); n.Waiting != 0 || n.Dead > len(indigestible(t)) {
		t.Errorf("got %+v, want nothing waiting and at most what no hook can use set aside", n)
	}
}

// A hook that fails for an hour, hangs, and panics, for one user: it is asked again
// until it succeeds, and meanwhile the events of others go on.
func TestHourOfTrouble(t *testing.T) {
	rec := &recorder{}
	var began time.Time
	var mu sync.Mutex
	runs := map[string]int{}
	rec.fail = func(ctx context.Context, d receiver.Delivery) error {
		mu.Lock()
		runs[d.ID]++
		run := runs[d.ID]
		mu.Unlock()
		if d.ID != "troubled" || time.Since(began) > time.Hour {
			return nil
		}
		switch run % 3 {
		case 0:
			panic("hook")
		case 1:
			<-ctx.Done() // its deadline
			return ctx.Err()
		}
		return fmt.Errorf("down")
	}
	dir := t.TempDir()
	transmitterKey()
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t, dir)
		cfg.Mux.Default(rec.hook)
		cfg.Workers = 2
		began = time.Now()
		r := build(t, cfg)
		stop := running(t, r)
		wantAccepted(t, push(r, sign(t, about(builder("troubled"), "troubled"))))
		for i := range 20 {
			wantAccepted(t, push(r, sign(t, about(builder(fmt.Sprint("other-", i)), fmt.Sprint(i)))))
		}
		<-time.After(10 * time.Minute)
		synctest.Wait()
		if n := counts(t, cfg.Inbox); n.Waiting != 1 || n.Failing != 1 {
			t.Errorf("after ten minutes: got %+v, want the troubled one alone, failing", n)
		}
		<-time.After(3 * time.Hour)
		synctest.Wait()
		stop()
		if n := counts(t, cfg.Inbox); n.Waiting != 0 || n.Dead != 0 {
			t.Errorf("after the trouble: got %+v, want all handled and nothing set aside", n)
		}
	})
	if runs["troubled"] < 4 || len(runs) != 21 {
		t.Errorf("got %d runs of the troubled one and %d events, want several and 21", runs["troubled"], len(runs))
	}
}
