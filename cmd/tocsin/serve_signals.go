package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/console"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// signalsFolder is where the receiver of the provider's signals keeps what it knows, in
// the data folder.
const signalsFolder = "console"

// signalFlags say where the OpenID Provider tells of sessions that have ended.
type signalFlags struct {
	ConsoleSignals         string `help:"SSF transmitter of the OpenID Provider, often the provider's own URL: a poll stream is kept there, and what it says of sessions and accounts ends sessions of the console. Called as --console-provider is. Default: nothing ends them but time." placeholder:"URL" group:"Console:"`
	ConsoleSignalsAudience string `help:"aud of its SETs; default: --console-client." placeholder:"AUD" group:"Console:"`
	ConsoleSignalsToken    string `help:"Access token for its API: @FILE, which is read for each request, or the text." placeholder:"@FILE" group:"Console:" xor:"signals-credential"`
	ConsoleSignalsClient   string `help:"client_id for tokens of its token endpoint, in place of one token." placeholder:"ID" group:"Console:" xor:"signals-credential" and:"signals-client"`
	ConsoleSignalsSecret   string `help:"Its secret: @FILE, or the text." placeholder:"@FILE" group:"Console:" and:"signals-client"`
	ConsoleSignalsTokenURL string `help:"Token endpoint; default: as the transmitter's authorization server says." placeholder:"URL" name:"console-signals-token-url" group:"Console:"`
}

// issuer returns the transmitter as a receiver is told of it.
func (f signalFlags) issuer(client string, tokens tokenFlags, policy guard.Policy) receive.Issuer {
	is := receive.Issuer{Issuer: f.ConsoleSignals, Audience: []string{client}, Allow: policy.Allow, CA: tokens.TokenCA, Description: "Sessions of the console"}
	if f.ConsoleSignalsAudience != "" {
		is.Audience = []string{f.ConsoleSignalsAudience}
	}
	if file, ok := strings.CutPrefix(f.ConsoleSignalsToken, "@"); ok {
		is.Credentials.TokenFile = file
	} else {
		is.Credentials.Token = f.ConsoleSignalsToken
	}
	if f.ConsoleSignalsClient != "" {
		c := receive.Client{ID: f.ConsoleSignalsClient, TokenURL: f.ConsoleSignalsTokenURL}
		if file, ok := strings.CutPrefix(f.ConsoleSignalsSecret, "@"); ok {
			c.SecretFile = file
		} else {
			c.Secret = f.ConsoleSignalsSecret
		}
		is.Credentials.Client = c
	}
	return is
}

// listener hears the provider's signals beside the work of the transmitter, which it
// never ends.
type listener struct {
	daemon *receive.Daemon
	iss    string
	logger *slog.Logger
	fault  atomic.Pointer[string] // why it has ended
}

// signals returns how the provider's signals are received; false: none are heard.
func (s serveCmd) signals(policy guard.Policy) (cfg receive.Config, heard bool, err error) {
	f := s.signalFlags
	switch {
	case f == (signalFlags{}):
		return cfg, false, nil
	case f.ConsoleSignals == "":
		return cfg, false, usage("--console-signals is missing: without it nothing is asked for by its other settings")
	case s.ConsoleProvider == "":
		return cfg, false, usage("--console-provider is missing: --console-signals is about those who sign in with it")
	}
	cfg, err = receive.ForConsole(receive.Config{
		Data: filepath.Join(s.Data, signalsFolder), RedisSettings: s.RedisSettings, InsecureLoopback: s.InsecureLoopback, ShutdownTimeout: s.ShutdownTimeout,
	}, f.issuer(s.ConsoleClient, s.tokenFlags, policy), signalFault)
	if err != nil {
		return cfg, false, usage("%v", err)
	}
	return cfg, true, nil
}

// openSignals opens the receiver of the provider's signals; nil: none are heard.
func (s serveCmd) openSignals(ctx context.Context, policy guard.Policy, logger *slog.Logger) (*listener, error) {
	cfg, heard, err := s.signals(policy)
	if err != nil {
		return nil, err
	}
	if !heard {
		if s.ConsoleProvider != "" {
			logger.WarnContext(ctx, "sessions of the console do not end when the OpenID Provider ends them: --console-signals names no transmitter")
		}
		return nil, nil
	}
	daemon, err := receive.Open(ctx, cfg, receive.Options{Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("the receiver of the signals that end sessions of the console: %w", err)
	}
	return &listener{daemon: daemon, iss: s.ConsoleSignals, logger: logger}, nil
}

// signalFault names the flag that a setting of the receiver came from.
func signalFault(key, format string, args ...any) error {
	flag := "--console-signals"
	switch {
	case strings.HasPrefix(key, "redis"):
		flag = "--" + strings.ReplaceAll(key, "_", "-")
	case strings.Contains(key, "audience"):
		flag += "-audience"
	case strings.Contains(key, "token_url"):
		flag += "-token-url"
	case strings.Contains(key, "client"), strings.Contains(key, "secret"):
		flag += "-client"
	case strings.Contains(key, "credentials"), strings.Contains(key, "token"):
		flag += "-token"
	case strings.HasSuffix(key, ".ca"):
		flag = "--token-ca"
	}
	return fmt.Errorf("%s: %s", flag, fmt.Sprintf(format, args...))
}

// signals returns what the console is to know of them.
func (l *listener) signals() (*console.Signals, error) {
	gate, err := l.daemon.ConsoleGate()
	if err != nil {
		return nil, err
	}
	return &console.Signals{Gate: gate, Issuers: []string{l.iss}, Deaf: l.deaf}, nil
}

func (l *listener) deaf(ctx context.Context) (why string, meant bool) {
	if fault := l.fault.Load(); fault != nil {
		return "Signals of the OpenID Provider are no longer heard: " + *fault, true
	}
	return l.daemon.Deaf(ctx, l.iss)
}

// Run hears signals until ctx ends. An end before that is told, and no error.
func (l *listener) Run(ctx context.Context) error {
	if err := l.daemon.Run(ctx); ctx.Err() == nil {
		fault := fmt.Sprint(err)
		l.fault.Store(&fault)
		l.logger.ErrorContext(ctx, "the receiver of the signals that end sessions of the console has ended", "err", err)
		<-ctx.Done()
	}
	return nil
}

// Close closes what is open; nil is closed.
func (l *listener) Close() error {
	if l == nil {
		return nil
	}
	return l.daemon.Close()
}

// consoled is a part beside which the console's sessions are watched, and the signals
// heard that end them.
type consoled struct {
	part
	pages   *console.Console
	signals *listener // nil: there is none
}

// Run runs the part.
func (c consoled) Run(ctx context.Context) error {
	beside, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended, parts := make(chan error), 1
	go func() { ended <- c.pages.Watch(beside) }()
	if c.signals != nil {
		parts++
		go func() { ended <- c.signals.Run(beside) }()
	}
	err := c.part.Run(ctx)
	stop()
	for range parts {
		err = errors.Join(err, <-ended)
	}
	return err
}
