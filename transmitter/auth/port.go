package auth

import (
	"context"
	"slices"
	"time"
)

// copyChunk is how many records one change of Copy has.
const copyChunk = 64

// Removal is that of an application: its id is not used again.
type Removal struct {
	Application string
	At          time.Time
}

// Revocation is that of an access token, known until it expires.
type Revocation struct {
	TokenID string
	Expires time.Time
}

// Assertion is one that a client has used, known until it expires.
type Assertion struct {
	Client  string
	Digest  []byte
	Expires time.Time
}

// Exporter is a Backend of which Copy can take all along: what its tables do not tell.
// Pages have up to max, from a place on ("": the start); next is where the following
// begins, "" at the end.
type Exporter interface {
	Backend
	Removals(ctx context.Context, from string, max int) (page []Removal, next string, err error)
	Revocations(ctx context.Context, from string, max int) (page []Revocation, next string, err error)
	Assertions(ctx context.Context, from string, max int) (page []Assertion, next string, err error)
}

// Importer is a Backend that Copy can take all to.
type Importer interface {
	Backend
	ImportRemovals(ctx context.Context, list []Removal) error
}

// Copy takes everything from one backend to another, which has nothing of its own. Nothing
// may change meanwhile; begun again it does all again, which comes to the same. done is
// told how many records came along.
func Copy(ctx context.Context, from Exporter, to Importer, now time.Time, done func(n int)) error {
	for _, step := range []func() error{
		func() error { return copyTable(ctx, from, to, inApplications, done) },
		func() error { return copyTable(ctx, from, to, inClients, done) },
		func() error { return copyTable(ctx, from, to, inVendors, done) },
		func() error { return copyPlaces(ctx, from, to) },
		func() error { return copyTable(ctx, from, to, inWebhooks, done) },
		func() error {
			return eachPage(ctx, from.Removals, func(page []Removal) error {
				done(len(page))
				return to.ImportRemovals(ctx, page)
			})
		},
		func() error {
			return eachPage(ctx, from.Revocations, func(page []Revocation) error {
				for _, r := range page {
					if err := to.Revoke(ctx, r.TokenID, r.Expires, now); err != nil {
						return err
					}
				}
				done(len(page))
				return nil
			})
		},
		func() error { return copyAssertions(ctx, from, to, now, done) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func copyTable[T any](ctx context.Context, from, to Backend, of func(*Tx) Table[T], done func(n int)) error {
	all, err := list(ctx, NewStore(from), of, All, "")
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(all, copyChunk) {
		err := to.Write(ctx, func(tx *Tx) error {
			for _, one := range chunk {
				if err := of(tx).Put(one); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		done(len(chunk))
	}
	return nil
}

// copyPlaces copies how far vendors were polled, which Put leaves alone.
func copyPlaces(ctx context.Context, from, to Backend) error {
	all, err := list(ctx, NewStore(from), inVendors, All, "")
	for _, v := range all {
		if err == nil && v.Place != nil {
			err = to.SavePlace(ctx, v.Name, v.Registration, v.Place)
		}
	}
	return err
}

// copyAssertions copies which assertions were used: else they could be used once more.
func copyAssertions(ctx context.Context, from Exporter, to Importer, now time.Time, done func(n int)) error {
	return eachPage(ctx, from.Assertions, func(page []Assertion) error {
		for _, a := range page {
			if !a.Expires.After(now) {
				continue
			}
			err := to.UseAssertion(ctx, a.Client, a.Digest, a.Expires, now)
			if err := ignore(err, ErrUsed); err != nil { // begun again
				return err
			}
		}
		done(len(page))
		return nil
	})
}

func eachPage[T any](ctx context.Context, read func(context.Context, string, int) ([]T, string, error), fn func([]T) error) error {
	for place, more := "", true; more; more = place != "" {
		page, next, err := read(ctx, place, copyChunk)
		if err != nil {
			return err
		}
		if err := fn(page); err != nil {
			return err
		}
		place = next
	}
	return nil
}
