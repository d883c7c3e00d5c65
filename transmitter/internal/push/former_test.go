package push_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
)

// legacy_error_codes: where the stream's profile says so, dup is no dead letter and
// jwtCrypto is tried again; otherwise both are refusals like any other. The code that is
// told is the one that came.
func TestFormerErrorCodes(t *testing.T) {
	codes := map[string]string{"s1": "dup", "s2": "jwtAud", "s3": "jwtCrypto"}
	for profile, want := range map[string]map[string]string{
		"":          {"s1": "dup", "s2": "jwtAud", "s3": "jwtCrypto"},
		"login.gov": {"s2": "jwtAud"},
	} {
		t.Run(profile, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				attempts := map[string]int{}
				w := newWorld(t, func(p post) *http.Response {
					attempts[p.jti]++
					if p.jti == "s3" && attempts["s3"] > 1 {
						return reply(202, "")
					}
					return reply(400, `{"err":"`+codes[p.jti]+`"}`)
				}, nil)
				_, err := w.store.Update(context.Background(), "s", func(s *streams.Stream) ([]streams.Item, error) {
					s.Profile = profile
					return nil, nil
				})
				if err != nil {
					t.Fatal(err)
				}
				w.put("s", 3, nil)
				after(time.Hour)
				letters, _, err := w.store.DeadLetters(t.Context(), "s", "", 10)
				if err != nil || len(letters) != len(want) {
					t.Fatalf("got dead letters %+v, %v, want %v", letters, err, want)
				}
				for _, letter := range letters {
					if letter.Code != want[letter.ID] {
						t.Errorf("%s: got code %q, want %q", letter.ID, letter.Code, want[letter.ID])
					}
				}
				if d := w.depth(); d.Items != 0 {
					t.Errorf("got %+v, want nothing left", d)
				}
			})
		})
	}
}
