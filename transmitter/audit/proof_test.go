package audit_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/audit"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
	"github.com/tocsin-ssf/tocsin/transmitter/eventlog"
)

// record returns the record at seq.
func (h *house) record(seq uint64) *eventlog.Record {
	h.t.Helper()
	rec, err := h.log.Record(h.t.Context(), seq)
	if err != nil {
		h.t.Fatal(err)
	}
	return rec
}

// prove returns a proof after its way through a file.
func (h *house) prove(c checkpoint.Checkpoint, rec *eventlog.Record, withhold bool) *audit.Proof {
	h.t.Helper()
	p, err := audit.Prove(h.t.Context(), h.log, c, rec, withhold)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.sent(p)
}

func (h *house) sent(p *audit.Proof) *audit.Proof {
	h.t.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		h.t.Fatal(err)
	}
	if p, err = audit.ParseProof(text); err != nil {
		h.t.Fatal(err)
	}
	return p
}

// A proof shows the event, offline, in each tree that has it.
func TestProof(t *testing.T) {
	h := newHouse(t)
	for _, size := range []int{1, 2, 255, 256, 257, 300} {
		h.grow(size)
		c := h.sign()
		for _, seq := range []uint64{1, uint64(size+1) / 2, uint64(size)} {
			rec := h.record(seq)
			v, err := h.prove(c, rec, false).Verify(h.key)
			if err != nil {
				t.Errorf("record %d of %d: got %v, want it proven", seq, size, err)
				continue
			}
			if v.Record.Seq != seq || v.Record.SourceID != rec.SourceID || !v.Record.Recorded.Equal(rec.Recorded) || v.Checkpoint.Tree != c.Tree {
				t.Errorf("record %d of %d: got %+v, want the event", seq, size, v)
			}
		}
	}
	c := h.sign()
	if _, err := audit.Prove(t.Context(), h.log, checkpoint.Checkpoint{}, h.record(1), false); !errors.Is(err, eventlog.ErrNotFound) {
		t.Errorf("in a tree that does not have it: got %v, want ErrNotFound", err)
	}
	// Old proofs stay good, whatever is erased and appended.
	p := h.prove(c, h.record(7), false)
	h.erase(7)
	h.grow(400)
	if _, err := p.Verify(h.key); err != nil {
		t.Errorf("an old proof: got %v, want it good", err)
	}
}

// Whatever is changed in a proof, it does not hold any more.
func TestProofAltered(t *testing.T) {
	h := newHouse(t)
	h.grow(300)
	c, rec := h.sign(), h.record(7)
	jti := rec.JTI("s1", 1)
	other := h.prove(c, h.record(8), false)
	for name, alter := range map[string]func(p *audit.Proof){
		"canonical":              func(p *audit.Proof) { p.Canonical[9] ^= 1 },
		"salt":                   func(p *audit.Proof) { p.Salt[0] ^= 1 },
		"short salt":             func(p *audit.Proof) { p.Salt = p.Salt[1:] },
		"seq":                    func(p *audit.Proof) { p.Leaf.Seq++ },
		"seq 0":                  func(p *audit.Proof) { p.Leaf.Seq = 0 },
		"time":                   func(p *audit.Proof) { p.Leaf.Recorded++ },
		"kind":                   func(p *audit.Proof) { p.Leaf.Kind++ },
		"hash":                   func(p *audit.Proof) { p.Leaf.Hash[0] ^= 1 },
		"no hash":                func(p *audit.Proof) { p.Leaf.Hash = nil },
		"another's inclusion":    func(p *audit.Proof) { p.Inclusion = other.Inclusion },
		"another's content":      func(p *audit.Proof) { p.Canonical, p.Salt = other.Canonical, other.Salt },
		"another's leaf":         func(p *audit.Proof) { p.Leaf, p.Canonical, p.Salt = other.Leaf, other.Canonical, other.Salt },
		"no content":             func(p *audit.Proof) { p.Canonical, p.Salt = nil, nil },
		"no inclusion":           func(p *audit.Proof) { p.Inclusion = "" },
		"index":                  func(p *audit.Proof) { p.Inclusion = strings.Replace(p.Inclusion, "index 6", "index 7", 1) },
		"a SET of another n":     func(p *audit.Proof) { p.Set.N = 0 },
		"a SET of another type":  func(p *audit.Proof) { p.Set.EventType = "x" },
		"a SET of another event": func(p *audit.Proof) { p.Set.JTI = h.record(8).JTI("s1", 1) },
		"a SET without content":  func(p *audit.Proof) { p.Erased, p.Canonical, p.Salt = true, nil, nil },
	} {
		p, err := audit.Prove(t.Context(), h.log, c, rec, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.AddSet(rec, jti, "s0", "s1"); err != nil {
			t.Fatal(err)
		}
		p = h.sent(p)
		if _, err := p.Verify(h.key); err != nil {
			t.Fatalf("%s, before: got %v", name, err)
		}
		alter(p)
		if _, err := p.Verify(h.key); !errors.Is(err, audit.ErrProof) {
			t.Errorf("%s: got %v, want ErrProof", name, err)
		}
	}
	p := h.prove(c, rec, false)
	p.Inclusion = strings.Replace(p.Inclusion, "\n300\n", "\n301\n", 1)
	if _, err := p.Verify(h.key); !errors.Is(err, checkpoint.ErrSignature) {
		t.Errorf("another size: got %v, want ErrSignature", err)
	}
	for _, text := range []string{"", "[]", `{"version":2}`} {
		if _, err := audit.ParseProof([]byte(text)); !errors.Is(err, audit.ErrProof) {
			t.Errorf("%q: got %v, want ErrProof", text, err)
		}
	}
}

// The jti of each SET of an event, a replay's too, is found; no other is.
func TestProofOfSet(t *testing.T) {
	h := newHouse(t)
	h.grow(3)
	c, rec := h.sign(), h.record(2)
	for n, typ := range map[uint32]string{0: "https://a.example/1", 1: "https://a.example/2", 4: "https://a.example/1"} {
		p, err := audit.Prove(t.Context(), h.log, c, rec, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.AddSet(rec, rec.JTI("s2", n), "s1", "s2"); err != nil {
			t.Fatalf("n %d: got %v", n, err)
		}
		p = h.sent(p)
		if want := (audit.Set{JTI: rec.JTI("s2", n), StreamID: "s2", EventType: typ, N: n}); *p.Set != want {
			t.Errorf("n %d: got %+v, want %+v", n, *p.Set, want)
		}
		if _, err := p.Verify(h.key); err != nil {
			t.Errorf("n %d: got %v, want it proven", n, err)
		}
	}
	p := h.prove(c, rec, false)
	for name, err := range map[string]error{
		"another event's": p.AddSet(rec, h.record(1).JTI("s1", 0), "s1"),
		"another stream":  p.AddSet(rec, rec.JTI("s2", 0), "s1"),
		"withheld":        h.prove(c, rec, true).AddSet(rec, rec.JTI("s1", 0), "s1"),
		"erased":          p.AddSet(rec.Erase(), rec.JTI("s1", 0), "s1"),
	} {
		if !errors.Is(err, audit.ErrNoSet) || p.Set != nil {
			t.Errorf("%s: got %v, want ErrNoSet", name, err)
		}
	}
}

// An erased record is proven by its place and leaf, with the entries that say so;
// a withheld one by its commitment.
func TestProofWithoutContent(t *testing.T) {
	h := newHouse(t)
	h.grow(10)
	h.erase(3, 4)
	h.erase(9)
	h.erase(4)
	c := h.sign()
	p := h.prove(c, h.record(4), false)
	v, err := p.Verify(h.key)
	if err != nil || !p.Erased || p.Canonical != nil || p.Salt != nil || !slices.Equal(p.ErasedBy, []uint64{11, 13}) || v.Record.Seq != 4 {
		t.Errorf("erased: got %+v (%v), want its place, by 11 and 13", p, err)
	}
	p.Leaf.Hash[0] ^= 1
	if _, err := p.Verify(h.key); !errors.Is(err, audit.ErrProof) {
		t.Errorf("another leaf: got %v, want ErrProof", err)
	}
	p = h.prove(c, h.record(5), true)
	if _, err := p.Verify(h.key); err != nil || !p.Withheld || p.Canonical != nil || p.Salt != nil || p.Leaf.Commitment == nil {
		t.Errorf("withheld: got %+v (%v), want its commitment", p, err)
	}
	p.Leaf.Commitment[0] ^= 1
	if _, err := p.Verify(h.key); !errors.Is(err, audit.ErrProof) {
		t.Errorf("withheld, another commitment: got %v, want ErrProof", err)
	}
	p.Leaf.Commitment = nil
	if _, err := p.Verify(h.key); !errors.Is(err, audit.ErrProof) {
		t.Errorf("withheld, no commitment: got %v, want ErrProof", err)
	}
}

func FuzzParseProof(f *testing.F) {
	h := newHouse(f)
	h.grow(3)
	key := h.key
	p, err := audit.Prove(f.Context(), h.log, h.sign(), h.record(2), false)
	if err != nil {
		f.Fatal(err)
	}
	text, err := json.Marshal(p)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"version":1,"leaf":{"seq":1,"kind":1},"inclusion":"c2sp.org/tlog-proof@v1\nindex 0\n\n"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := audit.ParseProof(text)
		if err != nil {
			return
		}
		if v, err := p.Verify(key); err == nil && (v.Record.Seq < 1 || v.Record.Seq > v.Checkpoint.Size) {
			t.Errorf("got record %d of %d proven", v.Record.Seq, v.Checkpoint.Size)
		}
	})
}
