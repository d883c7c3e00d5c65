package eventapi

import (
	"context"
	"slices"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/consent"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// may reports whether a principal may know of the record now: what is visible
// to it, unless the gate of its application holds it. Operators see all. It is
// the one place that decides it, for reading, searching, counting and annotating.
func (h Handler) may(ctx context.Context, rec *eventlog.Record, p *auth.Principal) (bool, error) {
	if !visible(rec, p) {
		return false, nil
	}
	if h.Consent == nil || operator(p) {
		return true, nil
	}
	v, err := h.Consent.Passes(ctx, p.Application, rec)
	return v.State == consent.Sent, err
}

// gated reports whether may knows more than the index does, so that what is
// counted has to be looked at one by one.
func (h Handler) gated(ctx context.Context, p *auth.Principal) (bool, error) {
	if h.Consent == nil || operator(p) {
		return false, nil
	}
	return h.Consent.Ever(ctx, p.Application)
}

// visible reports whether a principal may know of the record. What stands in the
// log beside events, and what was erased, is nobody's to read here.
func visible(rec *eventlog.Record, p *auth.Principal) bool {
	if rec.Kind != eventlog.KindEvent || rec.Erased || p.Environment != "" && p.Environment != rec.Environment {
		return false
	}
	return rec.Applications == nil || slices.Contains(rec.Applications, p.Application) || operator(p)
}

// operator reports whether a principal sees all.
func operator(p *auth.Principal) bool { return p.Allows(auth.ScopeAdmin) }

// owner is the application whose view a principal has; "" for an operator.
func owner(p *auth.Principal) string {
	if operator(p) {
		return ""
	}
	return p.Application
}

// scope narrows a query to what a principal may see; false if that is nothing.
func scope(q *eventlog.Query, p *auth.Principal) bool {
	q.Owner = owner(p)
	if p.Environment == "" {
		return true
	}
	if len(q.Environments) > 0 && !slices.Contains(q.Environments, p.Environment) {
		return false
	}
	q.Environments = []string{p.Environment}
	return true
}
