// Package exec runs a program for each action: without a shell, with the JSON of
// package message on its standard input.
package exec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/message"
)

// Bounds of a program.
const (
	// DefaultTimeout bounds a run unless Config.Timeout says otherwise.
	DefaultTimeout = 30 * time.Second
	// MaxOutputBytes is how much of its standard output, and of its standard error, is kept.
	MaxOutputBytes = 64 << 10

	// waitDelay is how long it is waited for output after the program has ended: its
	// children may hold it open.
	waitDelay = 500 * time.Millisecond
	// maxLoggedBytes bounds what of standard error is logged.
	maxLoggedBytes = 1024

	searchPath = "/usr/local/bin:/usr/bin:/bin"
)

// Exit statuses of a program (sysexits.h). Every other but 0 is as TempFail.
const (
	ExitData     = 65 // EX_DATAERR: never to be tried again with this event
	ExitTempFail = 75 // EX_TEMPFAIL: to be tried again later
)

// Config is a program.
type Config struct {
	// Command is the program's absolute path and its arguments. No shell reads it, and
	// nothing of an event is put into it. Required.
	Command []string
	// Env is the whole of its environment, but for PATH (/usr/local/bin:/usr/bin:/bin)
	// unless that is given. Values may be secrets.
	Env map[string]string
	// Dir is its working folder; empty: /.
	Dir string
	// Timeout bounds a run; zero: DefaultTimeout. A hook's deadline does, too. Then the
	// program and all of its process group are killed.
	Timeout time.Duration
	// Effects are those it is run for; none: all.
	Effects []hooks.Effect
	// Logger, if not nil, gets the first line of standard error of a run that failed:
	// that no identifier stands there is the program's to see to.
	Logger *slog.Logger
}

// Hook runs a program. Safe for concurrent use: runs may overlap.
type Hook struct{ cfg Config }

// New checks cfg and returns its hook; it runs nothing.
func New(cfg Config) (*Hook, error) {
	var wrong []error
	if len(cfg.Command) == 0 || !filepath.IsAbs(cfg.Command[0]) {
		wrong = append(wrong, errors.New("command: it begins with the absolute path of a program"))
	} else if _, err := exec.LookPath(cfg.Command[0]); err != nil {
		wrong = append(wrong, fmt.Errorf("command: %s is no program that can be run", cfg.Command[0]))
	}
	if slices.ContainsFunc(cfg.Command, func(arg string) bool { return strings.ContainsRune(arg, 0) }) {
		wrong = append(wrong, errors.New("command: an argument has a zero byte"))
	}
	names := regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	for name, value := range cfg.Env {
		if !names.MatchString(name) || strings.ContainsRune(value, 0) {
			wrong = append(wrong, fmt.Errorf("env: %q cannot be set", name))
		}
	}
	if cfg.Dir != "" && !filepath.IsAbs(cfg.Dir) {
		wrong = append(wrong, errors.New("dir: it is an absolute path"))
	}
	if cfg.Timeout < 0 {
		wrong = append(wrong, errors.New("timeout: it is not negative"))
	}
	for _, e := range cfg.Effects {
		if !slices.Contains(hooks.Effects(), e) {
			wrong = append(wrong, fmt.Errorf("effects: there is no %q", e))
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("exec hook: %w", err)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.Dir == "" {
		cfg.Dir = "/"
	}
	return &Hook{cfg}, nil
}

// Act runs the program. Status 0 is done, and standard output may be {"ended": N};
// ExitData is permanent; every other, and death by a signal, is tried again.
func (h *Hook) Act(ctx context.Context, a hooks.Action) (hooks.Outcome, error) {
	if len(h.cfg.Effects) > 0 && !slices.Contains(h.cfg.Effects, a.Effect) {
		return hooks.Outcome{}, hooks.ErrNotApplicable
	}
	input, err := json.Marshal(message.Of(a))
	if err != nil {
		return hooks.Outcome{}, receiver.Permanent(errors.New("exec hook: the event cannot be written as JSON"))
	}
	ctx, cancel := context.WithTimeout(ctx, h.cfg.Timeout)
	defer cancel()
	var stdout, stderr bounded
	cmd := exec.CommandContext(ctx, h.cfg.Command[0], h.cfg.Command[1:]...)
	cmd.Env, cmd.Dir = h.env(), h.cfg.Dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &stdout, &stderr
	cmd.WaitDelay = waitDelay
	group(cmd)
	err = cmd.Run()
	if err != nil && cmd.Process != nil { // children of it hold its output, or would pile up with each attempt
		killGroup(cmd)
	}
	if errors.Is(err, exec.ErrWaitDelay) { // it is done all the same
		err = nil
	}
	if err != nil {
		return hooks.Outcome{}, h.failure(ctx, a, cmd, err, &stderr)
	}
	return hooks.Outcome{Ended: ended(stdout.Bytes())}, nil
}

func (h *Hook) env() []string {
	vars := map[string]string{"PATH": searchPath}
	maps.Copy(vars, h.cfg.Env)
	var env []string
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		env = append(env, name+"="+vars[name])
	}
	return env
}

// failure says how a run failed, without what the program said.
func (h *Hook) failure(ctx context.Context, a hooks.Action, cmd *exec.Cmd, err error, stderr *bounded) error {
	if h.cfg.Logger != nil {
		line, _, _ := bytes.Cut(stderr.Bytes(), []byte("\n"))
		h.cfg.Logger.WarnContext(ctx, "program of a hook failed", "jti", a.Delivery.ID, "txn", a.Delivery.TransactionID,
			"status", cmd.ProcessState.String(), "stderr", strings.ToValidUTF8(string(line[:min(len(line), maxLoggedBytes)]), "?"))
	}
	if ctx.Err() != nil {
		return fmt.Errorf("exec hook: the program was killed: %w", ctx.Err())
	}
	status, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return errors.New("exec hook: the program cannot be run")
	}
	err = fmt.Errorf("exec hook: the program ended with %s", status.ProcessState)
	if status.ExitCode() == ExitData {
		return receiver.Permanent(err)
	}
	return err
}

// ended reads how many sessions ended, if the program says so.
func ended(out []byte) int {
	var said struct {
		Ended *int `json:"ended"`
	}
	if json.Unmarshal(out, &said) != nil || said.Ended == nil || *said.Ended < 0 {
		return hooks.Unknown
	}
	return *said.Ended
}

// bounded keeps the first MaxOutputBytes of what is written to it.
type bounded struct{ bytes.Buffer }

// Write takes all of p, and keeps what there is room for.
func (b *bounded) Write(p []byte) (int, error) {
	if room := MaxOutputBytes - b.Len(); room > 0 {
		_, _ = b.Buffer.Write(p[:min(len(p), room)]) // never fails
	}
	return len(p), nil
}
