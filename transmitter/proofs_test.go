package transmitter_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/transparency-dev/formats/log"
	formats "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/tocsin-ssf/tocsin/transmitter/audit"
	"github.com/tocsin-ssf/tocsin/transmitter/auth"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

func signed(s *setup) { s.checkpoints = true }

// key returns the log's verifier key, as its operator gives it out.
func (h *house) key() string {
	h.t.Helper()
	return h.operator(h.SocketHandler()).must(http.StatusOK, http.MethodGet, "/admin/log/key", "", "").member("key")
}

// An application proves with the log's key alone that an event was recorded and
// that the SET it got came of it; contracts.md §1: of what is others', nothing.
func TestEventProof(t *testing.T) {
	h := open(t, signed)
	alice, bob := h.client("alice", everyScope), h.client("bob", everyScope)
	key := h.key()
	source := func(apps ...string) *auth.Source {
		return &auth.Source{Name: "hr-" + strings.Join(apps, "-"), Applications: apps}
	}
	forAlice, forBoth := h.client("alice", "events.write", source("alice")), h.client("alice", "events.write", source("alice", "bob"))
	stream := h.stream(alice, "")
	id := h.emit(forAlice, "jo")
	jtis, _ := h.poll(alice, stream, `{}`)
	path := "/v1/events/" + id + "/proof"
	p, err := audit.ParseProof([]byte(h.must(http.StatusOK, http.MethodGet, path+"?jti="+jtis[0], alice, "").body))
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.Verify(key)
	if err != nil || v.Record.Type != sessionRevoked || v.Record.Subjects[0].Canonical() == "" || p.ID != id {
		t.Errorf("got %+v (%v), want the event proven", v, err)
	}
	if p.Set == nil || p.Set.JTI != jtis[0] || p.Set.StreamID != stream || p.Set.EventType != sessionRevoked {
		t.Errorf("got %+v, want the SET on the stream", p.Set)
	}
	inclusion := h.must(http.StatusOK, http.MethodGet, "/v1/log/proof?id="+id+"&jti="+jtis[0]+"&stream_id="+stream, alice, "")
	checkInclusion(t, key, inclusion.body, p.Leaf.Hash)

	both := "/v1/events/" + h.emit(forBoth, "max") + "/proof"
	if p, err = audit.ParseProof([]byte(h.must(http.StatusOK, http.MethodGet, both, bob, "").body)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Verify(key); err != nil || !p.Withheld || p.Canonical != nil || p.Salt != nil {
		t.Errorf("an event for others too: got %+v (%v), want it proven, its content withheld", p, err)
	}
	op := h.operator(h.SocketHandler())
	whole := op.must(http.StatusOK, http.MethodGet, "/admin/events/"+p.ID+"/proof", "", "")
	if whole.member("canonical") == "" || whole.member("withheld") != "" {
		t.Errorf("for the operator: got %s, want all of it", whole.body)
	}
	// What was erased is proven to operators alone, by whichever door they come.
	gone := h.emit(forAlice, "gone")
	rec, err := h.log.Get(t.Context(), gone)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.log.Erase(t.Context(), rec.Seq); err != nil {
		t.Fatal(err)
	}
	door := h.operator(h.AdminHandler())
	for name, a := range map[string]answer{
		"socket": op.do(http.MethodGet, "/admin/events/"+gone+"/proof", "", ""),
		"token":  door.do(http.MethodGet, "/admin/events/"+gone+"/proof", h.client("ops", "admin"), ""),
	} {
		if a.status != http.StatusOK || a.member("erased") != "true" {
			t.Errorf("erased, by %s: got %d %s, want its place proven", name, a.status, a.body)
		}
	}
	checkError(t, "erased", h.do(http.MethodGet, "/v1/events/"+gone+"/proof", alice, ""), http.StatusNotFound)
	unknown := strings.Repeat("A", 22)
	for _, tt := range []struct {
		name, token, path string
		status            int
	}{
		{"another's", bob, path, http.StatusNotFound},
		{"another's, in the log", bob, "/v1/log/proof?id=" + id, http.StatusNotFound},
		{"unknown", alice, "/v1/events/" + unknown + "/proof", http.StatusNotFound},
		{"no id", alice, "/v1/events/x/proof", http.StatusBadRequest},
		{"another jti", alice, path + "?jti=" + strings.Repeat("A", 43), http.StatusBadRequest},
		{"a jti of another stream", alice, path + "?jti=" + jtis[0] + "&stream_id=x", http.StatusBadRequest},
		{"a stream alone", alice, path + "?stream_id=" + stream, http.StatusBadRequest},
		{"a long jti", alice, path + "?jti=" + strings.Repeat("A", 257), http.StatusBadRequest},
		{"a jti without its event", alice, "/v1/log/proof?jti=" + jtis[0], http.StatusBadRequest},
		{"no token", "", path, http.StatusUnauthorized},
	} {
		checkError(t, tt.name, h.do(http.MethodGet, tt.path, tt.token, ""), tt.status)
	}
	if missing, strange := h.do(http.MethodGet, "/v1/events/"+unknown+"/proof", bob, ""), h.do(http.MethodGet, path, bob, ""); missing.body != strange.body {
		t.Errorf("unknown and not-yours: got %s and %s, want them alike", missing.body, strange.body)
	}
}

// What an event tells of consent to one application is not shown to another, which
// may read the event itself.
func TestProofOfToldConsent(t *testing.T) {
	h := open(t, signed)
	alice, bob := h.client("alice", everyScope), h.client("bob", everyScope)
	secret := h.vendor(auth.VendorSource{
		Source: auth.Source{Name: "idme", Consents: map[string]string{"Portal": "alice"}}, Kind: auth.KindIDme, Auth: auth.VendorBearer,
	})
	h.must(http.StatusAccepted, http.MethodPost, "/v1/sources/idme", secret, idmeRecord(1, "consent.allow", "Portal"))
	id := h.events()[0].ID
	for token, withheld := range map[string]bool{alice: false, bob: true} {
		h.must(http.StatusOK, http.MethodGet, "/v1/events/"+id, token, "")
		p, err := audit.ParseProof([]byte(h.must(http.StatusOK, http.MethodGet, "/v1/events/"+id+"/proof", token, "").body))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Verify(h.key()); err != nil || p.Withheld != withheld {
			t.Errorf("got withheld %t, %v, want %t", p.Withheld, err, withheld)
		}
	}
}

// What the consent gate holds is proven to nobody but operators.
func TestProofOfHeldEvent(t *testing.T) {
	h := open(t, signed)
	alice, source := h.client("alice", everyScope), h.client("source", "events.write")
	h.must(http.StatusOK, http.MethodPut, "/v1/consents/gate", alice, `{"enabled":true}`)
	id := h.emit(source, "jo")
	paths := []string{"/v1/events/" + id + "/proof", "/v1/log/proof?id=" + id}
	for _, path := range paths {
		checkError(t, "held: "+path, h.do(http.MethodGet, path, alice, ""), http.StatusNotFound)
	}
	h.operator(h.SocketHandler()).must(http.StatusOK, http.MethodGet, "/admin/events/"+id+"/proof", "", "")
	h.decide(http.StatusCreated, alice, "grant")
	for _, path := range paths {
		h.must(http.StatusOK, http.MethodGet, path, alice, "")
	}
}

// checkInclusion verifies a proof of C2SP with public libraries alone.
func checkInclusion(t *testing.T, key, text string, leaf []byte) {
	t.Helper()
	var p proof.TLogProof
	if err := p.Unmarshal([]byte(text)); err != nil {
		t.Fatalf("got %q (%v), want a tlog-proof", text, err)
	}
	tree := openCheckpoint(t, key, string(p.Checkpoint))
	hashes := make(tlog.RecordProof, len(p.Hashes))
	for i := range p.Hashes {
		hashes[i] = tlog.Hash(p.Hashes[i])
	}
	if err := tlog.CheckRecord(hashes, tree.N, tree.Hash, int64(p.Index), tlog.RecordHash(p.ExtraData)); err != nil {
		t.Errorf("inclusion: got %v, want it to hold", err)
	}
	if got := tlog.RecordHash(p.ExtraData); string(got[:]) != string(leaf) {
		t.Errorf("the extra data: got a leaf of hash %x, want %x", got, leaf)
	}
}

func openCheckpoint(t *testing.T, key, text string) tlog.Tree {
	t.Helper()
	v, err := note.NewVerifier(key)
	if err != nil {
		t.Fatal(err)
	}
	c, _, _, err := log.ParseCheckpoint([]byte(text), v.Name(), v)
	if err != nil {
		t.Fatalf("got %q (%v), want a checkpoint", text, err)
	}
	return tlog.Tree{N: int64(c.Size), Hash: tlog.Hash(c.Hash)}
}

// monitor reads tiles over HTTP, as a public client of C2SP logs does.
type monitor struct {
	h     *house
	token string
}

func (monitor) Height() int                     { return 8 }
func (monitor) SaveTiles([]tlog.Tile, [][]byte) {}

func (m monitor) ReadTiles(tiles []tlog.Tile) (data [][]byte, err error) {
	for _, tile := range tiles {
		path := "/v1/log/" + strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		a := m.h.must(http.StatusOK, http.MethodGet, path, m.token, "")
		if got := a.header.Get("Content-Type"); got != "application/octet-stream" {
			return nil, fmt.Errorf("%s: got Content-Type %s", path, got)
		}
		data = append(data, []byte(a.body))
	}
	return data, nil
}

// An auditor with a token of log.read follows the log with public libraries:
// checkpoint, tiles, inclusion and consistency. Events it cannot read.
func TestAuditor(t *testing.T) {
	h := open(t, signed)
	auditor, writer := h.client("auditor", "log.read"), h.client("alice", everyScope)
	key := h.key()
	events := make([]eventlog.Event, 300)
	for i := range events {
		events[i] = eventlog.Event{Source: "hr", Type: "t"}
	}
	id := h.emit(writer, "jo")
	early := openCheckpoint(t, key, h.operator(h.SocketHandler()).must(http.StatusOK, http.MethodPost, "/admin/log/checkpoint", "", "").member("text"))
	if _, err := h.log.Append(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
	var tree tlog.Tree
	until(t, "the checkpoint of all", func() bool { // within a second, by itself
		a := h.must(http.StatusOK, http.MethodGet, "/v1/log/checkpoint", auditor, "")
		tree = openCheckpoint(t, key, a.body)
		return tree.N == 301
	})
	reader := tlog.TileHashReader(tree, monitor{h, auditor})
	for _, n := range []int64{0, 255, 256, 300} {
		inclusion, err := tlog.ProveRecord(tree.N, n, reader)
		if err != nil {
			t.Fatal(err)
		}
		rec, err := h.log.Record(t.Context(), uint64(n)+1)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckRecord(inclusion, tree.N, tree.Hash, n, tlog.Hash(rec.Leaf)); err != nil {
			t.Errorf("leaf %d: got %v, want it in the tree", n, err)
		}
	}
	path := fmt.Sprintf("/v1/log/proof?from=%d", early.N)
	for _, to := range []string{"", "&to=301"} {
		var answer struct {
			From, To int64
			Hashes   [][]byte
		}
		if err := json.Unmarshal([]byte(h.must(http.StatusOK, http.MethodGet, path+to, auditor, "").body), &answer); err != nil {
			t.Fatal(err)
		}
		hashes := make(tlog.TreeProof, len(answer.Hashes))
		for i := range hashes {
			hashes[i] = tlog.Hash(answer.Hashes[i])
		}
		if err := tlog.CheckTree(hashes, tree.N, tree.Hash, early.N, early.Hash); err != nil || answer.From != early.N || answer.To != tree.N {
			t.Errorf("consistency%s: got %+v (%v), want it to hold", to, answer, err)
		}
	}
	for _, tt := range []struct {
		name, token, path string
		status            int
	}{
		{"an event's proof", auditor, "/v1/events/" + id + "/proof", http.StatusForbidden},
		{"an event's inclusion", auditor, "/v1/log/proof?id=" + id, http.StatusNotFound},
		{"without a token", "", "/v1/log/checkpoint", http.StatusUnauthorized},
		{"tile without a token", "", "/v1/log/tile/0/000", http.StatusUnauthorized},
		{"without the scope", h.client("other", "ssf.manage"), "/v1/log/checkpoint", http.StatusForbidden},
		{"entries", auditor, "/v1/log/tile/entries/000", http.StatusNotFound},
		{"data", auditor, "/v1/log/tile/data/000", http.StatusNotFound},
		{"no tile", auditor, "/v1/log/tile/0/0", http.StatusNotFound},
		{"beyond", auditor, "/v1/log/tile/0/001", http.StatusNotFound},
		{"far beyond", auditor, "/v1/log/tile/7/x999/x999/x999/x999/999", http.StatusNotFound},
		{"a level too much", auditor, "/v1/log/tile/8/000", http.StatusNotFound},
		{"no from", auditor, "/v1/log/proof", http.StatusBadRequest},
		{"from is no number", auditor, "/v1/log/proof?from=-1", http.StatusBadRequest},
		{"to is no number", auditor, "/v1/log/proof?from=1&to=x", http.StatusBadRequest},
		{"to beyond", auditor, "/v1/log/proof?from=1&to=302", http.StatusBadRequest},
		{"to before from", auditor, "/v1/log/proof?from=2&to=1", http.StatusBadRequest},
		{"a witness that is none", auditor, "/v1/log/checkpoint?witness=x", http.StatusNotFound},
		{"a long witness", auditor, "/v1/log/checkpoint?witness=" + strings.Repeat("x", 257), http.StatusBadRequest},
	} {
		checkError(t, tt.name, h.do(http.MethodGet, tt.path, tt.token, ""), tt.status)
	}
}

// A log that is public is read without a token: its hashes, and nothing else.
func TestPublicLog(t *testing.T) {
	h := open(t, signed, func(s *setup) { s.PublicLog = true })
	id := h.emit(h.client("alice", everyScope), "jo")
	if _, err := h.log.Append(t.Context(), make([]eventlog.Event, 255)...); err != nil {
		t.Fatal(err)
	}
	key := h.key()
	if a := h.must(http.StatusOK, http.MethodGet, "/v1/log/checkpoint", "", ""); a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("checkpoint: got Cache-Control %q, want no-store", a.header.Get("Cache-Control"))
	} else {
		openCheckpoint(t, key, a.body)
	}
	a := h.must(http.StatusOK, http.MethodGet, "/v1/log/tile/0/000", "", "")
	if len(a.body) != 256*32 || !strings.Contains(a.header.Get("Cache-Control"), "immutable") {
		t.Errorf("tile: got %d bytes, Cache-Control %q, want 256 hashes to keep", len(a.body), a.header.Get("Cache-Control"))
	}
	for _, path := range []string{"/v1/log/proof?from=0", "/v1/events/" + id + "/proof"} {
		checkError(t, path, h.do(http.MethodGet, path, "", ""), http.StatusUnauthorized)
	}
}

// Without a signer there is no tree to be read.
func TestUnsignedLog(t *testing.T) {
	h := open(t)
	token := h.client("alice", everyScope)
	id := h.emit(token, "jo")
	for _, path := range []string{"/v1/log/checkpoint", "/v1/log/tile/0/000", "/v1/log/proof?from=0", "/v1/events/" + id + "/proof"} {
		if a := h.do(http.MethodGet, path, token, ""); a.status != http.StatusNotFound && a.status != http.StatusBadRequest {
			t.Errorf("%s: got %d, want 404, or 400 for what is no event's id", path, a.status)
		}
	}
}

// Cosignatures of configured witnesses are taken and served; others are not.
func TestCosignatures(t *testing.T) {
	var keys []string
	for _, name := range []string{"w1.example", "w2.example"} {
		skey, vkey, err := note.GenerateKey(rand.Reader, name)
		if err != nil {
			t.Fatal(err)
		}
		if vkey, err = formats.VKeyToCosignatureV1(vkey); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, skey, vkey)
	}
	h := open(t, signed, func(s *setup) { s.witnesses = []string{keys[1]} })
	token := h.client("witness", "log.read")
	text := h.must(http.StatusOK, http.MethodGet, "/v1/log/checkpoint", token, "").body
	cosigned := func(skey string) string {
		s, err := formats.NewSignerForCosignatureV1(skey)
		if err != nil {
			t.Fatal(err)
		}
		body, _, _ := strings.Cut(text, "\n\n")
		signed, err := note.Sign(&note.Note{Text: body + "\n"}, s)
		if err != nil {
			t.Fatal(err)
		}
		return string(signed)
	}
	for name, body := range map[string]string{"a stranger's": cosigned(keys[2]), "nothing": "", "the checkpoint alone": text} {
		checkError(t, name, h.do(http.MethodPost, "/v1/log/cosignatures", token, body), http.StatusBadRequest)
	}
	checkError(t, "a large body", h.do(http.MethodPost, "/v1/log/cosignatures", token, strings.Repeat("x", 65<<10)), http.StatusRequestEntityTooLarge)
	h.must(http.StatusNoContent, http.MethodPost, "/v1/log/cosignatures", token, cosigned(keys[0]))
	for _, query := range []string{"", "?witness=w1.example"} {
		a := h.must(http.StatusOK, http.MethodGet, "/v1/log/checkpoint"+query, token, "")
		v, err := formats.NewVerifierForCosignatureV1(keys[1])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := note.Open([]byte(a.body), note.VerifierList(v)); err != nil {
			t.Errorf("%q: got %q (%v), want it with the cosignature", query, a.body, err)
		}
	}
}

// Operators read the log as it is stored, to check it.
func TestStoredLog(t *testing.T) {
	h := open(t, signed)
	op := h.operator(h.SocketHandler())
	if _, err := h.log.Append(t.Context(), make([]eventlog.Event, 300)...); err != nil {
		t.Fatal(err)
	}
	if got := op.must(http.StatusOK, http.MethodGet, "/admin/log/head", "", "").body; strings.TrimSpace(got) != "300" {
		t.Errorf("head: got %s, want 300", got)
	}
	var records []struct {
		Seq  uint64
		Leaf []byte
	}
	if err := json.Unmarshal([]byte(op.must(http.StatusOK, http.MethodGet, "/admin/log/records?after=298", "", "").body), &records); err != nil || len(records) != 2 || records[0].Seq != 299 {
		t.Errorf("records: got %+v (%v), want 299 and 300", records, err)
	}
	tile, err := h.log.Tile(t.Context(), 1, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := `["` + base64.StdEncoding.EncodeToString(tile[0][:]) + `"]`
	if got := op.must(http.StatusOK, http.MethodGet, "/admin/log/nodes?level=1&from=0", "", "").body; strings.TrimSpace(got) != want {
		t.Errorf("nodes: got %s, want %s", got, want)
	}
	for _, path := range []string{"/admin/log/nodes?level=0&from=0", "/admin/log/nodes?level=8&from=0", "/admin/log/nodes?level=1", "/admin/log/records?after=x", "/admin/log/checkpoints"} {
		if a := op.do(http.MethodGet, path, "", ""); a.status != http.StatusBadRequest {
			t.Errorf("%s: got %d %s, want 400", path, a.status, a.body)
		}
	}
	guarded := h.operator(h.AdminHandler())
	for _, path := range []string{"key", "checkpoint", "checkpoints?from=0", "proof?from=0", "head", "records?after=0", "nodes?level=1&from=0"} {
		if a := guarded.do(http.MethodGet, "/admin/log/"+path, h.client("alice", everyScope), ""); a.status != http.StatusForbidden {
			t.Errorf("%s without admin: got %d, want 403", path, a.status)
		}
	}
}
