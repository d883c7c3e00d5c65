package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/streams/redisstore"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/streams/storetest"
)

func TestShared(t *testing.T) {
	servers(t, func(t *testing.T, cfg redisdb.Config) {
		t.Run("", func(t *testing.T) { // ends when all have
			storetest.RunShared(t, func(t testing.TB) storetest.Site { return newSite(t, cfg) })
		})
	})
}

// site is a prefix under which several processes have a store, each with its connections.
type site struct {
	cfg redisdb.Config

	mu    sync.Mutex
	joint map[streams.Shared]func() error // what ends it
}

func newSite(t testing.TB, cfg redisdb.Config) *site {
	cfg.Prefix = newPrefix()
	return &site{cfg: cfg, joint: make(map[streams.Shared]func() error)}
}

func (s *site) Join(ctx context.Context) (streams.Shared, error) {
	db, err := redisdb.Open(ctx, s.cfg)
	if err != nil {
		return nil, err
	}
	wakes := redisdb.NewWakes(db, nil)
	store, err := redisstore.Open(ctx, redisstore.Config{
		DB: db, Wakes: wakes, Lease: time.Second, Look: 100 * time.Millisecond, Node: newPrefix(),
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- wakes.Run(ctx) }()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joint[store] = func() error {
		cancel()
		return errors.Join(<-ended, store.Close(), db.Close())
	}
	return store, nil
}

func (s *site) Leave(store streams.Shared) error {
	s.mu.Lock()
	leave := s.joint[store]
	delete(s.joint, store)
	s.mu.Unlock()
	return leave()
}

func (s *site) EndLeases() error {
	ctx := context.Background()
	db, err := redisdb.Open(ctx, s.cfg)
	if err != nil {
		return err
	}
	var errs []error
	for n := range streams.Partitions {
		key := fmt.Sprintf("%s:{p%02d}:lease", s.cfg.Prefix, n)
		errs = append(errs, db.Client().HSet(ctx, key, "until", 1).Err())
	}
	return errors.Join(append(errs, db.Close())...)
}
