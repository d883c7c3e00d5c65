// Package signers_test runs `tocsin signer` beside `tocsin serve`, as processes, and kills
// it.
package signers_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/keyfile"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest/storm"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

const sessionRevoked = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"

// signerProcess is a `tocsin signer`, over several lives.
type signerProcess struct {
	t      *testing.T
	binary string
	dir    string // short, this user's alone
	args   []string
	env    []string
	cmd    *exec.Cmd
	said   bytes.Buffer
}

func newSigner(t *testing.T, binary string, args ...string) *signerProcess {
	t.Helper()
	dir, err := os.MkdirTemp("", "s") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	s := &signerProcess{t: t, binary: binary, dir: dir, args: args}
	t.Cleanup(func() {
		s.kill()
		_ = os.RemoveAll(dir)
		if t.Failed() {
			t.Logf("the signer's words:\n%s", &s.said)
		}
	})
	return s
}

func (s *signerProcess) socket() string { return filepath.Join(s.dir, "s.sock") }

// key makes a key in a file of the signer's folder, and returns its path and kid.
func (s *signerProcess) key(name string, alg jose.Algorithm) (path, kid string) {
	s.t.Helper()
	key, err := jose.Generate(alg)
	if err != nil {
		s.t.Fatal(err)
	}
	path = filepath.Join(s.dir, name)
	if err := keyfile.Write(s.t.Context(), path, key, nil); err != nil {
		s.t.Fatal(err)
	}
	return path, key.ID()
}

// start starts it and returns its first line.
func (s *signerProcess) start() string {
	s.t.Helper()
	s.cmd = exec.Command(s.binary, append([]string{"signer", "--socket", s.socket()}, s.args...)...)
	s.cmd.Env = append(os.Environ(), s.env...)
	s.cmd.Stderr = &s.said
	out, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		s.kill()
		s.t.Fatalf("the signer did not start: %v\n%s", err, &s.said)
	}
	return strings.TrimSpace(line)
}

// kill ends it at once (kill -9).
func (s *signerProcess) kill() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// admin asks the admin listener of a server, by its socket.
func ask(t *testing.T, s *proctest.Server, path string) string {
	t.Helper()
	resp, err := http.Get("http://" + s.Admin + path) //nolint:noctx // loopback
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, strings.TrimSpace(string(body)))
}

// The signer is killed (kill -9) over and over while events come in: every SET arrives,
// once, in order, none is a dead letter, and nobody but the signer is blamed.
func TestSignerKilled(t *testing.T) {
	rounds := 6
	if os.Getenv("TOCSIN_TEST_LONG") == "1" {
		rounds = 60
	}
	signer := newSigner(t, proctest.Binary(t))
	file, _ := signer.key("a", jose.EdDSA)
	signer.args = []string{"--key", file, "--log-level", "error"}
	signer.start()
	s := storm.New(t, "--signer", "unix:"+signer.socket())
	s.Run(t, func() {
		for range rounds {
			proctest.Pause(time.Duration(50+rand.IntN(300)) * time.Millisecond)
			signer.kill()
			before := len(s.Accepted())
			proctest.Eventually(t, "events while the signer is away", func() bool { return len(s.Accepted()) > before+10 })
			signer.start()
		}
	})
	s.Judge(t)
	if got := metric(t, s.Server, "tocsin_dead_letters"); got != "0" {
		t.Errorf("dead letters: got %s, want none", got)
	}
	if got := metric(t, s.Server, `tocsin_signer_requests_total{outcome="failed"}`); got == "0" || got == "none" {
		t.Errorf("failed signatures: got %s, want some: the kills prove nothing", got)
	}
}

// What is answered while the signer is away, what is told, and that all goes on by itself;
// and what a transmitter says that is started without its signer.
func TestSignerAway(t *testing.T) {
	signer := newSigner(t, proctest.Binary(t))
	first, firstID := signer.key("a", jose.ES256)
	second, secondID := signer.key("b", jose.ES256)
	signer.args = []string{"--key", first, "--key", second}
	if got, want := signer.start(), "tocsin: ready unix:"+signer.socket()+" 2"; got != want {
		t.Errorf("first line: got %q, want %q", got, want)
	}
	server := proctest.New(t, "--signer", "unix:"+signer.socket())
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: proctest.Patience}
	ctx := t.Context()
	source, err := server.Token(ctx, "source", "https://source.example", "events.write")
	if err != nil {
		t.Fatal(err)
	}
	app, err := server.Token(ctx, "app", "https://app.example", "ssf.manage ssf.read")
	if err != nil {
		t.Fatal(err)
	}
	id, secret := dynamicClient(t, server)
	status, body, err := server.Call(ctx, client, http.MethodPost, "/ssf/streams", app,
		map[string]any{"delivery": map[string]any{"method": delivery.MethodPoll}, "events_requested": []string{sessionRevoked}})
	if err != nil || status != http.StatusCreated {
		t.Fatalf("create: got %d %s (%v)", status, body, err)
	}
	var stream struct {
		ID string `json:"stream_id"`
	}
	if err := json.Unmarshal(body, &stream); err != nil {
		t.Fatal(err)
	}
	emit := func(n int) {
		t.Helper()
		status, body, err := server.Call(ctx, client, http.MethodPost, "/v1/events", source, map[string]any{
			"source_id": fmt.Sprint(n), "type": sessionRevoked, "subject": map[string]string{"format": "email", "email": "a@example.com"},
		})
		if err != nil || status != http.StatusAccepted {
			t.Errorf("event %d: got %d %s (%v), want 202", n, status, body, err)
		}
	}
	poll := func(ack ...string) (int, string, delivery.PollResponse) {
		t.Helper()
		req := map[string]any{"returnImmediately": true}
		if ack != nil {
			req["ack"] = ack
		}
		raw, err := json.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		q, err := http.NewRequestWithContext(ctx, http.MethodPost, server.Issuer+"/ssf/poll/"+stream.ID, bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+app)
		q.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err = io.ReadAll(resp.Body); err != nil {
			t.Fatal(err)
		}
		answer, _ := delivery.ParsePollResponse(body)
		return resp.StatusCode, resp.Header.Get("Retry-After"), answer
	}
	token := func() int {
		t.Helper()
		resp, err := client.PostForm(server.Issuer+"/oauth/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	taken := func() (jti string) {
		t.Helper()
		proctest.Eventually(t, "a SET", func() bool {
			status, _, answer := poll()
			if status == http.StatusOK && len(answer.Sets) > 0 {
				jti = answer.Sets[0].ID
			}
			return jti != ""
		})
		return jti
	}

	emit(1)
	jti := taken()
	if got := ask(t, server, "/readyz"); got != "200 ready" {
		t.Errorf("readiness: got %s, want ready", got)
	}
	signer.kill()
	emit(2)
	// What was acknowledged with the poll that fails is acknowledged.
	proctest.Eventually(t, "a poll without signer", func() bool { status, _, _ := poll(jti); return status != http.StatusOK })
	if status, after, _ := poll(); status != http.StatusServiceUnavailable || after != "5" {
		t.Errorf("poll: got %d, Retry-After %s, want 503 and 5", status, after)
	}
	if got := token(); got != http.StatusServiceUnavailable {
		t.Errorf("token: got %d, want 503", got)
	}
	if got := ask(t, server, "/readyz"); !strings.HasPrefix(got, "200 ready, but the signer is away") {
		t.Errorf("readiness: got %s, want the signer named", got)
	}
	if out, err := server.Command(ctx, "key", "rotate", "--data", server.Dir); err == nil || !strings.Contains(err.Error(), "the signer does not answer") {
		t.Errorf("rotate: got %s (%v), want that it is away", out, err)
	}
	if got := metric(t, server, "tocsin_signer_up"); got != "0" {
		t.Errorf("tocsin_signer_up: got %s, want 0", got)
	}
	// A start without it, too.
	server.Kill()
	if err := server.Start(); err != nil {
		t.Fatalf("start without the signer: got %v", err)
	}
	emit(3)
	signer.start()
	seen := map[string]bool{}
	proctest.Eventually(t, "both SETs", func() bool {
		_, _, answer := poll()
		for _, one := range answer.Sets {
			seen[one.ID] = true
		}
		return len(seen) == 2
	})
	if seen[jti] {
		t.Error("got the SET again that was acknowledged while the signer was away")
	}
	if got := ask(t, server, "/readyz"); got != "200 ready" {
		t.Errorf("back: got %s, want ready", got)
	}
	if got := token(); got != http.StatusOK {
		t.Errorf("token: got %d, want 200", got)
	}

	// Rotation takes what is announced, and says when there is nothing more.
	proctest.Eventually(t, "a list with one announced", func() bool { // the signer is asked every so often
		out, err := server.Command(ctx, "key", "list", "--data", server.Dir)
		return err == nil && strings.Contains(string(out), "announced") && strings.Contains(string(out), firstID)
	})
	if out, err := server.Command(ctx, "key", "rotate", "--data", server.Dir); err != nil || !strings.Contains(string(out), secondID) {
		t.Errorf("rotate: got %s (%v), want %s", out, err, secondID)
	}
	if out, err := server.Command(ctx, "key", "rotate", "--data", server.Dir); err == nil || !strings.Contains(err.Error(), "no unused key") {
		t.Errorf("rotate: got %s (%v), want that there is none", out, err)
	}
	if out, err := server.Command(ctx, "key", "retire", "--force", firstID, "--data", server.Dir); err == nil || !strings.Contains(err.Error(), "take it from the signer first") {
		t.Errorf("retire: got %s (%v), want that the signer has it", out, err)
	}

	// Without the flag it says what is missing; the way back is asked for.
	server.Kill()
	server.Args = nil
	if err := server.Start(); err == nil || !strings.Contains(err.Error(), "--signer") {
		t.Errorf("start without --signer: got %v, want it named", err)
	}
	if out, err := server.Command(ctx, "key", "rotate", "--data", server.Dir); err == nil || !strings.Contains(err.Error(), "none is named") {
		t.Errorf("rotate without --signer: got %s (%v), want an error", out, err)
	}
	if out, err := server.Command(ctx, "key", "rotate", "--here", "--data", server.Dir); err != nil {
		t.Fatalf("rotate --here: got %s (%v)", out, err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	emit(4)
	taken()
}

// metric returns the value of a metric, from the socket; name has its labels.
func metric(t *testing.T, s *proctest.Server, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "curl", "-fsS", "--unix-socket", filepath.Join(s.Dir, "admin.sock"), "http://tocsin/metrics").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return "none"
}

func dynamicClient(t *testing.T, s *proctest.Server) (id, secret string) {
	t.Helper()
	out, err := s.Command(t.Context(), "client", "add", "--data", s.Dir, "--id", "dynamic", "--audience", "https://dynamic.example", "--scope", "ssf.read")
	if err != nil {
		t.Fatal(err)
	}
	var made struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if err := json.Unmarshal(out, &made); err != nil {
		t.Fatal(err)
	}
	return made.ID, made.Secret
}
