package fanout

import (
	"context"
	"fmt"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// hooks appends the items of the webhooks that take the event itself, by its
// own type, whatever SETs it becomes, and if it becomes none: one item each,
// at position 0 of the record, under the event's id (in a replay with its round
// behind). Where there is no webhook it costs a few look-ups in memory.
func (l *lane) hooks(ctx context.Context, items []streams.Item, rec *eventlog.Record, c cause) ([]streams.Item, error) {
	if rec.Kind != eventlog.KindEvent || rec.Erased {
		return items, nil
	}
	if _, alone := l.cfg.Only(rec.Source); alone { // of streams
		return items, nil
	}
	now, owners := l.cfg.Now(), webhookOwners(c.applications(rec))
	pos, ref := c.place(rec, 0)
	for _, key := range eventKeys(rec) {
		found, err := l.cfg.Store.Match(ctx, streams.Query{Seq: rec.Seq, Type: key, Owners: owners, Head: l.head})
		if err != nil {
			return items, fmt.Errorf("fanout: matching webhooks: %w", err)
		}
		for _, to := range found {
			if !l.takes(to.Stream, c.at(rec)) {
				continue
			}
			application, _ := streams.ApplicationOf(to.Owner)
			may, err := l.mayHaveWhole(ctx, application, rec, c)
			if err != nil {
				return items, err
			}
			if !may {
				continue
			}
			items = append(items, streams.Item{
				Stream: to.Stream, Epoch: to.Epoch,
				Pos: pos, Ref: ref,
				ID:       streams.EventItem(rec.ID, c.round),
				Type:     rec.Type,
				OrderKey: eventOrder(rec),
				Added:    now,
			})
			l.counted(c)
		}
	}
	return items, nil
}

// eventKeys are the keys under which webhooks that take the event are found,
// each webhook under one.
func eventKeys(rec *eventlog.Record) []string {
	keys := make([]string, 0, 8)
	for _, environment := range either(rec.Environment) {
		for _, application := range either(rec.Attributes.Application) {
			for _, eventType := range [...]string{streams.AnyEvent, rec.Type} {
				keys = append(keys, streams.EventKey(environment, application, eventType))
			}
		}
	}
	return keys
}

// either returns "", which stands for any, and the value if there is one.
func either(value string) []string {
	if value == "" {
		return []string{""}
	}
	return []string{"", value}
}

// mayHaveWhole decides whether an application may have an event as it is: if
// it may hear of all that the event is mapped to. One that is mapped to
// nothing is asked about as its mapped event 0, which is not there.
func (l *lane) mayHaveWhole(ctx context.Context, application string, rec *eventlog.Record, c cause) (bool, error) {
	for n := range max(len(rec.Mapped), 1) {
		if !l.allowed(ctx, application, rec, uint32(n)) {
			return false, nil
		}
	}
	return l.consented(ctx, application, rec, c)
}

// allowed decides whether an application may hear of the n-th mapped event of
// a record: whatever leaves is decided here, for streams and webhooks alike.
func (f *Fanout) allowed(ctx context.Context, application string, rec *eventlog.Record, n uint32) bool {
	return f.cfg.Authorize == nil || f.cfg.Authorize(ctx, application, rec, n)
}

// eventOrder is the order key of an event as a whole: its first identifier,
// which is the same for the events that a source tells of one user. An event
// without one has no place in any order.
func eventOrder(rec *eventlog.Record) string {
	if len(rec.Subjects) == 0 {
		return ""
	}
	return rec.Subjects[0].OrderKey()
}

// webhookOwners are the owners of the webhooks of applications; nil: any.
func webhookOwners(applications []string) []string {
	if applications == nil {
		return nil
	}
	owners := make([]string, len(applications))
	for i, application := range applications {
		owners[i] = streams.WebhookOwner(application)
	}
	return owners
}
