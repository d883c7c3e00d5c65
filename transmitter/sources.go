package transmitter

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/ingest"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
	"github.com/tocsin-ssf/tocsin/transmitter/source"
)

// warnOfSources tells at each start which vendors' sources let everybody in, and
// which sources have credentials that lose each other's events.
func (t *Transmitter) warnOfSources(ctx context.Context) {
	torn, err := t.cfg.Applications.TornSources(ctx)
	if err != nil && ctx.Err() == nil {
		t.cfg.Logger.ErrorContext(ctx, "could not read the clients", "err", err)
	}
	for _, name := range torn {
		t.cfg.Logger.WarnContext(ctx, "clients share a source but not its applications and environment, so that one's event can be taken for a repetition of another's; give each a source of its own", "source", name)
	}
	list, err := t.cfg.Applications.VendorSources(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return
		}
		t.cfg.Logger.ErrorContext(ctx, "could not read the vendors' sources", "err", err)
		return
	}
	for i := range list {
		if list[i].Auth == auth.VendorNone && !list[i].Signed {
			t.cfg.Logger.WarnContext(ctx, "anybody who knows the path can write events of a source", "source", list[i].Name)
		}
	}
}

// acceptRecords keeps what was polled of a source. A record that can never be
// kept does not hold up the others.
func (t *Transmitter) acceptRecords(ctx context.Context, v *auth.VendorSource, records []json.RawMessage) error {
	_, err := t.takeRecords(ctx, v, records)
	return err
}

func (t *Transmitter) takeRecords(ctx context.Context, v *auth.VendorSource, records []json.RawMessage) (ingest.Counts, error) {
	counts, err := t.ingest.Records(ctx, &v.Source, v.Kind, records)
	if err != nil {
		return counts, err
	}
	t.metrics.records(v.Name, counts)
	if counts.Refused > 0 {
		t.cfg.Logger.WarnContext(ctx, "records of a source refused", "source", v.Name, "count", counts.Refused, "err", counts.Err)
	}
	return counts, nil
}

// fetchRecord looks up one event at a source's vendor and keeps it.
func (t *Transmitter) fetchRecord(ctx context.Context, name, id string) (ingest.Counts, error) {
	called, err := t.cfg.Applications.CalledSource(ctx, name)
	if err != nil {
		return ingest.Counts{}, err
	}
	record, err := source.LookupOf(called.Kind, called.API, t.vendors).Event(ctx, id)
	if err != nil {
		return ingest.Counts{}, vendorError(err)
	}
	return t.takeRecords(ctx, &called.VendorSource, []json.RawMessage{record})
}

// vendorTypes asks a source's vendor for the types of its events.
func (t *Transmitter) vendorTypes(ctx context.Context, name string) ([]mapping.Type, error) {
	called, err := t.cfg.Applications.CalledSource(ctx, name)
	if err != nil {
		return nil, err
	}
	types, err := source.TypesOf(ctx, called.Kind, called.API, t.vendors)
	if err != nil && !errors.Is(err, source.ErrNoTypes) {
		err = vendorError(err)
	}
	return types, err
}

// vendorError returns what went wrong with a call as what the vendor said.
func vendorError(err error) error {
	var answer *source.Error
	if errors.As(err, &answer) {
		return err
	}
	return &source.Error{Message: err.Error(), Retry: true}
}

// checkVendor judges the address of a vendor's API by its text; the address
// behind it is judged at each connection (SEC-01).
func (t *Transmitter) checkVendor(raw string) error {
	_, err := guard.CheckURL(raw, t.cfg.Sources)
	return err
}
