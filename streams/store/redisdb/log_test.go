package redisdb_test

import (
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// What the client library tells goes to the log, in a process of its own: it is for all
// connections of one.
func TestLogTo(t *testing.T) {
	const child = "TOCSIN_TEST_LOG_TO"
	if os.Getenv(child) != "" {
		redisdb.LogTo(slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug})))
		_, err := redisdb.Open(t.Context(), redisdb.Config{URL: "redis+sentinel://:secret@127.0.0.1:1/m"})
		if err == nil {
			t.Error("got a server, want none")
		}
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLogTo$")
	cmd.Env = append(os.Environ(), child+"=1")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "sentinel") || stderr.Len() > 0 || strings.Contains(string(out), "secret") {
		t.Errorf("got %s, %s, %v, want what the library says in the log alone, without the password", out, stderr.String(), err)
	}
}
