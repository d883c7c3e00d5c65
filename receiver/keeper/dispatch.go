package keeper

import (
	"context"
	"slices"

	"github.com/tocsin-ssf/tocsin/receiver"
	"github.com/tocsin-ssf/tocsin/set"
	"github.com/tocsin-ssf/tocsin/set/subject"
	"github.com/tocsin-ssf/tocsin/streams"
)

// Why an event is acknowledged and reaches no hook.
const (
	ignoredType    = "event_type"     // not among Config.Events
	ignoredSubject = "subject_issuer" // about a subject of an issuer that is not among Config.SubjectIssuers
)

// dispatch hands an event to the Mux if the transmitter may speak of it.
func (k *Keeper) dispatch(ctx context.Context, d receiver.Delivery) error {
	if event, ok := d.Token.Event(streams.TypeStreamUpdated); ok && k.state != nil {
		if err := k.updated(d, event.Payload); err != nil {
			return err
		}
	}
	if k.cfg.SubjectIssuers != nil && namesOther(d.Token.Subject, k.cfg.SubjectIssuers) {
		k.ignored(ctx, d, ignoredSubject, d.Token.Events)
		return nil
	}
	trusted, others := k.cfg.trusted(d.Token.Events)
	k.ignored(ctx, d, ignoredType, others)
	if len(trusted) == 0 {
		return nil
	}
	if len(others) > 0 {
		token := *d.Token
		token.Events = trusted
		d.Token, d.Type = &token, token.Type()
	}
	return k.cfg.Receiver.Mux.Dispatch(ctx, d)
}

// ignored notes events that reach no hook.
func (k *Keeper) ignored(ctx context.Context, d receiver.Delivery, reason string, events []set.Event) {
	for _, event := range events {
		k.noteIgnored(reason)
		k.log.WarnContext(ctx, "event acknowledged and left: the issuer is not trusted for it",
			"reason", reason, "jti", d.ID, "txn", d.TransactionID, "event_type", event.Type)
	}
}

// trusted parts the events of a token into those that may reach a hook and the others.
func (cfg Config) trusted(events []set.Event) (trusted, others []set.Event) {
	if cfg.Events == nil {
		return events, nil
	}
	for _, e := range events {
		if e.Type == streams.TypeVerification || e.Type == streams.TypeStreamUpdated || slices.Contains(cfg.Events, e.Type) {
			trusted = append(trusted, e)
		} else {
			others = append(others, e)
		}
	}
	return trusted, others
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
