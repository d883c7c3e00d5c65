package receive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/journal/memjournal"
	"github.com/tocsin-ssf/tocsin/receiver/policy"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// Explained says what would become of a SET.
type Explained struct {
	// Name is the issuer as it is configured.
	Name string `json:"issuer"`
	// Verified says that signature, issuer and audience were checked.
	Verified bool `json:"verified"`
	// Refused is the answer to the transmitter, if it is no acceptance.
	Refused *delivery.Failure `json:"refused,omitempty"`
	// Explanation is what would be done about the event.
	*policy.Explanation
}

// WriteTo writes it for people.
func (x Explained) WriteTo(w io.Writer) (int64, error) {
	if x.Refused != nil {
		n, err := fmt.Fprintf(w, "refused: %s: %s\n  as a SET of the issuer %s\n", x.Refused.Err, x.Refused.Description, x.Name)
		return int64(n), err
	}
	var b bytes.Buffer
	if !x.Verified {
		fmt.Fprintf(&b, "not verified: its signature, issuer and audience were not checked\n\n")
	}
	if _, err := x.Explanation.WriteTo(&b); err != nil {
		return 0, err
	}
	return b.WriteTo(w)
}

// errNobody says that a SET is of no issuer that is configured.
var errNobody = errors.New("its iss is that of no issuer in the configuration")

// issuerOf returns the issuer that a SET is of: the one of that name, else the first
// with its iss whose audience it names, else the first with its iss.
func issuerOf(cfg Config, name string, t *set.Token) (Issuer, error) {
	same := func(is Issuer) bool { return is.Issuer == t.Issuer }
	ours := func(is Issuer) bool {
		return same(is) && slices.ContainsFunc(is.Audience, func(a string) bool { return slices.Contains(t.Audience, a) })
	}
	named := func(is Issuer) bool { return is.Name == name }
	choices := []func(Issuer) bool{ours, same}
	if name != "" {
		choices = []func(Issuer) bool{named}
	}
	for _, choice := range choices {
		if i := slices.IndexFunc(cfg.Issuers, choice); i >= 0 {
			return cfg.Issuers[i], nil
		}
	}
	if name != "" {
		return Issuer{}, fmt.Errorf("there is no issuer %s in the configuration", name)
	}
	return Issuer{}, errNobody
}

// Explain says what the running daemon would do about a SET, and does nothing. name
// chooses an issuer; empty: the SET's own.
func (d *Daemon) Explain(ctx context.Context, name string, compact []byte) (Explained, error) {
	p := d.plan.Load()
	token, err := set.Parse(compact)
	if err != nil {
		return Explained{}, err
	}
	is, err := issuerOf(p.cfg, name, token)
	if err != nil {
		return Explained{}, err
	}
	x := Explained{Name: is.Name, Verified: true}
	got, err := p.feeds[is.Name].keeper.Receiver().Examine(ctx, compact)
	if refusal, ok := errors.AsType[*set.Error](err); ok {
		failure := refusal.Failure()
		x.Refused = &failure
		return x, nil
	}
	if err != nil {
		return Explained{}, fmt.Errorf("it cannot be verified now: %w", err)
	}
	if !p.actions.enter() {
		return Explained{}, errors.New("the configuration is being exchanged; ask again")
	}
	defer p.actions.leave()
	told, err := p.actions.engine.Explain(ctx, is.Name, got)
	x.Explanation = &told
	return x, err
}

// Explain says what a daemon of cfg would do about a SET that has not come before, and
// does nothing. The SET is not verified: no request is made.
func Explain(ctx context.Context, cfg Config, name string, compact []byte) (Explained, error) {
	token, err := set.Parse(compact)
	if err != nil {
		return Explained{}, err
	}
	is, err := issuerOf(cfg, name, token)
	if err != nil {
		return Explained{}, err
	}
	a, err := dryActions(cfg)
	if err != nil {
		return Explained{}, err
	}
	told, err := a.engine.Explain(ctx, is.Name, receiver.NewDelivery(token, time.Now(), cfg.Skew))
	return Explained{Name: is.Name, Explanation: &told}, errors.Join(err, a.close())
}

// dryActions builds hooks and rules of cfg for looking at alone.
func dryActions(cfg Config) (*actions, error) {
	parts, err := dryGate(cfg)
	if err != nil {
		return nil, &ConfigError{err}
	}
	quiet := slog.New(slog.DiscardHandler)
	a, err := newActions(cfg, policy.Config{Journal: memjournal.New(1), Logger: quiet}, hookEnv{Logger: quiet, InsecureLoopback: cfg.InsecureLoopback, Gate: parts})
	if err != nil {
		return nil, &ConfigError{err}
	}
	return a, nil
}

// explain answers POST /admin/explain, whose body is a SET.
func (d *Daemon) explain(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, delivery.MaxPushBodyBytes))
	if err != nil {
		refused(w, http.StatusRequestEntityTooLarge, "invalid_request", "the SET is too long")
		return
	}
	x, err := d.Explain(r.Context(), r.URL.Query().Get("issuer"), bytes.TrimSpace(raw))
	if err != nil {
		refused(w, http.StatusBadRequest, "invalid_request", err.Error())
		return
	}
	answer(w, http.StatusOK, x)
}

// Checked is what the examination of a configuration found.
type Checked struct {
	Issuers []string            `json:"issuers"`
	Hooks   []string            `json:"hooks"`
	Rules   []string            `json:"rules"`
	Tests   []policy.TestResult `json:"tests"`
}

// Failed returns how many tests of rules failed.
func (c Checked) Failed() int {
	n := 0
	for _, t := range c.Tests {
		if len(t.Failures) > 0 {
			n++
		}
	}
	return n
}

// Check builds all that a daemon of cfg would, without a folder and without a request,
// and runs the tests of its rules.
func Check(cfg Config) (Checked, error) {
	c := Checked{Issuers: []string{}, Hooks: []string{}, Rules: []string{}, Tests: []policy.TestResult{}}
	var faults []error
	for _, is := range cfg.Issuers {
		c.Issuers = append(c.Issuers, is.Name)
		if err := checkIssuer(cfg, is); err != nil {
			faults = append(faults, fmt.Errorf("issuer %s: %w", is.Name, err))
		}
	}
	a, err := dryActions(cfg)
	if err != nil {
		return c, &ConfigError{errors.Join(append(faults, err)...)}
	}
	for name := range a.hooks {
		c.Hooks = append(c.Hooks, name)
	}
	slices.Sort(c.Hooks)
	rules, err := loadRules(cfg, a.hooks)
	if err == nil {
		c.Rules, c.Tests = rules.Names(), rules.Test()
	}
	if err := errors.Join(append(faults, err)...); err != nil {
		return c, errors.Join(&ConfigError{err}, a.close())
	}
	return c, a.close()
}
