package transmitter

import (
	"context"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// warnOfOpenSources tells at each start which vendors' sources let everybody in.
func (t *Transmitter) warnOfOpenSources(ctx context.Context) {
	list, err := t.cfg.Applications.VendorSources(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return
		}
		t.cfg.Logger.ErrorContext(ctx, "could not read the vendors' sources", "err", err)
		return
	}
	for i := range list {
		if list[i].Auth == auth.VendorNone {
			t.cfg.Logger.WarnContext(ctx, "anybody who knows the path can write events of a source", "source", list[i].Name)
		}
	}
}
