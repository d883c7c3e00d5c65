package authtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// seen is how soon a process is told of a change by another one.
const seen = time.Second

// RunShared runs what is promised when several processes have one store, under
// virtual time. Such a backend passes Run, too.
func RunShared(t *testing.T, open Open) {
	for _, tt := range []struct {
		name string
		test func(*pair)
	}{
		{"seen by the other at once", seenAtOnce},
		{"tokens ended by the other", endedByOther},
		{"an assertion is good at one alone", assertionOfBoth},
		{"rotated by the other", rotatedByOther},
		{"nobody else's tokens are looked at anew", othersUntouched},
		{"one of two that want the same", oneOfTwo},
		{"no change is lost", noneLost},
		{"many at once", manyAtOnce},
		{"place of a source of both", placeOfBoth},
		{"told of sources that the other changed", vendorsChanged},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				keys := newSigning(t)
				tt.test(&pair{a: newProcess(t, open(t, dir), keys), b: newProcess(t, open(t, dir), keys)})
			})
		})
	}
}

// pair are two processes with one store and the same keys.
type pair struct{ a, b *process }

func seenAtOnce(p *pair) {
	a, b, ctx := p.a, p.b, p.a.Context()
	c := a.client(auth.Client{ID: "c", Application: "rp", Scopes: []auth.Scope{"ssf.read"}})
	b.good("a token of the other's client", b.token(c))
	name := "New"
	_, err := b.ChangeApplication(ctx, "rp", auth.ApplicationChange{Name: &name})
	b.check(err)
	if got, err := a.Application(ctx, "rp"); err != nil || got.Name != name {
		a.Errorf("got %+v (%v), want the name that the other gave it", got, err)
	}
	v := vendor("hr", auth.VendorBearer)
	v.Kind, v.SignatureSecret = auth.KindFingerprint, "secret"
	first, err := a.AddVendorSource(ctx, v)
	a.check(err)
	admitted := func(what string, given auth.VendorCredential, want bool) {
		b.Helper()
		_, err := b.AdmitVendor(ctx, "hr", http.Header{"Authorization": {"Bearer " + given.Secret}})
		if (err == nil) != want {
			b.Errorf("%s: got %v, want admitted %v", what, err, want)
		}
	}
	admitted("added by the other", first, true)
	next, err := a.RotateVendorSource(ctx, "hr", time.Now().Add(-time.Second))
	a.check(err)
	admitted("rotated by the other, the old secret", first, false)
	admitted("rotated by the other, the new secret", next, true)
	if ok, err := b.SignedByVendor(ctx, "hr", signed(fingerprintSigned), []byte("data")); err != nil || !ok {
		b.Errorf("signed: got %v (%v), want true", ok, err)
	}
	a.check(a.RemoveVendorSource(ctx, "hr"))
	admitted("removed by the other", next, false)
	a.check(a.AddWebhook(ctx, auth.Webhook{ID: "w", Application: "rp", Revision: "1", Settings: []byte("{}")}))
	b.check(b.ChangeWebhook(ctx, "w", "1", "2", []byte("{}")))
	if w, err := a.Webhook(ctx, "w"); err != nil || w.Revision != "2" {
		a.Errorf("got %+v (%v), want the other's revision", w, err)
	}
}

func endedByOther(p *pair) {
	a, b, ctx := p.a, p.b, p.a.Context()
	for id, end := range map[string]func(c auth.Credentials, token string){
		"removed": func(auth.Credentials, string) { a.check(a.RemoveClient(ctx, "removed")) },
		"again": func(auth.Credentials, string) {
			a.check(a.RemoveClient(ctx, "again"))
			a.client(auth.Client{ID: "again", Application: "rp-again", Scopes: []auth.Scope{"ssf.read"}, Static: true})
		},
		"application": func(auth.Credentials, string) { a.check(a.RemoveApplication(ctx, "rp-application")) },
		"revoked": func(c auth.Credentials, token string) {
			a.revoke(c, token, http.StatusOK)
			a.revoke(c, c.AccessToken, http.StatusOK)
		},
	} {
		c := a.client(auth.Client{ID: id, Application: "rp-" + id, Scopes: []auth.Scope{"ssf.read"}, Static: true})
		token := a.token(c)
		b.good(id+" before", token)
		b.good(id+" before, static", c.AccessToken)
		end(c, token)
		b.refused(id, token)
		b.refused(id+", static", c.AccessToken)
	}
}

// What changes of one client leaves the principals of others as they are.
func othersUntouched(p *pair) {
	a, b, ctx := p.a, p.b, p.a.Context()
	stays := a.client(auth.Client{ID: "stays", Application: "rp", Scopes: []auth.Scope{"ssf.read"}})
	goes := a.client(auth.Client{ID: "goes", Application: "other", Scopes: []auth.Scope{"ssf.read"}})
	token, gone := a.token(stays), a.token(goes)
	before, err := b.ask(token)
	b.check(err)
	a.revoke(goes, gone, http.StatusOK)
	a.check(a.RemoveClient(ctx, "goes"))
	a.client(auth.Client{ID: "more", Application: "rp", Scopes: []auth.Scope{"ssf.read"}})
	if after, err := b.ask(token); err != nil || after != before {
		b.Errorf("got another principal (%v), want the one that was there", err)
	}
}

// together runs fn at both processes at once and returns their errors.
func (p *pair) together(fn func(*process) error) (errs [2]error) {
	var group sync.WaitGroup
	for i, one := range []*process{p.a, p.b} {
		group.Go(func() { errs[i] = fn(one) })
	}
	group.Wait()
	return errs
}

func oneOfTwo(p *pair) {
	ctx := p.a.Context()
	const rounds = 20
	for i := range rounds {
		id := fmt.Sprint("rp", i)
		audience := "https://" + id + ".example"
		for what, fn := range map[string]func(*process) error{
			"audience": func(one *process) error {
				_, err := one.AddApplication(ctx, auth.Application{Audience: []string{audience}})
				return err
			},
			"source": func(one *process) error {
				if one == p.a {
					_, err := one.AddVendorSource(ctx, vendor(id, auth.VendorBearer))
					return err
				}
				_, err := one.AddClient(ctx, auth.Client{ID: id, Application: "rp", Scopes: []auth.Scope{"events.write"}})
				return err
			},
		} {
			if _, err := p.a.Application(ctx, "rp"); err != nil {
				_, err := p.a.AddApplication(ctx, auth.Application{ID: "rp", Audience: []string{"https://rp.example"}})
				p.a.check(err)
			}
			errs := p.together(fn)
			for i := range errs {
				if other := errs[1-i]; errs[i] == nil && !errors.Is(other, auth.ErrExists) {
					p.a.Errorf("%s: got %v and %v, want one of them and ErrExists", what, errs[0], errs[1])
				}
			}
			if errs[0] != nil && errs[1] != nil {
				p.a.Errorf("%s: got %v and %v, want one of them added", what, errs[0], errs[1])
			}
		}
	}
	// A client of an application that the other removes at that time: never one left over.
	for i := range rounds {
		id := fmt.Sprint("gone", i)
		_, err := p.a.AddApplication(ctx, auth.Application{ID: id, Audience: []string{id}})
		p.a.check(err)
		errs := p.together(func(one *process) error {
			if one == p.a {
				return one.RemoveApplication(ctx, id)
			}
			_, err := one.AddClient(ctx, auth.Client{ID: "c-" + id, Application: id, Scopes: []auth.Scope{"ssf.read"}})
			return err
		})
		if errs[0] != nil || errs[1] != nil && !errors.Is(errs[1], auth.ErrNotFound) {
			p.a.Fatalf("got %v and %v, want it removed, and the client added before or refused", errs[0], errs[1])
		}
		if _, err := p.b.Client(ctx, "c-"+id); !errors.Is(err, auth.ErrNotFound) {
			p.b.Errorf("got %v, want no client left over", err)
		}
	}
}

func noneLost(p *pair) {
	ctx := p.a.Context()
	_, err := p.a.AddApplication(ctx, auth.Application{ID: "rp", Name: "n", SubjectFormat: "f", Audience: []string{"rp"}})
	p.a.check(err)
	const rounds = 30
	for i := range rounds {
		want := fmt.Sprint("v", i)
		// Each changes another member of one record, and adds something.
		errs := p.together(func(one *process) error {
			change := auth.ApplicationChange{Name: &want}
			if one == p.b {
				change = auth.ApplicationChange{SubjectFormat: &want}
			}
			if _, err := one.ChangeApplication(ctx, "rp", change); err != nil {
				return err
			}
			_, err := one.AddApplication(ctx, auth.Application{Audience: []string{fmt.Sprintf("%s of %p", want, one)}})
			return err
		})
		if err := errors.Join(errs[:]...); err != nil {
			p.a.Fatal(err)
		}
		got, err := p.a.Application(ctx, "rp")
		if err != nil || got.Name != want || got.SubjectFormat != want {
			p.a.Fatalf("got %+v (%v), want both changes %s", got, err, want)
		}
	}
	all, err := p.b.Applications(ctx)
	if err != nil || len(all) != 1+2*rounds {
		p.b.Errorf("got %d applications (%v), want %d", len(all), err, 1+2*rounds)
	}
}

// manyAtOnce has all get their turn, though each change waits for none in between.
func manyAtOnce(p *pair) {
	ctx := p.a.Context()
	const each, callers = 10, 4
	errs := p.together(func(one *process) error {
		var group sync.WaitGroup
		failed := make([]error, callers)
		for i := range callers {
			group.Go(func() {
				for j := range each {
					_, err := one.AddApplication(ctx, auth.Application{Audience: []string{fmt.Sprintf("%d.%d of %p", i, j, one)}})
					failed[i] = errors.Join(failed[i], err)
				}
			})
		}
		group.Wait()
		return errors.Join(failed...)
	})
	if err := errors.Join(errs[:]...); err != nil {
		p.a.Error(err)
	}
	if all, err := p.a.Applications(ctx); err != nil || len(all) != 2*each*callers {
		p.a.Errorf("got %d applications (%v), want %d", len(all), err, 2*each*callers)
	}
}

func placeOfBoth(p *pair) {
	a, b, ctx := p.a, p.b, p.a.Context()
	v := auth.VendorSource{Source: auth.Source{Name: "hr"}, Kind: auth.KindOneLogin, Auth: auth.VendorOff, API: api()}
	_, err := a.AddVendorSource(ctx, v)
	a.check(err)
	before, err := a.CalledSource(ctx, "hr")
	a.check(err)
	a.check(a.SavePlace(ctx, "hr", before.Registration, auth.VendorPlace{Since: before.Place.Since, Cursor: "from a"}))
	if got, err := b.CalledSource(ctx, "hr"); err != nil || got.Place.Cursor != "from a" || got.API.Secret != "of-the-vendor" {
		b.Errorf("got %+v (%v), want the other's place", got.Place, err)
	}
	b.check(b.SetVendorSecret(ctx, "hr", "another"))
	if err := a.SavePlace(ctx, "hr", before.Registration, auth.VendorPlace{}); !errors.Is(err, auth.ErrNotFound) {
		a.Errorf("place with the secret before: got %v, want ErrNotFound", err)
	}
	if got, err := a.CalledSource(ctx, "hr"); err != nil || got.Place.Cursor != "from a" || got.API.Secret != "another" {
		a.Errorf("got %+v with %+v (%v), want the new secret and the place", got.Place, got.API, err)
	}
}

func vendorsChanged(p *pair) {
	a, b := p.a, p.b
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- b.Store.Run(ctx) }()
	defer func() {
		cancel()
		b.check(<-done)
	}()
	v := auth.VendorSource{Source: auth.Source{Name: "hr"}, Kind: auth.KindOneLogin, Auth: auth.VendorOff, API: api()}
	for _, tt := range []struct {
		what   string
		change func() error
	}{
		{"added", func() error { return second(a.AddVendorSource(ctx, v)) }},
		{"secret given", func() error { return a.SetVendorSecret(ctx, "hr", "another") }},
		{"removed", func() error { return a.RemoveVendorSource(ctx, "hr") }},
	} {
		<-time.After(seen) // what was before is told by then
		changed := b.VendorsChanged()
		a.check(tt.change())
		select {
		case <-changed:
		case <-time.After(seen):
			b.Errorf("%s by the other: got no word of it within %v", tt.what, seen)
		}
		if got, err := b.CalledSources(ctx); err != nil || (len(got) == 1) != (tt.what != "removed") {
			b.Errorf("%s by the other: got %v (%v)", tt.what, got, err)
		}
	}
}
