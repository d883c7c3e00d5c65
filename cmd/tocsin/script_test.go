package main_test

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/localca"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// TestScripts runs testdata/script/*.txtar: one script for each command, with
// its failures. Besides testscript's own words a script may use
//
//	exits CODE COMMAND…   run a command and compare its exit code
//	serve FLAG…           start `tocsin serve`, set $ISSUER and $ADMIN
//	shutdown              end it as an operator does (SIGTERM), exit code 0
//	receive FLAG…         start `tocsin receive`, set $PUSH and $RECEIVE_ADMIN
//	hangup                SIGHUP it, and wait until health tells of a reload
//	until stdout TEXT COMMAND…   run a command until it prints what TEXT matches
//	shutdown-receive      end it (SIGTERM), exit code 0, its log in receive.err
//	field NAME PATH       set $NAME to a member of the JSON just printed
//	poll NAME             poll $STREAM with $TOKEN until a SET comes, set $NAME
//	                      to its jti and write it to polled.jwt
//	refuse NAME           poll it again, reporting the SET with this jti as refused
//	sink STATUS           start a receiver of webhooks that answers so, set $SINK
//	received FILE         wait for a request to it, verify that it is signed
//	                      with $SECRET, and write its body to FILE
//	certificate HOST      write cert.pem, key.pem and their CA, root.pem
//	sqlite FILE SQL       change a database that nobody has open
//	jwk                   write a signing key, key.jwk, and its set, jwks.json
func TestScripts(t *testing.T) {
	t.Parallel()
	needCurl(t)
	noStop(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "serve": serve, "shutdown": shutdown, "field": field,
			"certificate": certificate, "jwk": jwk, "poll": poll, "refuse": refuse,
			"sink": sink, "received": received,
			"sqlite": alter, "receive": receiveScript, "hangup": hangup, "until": until, "shutdown-receive": shutdownReceive,
		},
		Setup: func(env *testscript.Env) error {
			steps, err := filepath.Abs("../../docs/receivers/steps.yaml")
			if err != nil {
				return err
			}
			env.Setenv("STEPS", steps)
			env.Values[serverKey{}] = new(server)
			env.Values[receiverKey{}] = new(server)
			env.Values[sinkKey{}] = new(chan hook)
			return nil
		},
		RequireExplicitExec: true,
	})
}

// noStop fails where a script has the word stop, with which testscript ends it
// there and then: what follows would never run.
func noStop(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			if words := strings.Fields(line); len(words) > 0 && words[0] == "stop" {
				t.Errorf("%s: got the word stop, want shutdown, which goes on", file)
			}
		}
	}
}

// needCurl fails loudly where curl is missing: make needs installs it.
func needCurl(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatalf("this test calls curl (make needs installs it): %v", err)
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("got exit code %d, want %d", got, want)
	}
}

// server is the server of a script.
type server struct {
	cmd  *exec.Cmd // nil while none runs
	out  io.Reader
	logs *bytes.Buffer
}

// serverKey is where a script keeps its server.
type serverKey struct{}

// end takes the process away that has ended, or ends it.
func (s *server) end(signal os.Signal) error {
	if s.cmd == nil {
		return nil
	}
	_ = s.cmd.Process.Signal(signal)
	rest, _ := io.ReadAll(s.out)
	err := s.cmd.Wait()
	s.cmd = nil
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("unexpected output %q", rest)
	}
	return err
}

func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("serve cannot be negated: use exits")
	}
	s, _ := ts.Value(serverKey{}).(*server)
	words := s.start(ts, append([]string{"serve"}, args...))
	ts.Setenv("ISSUER", words[2])
	ts.Setenv("ADMIN", words[3])
}

// start starts a server and returns the words of its first line.
func (s *server) start(ts *testscript.TestScript, args []string) []string {
	if s.cmd != nil {
		ts.Fatalf("a server runs already")
	}
	path, err := exec.LookPath("tocsin")
	ts.Check(err)
	s.logs = new(bytes.Buffer)
	s.cmd = exec.Command(path, args...)
	s.cmd.Dir, s.cmd.Stderr = ts.Getenv("WORK"), s.logs
	for _, name := range []string{"PATH", "TMPDIR", "HOME", "TOCSIN_CONFIG", "TOCSIN_DATA", "SECRET", "SINK"} {
		s.cmd.Env = append(s.cmd.Env, name+"="+ts.Getenv(name))
	}
	pipe, err := s.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(s.cmd.Start())
	ts.Defer(func() { _ = s.end(os.Kill) })
	out := bufio.NewReader(pipe)
	s.out = out
	line, _ := out.ReadString('\n')
	words := strings.Fields(line)
	if len(words) != 4 || words[0] != "tocsin:" || words[1] != "ready" {
		err := s.end(os.Kill)
		ts.Fatalf("the first line is %q, want tocsin: ready ADDRESS ADMIN (%v)\n%s", line, err, s.logs)
	}
	return words
}

func shutdown(ts *testscript.TestScript, neg bool, args []string) {
	s, _ := ts.Value(serverKey{}).(*server)
	if neg || len(args) > 0 || s.cmd == nil {
		ts.Fatalf("usage: shutdown, after serve")
	}
	err := s.end(syscall.SIGTERM)
	ts.Check(os.WriteFile(ts.MkAbs("serve.err"), s.logs.Bytes(), 0o600))
	if err != nil {
		ts.Fatalf("shutdown: got %v, want exit code 0\n%s", err, s.logs)
	}
}

func field(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: field NAME PATH")
	}
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &v))
	for name := range strings.SplitSeq(args[1], ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[name]
		case []any:
			i, err := strconv.Atoi(name)
			ts.Check(err)
			if i >= len(at) {
				ts.Fatalf("got %d elements, want one at %d", len(at), i)
			}
			v = at[i]
		default:
			v = nil
		}
	}
	if v == nil {
		ts.Fatalf("there is no %s", args[1])
	}
	ts.Setenv(args[0], fmt.Sprint(v))
}

func certificate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: certificate HOST")
	}
	dir := ts.MkAbs(".authority")
	ts.Check(os.MkdirAll(dir, 0o700))
	pair, ca, err := localca.Certificate(dir, args, nil)
	ts.Check(err)
	root, err := os.ReadFile(ca)
	ts.Check(err)
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	ts.Check(err)
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})
	for name, text := range map[string][]byte{"cert.pem": cert, "key.pem": key, "root.pem": root} {
		ts.Check(os.WriteFile(ts.MkAbs(name), text, 0o600))
	}
}

func alter(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sqlite FILE SQL")
	}
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	_, err = db.Exec(args[1])
	ts.Check(errors.Join(err, db.Close()))
}

func jwk(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: jwk")
	}
	key, err := jose.Generate(jose.RS256)
	ts.Check(err)
	private, err := key.MarshalPrivateJWK()
	ts.Check(err)
	public, err := json.Marshal(jose.NewKeySet(key.Public()))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("key.jwk"), private, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("jwks.json"), public, 0o600))
}
