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
	if reason := k.cfg.ignores(d.Token); reason != "" {
		k.noteIgnored(reason)
		k.log.WarnContext(ctx, "event acknowledged and left: the issuer is not trusted for it",
			"reason", reason, "jti", d.ID, "txn", d.TransactionID, "event_type", d.Type)
		return nil
	}
	return k.cfg.Receiver.Mux.Dispatch(ctx, d)
}

// ignores says why an event shall reach no hook, "" if it may.
func (cfg Config) ignores(t *set.Token) string {
	about := func(e set.Event) bool {
		return e.Type == streams.TypeVerification || e.Type == streams.TypeStreamUpdated || slices.Contains(cfg.Events, e.Type)
	}
	if cfg.Events != nil && !slices.ContainsFunc(t.Events, about) {
		return ignoredType
	}
	if cfg.SubjectIssuers != nil && namesOther(t.Subject, cfg.SubjectIssuers) {
		return ignoredSubject
	}
	return ""
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
