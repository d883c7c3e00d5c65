package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Roles of the processes beside the server.
const (
	RoleLoad = "load" // sends events
	RoleSink = "sink" // receives SETs
	RoleLog  = "log"  // has a log, without a server
	// RoleReceiver has a receiver with its inbox.
	RoleReceiver = "receiver"
	// RoleRedis has the stores of a Redis, without a server.
	RoleRedis = "redis"
)

// callTime bounds one request of a peer, and a peer's start.
const callTime = 60 * time.Second

// peer is a process of a role. It takes calls as lines of JSON on its standard
// input and answers each with a line; it ends when its input does.
type peer struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// call is a line to a peer.
type call struct {
	Op  string          `json:"op"`
	Arg json.RawMessage `json:"arg,omitempty"`
}

// answer is a line from a peer.
type answer struct {
	Err   string          `json:"err,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
}

// peer starts a process of a role.
func (b *bench) peer(ctx context.Context, role string) (*peer, error) {
	cmd := exec.CommandContext(ctx, b.Binary, "bench", "--role", role)
	cmd.Env, cmd.Stderr = environment(), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &peer{cmd: cmd, in: in, out: bufio.NewReader(out)}, nil
}

// environment is ours without the settings of servers: what is measured are
// the defaults and what a workload names.
func environment() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "TOCSIN_") {
			env = append(env, e)
		}
	}
	return env
}

// call makes one call and decodes its answer into value, unless that is nil.
func (p *peer) call(op string, arg, value any) error {
	raw, err := json.Marshal(arg)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(p.in).Encode(call{op, raw}); err != nil {
		return fmt.Errorf("calling %s: %w", op, err)
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the answer to %s: %w", op, err)
	}
	var a answer
	if err := json.Unmarshal(line, &a); err != nil {
		return fmt.Errorf("the answer to %s: %w", op, err)
	}
	if a.Err != "" {
		return fmt.Errorf("%s: %s", op, a.Err)
	}
	if value == nil {
		return nil
	}
	return json.Unmarshal(a.Value, value)
}

func (p *peer) close() error { return errors.Join(p.in.Close(), p.cmd.Wait()) }

// role is the other side of a peer: its operations by name.
type role map[string]func(ctx context.Context, arg json.RawMessage) (any, error)

// Serve is the process of a role: it answers calls until in ends.
func Serve(ctx context.Context, name string, in io.Reader, out io.Writer) (err error) {
	var ops role
	switch name {
	case RoleLoad:
		l := newLoad()
		defer func() { l.transmitter.close() }()
		ops = l.role()
	case RoleSink:
		s, err := newSink(ctx)
		if err != nil {
			return err
		}
		defer s.close()
		ops = s.role()
	case RoleReceiver:
		s := new(receiving)
		defer func() { err = errors.Join(err, s.close()) }()
		ops = s.role()
	case RoleRedis:
		s := new(sharing)
		defer func() { err = errors.Join(err, s.close()) }()
		ops = s.role()
	case RoleLog:
		s := new(store)
		defer func() { err = errors.Join(err, s.close()) }()
		ops = s.role()
	default:
		return fmt.Errorf("bench: no such role: %s", name)
	}
	calls, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var c call
		if err := calls.Decode(&c); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("bench: reading a call: %w", err)
		}
		if err := answers.Encode(ops.answer(ctx, c)); err != nil {
			return fmt.Errorf("bench: answering: %w", err)
		}
	}
}

func (r role) answer(ctx context.Context, c call) answer {
	op, ok := r[c.Op]
	if !ok {
		return answer{Err: "no such operation"}
	}
	value, err := op(ctx, c.Arg)
	if err != nil {
		return answer{Err: err.Error()}
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return answer{Err: err.Error()}
	}
	return answer{Value: raw}
}

// newHTTPClient returns a client that keeps as many connections as we use at once.
func newHTTPClient() *http.Client {
	return &http.Client{
		Timeout:   callTime,
		Transport: &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: callTime, DisableCompression: true},
	}
}
