package main_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	main "github.com/tocsin-ssf/tocsin/cmd/tocsin"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/node"
	"github.com/tocsin-ssf/tocsin/transmitter"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

func stage(t *testing.T) (*transmitter.Transmitter, net.Listener) {
	t.Helper()
	n, err := node.Open(t.Context(), node.Config{Dir: t.TempDir(), Transmitter: transmitter.Config{Issuer: "https://ssf.example"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("close: got %v", err)
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return n.Transmitter, l
}

// A part that ends by itself ends the whole, with an error: a server that
// accepts and does not deliver would look well.
func TestPartEnds(t *testing.T) {
	tr, l := stage(t)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	err := main.Serve(t.Context(), tr, l, http.NotFoundHandler(), time.Minute)
	if err == nil || !strings.Contains(err.Error(), "ended by itself") {
		t.Errorf("got %v, want an error that says so", err)
	}
}

// The end waits for requests under way, and not for ever.
func TestDrain(t *testing.T) {
	for _, drain := range []time.Duration{time.Minute, time.Millisecond} {
		tr, l := stage(t)
		ctx, stop := context.WithCancel(t.Context())
		begun, finish := make(chan struct{}), make(chan struct{})
		slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(begun)
			select {
			case <-finish:
			case <-r.Context().Done():
			}
		})
		served, answered := make(chan error, 1), make(chan error, 1)
		go func() { served <- main.Serve(ctx, tr, l, slow, drain) }()
		go func() {
			resp, err := http.Get("http://" + l.Addr().String())
			if err == nil {
				err = resp.Body.Close()
			}
			answered <- err
		}()
		<-begun
		stop()
		if drain == time.Minute {
			close(finish)
			if err := <-answered; err != nil {
				t.Errorf("a request under way: got %v, want its answer", err)
			}
			if err := <-served; err != nil {
				t.Errorf("an orderly end: got %v", err)
			}
			continue
		}
		if err := <-served; err == nil || !strings.Contains(err.Error(), "did not end in time") {
			t.Errorf("a request without end: got %v, want an error that says so", err)
		}
		if err := <-answered; err == nil {
			t.Error("a request without end: got an answer")
		}
	}
}

// Every flag that sets something arrives where it is meant; what is not given
// is what help and Config call the default.
func TestServeFlags(t *testing.T) {
	type c = node.Config
	tests := []struct {
		args string
		got  func(c) any
		was  any // without the flag
		want any
	}{
		{"--issuer https://ssf.example", func(c c) any { return c.Transmitter.Issuer }, "https://127.0.0.1:8443", "https://ssf.example"},
		{"--data d", func(c c) any { return c.Dir }, "./tocsin-data", "d"},
		{"--algorithm PS256", func(c c) any { return string(c.Algorithm) }, "", "PS256"},
		{"--rotate-every 90d", func(c c) any { return c.Rotation.Every }, time.Duration(0), 90 * 24 * time.Hour},
		{"--rotate-ahead 36h", func(c c) any { return c.Rotation.Ahead }, 24 * time.Hour, 36 * time.Hour},
		{"--retire-after 2d", func(c c) any { return c.Rotation.Retire }, 168 * time.Hour, 48 * time.Hour},
		{"--max-queue 5", func(c c) any { return c.MaxDepth }, 1_000_000, 5},
		{"--key-memory 5h", func(c c) any { return c.KeyMemory }, 720 * time.Hour, 5 * time.Hour},
		{"--default-subjects NONE", func(c c) any { return string(c.Transmitter.DefaultSubjects) }, "ALL", "NONE"},
		{"--min-verification-interval 5s", func(c c) any { return c.Transmitter.MinVerificationInterval }, time.Duration(0), 5 * time.Second},
		{"--min-verification-interval 5s --conformance", func(c c) any { return c.Transmitter.MinVerificationInterval }, time.Duration(0), time.Duration(0)},
		{"--inactivity-timeout 5s", func(c c) any { return c.Transmitter.InactivityTimeout }, time.Duration(0), 5 * time.Second},
		{"--one-stream", func(c c) any { return c.Transmitter.OneStream }, false, true},
		{"--max-streams 5", func(c c) any { return c.Transmitter.MaxStreams }, 100, 5},
		{"--max-subjects 5", func(c c) any { return c.Transmitter.MaxSubjects }, 1_000_000, 5},
		{"--token-lifetime 5m", func(c c) any { return c.Transmitter.TokenLifetime }, time.Hour, 5 * time.Minute},
		{"--push-window 5", func(c c) any { return c.Transmitter.PushWindow }, 32, 5},
		{"--push-timeout 5s", func(c c) any { return c.Transmitter.PushTimeout }, 15 * time.Second, 5 * time.Second},
		{"--push-schedule 1s,2s", func(c c) any { return len(c.Transmitter.PushSchedule) }, 9, 2},
		{"--push-give-up 5h", func(c c) any { return c.Transmitter.PushGiveUp }, 120 * time.Hour, 5 * time.Hour},
		{"--push-refusals 5", func(c c) any { return c.Transmitter.PushRefusals }, 20, 5},
		{"--push-allow 10.0.0.0/8,fd00::/8", func(c c) any { return len(c.Transmitter.Push.Allow) }, 0, 2},
		{"--long-poll 5s", func(c c) any { return c.Transmitter.LongPoll }, 30 * time.Second, 5 * time.Second},
		{"--redeliver 5s", func(c c) any { return c.Transmitter.Redeliver }, time.Minute, 5 * time.Second},
		{"--expiry 5h", func(c c) any { return c.Transmitter.Expiry }, 168 * time.Hour, 5 * time.Hour},
		{"--rate-client 5", func(c c) any { return c.Transmitter.RateClient }, 10_000.0, 5.0},
		{"--rate-client off", func(c c) any { return c.Transmitter.RateClient }, 10_000.0, 0.0},
		{"--rate-address 0.5", func(c c) any { return c.Transmitter.RateAddress }, 50.0, 0.5},
		{"--rate-address off", func(c c) any { return c.Transmitter.RateAddress }, 50.0, 0.0},
		{"--insecure-loopback", func(c c) any { return c.Transmitter.InsecureLoopback }, false, true},
		{"--insecure-loopback", func(c c) any { return c.Transmitter.Push.InsecureLoopback }, false, true},
		{"--insecure-loopback", func(c c) any { return c.Transmitter.Issuer }, "https://127.0.0.1:8443", "http://127.0.0.1:8443"},
	}
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8443}
	bare, err := main.ServeConfig(nil, addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		cfg, err := main.ServeConfig(strings.Fields(test.args), addr)
		if err != nil {
			t.Errorf("%s: got %v", test.args, err)
			continue
		}
		if got := test.got(bare); got != test.was {
			t.Errorf("without %s: got %v, want %v", test.args, got, test.was)
		}
		if got := test.got(cfg); got != test.want {
			t.Errorf("%s: got %v, want %v", test.args, got, test.want)
		}
	}
}

// The settings of a token issuer come together, and what is wrong names its flag.
func TestTokenIssuerSettings(t *testing.T) {
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8443}
	issuer := []string{"--token-issuer", "https://login.example", "--token-audience", "https://ssf.example"}
	for fault, args := range map[string][]string{
		"--token-issuer":     {"--token-audience", "https://ssf.example"},
		"--token-audience":   issuer[:2],
		"--token-algorithms": append(issuer, "--token-algorithms", "HS256"),
		"--token-scope":      append(issuer, "--token-scope", "a="),
		"--token-allow":      append(issuer, "--token-allow", "10.0.0.0"),
	} {
		if _, err := main.ServeConfig(args, addr); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%v: got %v, want %s named", args, err, fault)
		}
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := main.ServeConfig(append(issuer, "--token-client", "0oa1=shop", "--token-scope", "write=ssf.manage ssf.read",
		"--token-any-type", "--introspection-client", "tocsin", "--introspection-secret", "@"+secret), addr)
	if err != nil {
		t.Fatal(err)
	}
	e := cfg.Transmitter.TokenIssuer
	if e == nil || e.Issuer != "https://login.example" || !e.AnyType || e.Clients["0oa1"] != "shop" || auth.JoinScopes(e.Scopes["write"]) != "ssf.manage ssf.read" ||
		len(e.Algorithms) != 4 || e.Introspection == nil || e.Introspection.ClientSecret != "s3cret" {
		t.Errorf("got %+v, want what the flags say", e)
	}
	if cfg, err := main.ServeConfig(nil, addr); err != nil || cfg.Transmitter.TokenIssuer != nil {
		t.Errorf("none: got %+v (%v), want our own tokens", cfg.Transmitter.TokenIssuer, err)
	}
}
