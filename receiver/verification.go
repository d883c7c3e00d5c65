package receiver

import (
	"context"
	"crypto/rand"
	"errors"
	"time"
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
	state = rand.Text() // 130 random bits
	if err := r.inbox.Expect(ctx, r.cfg.Feed, state, r.cfg.Now().Add(r.cfg.StateLifetime)); err != nil {
		return "", err
	}
	return state, r.cfg.Client.Verify(ctx, id, &state)
}
