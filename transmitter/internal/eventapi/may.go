package eventapi

import (
	"context"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// May reports whether a principal may know of the record now, by the rule that
// Event has.
func (h Handler) May(ctx context.Context, rec *eventlog.Record, p *auth.Principal) (bool, error) {
	return h.may(ctx, rec, p)
}
