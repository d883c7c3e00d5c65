package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/localca"
	"github.com/tocsin-ssf/tocsin/conformance/receivers"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// Bounds on a receiver that is started, and on an observer.
const (
	stopTime      = 15 * time.Second
	observeTime   = 10 * time.Second
	observeOutput = 64
)

// invite tells people what a receiver has to be configured with.
func invite(out io.Writer, i receivers.Invitation, ca string) {
	fmt.Fprintf(out, "Configure the receiver for %s:\n  issuer         %s\n  audience       %s\n  access token   %s\n"+
		"  or client_id   %s\n  client_secret  %s\n  token endpoint %s\n", i.Delivery, i.Issuer, i.Audience, i.Token, i.ClientID, i.ClientSecret, i.TokenURL)
	if ca != "" {
		fmt.Fprintf(out, "  CA             %s\n", ca)
	}
}

// started starts receivers by a command, each scenario in a folder of its own.
type started struct {
	command string
	dir     string // of this run
	ca      string
	cert    string // of a receiver on this machine, with its key; "": none
	log     io.Writer
}

// newStarted makes the folder of a run.
func newStarted(c conformanceReceiverCmd, base, ca string, log io.Writer) (*started, error) {
	dir, err := os.MkdirTemp(c.Data, "run-")
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	s := &started{command: c.ReceiverCmd, dir: dir, ca: ca, log: log}
	if err != nil || ca == "" {
		return s, err
	}
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	s.cert = filepath.Join(dir, "receiver.pem")
	fmt.Fprintf(log, "What receivers write is in %s.\n", dir)
	return s, localca.WritePair(c.Data, []string{"localhost", "127.0.0.1", "::1", u.Hostname()}, s.cert, s.key())
}

func (s *started) key() string { return filepath.Join(s.dir, "receiver-key.pem") }

// folder is that of a scenario.
func (s *started) folder(scenario string) string { return filepath.Join(s.dir, scenario) }

// start starts the receiver of a scenario; it ends with the run.
func (s *started) start(_ context.Context, i receivers.Invitation) (receivers.Process, error) {
	dir := s.folder(i.Scenario)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	logs, err := os.OpenFile(filepath.Join(dir, "output.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("/bin/sh", "-c", s.command)
	cmd.Env = append(os.Environ(),
		"SSF_SCENARIO="+i.Scenario, "SSF_DIR="+dir, "SSF_ISSUER="+i.Issuer, "SSF_AUDIENCE="+i.Audience, "SSF_DELIVERY="+i.Delivery,
		"SSF_TOKEN="+i.Token, "SSF_CLIENT_ID="+i.ClientID, "SSF_CLIENT_SECRET="+i.ClientSecret, "SSF_TOKEN_URL="+i.TokenURL,
	)
	if s.cert != "" {
		cmd.Env = append(cmd.Env, "SSF_CA="+s.ca, "SSF_RECEIVER_CERT="+s.cert, "SSF_RECEIVER_KEY="+s.key())
	}
	cmd.Stdout, cmd.Stderr = logs, logs
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("--receiver-cmd: %w", err), logs.Close())
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		_ = cmd.Wait() // how it ended is its own business
		_ = logs.Close()
	}()
	return p, nil
}

// process is a receiver that was started.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// Stop ends it and whatever it started.
func (p *process) Stop(kill bool) error {
	if !kill {
		endGroup(p.cmd)
		timer := time.NewTimer(stopTime)
		defer timer.Stop()
		select {
		case <-p.ended:
		case <-timer.C:
		}
	}
	killGroup(p.cmd)
	<-p.ended
	return nil
}

// observe fills in how it is told what the receiver did. folder is that of a scenario.
func (c conformanceReceiverCmd) observe(cfg *receivers.Config, folder func(scenario string) string) {
	switch {
	case c.ObserveCmd != "":
		cfg.Observe = func(ctx context.Context, scenario, jti string) (int, error) {
			ctx, cancel := context.WithTimeout(ctx, observeTime)
			defer cancel()
			cmd := exec.CommandContext(ctx, "/bin/sh", "-c", c.ObserveCmd)
			cmd.Env = append(os.Environ(), "SSF_JTI="+jti, "SSF_SCENARIO="+scenario, "SSF_DIR="+folder(scenario))
			cmd.WaitDelay = time.Second
			out, err := cmd.Output()
			if err != nil {
				return 0, fmt.Errorf("--observe-cmd: %w", err)
			}
			return howOften("--observe-cmd", string(out))
		}
	case c.ObserveURL != "":
		client := cfg.HTTP
		cfg.Observe = func(ctx context.Context, scenario, jti string) (int, error) {
			return c.observeByURL(ctx, client, scenario, jti)
		}
	}
}

func (c conformanceReceiverCmd) observeByURL(ctx context.Context, client *http.Client, scenario, jti string) (int, error) {
	u, err := url.Parse(c.ObserveURL)
	if err != nil {
		return 0, fmt.Errorf("--observe-url: %w", err)
	}
	query := u.Query()
	query.Set("jti", jti)
	query.Set("scenario", scenario)
	u.RawQuery = query.Encode()
	ctx, cancel := context.WithTimeout(ctx, observeTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return 0, fmt.Errorf("--observe-url: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("--observe-url: %w", guard.Cause(err))
	}
	defer resp.Body.Close() // read as far as it is read
	body, err := guard.ReadBody(resp.Body, observeOutput)
	if err != nil || resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("--observe-url answers %d, want 200 with a number", resp.StatusCode)
	}
	return howOften("--observe-url", string(body))
}

// howOften reads a number of times.
func howOften(from, text string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s tells %.40q, want how often the receiver acted", from, text)
	}
	return n, nil
}
