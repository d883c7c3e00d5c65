package signer_test

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/signer"
)

// serveHere names a socket at which the test's process is to be a signer, with the key
// file behind it.
const serveHere = "TOCSIN_TEST_SIGNER"

// TestMain also lets the test binary be a signer, which benchmarks ask.
func TestMain(m *testing.M) {
	path := os.Getenv(serveHere)
	if path == "" {
		os.Exit(m.Run())
	}
	raw, err := os.ReadFile(path + ".key")
	if err != nil {
		panic(err)
	}
	key, err := jose.ParsePrivateKey(raw)
	if err != nil {
		panic(err)
	}
	s, err := signer.NewServer(signer.ServerConfig{Keys: []signer.Key{{Public: key.Public(), Signer: key.Raw()}}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	l, err := signer.Listen(context.Background(), path, false)
	if err != nil {
		panic(err)
	}
	_ = s.Serve(context.Background(), l) // until it is killed
}

// A SET signed in this process, and by a signer that is another one: the time is that of
// both on all CPUs, cpu-µs/op what both processes take of them.
func BenchmarkSign(b *testing.B) {
	for _, alg := range []jose.Algorithm{jose.RS256, jose.ES256, jose.EdDSA} {
		key, err := jose.Generate(alg)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(string(alg)+"/here", func(b *testing.B) { benchmark(b, key, nil) })
		b.Run(string(alg)+"/signer", func(b *testing.B) {
			client, end, process := another(b, key)
			defer end()
			private, err := jose.Hold(key.Public(), held{client, key.Public()})
			if err != nil {
				b.Fatal(err)
			}
			benchmark(b, private, process)
		})
	}
}

// benchmark signs with a key, eight at a time for each CPU, which a signer's process may
// have.
func benchmark(b *testing.B, key *jose.PrivateKey, process *os.Process) {
	b.Helper()
	s, err := jose.NewSigner(key, "secevent+jwt")
	if err != nil {
		b.Fatal(err)
	}
	payload := []byte(`{"iss":"https://tr.example","jti":"1","events":{"` + strings.Repeat("x", 400) + `":{}}}`)
	b.SetParallelism(8)
	var failed atomic.Int64
	before := cpu(b, process)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Sign(payload); err != nil {
				failed.Add(1)
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64((cpu(b, process)-before).Microseconds())/float64(b.N), "cpu-µs/op")
	if n := failed.Load(); n > 0 {
		b.Errorf("got %d of %d unsigned", n, b.N)
	}
}

// another starts a signer with the key as another process.
func another(b *testing.B, key *jose.PrivateKey) (*signer.Client, func(), *os.Process) {
	b.Helper()
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	raw, err := key.MarshalPrivateJWK()
	if err == nil {
		err = os.WriteFile(path+".key", raw, 0o600)
	}
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveHere+"="+path)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	client, err := signer.New(signer.Config{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	for end := time.Now().Add(patience); client.Ask(b.Context()) != nil; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			b.Fatal("the signer did not start")
		}
	}
	return client, func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	}, cmd.Process
}

// cpu is what this process has taken of the CPUs, and another one, if that is not nil.
func cpu(b *testing.B, process *os.Process) time.Duration {
	b.Helper()
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		b.Fatal(err)
	}
	all := time.Duration(own.Utime.Nano() + own.Stime.Nano())
	if process != nil {
		all += spent(b, process.Pid)
	}
	return all
}
