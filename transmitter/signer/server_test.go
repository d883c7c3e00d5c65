package signer_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/delivery/edge"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/signer"
)

// A signer signs what the algorithm of a key signs: each refusal has its code, ends no
// more than it must, and repeats nothing of what was asked.
func TestRefusals(t *testing.T) {
	keys := generate(t, jose.ES256, jose.EdDSA)
	h := open(t, socket(t), signer.ServerConfig{Keys: keys})
	ec, ed := keys[0].Public.ID(), keys[1].Public.ID()
	enc := base64.RawURLEncoding.EncodeToString
	input := func(alg, kid string) []byte {
		return []byte(enc([]byte(`{"alg":"`+alg+`","kid":"`+kid+`"}`)) + "." + enc([]byte(`{}`)))
	}
	for _, tt := range []struct {
		name string
		ask  map[string]any
		code string // "": it is signed
	}{
		{"a digest", map[string]any{"op": "sign", "kid": ec, "alg": "ES256", "digest": digest()}, ""},
		{"a signing input", map[string]any{"op": "sign", "kid": ed, "alg": "EdDSA", "message": input("EdDSA", ed)}, ""},
		{"no such key", map[string]any{"op": "sign", "kid": "x", "alg": "ES256", "digest": digest()}, signer.CodeUnknownKey},
		{"another algorithm of another key", map[string]any{"op": "sign", "kid": ec, "alg": "EdDSA", "message": input("EdDSA", ec)}, signer.CodeAlgorithm},
		{"no algorithm", map[string]any{"op": "sign", "kid": ec, "digest": digest()}, signer.CodeAlgorithm},
		{"a short digest", map[string]any{"op": "sign", "kid": ec, "alg": "ES256", "digest": digest()[:31]}, signer.CodeInput},
		{"a long digest", map[string]any{"op": "sign", "kid": ec, "alg": "ES256", "digest": append(digest(), 0)}, signer.CodeInput},
		{"no digest", map[string]any{"op": "sign", "kid": ec, "alg": "ES256"}, signer.CodeInput},
		{"a message for a digest", map[string]any{"op": "sign", "kid": ec, "alg": "ES256", "message": input("ES256", ec)}, signer.CodeInput},
		{"a digest with a message", map[string]any{"op": "sign", "kid": ed, "alg": "EdDSA", "message": input("EdDSA", ed), "digest": digest()}, signer.CodeInput},
		{"a message of another protocol", map[string]any{"op": "sign", "kid": ed, "alg": "EdDSA", "message": []byte("ssh")}, signer.CodeInput},
		{"a signing input of another key", map[string]any{"op": "sign", "kid": ed, "alg": "EdDSA", "message": input("EdDSA", ec)}, signer.CodeInput},
		{"a signing input beyond what is a JWS", map[string]any{"op": "sign", "kid": ed, "alg": "EdDSA", "message": append(input("EdDSA", ed), bytes.Repeat([]byte("A"), jose.MaxCompactBytes)...)}, signer.CodeInput},
		{"no such op", map[string]any{"op": "export", "kid": ec}, signer.CodeMalformed},
		{"a member that there is not", map[string]any{"op": "sign", "kid": ec, "alg": "ES256", "digest": digest(), "hash": "none"}, signer.CodeMalformed},
	} {
		body, err := json.Marshal(tt.ask)
		if err != nil {
			t.Fatal(err)
		}
		said := talk(t, h.path, body)
		refusal, _ := said["error"].(map[string]any)
		if tt.code == "" && (refusal != nil || said["signature"] == nil) || tt.code != "" && (refusal["code"] != tt.code || said["signature"] != nil) {
			t.Errorf("%s: got %v, want %q", tt.name, said, tt.code)
		}
	}
	for name, body := range map[string][]byte{"not JSON": []byte("hello"), "empty": {}, "a member twice": []byte(`{"op":"list","op":"list"}`), "too long": make([]byte, signer.MaxFrame+1)} {
		if said := talk(t, h.path, body); said != nil && said["error"] == nil {
			t.Errorf("%s: got %v, want an error", name, said)
		}
	}
	if err := client(t, signer.Config{Path: h.path}).Ask(t.Context()); err != nil {
		t.Errorf("after all that: got %v, want an answer", err)
	}
	h.end()
	if text := h.log.String(); strings.Contains(text, "c3No") || strings.Contains(text, base64.StdEncoding.EncodeToString(digest())) {
		t.Errorf("got a log with what was to be signed:\n%s", text)
	}
}

// What was signed is told: a line for each key and process, with how often, and nothing of
// the digests.
func TestTally(t *testing.T) {
	keys := generate(t, jose.ES256, jose.EdDSA)
	h := open(t, socket(t), signer.ServerConfig{Keys: keys})
	c := client(t, signer.Config{Path: h.path})
	for range 3 {
		if err := sign(t, c, keys[0].Public); err != nil {
			t.Fatal(err)
		}
	}
	if err := sign(t, c, keys[1].Public); err != nil {
		t.Fatal(err)
	}
	h.end()
	for _, want := range []string{
		"msg=signed kid=" + keys[0].Public.ID() + " signatures=3 since_start=3 uid=",
		"msg=signed kid=" + keys[1].Public.ID() + " signatures=1 since_start=1 uid=",
	} {
		if text := h.log.String(); !strings.Contains(text, want) {
			t.Errorf("got no %q in\n%s", want, text)
		}
	}
}

// A key signs no faster than it may: what is over waits a moment, and is refused where
// that is not enough.
func TestRate(t *testing.T) {
	keys := generate(t, jose.ES256)
	h := open(t, socket(t), signer.ServerConfig{Keys: keys, Rate: 0.1})
	c := client(t, signer.Config{Path: h.path})
	if err := sign(t, c, keys[0].Public); err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{"op": "sign", "kid": keys[0].Public.ID(), "alg": "ES256", "digest": digest()})
	if err != nil {
		t.Fatal(err)
	}
	said := talk(t, h.path, body)
	if refusal, _ := said["error"].(map[string]any); refusal["code"] != signer.CodeBusy {
		t.Errorf("got %v, want %s", said, signer.CodeBusy)
	}
}

// The user of the process may ask, and those that are listed; on Linux nobody else may,
// nor who cannot be told.
func TestMayAsk(t *testing.T) {
	own := os.Getuid()
	for _, tt := range []struct {
		uid   int
		known bool
		want  bool
	}{
		{own, true, true},
		{own + 1, true, true},
		{own + 2, true, false},
		{0, false, runtime.GOOS != "linux"},
	} {
		if got := signer.MayAsk([]int{own + 1}, edge.Peer{UID: tt.uid}, tt.known); got != tt.want {
			t.Errorf("uid %d, known %t: got %t, want %t", tt.uid, tt.known, got, tt.want)
		}
	}
}

// A process of another user is told so, and gets nothing signed, although it can open the
// socket.
func TestForeignUser(t *testing.T) {
	if os.Getuid() != 0 || runtime.GOOS != "linux" {
		t.Skip("SKIPPED: only root can be somebody else; TestMayAsk has the rule")
	}
	const nobody = 65534
	h := open(t, socket(t), signer.ServerConfig{Keys: generate(t, jose.EdDSA)})
	for path, mode := range map[string]os.FileMode{filepath.Dir(h.path): 0o755, h.path: 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	type seen struct {
		hello map[string]any
		err   error
	}
	said := make(chan seen, 1)
	go func() {
		runtime.LockOSThread() // and never let go: the thread ends with the goroutine
		if _, _, no := syscall.RawSyscall(syscall.SYS_SETRESUID, ^uintptr(0), nobody, ^uintptr(0)); no != 0 {
			said <- seen{nil, no}
			return
		}
		conn, err := net.Dial("unix", h.path)
		if err != nil {
			said <- seen{nil, err}
			return
		}
		defer conn.Close()
		said <- seen{hear(t, conn), nil}
	}()
	got := <-said
	refusal, _ := got.hello["error"].(map[string]any)
	if got.err != nil || refusal["code"] != signer.CodePeer {
		t.Errorf("got %v (%v), want %s", got.hello, got.err, signer.CodePeer)
	}
}

// The socket is where nobody else can put another, in place of a dead one alone.
func TestListen(t *testing.T) {
	dir := folder(t)
	path := filepath.Join(dir, "made", "s.sock")
	l, err := signer.Listen(t.Context(), path, false)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{filepath.Dir(path): 0o700, path: 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got %v (%v), want mode %#o", name, info.Mode(), err, want)
		}
	}
	if _, err := signer.Listen(t.Context(), path, false); err == nil || !strings.Contains(err.Error(), "another process serves") {
		t.Errorf("beside another signer: got %v, want an error", err)
	}
	if unix, ok := l.(*net.UnixListener); ok {
		unix.SetUnlinkOnClose(false) // as a process that is killed
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := signer.Listen(t.Context(), path, true)
	if err != nil {
		t.Fatalf("in place of a dead one: got %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("shared: got %v (%v), want mode 0660", info.Mode(), err)
	}
	_ = again.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		file: "is no socket", filepath.Join(open, "s"): "others could put a socket",
		filepath.Join(dir, strings.Repeat("x", 100)): "at most 100", filepath.Join(dir, "no", "such", "s"): "no such file",
	} {
		if l, err := signer.Listen(t.Context(), path, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v and %v, want %q", path, l, err, want)
		}
	}
}

// A server has keys, each once, and each its own signer.
func TestNewServer(t *testing.T) {
	keys := generate(t, jose.EdDSA, jose.EdDSA)
	for name, list := range map[string][]signer.Key{
		"none": nil, "one twice": {keys[0], keys[0]}, "another's": {{Public: keys[0].Public, Signer: keys[1].Signer}},
	} {
		if _, err := signer.NewServer(signer.ServerConfig{Keys: list}); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
}
