package fanout

import (
	"context"
	"fmt"

	"github.com/tocsin-ssf/tocsin/streams"
	"github.com/tocsin-ssf/tocsin/transmitter/consent"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// Reason is why an event is put on a queue, or is not.
type Reason string

// The reasons.
const (
	Matches       Reason = "matches"       // it is put in the event's own turn
	Released      Reason = "released"      // it is put because of a grant
	Held          Reason = "held"          // the consent gate holds it
	Withheld      Reason = "withheld"      // the gate has dropped it
	OptedOut      Reason = "opted_out"     // its account takes no part in RISC
	NotAuthorized Reason = "unauthorized"  // the application may not hear of it
	Elsewhere     Reason = "other_purpose" // it is for one stream, or of another environment
)

// Way is that of an event to one stream or webhook, as matching has it now.
type Way struct {
	Stream, Application string
	Webhook             bool
	// N is which of the record's mapped events it is; of a webhook 0.
	N uint32
	// ID is the item's, of the event's own turn or of a release; replays raise it.
	ID string
	// Subject is the index of the identifier that the SET bears; of a webhook 0. Where all
	// streams are asked about, it is -1 of those that take the application's preferred one.
	Subject int
	Reason  Reason
	// At is the place of the record in whose turn it is put.
	At uint64
}

// Trace tells to which streams a record goes by what is known now, and why it does not go to
// those that match otherwise: the decisions of match and hooks, without an effect. stream asks about
// one alone ("": all). Up to most ways are returned; more reports that there are others.
func (f *Fanout) Trace(ctx context.Context, rec *eventlog.Record, stream string, most int) (ways []Way, more bool, err error) {
	if rec.Kind != eventlog.KindEvent || rec.Erased {
		return nil, false, nil
	}
	t := tracer{Fanout: f, rec: rec, stream: stream, most: most}
	if f.cfg.Consent != nil {
		t.follower = f.cfg.Consent.Follow()
	}
	for n := range rec.Mapped {
		if err := t.sets(ctx, uint32(n)); err != nil {
			return nil, false, err
		}
	}
	if err := t.webhooks(ctx); err != nil {
		return nil, false, err
	}
	return t.ways, t.more, nil
}

// tracer is one Trace.
type tracer struct {
	*Fanout
	rec      *eventlog.Record
	follower *consent.Follower
	stream   string
	most     int
	ways     []Way
	more     bool
}

func (t *tracer) sets(ctx context.Context, n uint32) error {
	rec, subjects := t.rec, t.rec.SubjectsOf(n)
	if len(subjects) == 0 {
		return nil
	}
	found, err := t.cfg.Store.Match(ctx, streams.Query{Seq: rec.Seq, Type: rec.Mapped[n].Type, Subjects: subjects, Owners: cause{}.owners(rec)})
	if err != nil {
		return fmt.Errorf("fanout: matching: %w", err)
	}
	only, alone := t.cfg.Only(rec.Source)
	for _, to := range found {
		if t.stream != "" && to.Stream != t.stream {
			continue
		}
		application, _ := streams.ApplicationOf(to.Owner)
		way := Way{Stream: to.Stream, Application: application, N: n, ID: rec.JTI(to.Stream, n), Subject: to.Subject, At: rec.Seq}
		if way.Subject < 0 && t.stream != "" { // it costs a look at the application
			if way.Subject, err = t.preferred(ctx, application, subjects); err != nil {
				return err
			}
		}
		environment := streams.EnvironmentOf(to.Owner)
		switch {
		case alone && to.Stream != only, environment != "" && environment != rec.Environment:
			way.Reason = Elsewhere
		case !t.allowed(ctx, application, rec, n):
			way.Reason = NotAuthorized
		default:
			if err := t.judge(ctx, &way, rec.Mapped[n].Type); err != nil {
				return err
			}
		}
		if !t.add(way) {
			return nil
		}
	}
	return nil
}

func (t *tracer) webhooks(ctx context.Context) error {
	rec := t.rec
	if _, alone := t.cfg.Only(rec.Source); alone {
		return nil
	}
	for _, key := range eventKeys(rec) {
		found, err := t.cfg.Store.Match(ctx, streams.Query{Seq: rec.Seq, Type: key, Owners: webhookOwners(rec.Applications)})
		if err != nil {
			return fmt.Errorf("fanout: matching webhooks: %w", err)
		}
		for _, to := range found {
			if t.stream != "" && to.Stream != t.stream {
				continue
			}
			application, _ := streams.ApplicationOf(to.Owner)
			way := Way{Stream: to.Stream, Application: application, Webhook: true, ID: streams.EventItem(rec.ID, 0), At: rec.Seq}
			for n := range max(len(rec.Mapped), 1) {
				if !t.allowed(ctx, application, rec, uint32(n)) {
					way.Reason = NotAuthorized
				}
			}
			if way.Reason == "" {
				if err := t.judge(ctx, &way, ""); err != nil {
					return err
				}
			}
			if !t.add(way) {
				return nil
			}
		}
	}
	return nil
}

// judge asks whether the account takes part and its subject consented. A webhook has no event type:
// participation is about what is exchanged by SETs.
func (t *tracer) judge(ctx context.Context, way *Way, eventType string) error {
	way.Reason = Matches
	if t.follower == nil {
		return nil
	}
	exchanged, err := t.follower.Exchanges(ctx, way.Application, t.rec, t.rec.Seq, eventType)
	if err != nil {
		return fmt.Errorf("fanout: %w", err)
	}
	if !exchanged {
		way.Reason = OptedOut
		return nil
	}
	v, err := t.cfg.Consent.Passes(ctx, way.Application, t.rec)
	if err != nil {
		return fmt.Errorf("fanout: %w", err)
	}
	switch {
	case v.State == consent.Held:
		way.Reason = Held
	case v.State == consent.Dropped:
		way.Reason = Withheld
	case v.Released > 0:
		way.Reason, way.At = Released, v.Released
	}
	return nil
}

// add reports whether there is room for more.
func (t *tracer) add(way Way) bool {
	if len(t.ways) == t.most {
		t.more = true
		return false
	}
	t.ways = append(t.ways, way)
	return true
}
