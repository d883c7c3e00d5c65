package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/receiver/hooks"
	"github.com/tocsin-ssf/tocsin/receiver/hooks/gate"
	"github.com/tocsin-ssf/tocsin/receiver/inbox/sqliteinbox"
	"github.com/tocsin-ssf/tocsin/receiver/sessions"
	"github.com/tocsin-ssf/tocsin/receiver/sessions/sqlitesessions"
	"github.com/tocsin-ssf/tocsin/set/jose"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

const (
	gateUsers  = 1_000_000 // that were revoked
	gateChecks = 500_000   // of a round
	gateStride = 514_229   // from one user to the next, so that no cache has it
	gateGoal   = 500       // ns
	closeSETs  = 300       // of a round, one at a time
	closeGap   = time.Millisecond
	closeLook  = 20 * time.Microsecond // between two looks at the gate
)

// receiveGate runs in this process: a check reads memory alone.
func (b *bench) receiveGate(ctx context.Context, w workload) ([]Result, error) {
	b.say("%s: revoking %d users", w.name, gateUsers)
	door, claims, err := revokedUsers(ctx, gateUsers)
	if err != nil {
		return nil, err
	}
	plain := make(map[string]time.Time, len(claims))
	keys := make([]string, len(claims))
	for i, c := range claims {
		keys[i] = c.Issuer + "\n" + c.Subject
		plain[keys[i]] = c.IssuedAt
	}
	lookUp := func(i int) bool { _, ok := plain[keys[i]]; return ok }
	check := func(i int) bool { return door.Claims(claims[i]) != sessions.Good }
	n := b.count(gateChecks)
	rounds, err := b.rounds(ctx, w.name, func(context.Context) (Round, error) {
		floor, err := strided(n, len(claims), lookUp)
		if err != nil {
			return Round{}, err
		}
		value, err := strided(n, len(claims), check)
		return Round{value, floor}, err
	})
	if err != nil {
		return nil, err
	}
	r := w.atMost(5, "ns CPU/check", rounds)
	r.Goal = gateGoal
	at := 0
	allocs, err := allocations(func() error { at = (at + gateStride) % len(claims); check(at); return nil })
	return []Result{r, {
		Name: w.name + "-allocations", Value: allocs, Unit: "allocations/check", Holds: allocs == 0, Is: "allocations of a check; must be none",
	}}, err
}

// strided returns the CPU time of one, in ns, of n users with a stride.
func strided(n, users int, one func(i int) bool) (float64, error) {
	before, err := cpuOf(os.Getpid())
	if err != nil {
		return 0, err
	}
	at := 0
	for range n {
		if !one(at) {
			return 0, fmt.Errorf("user %d is not revoked", at)
		}
		at = (at + gateStride) % users
	}
	after, err := cpuOf(os.Getpid())
	return float64((after - before).Nanoseconds()) / float64(n), err
}

// revokedUsers returns a gate and ID tokens (iss, sub, sid, iat) of as many users, all
// revoked.
func revokedUsers(ctx context.Context, n int) (*sessions.Gate, []sessions.Claims, error) {
	revocations, err := sessions.NewMemoryRevocations(sessions.RevocationsConfig{})
	if err != nil {
		return nil, nil, err
	}
	door, err := sessions.NewGate(sessions.Config{Revocations: revocations, Fail: sessions.FailClosed})
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	claims := make([]sessions.Claims, n)
	for i := range claims {
		id := strconv.Itoa(i)
		claims[i] = sessions.Claims{
			Issuer: "https://idp.example", Subject: "user-" + id, SessionID: "session-" + id, IssuedAt: now.Add(-time.Minute),
		}
		scope := receiver.ScopeOf(subject.IssSub(claims[i].Issuer, claims[i].Subject))
		if err := revocations.Revoke(ctx, scope, now); err != nil {
			return nil, nil, err
		}
	}
	return door, claims, nil
}

// receiveClose measures how long it takes from a SET in hand until the gate is closed
// for its user: verified, kept, taken to its hook, and revoked.
func (b *bench) receiveClose(ctx context.Context, w workload) (_ []Result, err error) {
	from, err := newTransmitter(ctx, jose.RS256)
	if err != nil {
		return nil, err
	}
	defer from.close()
	c, err := b.closing(ctx, from)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	n := b.count(closeSETs)
	rounds, err := b.rounds(ctx, w.name, func(ctx context.Context) (Round, error) { return b.closeRound(ctx, c, from, n) })
	if err != nil {
		return nil, err
	}
	return []Result{w.atMost(3, "µs", rounds)}, nil
}

// closeRound takes the chain of the floor and a SET in turns.
func (b *bench) closeRound(ctx context.Context, c *closing, from *transmitter, n int) (Round, error) {
	if err := from.mint(n); err != nil {
		return Round{}, err
	}
	sets, err := from.take(n)
	if err != nil {
		return Round{}, err
	}
	check, err := rsaCheck(sets[0], from.key.Public())
	if err != nil {
		return Round{}, err
	}
	var floors, values []float64
	for _, compact := range sets {
		floor, err := b.floor.checked(check)
		if err != nil {
			return Round{}, err
		}
		if err := pause(ctx, closeGap); err != nil {
			return Round{}, err
		}
		value, err := c.one(ctx, compact)
		if err != nil {
			return Round{}, err
		}
		if err := c.settled(ctx); err != nil {
			return Round{}, err
		}
		floors, values = append(floors, floor), append(values, value)
	}
	return Round{percentile(values, 99), percentile(floors, 99)}, nil
}

// checked returns the wall time, in µs, of an RSA check and a synced append.
func (f *floor) checked(check raw) (float64, error) {
	start := time.Now()
	if err := check.check(); err != nil {
		return 0, err
	}
	if _, err := f.file.Write(make([]byte, recordBytes)); err != nil {
		return 0, err
	}
	err := f.file.Sync()
	return micros(time.Since(start)), err
}

// closing is a receiver that closes a gate, both on a disk as those of the daemon.
type closing struct {
	receiver *receiver.Receiver
	inbox    *sqliteinbox.Inbox
	feed     string
	gate     *sessions.Gate
	users    int // that were shut out
	stop     func() error
}

func (b *bench) closing(ctx context.Context, from *transmitter) (*closing, error) {
	in, err := sqliteinbox.Open(ctx, sqliteinbox.Config{Path: filepath.Join(b.dir, "closing.db")})
	if err != nil {
		return nil, err
	}
	revocations, err := sqlitesessions.Open(ctx, sqlitesessions.Config{Path: filepath.Join(b.dir, "revocations.db")})
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	hook, err := gate.New(gate.Config{Revocations: revocations})
	if err != nil {
		return nil, errors.Join(err, in.Close(), revocations.Close())
	}
	door, err := sessions.NewGate(sessions.Config{Revocations: revocations, Fail: sessions.FailClosed})
	if err != nil {
		return nil, errors.Join(err, in.Close(), revocations.Close())
	}
	c := &closing{gate: door, inbox: in, feed: from.issuer}
	mux := receiver.NewMux()
	mux.Default(func(ctx context.Context, d receiver.Delivery) error {
		_, err := hook.Act(ctx, hooks.NewAction(d, "gate", hooks.End))
		return err
	})
	c.receiver, err = receiver.New(receiver.Config{
		Issuer: from.issuer, Audience: []string{audience}, Inbox: in, Mux: mux,
		Keys: keySource{jose.NewKeySet(from.key.Public())}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, errors.Join(err, in.Close(), revocations.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- c.receiver.Run(ctx) }()
	c.stop = func() error { cancel(); return errors.Join(<-ended, in.Close(), revocations.Close()) }
	return c, nil
}

// one returns how long it took until the gate was closed for the SET's user, in µs.
func (c *closing) one(ctx context.Context, compact []byte) (float64, error) {
	user := sessions.Claims{Email: userOf(c.users), IssuedAt: time.Now().Add(-time.Minute)}
	c.users++
	if c.gate.Claims(user) != sessions.Good {
		return 0, errors.New("the gate was closed before")
	}
	start := time.Now()
	if _, err := c.receiver.Accept(ctx, compact); err != nil {
		return 0, err
	}
	for c.gate.Claims(user) == sessions.Good {
		if time.Since(start) > callTime {
			return 0, errors.New("the gate was not closed in time")
		}
		if err := pause(ctx, closeLook); err != nil {
			return 0, err
		}
	}
	return micros(time.Since(start)), nil
}

// settled waits until nothing of the last SET is left to do.
func (c *closing) settled(ctx context.Context) error {
	for {
		if err := pause(ctx, closeGap); err != nil {
			return err
		}
		n, err := c.inbox.Counts(ctx, c.feed)
		if err != nil || n.Waiting == 0 {
			return err
		}
	}
}

func (c *closing) close() error { return c.stop() }
