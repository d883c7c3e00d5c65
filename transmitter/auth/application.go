package auth

import (
	"context"
	"fmt"
)

// AddApplication adds a and returns it as it is kept. An empty id gets a random
// one; a zero Created is now.
//
// Errors: an [*InvalidError]; [ErrExists] if the id or an audience value is
// taken, [ErrRemoved] too if the id is that of an application that was removed:
// the log and its decisions still name that one.
func (s *Store) AddApplication(ctx context.Context, a Application) (Application, error) {
	if a.ID == "" {
		a.ID = newIdentifier()
	}
	if err := a.validate(); err != nil {
		return Application{}, err
	}
	a.Created = created(a.Created)
	err := s.backend.Write(ctx, func(tx *Tx) error {
		if err := applicationFits(tx, &a); err != nil {
			return err
		}
		return tx.Applications.Put(a)
	})
	if err != nil {
		return Application{}, err
	}
	return a, nil
}

// applicationFits reports what of the store stands in the way of a.
func applicationFits(tx *Tx, a *Application) error {
	taken, err := there(tx.Applications, a.ID)
	if err != nil {
		return err
	}
	if taken {
		return fmt.Errorf("%w: application %s", ErrExists, a.ID)
	}
	if taken, err = tx.Removed(a.ID); err != nil {
		return err
	}
	if taken {
		return fmt.Errorf("%w: %w", ErrExists, ErrRemoved)
	}
	for _, value := range a.Audience {
		others, err := tx.Applications.List(ByAudience, value)
		if err != nil {
			return err
		}
		if len(others) > 0 {
			return fmt.Errorf("%w: audience of another application", ErrExists)
		}
	}
	return nil
}

// ApplicationChange is what of an application may change; nil leaves a member.
type ApplicationChange struct{ Name, SubjectFormat, Profile, Encryption *string }

// ChangeApplication changes an application and returns it as it is then. Streams
// that it has made keep their profile and encryption.
//
// Errors: an [*InvalidError]; [ErrNotFound].
func (s *Store) ChangeApplication(ctx context.Context, id string, change ApplicationChange) (Application, error) {
	var a Application
	err := s.backend.Write(ctx, func(tx *Tx) (err error) {
		if a, err = tx.Applications.Get(id); err != nil {
			return err
		}
		a.apply(change)
		if err := a.validate(); err != nil {
			return err
		}
		return tx.Applications.Put(a)
	})
	if err != nil {
		return Application{}, err
	}
	return a, nil
}

func (a *Application) apply(change ApplicationChange) {
	for member, value := range map[*string]*string{
		&a.Name: change.Name, &a.SubjectFormat: change.SubjectFormat, &a.Profile: change.Profile,
		&a.Encryption: change.Encryption,
	} {
		if value != nil {
			*member = *value
		}
	}
}

// Application returns the application with id. Error: [ErrNotFound].
func (s *Store) Application(ctx context.Context, id string) (Application, error) {
	return get(ctx, s, inApplications, id)
}

// ApplicationFor returns the application whose audience has the value. Error:
// [ErrNotFound].
func (s *Store) ApplicationFor(ctx context.Context, audience string) (Application, error) {
	found, err := list(ctx, s, inApplications, ByAudience, audience)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Application{}, err
	}
	return found[0], nil
}

// Applications returns all applications in order of creation.
func (s *Store) Applications(ctx context.Context) ([]Application, error) {
	return list(ctx, s, inApplications, All, "")
}

// RemoveApplication removes the application with its clients and webhooks. When it
// returns, none of their tokens is good any more, and its id is never used again.
// Error: [ErrNotFound].
func (s *Store) RemoveApplication(ctx context.Context, id string) error {
	return s.backend.Write(ctx, func(tx *Tx) error { return tx.Applications.Delete(id) })
}

// Removed reports whether an application of that id was removed.
func (s *Store) Removed(ctx context.Context, id string) (removed bool, err error) {
	err = s.backend.Read(ctx, func(tx *Tx) error {
		removed, err = tx.Removed(id)
		return err
	})
	return removed, err
}
