package profile_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-ssf/tocsin/transmitter/profile"
)

// A text is a profile that can be used, said twice the same, or refused with none.
func FuzzParse(f *testing.F) {
	for _, seed := range append([]string{"", "apple,subject=event,events=whole", "timestamps=milliseconds,aud=list", "okta,", "typ=at+jwt", "=", ",,", "subject=,events"}, profile.Names()...) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := profile.Parse(text)
		if err != nil {
			if diff := cmp.Diff(profile.Profile{}, p); diff != "" || len(err.Error()) > 4*profile.MaxBytes+500 {
				t.Fatalf("%q: got %v and\n%s", text, err, diff)
			}
			return
		}
		if len(text) > profile.MaxBytes {
			t.Fatalf("got %d bytes taken", len(text))
		}
		if text == "" || len(text)+9 > profile.MaxBytes {
			return
		}
		again, err := profile.Parse(text + ",typ=JWT")
		if p.Type = profile.TypeJWT; err != nil || cmp.Diff(p, again) != "" {
			t.Fatalf("%q: one setting more: got %v\n%s", text, err, cmp.Diff(p, again))
		}
	})
}
