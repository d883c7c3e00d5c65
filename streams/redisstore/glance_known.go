package redisstore

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/internal/form"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
)

// maxKnown bounds the streams that a holder remembers for looking at them again.
const maxKnown = 4096

// known are streams as they were last read, so that a look has to ask only whether they
// are others by now. The zero value is ready.
type known struct {
	mu   sync.Mutex
	list map[string]version
}

func (k *known) get(id string) (version, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v, ok := k.list[id]
	return v, ok
}

func (k *known) set(id string, v version) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.list == nil || len(k.list) >= maxKnown {
		k.list = make(map[string]version)
	}
	k.list[id] = v
}

// glance reads a stream right before its request: as it is known, if the server says that
// this is its last version and that the lease is held; else by the script. Plain commands
// cost the server a tenth of what the script does.
func (p *partition) glance(ctx context.Context, id string) (streams.Stream, error) {
	if before, ok := p.known.get(id); ok {
		if active, same := p.unchanged(ctx, id, &before); same {
			before.Active = form.Instant(max(active, p.s.activity.of(id)))
			return before.Stream, nil
		}
	}
	v, err := p.s.version(ctx, p.r, id)
	if err == nil {
		p.known.set(id, v)
	}
	return v.Stream, err
}

// unchanged reports whether a stream still is as it was known, and the lease held; and its
// activity (ns). A failure of the server is none here: the script meets it.
func (p *partition) unchanged(ctx context.Context, id string, before *version) (active int64, same bool) {
	ctx, cancel := context.WithTimeout(ctx, p.s.cfg.Timeout)
	defer cancel()
	leaseKey := p.s.leases[p.r.part]
	client := p.s.db.Client()
	if cluster, ok := client.(*redis.ClusterClient); ok { // TIME has no key
		master, err := cluster.MasterForKey(ctx, leaseKey)
		if err != nil {
			return 0, false
		}
		client = master
	}
	pipe := client.Pipeline()
	clock := pipe.Time(ctx)
	lease := pipe.HMGet(ctx, leaseKey, "token", "until")
	state := pipe.HMGet(ctx, p.s.key(p.r.part, "s", id), "v", "uc", "ac")
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, false
	}
	if !p.held(lease.Val(), clock.Val()) {
		return 0, false
	}
	is := state.Val()
	return redisdb.Number(is[2]), redisdb.Text(is[0]) == before.number && redisdb.Text(is[1]) == before.call
}

// held reports whether a lease is this holder's at a time.
func (p *partition) held(lease []any, at time.Time) bool {
	return redisdb.Text(lease[0]) == strconv.FormatUint(p.r.token, 10) && redisdb.Number(lease[1]) > at.UnixMilli()
}
