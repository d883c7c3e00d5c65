package auth_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/tocsin-ssf/tocsin/streams/store/sqlitedb"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
)

// What an earlier version let in is found, so that an operator is told.
func TestTornSources(t *testing.T) {
	s := openStore(t, filepath.Join(t.TempDir(), "admin.db"))
	if _, err := s.AddApplication(t.Context(), auth.Application{ID: "rp", Audience: []string{"https://rp.example"}}); err != nil {
		t.Fatal(err)
	}
	writes := func(id string, source *auth.Source) auth.Client {
		return auth.Client{ID: id, Application: "rp", Scopes: []auth.Scope{"events.write"}, Source: source}
	}
	for _, c := range []auth.Client{
		writes("a", &auth.Source{Name: "hr", Applications: []string{"rp"}}),
		writes("b", &auth.Source{Name: "hr", Applications: []string{"rp"}}),
		writes("c", &auth.Source{Name: "it", Applications: []string{"rp"}}),
		writes("d", nil),
	} {
		if _, err := s.AddClient(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if torn, err := s.TornSources(t.Context()); err != nil || len(torn) != 0 {
		t.Errorf("got %v, %v, want none", torn, err)
	}
	err := s.DB().Write(t.Context(), func(tx *sqlitedb.Tx) error {
		_, err := tx.Exec(`UPDATE clients SET source = json_set(source, '$.applications', json('["other"]')) WHERE id = 'b'`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if torn, err := s.TornSources(t.Context()); err != nil || !slices.Equal(torn, []string{"hr"}) {
		t.Errorf("got %v, %v, want hr", torn, err)
	}
}
