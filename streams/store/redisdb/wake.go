package redisdb

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// resubscribe is the pause after the server could not be subscribed to.
const resubscribe = time.Second

// Wakes carries wake-ups between the processes that share a server, by publishing and
// subscribing. A wake-up is a hint: one may be lost, so who waits for it also looks by
// itself now and then. A process has one subscription for all of its stores.
type Wakes struct {
	db  *DB
	log *slog.Logger

	mu    sync.Mutex
	hears map[string][]func(message string) // by channel
}

// NewWakes returns wake-ups that nobody listens for until Run.
func NewWakes(db *DB, logger *slog.Logger) *Wakes {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Wakes{db: db, log: logger, hears: make(map[string][]func(string))}
}

// Channel returns the channel of a topic, for PUBLISH in a script. In a cluster all nodes
// pass it on, so it is no key of the script's.
func (db *DB) Channel(topic string) string { return db.cfg.Prefix + ":wake:" + topic }

// On calls hear with each message of a topic, this process's own too, and with an empty
// one when messages may have been missed: then it has to look for itself. hear must not
// block. It is called before Run. A nil Wakes hears nothing.
func (w *Wakes) On(topic string, hear func(message string)) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	channel := w.db.Channel(topic)
	w.hears[channel] = append(w.hears[channel], hear)
}

// Run passes messages on until ctx ends. While the server is away it tries again.
func (w *Wakes) Run(ctx context.Context) error {
	w.mu.Lock()
	channels := make([]string, 0, len(w.hears))
	for channel := range w.hears {
		channels = append(channels, channel)
	}
	w.mu.Unlock()
	if len(channels) == 0 {
		<-ctx.Done()
		return nil
	}
	for down := false; ctx.Err() == nil; {
		err := w.listen(ctx, channels, func() {
			if down {
				down = false
				w.log.InfoContext(ctx, "wake-ups are heard again")
			}
		})
		if err == nil || ctx.Err() != nil {
			continue
		}
		if !down {
			w.log.WarnContext(ctx, "wake-ups of other processes cannot be heard", "err", err)
		}
		down = true
		pause(ctx, resubscribe)
	}
	return nil
}

// listen hears until the subscription breaks or ctx ends.
func (w *Wakes) listen(ctx context.Context, channels []string, begun func()) error {
	sub := w.db.client.Subscribe(ctx, channels...)
	defer func() { _ = sub.Close() }()
	if _, err := sub.Receive(ctx); err != nil {
		return err
	}
	begun()
	// The client subscribes anew where the connection broke, and tells.
	messages := sub.ChannelWithSubscriptions()
	w.all()
	for {
		select {
		case <-ctx.Done():
			return nil
		case m, ok := <-messages:
			if !ok {
				return redis.ErrClosed
			}
			switch m := m.(type) {
			case *redis.Message:
				w.pass(m.Channel, m.Payload)
			case *redis.Subscription:
				w.pass(m.Channel, "")
			}
		}
	}
}

func (w *Wakes) pass(channel, message string) {
	w.mu.Lock()
	hears := w.hears[channel]
	w.mu.Unlock()
	for _, hear := range hears {
		hear(message)
	}
}

func (w *Wakes) all() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, hears := range w.hears {
		for _, hear := range hears {
			hear("")
		}
	}
}

// pause returns after d, or when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
