package mapping_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/set/caep"
	"github.com/tocsin-ssf/tocsin/set/risc"
	"github.com/tocsin-ssf/tocsin/transmitter/mapping"
)

func typeOf(types []mapping.Type, id string) mapping.Type {
	for _, t := range types {
		if t.ID == id {
			return t
		}
	}
	return mapping.Type{}
}

// The catalogue has the account events and all types of vendors, each once, with
// what it becomes.
func TestTypes(t *testing.T) {
	types := newMapper(t, mapping.Config{}).Types()
	seen := map[string]bool{}
	for _, typ := range types {
		if seen[typ.ID] || typ.ID == "" || typ.Name == "" || typ.Events == nil {
			t.Errorf("got %+v, want an id of its own, a name and a list", typ)
		}
		seen[typ.ID] = true
	}
	for _, n := range mapping.Names() {
		got := typeOf(types, n.Name)
		if !slices.Equal(got.Events, []string{n.Type}) || got.Description != n.Description || got.Category == "" {
			t.Errorf("%s: got %+v, want %s with a category", n.Name, got, n.Type)
		}
	}
	for id, want := range map[string][]string{
		"idme:session.signout":           {caep.SessionRevokedType},
		"idme:status.suspension.applied": {risc.AccountDisabledType},
		"idme:session.failed":            {},
		"onelogin:7":                     {caep.SessionRevokedType},
		"onelogin:1":                     {},
	} {
		if got := typeOf(types, id); got.ID != id || !slices.Equal(got.Events, want) {
			t.Errorf("%s: got %+v, want events %v", id, got, want)
		}
	}
}

func TestCategory(t *testing.T) {
	m := newMapper(t, mapping.Config{})
	for typ, want := range map[string]string{
		"session.revoked": "authentication", caep.SessionRevokedType: "authentication", "assurance.changed": "verification",
		"idme:2fa.revoke": "security", "idme:session.unheard_of": "authentication", "onelogin:7": "authentication", "onelogin:4242": "",
		"account.suspended": "account", "credential.changed": "security", "opt_in": "consent", "account.frozen": "", "https://example.com/x": "",
	} {
		if got := m.Category(typ); got != want {
			t.Errorf("%s: got %q, want %q", typ, got, want)
		}
	}
	for _, typ := range slices.Concat(caep.Types(), risc.Types()) {
		if m.Category(typ) == "" && !risc.Deprecated(typ) {
			t.Errorf("%s: got no category, want one", typ)
		}
	}
}

// What the types call tells is added, and the words of known types are replaced;
// what becomes of them is not.
func TestOneLoginTypes(t *testing.T) {
	refreshed, err := mapping.ReadOneLoginTypes([]byte(`{"status":{"error":false,"code":200,"type":"success","message":"Success"},"data":[
		{"id":7,"name":"USER_LOGGED_OUT_OF_ONELOGIN","description":"%user% logged out of OneLogin"},
		{"id":4242,"name":"","description":"%actor_user% did to %app%"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	m := newMapper(t, mapping.Config{})
	types := m.Types(refreshed...)
	if got, want := len(types), len(m.Types())+1; got != want {
		t.Errorf("got %d types, want %d", got, want)
	}
	known := typeOf(types, "onelogin:7")
	if known.Name != "USER_LOGGED_OUT_OF_ONELOGIN" || known.Description != "%user% logged out of OneLogin" || !slices.Equal(known.Events, []string{caep.SessionRevokedType}) {
		t.Errorf("got %+v, want its new words and session-revoked", known)
	}
	if got := typeOf(types, "onelogin:4242"); got.Name != "4242" || got.Description != "%actor_user% did to %app%" || got.Events == nil {
		t.Errorf("got %+v, want it added", got)
	}
	file, err := mapping.TypesFile(mapping.FormatOneLogin, append(refreshed, mapping.Type{ID: "idme:x", Name: "x"}))
	if err != nil {
		t.Fatal(err)
	}
	laid := newMapper(t, mapping.Config{Rules: []mapping.RulesFile{{Name: "types.yaml", YAML: file}}}).Types()
	for _, want := range types {
		if got := typeOf(laid, want.ID); got.Name != want.Name || got.Description != want.Description || !slices.Equal(got.Events, want.Events) {
			t.Errorf("as a rules file: got %+v, want %+v", got, want)
		}
	}
	if len(laid) != len(types) {
		t.Errorf("as a rules file: got %d types, want %d", len(laid), len(types))
	}
	long := make([]mapping.Type, 2000)
	for i := range long {
		long[i] = mapping.Type{ID: fmt.Sprint("onelogin:", i), Name: strings.Repeat("x", 1024)}
	}
	if _, err := mapping.TypesFile(mapping.FormatOneLogin, long); err == nil {
		t.Error("a file larger than can be read: got no error")
	}
	for name, answer := range map[string]string{
		"no JSON":              `{"data":`,
		"no data":              `{"status":{"error":false}}`,
		"failed":               `{"status":{"error":true,"code":401,"type":"Unauthorized","message":"Authentication Failure"}}`,
		"without id":           `{"data":[{"name":"x"}]}`,
		"id is a name":         `{"data":[{"id":"x"}]}`,
		"too large":            `{"data":[]}` + strings.Repeat(" ", mapping.MaxTypesBytes),
		"too many":             `{"data":[` + strings.Repeat(`{"id":1},`, 10_000) + `{"id":1}]}`,
		"message as an object": `{"status":{"error":true,"code":400,"type":"bad request","message":{"attribute":"id"}}}`,
	} {
		if got, err := mapping.ReadOneLoginTypes([]byte(answer)); err == nil || got != nil {
			t.Errorf("%s: got %v, %v, want an error", name, got, err)
		}
	}
}
