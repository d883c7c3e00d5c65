package receivers

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/tocsin-ssf/tocsin/conformance"
	"github.com/tocsin-ssf/tocsin/conformance/peer"
)

// resourceScope names the scopes of transmitters that have their own.
func resourceScope() []string { return []string{"signals.read", "signals.manage"} }

func ownScopes(c *peer.TransmitterConfig) { c.ResourceScopes = resourceScope() }

// asked returns the scopes that the receiver asked for, and the exchange; an error says
// that it asked for no token.
func (at *site) asked(ctx context.Context) ([]string, peer.Exchange, error) {
	e, err := at.first(ctx, peer.OpToken)
	if err != nil {
		return nil, e, errors.New("the receiver asked the token endpoint for no token")
	}
	form, err := url.ParseQuery(e.RequestBody)
	return strings.Fields(form.Get("scope")), e, err
}

// resourceScopes wants scopes asked for that the metadata of the resource tells (CAEP
// interoperability profile §2.7.2).
func (s *suite) resourceScopes(ctx context.Context, t *conformance.T, at *site) error {
	scopes, e, err := at.asked(ctx)
	if err != nil {
		return err
	}
	foreign := slices.DeleteFunc(scopes, func(scope string) bool { return slices.Contains(resourceScope(), scope) })
	at.shown(t, at.last(peer.OpResource), e).Expect("INTEROP-2.7.2-01", len(foreign) == 0, "got scopes asked for, %q among them, want those of the resource's metadata, %q", foreign, resourceScope())
	return nil
}

// foreignResource wants nothing used of metadata that is another resource's (RFC 9728
// §3.3).
func (s *suite) foreignResource(ctx context.Context, t *conformance.T, at *site) error {
	scopes, e, err := at.asked(ctx)
	if err != nil {
		return err
	}
	if !at.seen(peer.OpResource) {
		return errors.New("the receiver does not read the metadata of resources")
	}
	used := slices.DeleteFunc(scopes, func(scope string) bool { return !slices.Contains(resourceScope(), scope) })
	at.shown(t, at.last(peer.OpResource), e).Expect("PRM-3.3-01", len(used) == 0, "got the scopes %q asked for, which metadata of another resource tells, want nothing of it used", used)
	return nil
}
