package auth

import (
	"context"
	"fmt"
	"time"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
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
	err := s.db.Write(ctx, func(tx *sqlitedb.Tx) error { return insertApplication(tx, a) })
	if err != nil {
		return Application{}, err
	}
	return a, nil
}

func insertApplication(tx *sqlitedb.Tx, a Application) error {
	taken, err := exists(tx, "SELECT 1 FROM applications WHERE id = ?", a.ID)
	if err != nil {
		return err
	}
	if taken {
		return fmt.Errorf("%w: application %s", ErrExists, a.ID)
	}
	if taken, err = wasRemoved(tx, a.ID); err != nil {
		return err
	}
	if taken {
		return fmt.Errorf("%w: %w", ErrExists, ErrRemoved)
	}
	if _, err := tx.Exec("INSERT INTO applications (id, name, subject_format, profile, created_ms) VALUES (?, ?, ?, ?, ?)",
		a.ID, a.Name, a.SubjectFormat, a.Profile, a.Created.UnixMilli()); err != nil {
		return err
	}
	for place, value := range a.Audience {
		taken, err := exists(tx, "SELECT 1 FROM audiences WHERE value = ?", value)
		if err != nil {
			return err
		}
		if taken {
			return fmt.Errorf("%w: audience of another application", ErrExists)
		}
		if _, err := tx.Exec("INSERT INTO audiences (value, application, place) VALUES (?, ?, ?)",
			value, a.ID, place); err != nil {
			return err
		}
	}
	return nil
}

// ApplicationChange is what of an application may change; nil leaves a member.
type ApplicationChange struct{ Name, SubjectFormat, Profile *string }

// ChangeApplication changes an application and returns it as it is then. Streams
// that it has made keep their profile.
//
// Errors: an [*InvalidError]; [ErrNotFound].
func (s *Store) ChangeApplication(ctx context.Context, id string, change ApplicationChange) (Application, error) {
	var a Application
	err := s.change(ctx, func(tx *sqlitedb.Tx) error {
		var ms int64
		row := tx.QueryRow(applicationColumns+" WHERE id = ?", id)
		if err := row.Scan(&a.ID, &a.Name, &a.SubjectFormat, &a.Profile, &ms); err != nil {
			return notFound(err)
		}
		a.Created = fromMilli(ms)
		var err error
		if a.Audience, err = audience(tx, id); err != nil {
			return err
		}
		a.apply(change)
		if err := a.validate(); err != nil {
			return err
		}
		_, err = tx.Exec("UPDATE applications SET name = ?, subject_format = ?, profile = ? WHERE id = ?",
			a.Name, a.SubjectFormat, a.Profile, id)
		return err
	})
	if err != nil {
		return Application{}, err
	}
	return a, nil
}

func (a *Application) apply(change ApplicationChange) {
	for member, value := range map[*string]*string{
		&a.Name: change.Name, &a.SubjectFormat: change.SubjectFormat, &a.Profile: change.Profile,
	} {
		if value != nil {
			*member = *value
		}
	}
}

const applicationColumns = "SELECT id, name, subject_format, profile, created_ms FROM applications"

// Application returns the application with id. Error: [ErrNotFound].
func (s *Store) Application(ctx context.Context, id string) (Application, error) {
	return s.application(ctx, applicationColumns+" WHERE id = ?", id)
}

// ApplicationFor returns the application whose audience has the value. Error:
// [ErrNotFound].
func (s *Store) ApplicationFor(ctx context.Context, audience string) (Application, error) {
	return s.application(ctx,
		applicationColumns+" WHERE id = (SELECT application FROM audiences WHERE value = ?)", audience)
}

func (s *Store) application(ctx context.Context, sql, arg string) (Application, error) {
	var a Application
	err := s.db.Read(ctx, func(v *sqlitedb.View) error {
		var ms int64
		if err := v.QueryRow(sql, arg).Scan(&a.ID, &a.Name, &a.SubjectFormat, &a.Profile, &ms); err != nil {
			return err
		}
		a.Created = fromMilli(ms)
		var err error
		a.Audience, err = audience(v, a.ID)
		return err
	})
	if err != nil {
		return Application{}, notFound(err)
	}
	return a, nil
}

// Applications returns all applications in order of creation.
func (s *Store) Applications(ctx context.Context) ([]Application, error) {
	var all []Application
	err := s.db.Read(ctx, func(v *sqlitedb.View) error {
		rows, err := v.Query(applicationColumns + " ORDER BY created_ms, id")
		if err != nil {
			return err
		}
		for rows.Next() {
			var a Application
			var ms int64
			if err := rows.Scan(&a.ID, &a.Name, &a.SubjectFormat, &a.Profile, &ms); err != nil {
				return err
			}
			a.Created = fromMilli(ms)
			if a.Audience, err = audience(v, a.ID); err != nil {
				return err
			}
			all = append(all, a)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// RemoveApplication removes the application with its clients. When it returns,
// none of their tokens is good any more, and its id is never used again. Error:
// [ErrNotFound].
func (s *Store) RemoveApplication(ctx context.Context, id string) error {
	return s.change(ctx, func(tx *sqlitedb.Tx) error {
		done, err := tx.Exec("DELETE FROM applications WHERE id = ?", id)
		if err != nil {
			return err
		}
		if done.Changes == 0 {
			return ErrNotFound
		}
		_, err = tx.Exec("INSERT INTO removed_applications (id, removed_ms) VALUES (?, ?)", id, time.Now().UnixMilli())
		return err
	})
}

// Removed reports whether an application of that id was removed.
func (s *Store) Removed(ctx context.Context, id string) (removed bool, err error) {
	err = s.db.Read(ctx, func(v *sqlitedb.View) error {
		removed, err = wasRemoved(v, id)
		return err
	})
	return removed, err
}

func wasRemoved(v row, id string) (bool, error) {
	return exists(v, "SELECT 1 FROM removed_applications WHERE id = ?", id)
}

// rows is what of a transaction a list is read with.
type rows interface {
	Query(sql string, args ...any) (*sqlitedb.Rows, error)
}

func audience(v rows, application string) ([]string, error) {
	rows, err := v.Query("SELECT value FROM audiences WHERE application = ? ORDER BY place", application)
	if err != nil {
		return nil, err
	}
	var values []string
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, rows.Err()
}
