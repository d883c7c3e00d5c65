package receiver

import (
	"context"
	"errors"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/delivery"
)

// judge verifies a SET and returns what the inbox shall keep of it. A *set.Error is
// the verdict on the SET; any other error means that there is none yet and that it
// should be offered again.
func (r *Receiver) judge(ctx context.Context, compact []byte) (inbox.Message, error) {
	token, err := r.verifier.Verify(ctx, compact)
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
