package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tocsin-ssf/tocsin/set/delivery"
)

const (
	// audience of the one application of a bench.
	audience = "https://receiver.bench.example"
	// farAway is a limit that no run reaches.
	farAway = "1000000"
	// maxStreams of it.
	maxStreams = 20_000
	// quietTime is what a server has to write down what was just delivered.
	quietTime = 100 * time.Millisecond
)

// server is a `tocsin serve` on a data folder of its own.
type server struct {
	bench  *bench
	cmd    *exec.Cmd
	dir    string
	issuer string
	writer string // token of a source
	reader string // token of a receiver
	client *http.Client
	done   chan struct{}
}

// stream is one of a server.
type stream struct {
	ID   string
	Poll string // URL, of a poll stream
}

// serve starts a server on dir, or on a new folder, with the defaults and
// further flags, and a client that writes events and one that has streams.
func (b *bench) serve(ctx context.Context, dir string, flags ...string) (_ *server, err error) {
	s, err := b.launch(ctx, dir, flags...)
	if err != nil {
		return nil, err
	}
	if s.writer, err = s.token(ctx, "source", "events.write"); err == nil {
		s.reader, err = s.token(ctx, "receiver", "ssf.manage ssf.read")
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// launch starts a server.
func (b *bench) launch(ctx context.Context, dir string, flags ...string) (_ *server, err error) {
	if dir == "" {
		dir = b.folder()
	}
	s := &server{bench: b, dir: dir, client: newHTTPClient(), done: make(chan struct{})}
	s.cmd = exec.CommandContext(ctx, b.Binary, append([]string{
		"serve", "--insecure-loopback", "--listen", "127.0.0.1:0", "--data", s.dir,
		"--max-streams", fmt.Sprint(maxStreams), "--log-level", "error",
		// One address and few clients stand for many: their limits count, and are far away.
		"--rate-client", farAway, "--rate-address", farAway, "--max-connections", farAway, "--max-connections-per-address", farAway,
	}, flags...)...)
	said := new(bytes.Buffer)
	s.cmd.Env, s.cmd.Stderr = environment(), said
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a server: %w", err)
	}
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		_ = s.cmd.Wait()
		close(s.done)
	}()
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(), fmt.Errorf("the server said:\n%.2000s", said)) // close ends its writing
		}
	}()
	words := strings.Fields(line)
	if len(words) != 4 || words[1] != "ready" {
		return nil, errors.Join(fmt.Errorf("the server's first line is %q, not that it is ready", line), err)
	}
	s.issuer = words[2]
	return s, nil
}

// token adds a client and returns its access token.
func (s *server) token(ctx context.Context, id, scope string) (string, error) {
	cmd := exec.CommandContext(ctx, s.bench.Binary, "client", "add", "--data", s.dir, "--id", id,
		"--audience", audience, "--scope", scope, "--static")
	cmd.Env, cmd.Stderr = environment(), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("adding a client: %w", err)
	}
	var made struct {
		AccessToken string `json:"access_token"`
	}
	return made.AccessToken, json.Unmarshal(out, &made)
}

// stream makes a stream of an event type: pushed to endpoint, or polled if that is "".
func (s *server) stream(ctx context.Context, endpoint, eventType string) (stream, error) {
	how := map[string]string{"method": delivery.MethodPoll}
	if endpoint != "" {
		how = map[string]string{"method": delivery.MethodPush, "endpoint_url": endpoint}
	}
	var made struct {
		ID       string `json:"stream_id"`
		Delivery struct {
			Endpoint string `json:"endpoint_url"`
		} `json:"delivery"`
	}
	ask := map[string]any{"delivery": how, "events_requested": []string{eventType}}
	err := s.post(ctx, "/ssf/streams", http.StatusCreated, ask, &made)
	return stream{ID: made.ID, Poll: made.Delivery.Endpoint}, err
}

// addSubject adds an email address to a stream.
func (s *server) addSubject(ctx context.Context, id, email string) error {
	return s.post(ctx, "/ssf/subjects/add", http.StatusOK, map[string]any{
		"stream_id": id, "subject": map[string]string{"format": "email", "email": email},
	}, nil)
}

// each calls fn for 0..n-1, some at once.
func each(ctx context.Context, n int, fn func(ctx context.Context, i int) error) error {
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range senders {
		group.Go(func() error {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if err := fn(ctx, int(i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func (s *server) post(ctx context.Context, path string, want int, ask, answer any) error {
	raw, err := json.Marshal(ask)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.issuer+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.reader)
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode != want {
		return fmt.Errorf("POST %s: %d %.300s", path, resp.StatusCode, body)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(body, answer)
}

// events is a call of a load process to this server.
func (s *server) events(n int) sendCall {
	return sendCall{URL: s.issuer + "/v1/events", Token: s.writer, Events: n, Senders: senders, Type: typeWanted}
}

// cpu returns the CPU time that the server used while fn ran, in µs.
func (s *server) cpu(ctx context.Context, fn func() error) (float64, error) {
	before, err := cpuOf(s.cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	if err := fn(); err != nil {
		return 0, err
	}
	if err := pause(ctx, quietTime); err != nil {
		return 0, err
	}
	after, err := cpuOf(s.cmd.Process.Pid)
	return micros(after - before), err
}

// close ends the server and removes its folder. Nothing it holds is wanted
// any more, so it need not end in order.
func (s *server) close() error {
	s.client.CloseIdleConnections()
	_ = s.cmd.Process.Kill()
	<-s.done
	return os.RemoveAll(s.dir)
}
