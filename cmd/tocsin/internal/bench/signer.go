package bench

import (
	"bufio"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/transmitter/signer"
)

const (
	signerRuns   = 4000 // signatures of a round
	signerCalls  = 16   // at once
	signerTarget = 1.5
)

// signer measures signatures by a tocsin signer, in another process, beside those that
// this process makes: RS256, the CPU of both processes together.
func (b *bench) signer(ctx context.Context, w workload) (_ []Result, err error) {
	dir, err := os.MkdirTemp("", "s") // a socket's path is short
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	held, err := b.holder(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, held.close()) }()
	here, err := jose.Generate(jose.RS256)
	if err != nil {
		return nil, err
	}
	direct, err := jose.NewSigner(here, set.HeaderType)
	if err != nil {
		return nil, err
	}
	payload := []byte(`{"iss":"https://tr.bench.example","jti":"1","events":{"` + strings.Repeat("x", 400) + `":{}}}`)
	n := b.count(signerRuns)
	signing := func(s *jose.Signer) func() error {
		return func() error { _, err := s.Sign(payload); return err }
	}
	rounds, err := b.rounds(ctx, w.name, func(context.Context) (Round, error) {
		floor, err := b.floor.cpu("", n, signerCalls, signing(direct))
		if err != nil {
			return Round{}, err
		}
		before, err := cpuOf(held.process.Pid)
		if err != nil {
			return Round{}, err
		}
		us, err := b.floor.cpu("", n, signerCalls, signing(held.signs))
		if err != nil {
			return Round{}, err
		}
		after, err := cpuOf(held.process.Pid)
		return Round{us + micros(after-before)/float64(n), floor}, err
	})
	return []Result{w.atMost(signerTarget, perSET, rounds)}, err
}

// holder is a signer in a process of its own, and what signs by it.
type holder struct {
	process *os.Process
	client  *signer.Client
	signs   *jose.Signer
	done    chan struct{}
}

// holder makes a key and starts a signer for it in dir.
func (b *bench) holder(ctx context.Context, dir string) (_ *holder, err error) {
	key, socket := filepath.Join(dir, "key"), filepath.Join(dir, "s")
	if out, err := exec.CommandContext(ctx, b.Binary, "key", "make", key).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("making a key: %w: %.200s", err, out)
	}
	cmd := exec.CommandContext(ctx, b.Binary, "signer", "--socket", socket, "--key", key, "--log-level", "error")
	cmd.Env = environment()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("starting a signer: %w", err)
	}
	h := &holder{process: cmd.Process, done: make(chan struct{})}
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		_ = cmd.Wait()
		close(h.done)
	}()
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if err != nil || !strings.HasPrefix(line, "tocsin: ready unix:") {
		return nil, errors.Join(fmt.Errorf("the signer's first line is %q, not that it is ready", line), err)
	}
	if h.client, err = signer.New(signer.Config{Path: socket}); err != nil {
		return nil, err
	}
	if err = h.client.Ask(ctx); err != nil {
		return nil, err
	}
	public := h.client.Announced().Keys()[0]
	private, err := jose.Hold(public, remote{h.client, public})
	if err != nil {
		return nil, err
	}
	h.signs, err = jose.NewSigner(private, set.HeaderType)
	return h, err
}

// close ends the process; nothing it holds is wanted any more.
func (h *holder) close() error {
	if h.client != nil {
		h.client.Close()
	}
	_ = h.process.Kill()
	<-h.done
	return nil
}

// remote is a key that a signer holds.
type remote struct {
	client *signer.Client
	key    *jose.PublicKey
}

// Public returns its public half.
func (r remote) Public() crypto.PublicKey { return r.key.Raw() }

// Sign asks the signer.
func (r remote) Sign(_ io.Reader, input []byte, opts crypto.SignerOpts) ([]byte, error) {
	return r.client.Sign(r.key, input, opts)
}
