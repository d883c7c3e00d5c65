package keeper

import (
	"context"
	"slices"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

// Values of [Left.Reason].
const (
	ignoredType    = "event_type"     // not among Config.Events
	ignoredSubject = "subject_issuer" // about a subject of an issuer that is not among Config.SubjectIssuers
)

// dispatch hands an event to the Mux if the transmitter may speak of it.
func (k *Keeper) dispatch(ctx context.Context, d receiver.Delivery) error {
	if event, ok := d.Token.Event(streams.TypeStreamUpdated); ok && k.state != nil {
		if err := k.updated(ctx, d, event.Payload); err != nil {
			return err
		}
	}
	trusted, left := k.Trusted(d)
	for _, l := range left {
		k.noteIgnored(l.Reason)
		k.log.WarnContext(ctx, "event acknowledged and left: the issuer is not trusted for it",
			"reason", l.Reason, "jti", d.ID, "txn", d.TransactionID, "event_type", l.Type)
	}
	if len(trusted.Token.Events) == 0 {
		return nil
	}
	return k.cfg.Receiver.Mux.Dispatch(ctx, trusted)
}

// Left is an event that is acknowledged and reaches no hook.
type Left struct {
	Type   string `json:"event_type"`
	Reason string `json:"reason"` // event_type or subject_issuer: what the transmitter is not trusted for
}

// Trusted returns d with those of its events that may reach a hook, perhaps none, and
// the others.
func (k *Keeper) Trusted(d receiver.Delivery) (trusted receiver.Delivery, left []Left) {
	foreign := k.cfg.SubjectIssuers != nil && namesOther(d.Token.Subject, k.cfg.SubjectIssuers)
	var events []set.Event
	for _, e := range d.Token.Events {
		switch {
		case foreign:
			left = append(left, Left{e.Type, ignoredSubject})
		case k.cfg.speaks(e.Type):
			events = append(events, e)
		default:
			left = append(left, Left{e.Type, ignoredType})
		}
	}
	if left != nil {
		token := *d.Token
		token.Events = events
		d.Token = &token
		if events != nil {
			d.Type = token.Type()
		}
	}
	return d, left
}

// speaks reports whether events of a type may reach a hook.
func (cfg Config) speaks(typ string) bool {
	return cfg.Events == nil || typ == streams.TypeVerification || typ == streams.TypeStreamUpdated || slices.Contains(cfg.Events, typ)
}

// namesOther reports whether id, or an identifier in it, is of an issuer that is not
// among issuers. An identifier that names none is of nobody.
func namesOther(id subject.Identifier, issuers []string) bool {
	for _, name := range []string{"iss", "issuer"} { // iss_sub and jwt_id; saml_assertion_id
		if issuer, ok := id.Value(name); ok && !slices.Contains(issuers, issuer) {
			return true
		}
	}
	for _, name := range id.MemberNames() {
		if member, ok := id.Member(name); ok && namesOther(member, issuers) {
			return true
		}
	}
	return slices.ContainsFunc(id.Identifiers(), func(i subject.Identifier) bool { return namesOther(i, issuers) })
}
