package receive

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/keeper"
	"github.com/tocsin-ssf/tocsin/receiver/policy"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// feed is one issuer: its keeper, and the receiver that it keeps.
type feed struct {
	cfg    Issuer
	keeper *keeper.Keeper
	print  [sha256.Size]byte // of all that it was built of
}

// newFeed builds what receives from an issuer; it makes no request.
func (d *Daemon) newFeed(cfg Config, is Issuer) (*feed, error) {
	print, err := fingerprint(cfg, is)
	if err != nil {
		return nil, err
	}
	rc := receiver.Config{
		Inbox: d.Inbox, Feed: is.Name, Mux: receiver.NewMux(),
		Workers: cfg.Workers, HookTimeout: cfg.eventTimeout(), Retry: cfg.Retry, Skew: cfg.Skew,
		Grace:    min(receiver.DefaultGrace, cfg.ShutdownTimeout/2),
		Observer: d.metrics.observer(is.Name), Traces: d.opts.Traces, Crash: d.opts.Crash,
		Logger: d.log.With("issuer", is.Name), Now: d.opts.Now,
	}
	rc.Mux.Default(func(ctx context.Context, delivery receiver.Delivery) error { return d.act(ctx, is.Name, delivery) })
	k, err := keep(cfg, is, rc, d.shared(is), d.opts.Address, d.metrics.requests(is.Name))
	return &feed{cfg: is, keeper: k, print: print}, err
}

// shared is what this process has together with others of an issuer; nil: there are none.
func (d *Daemon) shared(is Issuer) keeper.Shared {
	if d.redis == nil {
		return nil
	}
	return d.redis.turns.Of(is.Name)
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

// eventTimeout is for all hooks of an event: some run at once, the others after them.
func (cfg Config) eventTimeout() time.Duration {
	one := cfg.HookTimeout
	setDefault(&one, policy.DefaultHookTimeout)
	rounds := len(cfg.Hooks)/policy.DefaultParallel + 1
	return max(receiver.DefaultHookTimeout, one*time.Duration(rounds+1))
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
		CA     []byte
		Keys   []*jose.EncryptionKey // of the files with decryption keys
	}{Shared: shared, Issuer: is}
	keys, err := decryption(is)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	if keys != nil {
		all.Keys = keys.Public()
	}
	if is.CA != "" { // a key file, secrets and a certificate in files are read again when they change
		raw, err := readFile(is.CA)
		if err != nil {
			return [sha256.Size]byte{}, fmt.Errorf("ca: %w", err)
		}
		all.CA = raw
	}
	raw, err := json.Marshal(all)
	return sha256.Sum256(raw), err
}
