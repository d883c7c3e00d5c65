package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/redisstore"
	"github.com/tocsin-ssf/tocsin/streams/store/redisdb"
	"github.com/tocsin-ssf/tocsin/transmitter/auth/redisauth"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint/redischeckpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog/redislog"
	"github.com/tocsin-ssf/tocsin/transmitter/keys/rediskeys"
	"github.com/tocsin-ssf/tocsin/transmitter/vault/redisvault"
)

// Files of a node that shares a Redis.
const (
	nameFile = "node"       // its name among the nodes
	seenFile = "checkpoint" // the last one that it saw
)

// poll is how often who waits looks without being woken. Wake-ups are heard, and when
// they may have been missed all who wait look; each look of each poll that waits costs
// Redis something.
const poll = 10 * time.Second

// chores is the name of the lease of what one node at a time does.
const chores = "chores"

// shared opens the stores in Redis.
func (n *Node) shared(ctx context.Context, cfg *Config, observe observer) (*stores, error) {
	tc := &cfg.Transmitter
	db, err := redisdb.Open(ctx, *cfg.Redis)
	if err != nil {
		return nil, err
	}
	n.closers = append(n.closers, db.Close)
	n.Redis = db
	mark := newMoveMark(db)
	if err := n.arrived(ctx, mark); err != nil {
		return nil, err
	}
	name, err := n.name()
	if err != nil {
		return nil, err
	}
	tc.Node = name
	wakes := redisdb.NewWakes(db, tc.Logger)
	log, err := redislog.Open(ctx, redislog.Config{DB: db, KeyMemory: cfg.keyMemory(), Wakes: wakes, Now: tc.Now, Observe: observe("log")})
	if err != nil {
		return nil, err
	}
	n.closers = append(n.closers, log.Close)
	state, err := redisstore.Open(ctx, redisstore.Config{
		DB: db, Wakes: wakes, Node: name, MaxDepth: cfg.MaxDepth, Poll: poll, Now: tc.Now, Logger: tc.Logger,
	})
	if err != nil {
		return nil, err
	}
	n.closers = append(n.closers, state.Close)
	admin := redisauth.New(db)
	secrets := redisvault.New(db)
	applications, _, err := n.unlock(ctx, cfg, secrets, admin)
	if err != nil {
		return nil, err
	}
	n.closers = append(n.closers, applications.Close)
	// A search that one node began another goes on with.
	cursors, err := admin.Secret(ctx, "search cursors", len(tc.CursorKey))
	if err != nil {
		return nil, err
	}
	copy(tc.CursorKey[:], cursors)
	if tc.Once, err = once(db, wakes, tc.Logger); err != nil {
		return nil, err
	}
	if err := mark.usable(ctx); err != nil { // a move may have begun meanwhile
		return nil, err
	}
	tc.Beside = append(tc.Beside, wakes.Run)
	return &stores{log, state, applications, rediskeys.New(db), redischeckpoint.New(db), secrets}, nil
}

// once returns a transmitter.Config.Once: who holds the lease does it.
func once(db *redisdb.DB, wakes *redisdb.Wakes, logger *slog.Logger) (func(context.Context, func(context.Context) error) error, error) {
	holder, err := db.Sole(chores, wakes, logger)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, run func(context.Context) error) error {
		return holder.Run(ctx, func(ctx context.Context, _ redisdb.Held) {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				logger.ErrorContext(ctx, "what one node at a time does ended", "err", err)
			}
		})
	}, nil
}

// name returns the node's name, made at its first start.
func (n *Node) name() (string, error) {
	raw, err := os.ReadFile(n.path(nameFile))
	if errors.Is(err, fs.ErrNotExist) {
		name := rand.Text()
		return name, os.WriteFile(n.path(nameFile), []byte(name+"\n"), 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("reading the node's name: %w", err)
	}
	name := strings.TrimSpace(string(raw))
	if name == "" {
		return "", fmt.Errorf("the file %s is empty; remove it: a new name is made", n.path(nameFile))
	}
	return name, nil
}
