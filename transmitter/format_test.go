package transmitter_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// contracts.md §3, SSF-10.1-01: among the identifiers of an event the SET bears
// the one in the application's preferred format, always the same.
func TestPreferredFormat(t *testing.T) {
	h := open(t)
	if _, err := h.apps.AddApplication(t.Context(), auth.Application{ID: "shop", Audience: []string{audience("shop")}, SubjectFormat: "opaque"}); err != nil {
		t.Fatal(err)
	}
	shop, mail := h.client("shop", everyScope), h.client("mail", everyScope)
	atShop, atMail := h.stream(shop, ""), h.stream(mail, "")
	body := `{"type":"` + sessionRevoked + `","subject":[{"format":"email","email":"a@example.com"},{"format":"opaque","id":"a"}]}`
	for range 3 {
		h.must(202, "POST", "/v1/events", shop, body)
	}
	for _, c := range []struct{ token, stream, want string }{{shop, atShop, "opaque"}, {mail, atMail, "email"}} {
		for ack, n := "", 0; n < 3; n++ {
			ids, sets := h.poll(c.token, c.stream, `{"maxEvents":1,"ack":[`+ack+`]}`)
			if len(sets) != 1 {
				t.Fatalf("got %d SETs, want 1", len(sets))
			}
			ack = `"` + ids[0] + `"`
			if got := parse(t, sets[0]).Subject.Format(); got != c.want {
				t.Errorf("SSF-10.1-01 %s: got %s, want %s", c.stream, got, c.want)
			}
		}
	}
}

// The memory of formats is bounded, and no older than a second.
func TestFormatsAreForgotten(t *testing.T) {
	var f transmitter.Formats
	now := time.Now()
	if _, ok := f.Get("shop", now); ok {
		t.Error("got a format of nobody")
	}
	f.Put("shop", "email", now)
	for after, want := range map[time.Duration]bool{0: true, 999 * time.Millisecond: true, time.Second: false, -time.Hour: false} {
		if got, ok := f.Get("shop", now.Add(after)); ok != want || ok && got != "email" {
			t.Errorf("after %v: got %q, %v, want %v", after, got, ok, want)
		}
	}
	for i := range 20_000 {
		f.Put(fmt.Sprint(i), "email", now)
	}
	if got := f.Known(); got > 5000 {
		t.Errorf("got %d formats remembered, want a bounded number", got)
	}
}
