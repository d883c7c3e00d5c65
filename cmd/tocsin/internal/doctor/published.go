package doctor

import (
	"context"
	"sync"
	"time"

	"github.com/tocsin-ssf/tocsin/cmd/tocsin/internal/receive"
	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
	"github.com/tocsin-ssf/tocsin/wellknown"
)

// Secrets looks at who can read the files that open what is stored encrypted; "" is none.
func Secrets(r *Report, files ...string) {
	for _, name := range files {
		if name != "" {
			keyMode(r, "keys.secret", name)
		}
	}
}

// Issuers is Issuer for each of a configuration, several at a time.
func Issuers(ctx context.Context, r *Report, cfg receive.Config, now func() time.Time) {
	parts := make([]Report, len(cfg.Issuers))
	turn := make(chan struct{}, workers)
	var wg sync.WaitGroup
	for i, is := range cfg.Issuers {
		wg.Go(func() {
			turn <- struct{}{}
			Issuer(ctx, &parts[i], cfg, is, now)
			<-turn
		})
	}
	wg.Wait()
	for i := range parts {
		r.add(&parts[i])
	}
}

// Published comes to a transmitter as others do: by its issuer, whose metadata and keys
// are read. policy says which addresses it may have.
func Published(ctx context.Context, r *Report, issuer string, policy guard.Policy, now func() time.Time) {
	const do = "issuer is what others call; look at name, firewall, proxy (docs/guides/production.md) and certificate"
	client := guard.NewClient(policy)
	heard := listen(client, now)
	defer heard.idle()
	documents := wellknown.NewClient(wellknown.Config{HTTP: client})
	if _, err := documents.Configuration(ctx, issuer); err != nil {
		r.Fail("public.metadata", issuer, do, "its metadata cannot be read as others read it: %v", guard.Cause(err))
		return
	}
	keys := documents.Keys(issuer)
	if err := keys.Fetch(ctx, issuer); err != nil {
		r.Fail("public.keys", issuer, do, "its keys cannot be read as others read them: %v", guard.Cause(err))
		return
	}
	r.OK("public.metadata", issuer, "metadata and %d keys are there, as others read them", keys.State(issuer).Count)
	heard.tell(r, hostOf(issuer), now())
}

// TokenIssuer tries the authorization server whose tokens a transmitter takes.
func TokenIssuer(ctx context.Context, r *Report, issuer string, policy guard.Policy, now func() time.Time) {
	client := guard.NewClient(policy)
	heard := listen(client, now)
	defer heard.idle()
	documents := wellknown.NewClient(wellknown.Config{HTTP: client})
	err := documents.AuthorizationServerKeys(issuer).Fetch(ctx, issuer)
	switch {
	case guard.Blocked(err):
		r.Fail("token-issuer", issuer, "serve --token-allow with its range, if it is yours", "it is at an address that is not public, and is not called: %v", guard.Cause(err))
	case err != nil:
		r.Fail("token-issuer", issuer, "look at --token-issuer, name, network and certificate (--token-ca)", "its metadata or keys cannot be had, so no token of it is taken: %v", guard.Cause(err))
	default:
		r.OK("token-issuer", issuer, "its metadata and keys are there")
	}
	heard.tell(r, hostOf(issuer), now())
}
