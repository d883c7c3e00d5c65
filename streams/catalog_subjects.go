package streams

import (
	"context"

	"github.com/tocsin-ssf/tocsin/set/subject"
)

// AddSubject adds a subject to the stream (SSF §8.1.3.2). It succeeds alike for
// subjects that are known and unknown, there already or new (SSF-9.1-01,
// SSF-8.1.3-02, U19).
//
// Errors: ErrNotFound; ErrFull at the stream's bound; *RuleError.
func (c *Catalog) AddSubject(ctx context.Context, owner Owner, change SubjectChange) error {
	add := c.cfg.Store.Add
	if change.Verified != nil && !*change.Verified && c.cfg.IgnoreUnverified {
		add = func(context.Context, string, subject.Identifier, int) error { return nil }
	}
	return c.changeSubject(ctx, owner, change, add)
}

// RemoveSubject removes a subject from the stream (SSF §8.1.3.3), with the
// errors of AddSubject.
func (c *Catalog) RemoveSubject(ctx context.Context, owner Owner, change SubjectChange) error {
	return c.changeSubject(ctx, owner, change, c.cfg.Store.Remove)
}

func (c *Catalog) changeSubject(ctx context.Context, owner Owner, change SubjectChange,
	apply func(context.Context, string, subject.Identifier, int) error,
) error {
	if change.Subject.IsZero() {
		return invalid("subject", "missing")
	}
	if _, err := c.Stream(ctx, owner, change.StreamID); err != nil {
		return err
	}
	// The stream itself is always a subject of its own (SSF-8.1.3-03).
	if change.Subject.Equal(subject.Opaque(change.StreamID)) {
		return nil
	}
	return apply(ctx, change.StreamID, change.Subject, c.cfg.MaxSubjects)
}
