package main_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
)

// What the client of Redis says is in the log at debug alone, one line in ten seconds.
func TestRedisWords(t *testing.T) {
	before := slog.Default()
	defer slog.SetDefault(before)
	now := time.Unix(1700000000, 0)
	words := main.NewRedisWords(func() time.Time { return now })
	var out bytes.Buffer
	slog.SetDefault(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo})))
	words.Printf(t.Context(), "dial %d", 0)
	if out.Len() > 0 {
		t.Errorf("got %q at info, want nothing", &out)
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	for n := range 100 {
		words.Printf(t.Context(), "dial %d", n)
	}
	now = now.Add(10 * time.Second)
	words.Printf(t.Context(), "%s", strings.Repeat("x", 5000))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "dial 0") || !strings.Contains(lines[1], "left_out=99") || len(lines[1]) > 1000 {
		t.Errorf("got %q, want two lines, the second a short one that says that 99 were left out", lines)
	}
}

// A Redis that is not there ends the start with a clear word, and neither it nor the help
// shows the password.
func TestRedisPasswordIsNotShown(t *testing.T) {
	t.Parallel() // it waits for a server that does not come
	const secret = "hunter2"
	env := []string{"TOCSIN_REDIS=redis://tocsin:" + secret + "@127.0.0.1:1", "TOCSIN_DATA=" + t.TempDir()}
	issuer := []string{"--issuer", "https://idp.example", "--audience", "https://shop.example", "--listen", "127.0.0.1:0", "--log-level", "debug"}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{append([]string{"receive"}, issuer...), 1, "opening Redis"},
		{[]string{"receive", "journal"}, 1, "opening Redis"},
		{[]string{"receive", "run", "--help"}, 0, "--redis"},
		{append([]string{"receive", "--redis", "http://tocsin:" + secret + "@127.0.0.1:1"}, issuer...), 2, "--redis: url"},
		{append([]string{"receive", "--redis-replicas", "x"}, issuer...), 2, "redis-replicas"},
	} {
		t.Run(tt.args[0]+" "+tt.args[1], func(t *testing.T) {
			t.Parallel()
			var out, errOut bytes.Buffer
			code := main.Run(t.Context(), tt.args, env, strings.NewReader(""), &out, &errOut)
			all := fmt.Sprint(&out, &errOut)
			if code != tt.code || !strings.Contains(all, tt.want) {
				t.Errorf("%q: got exit code %d and %s, want %d and %q", tt.args, code, all, tt.code, tt.want)
			}
			if strings.Contains(all, secret) {
				t.Errorf("%q: got the password in %s", tt.args, all)
			}
		})
	}
}
