package push

import (
	"container/list"
	"strings"
	"sync"
)

const (
	// recentAttempts are kept of a stream, recentStreams are the streams of which they
	// are, those that were tried last.
	recentAttempts = 20
	recentStreams  = 1024
	// maxRecentText bounds what is kept of a receiver's words.
	maxRecentText = 256
)

// Recent remembers the last attempts of the streams that were tried last, and what
// receivers that poll said of SETs, for people to look at: in memory, of this process alone. Safe for concurrent use.
type Recent struct {
	mu     sync.Mutex
	rings  map[string]*list.Element
	latest *list.List // of *ring; who was tried last is at the front
}

// ring is what is remembered of one stream.
type ring struct {
	stream   string
	attempts []Attempt
	next     int // the place of the oldest, once it is full
}

// NewRecent returns one that remembers nothing yet.
func NewRecent() *Recent {
	return &Recent{rings: make(map[string]*list.Element), latest: list.New()}
}

// Add remembers an attempt.
func (r *Recent) Add(a Attempt) {
	if len(a.Text) > maxRecentText {
		a.Text = strings.ToValidUTF8(a.Text[:maxRecentText], "")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.rings[a.Stream]
	if !ok {
		if len(r.rings) == recentStreams {
			last := r.latest.Back()
			delete(r.rings, r.latest.Remove(last).(*ring).stream) //nolint:forcetypeassert // it holds nothing else
		}
		e = r.latest.PushFront(&ring{stream: a.Stream})
		r.rings[a.Stream] = e
	}
	r.latest.MoveToFront(e)
	e.Value.(*ring).add(a) //nolint:forcetypeassert // it holds nothing else
}

func (g *ring) add(a Attempt) {
	if len(g.attempts) < recentAttempts {
		g.attempts = append(g.attempts, a)
		return
	}
	g.attempts[g.next] = a
	g.next = (g.next + 1) % recentAttempts
}

// Of returns the attempts of a stream, the latest first.
func (r *Recent) Of(stream string) []Attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.rings[stream]
	if !ok {
		return nil
	}
	g := e.Value.(*ring) //nolint:forcetypeassert // it holds nothing else
	out := make([]Attempt, 0, len(g.attempts))
	for i := range g.attempts {
		out = append(out, g.attempts[(g.next+len(g.attempts)-1-i)%len(g.attempts)])
	}
	return out
}
