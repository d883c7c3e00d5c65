package receiver

import (
	"bytes"
	"context"
	"errors"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
	"github.com/tocsin-ssf/tocsin/set/jose"
)

// Accept takes a SET that came by a way of the application's own, such as a message
// bus, as the push endpoint does: it is verified, and durably in the inbox on return;
// Run does the rest. repeat says that it was there before.
//
// A *[set.Error] is a refusal: the SET will be no better another time. Any other error
// means that it should be offered again. Accept does not keep compact.
func (r *Receiver) Accept(ctx context.Context, compact []byte) (repeat bool, err error) {
	if len(compact) > delivery.MaxPushBodyBytes {
		return false, &set.Error{Code: delivery.CodeInvalidRequest, Description: "the SET is too long"}
	}
	return r.arrive(ctx, bytes.Clone(compact), ByCall)
}

// arrive judges and keeps one SET, and tells how it came. Its error is as of verdict.
func (r *Receiver) arrive(ctx context.Context, compact []byte, by string) (repeat bool, err error) {
	r.cfg.Crash("receive.before-append")
	repeat, err = r.keep(ctx, compact, by)
	r.cfg.Crash("receive.after-append")
	r.cfg.Observer.Arrived(by, repeat, err)
	return repeat, err
}

func (r *Receiver) keep(ctx context.Context, compact []byte, by string) (repeat bool, err error) {
	m, err := r.judge(ctx, compact)
	if err != nil {
		return false, err
	}
	got, err := r.inbox.Append(ctx, m)
	if err != nil {
		return false, err
	}
	r.arrived(ctx, &m, got[0], by)
	return got[0].Duplicate, verdict(got[0])
}

// judge verifies a SET and returns what the inbox shall keep of it. A *set.Error is
// the verdict on the SET; any other error means that there is none yet and that it
// should be offered again.
func (r *Receiver) judge(ctx context.Context, compact []byte) (inbox.Message, error) {
	token, err := r.dialect.Verify(ctx, compact)
	if err != nil {
		return inbox.Message{}, err
	}
	if err := checkRequired(token, r.cfg.Tolerances.EmptyEventBody); err != nil {
		return inbox.Message{}, err
	}
	state, err := r.checkControl(token)
	if err != nil {
		return inbox.Message{}, err
	}
	if jose.IsEncrypted(compact) {
		// What is kept can be read for ever, also without the key that it came under
		// (docs/decisions/2026-11-26-encrypted-sets-in-the-inbox.md).
		compact = []byte(token.Compact())
	}
	m := inbox.Message{
		Feed: r.cfg.Feed, Issuer: token.Issuer, ID: token.ID, Type: token.Type(), TransactionID: token.TransactionID,
		OrderKey: token.Subject.OrderKey(), SET: compact, Received: r.cfg.Now(), State: state,
	}
	if err := m.Check(); err != nil {
		return inbox.Message{}, &set.Error{Code: delivery.CodeInvalidRequest, Description: "a claim is too long", Err: err}
	}
	return m, nil
}

// verdict turns what became of a message into what the transmitter is told: nil, a
// *set.Error, or an error that says to offer it again.
func verdict(a inbox.Appended) error {
	if errors.Is(a.Err, inbox.ErrUnexpectedState) {
		return &set.Error{Code: delivery.CodeInvalidState, Description: "state is not one that was asked for", Err: a.Err}
	}
	return a.Err
}
