package signers_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/proctest"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/signer"
)

// softHSM is where Debian puts the module that is a hardware security module in software.
const softHSM = "/usr/lib/softhsm/libsofthsm2.so"

// token makes one with the keys in a folder, and returns its environment and its PIN file.
func token(t *testing.T, dir string, keys map[string]crypto.Signer) (env, pinFile string) {
	t.Helper()
	const pin = "not-1234"
	config := filepath.Join(dir, "softhsm2.conf")
	tokens := filepath.Join(dir, "tokens")
	pinFile = filepath.Join(dir, "pin")
	if err := os.Mkdir(tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{config: "directories.tokendir = " + tokens + "\nlog.level = ERROR\n", pinFile: pin + "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env = "SOFTHSM2_CONF=" + config
	util := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "softhsm2-util", args...)
		cmd.Env = append(os.Environ(), env)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("softhsm2-util %s: %v\n%s", args[0], err, out)
		}
	}
	util("--init-token", "--free", "--label", "tocsin", "--pin", pin, "--so-pin", "so-"+pin)
	n := 0
	for label, key := range keys {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, label+".pem")
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		n++
		util("--import", file, "--token", "tocsin", "--pin", pin, "--label", label, "--id", fmt.Sprintf("%02x", n))
		if err := os.Remove(file); err != nil { // the token alone has it from now on
			t.Fatal(err)
		}
	}
	return env, pinFile
}

// Keys in a module of PKCS #11 sign through the socket, RSA and EC, and a transmitter's
// SETs; the binary with it is built with cgo, and no other knows it.
func TestPKCS11(t *testing.T) {
	for _, tool := range []string{"softhsm2-util", "gcc"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("TOCSIN_CI") != "" || os.Getenv("CI") != "" {
				t.Fatalf("%s is missing (.ci/needs)", tool)
			}
			t.Skipf("SKIPPED: %s is missing (.ci/needs); nothing tests PKCS #11", tool)
		}
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := newSigner(t, proctest.Tagged(t, "pkcs11"))
	env, pin := token(t, s.dir, map[string]crypto.Signer{"first": rsaKey, "second": ecKey})
	s.env = []string{env}
	flags := []string{"--pkcs11-module", softHSM, "--pkcs11-token", "tocsin", "--pkcs11-pin-file", pin, "--json"}

	// All of the token; then those named, in their order, one for another algorithm.
	s.args = flags
	if got := announced(t, s.start()); len(got) != 2 {
		t.Errorf("all: got %d keys, want both", len(got))
	}
	s.kill()
	s.args = append(flags, "--pkcs11-key", "second", "--pkcs11-key", "PS256=first")
	keys := announced(t, s.start())
	if len(keys) != 2 || keys[0].Algorithm() != jose.ES256 || keys[1].Algorithm() != jose.PS256 {
		t.Fatalf("named: got %v, want ES256, then PS256", keys)
	}
	client, err := signer.New(signer.Config{Path: s.socket()})
	if err != nil {
		t.Fatal(err)
	}
	digest := bytes.Repeat([]byte{7}, 32)
	pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	if _, err := client.Sign(keys[1], digest, pss); err != nil { // which verifies it
		t.Errorf("PS256: got %v", err)
	}
	s.kill()

	// A transmitter signs by RS256 with the one, and is rotated to the other.
	s.args = append(flags, "--pkcs11-key", "first", "--pkcs11-key", "second")
	keys = announced(t, s.start())
	server := proctest.New(t, "--signer", "unix:"+s.socket())
	for i, alg := range []jose.Algorithm{jose.RS256, jose.ES256} {
		server.Args = append(server.Args, "--algorithm", string(alg))
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			if out, err := server.Command(t.Context(), "key", "rotate", "--data", server.Dir); err != nil {
				t.Fatalf("rotate: got %s (%v)", out, err)
			}
		}
		verified(t, server, fmt.Sprint("app", i), keys[i])
		server.Kill()
		server.Args = server.Args[:2]
	}
	// A PIN that is wrong, or that others may read.
	s.kill()
	wrong := filepath.Join(s.dir, "wrong")
	if err := os.WriteFile(wrong, []byte("not-5678"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{wrong: "opening the token tocsin", pin: "chmod 600"} {
		if file == pin {
			if err := os.Chmod(pin, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(t.Context(), s.binary, "signer", "--socket", s.socket(), "--pkcs11-module", softHSM, "--pkcs11-token", "tocsin", "--pkcs11-pin-file", file)
		cmd.Env = append(os.Environ(), env)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), want) || strings.Contains(string(out), "not-5678") {
			t.Errorf("%s: got %s (%v), want %q", filepath.Base(file), out, err, want)
		}
	}
}

// announced reads the keys of a signer's first line.
func announced(t *testing.T, line string) []*jose.PublicKey {
	t.Helper()
	var said struct {
		Ready bool              `json:"ready"`
		Keys  []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal([]byte(line), &said); err != nil || !said.Ready {
		t.Fatalf("got %s (%v), want that it is ready", line, err)
	}
	var keys []*jose.PublicKey
	for _, raw := range said.Keys {
		key, err := jose.ParsePublicKey(raw)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

// verified checks that a SET of the server is signed with a key.
func verified(t *testing.T, server *proctest.Server, app string, key *jose.PublicKey) {
	t.Helper()
	client := &http.Client{Timeout: proctest.Patience}
	bearer, err := server.Token(t.Context(), app, "https://"+app+".example", "ssf.manage ssf.read")
	if err != nil {
		t.Fatal(err)
	}
	status, body, err := server.Call(t.Context(), client, http.MethodPost, "/ssf/streams", bearer,
		map[string]any{"delivery": map[string]any{"method": delivery.MethodPoll}, "events_requested": []string{sessionRevoked}})
	var stream struct {
		ID string `json:"stream_id"`
	}
	if err != nil || status != http.StatusCreated || json.Unmarshal(body, &stream) != nil {
		t.Fatalf("create: got %d %s (%v)", status, body, err)
	}
	if status, body, err = server.Call(t.Context(), client, http.MethodPost, "/ssf/verify", bearer, map[string]string{"stream_id": stream.ID}); err != nil || status != http.StatusNoContent {
		t.Fatalf("verify: got %d %s (%v)", status, body, err)
	}
	proctest.Eventually(t, "a SET", func() bool {
		_, body, err := server.Call(t.Context(), client, http.MethodPost, "/ssf/poll/"+stream.ID, bearer, map[string]bool{"returnImmediately": true})
		if err != nil {
			t.Fatal(err)
		}
		answer, err := delivery.ParsePollResponse(body)
		if err != nil || len(answer.Sets) == 0 {
			return false
		}
		m, err := jose.Parse([]byte(answer.Sets[0].SET))
		if err == nil {
			err = jose.Verify(m, key)
		}
		if err != nil || m.Header.KeyID != key.ID() {
			t.Errorf("got a SET of %s by %s (%v), want one of %s", m.Header.KeyID, m.Header.Algorithm, err, key.ID())
		}
		return true
	})
}
