package script

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"time"
)

// run runs a program, without a shell, such as one that makes something happen.
type run struct{ Command []string }

func (r run) check() error {
	if len(r.Command) == 0 {
		return errors.New("command is missing")
	}
	return nil
}

// maxOutput bounds what of a program's output is in the report.
const maxOutput = 16 << 10

func (r run) do(ctx context.Context, _ *world) (any, error) {
	var out limited
	cmd := exec.CommandContext(ctx, r.Command[0], r.Command[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var printed any
	if json.Unmarshal(out.buf.Bytes(), &printed) != nil {
		printed = strings.ToValidUTF8(out.buf.String(), "")
	}
	return map[string]any{"output": printed}, err
}

// limited keeps the first bytes that are written to it.
type limited struct{ buf bytes.Buffer }

// Write keeps what fits.
func (l *limited) Write(p []byte) (int, error) {
	l.buf.Write(p[:min(len(p), maxOutput-l.buf.Len())])
	return len(p), nil
}

// pause waits.
type pause struct{ For time.Duration }

func (p pause) check() error {
	if p.For <= 0 {
		return errors.New("for is missing: a duration such as 2s")
	}
	return nil
}

func (p pause) do(ctx context.Context, _ *world) (any, error) {
	timer := time.NewTimer(p.For)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
