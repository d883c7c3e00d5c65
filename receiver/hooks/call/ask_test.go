package call_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/call"
)

// What an event names never leads elsewhere.
func TestPath(t *testing.T) {
	base, err := url.Parse("https://kc.example/auth/")
	if err != nil {
		t.Fatal(err)
	}
	for segment, want := range map[string]string{
		"jo":                     "https://kc.example/auth/users/jo/logout",
		"a/../../b":              "https://kc.example/auth/users/a%2F..%2F..%2Fb/logout",
		"j?x=1#y":                "https://kc.example/auth/users/j%3Fx=1%23y/logout",
		"":                       "",
		".":                      "",
		"..":                     "",
		strings.Repeat("a", 513): "",
	} {
		u, err := call.Path(base, "users", segment, "logout")
		if want == "" {
			if !errors.Is(err, call.ErrSegment) || !receiver.IsPermanent(err) {
				t.Errorf("%.10q: got %v, %v, want a permanent %v", segment, u, err, call.ErrSegment)
			}
			continue
		}
		if err != nil || u.String() != want {
			t.Errorf("%q: got %v, %v, want %s", segment, u, err, want)
		}
	}
}
