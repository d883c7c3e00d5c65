package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/tocsin-ssf/tocsin/transmitter/audit"
	"github.com/tocsin-ssf/tocsin/transmitter/checkpoint"
)

// A proof is a file that anybody may hand over. Whatever is in it, it is
// refused by one of the errors that are named, or it shows what the log holds;
// and it says the same after it was written again.
func FuzzProof(f *testing.F) {
	h := newHouse(f)
	h.grow(300)
	h.erase(9)
	c := h.sign()
	for _, seq := range []uint64{1, 7, 9, 256, 300} {
		rec := h.record(seq)
		for _, withhold := range []bool{false, true} {
			p, err := audit.Prove(f.Context(), h.log, c, rec, withhold)
			if err != nil {
				f.Fatal(err)
			}
			_ = p.AddSet(rec, rec.JTI("s1", 1), "s1") // an erased one has none
			text, err := json.Marshal(p)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Add([]byte(`{"version":1,"leaf":{"seq":0,"recorded_ms":-1},"inclusion":"c2sp.org/tlog-proof@v1\nindex 18446744073709551615\n\n"}`))
	leaves := make(map[uint64][]byte)
	for seq := range c.Size {
		rec := h.record(seq + 1)
		leaves[rec.Seq] = rec.Leaf[:]
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := audit.ParseProof(text)
		if err != nil {
			if !errors.Is(err, audit.ErrProof) || p != nil {
				t.Fatalf("ParseProof: got %v, %v, want ErrProof and nothing else", p, err)
			}
			return
		}
		v, err := p.Verify(h.key)
		if err != nil {
			if !errors.Is(err, audit.ErrProof) && !errors.Is(err, checkpoint.ErrSignature) {
				t.Fatalf("Verify: got %v, want ErrProof or ErrSignature", err)
			}
			return
		}
		if !bytes.Equal(v.Record.Leaf[:], leaves[v.Record.Seq]) || v.Checkpoint.Tree != c.Tree {
			t.Fatalf("verified, but the log has another record %d", v.Record.Seq)
		}
		again, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if p, err = audit.ParseProof(again); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Verify(h.key); err != nil {
			t.Fatalf("written again: got %v, want it to hold", err)
		}
	})
}
