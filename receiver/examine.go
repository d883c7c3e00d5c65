package receiver

import (
	"context"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
)

// Examine judges a SET as if it had come by push and returns it as the hooks would get
// it. Nothing is kept and no hook is run: it serves to say what would become of it.
// Errors: a *set.Error, it would be refused; any other, there is no verdict now.
func (r *Receiver) Examine(ctx context.Context, compact []byte) (Delivery, error) {
	m, err := r.judge(ctx, compact)
	if err != nil {
		return Delivery{}, err
	}
	token, err := r.dialect.Read(m.SET)
	if err != nil {
		return Delivery{}, err
	}
	return newDelivery(&m, token, r.cfg.Skew), nil
}

// Read returns a SET as the hooks would get it and verifies nothing: it serves to say
// what would become of one that nobody signed yet. A *set.Error: it would be refused for
// its form.
func (r *Receiver) Read(compact []byte) (Delivery, error) {
	token, err := r.dialect.Read(compact)
	if err == nil {
		err = checkRequired(token, r.cfg.Tolerances.EmptyEventBody)
	}
	if err != nil {
		return Delivery{}, err
	}
	return newDelivery(&inbox.Message{Received: r.cfg.Now()}, token, r.cfg.Skew), nil
}
