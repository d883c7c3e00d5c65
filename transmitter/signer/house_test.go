package signer_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/signer"
)

// patience bounds what a test waits for.
const patience = 20 * time.Second

// folder returns one with a short name that is this user's alone.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func generate(t *testing.T, algs ...jose.Algorithm) (keys []signer.Key) {
	t.Helper()
	for _, alg := range algs {
		key, err := jose.Generate(alg)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, signer.Key{Public: key.Public(), Signer: key.Raw()})
	}
	return keys
}

// house is a signer at a socket.
type house struct {
	*testing.T
	path string
	log  *log
	end  func()
}

// open serves keys at path until end is called, or the test is over.
func open(t *testing.T, path string, cfg signer.ServerConfig) *house {
	t.Helper()
	h := &house{T: t, path: path, log: &log{}}
	cfg.Logger = slog.New(slog.NewTextHandler(h.log, nil))
	s, err := signer.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := signer.Listen(t.Context(), path, false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	h.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(h.end)
	return h
}

// client returns one that is not run.
func client(t *testing.T, cfg signer.Config) *signer.Client {
	t.Helper()
	c, err := signer.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// running runs a client until the test is over.
func running(t *testing.T, c *signer.Client) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// held is a key of a client, as a crypto.Signer.
type held struct {
	client *signer.Client
	key    *jose.PublicKey
}

func (h held) Public() crypto.PublicKey { return h.key.Raw() }

func (h held) Sign(_ io.Reader, input []byte, opts crypto.SignerOpts) ([]byte, error) {
	return h.client.Sign(h.key, input, opts)
}

// sign signs a SET with a key of a client, and verifies it.
func sign(t *testing.T, c *signer.Client, key *jose.PublicKey) error {
	t.Helper()
	private, err := jose.Hold(key, held{c, key})
	if err != nil {
		t.Fatal(err)
	}
	s, err := jose.NewSigner(private, "secevent+jwt")
	if err != nil {
		t.Fatal(err)
	}
	compact, err := s.Sign([]byte(`{"jti":"1"}`))
	if err != nil {
		return err
	}
	m, err := jose.Parse([]byte(compact))
	if err != nil {
		t.Fatal(err)
	}
	if err := jose.Verify(m, key); err != nil {
		t.Errorf("%s: got %v, want a signature", key.Algorithm(), err)
	}
	return nil
}

func digest() []byte {
	sum := sha256.Sum256([]byte("header.payload"))
	return sum[:]
}

// talk sends a frame on a new connection and returns what comes back.
func talk(t *testing.T, path string, body []byte) map[string]any {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if hello := hear(t, conn); hello["protocol"] != "tocsin-signer" || hello["version"] != 1.0 || hello["error"] != nil {
		t.Fatalf("got the greeting %v, want version 1", hello)
	}
	frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
	if _, err := conn.Write(frame); err != nil {
		return nil // a frame that is too long is not read to its end
	}
	return hear(t, conn)
}

func hear(t *testing.T, conn net.Conn) map[string]any {
	t.Helper()
	var size uint32
	if err := binary.Read(conn, binary.BigEndian, &size); err != nil {
		return nil
	}
	body := make([]byte, min(size, signer.MaxFrame))
	if _, err := io.ReadFull(conn, body); err != nil {
		t.Fatal(err)
	}
	var said map[string]any
	if err := json.Unmarshal(body, &said); err != nil {
		t.Fatal(err)
	}
	return said
}

func socket(t *testing.T) string { t.Helper(); return filepath.Join(folder(t), "s.sock") }

// log is what was logged.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
