package receiver

import (
	"time"

	"github.com/tocsin-ssf/tocsin/receiver/inbox"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/subject"
)

// MaxAhead is how far after its arrival an event's time counts.
const MaxAhead = 5 * time.Minute

// Delivery is one event on its way to a hook.
type Delivery struct {
	// Issuer and ID, the jti, identify it: the same at every attempt. A hook that
	// is not idempotent by itself uses them as its key.
	Issuer, ID string
	// Type is the URI of the event type.
	Type string
	// TransactionID is the txn, which events of one cause share; empty if absent.
	TransactionID string
	// Subject is who or what the event is about (sub_id).
	Subject subject.Identifier
	// EventTime is the time up to which state is to be ended: sessions begun at or
	// before it are older than the event, later ones are not (SET-5.4-01). It is
	// event_timestamp, else toe, else iat, rounded up to its second, plus the skew;
	// at most MaxAhead after Received, so that nobody ends sessions of years to come.
	EventTime time.Time
	// Received is when the SET arrived, in whole milliseconds.
	Received time.Time
	// Attempt is 1 at the first run.
	Attempt int
	// Token is the SET, verified when it arrived.
	Token *set.Token
}

// NewDelivery returns a token that arrived at received as the hooks of a receiver with
// that Config.Skew get it at the first attempt: to tell what they would do about it.
// The token need not be verified for that.
func NewDelivery(t *set.Token, received time.Time, skew time.Duration) Delivery {
	if skew == 0 {
		skew = DefaultSkew
	}
	return newDelivery(&inbox.Message{Received: received}, t, max(skew, 0))
}

func newDelivery(m *inbox.Message, t *set.Token, skew time.Duration) Delivery {
	return Delivery{
		Issuer: t.Issuer, ID: t.ID, Type: t.Type(), TransactionID: t.TransactionID,
		Subject: t.Subject, EventTime: earlier(eventTime(t).Add(skew), m.Received.Add(MaxAhead)), Received: m.Received,
		Attempt: m.Attempts + 1, Token: t,
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// eventTime returns when the event happened, rounded up to a second. A timestamp that
// is no time counts as absent: it is no reason to refuse (U25).
func eventTime(t *set.Token) time.Time {
	at := t.IssuedAt
	if !t.TimeOfEvent.IsZero() {
		at = t.TimeOfEvent
	}
	for _, event := range t.Events {
		if stamp, ok := caep.EventTime(event.Payload); ok && stamp.Unix() > 0 {
			at = stamp
			break
		}
	}
	if whole := at.Truncate(time.Second); !whole.Equal(at) {
		return whole.Add(time.Second)
	}
	return at
}
