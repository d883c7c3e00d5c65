package redistest_test

import (
	"testing"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb/redistest"
)

// Where the variable says so a server refuses what is not documented to be used.
func TestLimited(t *testing.T) {
	t.Setenv(redistest.Address, "")
	for _, limited := range []string{"", "1"} {
		t.Setenv(redistest.Limited, limited)
		c := redistest.Start(t).Client(t)
		for command, want := range map[string]bool{"INCR": true, "SORT": limited == ""} {
			answer, err := c.Do(t.Context(), "ACL", "DRYRUN", "default", command, "a").Text()
			if err != nil || (answer == "OK") != want {
				t.Errorf("%s=%q: got %q, %v for %s, want it allowed: %v", redistest.Limited, limited, answer, err, command, want)
			}
		}
	}
}
