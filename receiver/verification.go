package receiver

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
)

// DefaultStateLifetime is how long a verification event is waited for unless
// Config.StateLifetime says otherwise: nothing is promised about when it comes
// (SSF §8.1.4.2).
const DefaultStateLifetime = 24 * time.Hour

// RequestVerification asks the transmitter for a verification event and returns the
// state that it must bear. The state is kept durably first, since the event may come
// before the answer, and until it is answered or expires. The event goes to the Mux
// like any other.
//
// It needs Config.Client and the stream_id. After an error the state is still
// expected: the request may have arrived.
func (r *Receiver) RequestVerification(ctx context.Context) (state string, err error) {
	id := r.StreamID()
	if r.cfg.Client == nil || id == "" {
		return "", errors.New("receiver: RequestVerification needs Config.Client and a stream_id")
	}
	if state, err = r.newState(ctx); err != nil {
		return "", err
	}
	return state, r.cfg.Client.Verify(ctx, id, &state)
}

// ExpectVerification keeps a new state durably, as RequestVerification does, for a
// caller who asks the transmitter by itself and waits: answered is closed when a
// verification event with the state has been kept, if that happens before ctx ends.
// The state is expected for as long as Config.StateLifetime says, whoever waits.
func (r *Receiver) ExpectVerification(ctx context.Context) (state string, answered <-chan struct{}, err error) {
	if state, err = r.newState(ctx); err != nil {
		return "", nil, err
	}
	answered = r.awaited.add(state)
	context.AfterFunc(ctx, func() { r.awaited.remove(state) })
	return state, answered, nil
}

func (r *Receiver) newState(ctx context.Context) (string, error) {
	state := rand.Text() // 130 random bits
	return state, r.inbox.Expect(ctx, r.cfg.Feed, state, r.cfg.Now().Add(r.cfg.StateLifetime))
}

// awaited are the states whose answers somebody in this process waits for.
type awaited struct {
	mu     sync.Mutex
	states map[string]chan struct{}
}

func (a *awaited) add(state string) <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.states == nil {
		a.states = make(map[string]chan struct{})
	}
	answered := make(chan struct{})
	a.states[state] = answered
	return answered
}

func (a *awaited) remove(state string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.states, state)
}

// answer tells who waits for m, if it is a verification event with a state.
func (a *awaited) answer(m *inbox.Message) {
	if m.State == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if answered := a.states[*m.State]; answered != nil {
		close(answered)
		delete(a.states, *m.State)
	}
}
