package receiver_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/sqliteinbox"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// These tell the test binary that it is the receiver to be killed: its folder, the
// keys of its transmitter, and whether its hooks come to an end.
const (
	killedFolder = "TOCSIN_TEST_KILLED_RECEIVER"
	killedKeys   = "TOCSIN_TEST_KILLED_KEYS"
	killedHangs  = "TOCSIN_TEST_KILLED_HANGS"
)

// killedReceiver serves a push endpoint for ever; it prints its address and each hook
// as it begins.
func killedReceiver(dir string) error {
	ctx := context.Background()
	in, err := sqliteinbox.Open(ctx, sqliteinbox.Config{Path: filepath.Join(dir, "inbox.db")})
	if err != nil {
		return err
	}
	keys, err := jose.ParseKeySet([]byte(os.Getenv(killedKeys)))
	if err != nil {
		return err
	}
	mux := receiver.NewMux()
	mux.Default(func(_ context.Context, d receiver.Delivery) error {
		fmt.Println("hook", d.ID)
		if os.Getenv(killedHangs) != "" {
			select {}
		}
		return nil
	})
	r, err := receiver.New(receiver.Config{
		Issuer: issuer, Audience: []string{audience}, Keys: keysFunc(keys.Find),
		Inbox: in, Mux: mux, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("listens", l.Addr())
	go func() { _ = http.Serve(l, r.Handler()) }()
	return r.Run(ctx)
}

// life is a receiver's process from its start to its kill.
type life struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	url   string
}

func live(t *testing.T, dir string, env ...string) *life {
	t.Helper()
	keys, err := json.Marshal(jose.NewKeySet(transmitterKey().Public()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a hook that never begins fails the test
	t.Cleanup(cancel)
	l := &life{cmd: exec.CommandContext(ctx, os.Args[0])}
	l.cmd.Env = append(os.Environ(), append(env, killedFolder+"="+dir, killedKeys+"="+string(keys))...)
	l.cmd.Stderr = os.Stderr
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.kill)
	l.lines = bufio.NewScanner(out)
	l.url = "http://" + strings.TrimPrefix(l.next(), "listens ")
	return l
}

// next returns the next line that the process prints, or "" once it is gone.
func (l *life) next() string {
	l.lines.Scan()
	return l.lines.Text()
}

// kill ends the process at once (kill -9).
func (l *life) kill() {
	_ = l.cmd.Process.Kill()
	_ = l.cmd.Wait() // it was killed
}

// push sends a SET, which must be answered 202.
func (l *life) push(t *testing.T, compact string) {
	t.Helper()
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post(l.url, delivery.MediaType, strings.NewReader(compact))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Fatalf("got %d, want 202", resp.StatusCode)
	}
}

// PUSH-2-04: a receiver that is killed between the 202 and the hook runs the hook
// after its restart; one killed during a hook runs it again, in its order. What ran to
// its end runs never again.
func TestReceiverKilled(t *testing.T) {
	dir := t.TempDir()
	began, behind := sign(t, builder("began")), sign(t, builder("behind"))
	first := live(t, dir, killedHangs+"=1")
	first.push(t, began)
	if got := first.next(); got != "hook began" {
		t.Fatalf("got %q, want the hook of the first SET", got)
	}
	first.push(t, behind) // its hook waits for the one before it
	first.kill()

	second := live(t, dir)
	for _, want := range []string{"hook began", "hook behind"} {
		if got := second.next(); got != want {
			t.Errorf("after the kill: got %q, want %q", got, want)
		}
	}
	second.push(t, behind) // seen before: nothing again
	second.push(t, sign(t, builder("last")))
	if got := second.next(); got != "hook last" {
		t.Errorf("got %q, want the hook of the new SET alone", got)
	}
	second.kill()
}
