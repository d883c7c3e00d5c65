package redistest

import (
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Memory returns the bytes that the server uses.
func Memory(t testing.TB, c redis.UniversalClient) float64 {
	t.Helper()
	return figure(t, c, "used_memory")
}

// CPU returns the seconds of processor time that the server has used.
func CPU(t testing.TB, c redis.UniversalClient) float64 {
	t.Helper()
	return figure(t, c, "used_cpu_user") + figure(t, c, "used_cpu_sys")
}

// figure reads a number of INFO.
func figure(t testing.TB, c redis.UniversalClient, name string) float64 {
	t.Helper()
	text, err := c.Info(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(text, "\r\n"+name+":")
	line, _, _ := strings.Cut(after, "\r\n")
	v, err := strconv.ParseFloat(line, 64)
	if err != nil {
		t.Fatalf("got %q for %s, want a number", line, name)
	}
	return v
}
