package doctor

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/adminapi"
	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/receiver/keeper"
)

// hookWait is how long the oldest event may wait for its hooks.
const hookWait = 5 * time.Minute

// Receiver asks a running receiver how it is. data is its folder, for the commands that
// are told; named are the issuers of which certain events are asked for by name. The error
// says that it could not be asked.
func Receiver(ctx context.Context, r *Report, api *adminapi.Client, data string, named map[string]bool, now time.Time) error {
	var h receive.Health
	if err := api.Do(ctx, http.MethodGet, "/admin/health", nil, &h); err != nil {
		return fmt.Errorf("asking the receiver how it is: %w", err)
	}
	if !h.Ready {
		r.Fail("running.ready", "", "wait for its end and start it again", "the receiver takes no SETs: it ends")
	} else {
		r.OK("running.ready", "", "the receiver takes SETs")
	}
	if h.Reload != "" {
		r.Fail("running.reload", "", "correct the file (tocsin receive check), then: tocsin receive reload --data "+data, "the configuration that was read last is refused, the one before is in force: %s", h.Reload)
	}
	if h.Gate != "" {
		r.Fail("gate.store", "", "look at the store of sessions; meanwhile the gate does as gate.fail says", "the gate does not know the state of sessions: %s", h.Gate)
	}
	if h.DryRun {
		r.Warn("dry_run", "", "take dry_run out of the configuration, and tocsin receive reload", "hooks do nothing: it only reports what would be done")
	}
	for _, name := range h.Orphans {
		r.Warn("inbox.orphan", name, "configure an issuer of this name again, or drop them: tocsin receive deadletter list --data "+data, "events of an issuer wait that is not configured any more: no hook will hear of them")
	}
	for i := range h.Issuers {
		issuer(r, &h.Issuers[i], data, named[h.Issuers[i].Name], now)
	}
	return nil
}

// issuer notes how it stands with one transmitter.
func issuer(r *Report, is *receive.IssuerHealth, data string, named bool, now time.Time) {
	health := "tocsin receive health --data " + data
	switch is.Standing {
	case keeper.Failing:
		r.Fail("issuer.standing", is.Name, health+" tells more; tocsin doctor receive tries its addresses", "%s", strings.Join(is.Problems, "; "))
	case keeper.Starting:
		r.Warn("issuer.standing", is.Name, "wait some seconds; then "+health, "there is no stream yet, or it was not verified yet")
	default:
		r.OK("issuer.standing", is.Name, "as it shall be (%s)", is.Mode)
	}
	if s := is.Stream; s != nil {
		if s.DecidedByTransmitter {
			r.Warn("issuer.paused", is.Name, "end the cause, then: tocsin stream status --set enabled, or resume: true in the configuration", "the transmitter has decided that the stream is %s: %s; no events come", s.Status, s.Reason)
		}
		if named && len(s.NotDelivered) > 0 {
			r.Warn("issuer.events", is.Name, "take them out of events, or ask whoever runs it", "it does not deliver %d of the event types that were asked for: %s", len(s.NotDelivered), strings.Join(s.NotDelivered, " "))
		}
	}
	if is.Refusals > 0 && now.Sub(is.Refused) < time.Hour {
		r.Warn("issuer.refused", is.Name, "tocsin receive explain @token.jwt with one of its SETs says why (docs/reference/errors.md)", "%d of its SETs were refused since the start, the last with %s", is.Refusals, is.RefusedCode)
	}
	inbox := is.Inbox
	switch {
	case inbox.Error != "":
		r.Fail("inbox", is.Name, "look at the store", "the inbox cannot be asked: %s", inbox.Error)
	case inbox.Dead > 0:
		r.Warn("inbox.dead", is.Name, "tocsin receive deadletter list --data "+data+"; then retry or drop", "the hooks of %d events gave up: sessions may be open that should have ended", inbox.Dead)
	}
	if waits := now.Sub(inbox.Oldest); inbox.Waiting > 0 && !inbox.Oldest.IsZero() && waits > hookWait {
		r.Fail("inbox.backlog", is.Name, "tocsin receive journal --data "+data+" --verdict failed says which hook fails, and why", "%d events wait for hooks, the oldest for %v; %d failed and are tried again", inbox.Waiting, waits.Round(time.Second), inbox.Failing)
	}
}
