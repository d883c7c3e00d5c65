package transmitter

import (
	"context"
	"errors"

	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/admin"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/eventapi"
	"github.com/tocsin-ssf/tocsin/transmitter/internal/way"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

// events serves what is read and said of the log, to applications and operators.
func (t *Transmitter) events() eventapi.Handler {
	return eventapi.Handler{
		Log: t.cfg.Log, DeadLetters: t.cfg.Streams, Registry: t.cfg.Streams, Consent: t.gate, Search: t.search,
		Types:       func() []mapping.Type { return t.mapper.Types() },
		AnnotateFor: t.cfg.AnnotateFor, Now: t.cfg.Now,
	}
}

// way serves what is known of one event's way, to operators.
func (t *Transmitter) way() way.Handler {
	return way.Handler{
		Log: t.cfg.Log, Streams: t.cfg.Streams, Applications: t.cfg.Applications, Gate: t.gate, Ingest: t.ingest, Outbox: t.outbox,
		Trace: t.newFanout(t.cfg.Streams, true).Trace, Recent: t.recent.Of, PlaceOf: t.work.placeOf, Source: admin.Source, Now: t.cfg.Now,
	}
}

// newSearch makes the search of the index, if there is one.
func (t *Transmitter) newSearch() (*eventapi.Search, error) {
	if t.cfg.Index == nil {
		return nil, nil
	}
	return eventapi.NewSearch(t.cfg.Index, t.cfg.CursorKey, t.cfg.SearchTime, t.cfg.Now)
}

// pacedLog is a log whose appends wait while the index trails it by too much.
type pacedLog struct {
	eventlog.Log
	pacer eventlog.Pacer
}

// Append implements eventlog.Log. Error besides: eventlog.ErrPaced; nothing was kept.
func (l pacedLog) Append(ctx context.Context, events ...eventlog.Event) ([]eventlog.Appended, error) {
	if err := l.pacer.Pace(ctx); err != nil {
		return nil, err
	}
	return l.Log.Append(ctx, events...)
}

// intake is the log as events come in.
func (t *Transmitter) intake() eventlog.Log {
	if pacer, ok := t.cfg.Index.(eventlog.Pacer); ok {
		return pacedLog{t.cfg.Log, pacer}
	}
	return t.cfg.Log
}

// behind reports whether an error is that of an index that is being built.
func behind(err error) bool {
	var b *eventlog.BehindError
	return errors.As(err, &b)
}
