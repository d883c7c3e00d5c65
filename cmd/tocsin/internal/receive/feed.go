package receive

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/policy"
)

// feed is the receiver of one issuer with what it needs.
type feed struct {
	cfg      Issuer
	receiver *receiver.Receiver
	run      func(ctx context.Context) error
	print    [sha256.Size]byte // of all that it was built of
}

// newFeed builds the receiver of an issuer; it makes no request.
func (d *Daemon) newFeed(cfg Config, is Issuer) (*feed, error) {
	print, err := fingerprint(cfg, is)
	if err != nil {
		return nil, err
	}
	rc := receiver.Config{
		Issuer: is.Issuer, Audience: is.Audience, Algorithms: is.Algorithms,
		Inbox: d.Inbox, Feed: is.Name, Mux: receiver.NewMux(),
		Authorization: is.Delivery.Authorization,
		Workers:       cfg.Workers, HookTimeout: cfg.eventTimeout(), Retry: cfg.Retry, Skew: cfg.Skew,
		Grace:    min(receiver.DefaultGrace, cfg.ShutdownTimeout/2),
		Observer: d.metrics.observer(is.Name), Crash: d.opts.Crash,
		Logger: d.log.With("issuer", is.Name), Now: d.opts.Now,
	}
	rc.Mux.Default(func(ctx context.Context, delivery receiver.Delivery) error { return d.act(ctx, is.Name, delivery) })
	f := &feed{cfg: is, print: print}
	if err := trust(cfg, is, &rc); err != nil {
		return nil, err
	}
	if f.receiver, err = receiver.New(rc); err != nil {
		return nil, err
	}
	f.run = f.receiver.Run
	return f, nil
}

// eventTimeout is for all hooks of an event: some run at once, the others after them.
func (cfg Config) eventTimeout() time.Duration {
	one := cfg.HookTimeout
	setDefault(&one, policy.DefaultHookTimeout)
	rounds := len(cfg.Hooks)/policy.DefaultParallel + 1
	return max(receiver.DefaultHookTimeout, one*time.Duration(rounds+1))
}

// act hands an event to the hooks and rules that are in force now.
func (d *Daemon) act(ctx context.Context, issuer string, delivery receiver.Delivery) error {
	for {
		if a := d.plan.Load().actions; a.enter() {
			defer a.leave()
			return a.handle(ctx, issuer, delivery)
		}
	}
}

// fingerprint stands for all that a feed is built of, the files that it names included:
// a reload leaves alone what has not changed.
func fingerprint(cfg Config, is Issuer) ([sha256.Size]byte, error) {
	shared := Config{
		PublicURL: cfg.PublicURL, InsecureLoopback: cfg.InsecureLoopback, ShutdownTimeout: cfg.ShutdownTimeout,
		Workers: cfg.Workers, HookTimeout: cfg.eventTimeout(), Retry: cfg.Retry, Skew: cfg.Skew,
	}
	all := struct {
		Shared Config
		Issuer Issuer
		Files  [][]byte
	}{Shared: shared, Issuer: is}
	for _, name := range []string{is.KeyFile, is.CA} {
		if name == "" {
			continue
		}
		raw, err := readFile(name)
		if err != nil {
			return [sha256.Size]byte{}, err
		}
		all.Files = append(all.Files, raw)
	}
	raw, err := json.Marshal(all)
	return sha256.Sum256(raw), err
}

// maxFile bounds files of keys and certificates.
const maxFile = 4 << 20

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s is longer than %d bytes", name, maxFile)
	}
	raw, err := os.ReadFile(name)
	if err == nil && len(raw) == 0 {
		err = errors.New(name + " is empty")
	}
	return raw, err
}
