package transmitter_test

import (
	"testing"

	"github.com/tocsin-ssf/tocsin/set"
)

// parse reads a SET without judging its signature.
func parse(t testing.TB, compact string) *set.Token {
	t.Helper()
	token, err := set.Parse([]byte(compact))
	if err != nil {
		t.Fatalf("%v: %s", err, compact)
	}
	return token
}

func claims(t testing.TB, compact string) string {
	t.Helper()
	return string(parse(t, compact).Claims())
}
