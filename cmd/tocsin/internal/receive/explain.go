package receive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/journal/memjournal"
	"github.com/tocsin-ssf/tocsin/receiver/keeper"
	"github.com/tocsin-ssf/tocsin/receiver/policy"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// Explained says what would become of a SET.
type Explained struct {
	// Name is the issuer as it is configured.
	Name string `json:"issuer"`
	// Verified says that signature, issuer and audience were checked.
	Verified bool `json:"verified"`
	// Refused is the answer to the transmitter, if it is no acceptance.
	Refused *delivery.Failure `json:"refused,omitempty"`
	// Left are events that would be acknowledged and reach no hook: the issuer is not
	// trusted for them (events and subject_issuers of the configuration).
	Left []keeper.Left `json:"left,omitempty"`
	// Explanation is what would be done about the others; nil: there are none.
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
	for _, l := range x.Left {
		what := l.Type[strings.LastIndexByte(l.Type, '/')+1:]
		if l.Reason != "event_type" {
			what = "the subject's issuer"
		}
		fmt.Fprintf(&b, "acknowledged and left: the issuer is not trusted for %s\n", what)
	}
	if x.Explanation != nil {
		if _, err := x.Explanation.WriteTo(&b); err != nil {
			return 0, err
		}
	}
	return b.WriteTo(w)
}

// errNobody says that a SET is of no issuer that is configured.
var errNobody = errors.New("its iss is that of no issuer in the configuration")

// claims are those of an unverified token that tell whose it is.
type claims struct {
	Issuer   string   `json:"iss"`
	Audience audience `json:"aud"`
}

// audience is a text or a list of texts.
type audience []string

// UnmarshalJSON reads either.
func (a *audience) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*a = []string{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(a))
}

// whose returns the signed part of what a transmitter sends, a compact token or an
// object with one (receiver/siwa), and the issuer that it is of.
func whose(cfg Config, name string, sent []byte) ([]byte, Issuer, error) {
	if bytes.HasPrefix(sent, []byte("{")) {
		var body struct{ Payload string }
		if json.Unmarshal(sent, &body) != nil || body.Payload == "" {
			return nil, Issuer{}, errors.New("it is neither a SET nor an object with a payload")
		}
		sent = []byte(body.Payload)
	}
	signed, err := opened(cfg, name, sent)
	if err != nil {
		return nil, Issuer{}, err
	}
	message, err := new(jose.Parser).Parse(signed)
	if err != nil {
		return nil, Issuer{}, fmt.Errorf("it is not a compact JWS: %w", err)
	}
	var c claims
	if err := json.Unmarshal(message.Payload, &c); err != nil {
		return nil, Issuer{}, errors.New("its claims are not JSON")
	}
	is, err := issuerOf(cfg, name, c)
	return sent, is, err
}

// opened returns the signed SET in what was sent, decrypted by the keys of the issuer of
// that name, or of the first whose keys do it.
func opened(cfg Config, name string, sent []byte) ([]byte, error) {
	if !jose.IsEncrypted(sent) {
		return sent, nil
	}
	issuers := cfg.Issuers
	if name != "" {
		is, err := issuerOf(cfg, name, claims{})
		if err != nil {
			return nil, err
		}
		issuers = []Issuer{is}
	}
	err := errors.New("it is encrypted, and no issuer of the configuration has decryption_keys")
	for _, is := range issuers {
		if len(is.DecryptionKeys) == 0 {
			continue
		}
		keys, unread := decryption(is)
		if unread != nil {
			return nil, unread
		}
		signed, refused := set.Decrypt(sent, keys)
		if refused == nil {
			return signed, nil
		}
		err = fmt.Errorf("it cannot be decrypted: %w", refused)
	}
	return nil, err
}

// issuerOf returns the issuer that a SET is of: the one of that name, else the first
// with its iss whose audience it names, else the first with its iss.
func issuerOf(cfg Config, name string, t claims) (Issuer, error) {
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
func (d *Daemon) Explain(ctx context.Context, name string, sent []byte) (Explained, error) {
	p := d.plan.Load()
	compact, is, err := whose(p.cfg, name, sent)
	if err != nil {
		return Explained{}, err
	}
	k := p.feeds[is.Name].keeper
	got, err := k.Receiver().Examine(ctx, compact)
	if err != nil {
		x, err := refusedOr(is, fmt.Errorf("it cannot be verified now: %w", err))
		x.Verified = err == nil
		return x, err
	}
	if !p.actions.enter() {
		return Explained{}, errors.New("the configuration is being exchanged; ask again")
	}
	defer p.actions.leave()
	x, err := told(ctx, p.actions, k, is, got)
	x.Verified = true
	return x, err
}

// Explain says what a daemon of cfg would do about a SET that has not come before, and
// does nothing. The SET is not verified: no request is made.
func Explain(ctx context.Context, cfg Config, name string, sent []byte) (Explained, error) {
	compact, is, err := whose(cfg, name, sent)
	if err != nil {
		return Explained{}, err
	}
	k, err := lookAt(cfg, is)
	if err != nil {
		return Explained{}, &ConfigError{fmt.Errorf("issuer %s: %w", is.Name, err)}
	}
	got, err := k.Receiver().Read(compact)
	if err != nil {
		return refusedOr(is, err)
	}
	a, err := dryActions(cfg)
	if err != nil {
		return Explained{}, err
	}
	x, err := told(ctx, a, k, is, got)
	return x, errors.Join(err, a.close())
}

// refusedOr says that a SET is refused if err does, and otherwise returns err.
func refusedOr(is Issuer, err error) (Explained, error) {
	refusal, ok := errors.AsType[*set.Error](err)
	if !ok {
		return Explained{}, err
	}
	failure := refusal.Failure()
	return Explained{Name: is.Name, Refused: &failure}, nil
}

// told says what a would do about what k lets pass of d.
func told(ctx context.Context, a *actions, k *keeper.Keeper, is Issuer, d receiver.Delivery) (Explained, error) {
	x := Explained{Name: is.Name}
	if d, x.Left = k.Trusted(d); len(d.Token.Events) == 0 {
		return x, nil
	}
	explanation, err := a.engine.Explain(ctx, is.Name, d)
	x.Explanation = &explanation
	return x, err
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
