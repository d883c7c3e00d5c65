package redisdb

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// A lease is a hash with the fields
//
//	holder  who has it, or had it last
//	token   rises with each holder, also where a failover forgot the last ones: it is
//	        never below the server's time in milliseconds at which it was given
//	until   the server's time in milliseconds at which it ends; 0: given back
//	call    the call that took it
//
// A script that writes for a holder compares token and until itself, in the slot where
// it writes: see [LeaseCheck].

// LeaseCheck is the beginning of a script that writes for the holder of a lease. It
// defines held(key, token): whether the lease at key still is the one of token.
//
//go:embed lease_check.lua
var LeaseCheck string

//go:embed lease_take.lua
var leaseTake string

//go:embed lease_renew.lua
var leaseRenew string

//go:embed lease_return.lua
var leaseReturn string

//go:embed lease_join.lua
var leaseJoin string

type leaseScripts struct{ take, renew, giveBack, join *redis.Script }

func newLeaseScripts() leaseScripts {
	return leaseScripts{
		redis.NewScript(WhenFull + leaseTake), redis.NewScript(WhenFull + leaseRenew),
		redis.NewScript(WhenFull + leaseReturn), redis.NewScript(WhenFull + leaseJoin),
	}
}

var errLeaseAnswer = errors.New("redisdb: a lease was answered otherwise than it should be")

// takeLease takes the lease at key for d, unless another has it; 0: another has. One that
// this process has by the server, and lost here, is another lease: its work has ended, and
// what it had in hand is to be found again.
func (h *holding) takeLease(ctx context.Context, key string) (token uint64, err error) {
	n, err := h.number(ctx, h.scripts.take, key, h.me, h.cfg.Lease.Milliseconds(), rand.Text())
	return uint64(n), err
}

// renewLease makes the lease last for d from now; false: it was lost.
func (h *holding) renewLease(ctx context.Context, key string, token uint64) (bool, error) {
	n, err := h.number(ctx, h.scripts.renew, key, h.me, token, h.cfg.Lease.Milliseconds())
	return n == 1, err
}

// returnLease lets others take the lease at once, and wakes them.
func (h *holding) returnLease(ctx context.Context, key string, token uint64) error {
	_, err := h.number(ctx, h.scripts.giveBack, key, h.me, token, h.db.Channel(leaseTopic), h.cfg.Group)
	return err
}

// join says that this process is there, for d from now, or, with 0, that it leaves, and
// returns how many are.
func (h *holding) join(ctx context.Context, d time.Duration) (int, error) {
	n, err := h.number(ctx, h.scripts.join, h.members, h.me, d.Milliseconds(), h.db.Channel(leaseTopic), h.cfg.Group)
	return int(n), err
}

func (h *holding) number(ctx context.Context, script *redis.Script, key string, args ...any) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.Lease/leaseRenewals)
	defer cancel()
	if h.db.turns != nil {
		select {
		case h.db.turns <- struct{}{}:
			defer func() { <-h.db.turns }()
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	answer, err := h.db.Run(ctx, script, []string{key}, args...)
	if err != nil {
		return 0, err
	}
	n, ok := answer.(int64)
	if !ok {
		return 0, errLeaseAnswer
	}
	return n, nil
}
